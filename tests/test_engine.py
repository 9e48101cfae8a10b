"""The engine: where gradients go, that they are exact at any depth and order, and what it leaves behind."""

import gc
import operator
import threading
import tracemalloc
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import grad
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.primitive import primitive


def leaf(*values, dtype=tl.float64):
    """A leaf that requires grad: 0-d of one value, 1-D of several."""
    return tl.tensor(values[0] if len(values) == 1 else list(values), dtype=dtype, requires_grad=True)


def nth_derivative(f, x, order):
    y = f(x)
    for _ in range(order):
        (y,) = grad(y, x, create_graph=True)
    return y.item()


# ---- leaves and accumulation


def test_backward_fills_the_leaves():
    x, y, constant = leaf(2.0), leaf(3.0), tl.tensor(5.0, dtype=tl.float64)
    z = x * y + constant * x
    z.backward()
    assert (x.grad.item(), y.grad.item()) == (8.0, 2.0)
    assert constant.grad is None
    assert not x.grad.requires_grad
    assert x.grad.grad_fn is None


def test_backward_accumulates():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [5.0, 7.0]


def test_grad_set_to_none_starts_anew():
    x = leaf(2.0)
    (x * x).backward()
    before = x.grad
    x.grad = None
    (x * 3).backward()
    assert x.grad.item() == 3.0
    assert before.item() == 4.0


def test_backward_on_a_leaf():
    x = leaf(2.0)
    x.backward()
    x.backward(tl.tensor(5.0, dtype=tl.float64))
    assert x.grad.item() == 6.0


def test_a_leaf_used_many_times():
    x = leaf(3.0)
    (x * x * x + x / x + (x - x)).backward()
    assert x.grad.item() == 27.0


def test_integer_and_bool_tensors_in_between():
    x = leaf(1.0, -2.0, 3.0)
    mask = x > 0
    picked = x[tl.tensor([2, 0])]
    ((x * mask).sum() + picked.sum()).backward()
    assert x.grad.tolist() == [2.0, 0.0, 2.0]


def test_two_gradients_are_independent_and_writable():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    for x in (a, b):
        assert x.grad.numpy().flags.writeable
        assert x.grad.numpy().flags.owndata
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    a.grad.numpy()[0] = 7.0
    assert b.grad.tolist() == [1.0, 1.0]


