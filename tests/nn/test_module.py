"""Module: registration, traversal, state, modes and printing, as in PyTorch."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn


class Scale(nn.Module):
    """A layer with a parameter, a persistent and a temporary buffer."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", tl.full((size,), 0.5))
        self.factor = nn.Parameter(tl.ones(size))
        self.register_buffer("cache", tl.zeros(1), persistent=False)

    def forward(self, x):
        return (x - self.mean) * self.factor


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(3, 4)
        self.scale = Scale(4)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))
        self.temperature = nn.Parameter(tl.tensor(2.0))

    def forward(self, x):
        return self.head(self.scale(self.hidden(x))) / self.temperature


NAMES = ["temperature", "hidden.weight", "hidden.bias", "scale.factor", "head.1.weight"]


def values(module):
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def assert_same_values(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


# ---- parameters


def test_a_parameter_requires_grad_and_shares_memory():
    data = tl.zeros(2)
    parameter = nn.Parameter(data)
    data[0] = 5.0
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert isinstance(parameter, tl.Tensor)
    assert parameter.tolist() == [5.0, 0.0]
    assert not nn.Parameter(data, requires_grad=False).requires_grad


def test_a_change_of_the_shared_memory_is_noticed_by_backward():
    data = tl.ones(2)
    parameter = nn.Parameter(data)
    loss = (parameter * parameter).sum()
    data[0] = 5.0
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_results_of_operations_on_parameters_are_plain_tensors():
    assert type(nn.Parameter(tl.ones(2)) * 2) is tl.Tensor


def test_parameter_prints_as_in_pytorch():
    assert repr(nn.Parameter(tl.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_parameter_refuses_integers_and_lists():
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(tl.tensor([1, 2]))
    with pytest.raises(TypeError, match=r"tl\.tensor"):
        nn.Parameter([1.0, 2.0])


# ---- registration and traversal


def test_parameters_are_found_in_pytorchs_order():
    assert [name for name, _ in Net().named_parameters()] == NAMES
    assert len(list(Net().parameters())) == len(NAMES)
    assert [name for name, _ in Net().named_parameters(prefix="net", recurse=False)] == ["net.temperature"]


def test_modules_children_and_buffers_are_found():
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "hidden", "scale", "head", "head.0", "head.1"]
    assert next(iter(net.modules())) is net
    assert [name for name, _ in net.named_children()] == ["hidden", "scale", "head"]
    assert list(net.children()) == [net.hidden, net.scale, net.head]
    assert [name for name, _ in net.named_buffers()] == ["scale.mean", "scale.cache"]
    assert list(net.buffers()) == [net.scale.mean, net.scale.cache]


def test_shared_parameters_and_modules_come_once_unless_asked():
    net = nn.Module()
    net.a = net.b = nn.Linear(2, 3)
    net.weight = net.a.weight
    assert [name for name, _ in net.named_parameters()] == ["weight", "a.bias"]
    every = ["weight", "a.weight", "a.bias", "b.weight", "b.bias"]
    assert [name for name, _ in net.named_parameters(remove_duplicate=False)] == every
    assert list(net.state_dict()) == every
    assert [name for name, _ in net.named_modules()] == ["", "a"]
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == ["", "a", "b"]
    assert len(list(net.children())) == 1


def test_a_forgotten_super_init_works():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 1)
            self.register_buffer("count", tl.zeros(1))

    net = Forgetful()
    assert list(net.state_dict()) == ["count", "layer.weight", "layer.bias"]
    assert net.training
    assert not net.eval().training
    assert not net.layer.training
    assert nn.Module._buffers == {}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", "tensor", r"cannot assign 'Tensor' as parameter 'weight' \(nn.Parameter or None expected\)"),
        ("weight", 3, "cannot assign 'int' as parameter 'weight'"),
        ("child", "tensor", r"cannot assign 'Tensor' as child module 'child' \(nn.Module or None expected\)"),
        ("buffer", [1.0], r"cannot assign 'list' as buffer 'buffer' \(Tensor or None expected\)"),
    ],
)
def test_a_registered_attribute_is_not_overwritten_by_something_else(name, value, message):
    module = nn.Module()
    module.weight, module.child = nn.Parameter(tl.ones(2)), nn.ReLU()
    module.register_buffer("buffer", tl.ones(2))
    before = dict(vars(module))
    with pytest.raises(TypeError, match=message):
        setattr(module, name, tl.ones(2) if value == "tensor" else value)
    assert vars(module) == before


