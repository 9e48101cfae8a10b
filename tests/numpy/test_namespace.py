"""Every function of NumPy that takes arrays: it runs an operation of ours, needs no derivative, or says what to use."""

import inspect
import io
import re

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.samples import NUMPY_CALLS, SAMPLES
from tinygrad_lite.autograd.numpy_functions import CHANGING, INSTEAD, NEEDS_NO_DERIVATIVE
from tinygrad_lite.autograd.primitive import PRIMITIVES
from tinygrad_lite.autograd.tensor import NUMPY

X = np.array([[0.3, -1.2, 1.7], [-0.6, 0.8, -1.9]])
Y = np.array([[1.1, 0.4, -0.7], [2.3, -1.6, 0.9]])
I = np.array([[3, 1, 2], [0, 5, 4]])  # noqa: E741


def takes_arrays(function):
    """Whether it asks its arguments what to do: a ufunc, or an array function."""
    return isinstance(function, np.ufunc) or hasattr(function, "_implementation")


FUNCTIONS = {
    function: f"{place}.{name}"
    for place, namespace in (("np.linalg", np.linalg), ("np", np))
    for name, function in vars(namespace).items()
    if not name.startswith("_") and takes_arrays(function)
}


def named(functions):
    return [pytest.param(f, id=FUNCTIONS[f]) for f in sorted(functions, key=FUNCTIONS.get)]


def leaf(array):
    return tl.tensor(array, requires_grad=array.dtype.kind == "f")


# ---- every function is in one place


def test_the_walk_finds_numpy():
    assert len(FUNCTIONS) > 300
    assert {np.exp, np.sum, np.concatenate, np.linalg.norm, np.einsum} <= FUNCTIONS.keys()


def test_every_function_is_in_one_place():
    places = {"NUMPY": NUMPY, "NEEDS_NO_DERIVATIVE": NEEDS_NO_DERIVATIVE, "INSTEAD": INSTEAD, "CHANGING": CHANGING}
    found = {name: [p for p, functions in places.items() if f in functions] for f, name in FUNCTIONS.items()}
    assert {name: where for name, where in found.items() if len(where) != 1} == {}


def test_the_places_hold_nothing_else():
    listed = {*NEEDS_NO_DERIVATIVE, *INSTEAD, *CHANGING, *(f for f in NUMPY if not isinstance(f, tuple))}
    assert listed == FUNCTIONS.keys()


# ---- those that run an operation of ours

OURS = [f for f in NUMPY if f in FUNCTIONS]


def calls_of(function):
    """Functions of tensors, with arrays to call them on."""
    samples = [
        (PRIMITIVES[name].primitive, sample)
        for name, all_samples in SAMPLES.items()
        for sample in all_samples
        if sample.reference is function and all(x.size and x.ndim for x in sample.inputs)
    ]
    for this, sample in samples[:3]:
        smooth = [x for i, x in enumerate(sample.inputs) if this.has_rule(i) and x.dtype.kind == "f"]
        yield lambda *xs, params=sample.params: function(*xs, **params), sample.inputs, bool(smooth)
    for call in NUMPY_CALLS.get(function, []):
        yield call, (X,), True


@pytest.mark.parametrize("function", named(OURS))
def test_ours_computes_and_differentiates_as_numpy(function):
    calls = list(calls_of(function))
    assert calls
    for call, arrays, smooth in calls:
        expected = call(*arrays)
        found = call(*map(leaf, arrays))
        if not isinstance(expected, (np.ndarray, np.generic)):
            assert found == expected
            continue
        assert isinstance(found, tl.Tensor)
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-14, atol=1e-14, strict=True)
        if smooth and found.requires_grad:
            assert tl.autograd.gradcheck(call, [leaf(x) for x in arrays])


