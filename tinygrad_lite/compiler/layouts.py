"""The layout in memory that a call gives its result, found on arrays of one element that stand in for the values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler.program import Value

__all__ = ["cast_stand_in", "looked_at", "same_layout", "stand_in"]

Array = NDArray[Any]


def looked_at(x: Value, op: str, params: dict[str, Any]) -> Array:
    """What a view of a value looks like; its elements are not for reading."""
    array = stand_in(x)
    if op == "slice":
        found: Array = array[params["key"]]
        return found
    if op == "transpose":
        return np.transpose(array, params["axes"])
    if op == "broadcast_to":
        return np.broadcast_to(array, params["shape"])
    return cast_stand_in(x, params["dtype"]) if op == "bitcast" else _reshaped(x, params["shape"])


def _reshaped(x: Value, shape: tuple[int, ...]) -> Array:
    """An array with the layout that reshaping gives; its elements are not for reading."""
    array = stand_in(x)
    reshaped = array.view()
    try:
        reshaped.shape = shape  # fails where it would take a copy
    except AttributeError:
        return np.empty(shape, x.dtype)
    return reshaped


def stand_in(x: Value) -> Array:
    """An array with the shape, dtype and layout of a value; its elements are not for reading."""
    return np.lib.stride_tricks.as_strided(np.empty((), x.dtype), x.shape, x.order)


def cast_stand_in(x: Value, dtype: Any) -> Array:
    """What casting a value gives, as it were; its elements are not for reading."""
    return np.empty_like(stand_in(x), dtype)


def same_layout(x: Value, y: Value) -> bool:
    """Whether two values of one shape lie in memory in the same way."""
    return x.size < 2 or all(a == b for n, a, b in zip(x.shape, x.order, y.order, strict=True) if n > 1)