SHARING = {
    "itself": lambda x: x,
    "add": lambda x: x + 1,
    "view": lambda x: x.reshape(2, 1),
    "transposed": lambda x: x.reshape(1, 2).T,
    "expanded": lambda x: x.expand(3, 2),
    "copied": lambda x: x.clone(),
    "converted": lambda x: x.to(tl.float64),
    "sliced": lambda x: x[:],
    "where": lambda x: tl.where(tl.tensor([True, True]), x, 0),
    "concatenated": lambda x: tl.cat([x]),
    "split": lambda x: x.split(1)[0],
    "summed": lambda x: x.sum(),
    "relu": lambda x: x.relu(),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("f", SHARING.values(), ids=SHARING.keys())
def test_the_users_gradient_is_neither_aliased_nor_changed(f, create_graph):
    x = leaf(1.0, 2.0)
    y = f(x)
    given = np.full(y.shape, 3.0)
    for _ in range(2):
        y.backward(tl.from_numpy(given), retain_graph=True, create_graph=create_graph)
        np.testing.assert_array_equal(given, np.full(y.shape, 3.0))
        assert not np.shares_memory(x.grad._array, given)
    twice = x.grad.detach().numpy().copy()
    given[...] = 100.0
    np.testing.assert_array_equal(x.grad.detach().numpy(), twice)
    x.grad = None  # with create_graph it refers to x


@pytest.mark.parametrize("f", SHARING.values(), ids=SHARING.keys())
def test_what_grad_returns_is_its_own(f):
    x = leaf(1.0, 2.0)
    y = f(x)
    given = np.full(y.shape, 3.0)
    (first,) = grad(y, x, tl.from_numpy(given), retain_graph=True)
    (second,) = grad(y, x, tl.from_numpy(given))
    arrays = [first.numpy(), second.numpy(), given, x.detach().numpy()]
    assert first.numpy().flags.writeable
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_two_gradients_of_one_sum_are_independent_with_create_graph():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward(create_graph=True)
    assert not np.shares_memory(a.grad._array, b.grad._array)
    a.grad = b.grad = None


def test_gradients_are_not_written_into_saved_arrays():
    x = leaf(1.0, 2.0)
    y = x.exp()
    before = y.detach().clone()
    for _ in range(3):
        y.backward(y.detach(), retain_graph=True)
    assert tl.equal(y.detach(), before)


# ---- backward twice


def test_backward_twice_says_what_to_do():
    x = leaf(1.0, 2.0)
    y = (x.exp() * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"mul a second time.*retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == pytest.approx([2 * np.e, 3 * np.e**2], rel=1e-15)


def test_retain_graph_allows_it():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 18.0
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_create_graph_retains_it_too():
    x = leaf(3.0)
    y = x * x * x
    (first,) = grad(y, x, create_graph=True)
    (again,) = grad(y, x)
    assert first.item() == again.item() == 27.0


def test_a_shared_part_freed_by_another_backward():
    x = leaf(2.0)
    shared = x * x
    (shared * 1.0).backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        (shared * 2.0).backward()


def test_what_saves_nothing_runs_again():
    a, b = leaf(1.0), leaf(2.0)
    y = a + b
    y.backward()
    y.backward()
    assert (a.grad.item(), b.grad.item()) == (2.0, 2.0)


# ---- retain_grad


def test_retain_grad():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    y.retain_grad()
    z.backward()
    assert (y.grad.item(), x.grad.item()) == (12.0, 36.0)


def test_without_retain_grad_only_leaves_have_one():
    x = leaf(2.0)
    y = x * 3
    (y * y).backward()
    assert y.grad is None


def test_retain_grad_accumulates_and_owns_its_memory():
    x = leaf(1.0, 2.0)
    y = x + 0.0
    y.retain_grad()
    given = np.ones(2)
    for _ in range(2):
        y.backward(tl.from_numpy(given), retain_graph=True)
    given[...] = 9.0
    assert y.grad.tolist() == [2.0, 2.0]
    y.grad.numpy()[0] = 5.0
    assert x.grad.tolist() == [2.0, 2.0]


def test_retain_grad_follows_a_change_in_place():
    """It is the gradient of the tensor as it is now, as in PyTorch."""
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [6.0, 6.0]


def test_retain_grad_of_a_leaf_changes_nothing():
    x = leaf(2.0)
    x.retain_grad()
    (x * x).backward()
    assert x.grad.item() == 4.0


def test_retain_grad_needs_grad():
    with pytest.raises(RuntimeError, match="retain_grad"):
        tl.ones(2).retain_grad()


def test_retain_grad_does_not_keep_the_tensor_alive():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * 1.0
    gone = weakref.ref(y)
    del y
    assert gone() is None
    z.backward()
    assert x.grad.item() == 3.0


# ---- grad()


def test_grad_leaves_the_leaves_alone():
    x = leaf(2.0)
    (g,) = grad(x * x, x)
    assert g.item() == 4.0
    assert x.grad is None
    assert not g.requires_grad


def test_grad_of_several_outputs_and_inputs():
    x, y = leaf(2.0), leaf(3.0, 5.0)
    outputs = [x * y, x**3]
    weights = [tl.tensor([1.0, 10.0], dtype=tl.float64), None]
    gx, gy = grad(outputs, [x, y], weights)
    assert gx.item() == 3.0 + 50.0 + 12.0
    assert gy.tolist() == [2.0, 20.0]


def test_grad_of_the_same_output_twice_counts_twice():
    x = leaf(2.0)
    y = x * x
    assert grad([y, y], x)[0].item() == 8.0


def test_grad_by_the_same_input_twice():
    x = leaf(2.0)
    assert [g.item() for g in grad(x * x, [x, x])] == [4.0, 4.0]


def test_grad_by_intermediate_inputs():
    x = leaf(2.0)
    y = x * x
    z = y * y * x
    gy, gx = grad(z, [y, x])
    assert gy.item() == 2 * 4 * 2
    assert gx.item() == 5 * 2**4


def test_grad_by_an_intermediate_input_alone():
    x = leaf(2.0)
    y = x.exp()
    (gy,) = grad(y * y, y)
    assert gy.item() == pytest.approx(2 * np.exp(2.0), rel=1e-15)


def test_grad_by_the_output_itself():
    x = leaf(2.0)
    y = x * x
    assert grad(y, [y, x])[0].item() == 1.0
    assert grad(x, x)[0].item() == 1.0


def test_grad_by_an_unused_input():
    x, unused = leaf(2.0), leaf(1.0, 2.0, 3.0)
    with pytest.raises(RuntimeError, match=r"input 1 of shape \(3,\).*allow_unused=True"):
        grad(x * x, [x, unused])
    gx, none = grad(x * x, [x, unused], allow_unused=True)
    assert (gx.item(), none) == (4.0, None)


def test_grad_does_not_run_rules_that_lead_elsewhere(local_primitives):
    ran = []

    @primitive()
    def same(input):
        return np.array(input)

    @same.vjp(0)
    def _(g, out, x):
        ran.append(True)
        return g

    x, y = leaf(2.0), leaf(3.0)
    (gx,) = grad(x * same(y), x)
    assert gx.item() == 3.0
    assert not ran


def test_grad_outputs_must_fit():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="1 outputs need as many grad_outputs, got 2"):
        grad(x * x, x, [tl.ones(2), tl.ones(2)])
    with pytest.raises(RuntimeError, match=r"\(3,\), float64 for an output of .*\(2,\), float64"):
        grad(x * x, x, tl.ones(3, dtype=tl.float64))
    with pytest.raises(RuntimeError, match="float32 for an output"):
        grad(x * x, x, tl.ones(2))


@pytest.mark.parametrize("role", ["output", "input"])
def test_grad_of_what_does_not_require_grad(role):
    x = leaf(2.0)
    constant = tl.tensor(1.0)
    with pytest.raises(RuntimeError, match=f"{role}: the tensor of shape .* does not require grad"):
        grad(constant, x) if role == "output" else grad(x * constant, constant)


def test_grad_of_what_is_no_tensor():
    with pytest.raises(TypeError, match="expected a Tensor, not float"):
        grad([1.0], leaf(2.0))


# ---- derivatives of derivatives

CLOSED_FORMS = {
    "polynomial": (lambda x: 2 * x**4 - 3 * x**2 + x, lambda x: [8 * x**3 - 6 * x + 1, 24 * x**2 - 6, 48 * x, 48.0]),
    "product": (lambda x: x * x * x * x, lambda x: [4 * x**3, 12 * x**2, 24 * x, 24.0]),
    "exp": (lambda x: (2 * x).exp(), lambda x: [2**n * np.exp(2 * x) for n in (1, 2, 3, 4)]),
    "quotient": (lambda x: 1 / x, lambda x: [-(x**-2), 2 * x**-3, -6 * x**-4, 24 * x**-5]),
    "log": (lambda x: x.log(), lambda x: [1 / x, -(x**-2), 2 * x**-3, -6 * x**-4]),
    "sin": (lambda x: x.sin(), lambda x: [np.cos(x), -np.sin(x), -np.cos(x), np.sin(x)]),
    "tanh": (
        lambda x: x.tanh(),
        lambda x: [
            1 - (t := np.tanh(x)) ** 2,
            -2 * t * (1 - t**2),
            (6 * t**2 - 2) * (1 - t**2),
            8 * t * (1 - t**2) * (2 - 3 * t**2),
        ],
    ),
    "root": (lambda x: x.sqrt(), lambda x: [x**-0.5 / 2, -(x**-1.5) / 4, 3 * x**-2.5 / 8, -15 * x**-3.5 / 16]),
}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_derivatives_of_any_order_are_exact(name, order):
    f, derivatives = CLOSED_FORMS[name]
    for x in (0.4, 1.3):
        assert nth_derivative(f, leaf(x), order) == pytest.approx(derivatives(x)[order - 1], rel=1e-13)


def test_mixed_derivatives():
    x, y = leaf(1.5), leaf(0.5)
    (fx,) = grad(x**2 * y**3, x, create_graph=True)
    (fxy,) = grad(fx, y, create_graph=True)
    (fxyy,) = grad(fxy, y)
    assert [t.item() for t in (fx, fxy, fxyy)] == [2 * 1.5 * 0.125, 6 * 1.5 * 0.25, 12 * 1.5 * 0.5]


def test_hessian_of_a_quadratic_form():
    A = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, -1.0], [4.0, 0.0, 5.0]])
    x = leaf(1.0, -2.0, 0.5)
    (g,) = grad(x @ tl.tensor(A) @ x, x, create_graph=True)
    rows = [grad(g[i], x, retain_graph=True)[0].tolist() for i in range(3)]
    assert rows == (A + A.T).tolist()