TWO_OPERANDS = [f for f in OURS if isinstance(f, np.ufunc) and f.nin == 2 and f.signature is None]
PRODUCTS = {
    np.append: (X, Y),
    np.cross: (X, Y),
    np.dot: (X, Y.T),
    np.ediff1d: (X, Y[0]),
    np.inner: (X, Y),
    np.kron: (X, Y),
    np.linalg.cross: (X, Y),
    np.linalg.matmul: (X, Y.T),
    np.linalg.outer: (X[0], Y[0]),
    np.linalg.tensordot: (X, Y),
    np.linalg.vecdot: (X, Y),
    np.matmul: (X, Y.T),
    np.outer: (X, Y),
    np.tensordot: (X, Y[:, :, None]),
    np.trapezoid: (X, Y),
    np.vdot: (X, Y),
    np.vecdot: (X, Y),
}
SEVERAL = {  # functions of a list
    f"np.{f.__name__}": lambda a, b, f=f: f([a, b])
    for f in (np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack)
} | {
    "np.linalg.multi_dot": lambda a, b: np.linalg.multi_dot([a.mT, b]),
    "np.where": lambda a, b: np.where(np.array([True, False, True]), a, b),
    "np.broadcast_arrays": lambda a, b: np.broadcast_arrays(a, b)[1] * np.broadcast_arrays(a, b)[0],
    "np.meshgrid": lambda a, b: np.multiply(*np.meshgrid(a[0], b[1])),
    "np.average": lambda a, b: np.average(a, weights=b),
    "np.clip": lambda a, b: np.clip(a, b, 1.5),
}


def operands(function):
    if function in PRODUCTS:
        return PRODUCTS[function]
    bits = function in {np.bitwise_and, np.bitwise_or, np.bitwise_xor}
    return (I, I[:, ::-1]) if bits else (X, np.float64(2.0) ** I) if function in {np.power, np.float_power} else (X, Y)


MIXED = [pytest.param(f, operands(f), id=FUNCTIONS[f]) for f in [*TWO_OPERANDS, *PRODUCTS] if f is not np.power]
MIXED += [pytest.param(np.power, (np.abs(X), Y), id="np.power")]
MIXED += [pytest.param(f, (X, Y), id=name) for name, f in SEVERAL.items()]


@pytest.mark.parametrize(("function", "arrays"), MIXED)
def test_an_array_beside_a_tensor(function, arrays):
    """Either way round it gives a Tensor, and the tensor's gradient does not care who is beside it."""
    if function is np.float_power:
        arrays = np.abs(X), Y
    if function is np.divmod:
        function, original = (lambda a, b: original(a, b)[1]), np.divmod
    a, b = arrays
    expected = function(a, b)
    both = [leaf(a), leaf(b)]
    together = function(*both)
    for x, y in ((leaf(a), b), (a, leaf(b)), (leaf(a), tl.tensor(b)), (tl.tensor(a), leaf(b))):
        found = function(x, y)
        assert isinstance(found, tl.Tensor)
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-14, strict=True)
        needed = x if isinstance(x, tl.Tensor) and x.requires_grad else y
        if together.requires_grad:
            (alone,) = tl.autograd.grad(found.sum(), needed)
            (beside,) = tl.autograd.grad(together.sum(), both[0 if needed is x else 1], retain_graph=True)
            assert alone.tolist() == beside.tolist()


WRITTEN_IN_PYTHON = [f for f in OURS if inspect.isfunction(getattr(f, "_implementation", None))]


def test_every_product_is_tried_beside_an_array():
    first_two = {f: " ".join(list(inspect.signature(f._implementation).parameters)[:2]) for f in WRITTEN_IN_PYTHON}
    assert {f for f, names in first_two.items() if names in ("a b", "x1 x2", "arr values")} <= PRODUCTS.keys()


# ---- those that need no derivative


def written(save, *arrays):
    """What a function writes into a file."""
    file = io.BytesIO()
    save(file, *arrays)
    return file.getvalue()


