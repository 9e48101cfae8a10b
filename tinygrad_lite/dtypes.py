"""The data types, under PyTorch's names, and PyTorch's promotion between them.

A dtype here is NumPy's own ``np.dtype``; only the promotion differs from NumPy's: an integer
never widens a float (int64 + float32 is float32), and 0-d tensors and Python numbers give way
to tensors with dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "bool_",
    "double",
    "float16",
    "float32",
    "float64",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "promote_types",
    "result_type",
    "short",
    "uint8",
]

bool_ = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
float16 = half = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)

DTypeLike = Any  # whatever np.dtype() accepts: a dtype, a NumPy scalar type, float, int, bool

_SUPPORTED = {d.char: d for d in (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}
_SCALAR_DTYPE = {bool: bool_, int: int64, float: float32}


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The supported dtype that ``dtype`` names; Python's ``float`` means float64 and ``int`` int64.

    Raises
    ------
    TypeError
        If the dtype is none of bool, uint8, int8 to int64, float16 to float64.
    """
    found = np.dtype(dtype)
    native = _SUPPORTED.get(found.char)
    if native is None:  # platform aliases (long long) and foreign byte orders have another char
        native = next((d for d in _SUPPORTED.values() if d == found.newbyteorder("=")), None)
    if native is None:
        names = ", ".join(d.name for d in _SUPPORTED.values())
        raise TypeError(f"dtype {found} is not supported: use one of {names}")
    return native


def promote_types(type1: DTypeLike, type2: DTypeLike) -> np.dtype[Any]:
    """The smallest dtype that both convert to, by PyTorch's table.

    Between categories (bool < integer < float) the higher one decides alone.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.promote_types(tl.int64, tl.float32)
    dtype('float32')
    >>> tl.promote_types(tl.uint8, tl.int8)
    dtype('int16')
    """
    a, b = np.dtype(type1), np.dtype(type2)
    difference = _CATEGORY[a.kind] - _CATEGORY[b.kind]
    if difference == 0:
        return np.promote_types(a, b)
    return a if difference > 0 else b


def scalar_dtype(value: object) -> np.dtype[Any]:
    """The dtype that a Python number has on its own: bool, int64 or the default float32."""
    for kind, dtype in _SCALAR_DTYPE.items():
        if isinstance(value, kind):
            return dtype
    raise TypeError(f"expected a number, not {type(value).__name__}")


def combine(dtypes: Iterable[tuple[int, np.dtype[Any]]]) -> np.dtype[Any]:
    """The result dtype of operands given as ``(rank, dtype)``.

    Rank 2 is a tensor with dimensions, 1 a 0-d tensor, 0 a Python number. A lower rank counts
    only where its category is higher than what the ranks above it agreed on.
    """
    by_rank: list[np.dtype[Any] | None] = [None, None, None]
    for rank, dtype in dtypes:
        known = by_rank[rank]
        by_rank[rank] = dtype if known is None else promote_types(known, dtype)
    result: np.dtype[Any] | None = None
    for candidate in reversed(by_rank):
        if candidate is None:
            continue
        if result is None or _CATEGORY[candidate.kind] > _CATEGORY[result.kind]:
            result = candidate
    assert result is not None, "combine() of no operands"
    return result


def result_type(*operands: Any) -> np.dtype[Any]:
    """The dtype that an operation on these tensors, arrays and Python numbers computes in.

    Parameters
    ----------
    *operands : Tensor, ndarray or Python number
        Any shapes; only dtype and "has dimensions or not" matter.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.result_type(tl.tensor([1, 2]), 1.5)
    dtype('float32')
    """
    return combine(rank_and_dtype(operand) for operand in operands)


def check_number(name: str, value: object, dtype: np.dtype[Any]) -> None:
    """Raise if a Python number does not fit into an integer dtype, where ``name`` would put it.

    Raises
    ------
    RuntimeError
        For a number beyond the range of the dtype, inf and nan.
    """
    if dtype.kind in "iu" and isinstance(value, (int, float)):
        limits = np.iinfo(dtype)
        if not limits.min <= value <= limits.max:
            raise RuntimeError(f"{name}: {value} does not fit into {dtype}, from {limits.min} to {limits.max}")


def rank_and_dtype(operand: Any) -> tuple[int, np.dtype[Any]]:
    """How strongly an operand's dtype counts, and the dtype: see :func:`combine`."""
    if isinstance(operand, (bool, int, float)):  # np.float64 is a float, and counts as one
        return 0, scalar_dtype(operand)
    dtype = getattr(operand, "dtype", None)
    if dtype is None:
        raise TypeError(f"expected a Tensor, an array or a number, not {type(operand).__name__}")
    return (2 if operand.ndim else 1), as_dtype(dtype)
