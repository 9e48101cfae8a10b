"""Properties that hold for any shapes, axes, dtypes, indices and expressions: Hypothesis draws them.

Derivatives are held against the complex step: for an analytic f computed by NumPy on complex numbers,
``imag(f(x + ih d)) / h`` is the derivative along d, exact to rounding since nothing is subtracted.
"""

import itertools
import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as tl
from tinygrad_lite.testing import BINARY, UNARY, Operation, broadcastable_shapes, expressions


def for_any(*strategies, examples=60):
    """Run a test for this many drawn examples, the same in every run."""
    chosen = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    return lambda test: chosen(given(*strategies)(test))


STEP = 1e-30


def numbers(shape, seed, low=-2.0, high=2.0):
    """Numbers in general position: no two alike, none on a kink."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def along(f, arrays, steps):
    """The value of f, and its derivative in the direction of the steps."""
    value = f(*(x + 1j * STEP * d for x, d in zip(arrays, steps, strict=True)))
    return value.real, value.imag / STEP


def check(on_tensors, on_arrays, arrays, seed=0):
    """A function on float64 Tensors has NumPy's values, and gradients as the complex step finds them."""
    leaves = [tl.tensor(x, requires_grad=True) for x in arrays]
    steps = [numbers(x.shape, seed + 1) for x in arrays]
    out = on_tensors(*leaves)
    value, slope = along(on_arrays, arrays, steps)
    assert out.shape == value.shape
    assert out.dtype == tl.float64
    np.testing.assert_allclose(out.detach().numpy(), value, rtol=1e-12, atol=1e-12)
    weights = numbers(out.shape, seed + 2)
    if not out.requires_grad:
        np.testing.assert_array_equal(slope, 0.0)
        return
    gradients = tl.autograd.grad(out, leaves, tl.tensor(weights), allow_unused=True)
    parts = [0.0 if g is None else np.vdot(g.numpy(), d) for g, d in zip(gradients, steps, strict=True)]
    size = sum(0.0 if g is None else np.abs(g.numpy()).sum() for g in gradients)
    assert all(g is None or g.shape == x.shape for g, x in zip(gradients, arrays, strict=True))
    assert math.isclose(sum(parts), np.vdot(weights, slope), rel_tol=1e-11, abs_tol=1e-12 * (1 + size))


seeds = st.integers(0, 10**6)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
filled_shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)


# ---- single operations


@for_any(st.sampled_from(UNARY), shapes, seeds)
def test_functions_of_any_shape(operation, shape, seed):
    check(operation.on_tensors, operation.on_arrays, [numbers(shape, seed, -1.0, 1.0)], seed)


@for_any(st.sampled_from(BINARY), broadcastable_shapes(2, min_side=0), seeds)
def test_broadcasting(operation, shapes, seed):
    arrays = [numbers(shape, seed + i, -1.0, 1.0) for i, shape in enumerate(shapes)]
    check(operation.on_tensors, operation.on_arrays, arrays, seed)


@for_any(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, min_side=0, max_side=4), seeds)
def test_matmul_of_any_shapes(broadcast, seed):
    arrays = [numbers(shape, seed + i) for i, shape in enumerate(broadcast.input_shapes)]
    check(tl.matmul, np.matmul, arrays, seed)


@for_any(hnp.mutually_broadcastable_shapes(num_shapes=2, max_side=4))
def test_shapes_that_do_not_broadcast_raise(broadcast):
    first, second = (list(shape) for shape in broadcast.input_shapes)
    assume(first and second)
    first[-1], second[-1] = 2, 3
    with np.testing.assert_raises_regex(RuntimeError, "add of .* and .*broadcast"):
        tl.zeros(first) + tl.zeros(second)


# ---- reductions

REDUCTIONS = {
    "sum": (tl.sum, np.sum),
    "mean": (tl.mean, np.mean),
    "amax": (tl.amax, np.max),
    "amin": (tl.amin, np.min),
    "logsumexp": (tl.logsumexp, lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))),
    "var": (
        lambda x, dim, keepdim: tl.var(x, dim, unbiased=False, keepdim=keepdim),
        lambda x, axis, keepdims: np.mean((x - np.mean(x, axis, keepdims=True)) ** 2, axis, keepdims=keepdims),
    ),
}


@st.composite
def reduced(draw):
    """A shape, and the axes to reduce: one, several, or none named."""
    shape = draw(filled_shapes)
    if not shape:
        return shape, draw(st.sampled_from([None, 0, -1])), draw(st.booleans())
    one = st.integers(-len(shape), len(shape) - 1)
    axes = draw(st.one_of(one, hnp.valid_tuple_axes(len(shape), min_size=1)))
    return shape, axes, draw(st.booleans())