def test_a_gradient_in_the_loss():
    """A penalty on the gradient, as in gradient-penalty training."""
    x, w = leaf(2.0), leaf(3.0)
    (g,) = grad(w * x**2, x, create_graph=True)
    (g**2).backward()  # (2 w x)**2
    assert w.grad.item() == 8 * 3 * 2**2
    assert x.grad.item() == 8 * 3**2 * 2


def test_backward_with_create_graph():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.backward()
    assert x.grad.item() == 12.0


def test_gradients_by_the_cotangent():
    x, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (g,) = grad(x**2, x, v, create_graph=True)
    (gv,) = grad(g.sum(), v)
    assert gv.tolist() == [2.0, 4.0]


def test_no_graph_without_create_graph():
    x = leaf(2.0)
    with tl.enable_grad():
        (g,) = grad(x**3, x, retain_graph=True)
    assert g.grad_fn is None


def test_create_graph_inside_no_grad():
    x = leaf(2.0)
    y = x**3
    with tl.no_grad():
        (g,) = grad(y, x, create_graph=True)
        assert not tl.is_grad_enabled()
    assert grad(g, x)[0].item() == 12.0


def test_a_leaf_whose_data_was_replaced_is_not_differentiated_again():
    x = leaf(2.0)
    y = x * x
    x.data = tl.tensor(5.0, dtype=tl.float64)
    with pytest.raises(RuntimeError, match="replaced"):
        grad(y, x, create_graph=True)


# ---- depth and shape of the graph


def test_a_long_chain():
    x = leaf(1.5)
    y = x
    for _ in range(50_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0


def test_a_long_chain_is_freed_without_a_backward():
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    gone = weakref.ref(y.grad_fn)
    del y
    assert gone() is None


def test_a_long_chain_differentiated_twice():
    x = leaf(1.0)
    y = reduce(operator.mul, [x] * 2_000)  # x to the 2,000
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first, x)
    assert (first.item(), second.item()) == (2_000.0, 2_000.0 * 1_999.0)


def test_sixty_doublings():
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert y.item() == x.grad.item() == 2.0**60


def test_sixty_doublings_differentiated_twice():
    x = leaf(1.0)
    y = x * x
    for _ in range(60):
        y = y + y
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first, x)
    assert first.item() == second.item() == 2.0**61


def test_a_diamond():
    x = leaf(2.0)
    y = x * x
    a, b = y * 3, y.exp()
    (a * b + y).backward()
    e = np.exp(4.0)
    assert x.grad.item() == pytest.approx((3 * e + 12 * e + 1) * 4, rel=1e-15)


def test_short_and_long_ways_meet():
    """Consumers come before the node although one way is much longer."""
    x = leaf(2.0)
    y = x * 1.0
    around = y
    for _ in range(10):
        around = around * 2.0
    (y * around + y).backward()
    assert x.grad.item() == 2 * 1024 * 2.0 + 1


