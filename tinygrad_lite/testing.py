"""For tests of your own: comparing results, and Hypothesis strategies that draw shapes, tensors and expressions.

The strategies need Hypothesis (``pip install "tinygrad_lite[testing]"``), the rest does not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from tinygrad_lite import _names, dtypes
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap
from tinygrad_lite.nn.functional import softplus

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["OPERATIONS", "Expression", "Operation", "assert_close", "broadcastable_shapes", "expressions", "tensors"]

Shape = tuple[int, ...]

# ---- comparing

TOLERANCES = {dtypes.float16: (1e-3, 1e-5), dtypes.float32: (1.3e-6, 1e-5), dtypes.float64: (1e-7, 1e-7)}
"""The relative and absolute tolerance for each dtype, PyTorch's; any other dtype is compared exactly."""


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise unless ``|actual - expected| <= atol + rtol * |expected|`` for every element.

    Parameters
    ----------
    actual, expected : Tensor, array, number, bool, None, or sequences and mappings of them
        Of equal shape. A Tensor may be held against an array.
    rtol, atol : float, optional
        Both or neither. Default 1.3e-6 and 1e-5 for float32, 1e-7 and 1e-7 for float64, 1e-3 and 1e-5 for
        float16, 0 for what is exact; of two dtypes the larger.
    equal_nan : bool
        Whether nan equals nan.
    check_dtype : bool
        Whether dtypes, or the types of numbers, must be equal.
    msg : str or callable, optional
        The message of the error, or a function that makes it of the usual one.

    Raises
    ------
    AssertionError
        With how many elements differ, and by how much at most, where.
    TypeError
        For types that cannot be compared.
    ValueError
        For one tolerance without the other.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite.testing import assert_close
    >>> assert_close(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 2.0 + 1e-6]))
    >>> assert_close({"w": tl.tensor([1.0, 2.0])}, {"w": tl.tensor([1.0, 2.5])})
    Traceback (most recent call last):
        ...
    AssertionError: 1 of 2 elements (50.0 %) differ by more than 1e-05 + 1.3e-06 * |expected|
    greatest absolute difference: 0.5 at (1,), got 2.0, expected 2.5
    greatest relative difference: 0.2 at (1,), got 2.0, expected 2.5
    in item ['w']
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: give both rtol and atol or neither, not rtol={rtol}, atol={atol}")
    try:
        for a, e, item in list(_pairs(actual, expected)):
            found = _difference(a, e, rtol, atol, equal_nan, check_dtype)
            if found:
                raise AssertionError(f"{found}\nin item {item}" if item else found)
    except AssertionError as error:
        if msg is None:
            raise
        raise AssertionError(msg(str(error)) if callable(msg) else msg) from None


def _pairs(actual: Any, expected: Any, item: str = "") -> Iterator[tuple[Any, Any, str]]:
    """What is compared with what, and under which item of the sequences and mappings it lies."""
    if _both(Sequence, actual, expected) and not isinstance(actual, str) and not isinstance(expected, str):
        if len(actual) != len(expected):
            raise AssertionError(f"sequences of {len(actual)} and {len(expected)} items {item}".rstrip())
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from _pairs(a, e, f"{item}[{i}]")
    elif _both(Mapping, actual, expected):
        if actual.keys() != expected.keys():
            lacking, extra = list(expected.keys() - actual.keys()), list(actual.keys() - expected.keys())
            raise AssertionError(f"mappings {item} differ in their keys: {lacking} are lacking, {extra} are extra")
        for key in actual:
            yield from _pairs(actual[key], expected[key], f"{item}[{key!r}]")
    elif actual is None or expected is None or _kinds(actual) & _kinds(expected):
        yield actual, expected, item
    else:
        names = type(actual).__name__, type(expected).__name__
        raise TypeError(f"assert_close cannot compare {names[0]} with {names[1]} {item}".rstrip())


def _both(kind: Any, actual: Any, expected: Any) -> bool:
    return isinstance(actual, kind) and isinstance(expected, kind)


