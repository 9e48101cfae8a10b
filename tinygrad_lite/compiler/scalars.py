"""NumPy's elementwise operations on single elements, as LLVM IR."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.compiler import native_math
from tinygrad_lite.compiler.loops import Literal

__all__ = ["DTYPES", "REDUCTIONS", "Code", "identity_of", "knows", "type_of", "written"]

DTYPES: dict[np.dtype[Any], str] = {
    **{np.dtype(f"{kind}{size}"): f"i{8 * size}" for kind in "iu" for size in (1, 2, 4, 8)},
    np.dtype(np.bool_): "i1",
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
}
"""The dtypes that native code computes in, and LLVM's names of their types."""

ROUNDING = "arcp contract"
"""What may change in the last digit: a reciprocal may be computed once, a product and a sum as one operation."""

ANY_ORDER = "reassoc nsz arcp contract"
"""For sums of many elements: NumPy adds them in no simple order either."""

ARITHMETIC = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}
RELATIONS = {"equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge"}
BITWISE = {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor"}
LOGICAL = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor"}
EXTREMES = {"maximum": "max", "minimum": "min"}
PROPERTIES = {"isnan", "isinf", "isfinite", "signbit"}
REDUCTIONS = frozenset({"add", "multiply", "maximum", "minimum", "logical_and", "logical_or"})

INTEGER_POWERS = range(2, 5)


def type_of(dtype: Any) -> str:
    """LLVM's name of the type of a value; in memory a bool takes a byte."""
    return DTYPES[np.dtype(dtype)]


def written(literal: Literal) -> str:
    """A number as LLVM IR; of floats the bits, as those of a double."""
    dtype = literal.dtype
    if dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return f"0x{struct.unpack('<Q', struct.pack('<d', float(literal.value)))[0]:016X}"
    return str(int(literal.value))


def identity_of(op: str, dtype: Any) -> Any:
    """What a reduction starts from."""
    dtype = np.dtype(dtype)
    if op in EXTREMES:
        sign = -1 if op == "maximum" else 1
        if dtype.kind == "f":
            return dtype.type(sign * np.inf)
        if dtype.kind == "b":
            return dtype.type(op == "minimum")
        return dtype.type(np.iinfo(dtype).min if op == "maximum" else np.iinfo(dtype).max)
    return dtype.type(op in ("multiply", "logical_and"))


def knows(op: str, dtypes: Sequence[Any]) -> bool:
    """Whether there is native code for the ufunc's loop of these dtypes (operands, then result)."""
    if not all(np.dtype(dtype) in DTYPES for dtype in dtypes):
        return False
    kind = np.dtype(dtypes[0]).kind
    if op == "cast" and kind == "f" and np.dtype(dtypes[1]).kind in "iu":
        return np.dtype(dtypes[1]) in (np.int32, np.int64)  # C leaves the others open
    if op in ("cast", "copy", "where", "positive", "conjugate", "logical_not") or op in RELATIONS | LOGICAL | EXTREMES:
        return True
    if op in BITWISE or op == "invert":
        return bool(kind in "biu")
    if op in ("add", "subtract", "multiply", "negative", "absolute", "square") and kind in "iu":
        return True
    if op in ("add", "multiply") and kind == "b":
        return True
    if op in ARITHMETIC or op in ("negative", "logaddexp", "fabs") or op in PROPERTIES:
        return bool(kind == "f")
    return len(set(dtypes)) == 1 and native_math.knows(op, dtypes[0])


class Code:
    """Lines of LLVM IR.

    Attributes
    ----------
    lines : list of str
        So far.
    functions : set of (str, dtype)
        What was called of :mod:`native_math`.
    intrinsics : set of str
        The declarations of what else was called.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.functions: set[tuple[str, Any]] = set()
        self.intrinsics: set[str] = set()
        self._names = 0

    def new(self) -> str:
        """A name that nothing has."""
        self._names += 1
        return f"%v{self._names}"

    def emit(self, text: str) -> str:
        """Add a line that computes ``text``; the name of its result."""
        name = self.new()
        self.lines.append(f"  {name} = {text}")
        return name

    def add(self, line: str) -> None:
        """Add a line that gives nothing."""
        self.lines.append(f"  {line}")

    def intrinsic(self, name: str, dtype: Any, *operands: str, flags: str = "", last: str = "") -> str:
        """A call of LLVM's intrinsic on operands of one type; ``last`` is one more operand of type i1."""
        kind = type_of(dtype)
        suffix = {"float": "f32", "double": "f64"}.get(kind, kind)
        extra = ", i1" if last else ""
        self.intrinsics.add(f"declare {kind} @llvm.{name}.{suffix}({', '.join([kind] * len(operands))}{extra})")
        passed = ", ".join(f"{kind} {operand}" for operand in operands) + (f", i1 {last}" if last else "")
        return self.emit(f"call {flags} {kind} @llvm.{name}.{suffix}({passed})")

    def function(self, name: str, dtype: Any, *operands: str) -> str:
        """A call of a function of :mod:`native_math`."""
        self.functions.add((name, np.dtype(dtype)))
        kind = type_of(dtype)
        passed = ", ".join(f"{kind} {operand}" for operand in operands)
        return self.emit(f"call {kind} {native_math.symbol(name, dtype)}({passed})")

    def compute(self, op: str, operands: Sequence[str], dtypes: Sequence[np.dtype[Any]], flags: str = ROUNDING) -> str:
        """One element of a ufunc's loop of these dtypes."""
        dtype, kind = dtypes[0], type_of(dtypes[0])
        if op in ("copy", "positive", "conjugate"):
            return operands[0]
        if op == "cast":
            return self.cast(operands[0], dtypes[0], dtypes[1])
        if op == "where":
            return self.emit(
                f"select i1 {operands[0]}, {type_of(dtypes[1])} {operands[1]}, {type_of(dtypes[1])} {operands[2]}"
            )
        if op in RELATIONS:
            return self._compare(RELATIONS[op], dtype, *operands)
        if op in LOGICAL or op == "logical_not":
            truths = [self.cast(operand, dtype, np.dtype(np.bool_)) for operand in operands]
            return self.emit(f"{LOGICAL.get(op, 'xor')} i1 {truths[0]}, {truths[1] if len(truths) > 1 else 'true'}")
        if op in EXTREMES:
            return self._extreme(EXTREMES[op], dtype, *operands)
        if op in PROPERTIES:
            return self._property(op, dtype, operands[0])
        if op == "invert":
            return self.emit(f"xor {kind} {operands[0]}, -1")
        if op in BITWISE:
            return self.emit(f"{BITWISE[op]} {kind} {operands[0]}, {operands[1]}")
        if dtype.kind == "b":
            return self.emit(f"{'or' if op == 'add' else 'and'} i1 {operands[0]}, {operands[1]}")
        if op in ARITHMETIC:
            prefix = f"f{ARITHMETIC[op]} {flags}" if dtype.kind == "f" else ARITHMETIC[op]
            return self.emit(f"{prefix} {kind} {operands[0]}, {operands[1]}")
        if op == "negative":
            return self.emit(f"fneg {kind} {operands[0]}" if dtype.kind == "f" else f"sub {kind} 0, {operands[0]}")
        if dtype.kind in "iu":
            return self._of_integer(op, dtype, operands[0])
        if op == "logaddexp":
            return self._logaddexp(dtype, *operands)
        return self.function({"fabs": "absolute"}.get(op, op), dtype, *operands)

    def cast(self, operand: str, old: np.dtype[Any], new: np.dtype[Any]) -> str:
        """The element as another dtype, as C converts it."""
        if old == new:
            return operand
        a, b = type_of(old), type_of(new)
        if new.kind == "b":
            return self.emit(f"fcmp une {a} {operand}, 0.0" if old.kind == "f" else f"icmp ne {a} {operand}, 0")
        if old.kind == new.kind == "f":
            return self.emit(f"{'fpext' if new.itemsize > old.itemsize else 'fptrunc'} {a} {operand} to {b}")
        if new.kind == "f":
            return self.emit(f"{'sitofp' if old.kind == 'i' else 'uitofp'} {a} {operand} to {b}")
        if old.kind == "f":
            return self.emit(f"{'fptosi' if new.kind == 'i' else 'fptoui'} {a} {operand} to {b}")
        if a == b:
            return operand
        if old.kind == "b" or new.itemsize > old.itemsize:
            return self.emit(f"{'sext' if old.kind == 'i' else 'zext'} {a} {operand} to {b}")
        return self.emit(f"trunc {a} {operand} to {b}")

    def _compare(self, relation: str, dtype: np.dtype[Any], x: str, y: str) -> str:
        if dtype.kind == "f":
            return self.emit(f"fcmp {'u' if relation == 'ne' else 'o'}{relation} {type_of(dtype)} {x}, {y}")
        sign = "" if relation in ("eq", "ne") else "s" if dtype.kind == "i" else "u"
        return self.emit(f"icmp {sign}{relation} {type_of(dtype)} {x}, {y}")

    def _extreme(self, which: str, dtype: np.dtype[Any], x: str, y: str) -> str:
        """The larger or the smaller; NaN if one is."""
        if dtype.kind == "b":
            return self.emit(f"{'or' if which == 'max' else 'and'} i1 {x}, {y}")
        if dtype.kind == "f":
            return self.intrinsic(which + "imum", dtype, x, y, flags="nsz")
        return self.intrinsic(("s" if dtype.kind == "i" else "u") + which, dtype, x, y)

    def _property(self, op: str, dtype: np.dtype[Any], x: str) -> str:
        kind = type_of(dtype)
        if op == "isnan":
            return self.emit(f"fcmp uno {kind} {x}, {x}")
        if op == "signbit":
            bits = f"i{8 * dtype.itemsize}"
            return self.emit(f"icmp slt {bits} {self.emit(f'bitcast {kind} {x} to {bits}')}, 0")
        size = self.intrinsic("fabs", dtype, x)
        infinity = written(Literal(dtype.type(np.inf)))
        return self.emit(f"fcmp {'oeq' if op == 'isinf' else 'olt'} {kind} {size}, {infinity}")

    def _of_integer(self, op: str, dtype: np.dtype[Any], x: str) -> str:
        if op == "square":
            return self.emit(f"mul {type_of(dtype)} {x}, {x}")
        return self.intrinsic("abs", dtype, x, last="false") if dtype.kind == "i" else x

    def _logaddexp(self, dtype: np.dtype[Any], x: str, y: str) -> str:
        """``log(e^x + e^y)``: the larger plus ``log1p(e^-|x - y|)``, without ``inf - inf``."""
        kind = type_of(dtype)
        distance = self.intrinsic("fabs", dtype, self.emit(f"fsub {kind} {x}, {y}"))
        rest = self.function("log1p", dtype, self.function("exp", dtype, self.emit(f"fneg {kind} {distance}")))
        same = self.emit(f"fcmp oeq {kind} {x}, {y}")
        rest = self.emit(f"select i1 {same}, {kind} {written(Literal(dtype.type(np.log(2))))}, {kind} {rest}")
        return self.emit(f"fadd {kind} {self._extreme('max', dtype, x, y)}, {rest}")


def simplified(op: str, operands: Sequence[Any]) -> tuple[str, int]:
    """A power with a number: a square root, or ``("multiply", 3)`` for three factors; else the op and 0."""
    if op == "power" and isinstance(operands[1], Literal) and operands[1].value == 0.5:
        return "sqrt", 1
    if op == "power" and isinstance(operands[1], Literal) and operands[1].value in INTEGER_POWERS:
        return "multiply", int(operands[1].value)
    return op, 0