def test_every_node_runs_once(local_primitives):
    runs = []

    @primitive()
    def same(input):
        return np.array(input)

    @same.vjp(0)
    def _(g, out, x):
        runs.append(g.item())
        return g

    x = leaf(1.0)
    y = same(x)
    (y + y * 2 + y * 3).backward()
    assert runs == [6.0]


def test_broadcast_inputs_get_gradients_of_their_shape():
    row, column, number = tl.ones(3, requires_grad=True), tl.ones(2, 1, requires_grad=True), leaf(2.0, dtype=tl.float32)
    (row * column * number).sum().backward()
    assert row.grad.tolist() == [4.0, 4.0, 4.0]
    assert column.grad.tolist() == [[6.0], [6.0]]
    assert number.grad.item() == 6.0


BAD_RULES = {
    "too small": lambda g: np.add.reduce(g),
    "too large": lambda g: np.stack([g, g], axis=-1),
    "of another dtype": lambda g: np.asarray(g, np.float64),
}


@pytest.mark.parametrize("rule", BAD_RULES.values(), ids=BAD_RULES.keys())
def test_a_rule_that_returns_something_else_is_refused(local_primitives, rule):
    @primitive()
    def same(input):
        return np.array(input)

    same.vjp(0)(lambda g, out, x: rule(g))
    out = same(tl.ones(2, 3, requires_grad=True)).sum()
    with pytest.raises(RuntimeError, match=r"rule of same returned shape .* for an input of shape \(2, 3\), float32"):
        out.backward()


def test_an_input_without_a_rule_is_refused(local_primitives):
    @primitive(saves="input")
    def scaled(input, factor):
        return np.multiply(input, factor)

    @scaled.vjp(0)
    def _(g, out, x, factor):
        return g

    with pytest.raises(RuntimeError, match=r"scaled has no derivative for 'factor'.*detach"):
        scaled(tl.ones(2), tl.ones(2, requires_grad=True))


# ---- in-place changes

IN_PLACE = {
    "add_": (lambda y: y.add_(3.0), [1.5, 1.5]),
    "sub_": (lambda y: y.sub_(3.0), [1.5, 1.5]),
    "mul_": (lambda y: y.mul_(3.0), [4.5, 4.5]),
    "div_": (lambda y: y.div_(2.0), [0.75, 0.75]),
    "pow_": (lambda y: y.pow_(3), [10.125, 40.5]),  # 3 y**2 * 1.5
    "remainder_": (lambda y: y.remainder_(2.0), [1.5, 1.5]),
    "clamp_": (lambda y: y.clamp_(0.0, 2.0), [1.5, 0.0]),
    "setitem": (lambda y: y.__setitem__(0, 7.0), [0.0, 1.5]),
    "setitem of a slice": (lambda y: y.__setitem__(slice(1, None), 7.0), [1.5, 0.0]),
    "fill_": (lambda y: y.fill_(7.0), [0.0, 0.0]),
    "zero_": (lambda y: y.zero_(), [0.0, 0.0]),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_on_a_computed_tensor(name):
    change, expected = IN_PLACE[name]
    x = leaf(1.0, 2.0)
    y = x * 1.5
    change(y)
    total = y.sum()
    if total.requires_grad:
        total.backward()
    assert (x.grad.tolist() if x.grad is not None else [0.0, 0.0]) == expected


def test_in_place_operators_on_a_computed_tensor():
    x = leaf(1.0, 2.0)
    y = x * 2
    y += x
    y -= 1
    y *= 3
    y /= 2
    y.sum().backward()
    assert y.tolist() == [3.0, 7.5]
    assert x.grad.tolist() == [4.5, 4.5]


def test_in_place_by_a_tensor_that_requires_grad():
    x, v = leaf(1.0, 2.0), leaf(5.0)
    y = tl.zeros(3, dtype=tl.float64)
    y[:2] = x
    y[2] = v
    (y * tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64)).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
    assert v.grad.item() == 3.0


def test_copying_a_leaf_into_a_computed_tensor():
    x, v = leaf(1.0, 2.0), leaf(5.0, 6.0)
    y = x * 2
    y.copy_(v)
    assert not y.is_leaf
    (y * y).sum().backward()
    assert v.grad.tolist() == [10.0, 12.0]
    assert x.grad is None or x.grad.tolist() == [0.0, 0.0]


def test_a_computed_tensor_changed_by_itself():
    x = leaf(1.0, 2.0)
    y = x * 2
    y += y
    y[0] = y[1] + 0
    y.sum().backward()
    assert y.tolist() == [8.0, 8.0]
    assert x.grad.tolist() == [0.0, 8.0]


def test_elements_of_a_computed_tensor_changed_by_operators():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    y[0] *= 10
    y[1:] += x[:2]
    y[[2]] -= 1
    y.sum().backward()
    assert y.tolist() == [20.0, 5.0, 7.0]
    assert x.grad.tolist() == [21.0, 3.0, 2.0]