PLAIN = {
    "allclose": lambda x, i: (np.allclose(x, x), np.allclose(x, 2 * X)),
    "argpartition": lambda x, i: np.argpartition(x, 1),
    "argwhere": lambda x, i: np.argwhere(x > 0),
    "array2string": lambda x, i: np.array2string(x),
    "array_equal": lambda x, i: (np.array_equal(x, x), np.array_equal(x, Y)),
    "array_equiv": lambda x, i: np.array_equiv(x, X),
    "array_repr": lambda x, i: np.array_repr(x),
    "array_str": lambda x, i: np.array_str(x),
    "bitwise_count": lambda x, i: np.bitwise_count(i),
    "bitwise_left_shift": lambda x, i: np.left_shift(i, 2),
    "bitwise_right_shift": lambda x, i: np.right_shift(i, I),
    "can_cast": lambda x, i: np.can_cast(x.dtype, np.float32),
    "common_type": lambda x, i: np.common_type(X, X),
    "count_nonzero": lambda x, i: np.count_nonzero(x),
    "diag_indices_from": lambda x, i: np.diag_indices_from(x[:2, :2]),
    "digitize": lambda x, i: np.digitize(x, np.array([-1.0, 0.0, 1.0])),
    "einsum_path": lambda x, i: np.einsum_path("ij,kj->ik", x, X)[0],
    "flatnonzero": lambda x, i: np.flatnonzero(x),
    "gcd": lambda x, i: np.gcd(i, 6),
    "in1d": lambda x, i: np.isin(x, X[0]),
    "intersect1d": lambda x, i: np.intersect1d(x, X[0]),
    "isclose": lambda x, i: np.isclose(x, Y),
    "iscomplex": lambda x, i: np.iscomplex(x),
    "iscomplexobj": lambda x, i: np.iscomplexobj(x),
    "isin": lambda x, i: np.isin(x, X[0]),
    "isneginf": lambda x, i: np.isneginf(x),
    "isposinf": lambda x, i: np.isposinf(x),
    "isreal": lambda x, i: np.isreal(x),
    "isrealobj": lambda x, i: np.isrealobj(x),
    "ix_": lambda x, i: np.ix_(i[0], [0, 1]),
    "lcm": lambda x, i: np.lcm(i, 6),
    "lexsort": lambda x, i: np.lexsort((x[0], x[1])),
    "linalg.matrix_rank": lambda x, i: np.linalg.matrix_rank(x),
    "may_share_memory": lambda x, i: np.may_share_memory(x, Y),
    "min_scalar_type": lambda x, i: np.min_scalar_type(x[0, 0]),
    "nanargmax": lambda x, i: np.nanargmax(x, axis=1),
    "nanargmin": lambda x, i: np.nanargmin(x),
    "nextafter": lambda x, i: np.nextafter(x, Y),
    "nonzero": lambda x, i: np.nonzero(x > 0),
    "packbits": lambda x, i: np.packbits(x > 0),
    "ravel_multi_index": lambda x, i: np.ravel_multi_index((i[0], i[1]), (6, 6)),
    "result_type": lambda x, i: np.result_type(x, np.float32),
    "save": lambda x, i: written(np.save, x),
    "savetxt": lambda x, i: written(np.savetxt, x),
    "savez": lambda x, i: written(np.savez, x),
    "savez_compressed": lambda x, i: written(np.savez_compressed, x),
    "searchsorted": lambda x, i: np.searchsorted(np.array([-1.0, 0.0, 1.0]), x),
    "setdiff1d": lambda x, i: np.setdiff1d(x, X[0]),
    "setxor1d": lambda x, i: np.setxor1d(x, Y),
    "shares_memory": lambda x, i: np.shares_memory(x, Y),
    "signbit": lambda x, i: np.signbit(x),
    "spacing": lambda x, i: np.spacing(x),
    "tril_indices_from": lambda x, i: np.tril_indices_from(x),
    "triu_indices_from": lambda x, i: np.triu_indices_from(x),
    "union1d": lambda x, i: np.union1d(x, Y),
    "unique": lambda x, i: np.unique(x, return_counts=True),
    "unique_all": lambda x, i: tuple(np.unique_all(x)),
    "unique_counts": lambda x, i: tuple(np.unique_counts(x)),
    "unique_inverse": lambda x, i: tuple(np.unique_inverse(x)),
    "unique_values": lambda x, i: np.sort(np.unique_values(x)),
    "unpackbits": lambda x, i: np.unpackbits(i.astype(np.uint8) if i is I else i.byte(), axis=1),
    "unravel_index": lambda x, i: np.unravel_index(i, (2, 3)),
}


