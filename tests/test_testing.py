"""``assert_close`` against PyTorch's, and strategies that draw what they promise and find wrong operations."""

import builtins
import collections
import math

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import tinygrad_lite as tl
from tinygrad_lite.testing import (
    DOMAINS,
    OPERATIONS,
    Expression,
    Operation,
    Step,
    assert_close,
    broadcastable_shapes,
    expressions,
    tensors,
)

steady = settings(max_examples=100, derandomize=True, database=None, deadline=None)


def verdict(compare, *args, **kwargs):
    """None, or the class of what is raised."""
    try:
        return compare(*args, **kwargs)
    except Exception as error:
        return type(error)


# ---- assert_close


@st.composite
def pairs(draw):
    """Two arrays, mostly close; the elements of the second are off by a multiple of what is tolerated."""
    dtypes = st.sampled_from(["float16", "float32", "float64", "int64", "uint8", "bool"])
    first = draw(dtypes)
    second = draw(st.one_of(st.just(first), dtypes))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 3), (0, 2)]))
    size = math.prod(shape)
    actual = np.array(draw(st.lists(st.integers(0, 100), min_size=size, max_size=size))).reshape(shape).astype(first)
    expected = actual.astype(second)
    if "float" in first == second or second.startswith("float"):
        off = draw(st.lists(st.sampled_from([0, 0, 0, 0.5, -0.5, 2, -3, 1e4, np.nan, np.inf]), min_size=size))
        epsilon = {"float16": 1e-3, "float32": 1.3e-6, "float64": 1e-7}[second]
        expected = (expected + np.array(off[:size]).reshape(shape) * epsilon * (1 + expected)).astype(second)
    elif draw(st.booleans()):
        expected = np.asarray(expected ^ 1) if draw(st.booleans()) else expected
    if draw(st.booleans()):
        actual = np.where(np.isnan(expected), expected, actual).astype(first) if first == second else actual
    if draw(st.integers(0, 9)) == 0:
        expected = expected[None]
    return actual, expected


TOLERANCES = st.sampled_from(
    [{}, {}, {"rtol": 0.0, "atol": 0.0}, {"rtol": 0.3, "atol": 0.0}, {"rtol": 0.0, "atol": 7.3}]
)


@settings(steady, max_examples=200)
@given(pairs(), TOLERANCES, st.booleans(), st.booleans())
def test_it_accepts_and_rejects_what_pytorch_does(pair, tolerances, equal_nan, check_dtype):
    torch = pytest.importorskip("torch")
    options = {**tolerances, "equal_nan": equal_nan, "check_dtype": check_dtype}
    ours = verdict(assert_close, *map(tl.tensor, pair), **options)
    theirs = verdict(torch.testing.assert_close, *map(torch.tensor, pair), **options)
    assert ours == theirs
    assert verdict(assert_close, *pair, **options) == theirs  # on arrays the same
    assert verdict(assert_close, [1, {"a": tl.tensor(pair[0])}], [1, {"a": tl.tensor(pair[1])}], **options) == theirs


NAN, INF = math.nan, math.inf
OTHERS = [
    (1, 1),
    (1, 2),
    (1, 1.0),
    (1.0, 1.0 + 1e-8),
    (1.0, 1.0 + 1e-6),
    (2**62, 2**62 + 1),
    (2**70, 2**70),
    (1j, 1j),
    (1j, 1.1j),
    (NAN, NAN),
    (INF, INF),
    (INF, -INF),
    (True, True),
    (True, False),
    (None, None),
    (None, 1),
    (1.5, None),
    (np.float64(1), 1.0),
    (np.float32(1), np.float32(1 + 1e-6)),
    ("a", "a"),
    ("ab", ["a", "b"]),
    (Ellipsis, 1),
    ([], []),
    ([1, 2], (1, 2)),
    ([1, 2], [1]),
    ([1, "a"], [2, "a"]),
    ({"a": 1}, {"a": 1}),
    ({"a": 1}, {"b": 1}),
    ({"a": [1.0, {"b": 2.0}]}, collections.OrderedDict(a=(1.0, {"b": 2.5}))),
    ([1], {"a": 1}),
    (np.ones(2), np.ones(3)),
    (np.array([2**62]), np.array([2**62 + 1])),
    (np.array([0], np.uint8), np.array([255], np.uint8)),
    (np.float16(6e4) * np.ones(1, np.float16), -np.float16(6e4) * np.ones(1, np.float16)),
]


@pytest.mark.parametrize(("actual", "expected"), OTHERS, ids=repr)
@pytest.mark.parametrize(
    "options", [{}, {"equal_nan": True}, {"check_dtype": False}, {"rtol": 1.0, "atol": 1.0}], ids=str
)
def test_numbers_and_containers_as_in_pytorch(actual, expected, options):
    torch = pytest.importorskip("torch")
    theirs = verdict(torch.testing.assert_close, actual, expected, **options)
    assert verdict(assert_close, actual, expected, **options) == theirs