def test_a_view_and_what_it_views_go_stale_by_a_recorded_change_of_the_other():
    """They keep their place in the graph with another value: a gradient through them would be wrong."""
    for change in (lambda y, view: y.mul_(10), lambda y, view: view.mul_(10)):
        x = leaf(1.0, 2.0, 3.0)
        y = x * 2
        view = y[:2]
        change(y, view)
        assert view.tolist() == [20.0, 40.0]
        outcomes = []
        for tensor in (y, view):
            try:
                (gradient,) = tl.autograd.grad(tensor.sum(), x, retain_graph=True)
                outcomes.append(gradient.tolist())
            except RuntimeError as error:
                outcomes.append("take the view anew" in str(error))
        assert outcomes in ([[20.0, 20.0, 20.0], True], [True, [20.0, 20.0, 0.0]])


def test_a_changed_view_is_written_back_to_its_own_place_only():
    """Elsewhere it does not tell what became of the place it changed."""
    x = leaf(1.0, 2.0)
    y = x * 2
    view = y[0]
    view.mul_(10)
    y[1] = view
    with pytest.raises(RuntimeError, match="take the view anew"):
        y.sum().backward()


def test_a_failed_write_leaves_a_stale_tensor_stale():
    y = leaf(1.0, 2.0, 3.0) * 2
    view = y[:2]
    view.mul_(10)
    with pytest.raises(RuntimeError, match="does not fit"):
        y[:3] = view
    with pytest.raises(RuntimeError, match="take the view anew"):
        y.sum().backward()


def test_a_view_of_a_leaf_is_not_changed():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="view of a leaf"):
        x[0].mul_(10)
    assert x.tolist() == [1.0, 2.0]


def test_elements_chosen_by_arrays_changed_by_operators():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    y[[2]] -= 1
    y[[0, 1]] *= x[:2]
    y.sum().backward()
    assert y.tolist() == [2.0, 8.0, 5.0]
    assert x.grad.tolist() == [4.0, 8.0, 2.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda b, x: b[0].copy_(x),
        lambda b, x: b[0].__setitem__(1, x[0]),
        lambda b, x: b[0].add_(x),
        lambda b, x: b.reshape(-1)[:3].mul_(x),
    ],
)
def test_a_gradient_through_what_a_view_changed_raises_for_autograd_grad_too(change):
    x, b = tl.ones(3, requires_grad=True), tl.zeros(2, 3)
    change(b, x)
    with pytest.raises(RuntimeError, match="take the view anew"):
        tl.autograd.grad((b**2).sum() + 0.1 * (x**2).sum(), x)


def test_in_place_on_a_leaf_is_refused():
    x = leaf(1.0, 2.0)
    for change in (lambda: x.add_(1.0), lambda: x.__setitem__(0, 1.0), lambda: x.zero_()):
        with pytest.raises(RuntimeError, match=r"leaf that requires grad.*no_grad"):
            change()
    assert x.tolist() == [1.0, 2.0]
    with tl.no_grad():
        x.add_(1.0)
    assert x.tolist() == [2.0, 3.0]
    assert x.is_leaf
    assert x.requires_grad


CHANGES = {
    "in place": lambda x: x.add_(1.0),
    "by an operator": lambda x: operator.iadd(x, 1.0),
    "an element": lambda x: x.__setitem__(0, 5.0),
    "through a view": lambda x: x[:1].zero_(),
    "through a view of a view": lambda x: x.reshape(2, 1)[0].mul_(3.0),
    "through detach": lambda x: x.detach().fill_(2.0),
    "through data": lambda x: x.data.mul_(2.0),
    "as out=": lambda x: np.add(x, 1.0, out=x),
    "by np.copyto": lambda x: np.copyto(x, 5.0),
    "by np.add.at": lambda x: np.add.at(x, [0], 5.0),
    "by np.put": lambda x: np.put(x, [0], 5.0),
    "by np.putmask": lambda x: np.putmask(x, np.array([True, False]), 5.0),
    "by np.place": lambda x: np.place(x, np.array([True, False]), [5.0]),
}
SAVING = {
    "mul": lambda x, w: x * w,
    "square": lambda x, w: x.square() * w,
    "sin": lambda x, w: w * x.sin(),
    "clamp": lambda x, w: w * x.clamp(-10.0, 1.5),
    "matmul": lambda x, w: x @ w,
    "maximum": lambda x, w: tl.maximum(x, w),
    "softplus": lambda x, w: w + tl.softplus(x),
    "amax": lambda x, w: w + x.amax(0),
    "logsumexp": lambda x, w: w + tl.logsumexp(x, 0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_saved_array_is_noticed(change):
    """However it is changed: a gradient of other values than those of the forward pass is wrong."""
    x, w = tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w).sum()
    with tl.no_grad():
        try:
            change(x)
        except (TypeError, RuntimeError, ValueError):
            return  # refused: also right
    with pytest.raises(RuntimeError, match=r"mul saved.*changed in place"):
        y.backward()


@pytest.mark.parametrize("name", SAVING)
def test_every_operation_notices(name):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = SAVING[name](x, w).sum()
    with tl.no_grad():
        x.add_(1.0)
    title = {"clamp": "clip"}.get(name, name)  # NumPy's name for it
    with pytest.raises(RuntimeError, match=f"{title} saved for its gradient was changed in place"):
        y.backward()


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sqrt", "relu"])
def test_a_changed_output_is_noticed(name):
    x = leaf(1.0, 2.0)
    y = getattr(x, name)()
    z = y.sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match=f"{name} saved"):
        z.backward()