def _kinds(value: Any) -> set[str]:
    """As what it can be compared; a NumPy scalar is both a number and an array."""
    if isinstance(value, bool):
        return {"bool"}
    types: dict[str, Any] = {
        "array": (Tensor, np.ndarray, np.generic),
        "bool": np.bool_,
        "number": (int, float, complex, np.number),
    }
    return {name for name, kinds in types.items() if isinstance(value, kinds)}


def _difference(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, equal_nan: bool, check_dtype: bool
) -> str:
    """In words, how two arrays, numbers, bools or Nones differ; empty if they do not."""
    if actual is None or expected is None or _both((bool, np.bool_), actual, expected):
        return "" if actual == expected else f"got {actual!r}, expected {expected!r}"
    a, e = _as_arrays(actual, expected)
    if a.shape != e.shape:
        return f"shapes differ: got {a.shape}, expected {e.shape}"
    if check_dtype and a.dtype != e.dtype:
        return f"dtypes differ: got {a.dtype}, expected {e.dtype}; check_dtype=False compares the values alone"
    if rtol is None or atol is None:
        defaults = [TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (a, e)]
        rtol, atol = (max(pair) for pair in zip(*defaults, strict=True))
    widest = np.complex128 if "c" in (a.dtype.kind, e.dtype.kind) else np.float64
    x, y = a.astype(widest), e.astype(widest)
    with np.errstate(all="ignore"):
        error, allowed = np.abs(x - y), atol + rtol * np.abs(y)
        close = (a == e) | (np.isfinite(error) & (error <= allowed) & (allowed > 0))
        close |= equal_nan & np.isnan(x) & np.isnan(y)
        relative = error / np.abs(y)
    if np.all(close):
        return ""
    wrong = np.size(close) - np.count_nonzero(close)
    limit = f" by more than {atol:g} + {rtol:g} * |expected|" if rtol or atol else ""
    return (
        f"{wrong} of {np.size(close)} elements ({100 * wrong / np.size(close):.1f} %) differ{limit}\n"
        f"greatest absolute difference: {_greatest(error, close, a, e)}\n"
        f"greatest relative difference: {_greatest(relative, close, a, e)}"
    )


def _as_arrays(actual: Any, expected: Any) -> tuple[Array, Array]:
    """Both as arrays; two numbers as what they are in Python: int64, float64."""
    if isinstance(actual, (Tensor, np.ndarray)) or isinstance(expected, (Tensor, np.ndarray)):
        return _as_array(actual), _as_array(expected)
    return np.asarray(np.asarray(actual).item()), np.asarray(np.asarray(expected).item())


def _as_array(value: Any) -> Array:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _greatest(error: Array, close: Array, actual: Array, expected: Array) -> str:
    """The greatest error of what is not close, where it is, and what lies there; nan counts most."""
    size = np.where(close, -1.0, np.where(np.isnan(error), np.inf, error))
    at = tuple(map(int, np.unravel_index(np.argmax(size), size.shape)))
    place = f" at {at}" if at else ""
    return f"{error[at]:.6g}{place}, got {actual[at]}, expected {expected[at]}"


# ---- shapes and tensors

DOMAINS = {"real": (-2.0, 2.0), "nonzero": (-2.0, 2.0), "positive": (0.5, 2.0), "probability": (0.05, 0.95)}
"""Between which numbers a domain lies; "nonzero" leaves out what is nearer to 0 than 1/2."""


