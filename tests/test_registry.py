"""Every primitive, from its samples: values against NumPy, derivatives of two orders against differences."""

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.samples import NUMPY_CALLS, SAMPLES
from tinygrad_lite.autograd.graph import StandIn
from tinygrad_lite.autograd.primitive import PRIMITIVES, primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import NUMPY
from tinygrad_lite.nn.functional import cross_entropy

TOLERANCE = 1e-9  # of a derivative by differences, which are good to about 1e-10 here


def smooth_inputs(name, sample):
    """The inputs that have a derivative, by number."""
    this = PRIMITIVES[name].primitive
    return [i for i, x in enumerate(sample.inputs) if x is not None and x.dtype.kind == "f" and this.has_rule(i)]


def smooth(name):
    return name in PRIMITIVES and any(smooth_inputs(name, sample) for sample in SAMPLES[name])


def _per_primitive(names, test):
    @pytest.mark.parametrize("name", names)
    def all_samples(name):
        for sample in SAMPLES[name]:
            try:
                test(name, sample)
            except BaseException as error:
                shapes = ", ".join("None" if x is None else str(x.shape) for x in sample.inputs)
                error.add_note(f"{name} of {shapes} with {sample.params}")
                raise

    all_samples.__name__ = test.__name__
    return all_samples


def every_sample(test):
    """Run a test of (name, sample) as one test for each primitive; a failure tells the sample."""
    return _per_primitive(list(SAMPLES), test)


def every_differentiable_sample(test):
    return _per_primitive(list(filter(smooth, SAMPLES)), test)


# ---- tools


def as_tensors(name, sample, needs=None, dtype=None):
    """The inputs as Tensors; those numbered in ``needs`` (default: all that can) require grad."""
    needs = smooth_inputs(name, sample) if needs is None else needs

    def as_tensor(i, x):
        floating = x.dtype.kind == "f"
        return tl.tensor(x, dtype=dtype if floating else None, requires_grad=i in needs)

    return [None if x is None else as_tensor(i, x) for i, x in enumerate(sample.inputs)]


def slope(f, step=4e-3):
    """f'(0), f of one number, by central differences of sixth order."""
    return sum(w * (f(k * step) - f(-k * step)) for k, w in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))) / step


def directions(*arrays, seed=1):
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, np.shape(x)) for x in arrays]


def inner(xs, ys):
    return sum(np.vdot(x, y) for x, y in zip(xs, ys, strict=True))


def moved(values, places, t, steps):
    """The values, those at the places moved by t times their step."""
    out = list(values)
    for place, step in zip(places, steps, strict=True):
        out[place] = np.asarray(out[place] + t * step)
    return out


def gradients(name, sample, needs, values, cotangent, create_graph=False):
    """The inputs numbered in ``needs``, as leaves, and their gradients, at these values of all inputs."""
    tensors = as_tensors(name, sample._replace(inputs=tuple(values)), needs)
    out = PRIMITIVES[name](*tensors, **sample.params)
    chosen = [tensors[i] for i in needs]
    return chosen, tl.autograd.grad(out, chosen, cotangent, create_graph=create_graph)


def arrays_of(tensors):
    return [None if t is None else t.detach().numpy() for t in tensors]


# ---- nothing goes without


def test_every_primitive_has_samples():
    assert SAMPLES.keys() == PRIMITIVES.keys()
    assert all(SAMPLES.values())


def test_every_numpy_function_is_called():
    by_samples = {s.reference for samples in SAMPLES.values() for s in samples if isinstance(s.reference, np.ufunc)}
    assert by_samples | NUMPY_CALLS.keys() >= NUMPY.keys()


# ---- forward


@every_sample
def test_values(name, sample):
    call = PRIMITIVES[name]
    tensors = as_tensors(name, sample)
    on_tensors = call(*tensors, **sample.params)
    on_arrays = call(*arrays_of(tensors), **sample.params)
    expected = np.asarray(sample.reference(*sample.inputs, **sample.params))
    assert isinstance(on_arrays, (np.ndarray, np.generic))
    assert isinstance(on_tensors, tl.Tensor)
    assert on_tensors.shape == on_arrays.shape == expected.shape
    assert on_tensors.dtype == on_arrays.dtype == expected.dtype
    np.testing.assert_array_equal(on_tensors.detach().numpy(), on_arrays)
    np.testing.assert_allclose(on_arrays, expected, rtol=1e-13, atol=1e-14)