def test_a_changed_index_is_noticed():
    x, index = leaf(1.0, 2.0), tl.tensor([0, 1])
    y = x[index].sum()
    index.zero_()
    with pytest.raises(RuntimeError, match="take saved"):
        y.backward()


def test_what_the_rules_of_an_operation_may_read_must_not_change():
    """Stricter than PyTorch: ``x * w`` saves both, although the gradient by w reads only x."""
    x, w = tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w).sum()
    with tl.no_grad():
        w.sub_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_between_the_first_and_the_second_derivative_is_noticed():
    x = leaf(1.0, 2.0)
    y = x * 3
    (first,) = tl.autograd.grad((y * y * y).sum(), x, create_graph=True)
    y.detach().mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        tl.autograd.grad(first.sum(), x)


def test_what_is_not_saved_may_change():
    x, w = tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0], requires_grad=True)
    y = (x + w).sum() + w.sum()
    with tl.no_grad():
        w.sub_(1.0)
    y.backward()
    assert w.grad.tolist() == [2.0, 2.0]


def test_a_change_after_backward_does_not_matter():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    with tl.no_grad():
        x.zero_()
    assert x.grad.tolist() == [2.0, 4.0]


# ---- modes


def records():
    return (tl.ones(1, requires_grad=True) * 2).requires_grad


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (tl.no_grad, False),
        (tl.enable_grad, True),
        (lambda: tl.set_grad_enabled(False), False),
        (lambda: tl.set_grad_enabled(True), True),
    ],
    ids=["no_grad", "enable_grad", "set_grad_enabled(False)", "set_grad_enabled(True)"],
)
@pytest.mark.parametrize("outside", [True, False])
class TestModes:
    @pytest.fixture(autouse=True)
    def _outside(self, outside):
        with tl.set_grad_enabled(outside):
            yield

    def test_as_a_context(self, mode, expected, outside):
        with mode():
            assert tl.is_grad_enabled() is records() is expected
        assert tl.is_grad_enabled() is outside

    def test_as_a_decorator(self, mode, expected, outside):
        @mode()
        def inside(a, *, b):
            """What it says."""
            return records(), a, b

        assert tl.is_grad_enabled() is outside
        for _ in range(2):
            assert inside(1, b=2) == (expected, 1, 2)
            assert tl.is_grad_enabled() is outside
        assert (inside.__name__, inside.__doc__) == ("inside", "What it says.")

    def test_with_an_exception(self, mode, expected, outside):
        @mode()
        def fails():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fails()
        assert tl.is_grad_enabled() is outside
        with pytest.raises(KeyboardInterrupt), mode():
            raise KeyboardInterrupt
        assert tl.is_grad_enabled() is outside

    def test_one_object_again_and_inside_itself(self, mode, expected, outside):
        again = mode()
        for _ in range(2):
            with again:
                assert tl.is_grad_enabled() is expected
            assert tl.is_grad_enabled() is outside

    def test_recursion_of_a_decorated_function(self, mode, expected, outside):
        @mode()
        def down(n):
            return [records()] + (down(n - 1) if n else [])

        assert down(3) == [expected] * 4
        assert tl.is_grad_enabled() is outside


def test_modes_nested():
    with tl.no_grad():
        with tl.enable_grad():
            with tl.set_grad_enabled(False):
                assert not records()
            assert records()
        assert not records()
    assert records()


def test_set_grad_enabled_as_a_call():
    try:
        tl.set_grad_enabled(False)
        assert not records()
    finally:
        tl.set_grad_enabled(True)
    assert records()


def test_no_grad_decorates_without_parentheses():
    @tl.no_grad
    def inside():
        return records()

    assert not inside()
    assert records()


def test_no_grad_decorates_a_generator():
    """Its body runs later, inside the mode; the code between two values does not."""

    @tl.no_grad()
    def twice():
        yield records()
        yield records()

    found = [(inside, records()) for inside in twice()]
    assert found == [(False, True), (False, True)]


def test_results_under_no_grad():
    x = leaf(1.0, 2.0)
    with tl.no_grad():
        y = x * 2
        new = tl.ones(2, requires_grad=True)
    assert not y.requires_grad
    assert y.grad_fn is None
    assert y.is_leaf
    assert new.requires_grad


def test_modes_of_threads_are_their_own():
    barrier = threading.Barrier(4)

    def in_a_thread(enabled):
        assert tl.is_grad_enabled()  # a new thread records, whatever the others do
        with tl.set_grad_enabled(enabled):
            barrier.wait()
            seen = [records() for _ in range(20)]
            barrier.wait()
        return seen == [enabled] * 20 and tl.is_grad_enabled()

    with tl.no_grad(), ThreadPoolExecutor(4) as threads:
        assert all(threads.map(in_a_thread, [True, False, True, False]))
        assert not tl.is_grad_enabled()


def test_backward_in_several_threads_at_once():
    barrier = threading.Barrier(4)

    def in_a_thread(n):
        x = leaf(*(float(n + i) for i in range(3)))
        barrier.wait()
        for _ in range(50):
            x.grad = None
            with np.errstate(all="raise"):
                (x.exp().log() ** 2 / (x - x)).sum()
                (x**3).sum().backward()
        (second,) = grad(grad((x**3).sum(), x, create_graph=True)[0].sum(), x)
        return x.grad.tolist(), second.tolist()

    with ThreadPoolExecutor(4) as threads:
        for n, (first, second) in enumerate(threads.map(in_a_thread, range(4))):
            assert first == [3.0 * (n + i) ** 2 for i in range(3)]
            assert second == [6.0 * (n + i) for i in range(3)]


