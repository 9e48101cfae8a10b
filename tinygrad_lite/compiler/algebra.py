"""Algebra on programs: simpler calls for the same values, up to rounding.

A rule takes a value whose inputs are simple already, and returns another value, or None where it does not apply.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.compiler.program import Program, Value

__all__ = ["simplify", "uniform"]

Rule = Callable[[Value], Value | None]


def simplify(program: Program) -> Program:
    """Rewrite calls by algebra.

    Neutral elements, double negation, powers, division by powers of two; views of views; broadcasting that NumPy does
    by itself; sums of what was broadcast; products with ones; copies (values never change, so only a result needs
    its own memory); and the product of bits with 0 or 1 that stands for ``where``. Results may be rounded differently.

    Examples
    --------
    >>> x = Value("input", shape=(2,), place=0)
    >>> two = Value("constant", data=2)
    >>> y = Value("power", (x, two), (2,), dtypes=(np.dtype("f4"),) * 3, forced=False)
    >>> simplify(Program([x], ["x"], ["argument"], outputs=[y])).outputs[0].op
    'multiply'
    """
    roots = set(program.roots())

    def change(value: Value, inputs: tuple[Value, ...]) -> Value:
        changed = value.like(inputs)
        if value.op == "copy":
            return changed if value in roots else inputs[0]
        return _simple(changed)

    return program.map(change)


def uniform(value: Value) -> Any:
    """The one number that every element is, as a Python number; None if it is no such constant.

    Examples
    --------
    >>> uniform(Value("constant", shape=(3,), data=np.ones(3))), uniform(Value("constant", data=2))
    (1.0, 2)
    """
    if value.op == "broadcast_to":
        return uniform(value.inputs[0])
    if value.op != "constant":
        return None
    data = value.params["data"]
    if not isinstance(data, np.ndarray):
        return data
    if data.size == 0 or data.dtype.kind not in "biuf":
        return None
    first = data.flat[0]
    return first.item() if bool(np.all(data == first)) else None


def _simple(value: Value) -> Value:
    """The value after the first rule that applies, and what comes of that."""
    if "dtypes" in value.params or value.op == "where":
        value = _with_plain_operands(value)
    rules = RULES.get(value.op, ())
    if value.op.endswith(".reduce"):
        rules = (_reduce_nothing, _reduce_transposed, _reduce_broadcast)
    for rule in rules:
        new = rule(value)
        if new is not None:
            return new
    return value


# ---- making values


def _ufunc(like: Value, op: str, *inputs: Value) -> Value:
    """A ufunc of operands of one dtype, in the place of ``like``."""
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    dtypes = (like.dtype,) * (len(inputs) + 1)
    return _simple(Value(op, inputs, shape, like.dtype, None, like.origin, like.position, dtypes=dtypes, forced=False))


def _literal(like: Value, data: Any) -> Value:
    number = data.item() if isinstance(data, np.generic) else data
    return Value("constant", (), (), like.dtype, None, like.origin, like.position, data=number)


def _reshape(like: Value, x: Value, shape: Sequence[int]) -> Value:
    return _simple(Value("reshape", (x,), tuple(shape), x.dtype, None, like.origin, like.position))


def _broadcast(like: Value, x: Value, shape: Sequence[int]) -> Value:
    return _simple(Value("broadcast_to", (x,), tuple(shape), x.dtype, None, like.origin, like.position))


def _reduce(like: Value, op: str, x: Value, axis: Sequence[int], keepdims: bool, initial: Any = None) -> Value:
    axes = tuple(sorted(axis))
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    shape = kept if keepdims else tuple(n for a, n in enumerate(x.shape) if a not in axes)
    params = {"axis": axes, "keepdims": keepdims, "initial": initial, "computed_in": None}
    return _simple(Value(op, (x,), shape, like.dtype, None, like.origin, like.position, **params))


def _fits(value: Value, x: Value) -> bool:
    """Whether ``x`` may stand where ``value`` is."""
    return (value.shape, value.dtype) == (x.shape, x.dtype)


# ---- elementwise


def _with_plain_operands(value: Value) -> Value:
    """Without broadcasting that happens anyway; with Python numbers in the place of constants of equal elements."""
    inputs = list(value.inputs)
    for number, x in enumerate(inputs):
        plain = x.inputs[0] if x.op == "broadcast_to" else x
        others = inputs[:number] + inputs[number + 1 :]
        if "dtypes" in value.params and not plain.is_literal and uniform(plain) is not None:
            dtype = value.params["dtypes"][number]
            if any(y.dtype == dtype and not _is_weak(y) for y in others):
                plain = Value("constant", (), (), dtype, None, x.origin, x.position, data=uniform(plain))
        if np.broadcast_shapes(*(y.shape for y in [*inputs[:number], plain, *inputs[number + 1 :]])) == value.shape:
            inputs[number] = plain
    return value.like(inputs)


def _is_weak(value: Value) -> bool:
    return value.is_literal or value.op == "number"


def _is_moderate(number: float) -> bool:
    """Whether neither the number nor its inverse leaves the range of float32."""
    return bool(1e-30 < abs(number) < 1e30)


def _multiply(value: Value) -> Value | None:
    x, y = value.inputs
    if uniform(x) is not None:
        x, y = y, x
    factor = uniform(y)
    if factor is None or not _fits(value, x) or value.dtype.kind != "f":
        return None
    if factor == 1:
        return x
    if factor == -1:
        return _ufunc(value, "negative", x)
    if x.op == "multiply" and _fits(value, x.inputs[0]) and (inner := uniform(x.inputs[1])) is not None:
        both = inner * factor
        return _ufunc(value, "multiply", x.inputs[0], _literal(value, both)) if _is_moderate(both) else None
    return None if y is value.inputs[1] else _ufunc(value, "multiply", x, y)


def _divide(value: Value) -> Value | None:
    x, y = value.inputs
    divisor = uniform(y)
    if divisor is None or not _is_moderate(divisor) or not _fits(value, x) or abs(math.frexp(divisor)[0]) != 0.5:
        return None
    return _ufunc(value, "multiply", x, _literal(value, 1 / divisor))


def _add(value: Value) -> Value | None:
    x, y = value.inputs
    for a, b in ((x, y), (y, x)):
        if uniform(b) == 0 and _fits(value, a):
            return a
        if b.op == "negative" and b.dtype == a.dtype == value.dtype and value.dtype.kind == "f":
            return _ufunc(value, "subtract", a, b.inputs[0])
    return None


def _subtract(value: Value) -> Value | None:
    x, y = value.inputs
    if uniform(y) == 0 and _fits(value, x):
        return x
    if uniform(x) == 0 and _fits(value, y):
        return _ufunc(value, "negative", y)
    if y.op == "negative" and x.dtype == y.dtype == value.dtype and value.dtype.kind == "f":
        return _ufunc(value, "add", x, y.inputs[0])
    return None


def _negative(value: Value) -> Value | None:
    (x,) = value.inputs
    return x.inputs[0] if x.op == "negative" and _fits(value, x.inputs[0]) else None


def _power(value: Value) -> Value | None:
    x, exponent = value.inputs[0], uniform(value.inputs[1])
    if exponent is None or not _fits(value, x) or value.dtype.kind != "f":
        return None
    if exponent == 1:
        return x
    if exponent == 2:
        return _ufunc(value, "multiply", x, x)
    if exponent == -1:
        return _ufunc(value, "divide", _literal(value, 1), x)
    return None


def _square(value: Value) -> Value | None:
    (x,) = value.inputs
    return _ufunc(value, "multiply", x, x) if _fits(value, x) and value.dtype.kind == "f" else None


def _where(value: Value) -> Value | None:
    condition, x, y = value.inputs
    if x is y and _fits(value, x):
        return x
    if condition.op == "logical_not" and condition.inputs[0].dtype == np.bool_:
        inputs = (condition.inputs[0], y, x)
        return Value("where", inputs, value.shape, value.dtype, value.order, value.origin, value.position)
    return None


def _cast(value: Value) -> Value | None:
    (x,) = value.inputs
    return x if _fits(value, x) and not _is_weak(x) else None


def _bitcast(value: Value) -> Value | None:
    """Back to what it was; or the product of the bits of ``x`` with a gate: ``x`` where the gate is open, else 0."""
    (bits,) = value.inputs
    if bits.op == "bitcast":
        x = bits.inputs[0]
        return x if _fits(value, x) else None
    if bits.op != "multiply" or value.dtype.kind != "f":
        return None
    for x, gate in (bits.inputs, bits.inputs[::-1]):
        if x.op == "bitcast" and gate.dtype == np.bool_ and x.inputs[0].dtype == value.dtype:
            inputs = (gate, x.inputs[0], _literal(value, 0.0))
            origin = bits.origin  # a bitcast back may be recorded where it is read
            return _simple(Value("where", inputs, value.shape, value.dtype, bits.order, origin, value.position))
    return None


# ---- views


def _reshape_of_view(value: Value) -> Value | None:
    (x,) = value.inputs
    if x.shape == value.shape:
        return x
    if x.op == "reshape":
        return _reshape(value, x.inputs[0], value.shape)
    return None


def _slice(value: Value) -> Value | None:
    """A key that takes every element is a reshape."""
    (x,) = value.inputs
    if value.size != x.size or x.size == 0:
        return None
    sliced = [part for part in value.params["key"] if isinstance(part, slice)]
    return _reshape(value, x, value.shape) if all((part.step or 1) > 0 for part in sliced) else None


def _transpose(value: Value) -> Value | None:
    (x,), axes = value.inputs, value.params["axes"]
    if x.op == "transpose":
        axes, x = tuple(x.params["axes"][a] for a in axes), x.inputs[0]
        combined = Value("transpose", (x,), value.shape, value.dtype, None, value.origin, value.position, axes=axes)
        return _transpose(combined) or combined
    moved = [a for a in axes if x.shape[a] != 1]
    return _reshape(value, x, value.shape) if moved == sorted(moved) else None


def _broadcast_to(value: Value) -> Value | None:
    (x,) = value.inputs
    if x.shape == value.shape and not _is_weak(x):
        return x
    if x.op == "broadcast_to":
        return _broadcast(value, x.inputs[0], value.shape)
    return None


# ---- reductions and products


def _reduce_nothing(value: Value) -> Value | None:
    """Over axes of length 1."""
    (x,), params = value.inputs, value.params
    neutral = params["initial"] is None or (value.op == "maximum.reduce" and params["initial"] == -math.inf)
    if x.dtype != value.dtype or not neutral or any(x.shape[a] != 1 for a in params["axis"]):
        return None
    return _reshape(value, x, value.shape)


def _reduce_transposed(value: Value) -> Value | None:
    (x,), params = value.inputs, value.params
    if x.op != "transpose" or params["keepdims"] or value.dtype != x.dtype or params["computed_in"] is not None:
        return None
    axes = x.params["axes"]
    left = [axes[a] for a in range(x.ndim) if a not in params["axis"]]
    if left != sorted(left):
        return None
    return _reduce(value, value.op, x.inputs[0], [axes[a] for a in params["axis"]], False, params["initial"])


def _reduce_broadcast(value: Value) -> Value | None:
    """A sum of equal terms is a product, and their maximum is one of them."""
    (x,), params = value.inputs, value.params
    if x.op != "broadcast_to" or value.op not in {"add.reduce", "maximum.reduce"} or x.dtype != value.dtype:
        return None
    if params["initial"] is not None or params["computed_in"] is not None or x.size == 0:
        return None
    narrow = x.inputs[0]
    lengths = (1,) * (x.ndim - narrow.ndim) + narrow.shape
    repeated = [a for a in params["axis"] if lengths[a] == 1 != x.shape[a]]
    if not repeated:
        return None
    once = [1 if a in repeated else n for a, n in enumerate(x.shape)]
    terms = _broadcast(value, _reshape(value, narrow, lengths), once)
    result = _reduce(value, value.op, terms, params["axis"], params["keepdims"])
    if value.op == "maximum.reduce":
        return result
    return _ufunc(value, "multiply", result, _literal(value, math.prod(x.shape[a] for a in repeated)))


def _product(value: Value) -> Value | None:
    """A product with a row or a column of equal numbers is a sum."""
    x, y = value.inputs
    if not 1 <= x.ndim <= 2 or not 1 <= y.ndim <= 2 or x.ndim + y.ndim == 2:
        return None
    factor = uniform(x)
    if factor is not None and (x.ndim == 1 or x.shape[0] == 1):
        return _times(value, _reduce(value, "add.reduce", y, [0], x.ndim == y.ndim == 2), factor)
    factor = uniform(y)
    if factor is not None and (y.ndim == 1 or y.shape[1] == 1):
        return _times(value, _reduce(value, "add.reduce", x, [1], x.ndim == y.ndim == 2), factor)
    return None


def _times(value: Value, total: Value, factor: Any) -> Value:
    return _reshape(value, _ufunc(value, "multiply", total, _literal(value, factor)), value.shape)


RULES: dict[str, tuple[Rule, ...]] = {
    "multiply": (_multiply,),
    "divide": (_divide,),
    "add": (_add,),
    "subtract": (_subtract,),
    "negative": (_negative,),
    "power": (_power,),
    "square": (_square,),
    "where": (_where,),
    "cast": (_cast,),
    "bitcast": (_bitcast,),
    "reshape": (_reshape_of_view,),
    "slice": (_slice,),
    "transpose": (_transpose,),
    "broadcast_to": (_broadcast_to,),
    "dot": (_product,),
    "matmul": (_product,),
}