@every_sample
def test_inputs_stay_as_they_are(name, sample):
    before = [None if x is None else x.copy() for x in sample.inputs]
    tensors = as_tensors(name, sample)
    out = PRIMITIVES[name](*tensors, **sample.params)
    if out.requires_grad:
        out.backward(tl.ones_like(out))
    for x, tensor, old in zip(sample.inputs, tensors, before, strict=True):
        if old is not None:
            np.testing.assert_array_equal(x, old)
            np.testing.assert_array_equal(tensor.detach().numpy(), old)


@every_sample
def test_through_numpy(name, sample):
    function = sample.reference
    if not isinstance(function, np.ufunc) and function not in NUMPY:
        return  # it stands for no NumPy function
    tensors = as_tensors(name, sample)
    out = function(*tensors, **sample.params)
    assert isinstance(out, tl.Tensor)
    np.testing.assert_array_equal(arrays_of([out])[0], function(*arrays_of(tensors), **sample.params))
    if out.requires_grad:
        assert out.grad_fn.primitive is PRIMITIVES[name].primitive


@every_differentiable_sample
def test_precision_is_kept(name, sample):
    for dtype in (tl.float32, tl.float16):
        tensors = as_tensors(name, sample, dtype=dtype)
        needed = [t for t in tensors if t is not None and t.requires_grad]
        out = PRIMITIVES[name](*tensors, **sample.params)
        cotangent = tl.ones_like(out, requires_grad=True)
        first = tl.autograd.grad(out, needed, cotangent, create_graph=True)
        second = tl.autograd.grad(first, cotangent, [tl.ones_like(g) for g in first])
        assert {g.dtype for g in (out, *first, *second)} == {dtype}


# ---- derivatives


def subsets(needs):
    """All inputs together, and each alone: the others then need no gradient."""
    return [needs] if len(needs) == 1 else [needs, *([i] for i in needs)]


@every_differentiable_sample
def test_first_derivatives(name, sample):
    call = PRIMITIVES[name]
    weights = directions(call(*sample.inputs, **sample.params))
    for needs in subsets(smooth_inputs(name, sample)):
        steps = directions(*(sample.inputs[i] for i in needs), seed=2)
        _, found = gradients(name, sample, needs, sample.inputs, tl.tensor(weights[0]))
        assert [g.shape for g in found] == [sample.inputs[i].shape for i in needs]

        def along_the_steps(t):
            return inner(weights, [call(*moved(sample.inputs, needs, t, steps), **sample.params)])

        expected = slope(along_the_steps)
        assert inner(arrays_of(found), steps) == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@every_differentiable_sample
def test_second_derivatives(name, sample):
    needs = smooth_inputs(name, sample)
    cotangent = directions(PRIMITIVES[name](*sample.inputs, **sample.params))[0]
    xs = [sample.inputs[i] for i in needs]
    weights, (*steps, cotangent_step) = directions(*xs, seed=2), directions(*xs, cotangent, seed=3)

    g = tl.tensor(cotangent, requires_grad=True)
    leaves, first = gradients(name, sample, needs, sample.inputs, g, create_graph=True)
    second = tl.autograd.grad(first, [*leaves, g], [tl.tensor(w) for w in weights], allow_unused=True)
    found = [np.zeros(x.shape) if h is None else h.numpy() for x, h in zip([*leaves, g], second, strict=True)]

    def along_the_steps(t):
        values = moved(sample.inputs, needs, t, steps)
        _, gs = gradients(name, sample, needs, values, tl.tensor(cotangent + t * cotangent_step))
        return inner(weights, arrays_of(gs))

    expected = slope(along_the_steps)
    assert inner(found, [*steps, cotangent_step]) == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@every_differentiable_sample
