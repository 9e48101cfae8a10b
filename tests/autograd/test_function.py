"""Function: operations with a derivative of the user's own, held against mathematics and PyTorch."""

import threading
import weakref

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import Function, grad, gradcheck, gradgradcheck
from tinygrad_lite.autograd.function import once_differentiable


def leaf(*values, dtype=tl.float64):
    return tl.tensor(values[0] if len(values) == 1 else list(values), dtype=dtype, requires_grad=True)


class Exponential(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * y


class Scaled(Function):
    """Two outputs and a number between two tensors; in the newer form."""

    @staticmethod
    def forward(x, factor, w):
        return x * w, x * x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.factor, w = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx, product, square):
        x, w = ctx.saved_tensors
        return product * w + 2 * square * x * ctx.factor, None, product * x


def made(forward, backward, setup_context=None, name="Mine"):
    """A Function of its methods."""
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    if setup_context:
        methods["setup_context"] = staticmethod(setup_context)
    return type(name, (Function,), methods)


def times_two(backward, forward=lambda ctx, x: x * 2):
    return made(forward, backward)


# ---- derivatives


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_both_forms(check):
    x, w = leaf(0.3, 2.0), leaf(-1.5, 0.7)
    assert check(Exponential.apply, x)
    assert check(lambda x, w: Scaled.apply(x, 3.0, w), (x, w))
    assert check(lambda x, w: Scaled.apply(x.sin(), 3.0, w * x)[1], (x, w))


def test_third_derivative_through_a_saved_output():
    x = leaf(0.5)
    y = Exponential.apply(2 * x)
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
    assert y.item() == pytest.approx(8 * np.exp(1.0), rel=1e-14)


def test_a_saved_output_of_several_can_be_differentiated_again():
    def backward(ctx, first, second):
        (y,) = ctx.saved_tensors
        return first * y + 2 * second

    function = made(lambda x: (x.exp(), 2 * x), backward, lambda ctx, i, output: ctx.save_for_backward(output[0]))
    x = leaf(0.5, 1.0)
    assert gradgradcheck(lambda x: function.apply(x * x), x)
    assert gradgradcheck(lambda x: function.apply(x)[0], x)


def test_forward_is_not_recorded_and_may_use_numpy():
    seen = []

    def forward(ctx, x):
        seen.append(tl.is_grad_enabled())
        return tl.from_numpy(np.fft.fft(x.detach().numpy()).real)

    x = leaf(1.0, 2.0, 3.0)
    function = made(forward, lambda ctx, g: tl.from_numpy(np.fft.fft(g.numpy()).real))
    assert gradcheck(function.apply, x)
    assert not any(seen)


def test_backward_runs_once_for_all_inputs_and_without_recording():
    calls = []

    def backward(ctx, g):
        calls.append(tl.is_grad_enabled())
        return g, g

    a, b = leaf(1.0), leaf(2.0)
    function = made(lambda ctx, a, b: a + b, backward)
    y = function.apply(a, b)
    y.backward(retain_graph=True)
    grad(y, (a, b), create_graph=True)
    assert calls == [False, True]


def test_needs_input_grad():
    seen = []

    def forward(ctx, *args):
        seen.append(ctx.needs_input_grad)
        return args[0] * args[2]

    function = made(forward, lambda ctx, g: seen.append(ctx.needs_input_grad) or (None, None, g))
    y = function.apply(tl.tensor(1.0), "text", leaf(2.0, dtype=tl.float32))
    y.backward()
    assert seen == [(False, False, True)] * 2


def test_keyword_arguments_of_apply():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    np.testing.assert_array_equal(Scaled.apply(x, w=w, factor=2.0)[1].detach().numpy(), [2.0, 8.0])


def test_inputs_of_different_dtypes_get_gradients_of_theirs():
    x, w = leaf(1.0, 2.0, dtype=tl.float32), leaf(3.0, 4.0, dtype=tl.float64)
    product, square = Scaled.apply(x, 3.0, w)
    (product.sum() + square.sum()).backward()
    assert (x.grad.dtype, w.grad.dtype) == (tl.float32, tl.float64)
    assert (x.grad.tolist(), w.grad.tolist()) == ([9.0, 16.0], [1.0, 2.0])