def broadcastable_shapes(
    n: int, *, min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 4
) -> SearchStrategy[tuple[Shape, ...]]:
    """Strategy: ``n`` shapes that broadcast with each other.

    Parameters
    ----------
    n : int
        How many shapes.
    min_dims, max_dims : int
        How many dimensions each has.
    min_side, max_side : int
        How long a dimension is, unless it is 1; ``min_side=0`` draws empty ones too.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> from tinygrad_lite.testing import broadcastable_shapes
    >>> @settings(deadline=None)
    ... @given(broadcastable_shapes(3))
    ... def test(shapes):
    ...     assert len(np.broadcast_shapes(*shapes)) == max(map(len, shapes))
    >>> test()
    """
    _, of_numpy = _hypothesis()
    drawn = of_numpy.mutually_broadcastable_shapes(
        num_shapes=n, min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    shapes: SearchStrategy[tuple[Shape, ...]] = drawn.map(lambda broadcast: broadcast.input_shapes)
    return shapes


def tensors(
    shape: Shape | SearchStrategy[Shape] | None = None,
    dtype: Any = dtypes.float64,
    domain: str | tuple[float, float] = "real",
    requires_grad: bool = False,
) -> SearchStrategy[Tensor]:
    """Strategy: tensors of numbers in general position, far from overflow.

    The elements are uniform over the domain: in float64 no two are alike and none lies on a kink, so
    derivatives exist. Edges are worth tests of their own.

    Parameters
    ----------
    shape : tuple of int, or strategy of them, optional
        Default: any shape of up to 3 dimensions of 1 to 4.
    dtype : dtype
        Default float64, in which derivatives can be checked.
    domain : {"real", "nonzero", "positive", "probability"} or (low, high)
        From -2 to 2; that, but 1/2 or more away from 0; from 1/2 to 2; from 0.05 to 0.95; or the given
        numbers. Integers are those in between; bools are what they are.
    requires_grad : bool
        Whether it is a leaf that collects a gradient.

    Raises
    ------
    ValueError
        For an unknown domain, and one without a number of the dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> from hypothesis import given, settings
    >>> from tinygrad_lite.testing import tensors
    >>> @settings(deadline=None)
    ... @given(tensors(domain="positive", requires_grad=True))
    ... def test(x):
    ...     assert tl.autograd.gradcheck(tl.log, x)
    >>> test()
    """
    strategies, of_numpy = _hypothesis()
    dtype = dtypes.as_dtype(dtype)
    if isinstance(domain, str) and domain not in DOMAINS:
        raise ValueError(f"tensors: {domain!r} is not a domain: use {', '.join(DOMAINS)} or (low, high)")
    low, high = cast(Any, DOMAINS[domain] if isinstance(domain, str) else domain)
    if dtype.kind in "iu":
        low, high = math.ceil(max(low, np.iinfo(dtype).min)), math.floor(min(high, np.iinfo(dtype).max))
        if low > high:
            raise ValueError(f"tensors: no number of {dtype} lies in the domain {domain!r}")
    if shape is None:
        shape = of_numpy.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)

    def filled(shape: Shape, seed: int) -> Tensor:
        random = np.random.default_rng([seed, *shape])
        numbers: Any = random.integers(0, 2, shape) == 1
        if dtype.kind == "f":
            numbers = random.uniform(low, high, shape)
            if domain == "nonzero":
                numbers = np.copysign(np.abs(numbers) * 0.75 + 0.5, numbers)  # from 1/2 to 2 on either side
        elif dtype.kind != "b":
            numbers = random.integers(low, high + 1, shape)
            if domain == "nonzero":
                numbers = np.where(numbers == 0, 1, numbers)
        return wrap(np.asarray(numbers, dtype)).requires_grad_(requires_grad)

    shapes = strategies.just(shape) if isinstance(shape, tuple) else shape
    drawn: SearchStrategy[Tensor] = strategies.builds(filled, shapes, strategies.integers(0, 10**6))
    return drawn


def _hypothesis() -> tuple[Any, Any]:
    """Its strategies, and those for NumPy."""
    try:
        from hypothesis import strategies
        from hypothesis.extra import numpy as of_numpy
    except ImportError as error:
        raise ImportError('strategies need Hypothesis: pip install "tinygrad_lite[testing]"') from error
    return strategies, of_numpy


# ---- expressions