def test_rules_run_alike_on_arrays_and_on_tensors(name, sample):
    needs = smooth_inputs(name, sample)
    cotangent = tl.tensor(directions(PRIMITIVES[name](*sample.inputs, **sample.params))[0])
    _, on_arrays = gradients(name, sample, needs, sample.inputs, cotangent)
    _, on_tensors = gradients(name, sample, needs, sample.inputs, cotangent, create_graph=True)
    for a, t in zip(arrays_of(on_arrays), arrays_of(on_tensors), strict=True):
        np.testing.assert_allclose(a, t, rtol=1e-14, atol=1e-15)


# ---- what is saved


@pytest.mark.parametrize("name", list(filter(smooth, SAMPLES)))
def test_rules_read_what_is_saved(name):
    """A declared array that no rule needs would be kept alive for nothing."""
    needed = set()
    for sample in SAMPLES[name]:
        for number, keep in enumerate(PRIMITIVES[name].primitive.keeps(len(sample.inputs))):
            out = PRIMITIVES[name](*as_tensors(name, sample), **sample.params)
            saved = list(out.grad_fn.saved)
            if keep and saved[number] is not None:
                saved[number] = StandIn(saved[number].shape, saved[number].dtype)
                out.grad_fn.saved = tuple(saved)
                try:
                    out.backward(tl.ones_like(out))
                except Exception:
                    needed.add(number)
    this = PRIMITIVES[name].primitive
    names = ["out", *this.inputs]
    assert {names[min(number, len(this.inputs))] for number in needed} == this.saves


def read_input(g, out, x):
    return g * x


def read_output(g, out, x):
    return g * out


def choose_by_input(g, out, x):
    return np.where(x, g, 0)


def choose_where_equal(g, out, x):
    return np.where(x == 0, g, 0)


def index_by_input(g, out, x):
    return g[x]


def convert_input(g, out, x):
    return g + np.asarray(x, g.dtype)


@pytest.mark.parametrize("casts", ["", "float"])
@pytest.mark.parametrize(
    "rule", [read_input, read_output, choose_by_input, choose_where_equal, index_by_input, convert_input]
)
def test_what_is_not_saved_cannot_be_read(local_primitives, rule, casts):
    @primitive(casts=casts)
    def halve(input):
        return np.divide(input, 2)

    halve.vjp(0)(rule)
    out = halve(tl.tensor([0.0, 1.0], requires_grad=True)).sum()
    with pytest.raises((TypeError, AttributeError, IndexError)):
        out.backward()


def test_what_is_not_saved_has_shape_ndim_and_dtype(local_primitives):
    seen = []

    @primitive()
    def row_sums(input):
        return np.add.reduce(input, axis=1)

    @row_sums.vjp(0)
    def _(g, out, x):
        seen.append((x.shape, x.ndim, x.dtype))
        return np.broadcast_to(np.expand_dims(g, 1), x.shape)

    row_sums(tl.ones(2, 3, requires_grad=True)).sum().backward()
    assert seen == [((2, 3), 2, tl.float32)]


def test_unknown_saves_are_refused(local_primitives):
    with pytest.raises(ValueError, match="squash saves \\['result'\\]"):

        @primitive(saves="result")
        def squash(input):
            return np.tanh(input)


# ---- functions of NumPy that are not primitives themselves

CALLS = [
    pytest.param(call, id=f"{key[0].__name__}.{key[1]}-{n}" if isinstance(key, tuple) else f"{key.__name__}-{n}")
    for key, calls in NUMPY_CALLS.items()
    for n, call in enumerate(calls)
]
ARRAY = np.array([[0.3, -1.2, 1.7], [-0.6, 0.8, -1.9]])


@pytest.mark.parametrize("call", CALLS)
def test_numpy_calls(call):
    expected, x = call(ARRAY), tl.tensor(ARRAY, requires_grad=True)
    out = call(x)
    if not isinstance(expected, (np.ndarray, np.generic)):
        assert out == expected
        return
    assert isinstance(out, tl.Tensor)
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-15, atol=1e-15)
    if out.requires_grad:
        (weight,), (step,) = directions(expected), directions(ARRAY, seed=2)
        (found,) = tl.autograd.grad(out, x, tl.tensor(weight))
        along = slope(lambda t: inner([weight], [call(ARRAY + t * step)]))
        assert inner([found.numpy()], [step]) == pytest.approx(along, rel=TOLERANCE, abs=TOLERANCE)