def test_one_input_twice():
    x = leaf(3.0)
    made(lambda ctx, a, b: a * b, lambda ctx, g: (g * 5, g * 7)).apply(x, x).backward()
    assert x.grad.item() == 12.0


# ---- outputs


def test_outputs_without_gradient():
    def forward(ctx, x):
        marked = x * 3
        ctx.mark_non_differentiable(marked)
        return x * 2, marked, x.long(), "text"

    seen = []
    function = made(forward, lambda ctx, *grads: seen.extend(grads) or grads[0] * 2)
    x = leaf(1.0, 2.0)
    doubled, marked, integers, text = function.apply(x)
    assert [y.requires_grad for y in (doubled, marked, integers)] == [True, False, False]
    assert text == "text"
    doubled.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert [None if g is None else (g.dtype, g.tolist()) for g in seen] == [
        (tl.float64, [1.0, 1.0]),
        (tl.float64, [0.0, 0.0]),
        (tl.int64, [0, 0]),
        None,
    ]


@pytest.mark.parametrize("materialize", [True, False])
def test_an_output_that_no_gradient_came_from(materialize):
    def forward(ctx, x):
        ctx.set_materialize_grads(materialize)
        return x * 2, x * 3

    seen = []
    x = leaf(1.0, 2.0)
    _, tripled = made(forward, lambda ctx, *grads: seen.extend(grads) or grads[1] * 3).apply(x)
    tripled.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert seen[0] is None if not materialize else seen[0].tolist() == [0.0, 0.0]


def test_the_same_output_in_several_places():
    x, w = leaf(2.0), leaf(3.0)
    product, square = Scaled.apply(x, 1.0, w)
    (product * product + square + product).backward()
    assert x.grad.item() == 2 * 6 * 3 + 2 * 2 + 3
    assert w.grad.item() == 2 * 6 * 2 + 2


def test_an_input_returned_is_a_tensor_of_its_own():
    x = leaf(1.0, 2.0)
    y = made(lambda ctx, x: x, lambda ctx, g: g * 5).apply(x)
    assert y is not x
    assert x.is_leaf
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_names_of_what_made_an_output():
    x, w = leaf(1.0), leaf(2.0)
    assert type(Exponential.apply(x).grad_fn) is type((x * x).grad_fn)
    assert "Exponential" in repr(Exponential.apply(x).grad_fn)
    assert all("Scaled" in repr(y.grad_fn) for y in Scaled.apply(x, 1.0, w))


@pytest.mark.parametrize("output", [0, 1])
def test_hooks_and_retained_gradients_of_outputs(output):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = Scaled.apply(x, 1.0, w)[output]
    y.retain_grad()
    (y * 7).sum().backward()
    assert y.grad.tolist() == [7.0, 7.0]


# ---- gradients are nobody else's


def test_gradients_do_not_share_memory_with_what_backward_returned():
    stored = tl.tensor([5.0, 6.0], dtype=tl.float64)
    for function in (
        times_two(lambda ctx, g: stored),
        times_two(lambda ctx, g: ctx.saved_tensors[0], lambda ctx, x: ctx.save_for_backward(x) or x * 2),
    ):
        x = leaf(1.0, 2.0)
        y = function.apply(x)
        y.sum().backward()
        assert not np.shares_memory(x.grad._array, stored._array)
        assert not np.shares_memory(x.grad._array, x._array)
        assert x.grad._array.flags.writeable


def test_an_incoming_gradient_cannot_be_changed_in_place():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="read-only"):
        times_two(lambda ctx, g: g.mul_(2)).apply(x).sum().backward()


def test_none_is_no_gradient():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    made(lambda ctx, x, w: x * w, lambda ctx, g: (g, None)).apply(x, w).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert w.grad is None