def test_a_graph_made_in_one_thread_is_differentiated_in_another():
    x = leaf(3.0)
    y = x * x
    with ThreadPoolExecutor(1) as threads:
        threads.submit(y.backward).result()
    assert x.grad.item() == 6.0


# ---- interruptions


@pytest.fixture
def interrupted(local_primitives):
    """A primitive that is interrupted in its forward function or its rule, as if Ctrl-C was pressed there."""

    @primitive()
    def fragile(input, *, where):
        if where == "forward":
            raise KeyboardInterrupt
        return np.array(input)

    @fragile.vjp(0)
    def _(g, out, x, where):
        if where == "rule":
            raise KeyboardInterrupt
        return g

    return fragile


@pytest.mark.parametrize("enabled", [True, False])
def test_an_interrupted_forward(interrupted, enabled):
    x = leaf(1.0, 2.0)
    with tl.set_grad_enabled(enabled):
        before = tl.is_grad_enabled(), np.geterr(), thread.run
        with pytest.raises(KeyboardInterrupt):
            interrupted(x, where="forward")
        assert (tl.is_grad_enabled(), np.geterr(), thread.run) == before
        assert interrupted(x, where="nowhere").tolist() == [1.0, 2.0]
        assert np.isnan((x - x) / (x - x)).all()  # still silent


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("through", ["backward", "grad"])
def test_an_interrupted_rule(interrupted, create_graph, through):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    w.grad = tl.tensor([7.0, 7.0], dtype=tl.float64)
    y = (interrupted(x * 2, where="rule") * w).sum()
    before = tl.is_grad_enabled(), np.geterr(), thread.run
    with pytest.raises(KeyboardInterrupt):
        y.backward(create_graph=create_graph) if through == "backward" else grad(y, x, create_graph=create_graph)
    assert (tl.is_grad_enabled(), np.geterr(), thread.run) == before
    assert x.grad is None
    assert w.grad.tolist() == [7.0, 7.0]  # all gradients are written, or none
    (interrupted(x * 2, where="nowhere") * w).sum().backward()
    assert x.grad.tolist() == [6.0, 8.0]
    assert w.grad.tolist() == [9.0, 11.0]


def test_a_callback_from_numpy_may_compute():
    """``np.apply_along_axis`` calls back into Python, which may use tensors again."""
    x = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    sums = np.apply_along_axis(lambda row: tl.tensor(row).sum().item(), 1, x)
    assert np.asarray(sums).tolist() == [3.0, 7.0]


# ---- floating-point warnings

NOISY = {
    "log of 0": lambda x: x.log(),
    "division by 0": lambda x: 1 / x,
    "0 / 0": lambda x: x / x,
    "overflow": lambda x: (x + 1e4).exp(),
    "underflow": lambda x: (x - 1e4).exp() * 1e-300,
    "sqrt of 0": lambda x: x.sqrt(),
    "sqrt below 0": lambda x: (x - 1).sqrt(),
    "0 to the -1": lambda x: x**-1.0,
    "inf - inf": lambda x: x / 0 - x / 0,
    "matmul": lambda x: (x * 1e300) @ (x / 0),
    "softmax of -inf": lambda x: tl.softmax(x.log(), 0),
    "std of one": lambda x: x[:1].std(),
    "sum": lambda x: (x / 0).sum(),
    "overflowing sum": lambda x: ((x + 1) * 1.7e308).sum(),
    "float32": lambda x: ((x + 1) * 1e300).float(),
    "float16": lambda x: ((x + 1) * 1e5).half(),
    "int": lambda x: (x / 0).long().sum() * x,
    "mean of nothing": lambda x: x[:0].mean(),
    "in place": lambda x: (x + 1).div_(x),
    "through numpy": lambda x: np.log(x) + np.divide(1.0, x),
}


@pytest.mark.parametrize("state", ["warn", "raise"])
@pytest.mark.parametrize("f", NOISY.values(), ids=NOISY.keys())
def test_floating_point_warnings_stay_silent(f, state):
    x = leaf(0.0, 1.0, 2.0)
    with np.errstate(all=state), warnings.catch_warnings():
        warnings.simplefilter("error")
        before = np.geterr()
        y = f(x)
        assert np.geterr() == before
        (first,) = grad(y, x, tl.ones_like(y), create_graph=True)
        assert np.geterr() == before
        if first.requires_grad:
            grad(first, x, tl.ones_like(first), allow_unused=True)
        y = f(x)
        y.backward(tl.ones_like(y))
        assert np.geterr() == before


@pytest.mark.parametrize("state", ["warn", "raise"])
def test_tensors_are_made_silently(state):
    with np.errstate(all=state), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tl.tensor([1e40]).tolist() == [np.inf]
        assert tl.full((1,), 1e40).tolist() == [np.inf]
        assert tl.tensor(np.array([1e40]), dtype=tl.float32).tolist() == [np.inf]
        assert tl.tensor([1e-60]).tolist() == [0.0]


def test_the_callers_own_arrays_still_warn():
    tl.ones(2, requires_grad=True).log().sum().backward()
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.log(np.zeros(1))
    with np.errstate(all="raise"):
        tl.zeros(2).log()
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