@for_any(st.sampled_from(sorted(REDUCTIONS)), reduced(), seeds)
def test_reductions_over_any_axes(name, reduction, seed):
    (shape, axis, keepdims), (on_tensors, on_arrays) = reduction, REDUCTIONS[name]
    assume(not (axis is None and name == "logsumexp"))
    numpy_axis = axis if shape else None
    check(
        lambda x: on_tensors(x, dim=axis, keepdim=keepdims),
        lambda x: on_arrays(x, axis=numpy_axis, keepdims=keepdims),
        [numbers(shape, seed)],
        seed,
    )


@for_any(filled_shapes.filter(len), st.data(), seeds)
def test_reductions_along_one_axis(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = [numbers(shape, seed)]
    check(lambda x: x.prod(axis), lambda x: np.prod(x, axis), x, seed)
    check(lambda x: x.max(axis).values, lambda x: np.max(x, axis), x, seed)
    check(lambda x: x.min(axis, keepdim=True)[0], lambda x: np.min(x, axis, keepdims=True), x, seed)
    check(lambda x: tl.softmax(x, axis), lambda x: np.exp(x) / np.sum(np.exp(x), axis, keepdims=True), x, seed)
    check(lambda x: tl.log_softmax(x, axis), lambda x: x - np.log(np.sum(np.exp(x), axis, keepdims=True)), x, seed)
    assert tl.tensor(x[0]).argmax(axis).tolist() == np.argmax(x[0], axis).tolist()


@for_any(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), max_size=8))
def test_gradient_of_a_product_with_zeros(values):
    """Each element's gradient is the product of all others."""
    x = tl.tensor(values, dtype=tl.float64, requires_grad=True)
    x.prod().backward()
    others = [math.prod(values[:i] + values[i + 1 :]) for i in range(len(values))]
    assert x.grad.tolist() == others


@for_any(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_extremes_share_the_gradient_among_ties(values):
    x = tl.tensor(values, dtype=tl.float64, requires_grad=True)
    x.amax(0).backward()
    ties = values.count(max(values))
    assert x.grad.tolist() == [1 / ties if v == max(values) else 0.0 for v in values]


# ---- shapes and indices


@for_any(filled_shapes, st.data(), seeds)
def test_rearranging(shape, data, seed):
    """A few reshapes, permutations, expansions and reversals after each other."""
    x, on_tensors, on_arrays = numbers(shape, seed), [], []
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(
            st.sampled_from(["permute", "reshape", "unsqueeze", "squeeze", "flatten", "expand", "movedim"])
        )
        ndim = len(shape)
        if kind == "permute":
            order = tuple(data.draw(st.permutations(range(ndim))))
            signed = tuple(d - ndim if data.draw(st.booleans()) else d for d in order)
            pair = (lambda x, o=signed: x.permute(o)), (lambda x, o=order: np.transpose(x, o))
        elif kind == "reshape":
            factors = list(itertools.chain.from_iterable((n, 1) for n in shape))
            target = tuple(data.draw(st.permutations(factors)))
            pair = (lambda x, s=target: x.reshape(s)), (lambda x, s=target: np.reshape(x, s))
        elif kind == "unsqueeze":
            at = data.draw(st.integers(-ndim - 1, ndim))
            pair = (lambda x, d=at: x.unsqueeze(d)), (lambda x, d=at: np.expand_dims(x, d))
        elif kind == "squeeze":
            pair = (lambda x: x.squeeze()), np.squeeze
        elif kind == "flatten":
            pair = (lambda x: x.flatten()), (lambda x: np.reshape(x, -1))
        elif kind == "expand":
            target = (2, *shape)
            pair = (lambda x, s=target: x.expand(s)), (lambda x, s=target: np.broadcast_to(x, s))
        elif ndim:
            a, b = (data.draw(st.integers(-ndim, ndim - 1)) for _ in range(2))
            pair = (lambda x, a=a, b=b: tl.movedim(x, a, b)), (lambda x, a=a, b=b: np.moveaxis(x, a, b))
        else:
            continue
        shape = pair[1](np.zeros(shape)).shape
        assume(len(shape) < 9 and math.prod(shape) < 500)
        on_tensors.append(pair[0])
        on_arrays.append(pair[1])
    check(lambda x: chained(on_tensors, x), lambda x: chained(on_arrays, x), [x], seed)


def chained(functions, x):
    for function in functions:
        x = function(x)
    return x


@for_any(filled_shapes, st.data(), seeds)
def test_basic_indexing(shape, data, seed):
    key = data.draw(hnp.basic_indices(shape, allow_ellipsis=True, allow_newaxis=True))
    check(lambda x: x[key], lambda x: np.asarray(x[key]), [numbers(shape, seed)], seed)


@for_any(filled_shapes.filter(len), st.data(), seeds)
def test_index_arrays(shape, data, seed):
    key = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=3, max_side=4)))
    as_tensors = tuple(tl.tensor(index, dtype=tl.int64) for index in key)
    x = [numbers(shape, seed)]
    check(lambda x: x[key], lambda x: x[key], x, seed)
    check(lambda x: x[as_tensors], lambda x: x[key], x, seed)