def test_broadcast_gradients_are_summed_and_floats_converted():
    x = leaf(1.0, 2.0)
    times_two(lambda ctx, g: g.expand(4, 2)).apply(x).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]
    x = leaf(1.0, 2.0)
    times_two(lambda ctx, g: g.float()).apply(x).sum().backward()
    assert x.grad.dtype == tl.float64


# ---- errors


WRONG = {
    "too few": (lambda g, make: g, (1.0,), "1 gradients, but forward has 2"),
    "too many": (lambda g, make: (g, g), (), "2 gradients, but forward has 1"),
    "for a number": (lambda g, make: (g, g), (1.0,), "argument 1 of forward is not a tensor"),
    "shape": (lambda g, make: make([1.0, 1.0, 1.0]), (), r"shape \(3,\).*shape \(2,\)"),
    "scalar": (lambda g, make: g.sum(), (), r"shape \(\).*shape \(2,\)"),
    "list": (lambda g, make: [g], (), "not list"),
    "float": (lambda g, make: 3.0, (), "not float"),
}


@pytest.mark.parametrize(("backward", "extra", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_gradients_raise_as_in_pytorch(backward, extra, message):
    torch = pytest.importorskip("torch")
    theirs = type(
        "Mine",
        (torch.autograd.Function,),
        {
            "forward": staticmethod(lambda ctx, x, *_: x * 2),
            "backward": staticmethod(lambda ctx, g: backward(g, torch.tensor)),
        },
    )
    with pytest.raises(RuntimeError):
        theirs.apply(torch.ones(2, requires_grad=True), *extra).sum().backward()
    mine = made(lambda ctx, x, *_: x * 2, lambda ctx, g: backward(g, tl.tensor))
    x = tl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=f"Mine.backward.*{message}"):
        mine.apply(x, *extra).sum().backward()
    assert x.grad is None


def test_an_integer_gradient_raises():
    with pytest.raises(RuntimeError, match="int64"):
        times_two(lambda ctx, g: g.long()).apply(leaf(1.0, 2.0)).sum().backward()


def test_trailing_nones_are_ignored():
    x = leaf(1.0, 2.0)
    times_two(lambda ctx, g: (g, None, None)).apply(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_what_is_missing_raises():
    class Empty(Function):
        pass

    class OnlyForward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="forward"):
        Empty.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="backward"):
        OnlyForward.apply(leaf(1.0)).backward()


@pytest.mark.parametrize(
    ("forward", "error", "message"),
    [
        (lambda ctx, x: ctx.save_for_backward(3.0), TypeError, "float"),
        (lambda ctx, x: ctx.mark_non_differentiable(3), RuntimeError, "int"),
        (lambda ctx, x: ctx.mark_dirty(x), NotImplementedError, "clone|new tensors"),
        (lambda ctx, x: [x * 2], TypeError, "tuple"),
        (lambda ctx, x: x.mul_(2), RuntimeError, "changed an input"),
    ],
)
def test_wrong_forwards_raise(forward, error, message):
    with pytest.raises(error, match=f"Mine.*{message}"):
        times_two(lambda ctx, g: g, forward).apply(leaf(1.0, 2.0) * 1)


@pytest.mark.parametrize("saved", [0, 1])
def test_a_saved_tensor_changed_in_place_raises(saved):
    def forward(ctx, x):
        y = x * x
        ctx.save_for_backward((x, y)[saved])
        return y

    x = leaf(1.0, 2.0) * 1
    y = made(forward, lambda ctx, g: g, name="Careful").apply(x)
    with tl.no_grad():
        (x, y)[saved].add_(1)
    with pytest.raises(RuntimeError, match=r"Careful.*changed in place"):
        y.sum().backward()


def test_a_second_backward_raises_only_if_something_was_saved():
    x = leaf(1.0, 2.0)
    y = Exponential.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match=r"Exponential.*second time"):
        y.backward()
    y = times_two(lambda ctx, g: g * 2).apply(x)
    y.backward(tl.ones_like(y))
    y.backward(tl.ones_like(y))