def test_registered_attributes_can_be_replaced_removed_and_deleted():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(tl.ones(5, 2))
    layer.bias = None
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [("weight", (5, 2))]
    assert layer(tl.ones(1, 2)).tolist() == [[2.0] * 5]
    layer.register_parameter("bias", nn.Parameter(tl.ones(5)))
    assert layer(tl.ones(1, 2)).tolist() == [[3.0] * 5]
    scale = Scale(2)
    scale.mean = tl.ones(2)
    assert scale(tl.ones(2)).tolist() == [0.0, 0.0]
    scale.mean = None
    del scale.cache
    assert list(scale.buffers()) == []


def test_plain_tensors_are_not_parameters():
    module = nn.Module()
    module.constant = tl.ones(2, requires_grad=True)
    assert list(module.parameters()) == list(module.buffers()) == []


def test_register_by_name_is_assignment():
    module = nn.Module()
    parameter, child = nn.Parameter(tl.ones(1)), nn.ReLU()
    module.register_parameter("p", parameter)
    module.register_parameter("none", None)
    module.add_module("child", child)
    assert module.p is parameter
    assert module.child is child
    assert module.none is None
    assert list(module.parameters()) == [parameter]
    assert list(module.children()) == [child]


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "add_module"])
@pytest.mark.parametrize(
    ("name", "error"),
    [("", KeyError), ("a.b", KeyError), ("forward", KeyError), ("weight", KeyError), (3, TypeError)],
)
def test_names_must_be_free_and_without_dots(register, name, error):
    module = nn.Module()
    if register == "register_parameter":
        module.register_buffer("weight", tl.ones(1))
    else:
        module.weight = nn.Parameter(tl.ones(1))
    value = {"register_parameter": nn.Parameter(tl.ones(1)), "register_buffer": tl.ones(1), "add_module": nn.ReLU()}
    with pytest.raises(error):
        getattr(module, register)(name, value[register])


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "add_module"])
def test_registering_something_of_the_wrong_kind_raises(register):
    value = tl.ones(1) if register == "register_parameter" else 3
    with pytest.raises(TypeError):
        getattr(nn.Module(), register)("name", value)


def test_a_misspelt_attribute_raises_at_once():
    with pytest.raises(AttributeError, match="wieght"):
        nn.Linear(2, 3).wieght


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty()(tl.ones(1))


# ---- state


def test_state_dict_shares_memory_needs_no_grad_and_leaves_out_temporary_buffers():
    net = Net()
    state = net.state_dict()
    assert list(state) == [*NAMES[:4], "scale.mean", *NAMES[4:]]
    assert not any(tensor.requires_grad for tensor in state.values())
    assert all(np.shares_memory(state[name].numpy(), p.detach().numpy()) for name, p in net.named_parameters())
    assert list(Scale(1).state_dict(prefix="layer")) == ["layer.factor", "layer.mean"]


def test_load_state_dict_copies_values_in_place():
    source, target = Net(), Net()
    arrays = [tensor.numpy() for tensor in target.state_dict().values()]
    keys = target.load_state_dict(source.state_dict())
    assert keys == ([], [])
    assert keys.missing_keys == keys.unexpected_keys == []
    assert_same_values(values(target), values(source))
    assert all(tensor.numpy() is array for tensor, array in zip(target.state_dict().values(), arrays, strict=True))
    source.hidden.weight.data.zero_()
    assert target.hidden.weight.detach().numpy().any()


def test_load_state_dict_converts_dtypes_and_takes_arrays():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1.5, 2.5]]), "bias": tl.tensor([3], dtype=tl.int64)})
    assert layer.weight.dtype == tl.float32
    assert layer.weight.tolist() == [[1.5, 2.5]]
    assert layer.bias.tolist() == [3.0]


def test_loading_is_noticed_by_backward():
    layer = nn.Linear(2, 1)
    loss = layer(layer(tl.ones(3, 2)).expand(3, 2)).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_strict_loading_lists_every_problem_and_changes_nothing():
    net = Net()
    before = values(net)
    state = {name: np.zeros_like(value) for name, value in before.items()}
    del state["hidden.bias"]
    state |= {"hidden.weight": np.zeros((4, 7), np.float32), "extra": np.zeros(1), "scale.factor": [0.0] * 4}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "does not fit Net" in message
    assert "missing: hidden.bias" in message
    assert "unexpected: extra" in message
    assert "size mismatch: hidden.weight is (4, 3) here and (4, 7) in the state" in message
    assert "wrong type: scale.factor is list" in message
    assert_same_values(values(net), before)