def test_a_tensor_may_be_held_against_an_array():
    assert_close(tl.tensor([1.0, 2.0]), np.array([1.0, 2.0], np.float32))
    assert_close(tl.tensor(2.0, dtype=tl.float64, requires_grad=True), np.float64(2.0))
    with pytest.raises(TypeError, match=r"cannot compare Tensor with float \[0\]"):
        assert_close([tl.tensor(1.0)], [1.0])


def test_the_message_tells_what_differs_how_much_and_where():
    actual = tl.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = tl.tensor([[1.0, 2.5, 3.0], [4.0, 5.0, 9.0]])
    with pytest.raises(AssertionError) as caught:
        assert_close({"weights": [actual]}, {"weights": [expected]})
    assert str(caught.value).splitlines() == [
        "2 of 6 elements (33.3 %) differ by more than 1e-05 + 1.3e-06 * |expected|",
        "greatest absolute difference: 3 at (1, 2), got 6.0, expected 9.0",
        "greatest relative difference: 0.333333 at (1, 2), got 6.0, expected 9.0",
        "in item ['weights'][0]",
    ]


def test_nan_counts_as_the_greatest_difference():
    with pytest.raises(AssertionError, match=r"absolute difference: nan at \(1,\), got nan, expected 2.0"):
        assert_close(tl.tensor([0.0, NAN]), tl.tensor([9.0, 2.0]))


def test_shapes_dtypes_and_items_that_differ_are_named():
    with pytest.raises(AssertionError, match=r"shapes differ: got \(2,\), expected \(1, 2\)"):
        assert_close(tl.ones(2), tl.ones(1, 2))
    with pytest.raises(AssertionError, match=r"dtypes differ: got float32, expected float64; check_dtype=False"):
        assert_close(tl.ones(2), tl.ones(2, dtype=tl.float64))
    with pytest.raises(AssertionError, match=r"sequences of 2 and 1 items \['a'\]"):
        assert_close({"a": [1, 2]}, {"a": [1]})
    with pytest.raises(AssertionError, match=r"\['b'\] are lacking, \['a'\] are extra"):
        assert_close({"a": 1}, {"b": 1})


def test_the_message_can_be_replaced():
    with pytest.raises(AssertionError, match=r"^weights$"):
        assert_close(1, 2, msg="weights")
    with pytest.raises(AssertionError, match=r"^weights: 1 of 1 elements"):
        assert_close(1, 2, msg=lambda text: f"weights: {text}")


def test_one_tolerance_needs_the_other():
    with pytest.raises(ValueError, match="both rtol and atol"):
        assert_close(1.0, 1.0, rtol=0.1)


# ---- shapes and tensors


@steady
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), broadcastable_shapes(n, min_side=0))))
def test_shapes_broadcast(drawn):
    n, shapes = drawn
    assert len(shapes) == n
    assert len(np.broadcast_shapes(*shapes)) <= 3


