"""Comparisons and logic: bool tensors, without derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.tensor import Tensor, as_array, wrap

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
]


def _comparison(
    ufunc: np.ufunc, name: str, meaning: str, example: str, on_floats: type[Exception] | None = None
) -> Any:
    """A primitive without derivative: an elementwise ufunc under PyTorch's name, which may refuse floats."""

    def check(dtype: np.dtype[Any]) -> None:
        if on_floats is not None and dtype.kind == "f":
            raise on_floats(f"{name} of {dtype}: only bools and integers have bits; compare first, as in x > 0")

    if ufunc.nin == 1:

        def forward(input: Any) -> Any:
            check(input.dtype)
            return ufunc(input)
    else:

        def forward(input: Any, other: Any) -> Any:  # type: ignore[misc]
            check(input.dtype)
            return ufunc(input, other)

    arguments, result = example.split(" -> ")
    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"""{meaning}, elementwise.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.{name}({arguments})
    tensor({result})
    """
    return primitive(ufunc, casts="common")(forward)


_NUMBERS = "tl.tensor([1, 2, 3]), 2"
_TRUTHS = "tl.tensor([False, True]), tl.tensor([True, True])"
_SPECIAL = "tl.tensor([1.0, tl.inf, tl.nan])"

eq = _comparison(np.equal, "eq", "``input == other``", f"{_NUMBERS} -> [False,  True, False]")
ne = _comparison(np.not_equal, "ne", "``input != other``", f"{_NUMBERS} -> [ True, False,  True]")
lt = _comparison(np.less, "lt", "``input < other``", f"{_NUMBERS} -> [ True, False, False]")
le = _comparison(np.less_equal, "le", "``input <= other``", f"{_NUMBERS} -> [ True,  True, False]")
gt = _comparison(np.greater, "gt", "``input > other``", f"{_NUMBERS} -> [False, False,  True]")
ge = _comparison(np.greater_equal, "ge", "``input >= other``", f"{_NUMBERS} -> [False,  True,  True]")
logical_and = _comparison(
    np.logical_and, "logical_and", "Whether both are true (not 0)", f"{_TRUTHS} -> [False,  True]"
)
logical_or = _comparison(
    np.logical_or, "logical_or", "Whether at least one is true (not 0)", f"{_TRUTHS} -> [True, True]"
)
logical_xor = _comparison(
    np.logical_xor, "logical_xor", "Whether exactly one is true (not 0)", f"{_TRUTHS} -> [ True, False]"
)
logical_not = _comparison(
    np.logical_not, "logical_not", "Whether it is false (0)", "tl.tensor([0, 2]) -> [ True, False]"
)
isnan = _comparison(np.isnan, "isnan", "Whether it is not a number", f"{_SPECIAL} -> [False, False,  True]")
isinf = _comparison(np.isinf, "isinf", "Whether it is inf or -inf", f"{_SPECIAL} -> [False,  True, False]")
isfinite = _comparison(
    np.isfinite, "isfinite", "Whether it is neither infinite nor nan", f"{_SPECIAL} -> [ True, False, False]"
)
bitwise_and = _comparison(
    np.bitwise_and, "bitwise_and", "``input & other`` of bools or integers", "tl.tensor([6]), 3 -> [2]", RuntimeError
)
bitwise_or = _comparison(
    np.bitwise_or, "bitwise_or", "``input | other`` of bools or integers", "tl.tensor([6]), 3 -> [7]", RuntimeError
)
bitwise_xor = _comparison(
    np.bitwise_xor, "bitwise_xor", "``input ^ other`` of bools or integers", "tl.tensor([6]), 3 -> [5]", RuntimeError
)
bitwise_not = _comparison(
    np.invert, "bitwise_not", "``~input`` of bools or integers", "tl.tensor([6]) -> [-7]", TypeError
)


def same(input: Tensor, other: Any) -> Any:
    """``input == other`` as an operator: unlike :func:`eq`, False for what is no number."""
    return eq(input, other) if isinstance(other, (Tensor, np.ndarray, np.generic, int, float)) else NotImplemented


def different(input: Tensor, other: Any) -> Any:
    """``input != other`` as an operator: unlike :func:`ne`, True for what is no number."""
    return ne(input, other) if isinstance(other, (Tensor, np.ndarray, np.generic, int, float)) else NotImplemented


def contains(input: Tensor, element: Any) -> bool:
    """``element in input``: whether any element equals it."""
    return bool(np.any(as_array(eq(input, element))))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.equal(tl.tensor([1, 2]), tl.tensor([1, 2]))
    True
    """
    return np.array_equal(as_array(input), as_array(other))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``, elementwise.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.isclose(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    close = np.isclose(as_array(input), as_array(other), rtol, atol, equal_nan)
    return wrap(np.asarray(close))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close: see :func:`isclose`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.allclose(tl.tensor([1.0]), tl.tensor([1.0 + 1e-9]))
    True
    """
    return np.allclose(as_array(input), as_array(other), rtol, atol, equal_nan)
