"""Hooks around a module's forward and backward, as PyTorch runs them."""

import copy
import pickle

import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn


class Twice(nn.Module):
    """Two inputs, one keyword, two outputs."""

    def forward(self, x, y, scale=1.0):
        return x * y * scale, x + y


def double(*values):
    return tl.tensor(values, dtype=tl.float64, requires_grad=True)


def test_a_pre_hook_sees_and_changes_the_arguments():
    net, seen = nn.ReLU(), []
    net.register_forward_pre_hook(lambda module, args: seen.append((module is net, args[0].tolist())))
    net.register_forward_pre_hook(lambda module, args: -args[0])
    assert net(tl.tensor([-1.0, 2.0])).tolist() == [1.0, 0.0]
    assert seen == [(True, [-1.0, 2.0])]


def test_a_forward_hook_sees_and_changes_the_output():
    net, seen = nn.ReLU(), []
    net.register_forward_hook(lambda module, args, output: seen.append((args[0].tolist(), output.tolist())))
    net.register_forward_hook(lambda module, args, output: output + 1)
    assert net(tl.tensor([-1.0, 2.0])).tolist() == [1.0, 3.0]
    assert seen == [([-1.0, 2.0], [0.0, 2.0])]


def test_hooks_with_keyword_arguments():
    net, seen = Twice(), []
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": kwargs["scale"] * 10}), with_kwargs=True)
    net.register_forward_hook(lambda m, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    product, _ = net(tl.tensor(2.0), tl.tensor(3.0), scale=1.0)
    assert product.item() == 60.0
    assert seen == [{"scale": 10.0}]


def test_order_and_removal():
    net, seen = nn.ReLU(), []
    handles = [net.register_forward_hook(lambda *_, name=name: seen.append(name)) for name in "ab"]
    net.register_forward_hook(lambda *_: seen.append("first"), prepend=True)
    net(tl.ones(1))
    handles[0].remove()
    net(tl.ones(1))
    assert seen == ["first", "a", "b", "first", "b"]


def test_backward_hooks_see_the_gradients_of_inputs_and_outputs():
    net, seen = Twice(), []
    net.register_full_backward_pre_hook(lambda m, grad_output: seen.append([g.item() for g in grad_output]))
    net.register_full_backward_hook(lambda m, gi, go: seen.append([g.item() for g in (*gi, *go)]))
    x, y = double(2.0), double(3.0)
    product, total = net(x, y)
    (product * 5 + total * 7).sum().backward()
    assert seen == [[5.0, 7.0], [5 * 3 + 7, 5 * 2 + 7, 5.0, 7.0]]
    assert (x.grad.item(), y.grad.item()) == (22.0, 17.0)


def test_backward_hooks_change_gradients():
    net = nn.Linear(2, 1, bias=False).double()
    net.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 10,))
    net.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] * 100,))
    x = double(1.0, 2.0)
    net(x).sum().backward()
    assert x.grad.tolist() == (net.weight[0] * 1000).tolist()
    assert net.weight.grad.tolist() == [[10.0, 20.0]]


def test_without_a_gradient_of_the_inputs_the_hook_still_runs():
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda m, grad_input, grad_output: seen.append((grad_input, grad_output[0].shape)))
    net(tl.ones(3, 2)).sum().backward()
    assert seen == [((None,), (3, 1))]


def test_without_recording_nothing_is_hooked_in_backward():
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda *_: seen.append(1))
    with tl.no_grad():
        assert not net(tl.ones(3, 2)).requires_grad
    assert seen == []


def test_second_derivatives_go_through_backward_hooks():
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    net = Cube()
    net.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] * 2,))
    x = double(3.0)
    (first,) = tl.autograd.grad(net(x).sum(), x, create_graph=True)
    (second,) = tl.autograd.grad(first.sum(), x)
    assert (first.item(), second.item()) == (54.0, 36.0)  # 2 * 3 x^2, and 2 * 6 x: the hook saw one backward


@pytest.mark.parametrize(
    ("returned", "error"), [((1.0, 2.0), RuntimeError), ("text", RuntimeError), (tl.ones(7), RuntimeError)]
)
def test_a_backward_hook_that_returns_no_gradient_is_refused(returned, error):
    net = nn.ReLU()
    net.register_full_backward_hook(lambda *_: returned)
    with pytest.raises(error):
        net(tl.ones(3, requires_grad=True)).sum().backward()


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward"])
def test_what_is_no_hook_is_refused(kind):
    with pytest.raises(TypeError, match="callable"):
        getattr(nn.ReLU(), f"register_{kind}_hook")(3)


def test_a_copy_has_the_hooks_and_its_own_list_of_them():
    net, seen = nn.ReLU(), []
    handle = net.register_forward_hook(lambda *_: seen.append(1))
    twin = copy.deepcopy(net)
    handle.remove()
    net(tl.ones(1))
    assert seen == []
    twin(tl.ones(1))
    assert seen == [1]


class Counting(nn.ReLU):
    """A module whose hook is a method of its own."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.register_forward_hook(self.count)

    def count(self, module, args, output):
        self.calls += 1


@pytest.mark.parametrize("make", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_the_hook_of_a_copy_is_its_own(make):
    net = Counting()
    twin = make(net)
    twin(tl.ones(1))
    assert (net.calls, twin.calls) == (0, 1)


def test_hooks_are_no_part_of_the_state():
    net = nn.Linear(2, 1)
    net.register_forward_hook(lambda *_: None)
    assert list(net.state_dict()) == ["weight", "bias"]
    assert repr(net) == repr(nn.Linear(2, 1))


def test_the_same_as_pytorch():
    torch = pytest.importorskip("torch")
    outcomes = []
    for framework in (tl, torch):
        net = framework.nn.Sequential(framework.nn.Linear(2, 2), framework.nn.Sigmoid(), framework.nn.Linear(2, 1))
        with framework.no_grad():
            for number, parameter in enumerate(net.parameters()):
                parameter.fill_(0.1 * (number + 1))
        seen = []
        for name, module in net.named_modules():
            module.register_forward_pre_hook(lambda m, a, n=name, s=seen: s.append(("pre", n)))
            module.register_forward_hook(lambda m, a, o, n=name, s=seen: s.append(("forward", n)))
            module.register_full_backward_pre_hook(lambda m, go, n=name, s=seen: s.append(("backward pre", n)))
            module.register_full_backward_hook(
                lambda m, gi, go, n=name, s=seen: s.append(
                    (
                        "backward",
                        n,
                        [g if g is None else [round(v, 5) for v in g.reshape(-1).tolist()] for g in gi + go],
                    )
                )
            )
        x = framework.ones(1, 2, requires_grad=True)
        net(x).sum().backward()
        outcomes.append((seen, [round(v, 5) for v in x.grad.reshape(-1).tolist()]))
    assert outcomes[0] == outcomes[1]