def test_an_error_in_backward_leaves_everything_as_it_was():
    def backward(ctx, g):
        raise ZeroDivisionError

    x, other = leaf(1.0, 2.0), leaf(1.0, 2.0)
    with pytest.raises(ZeroDivisionError):
        (times_two(backward).apply(x) + other).sum().backward()
    assert x.grad is None
    assert other.grad is None
    assert tl.is_grad_enabled()


def test_once_differentiable():
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        assert not tl.is_grad_enabled()
        return 2 * g * x

    square = made(lambda ctx, x: ctx.save_for_backward(x) or x * x, once_differentiable(backward))
    x = leaf(1.0, 2.0)
    square.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    for outer in (lambda y: y.sum(), lambda y: (y * y).sum()):
        (first,) = grad(outer(square.apply(x)), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            first.sum().backward()


def test_anomaly_names_the_function():
    function = times_two(lambda ctx, g: g / 0.0)
    with tl.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"Mine|inf"):
        function.apply(leaf(1.0, 2.0)).sum().backward()
    with tl.autograd.detect_anomaly():
        x = leaf(1.0, 2.0)
        sum(y.sum() for y in Scaled.apply(x, 2.0, x)).backward()
    assert x.grad.tolist() == [6.0, 12.0]


# ---- modes and memory


def test_outside_grad_mode():
    x = leaf(1.0, 2.0)
    with tl.no_grad():
        y = Exponential.apply(x)
    assert not y.requires_grad
    assert not Exponential.apply(x.detach()).requires_grad


@pytest.mark.parametrize("run", ["dropped", "backward", "create_graph"])
def test_memory_is_freed_by_reference_counting(run, leaked):
    class Everything(Function):
        @staticmethod
        def forward(ctx, x, w):
            y, z = x * w, x + w
            ctx.save_for_backward(x, y, z)
            ctx.y = y
            return y, z

        @staticmethod
        def backward(ctx, a, b):
            x, y, _ = ctx.saved_tensors
            return a * y / x + b, a * x + b

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    between = x * 2
    arrays = [weakref.ref(between._array)]
    y, z = Everything.apply(between, w)
    arrays += [weakref.ref(y._array), weakref.ref(z._array)]
    del between
    if run == "backward":
        loss = (y * 1).sum() + z.sum()
        del y, z
        loss.backward()
        assert [a() for a in arrays] == [None, None, None]
    elif run == "create_graph":
        (found,) = grad((y * z).sum(), x, create_graph=True)
        grad(found.sum(), x)
        del found, y, z
    else:
        del y, z
    assert [a() for a in arrays] == [None, None, None]
    assert not leaked()


def test_threads():
    results = {}

    def work(number):
        x = leaf(float(number), 1.0)
        for _ in range(20):
            x.grad = None
            product, square = Scaled.apply(x, float(number), x)
            (product + square).sum().backward()
        results[number] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [2.0 * n + 2 * n * n, 2.0 + 2 * n] for n in range(4)}


def test_against_pytorch():
    torch = pytest.importorskip("torch")

    def run(library):
        class Mixed(library.autograd.Function):
            @staticmethod
            def forward(ctx, x, power, w):
                y = x**power
                ctx.power = power
                ctx.save_for_backward(x, w, y)
                return y @ w, y.sum()

            @staticmethod
            def backward(ctx, g, h):
                x, w, _ = ctx.saved_tensors
                slope = ctx.power * x ** (ctx.power - 1)
                return (g @ w.T + h) * slope, None, (x**ctx.power).T @ g

        random = np.random.default_rng(0)
        x, w = (library.tensor(random.random(shape), requires_grad=True) for shape in [(3, 4), (4, 2)])
        product, total = Mixed.apply(x, 3, w)
        loss = product.sin().sum() * total
        first = library.autograd.grad(loss, (x, w), create_graph=True)
        second = library.autograd.grad(sum((g * g).sum() for g in first), (x, w))
        return [t.detach().numpy() for t in (loss, *first, *second)]

    for mine, theirs in zip(run(tl), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)
