"""Hooks on gradients: what they see, what they change, and how they are taken away."""

import gc
import weakref

import pytest

import tinygrad_lite as tl


def leaf(*values):
    return tl.tensor(values, dtype=tl.float64, requires_grad=True)


def both_kinds():
    """A leaf and a computed tensor, each with the loss it leads to."""
    x = leaf(1.0, 2.0)
    y = leaf(1.0, 2.0) * 1
    return [(x, (x * x).sum()), (y, (y * y).sum())]


@pytest.mark.parametrize("kind", [0, 1], ids=["leaf", "computed"])
def test_a_hook_sees_the_whole_gradient_once(kind):
    tensor, loss = both_kinds()[kind]
    seen = []
    tensor.register_hook(lambda gradient: seen.append(gradient.tolist()))
    (loss + tensor.sum()).backward()
    assert seen == [[3.0, 5.0]]


def test_what_a_hook_returns_goes_on():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda gradient: gradient * 10)
    y.register_hook(lambda gradient: gradient + 1)
    y.sum().backward()
    assert x.grad.tolist() == [22.0, 22.0]


def test_a_hook_on_a_leaf_changes_what_is_added_to_grad():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda gradient: gradient.clamp(max=3))
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_autograd_grad_runs_hooks_too():
    x = leaf(1.0, 2.0)
    y = x * 2
    x.register_hook(lambda gradient: gradient + 100)
    y.register_hook(lambda gradient: gradient * 10)
    assert [g.tolist() for g in tl.autograd.grad(y.sum(), [x, y])] == [[120.0, 120.0], [10.0, 10.0]]


def test_retained_gradients_are_those_after_the_hooks():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 10)
    assert y.retains_grad
    assert not x.retains_grad
    y.sum().backward()
    assert y.grad.tolist() == [10.0, 10.0]


def test_a_hook_may_use_the_gradient_without_recording():
    x = leaf(1.0, 2.0)
    modes = []
    x.register_hook(lambda gradient: modes.append(tl.is_grad_enabled()))
    (x * x).sum().backward()
    tl.autograd.grad((x * x).sum(), x, create_graph=True)
    assert modes == [False, True]


def test_a_hook_is_differentiated_under_create_graph():
    x = leaf(2.0)
    x.register_hook(lambda gradient: gradient * gradient)
    (gradient,) = tl.autograd.grad((x**3).sum(), x, create_graph=True)
    assert gradient.tolist() == [144.0]  # (3 x^2)^2 = 9 x^4
    (second,) = tl.autograd.grad(gradient.sum(), x)
    assert second.tolist() == [(36 * 2.0**3) ** 2]  # the hook saw it, too


def test_a_hook_cannot_damage_a_gradient_in_place():
    x = leaf(1.0, 2.0)
    y = x + 0

    def spoil(gradient):
        gradient.zero_()

    y.register_hook(spoil)
    (y + x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_what_a_hook_returned_stays_the_users():
    x, constant = leaf(1.0, 2.0), tl.ones(2, dtype=tl.float64)
    x.register_hook(lambda gradient: constant)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert constant.tolist() == [1.0, 1.0]
    x.register_hook(lambda gradient: tl.ones(1, dtype=tl.float64).expand(2))
    (x * x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("kind", [0, 1], ids=["leaf", "computed"])
def test_a_hook_can_be_removed(kind):
    tensor, loss = both_kinds()[kind]
    seen = []
    kept = tensor.register_hook(lambda _: seen.append("kept"))
    with tensor.register_hook(lambda _: seen.append("for the block")):
        loss.backward(retain_graph=True)
    removed = tensor.register_hook(lambda _: seen.append("removed"))
    removed.remove()
    removed.remove()  # a second time does nothing
    loss.backward(retain_graph=True)
    kept.remove()
    loss.backward()
    assert seen == ["kept", "for the block", "kept"]


def test_a_hook_may_remove_itself():
    x = leaf(1.0)
    seen = []

    def once(gradient):
        seen.append(gradient.item())
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda gradient: seen.append("second"))
    for _ in range(2):
        x.sum().backward()
    assert seen == [1.0, "second", "second"]


def test_after_accumulation_the_gradient_is_complete():
    x = leaf(1.0, 2.0)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda tensor: seen.append((tensor is x, tensor.grad.tolist())))
    for _ in range(2):
        (x * x).sum().backward()
    handle.remove()
    x.sum().backward()
    assert seen == [(True, [2.0, 4.0]), (True, [4.0, 8.0])]


def test_an_optimizer_can_step_inside_backward():
    x = leaf(1.0, 2.0)

    def descend(tensor):
        with tl.no_grad():
            tensor -= 0.5 * tensor.grad
        tensor.grad = None

    x.register_post_accumulate_grad_hook(descend)
    (x * x).sum().backward()
    assert x.tolist() == [0.0, 0.0]
    assert x.grad is None


@pytest.mark.parametrize(
    ("register", "error"),
    [
        (lambda: tl.ones(2).register_hook(print), RuntimeError),
        (lambda: leaf(1.0).register_hook(3), TypeError),
        (lambda: tl.ones(2).register_post_accumulate_grad_hook(print), RuntimeError),
        (lambda: (leaf(1.0) * 2).register_post_accumulate_grad_hook(print), RuntimeError),
    ],
)
def test_a_hook_where_there_is_no_gradient_is_refused(register, error):
    with pytest.raises(error):
        register()


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (3.0, TypeError, "float"),
        (tl.ones(3, dtype=tl.float64), RuntimeError, r"\(3,\)"),
        (tl.ones(2), RuntimeError, "float32"),
    ],
)
@pytest.mark.parametrize("kind", [0, 1], ids=["leaf", "computed"])
def test_a_hook_that_returns_no_gradient_is_refused(kind, returned, error, message):
    tensor, loss = both_kinds()[kind]
    tensor.register_hook(lambda gradient: returned)
    with pytest.raises(error, match=f"hook returned .*{message}"):
        loss.backward()
    assert tl.is_grad_enabled()


def test_an_error_in_a_hook_arrives():
    x = leaf(1.0)
    x.register_hook(lambda gradient: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x.sum().backward()


def test_hooks_keep_no_tensor_alive():
    gc.disable()
    try:
        x = leaf(1.0)
        y = x * 2
        handle = y.register_hook(lambda gradient: None)
        alive = weakref.ref(y)
        del y
        assert alive() is None
        handle.remove()
    finally:
        gc.enable()


def test_the_same_as_pytorch():
    torch = pytest.importorskip("torch")
    outcomes = []
    for framework in (tl, torch):
        x = framework.tensor([1.0, 2.0], requires_grad=True)
        seen = []
        y = x * 3
        z = y * y
        y.retain_grad()
        y.register_hook(lambda g, seen=seen: seen.append(("y", g.tolist())))
        y.register_hook(lambda g: g * 0.5)
        x.register_hook(lambda g, seen=seen: seen.append(("x", g.tolist())))
        x.register_hook(lambda g: -g)
        x.register_post_accumulate_grad_hook(lambda t, seen=seen: seen.append(("after", t.grad.tolist())))
        (z + y).sum().backward()
        outcomes.append((seen, x.grad.tolist(), y.grad.tolist()))
    assert outcomes[0] == outcomes[1]
