"""checkpoint: the same gradients from less memory."""

import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.autograd import grad, gradcheck, gradgradcheck
from tinygrad_lite.utils.checkpoint import checkpoint, checkpoint_sequential

RANDOM = np.random.default_rng(3)


def leaf(*shape):
    return tl.tensor(RANDOM.random(shape), requires_grad=True)


def net(layers=6, width=8, dropout=0.0):
    parts = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.Tanh(), nn.Dropout(dropout))]
    return nn.Sequential(*parts)


def gradients(model, x, call):
    """The loss and every gradient, of one forward and backward from the same seed."""
    tl.manual_seed(5)
    x = x.detach().requires_grad_()
    model.zero_grad()
    loss = (call(model, x) ** 2).sum()
    loss.backward()
    return [loss.detach().numpy(), x.grad.numpy(), *[p.grad.numpy().copy() for p in model.parameters()], tl.rand(3)]


CALLS = {
    "whole": lambda model, x: checkpoint(model, x, use_reentrant=False),
    "each": lambda model, x: checkpoint_sequential(model, 6, x, use_reentrant=False),
    "two": lambda model, x: checkpoint_sequential(model, 2, x),
    "one": lambda model, x: checkpoint_sequential(model, 1, x),
    "uneven": lambda model, x: checkpoint_sequential(list(model), 5, x),
    "nested": lambda model, x: checkpoint(lambda x: checkpoint_sequential(model, 3, x), x),
    "closure": lambda model, x: checkpoint(lambda: model(x)),
    "keyword": lambda model, x: checkpoint(lambda *, inputs: model(inputs["x"]), inputs={"x": x}),
    "computed input": lambda model, x: checkpoint(model, x * 1),
    "captured computed input": lambda model, x: (lambda y: checkpoint(lambda: model(y)))(x * 1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradients_are_the_same_to_the_last_bit(call, dropout):
    model, x = net(dropout=dropout), tl.randn(5, 8)
    expected = gradients(model, x, lambda model, x: model(x))
    for found, wanted in zip(gradients(model, x, call), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_without_the_random_state_dropout_draws_another_mask():
    masks = []

    def f(x):
        y = nn.functional.dropout(x, 0.5)
        masks.append(y.detach().tolist())
        return y

    x = tl.ones(50, requires_grad=True)
    checkpoint(f, x, preserve_rng_state=False).sum().backward()
    assert masks[0] != masks[1]
    assert x.grad.tolist() == masks[1]


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    from torch.utils.checkpoint import checkpoint as theirs

    def run(library, checkpoint):
        random = np.random.default_rng(0)
        x, w = (library.tensor(random.random(shape), requires_grad=True) for shape in [(3, 4), (4, 2)])
        h = (x * x).sin()
        y = checkpoint(lambda h, scale: ((h @ w).exp() * scale, h.sum()), h, scale=2.0, use_reentrant=False)
        loss = (y[0] * y[1]).sum() + h.sum() + w.sum()
        loss.backward()
        return [loss.detach().numpy(), x.grad.numpy(), w.grad.numpy()]

    for mine, wanted in zip(run(tl, checkpoint), run(torch, theirs), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-13)


def test_first_and_second_derivatives():
    x, w = leaf(3), leaf(3)

    def f(x, w):
        hidden = w * 2
        return checkpoint(lambda x: (x.sin() * w).exp() * hidden, x * x)

    assert gradcheck(f, (x, w))
    assert gradgradcheck(f, (x, w))


def test_third_derivative_and_nesting():
    def plain(x):
        return (x.sin() * x).exp()

    x = leaf()
    y, z = plain(plain(x)), checkpoint(lambda x: checkpoint(plain, checkpoint(plain, x)), x)
    for _ in range(3):
        (y,), (z,) = grad(y, x, create_graph=True), grad(z, x, create_graph=True)
        assert z.item() == pytest.approx(y.item(), rel=1e-12)


def test_a_source_behind_a_source_counts_once():
    w = leaf(3)
    h = w * w
    (checkpoint(lambda h: h * w, h)).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 3 * w.detach().numpy() ** 2, rtol=1e-15)
    captured = leaf(3)
    h = captured * captured
    checkpoint(lambda: h * captured).sum().backward()
    np.testing.assert_allclose(captured.grad.numpy(), 3 * captured.detach().numpy() ** 2, rtol=1e-15)


def test_grad_with_respect_to_inputs_in_between_and_parameters():
    x, w = leaf(3), leaf(3)
    h = x * 2
    y = checkpoint(lambda h: h * w, h)
    by_h, by_w = grad(y.sum(), (h, w))
    np.testing.assert_array_equal(by_h.numpy(), w.detach().numpy())
    np.testing.assert_array_equal(by_w.numpy(), h.detach().numpy())
    assert x.grad is None
    assert w.grad is None


def test_a_function_with_backward_of_its_own_inside():
    class Two(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x, x * 3

        @staticmethod
        def backward(ctx, square, triple):
            (x,) = ctx.saved_tensors
            return 2 * x * square + 3 * triple

    x = leaf(3)
    assert gradgradcheck(lambda x: checkpoint(lambda x: Two.apply(x.sin()), x), x)


# ---- outputs


def test_structure_of_the_result():
    x = leaf(3)
    found = checkpoint(lambda x: {"a": (x * 2, "text", None), "b": [x.long(), x]}, x)
    assert found["a"][1:] == ("text", None)
    assert [t.requires_grad for t in (found["a"][0], *found["b"])] == [True, False, True]
    (found["a"][0] + found["b"][1]).sum().backward()
    assert x.grad.tolist() == [3.0] * 3


def test_outputs_that_are_inputs_or_captured():
    x, w = leaf(3), leaf(3)
    y, z = checkpoint(lambda x: (x, w), x)
    (y * 2 + z * 3).sum().backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([2.0] * 3, [3.0] * 3)


def test_nothing_to_differentiate_by():
    calls = []
    y = checkpoint(lambda x: calls.append(1) or x * 2, tl.ones(3))
    assert not y.requires_grad
    with tl.no_grad():
        assert not checkpoint(lambda x: calls.append(1) or x * 2, leaf(3)).requires_grad
    assert len(calls) == 2


def test_a_leaf_made_inside_is_no_source():
    x = leaf(3)
    checkpoint(lambda x: x * tl.ones(3, requires_grad=True), x).sum().backward()
    assert x.grad.tolist() == [1.0] * 3


# ---- memory


def arrays_saved(call):
    """How many bytes stay allocated between forward and backward, and at most in backward."""
    model, x = net(layers=16, width=64), tl.randn(512, 64)
    call(model, x).sum().backward()  # caches are filled
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        loss = call(model, x).sum()
        held = tracemalloc.get_traced_memory()[0] - before
        loss.backward()
        return held, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_memory_is_really_lower():
    activation = 512 * 64 * 4
    held, peak = arrays_saved(lambda model, x: model(x))
    held_by_four, peak_by_four = arrays_saved(lambda model, x: checkpoint_sequential(model, 4, x))
    assert held > 16 * activation
    assert held_by_four < held / 2
    assert peak_by_four < peak * 2 / 3


def test_memory_is_freed_by_reference_counting(leaked):
    arrays = []

    def f(x):
        y = x.exp()
        arrays.append(weakref.ref(y._array))
        return (y * y).sum()

    x = leaf(3)
    y = checkpoint(f, x)
    assert arrays[0]() is None
    y.backward()
    assert arrays[1]() is None
    (first,) = grad(checkpoint(f, x), x, create_graph=True)
    grad(first.sum(), x)
    del first
    checkpoint(f, x)
    assert [array() for array in arrays] == [None] * 5
    assert not leaked()


def test_the_input_is_freed_by_backward():
    x = leaf(3)
    between = x * 2
    array = weakref.ref(between._array)
    y = checkpoint(lambda h: h * h, between).sum()
    del between
    assert array() is not None
    y.backward()
    assert array() is None


# ---- errors


def test_a_second_backward_raises():
    y = checkpoint(lambda x: x * x, leaf(3)).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@pytest.mark.parametrize("which", ["argument", "computed argument", "parameter"])
def test_a_change_in_place_before_backward_raises(which):
    x, w = leaf(3), leaf(3)
    h = x * 2
    y = checkpoint(lambda x, h: x * h * w, x, h)
    with tl.no_grad():
        {"argument": x, "computed argument": h, "parameter": w}[which].add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


@pytest.mark.parametrize("recorded", [True, False])
def test_a_function_that_changes_its_argument_raises(recorded):
    def changes(h):
        with tl.set_grad_enabled(recorded):
            h.mul_(2)
        return h * h

    with pytest.raises(RuntimeError, match="changed an argument in place"):
        checkpoint(changes, leaf(3) * 1)


def test_changes_in_place_of_what_the_function_computed():
    def changes(h):
        y = h * 2
        y.add_(1)
        y[0] = h[1] * h[1]
        return y * y

    x = leaf(3)
    (expected,) = grad(changes(x).sum(), x)
    checkpoint(changes, x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected.numpy())


@pytest.mark.parametrize("transformation", [tl.func.grad, tl.func.hessian, tl.func.jacfwd])
def test_inside_and_around_func(transformation):
    x = tl.tensor([1.0, 2.0], requires_grad=True)

    def cube(x):
        return (x**3).sum()

    expected = transformation(cube)(x.detach())
    np.testing.assert_array_equal(transformation(lambda x: checkpoint(cube, x))(x.detach()).numpy(), expected.numpy())
    inside = checkpoint(transformation(cube), x)
    np.testing.assert_array_equal(inside.detach().numpy(), expected.numpy())
    (slope,) = grad(inside.sum(), x)
    (wanted,) = grad(transformation(cube)(x).sum(), x)
    np.testing.assert_array_equal(slope.numpy(), wanted.numpy())


def test_sources_of_different_dtypes():
    x, w = tl.tensor([1.0, 2.0], requires_grad=True), leaf(2)
    for h, k in ((x, w), (x * 1, w * 1)):
        x.grad = w.grad = None
        checkpoint(lambda h: h.double() * k, h).sum().backward()
        assert (x.grad.dtype, w.grad.dtype) == (tl.float32, tl.float64)
        np.testing.assert_array_equal(x.grad.numpy(), w.detach().numpy().astype(np.float32))
        np.testing.assert_array_equal(w.grad.numpy(), [1.0, 2.0])


def test_a_captured_output_of_a_function():
    class Two(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return 2 * a + 3 * b

    x = leaf(3)
    double, triple = Two.apply(x)
    checkpoint(lambda: double * triple).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 12 * x.detach().numpy(), rtol=1e-15)


def test_inside_detect_anomaly():
    x = tl.zeros(2, requires_grad=True)
    with tl.autograd.detect_anomaly():
        y = checkpoint(lambda x: x.sqrt(), x).sum()
        with pytest.raises(RuntimeError, match="sqrt"):
            y.backward()


def test_replaced_data_of_a_parameter_raises():
    w = leaf(3)
    y = checkpoint(lambda x: x * w, leaf(3))
    w.data = tl.zeros(3, dtype=tl.float64)
    with pytest.raises(RuntimeError, match="replaced"):
        y.sum().backward()


def test_a_function_that_does_something_else_the_second_time_raises():
    x, w = leaf(3), leaf(3)
    calls = []

    def other_shape(x):
        calls.append(1)
        return x[: len(calls)]

    def other_sources(x):
        calls.append(1)
        return x * w if len(calls) % 2 else x * 2

    for function, message in ((other_shape, "shapes"), (other_sources, "same each time")):
        calls.clear()
        y = checkpoint(function, x).sum()
        with pytest.raises(RuntimeError, match=message):
            y.backward()
    assert x.grad is None


def test_a_function_that_keeps_what_it_computed_raises():
    kept = {}

    def keeps(x):
        kept["h"] = x.sin()
        return kept["h"] * 2

    y = checkpoint(keeps, leaf(3)).sum()
    with pytest.raises(RuntimeError, match="detach"):
        y.backward()


def test_errors_restore_the_random_state():
    calls = []

    def fails(x):
        tl.rand(3)
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError
        return x * 2

    y = checkpoint(fails, leaf(3)).sum()
    before = tl.random.default_generator.get_state()
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert tl.random.default_generator.get_state() == before
    assert tl.is_grad_enabled()


def test_segments_are_checked():
    for segments in (0, 4):
        with pytest.raises(ValueError, match="segments"):
            checkpoint_sequential([tl.sin] * 3, segments, leaf(3))


def test_threads():
    results = {}

    def work(number):
        x = tl.full((3,), float(number), requires_grad=True)
        for _ in range(10):
            x.grad = None
            checkpoint(lambda x: x * x * x, x).sum().backward()
        results[number] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [3.0 * n * n] * 3 for n in range(4)}
