"""How each operation of a program is written in NumPy: as an expression, or with memory for its result.

Both the program to read and the program to run are written from this table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.compiler.program import Slot, Value

__all__ = ["Call", "has_out", "literal", "written"]

SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
"""Ufuncs that are exactly what an operator does, on arrays and on NumPy's scalars."""

REDUCTIONS = {
    "add": "np.sum",
    "multiply": "np.prod",
    "maximum": "np.max",
    "minimum": "np.min",
    "logical_and": "np.all",
    "logical_or": "np.any",
}
"""The functions that are nothing but a ufunc's ``reduce``."""

OUT_BY_KEYWORD = {"maximum", "minimum"}
"""Ufuncs that want ``out`` to be named."""

DRAWS_INTO = {"random", "standard_normal"}
"""Methods of a generator, of a size and a dtype, that fill an array."""

CALLED_AS_THEY_ARE = {"getitem", "call", "pick", "ravel_multi_index", "take"}
"""Operations that give a new array at every call."""


@dataclass(frozen=True)
class Call:
    """A call that is to be written.

    Attributes
    ----------
    value : Value
        What it computes.
    operands : sequence of str
        How its inputs are written: names, or expressions that need no parentheses.
    refer : callable
        Gives the text for ``np.something`` and for things that are not literals.
    out : str, optional
        The array that takes the result (of ``reshape``: in the shape of its input); without it the call is an
        expression.
    memory : int, optional
        The number of the operand that lies in the very memory of ``out``.
    name : str, optional
        Without ``out``: the variable to be assigned, for what takes more than one statement.
    """

    value: Value
    operands: Sequence[str]
    refer: Callable[[Any], str]
    out: str | None = None
    memory: int | None = None
    name: str = "changed"


def written(call: Call) -> list[str]:
    """The call in NumPy: one expression, or with ``out`` the statements that fill it.

    What changes a copy (``setitem``, ``add.at``) is statements in any case.

    Examples
    --------
    >>> x = Value("input", shape=(2, 3), place=0)
    >>> y = Value("add", (x, x), (2, 3), dtypes=(np.dtype("f4"),) * 3, forced=False)
    >>> written(Call(y, ["a", "b"], str)), written(Call(y, ["a", "b"], str, out="c"))
    (['a + b'], ['np.add(a, b, c)'])
    """
    op = call.value.op
    if op in _FORMS:
        return _FORMS[op](call)
    return _reduction(call) if op.endswith(".reduce") else _ufunc(call)


def has_out(value: Value) -> bool:
    """Whether the call can put its result into memory that is there already."""
    if value.op == "draw":
        return value.params["method"] in DRAWS_INTO and value.ndim > 0
    if value.op == "where":
        return bool(value.inputs[0].dtype == np.bool_)
    return value.op not in CALLED_AS_THEY_ARE


def literal(x: Any) -> str:
    """A Python number, or a tree of them, as source.

    Examples
    --------
    >>> literal(0.5), literal((1, -math.inf)), literal(np.dtype("f4"))
    ('0.5', '(1, -np.inf)', 'np.float32')
    """
    if isinstance(x, float):
        if math.isfinite(x):
            return repr(float(x))  # of NumPy's own floats, too, which are Python floats
        return "np.nan" if math.isnan(x) else "np.inf" if x > 0 else "-np.inf"
    if isinstance(x, tuple):
        return f"({', '.join(map(literal, x))}{',' if len(x) == 1 else ''})"
    if isinstance(x, list):
        return f"[{', '.join(map(literal, x))}]"
    if isinstance(x, np.dtype):
        return f"np.{x.type.__name__}" if x == np.dtype(x.type) else repr(x).replace("dtype", "np.dtype", 1)
    if isinstance(x, type) and issubclass(x, np.generic):
        return f"np.{x.__name__}"
    if x is None or x is Ellipsis or isinstance(x, (bool, int, str)):
        return "..." if x is Ellipsis else repr(x)
    if isinstance(x, slice):
        return f"slice({literal(x.start)}, {literal(x.stop)}, {literal(x.step)})"
    raise TypeError(f"{x!r} is not written as a literal")


# ---- the forms


def _into(call: Call, expression: str) -> list[str]:
    """The expression, or a copy of it into ``out``."""
    if call.out is None:
        return [expression]
    return [f"{call.refer('np.copyto')}({call.out}, {expression})"]