@pytest.mark.parametrize("dtype", [tl.float16, tl.float32, tl.float64], ids=str)
def test_conversion_carries_the_gradient_back(dtype):
    x = tl.tensor([1.5, -2.0], requires_grad=True)
    out = convert(x, dtype=dtype)
    assert out.dtype == dtype
    (first,) = tl.autograd.grad(out, x, tl.tensor([2.0, 3.0], dtype=dtype))
    assert first.dtype == tl.float32
    assert first.tolist() == [2.0, 3.0]


# ---- where differences say nothing: kinks, ties, infinities and far out

INF, NAN = np.inf, np.nan
EDGES = {
    # function, input, value, gradient of the sum of the value
    "relu": (tl.relu, [-1e4, 0, 1e4], [0, 0, 1e4], [0, 0, 1]),
    "relu of nan": (tl.relu, [1, np.nan], [1, np.nan], [1, 1]),
    "relu stops what is infinite": (lambda x: tl.relu(x).sqrt(), [-1, 0, 4], [0, 0, 2], [0, 0, 0.25]),
    "clamp stops what is infinite": (lambda x: x.clamp(0, 4).sqrt(), [-1, 4, 9], [0, 2, 2], [0, 0.25, 0]),
    "maximum stops what is infinite": (lambda x: tl.maximum(x, tl.tensor(0.0)).sqrt(), [-1, 4], [0, 2], [0, 0.25]),
    "abs": (tl.abs, [-1e4, 0, INF], [1e4, 0, INF], [-1, 0, 1]),
    "sign": (tl.sign, [-3, 0, 3], [-1, 0, 1], [0, 0, 0]),
    "sqrt": (tl.sqrt, [0, 4, INF], [0, 2, INF], [INF, 0.25, 0]),
    "log": (tl.log, [0, 1, INF], [-INF, 0, INF], [INF, 1, 0]),
    "exp": (tl.exp, [-1e4, -INF, 1e4], [0, 0, INF], [0, 0, INF]),
    "expm1": (tl.expm1, [-1e4, 0], [-1, 0], [0, 1]),
    "log1p": (tl.log1p, [1e-20, -1], [1e-20, -INF], [1, INF]),
    "tanh": (tl.tanh, [-1e4, 0, INF], [-1, 0, 1], [0, 1, 0]),
    "sigmoid": (tl.sigmoid, [-1e4, 0, 1e4, -INF, INF], [0, 0.5, 1, 0, 1], [0, 0.25, 0, 0, 0]),
    "softplus": (tl.softplus, [-1e4, 0, 1e4, -INF], [0, np.log(2), 1e4, 0], [0, 0.5, 1, 0]),
    "square": (tl.square, [-1e4, 0], [1e8, 0], [-2e4, 0]),
    "x to the 0": (lambda x: x**0, [0, -2], [1, 1], [0, 0]),
    "x to the 1": (lambda x: x**1, [0, -2], [0, -2], [1, 1]),
    "x to the 2": (lambda x: tl.pow(x, tl.tensor(2.0)), [0, -2], [0, 4], [0, -4]),
    "0 to the x": (lambda x: 0.0**x, [0, 2], [1, 0], [0, 0]),
    "2 to the x": (lambda x: 2**x, [0, -1], [1, 0.5], [np.log(2), np.log(2) / 2]),
    "maximum with itself": (lambda x: tl.maximum(x, x), [1, 2], [1, 2], [1, 1]),
    "maximum at a tie": (lambda x: tl.maximum(x, tl.tensor([1.0, 1.0])), [1, 2], [1, 2], [0.5, 1]),
    "minimum at a tie": (lambda x: tl.minimum(x, tl.tensor([1.0, 1.0])), [1, 2], [1, 1], [0.5, 0]),
    "clamp on its bounds": (lambda x: x.clamp(-1, 1), [-2, -1, 0, 1, 2], [-1, -1, 0, 1, 1], [0, 1, 1, 1, 0]),
    "amax of ties": (lambda x: x.amax(0), [3, 1, 3], 3, [0.5, 0, 0.5]),
    "amin of ties": (lambda x: x.amin(0), [1, 3, 1, 1], 1, [1 / 3, 0, 1 / 3, 1 / 3]),
    "max of ties": (lambda x: x.max(), [3, 1, 3], 3, [0.5, 0, 0.5]),
    "max of ties along a dim": (lambda x: x.max(0).values, [1, 3, 3], 3, [0, 1, 0]),
    "min of ties along a dim": (lambda x: x.min(0)[0], [1, 3, 1], 1, [1, 0, 0]),
    "prod with one zero": (tl.prod, [2, 0, 3], 0, [0, 6, 0]),
    "prod with two zeros": (tl.prod, [0, 2, 0], 0, [0, 0, 0]),
    "prod of nothing": (tl.prod, [], 1, []),
    "sum of nothing": (tl.sum, [], 0, []),
    "std of equal values": (tl.std, [2, 2, 2], 0, [0, 0, 0]),
    "var of equal values": (tl.var, [2, 2, 2], 0, [0, 0, 0]),
    "logsumexp with -inf": (lambda x: tl.logsumexp(x, 0), [-INF, 1e4], 1e4, [0, 1]),
    "logsumexp of -inf": (lambda x: tl.logsumexp(x, 0), [-INF, -INF], -INF, [0, 0]),
    "softmax far out": (lambda x: tl.softmax(x, 0)[1], [-1e4, 1e4, 1e4], 0.5, [0, 0.25, -0.25]),
    "softmax with -inf": (lambda x: tl.softmax(x, 0)[1], [-INF, 2, 2], 0.5, [0, 0.25, -0.25]),
    "log_softmax far out": (lambda x: tl.log_softmax(x, 0)[0], [-1e4, 1e4], -2e4, [1, -1]),
    "log_softmax with -inf": (lambda x: tl.log_softmax(x, 0)[1], [-INF, 0, 0], -np.log(2), [0, 0.5, -0.5]),
    "cross_entropy far out": (lambda x: cross_entropy(x, tl.tensor(0)), [-1e4, 1e4], 2e4, [-1, 1]),
    "cross_entropy with -inf": (lambda x: cross_entropy(x, tl.tensor(1)), [-INF, 0, 0], np.log(2), [0, -0.5, 0.5]),
    "where hides nan": (lambda x: tl.where(x > 0, x, 0), [np.nan, 2], [0, 2], [0, 1]),
    "repeated indices": (lambda x: x[[0, 0, 2]], [1, 2, 3], [1, 1, 3], [2, 0, 1]),
    "repeated gather": (lambda x: x.gather(0, tl.tensor([1, 1])), [1, 2], [2, 2], [0, 2]),
}


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=str)
@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES.keys())
def test_edges(edge, dtype):
    function, x, value, gradient = edge
    x = tl.tensor(x, dtype=dtype, requires_grad=True)
    out = function(x)
    out.sum().backward()
    exact = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(out.detach().numpy(), value, rtol=exact, atol=0)
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=exact, atol=exact)


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=str)
def test_logsumexp_far_out(dtype):
    x = tl.tensor([-1e4, 1e4, 1e4], dtype=dtype, requires_grad=True)
    out = tl.logsumexp(x, 0)
    out.backward()
    assert out.item() == pytest.approx(1e4 + np.log(2), rel=float(np.finfo(dtype).eps))
    # the rule reads the rounded result, as PyTorch's does: its error is an error of the exponent
    assert x.grad.tolist() == pytest.approx([0, 0.5, 0.5], rel=1e4 * float(np.finfo(dtype).eps))


def test_where_hides_nan_also_from_the_branch_not_taken():
    x = tl.tensor([0.0, 4.0], requires_grad=True)
    tl.where(x > 0, x, tl.zeros(2)).sqrt().backward(tl.tensor([0.0, 1.0]))
    assert x.grad.tolist()[1] == 0.25