@for_any(shapes, seeds)
def test_masks(shape, seed):
    x, mask = numbers(shape, seed), numbers(shape, seed + 1) > 0
    check(lambda x: x[tl.tensor(mask)], lambda x: x[mask], [x], seed)
    check(lambda x: x[x > 0], lambda x: x[x.real > 0], [x], seed)


@for_any(filled_shapes.filter(len), st.data(), seeds)
def test_setting_elements(shape, data, seed):
    key = data.draw(hnp.basic_indices(shape, allow_ellipsis=True))
    target = np.zeros(shape)[key].shape
    values = data.draw(
        hnp.broadcastable_shapes(target, min_side=0, max_dims=len(target)).filter(lambda s: fits(s, target))
    )

    def on_tensors(x, v):
        y = x * 2
        y[key] = v
        return y

    def on_arrays(x, v):
        y = x * 2
        y[key] = v
        return y

    check(on_tensors, on_arrays, [numbers(shape, seed), numbers(values, seed + 1)], seed)


def fits(shape, target):
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


@for_any(filled_shapes.filter(len), st.data(), seeds)
def test_joining_and_splitting(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = data.draw(st.integers(1, 4))
    other = list(shape)
    other[axis] = data.draw(st.integers(0, 3))
    arrays = [numbers(shape, seed), numbers(tuple(other), seed + 1)]
    check(lambda a, b: tl.cat([a, b, a], axis), lambda a, b: np.concatenate([a, b, a], axis), arrays, seed)
    check(lambda a, b: tl.stack([a, a], axis), lambda a, b: np.stack([a, a], axis), arrays, seed)
    check(
        lambda a, b: tl.cat(a.split(size, axis)[::-1], axis), lambda a, b: reversed_pieces(a, size, axis), arrays, seed
    )


def reversed_pieces(x, size, axis):
    starts = range(0, x.shape[axis], size)
    return np.concatenate([np.take(x, range(s, min(s + size, x.shape[axis])), axis) for s in starts][::-1], axis)


# ---- dtypes

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@for_any(
    st.sampled_from(DTYPES), st.sampled_from(DTYPES), hnp.mutually_broadcastable_shapes(num_shapes=2, max_side=3), seeds
)
def test_operands_of_two_dtypes(a, b, broadcast, seed):
    """They are brought to the result type first; what NumPy then computes in it is the result."""
    x, y = (
        np.abs(numbers(shape, seed + i, -5.0, 5.0)).astype(dtype)
        for i, (shape, dtype) in enumerate(zip(broadcast.input_shapes, (a, b), strict=True))
    )
    dtype = tl.result_type(tl.tensor(x), tl.tensor(y))
    for on_tensors, on_arrays in ((tl.add, np.add), (tl.mul, np.multiply), (tl.maximum, np.maximum), (tl.lt, np.less)):
        expected = on_arrays(x.astype(dtype), y.astype(dtype))
        for out in (on_tensors(tl.tensor(x), tl.tensor(y)), on_tensors(tl.tensor(x), y) if y.ndim else None):
            if out is not None:
                np.testing.assert_array_equal(out.numpy(), expected)
                assert out.dtype == np.asarray(expected).dtype


@for_any(
    st.sampled_from(["float16", "float32", "float64"]),
    st.sampled_from(["float16", "float32", "float64"]),
    filled_shapes,
)
def test_gradients_have_the_dtype_of_their_tensor(a, b, shape):
    x, y = tl.ones(shape, dtype=a, requires_grad=True), tl.ones(shape, dtype=b, requires_grad=True)
    (x * y + x / y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.dtype(a), np.dtype(b))
    assert (x.grad.shape, y.grad.shape) == (shape, shape)


# ---- whole expressions


@for_any(expressions(), seeds, examples=150)
def test_any_expression(expression, seed):
    check(expression, lambda *xs: np.asarray(expression(*xs)), expression.inputs, seed)


@for_any(expressions(), seeds)
def test_second_derivatives_of_any_expression_are_symmetric(expression, seed):
    """u H v = v H u, H the matrix of second derivatives, each side by a backward through a backward."""
    leaves = expression.leaves()
    u, v = ([tl.tensor(numbers(x.shape, seed + i + k)) for i, x in enumerate(leaves)] for k in (3, 6))
    first = tl.autograd.grad(expression(*leaves), leaves, create_graph=True)

    def quadratic(a, b):
        slope = sum((g * d).sum() for g, d in zip(first, a, strict=True))
        second = tl.autograd.grad(slope, leaves, retain_graph=True, allow_unused=True)
        terms = [0.0 if h is None else (h * d).sum().item() for h, d in zip(second, b, strict=True)]
        return sum(terms), sum(0.0 if h is None else h.abs().sum().item() for h in second)

    (uv, size), (vu, _) = quadratic(u, v), quadratic(v, u)
    assert math.isclose(uv, vu, rel_tol=1e-10, abs_tol=1e-12 * (1 + size))


IN_PLACE = {
    "add": (lambda y, v: y.add_(v), lambda y, v: y + v),
    "sub": (lambda y, v: y.sub_(v), lambda y, v: y - v),
    "mul": (lambda y, v: y.mul_(v), lambda y, v: y * v),
    "div": (lambda y, v: y.div_(v * v + 1), lambda y, v: y / (v * v + 1)),
    "copy": (lambda y, v: y.copy_(v), lambda y, v: y * 0 + v),
    "clamp": (lambda y, v: y.clamp_(-1, 1), lambda y, v: np.where(abs(y.real) < 1, y, np.sign(y.real))),
    "number": (lambda y, v: y.mul_(3).add_(1), lambda y, v: y * 3 + 1),
}


@for_any(st.lists(st.sampled_from(sorted(IN_PLACE)), min_size=1, max_size=5), filled_shapes, st.data(), seeds)
def test_in_place_steps_have_the_gradients_of_the_steps_written_out(names, shape, data, seed):
    other = data.draw(hnp.broadcastable_shapes(shape, max_dims=len(shape)).filter(lambda s: fits(s, shape)))

    def on_tensors(x, v):
        y = x * 2
        for name in names:
            IN_PLACE[name][0](y, v)
        return y

    def on_arrays(x, v):
        y = x * 2
        for name in names:
            y = IN_PLACE[name][1](y, v)
        return y

    check(on_tensors, on_arrays, [numbers(shape, seed), numbers(other, seed + 1)], seed)


VIEWS = [
    Operation("{0}[1:]", lambda x: x[1:], lambda x: x[1:]),
    Operation("{0}.reshape(-1)", lambda x: x.reshape(-1), lambda x: np.reshape(x, -1)),
    Operation("{0}.T", lambda x: x.T, lambda x: x.T),
    Operation("{0}.view({0}.shape)", lambda x: x.view(x.shape), lambda x: x[:]),
]
UNARY_EVERYWHERE, BINARY_EVERYWHERE = (  # without what needs operands above -2
    [operation for operation in table if "2" not in operation.code] for table in (UNARY, BINARY)
)


@st.composite
def programs(draw):
    """Steps over values of a few shapes: functions, views that share memory, and changes of older values in place."""
    shapes, steps = [(3, 2), (3, 2)], []
    for _ in range(draw(st.integers(2, 8))):
        i = draw(st.integers(0, len(shapes) - 1))
        operation = draw(st.sampled_from([UNARY_EVERYWHERE, BINARY_EVERYWHERE, VIEWS, [None]]).flatmap(st.sampled_from))
        operands = (i,)
        if operation is not None and operation.arity == 2:
            operands = (i, draw(st.sampled_from([j for j, shape in enumerate(shapes) if shape == shapes[i]])))
        steps.append((operation, operands))
        if operation is not None:
            shapes.append(operation.shape([shapes[j] for j in operands], ()))
    return steps


def run(steps, values, side):
    values = list(values)
    for operation, operands in steps:
        if operation is None:
            with tl.no_grad():
                values[operands[0]] += 0.5
        else:
            values.append(getattr(operation, side)(*(values[j] for j in operands)))
    return sum(np.sin(value).sum() for value in values)


@for_any(programs(), seeds, examples=200)
def test_a_change_in_place_never_gives_a_wrong_gradient(steps, seed):
    """An unrecorded change either is noticed by backward, or touched nothing that backward reads."""
    arrays = [numbers((3, 2), seed + i, 0.1, 0.9) for i in range(2)]
    try:
        check(lambda *xs: run(steps, xs, "on_tensors"), lambda *xs: run(steps, xs, "on_arrays"), arrays, seed)
    except RuntimeError as error:
        if "changed in place" not in str(error):
            raise
