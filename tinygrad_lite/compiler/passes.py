"""Passes: functions from a program to a program that computes the same with less.

Those in ``EXACT`` leave every number as it is, bit for bit. Those in ``NATIVE`` are algebra, and may round differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.compiler.algebra import simplify, uniform
from tinygrad_lite.compiler.naming import names_of
from tinygrad_lite.compiler.program import CHECKS, VIEWS, Program, Value, compute

__all__ = ["EXACT", "NATIVE", "fold_constants", "listing", "merge_equal", "run_passes", "simplify", "uniform"]

LARGEST_FOLDED = 1 << 16
"""Bytes of a folded constant that is larger than what it is computed from."""


def run_passes(program: Program, passes: tuple[Callable[[Program], Program], ...]) -> Program:
    """The program after all passes, one after the other."""
    for change in passes:
        program = change(program)
    return program


# ---- exact


def merge_equal(program: Program) -> Program:
    """Compute only once what is computed twice: the same call of the same values.

    Random draws are never merged; constants are where their dtype, layout and content are the same.

    Examples
    --------
    >>> x = Value("input", shape=(2,), place=0)
    >>> twice = [Value("exp", (x,), (2,), dtypes=(np.dtype("f4"),) * 2, forced=False) for _ in range(2)]
    >>> first, second = merge_equal(Program([x], ["x"], ["argument"], outputs=twice)).outputs
    >>> first is second
    True
    """
    known: dict[Any, Value] = {}

    def merged(value: Value, inputs: tuple[Value, ...]) -> Value:
        value = value.like(_apart(value, inputs))
        if value.op in {"draw", "input"}:
            return value
        params = tuple((key, _frozen(item)) for key, item in sorted(value.params.items()))
        key = (value.op, tuple(map(id, value.inputs)), params, value.shape, value.dtype, value.order)
        return known.setdefault(key, value)

    return program.map(merged)


def _apart(value: Value, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """The inputs of a product; two that became one memory are kept apart, since BLAS rounds ``x @ x.T`` differently."""
    if value.op not in {"dot", "matmul"} or _memory(inputs[0]) is not _memory(inputs[1]):
        return inputs
    if _memory(value.inputs[0]) is _memory(value.inputs[1]):
        return inputs
    x, y = inputs
    return x, Value("copy", (y,), y.shape, y.dtype, y.order, value.origin, value.position, layout="K")


def _memory(value: Value) -> Value:
    while value.op in VIEWS:
        (value,) = value.inputs
    return value


def _frozen(item: Any) -> Any:
    """Something hashable that is equal for things that are the same, type, sign of zero and layout included."""
    if isinstance(item, np.ndarray):
        return item.shape, item.dtype, item.strides, item.tobytes()
    if isinstance(item, (tuple, list)):
        return type(item), tuple(map(_frozen, item))
    if isinstance(item, dict):
        return tuple((key, _frozen(part)) for key, part in item.items())
    if isinstance(item, slice):
        return slice, item.start, item.stop, item.step
    if isinstance(item, (bool, int, float, complex)):
        return type(item), repr(item)
    return item if item.__hash__ is not None else id(item)


def fold_constants(program: Program) -> Program:
    """Compute now what depends on constants alone.

    Results that are larger than all they depend on, and than 64 KiB, stay calls; so do checks, functions in general,
    and broadcasting, so that a constant of equal or counted elements keeps its few elements.

    Examples
    --------
    >>> x = Value("constant", shape=(2,), data=np.array([0, 1], np.float32))
    >>> y = Value("exp", (x,), (2,), dtypes=(np.dtype("f4"),) * 2, forced=False)
    >>> fold_constants(Program(outputs=[y])).outputs[0].params["data"]
    array([1.      , 2.718282], dtype=float32)
    """
    return program.map(_folded)


def _folded(value: Value, inputs: tuple[Value, ...]) -> Value:
    if not inputs or not all(x.op == "constant" for x in inputs):
        return value.like(inputs)
    if value.op in CHECKS or value.op in {"call", "pick", "broadcast_to"}:
        return value.like(inputs)
    if value.nbytes > max(LARGEST_FOLDED, *(x.nbytes for x in inputs)):
        return value.like(inputs)
    with np.errstate(all="ignore"):
        data = np.asarray(compute(value, *(x.params["data"] for x in inputs)))
    return Value("constant", (), data.shape, data.dtype, data.strides, value.origin, value.position, data=data)


EXACT = (fold_constants, merge_equal)
"""Passes after which every result is bitwise the same."""


NATIVE = (fold_constants, merge_equal, simplify, fold_constants, merge_equal)
"""Passes for a backend that rounds in its own way."""


# ---- to look at


def listing(program: Program) -> str:
    """The program as text, a line for each value: to be compared before and after a pass.

    Examples
    --------
    >>> x = Value("input", shape=(2,), place=0)
    >>> y = Value("exp", (x,), (2,), dtypes=(np.dtype("f4"),) * 2, forced=False)
    >>> print(listing(Program([x], ["x"], ["argument"], outputs=[y])))
    x       input()                float32[2]
    output0 exp(x)                 float32[2]
    """
    names = names_of(program)
    rows = []
    for value in program.values():
        if value in names:
            call = f"{value.op}({', '.join(_operand(x, names) for x in value.inputs)})"
            rows.append((names[value], call + _told(value), f"{value.dtype}{list(value.shape)}"))
    rows += [(names[program.inputs[i]], f"<- {_operand(value, names)}", "") for i, value in program.writes]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}} {call:{max(widths[1], 22)}} {kind}".rstrip() for name, call, kind in rows)


def _operand(value: Value, names: dict[Value, str]) -> str:
    return names[value] if value in names else str(value.params.get("source", value.params.get("data")))


def _told(value: Value) -> str:
    """The params that say something about the call."""
    silent = {"dtypes", "forced", "place", "data", "generator", "source"}
    return "".join(f" {key}={item!r}" for key, item in value.params.items() if key not in silent and item is not None)
