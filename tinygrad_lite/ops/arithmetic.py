"""Arithmetic: sums, products, powers and roots, elementwise.

Every function broadcasts its inputs as NumPy does, brings them to PyTorch's result type, and
returns a Tensor if any input is one (an ndarray otherwise). ``div``, ``sqrt`` and ``reciprocal``
turn integers into float32 first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.tensor import NUMPY, Tensor
from tinygrad_lite.dtypes import check_number, result_type

__all__ = [
    "add",
    "clone",
    "div",
    "divide",
    "floor_divide",
    "fmod",
    "mul",
    "multiply",
    "neg",
    "negative",
    "pow",
    "reciprocal",
    "remainder",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "true_divide",
]


@primitive(np.add, casts="common")
def add(input: Any, other: Any) -> Tensor:
    """``input + other``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.add(tl.tensor([1.0, 2.0]), 1)
    tensor([2., 3.])
    """
    return np.add(input, other)


@add.vjp(0)
def _(g, out, x, y):
    return g


@add.vjp(1)
def _(g, out, x, y):
    return g


@primitive(np.subtract, casts="common")
def sub(input: Any, other: Any) -> Tensor:
    """``input - other``; bools have no difference.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sub(tl.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    try:
        return np.subtract(input, other)
    except TypeError as error:
        raise RuntimeError("sub: bools have no difference: use ^ for where they differ, ~ to invert a mask") from error


@sub.vjp(0)
def _(g, out, x, y):
    return g


@sub.vjp(1)
def _(g, out, x, y):
    return -g


@primitive(np.multiply, saves="input other", casts="common")
def mul(input: Any, other: Any) -> Tensor:
    """``input * other``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.mul(tl.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return np.multiply(input, other)


@mul.vjp(0)
def _(g, out, x, y):
    return g * y


@mul.vjp(1)
def _(g, out, x, y):
    return g * x


@primitive(np.divide, saves="out other", casts="float")
def div(input: Any, other: Any) -> Tensor:
    """``input / other``, true division; by zero it gives inf or nan.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.div(tl.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return np.divide(input, other)


@div.vjp(0)
def _(g, out, x, y):
    return g / y


@div.vjp(1)
def _(g, out, x, y):
    return -g * out / y


@primitive(np.floor_divide, casts="common")
def floor_divide(input: Any, other: Any) -> Tensor:
    """``input // other``, rounded towards minus infinity; it passes no gradient.

    Raises
    ------
    RuntimeError
        For an integer divided by zero.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.floor_divide(tl.tensor([5, -5]), 2)
    tensor([ 2, -3])
    """
    return _whole(np.floor_divide, input, other)


def _whole(divide, input, other):
    """A division with rest: floats by zero are inf or nan, integers by zero an error."""
    if input.dtype.kind == "f":
        return divide(input, other)
    try:
        with np.errstate(divide="raise"):
            return divide(input, other)
    except FloatingPointError:
        raise RuntimeError(f"{divide.__name__}: integers cannot be divided by zero; convert with .float()") from None


@primitive(np.remainder, saves="input other", casts="common")
def remainder(input: Any, other: Any) -> Tensor:
    """``input % other``, with the sign of ``other``.

    Raises
    ------
    RuntimeError
        For an integer divided by zero.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.remainder(tl.tensor([5.0, -5.0]), 3)
    tensor([2., 1.])
    """
    return _whole(np.remainder, input, other)


@remainder.vjp(0)
def _(g, out, x, y):
    return g


@remainder.vjp(1)
def _(g, out, x, y):
    return -g * np.floor_divide(x, y)


NUMPY[np.divmod] = lambda x, y: (floor_divide(x, y), remainder(x, y))


@primitive(np.fmod, saves="input other", casts="common")
def fmod(input: Any, other: Any) -> Tensor:
    """The rest of ``input / other``, with the sign of ``input``.

    Raises
    ------
    RuntimeError
        For an integer divided by zero.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.fmod(tl.tensor([5.0, -5.0]), 3)
    tensor([ 2., -2.])
    """
    return _whole(np.fmod, input, other)


@fmod.vjp(0)
def _(g, out, x, y):
    return g


@fmod.vjp(1)
def _(g, out, x, y):
    return -g * np.trunc(x / y)


@primitive(np.negative, casts="common")
def neg(input: Any) -> Tensor:
    """``-input``; bools have no negative.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.neg(tl.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    try:
        return np.negative(input)
    except TypeError as error:
        raise RuntimeError("neg: bools have no negative: use ~ (logical_not) to invert a mask") from error


@neg.vjp(0)
def _(g, out, x):
    return -g


@primitive(np.positive, np.conjugate, np.copy, casts="common")
def clone(input: Any) -> Any:
    """A copy in memory of its own, through which gradients flow.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.clone(tl.tensor([1.0]))
    tensor([1.])
    """
    return np.array(input, like=input)


@clone.vjp(0)
def _(g, out, x):
    return g


@primitive(np.power, saves="input exponent out", casts="common")
def _power(input, exponent):
    return np.power(input, exponent)


@_power.vjp(0)
def _(g, out, x, y):
    # where y is 0 the derivative is 0: the base 1 keeps 0 * 0**-1 from being nan
    return g * y * np.power(np.where((y == 0) & ((x == 0) | np.isnan(x)), 1, x), y - 1)


@_power.vjp(1)
def _(g, out, x, y):
    # where x is 0 and y is not negative, x**y does not move with y: log(1) instead of log(0)
    return g * out * np.log(np.where((x == 0) & (y >= 0), 1, x))


def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``; the derivative at exponent 0 is 0, as is that of ``0 ** exponent``.

    Raises
    ------
    RuntimeError
        For an integer to a negative integer power, and a number that does not fit the dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.pow(tl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(input, Tensor) and isinstance(exponent, (int, float)):
        whole = isinstance(exponent, int) and input.dtype.kind != "f"
        if whole and exponent < 0:
            raise RuntimeError(f"pow: {input.dtype} to the negative power {exponent}; convert with .float() first")
        if exponent == 2 and (whole or input.dtype.kind == "f"):
            return square(input)
        if whole:
            check_number("pow", exponent, result_type(input, exponent))
        if isinstance(exponent, bool) and input.dtype.kind == "b":
            same: Any = clone(input) if exponent else np.ones_like(input)
            return same
    return _power(input, exponent)


@primitive(np.square, saves="input", casts="common")
def square(input: Any) -> Tensor:
    """``input * input``; of bools in int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.square(tl.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return np.square(input if input.dtype.kind != "b" else np.asarray(input, np.int64, like=input))


@square.vjp(0)
def _(g, out, x):
    return 2 * g * x


@primitive(np.sqrt, saves="out", casts="float")
def sqrt(input: Any) -> Tensor:
    """The square root; nan below 0, and an infinite derivative at 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sqrt(tl.tensor([0.0, 4.0]))
    tensor([0., 2.])
    """
    return np.sqrt(input)


@sqrt.vjp(0)
def _(g, out, x):
    return g / (2 * out)


@primitive(np.reciprocal, saves="out", casts="float")
def reciprocal(input: Any) -> Tensor:
    """``1 / input``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.reciprocal(tl.tensor([2.0, -4.0]))
    tensor([ 0.5000, -0.2500])
    """
    return np.reciprocal(input)


@reciprocal.vjp(0)
def _(g, out, x):
    return -g * out * out


# ---- PyTorch's second names

divide, multiply, negative, subtract, true_divide = div, mul, neg, sub, div