def test_loose_loading_reports_names_and_still_checks_shapes():
    layer = nn.Linear(2, 1)
    keys = layer.load_state_dict({"weight": np.ones((1, 2)), "extra": np.ones(1)}, strict=False)
    assert keys.missing_keys == ["bias"]
    assert keys.unexpected_keys == ["extra"]
    assert layer.weight.tolist() == [[1.0, 1.0]]
    with pytest.raises(RuntimeError, match="size mismatch: weight"):
        layer.load_state_dict({"weight": np.ones((2, 2))}, strict=False)
    with pytest.raises(TypeError, match="mapping"):
        layer.load_state_dict([np.ones((1, 2))])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_independent_and_keep_sharing(duplicate):
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    net[2].weight = net[0].weight
    other = duplicate(net)
    assert_same_values(values(other), values(net))
    assert other[0].weight is other[2].weight
    assert other[0].weight is not net[0].weight
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in other.parameters())
    other[0].weight.data.zero_()
    assert net[0].weight.detach().numpy().any()


# ---- changing all at once


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="True or False"):
        net.train("yes")


def test_apply_visits_children_first_and_each_once():
    net, visited = Net(), []
    assert net.apply(visited.append) is net
    assert visited == [net.hidden, net.scale, net.head[0], net.head[1], net.head, net]


def test_zero_grad_drops_or_zeroes():
    net = Net()
    net(tl.ones(5, 3)).sum().backward()
    gradient = net.hidden.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.hidden.weight.grad.numpy() is gradient.numpy()
    assert not gradient.numpy().any()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_zeroed_gradients_leave_the_graph():
    w = nn.Parameter(tl.tensor([3.0]))
    module = nn.ParameterList([w])
    (w**3).sum().backward(create_graph=True)
    assert w.grad.requires_grad
    module.zero_grad(set_to_none=False)
    assert not w.grad.requires_grad
    assert w.grad.tolist() == [0.0]
    (w**2).sum().backward()
    assert w.grad.tolist() == [6.0]


def test_requires_grad_freezes_every_parameter():
    net = Net()
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(tl.ones(1, 3)).requires_grad


def test_to_converts_floats_and_keeps_the_objects():
    net = Net()
    net.register_buffer("count", tl.tensor([1, 2]))
    net(tl.ones(5, 3)).sum().backward()
    parameters, before = list(net.parameters()), values(net)
    assert net.double() is net
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
    assert all(p.dtype == p.grad.dtype == tl.float64 for p in parameters)
    assert net.scale.mean.dtype == tl.float64
    assert net.count.dtype == tl.int64
    assert net(tl.ones(5, 3, dtype=tl.float64)).dtype == tl.float64
    assert_same_values(values(net), before)
    assert net.float().hidden.weight.dtype == net.to(tl.float32).hidden.weight.dtype == tl.float32
    assert net.to("cpu").hidden.weight.dtype == tl.float32


def test_to_refuses_integers_and_unknown_devices():
    with pytest.raises(TypeError, match="floating-point"):
        Net().to(tl.int64)
    with pytest.raises(RuntimeError, match="cpu"):
        Net().to("cuda")


# ---- the same as PyTorch


def test_the_tree_prints_as_in_pytorch():
    torch = pytest.importorskip("torch")

    def build(nn):
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(2, 3), nn.Tanh()])
                self.by_name = nn.ModuleDict({"out": nn.Sequential(nn.Softmax(dim=1), nn.LogSoftmax(dim=1))})

            def extra_repr(self):
                return "depth=2"

        steps = OrderedDict(flat=nn.Flatten(), block=Block(), none=nn.Sequential(), last=nn.Linear(3, 1, bias=False))
        return nn.Sequential(steps)

    assert repr(build(nn)) == repr(build(torch.nn))


def test_names_and_order_of_the_state_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(nn, ones, zeros):
        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(2, 2)
                self.register_buffer("b", zeros(1))
                self.register_buffer("temporary", zeros(1), persistent=False)
                self.p = nn.Parameter(ones(1))
                self.again = self.inner

        return nn.Sequential(Layer(), nn.Linear(1, 1), nn.CrossEntropyLoss(weight=ones(2)))

    ours, theirs = build(nn, tl.ones, tl.zeros), build(torch.nn, torch.ones, torch.zeros)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for listing in ("named_parameters", "named_modules", "named_buffers", "named_children"):
        assert [name for name, _ in getattr(ours, listing)()] == [name for name, _ in getattr(theirs, listing)()]