@pytest.mark.parametrize("domain", [*DOMAINS, (-9.0, -8.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_tensors_lie_in_their_domain(domain, dtype):
    low, high = DOMAINS.get(domain, domain)
    empty = (dtype in ("int64", "uint8") and domain == "probability") or (dtype == "uint8" and low < -2)
    if empty:
        with pytest.raises(ValueError, match="no number of"):
            tensors(dtype=dtype, domain=domain)
        return
    seen = set()

    @steady
    @given(tensors(dtype=dtype, domain=domain))
    def check(x):
        assert isinstance(x, tl.Tensor)
        assert x.dtype == np.dtype(dtype)
        assert x.is_leaf
        assert not x.requires_grad
        if dtype != "bool":
            assert bool(((x >= low) & (x <= high)).all())
            assert domain not in ("nonzero", "positive") or bool((x.abs() >= 0.5).all())
        seen.update(x.reshape(-1).tolist())

    check()
    if dtype == "float64":
        span = high - low
        assert min(seen) < low + span / 50
        assert max(seen) > high - span / 50


@steady
@given(
    tensors(shape=(3, 4), requires_grad=True), tensors(shape=broadcastable_shapes(1, max_dims=2).map(lambda s: s[0]))
)
def test_shape_and_requires_grad(fixed, drawn):
    assert fixed.shape == (3, 4)
    assert fixed.requires_grad
    assert len(np.unique(fixed.detach().numpy())) == 12  # no ties
    assert drawn.ndim <= 2


def test_an_unknown_domain_raises():
    with pytest.raises(ValueError, match="'reals' is not a domain: use real, nonzero"):
        tensors(domain="reals")


@pytest.mark.parametrize("strategy", [lambda: broadcastable_shapes(2), tensors, expressions])
def test_without_hypothesis_the_error_names_the_extra(strategy, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("hypothesis"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_lite\[testing\]"'):
        strategy()


# ---- expressions


@steady
@given(expressions())
def test_an_expression_has_the_value_and_gradient_of_its_arrays_side(expression):
    leaves = expression.leaves()
    value = expression(*leaves)
    assert value.shape == ()
    assert_close(value, expression(*expression.inputs), rtol=1e-12, atol=1e-12)
    value.backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)
    random = np.random.default_rng(0)
    for leaf, x in zip(leaves, expression.inputs, strict=True):
        step = random.uniform(-1.0, 1.0, x.shape)
        moved = [y + 1e-30j * step if y is x else y for y in expression.inputs]
        slope = np.imag(expression(*moved)) / 1e-30
        assert math.isclose(np.vdot(leaf.grad.numpy(), step), slope, rel_tol=1e-10, abs_tol=1e-10)


@settings(steady, max_examples=40)
@given(expressions(max_steps=4))
def test_gradcheck_takes_an_expression(expression):
    assert tl.autograd.gradcheck(expression, expression.leaves())


@steady
@given(expressions())
def test_its_code_computes_it(expression):
    names = {**vars(tl), "softplus": tl.nn.functional.softplus}
    exec(repr(expression), names)
    assert names["x0"].requires_grad
    assert names["out"].item() == pytest.approx(float(expression(*expression.inputs)), rel=1e-12, abs=1e-12)


def test_every_operation_is_drawn():
    seen = set()

    @settings(steady, max_examples=400)
    @given(expressions())
    def collect(expression):
        seen.update(step.operation.code for step in expression.steps)

    collect()
    assert seen == {operation.code for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.code)
def test_every_operation_has_values_for_operands_from_minus_one_to_one(operation):
    operands = [np.array([[-1.0, 1.0], [0.25, -0.75]])] * operation.arity
    for parameters in operation.parameters((2, 2)):
        found = operation.on_tensors(*map(tl.tensor, operands), *parameters)
        assert_close(found, operation.on_arrays(*operands, *parameters), rtol=1e-14, atol=1e-15)
        assert found.isfinite().all()


def test_every_expression_has_one_of_the_operations_given():
    mine = Operation("mine({0})", lambda x: x @ x.mT, lambda x: x @ np.swapaxes(x, -1, -2))

    @steady
    @given(expressions(mine))
    def check(expression):
        assert mine in [step.operation for step in expression.steps]

    check()


def values_agree(expression):
    return verdict(assert_close, expression(*expression.leaves()), expression(*expression.inputs)) is None


def gradients_agree(expression):
    return tl.autograd.gradcheck(expression, expression.leaves(), raise_exception=False)


def smallest_fault(agree, operation):
    """The code of the smallest drawn expression with this operation whose two sides do not agree."""
    few = settings(steady, max_examples=50)
    return repr(find(expressions(operation), lambda expression: not agree(expression), settings=few)).splitlines()[1:]


CUBE = ["x1 = cube(sin(x0))", "out = sin(x1).sum()"]


def test_a_wrong_value_is_found():
    assert smallest_fault(values_agree, Operation("cube({0})", lambda x: x * x * x * 1.001, lambda x: x**3)) == CUBE
    with pytest.raises(NoSuchExample):
        smallest_fault(values_agree, Operation("cube({0})", lambda x: x * x * x, lambda x: x**3))


@pytest.mark.parametrize("factor", [3.0, 3.03])
def test_a_wrong_derivative_is_found(factor, local_primitives):
    @tl.autograd.primitive.primitive(saves="input")
    def cube(input):
        return input * input * input

    @cube.vjp(0)
    def _(g, out, x):
        return g * factor * x * x

    operation = Operation("cube({0})", cube, lambda x: x**3)
    with pytest.raises(NoSuchExample):
        smallest_fault(values_agree, operation)
    if factor != 3.0:
        assert smallest_fault(gradients_agree, operation) == CUBE
        return
    with pytest.raises(NoSuchExample):
        smallest_fault(gradients_agree, operation)


def test_a_shared_value_is_counted_once_for_each_use():
    """x + x * x at x = sin(0.5), whose parts the expression passes through sines again."""
    add, mul = (next(o for o in OPERATIONS if o.code == code) for code in ("{0} + {1}", "{0} * {1}"))
    expression = Expression((np.array(0.5),), (Step(mul, (0, 0), ()), Step(add, (0, 1), ())))
    s = math.sin(0.5)
    assert float(expression(*expression.inputs)) == pytest.approx(math.sin(s + math.sin(s * s)), rel=1e-15)
    (leaf,) = expression.leaves()
    expression(leaf).backward()
    inner = math.cos(s + math.sin(s * s)) * (1 + math.cos(s * s) * 2 * s) * math.cos(0.5)
    assert leaf.grad.item() == pytest.approx(inner, rel=1e-14)