def test_every_function_without_derivative_is_called():
    assert {FUNCTIONS[f].removeprefix("np.") for f in NEEDS_NO_DERIVATIVE} - {"left_shift", "right_shift"} == {
        name for name in PLAIN if name in {FUNCTIONS[f].removeprefix("np.") for f in NEEDS_NO_DERIVATIVE}
    }


def parts(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_results_are_those_of_numpy(name):
    expected, found = parts(PLAIN[name](X, I)), parts(PLAIN[name](leaf(X), tl.tensor(I)))
    assert len(found) == len(expected)
    for ours, numpys in zip(found, expected, strict=True):
        if not (name == "searchsorted" or isinstance(ours, tl.Tensor)):
            assert type(ours) is type(numpys)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(numpys), strict=True)


# ---- those that say what to use


@pytest.mark.parametrize("function", named(INSTEAD))
def test_what_is_left_out_says_what_to_use(function):
    if isinstance(function, np.ufunc):
        with pytest.raises(TypeError) as error:
            function(*[leaf(X)] * function.nin)
    else:
        with pytest.raises(TypeError) as error:
            leaf(X).__array_function__(function, (tl.Tensor,), (leaf(X),), {})
    message = str(error.value)
    assert INSTEAD[function] in message
    assert "detach()" in message
    assert f".{function.__name__} " in message


@pytest.mark.parametrize("advice", sorted(set(INSTEAD.values())))
def test_what_is_named_instead_exists(advice):
    for place, name in re.findall(r"\b(tl|np)\.(\w+)", advice):
        found = getattr({"tl": tl, "np": np}[place], name)
        assert place == "tl" or found in NUMPY


LEFT_OUT = {
    "np.einsum": lambda x: np.einsum("ij,kj->ik", x, X),
    "np.interp": lambda x: np.interp(x, [-2.0, 2.0], [0.0, 1.0]),
    "np.select": lambda x: np.select([X > 0], [x], 7.0),
    "np.linspace": lambda x: np.linspace(x, Y, 3),
    "np.percentile": lambda x: np.percentile(x, 30),
    "np.linalg.svdvals": np.linalg.svdvals,
    "np.apply_along_axis": lambda x: np.apply_along_axis(np.sum, 0, x),
    "np.heaviside": lambda x: np.heaviside(x, 0.5),
}


@pytest.mark.parametrize("call", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_runs_where_no_gradient_is_at_stake(call):
    expected = call(X)
    with pytest.raises(TypeError, match="has no derivative here"):
        call(leaf(X))
    for found in (call(tl.tensor(X)), call(leaf(X).detach())):
        assert isinstance(found, (np.ndarray, np.generic))
        np.testing.assert_array_equal(found, expected)
    with tl.no_grad():
        np.testing.assert_array_equal(call(leaf(X)), expected)


@pytest.mark.parametrize("function", named(CHANGING))
def test_what_changes_its_argument_is_refused(function):
    with pytest.raises(TypeError, match=rf"np\.{function.__name__} would change a tensor unnoticed"):
        tl.tensor(X).__array_function__(function, (tl.Tensor,), (tl.tensor(X), 0, 0), {})


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add.at(x, 0, 1.0),
        lambda x: np.sum(x, where=X > 0),
        lambda x: np.exp(x, where=X > 0),
        lambda x: np.cumsum(x, out=np.zeros(6)),
        lambda x: np.nan_to_num(x, copy=False),
        lambda x: np.take(x, [7], mode="wrap"),
        lambda x: np.linalg.norm(x, "nuc"),
        lambda x: np.linalg.norm(x, 2),
        lambda x: np.multiply.reduceat(x, [0, 1]),
    ],
)
def test_what_an_operation_does_not_know_raises(call):
    with pytest.raises(TypeError):
        call(leaf(X))