class Operation(NamedTuple):
    """One step of an expression, on Tensors and on arrays, for operands between -1 and 1.

    Parameters
    ----------
    code : str
        How it is written: ``{0}`` and ``{1}`` stand for the operands, and ``{axis}``, if it is there, for one
        of the dimensions of ``{0}``.
    on_tensors, on_arrays : callable
        What computes it, called with the operands, and the axis if there is one. On arrays it raises
        ValueError or IndexError for shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite.testing import Operation
    >>> operation = Operation("log({0} + 2)", lambda x: tl.log(x + 2), lambda x: np.log(x + 2))
    >>> operation.on_tensors(tl.tensor([-1.0, 0.0]))
    tensor([0.0000, 0.6931])
    """

    code: str
    on_tensors: Callable[..., Any]
    on_arrays: Callable[..., Any]

    @property
    def arity(self) -> int:
        """How many operands it takes."""
        return 2 if "{1}" in self.code else 1

    def parameters(self, shape: Shape) -> list[tuple[int, ...]]:
        """What can follow the operands, if the first has this shape."""
        ndim = len(shape)
        return [(axis,) for axis in range(-ndim, ndim)] if "{axis}" in self.code else [()]

    def shape(self, shapes: Sequence[Shape], parameters: tuple[int, ...]) -> Shape | None:
        """The shape of the result; None if these operands do not fit or give too much."""
        try:
            shape = np.shape(self.on_arrays(*map(np.zeros, shapes), *parameters))
        except (ValueError, IndexError):
            return None
        return shape if math.prod(shape) <= 200 else None