def _ufunc(call: Call) -> list[str]:
    op, operands = call.value.op, call.operands
    forced = [f"dtype={call.refer(call.value.params['dtypes'][-1])}"] if call.value.params["forced"] else []
    if call.out is None and not forced and op in SIGNS:
        return [f"{operands[0]} {SIGNS[op]} {operands[1]}"]
    if call.out is None and not forced and op == "negative":
        return [f"-{operands[0]}"]
    out = [] if call.out is None else [f"out={call.out}" if op in OUT_BY_KEYWORD else call.out]
    return [f"{call.refer(f'np.{op}')}({', '.join([*operands, *out, *forced])})"]


def _reduction(call: Call) -> list[str]:
    value, params, name = call.value, call.value.params, call.value.op.removesuffix(".reduce")
    axes, (operand,) = params["axis"], call.operands
    axis = "None" if len(axes) == value.inputs[0].ndim > 0 else literal(axes[0] if len(axes) == 1 else axes)
    dtype = "None" if params["computed_in"] is None else call.refer(np.dtype(params["computed_in"]))
    initial = [] if params["initial"] is None else [f"initial={literal(params['initial'])}"]
    if call.out is not None:
        keepdims = ["True"] if params["keepdims"] else []
        arguments = [operand, axis, dtype, call.out, *keepdims, *initial]
        return [f"{call.refer(f'np.{name}.reduce')}({', '.join(arguments)})"]
    given = [f"axis={axis}"] if axis != "None" or name not in REDUCTIONS else []
    given += [f"dtype={dtype}"] if dtype != "None" else []
    given += ["keepdims=True"] if params["keepdims"] else []
    short = name in REDUCTIONS and not (name.startswith("logical") and (initial or dtype != "None"))
    function = REDUCTIONS[name] if short else f"np.{name}.reduce"
    return [f"{call.refer(function)}({', '.join([operand, *given, *initial])})"]


def _product(call: Call) -> list[str]:
    out = [] if call.out is None else [call.out]
    return [f"{call.refer(f'np.{call.value.op}')}({', '.join([*call.operands, *out])})"]


def _where(call: Call) -> list[str]:
    condition, x, y = call.operands
    if call.out is None:
        return [f"{call.refer('np.where')}({condition}, {x}, {y})"]
    copyto = call.refer("np.copyto")
    rest = [] if call.memory == 2 else [f"{copyto}({call.out}, {y}, 'unsafe')"]
    return [*rest, f"{copyto}({call.out}, {x}, 'unsafe', {condition})"]


def _copy(call: Call) -> list[str]:
    order = "" if call.value.params["layout"] == "K" else f", order={call.value.params['layout']!r}"
    return _into(call, f"{call.refer('np.copy')}({call.operands[0]}{order})" if call.out is None else call.operands[0])


def _cast(call: Call) -> list[str]:
    if call.out is not None:
        return [f"{call.refer('np.copyto')}({call.out}, {call.operands[0]}, 'unsafe')"]
    return [f"{call.refer('np.asarray')}({call.operands[0]}, {call.refer(call.value.dtype)})"]


def _reshape(call: Call) -> list[str]:
    (operand,), old, new = call.operands, call.value.inputs[0].shape, call.value.shape
    if call.out is None and len(new) == len(old) + 1:
        for axis, n in enumerate(new):
            if n == 1 and (*new[:axis], *new[axis + 1 :]) == old and old:
                return [f"{operand}[{', '.join([':'] * axis + ['None'] + ['...'] * (axis < len(old)))}]"]
    if call.out is not None:  # a copy: ``out`` is seen in the shape of the operand
        return [f"{call.refer('np.copyto')}({call.out}, {operand})"]
    return [f"{call.refer('np.reshape')}({operand}, {literal(new)})"]


def _transpose(call: Call) -> list[str]:
    axes = call.value.params["axes"]
    if tuple(axes) == tuple(reversed(range(len(axes)))):
        return _into(call, f"{call.operands[0]}.T")
    return _into(call, f"{call.refer('np.transpose')}({call.operands[0]}, {literal(tuple(axes))})")


def _broadcast_to(call: Call) -> list[str]:
    if call.out is not None:
        return [f"{call.refer('np.copyto')}({call.out}, {call.operands[0]})"]
    return [f"{call.refer('np.broadcast_to')}({call.operands[0]}, {literal(call.value.shape)})"]