# ---- memory


def test_reference_cycles_are_found(leaked):
    """The guard that every test runs under: the graph of x's gradient leads to x, as in PyTorch."""
    x = leaf(2.0)
    (x * x).backward(create_graph=True)
    del x
    assert leaked()
    assert not leaked()


def test_what_hangs_on_a_foreign_cycle_is_no_leak(leaked):
    cycle = [leaf(2.0) * 3]
    cycle.append(cycle)
    del cycle
    assert not leaked()


def net(samples=64):
    """The parameters of two layers, and their loss on some data."""
    random = np.random.default_rng(0)

    def numbers(*shape, requires_grad=False):
        return tl.tensor(random.standard_normal(shape), dtype=tl.float32, requires_grad=requires_grad)

    X, T = numbers(samples, 30), numbers(samples, 5)
    W1, b1, W2, b2 = parameters = [numbers(*shape, requires_grad=True) for shape in ((30, 20), (20,), (20, 5), (5,))]

    def loss():
        return (((X @ W1 + b1).tanh() @ W2 + b2 - T) ** 2).mean()

    return parameters, loss


def array_bytes():
    """The bytes of all arrays that live, among those made since tracing started."""
    domain = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([domain]).traces)


@pytest.fixture
def _traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def step(parameters, loss):
    for p in parameters:
        p.grad = None
    value = loss()
    value.backward()
    with tl.no_grad():
        for p in parameters:
            p.sub_(0.01 * p.grad)
    return value.item()


@pytest.mark.usefixtures("_traced")
def test_a_thousand_steps_do_not_grow():
    assert not gc.isenabled()  # the guards of conftest.py turn it off
    parameters, loss = net()
    first = step(parameters, loss)
    for _ in range(200):  # until Python's lists of free objects are full
        step(parameters, loss)
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(1_000):
        last = step(parameters, loss)
    after, _ = tracemalloc.get_traced_memory()
    assert last < first
    assert after - before < 1_000  # a byte a step


@pytest.mark.usefixtures("_traced")
def test_only_what_is_needed_lives():
    n, hidden, classes, size = 512, 20, 5, 4
    parameters, loss = net(n)
    before = array_bytes()
    value = loss()
    saved = size * (n * hidden + n * classes)  # what tanh gave, and what is squared
    assert array_bytes() - before == saved + size
    value.backward()
    assert array_bytes() - before == size * (sum(p.numel() for p in parameters) + 1)
    step(parameters, loss)
    assert array_bytes() - before == size * (sum(p.numel() for p in parameters) + 1)
    for p in parameters:
        p.grad = None
    del value
    assert array_bytes() == before


@pytest.mark.usefixtures("_traced")
def test_a_dropped_graph_frees_everything():
    _, loss = net()
    before = array_bytes()
    loss()
    assert array_bytes() == before
    with tl.no_grad():
        value = loss()
    assert array_bytes() - before == value.numpy().nbytes


def test_what_is_not_saved_dies_at_once():
    x = leaf(1.0, 2.0)
    y = x * 2
    array, node = weakref.ref(y.detach().numpy()), weakref.ref(y.grad_fn)
    z = y + 1
    del y
    assert array() is None
    assert node() is not None
    z.sum().backward()
    del z
    assert node() is None


def test_what_is_saved_lives_until_backward():
    x = leaf(1.0, 2.0)
    y = x.exp()
    array = weakref.ref(y.detach().numpy())
    z = y.sum()
    del y
    assert array() is not None
    z.backward()
    assert array() is None


def test_results_without_grad_hold_no_graph():
    x = tl.ones(3)
    y = (x * 2).exp()
    assert y.grad_fn is None
    gone = weakref.ref(x)
    del x
    assert gone() is None


def test_an_error_keeps_nothing_alive():
    x = leaf(1.0, 2.0)
    y = x * 2
    gone = weakref.ref(y)
    try:
        y + tl.ones(3)
    except RuntimeError:
        pass
    del y
    assert gone() is None


# ---- sums of many


def test_many_rows_are_added_without_losing_digits():
    x = (np.random.default_rng(0).random((60_000, 2)) + 1000).astype(np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(tl.tensor(x).mean(0).numpy(), exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(tl.tensor(x).sum(0, keepdim=True).numpy(), exact.sum(0, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(tl.tensor(x).var(0).numpy(), exact.var(0, ddof=1), rtol=1e-3)


def test_gradients_of_what_was_broadcast_over_many_rows_keep_their_digits():
    rows, block_of_roundings = 10**6, 128 * np.finfo(np.float32).eps
    w = tl.ones(3, requires_grad=True)
    (tl.full((rows, 3), 0.1) * w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), rows * np.float32(0.1), rtol=block_of_roundings)
    layer = tl.nn.Linear(1, 3)
    (layer(tl.zeros(rows, 1)) * 0.1).sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), rows * np.float32(0.1), rtol=block_of_roundings)


def test_half_precision_is_added_in_single_precision():
    x = tl.full((20_000,), 10.0, dtype=tl.float16)
    assert x.mean().dtype == tl.float16
    assert x.mean().item() == 10.0
    assert x.var().item() == 0.0
    assert tl.full((3000, 2), 1.1, dtype=tl.float16).sum(0).tolist() == [3298.0, 3298.0]