# The arrays' side also takes complex numbers, imaginary parts tiny: then these give derivatives.
UNARY = (
    Operation("-{0}", lambda x: x.neg(), np.negative),
    Operation("clone({0})", lambda x: x.clone(), np.positive),
    Operation("exp({0})", lambda x: x.exp(), np.exp),
    Operation("expm1({0})", lambda x: x.expm1(), np.expm1),
    Operation("sin({0})", lambda x: x.sin(), np.sin),
    Operation("cos({0})", lambda x: x.cos(), np.cos),
    Operation("tanh({0})", lambda x: x.tanh(), np.tanh),
    Operation("square({0})", lambda x: x.square(), np.square),
    Operation("sigmoid({0})", lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    Operation("softplus({0})", softplus, lambda x: np.log(1 + np.exp(x))),
    Operation("log({0} + 2)", lambda x: (x + 2).log(), lambda x: np.log(x + 2)),
    Operation("log1p({0} / 2)", lambda x: (x / 2).log1p(), lambda x: np.log(1 + x / 2)),
    Operation("sqrt({0} + 2)", lambda x: (x + 2).sqrt(), lambda x: np.sqrt(x + 2)),
    Operation("reciprocal({0} + 2)", lambda x: (x + 2).reciprocal(), lambda x: 1 / (x + 2)),
    Operation("({0} + 2) ** 1.7", lambda x: (x + 2) ** 1.7, lambda x: (x + 2) ** 1.7),
    Operation("relu({0})", lambda x: x.relu(), lambda x: np.where(x.real > 0, x, 0)),
    Operation("abs({0})", lambda x: x.abs(), lambda x: np.where(x.real > 0, x, -x)),
    Operation(
        "clamp({0}, -0.7, 0.5)",
        lambda x: x.clamp(-0.7, 0.5),
        lambda x: np.where(x.real < -0.7, -0.7, np.where(x.real > 0.5, 0.5, x)),
    ),
)
BINARY = (
    Operation("{0} + {1}", lambda x, y: x + y, np.add),
    Operation("{0} - {1}", lambda x, y: x - y, np.subtract),
    Operation("{0} * {1}", lambda x, y: x * y, np.multiply),
    Operation("{0} / ({1} + 2)", lambda x, y: x / (y + 2), lambda x, y: x / (y + 2)),
    Operation("({0} + 2) ** {1}", lambda x, y: (x + 2) ** y, lambda x, y: (x + 2) ** y),
    Operation("maximum({0}, {1})", lambda x, y: x.maximum(y), lambda x, y: np.where(x.real > y.real, x, y)),
    Operation("minimum({0}, {1})", lambda x, y: x.minimum(y), lambda x, y: np.where(x.real < y.real, x, y)),
    Operation(
        "where({0} > 0, {0}, {1})",
        lambda x, y: np.where(x > 0, x, y),
        lambda x, y: np.where(x.real > 0, x, y),
    ),
)
ALONG_AN_AXIS = (
    Operation("{0}.sum({axis})", lambda x, axis: x.sum(axis), np.sum),
    Operation(
        "{0}.mean({axis}, keepdim=True)",
        lambda x, axis: x.mean(axis, keepdim=True),
        lambda x, axis: np.mean(x, axis, keepdims=True),
    ),
    Operation(
        "{0}.var({axis}, unbiased=False)",
        lambda x, axis: x.var(axis, unbiased=False),
        lambda x, axis: np.mean((x - np.mean(x, axis, keepdims=True)) ** 2, axis),
    ),
    Operation("{0}.prod({axis})", lambda x, axis: x.prod(axis), np.prod),
    Operation("{0}.amax({axis})", lambda x, axis: x.amax(axis), np.max),
    Operation("{0}.amin({axis})", lambda x, axis: x.amin(axis), np.min),
    Operation(
        "softmax({0}, {axis})",
        lambda x, axis: x.softmax(axis),
        lambda x, axis: np.exp(x) / np.sum(np.exp(x), axis, keepdims=True),
    ),
    Operation(
        "log_softmax({0}, {axis})",
        lambda x, axis: x.log_softmax(axis),
        lambda x, axis: x - np.log(np.sum(np.exp(x), axis, keepdims=True)),
    ),
    Operation(
        "logsumexp({0}, {axis})", lambda x, axis: x.logsumexp(axis), lambda x, axis: np.log(np.sum(np.exp(x), axis))
    ),
    Operation("{0}.swapaxes({axis}, 0)", lambda x, axis: x.swapaxes(axis, 0), lambda x, axis: np.swapaxes(x, axis, 0)),
    Operation(
        "stack([{0}, -{0}], {axis})", lambda x, axis: np.stack([x, -x], axis), lambda x, axis: np.stack([x, -x], axis)
    ),
)
OF_SHAPES = (
    Operation("{0} @ {1}", lambda x, y: x @ y, np.matmul),
    Operation("cat([{0}, {1}])", lambda x, y: np.concatenate([x, y]), lambda x, y: np.concatenate([x, y])),
    Operation("{0}[0]", lambda x: x[0], lambda x: x[0]),
    Operation("{0}[::-1]", lambda x: x[::-1], lambda x: x[::-1]),
    Operation("{0}.reshape(-1)", lambda x: x.reshape(-1), lambda x: np.reshape(x, -1)),
)
OPERATIONS = (*UNARY, *BINARY, *ALONG_AN_AXIS, *OF_SHAPES)
"""The operations that :func:`expressions` draws from."""


class Step(NamedTuple):
    """An operation, which values it takes, by number, and what follows them."""

    operation: Operation
    operands: tuple[int, ...]
    parameters: tuple[int, ...]


class Expression(NamedTuple):
    """A differentiable function of some inputs with a value of one element, and inputs for it.

    The values are numbered, inputs first; each step appends one. An operand passes through a sine
    first, so that no value grows without bound; the result is the sum of what no step has used.

    Parameters
    ----------
    inputs : tuple of array
        Where to evaluate it.
    steps : tuple of Step
        What it does.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite.testing import Expression, Operation, Step
    >>> cube = Operation("cube({0})", lambda x: x * x * x, lambda x: x**3)
    >>> expression = Expression((np.array([0.5, 1.5]),), (Step(cube, (0,), ()),))
    >>> expression
    x0 = tensor([0.5, 1.5], dtype=float64, requires_grad=True)
    x1 = cube(sin(x0))
    out = sin(x1).sum()
    >>> tl.testing.assert_close(expression(*expression.leaves()), expression(*expression.inputs))
    """

    inputs: tuple[Array, ...]
    steps: tuple[Step, ...]

    def __call__(self, *inputs: Any) -> Any:
        """Its value, of Tensors a Tensor, of arrays a NumPy number."""
        on_tensors = any(isinstance(x, Tensor) for x in inputs)
        values = list(inputs)
        for operation, operands, parameters in self.steps:
            function = operation.on_tensors if on_tensors else operation.on_arrays
            values.append(function(*(np.sin(values[i]) for i in operands), *parameters))
        return sum(np.sin(values[i]).sum() for i in self._unused())

    def leaves(self) -> tuple[Tensor, ...]:
        """The inputs as new Tensors that require grad."""
        return tuple(wrap(np.array(x)).requires_grad_() for x in self.inputs)

    def _unused(self) -> list[int]:
        """The values that no step takes."""
        used = {i for step in self.steps for i in step.operands}
        return [i for i in range(len(self.inputs) + len(self.steps)) if i not in used]

    def __repr__(self) -> str:
        """Code that computes it, for where the names of ``tinygrad_lite`` are known."""
        lines = [f"tensor({x.tolist()}, dtype={x.dtype}, requires_grad=True)" for x in self.inputs]
        for step in self.steps:
            axis = step.parameters[0] if step.parameters else None
            lines.append(step.operation.code.format(*(f"sin(x{i})" for i in step.operands), axis=axis))
        result = " + ".join(f"sin(x{i}).sum()" for i in self._unused())
        return "\n".join([*(f"x{i} = {line}" for i, line in enumerate(lines)), f"out = {result}"])


def expressions(*operations: Operation, max_steps: int = 8) -> SearchStrategy[Expression]:
    """Strategy: random differentiable expressions, with inputs in general position.

    Parameters
    ----------
    *operations : Operation
        Your own: each expression has at least one of them, among those of ``OPERATIONS``.
    max_steps : int
        How many operations an expression has at most.

    Examples
    --------
    A test of an operation of your own, inside whatever surrounds it:

    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> from hypothesis import given, settings
    >>> from tinygrad_lite.testing import Operation, assert_close, expressions
    >>> cube = Operation("cube({0})", lambda x: x * x * x, lambda x: x**3)
    >>> @settings(max_examples=20, deadline=None)
    ... @given(expressions(cube))
    ... def test(expression):
    ...     assert_close(expression(*expression.leaves()), expression(*expression.inputs))
    ...     assert tl.autograd.gradcheck(expression, expression.leaves())
    >>> test()
    """
    strategies, _ = _hypothesis()

    @strategies.composite  # type: ignore[untyped-decorator]
    def expression(draw: Any) -> Expression:
        shapes = list(draw(strategies.integers(1, 3).flatmap(lambda n: broadcastable_shapes(n, max_side=3))))
        random = np.random.default_rng(draw(strategies.integers(0, 10**6)))
        inputs = tuple(np.asarray(np.round(random.uniform(-2.0, 2.0, shape), 6)) for shape in shapes)
        steps: list[Step] = []
        for pool in [operations or OPERATIONS] + [operations + OPERATIONS] * draw(
            strategies.integers(0, max_steps - 1)
        ):
            fitting = strategies.sampled_from(pool).map(lambda operation: _fitting(operation, shapes)).filter(bool)
            step, shape = draw(fitting.flatmap(strategies.sampled_from))
            steps.append(step)
            shapes.append(shape)
        return Expression(inputs, tuple(steps))

    drawn: SearchStrategy[Expression] = expression()
    return drawn


def _fitting(operation: Operation, shapes: Sequence[Shape]) -> list[tuple[Step, Shape]]:
    """All ways to apply an operation to values of these shapes, with the shape of the result."""
    steps = (
        Step(operation, operands, parameters)
        for operands in itertools.product(range(len(shapes)), repeat=operation.arity)
        for parameters in operation.parameters(shapes[operands[0]])
    )
    results = ((step, operation.shape([shapes[i] for i in step.operands], step.parameters)) for step in steps)
    return [(step, shape) for step, shape in results if shape is not None]


_names.explain_missing(__name__)