def _slice(call: Call) -> list[str]:
    return _into(call, f"{call.operands[0]}[{_index(call)}]")


def _bitcast(call: Call) -> list[str]:
    return _into(call, f"{call.operands[0]}.view({call.refer(call.value.dtype)})")


def _changed(call: Call) -> list[str]:
    """A copy of the first operand, changed: statements even without ``out``."""
    name = call.out or call.name
    if call.memory == 0:
        start = []
    elif call.out is None:
        start = [f"{name} = {call.refer('np.copy')}({call.operands[0]})"]
    else:
        start = [f"{call.refer('np.copyto')}({name}, {call.operands[0]})"]
    if call.value.op == "setitem":
        return [*start, f"{name}[{_index(call)}] = {call.operands[1]}"]
    return [*start, f"{call.refer('np.add.at')}({name}, {call.refer('np.s_')}[{_index(call)}], {call.operands[1]})"]


def _getitem(call: Call) -> list[str]:
    return [f"{call.operands[0]}[{_index(call)}]"]


def _function(call: Call) -> list[str]:
    params = call.value.params
    arguments = [_argument(item, call) for item in params["args"]]
    keywords = [f"{key}={_argument(item, call)}" for key, item in params["kwargs"].items()]
    return [f"{call.refer(params['function'])}({', '.join(arguments + keywords)})"]


def _pick(call: Call) -> list[str]:
    return [f"{call.operands[0]}[{call.value.params['index']}]"]


def _ravel_multi_index(call: Call) -> list[str]:
    dims = literal(tuple(call.value.params["dims"]))
    return [f"{call.refer('np.ravel_multi_index')}(({call.operands[0]},), {dims})"]


def _take(call: Call) -> list[str]:
    return [f"{call.refer('np.take')}({', '.join(call.operands)})"]


def _draw(call: Call) -> list[str]:
    params = call.value.params
    method = f"{call.refer(params['generator'])}.{params['method']}"
    if call.out is not None:
        return [f"{method}(dtype={call.refer(call.value.dtype)}, out={call.out})"]
    arguments = [_argument(item, call) for item in params["args"]]
    keywords = [f"{key}={_argument(item, call)}" for key, item in params["kwargs"].items()]
    return [f"{method}({', '.join(arguments + keywords)})"]


def _argument(item: Any, call: Call) -> str:
    """An argument of a call: its slots filled, the rest literal or referred to."""
    if isinstance(item, Slot):
        return call.operands[item.number]
    if isinstance(item, tuple):
        return f"({', '.join(_argument(part, call) for part in item)}{',' if len(item) == 1 else ''})"
    if isinstance(item, list):
        return f"[{', '.join(_argument(part, call) for part in item)}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{key!r}: {_argument(part, call)}' for key, part in item.items())}}}"
    try:
        return literal(item) if not isinstance(item, (type, np.dtype)) else call.refer(np.dtype(item))
    except TypeError:
        return call.refer(item)


def _index(call: Call) -> str:
    """What stands between the brackets."""
    parts = [_slice_text(p) if isinstance(p, slice) else _argument(p, call) for p in call.value.params["key"]]
    if len(parts) > 1 and parts[-1] == "..." and "..." not in parts[:-1] and not _gives_a_scalar(call.value):
        parts.pop()  # the ellipsis only keeps a 0-d result an array
    return ", ".join(parts) or "()"


def _gives_a_scalar(value: Value) -> bool:
    return value.op == "slice" and value.ndim == 0


def _slice_text(key: slice) -> str:
    start, stop = ("" if part is None else literal(part) for part in (key.start, key.stop))
    return f"{start}:{stop}" + ("" if key.step is None else f":{literal(key.step)}")


_FORMS: dict[str, Callable[[Call], list[str]]] = {
    "dot": _product,
    "matmul": _product,
    "where": _where,
    "copy": _copy,
    "cast": _cast,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "slice": _slice,
    "bitcast": _bitcast,
    "setitem": _changed,
    "add.at": _changed,
    "getitem": _getitem,
    "call": _function,
    "pick": _pick,
    "ravel_multi_index": _ravel_multi_index,
    "take": _take,
    "draw": _draw,
}
