"""Elementwise functions and their derivatives.

Every function broadcasts its inputs as NumPy does, brings them to PyTorch's result type, and
returns a Tensor if any input is one (an ndarray otherwise). Functions that have no meaning on
integers (``exp``, ``div``, ...) turn integers into float32 first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import as_operand, convert, to_result_type
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.dtypes import check_number, result_type

__all__ = [
    "abs",
    "absolute",
    "add",
    "ceil",
    "clamp",
    "clip",
    "clone",
    "cos",
    "div",
    "divide",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "neg",
    "negative",
    "pow",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tanh",
    "true_divide",
    "where",
]

# ---- arithmetic


@primitive(np.add, casts="common")
def add(input: Any, other: Any) -> Any:
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
def sub(input: Any, other: Any) -> Any:
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
def mul(input: Any, other: Any) -> Any:
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
def div(input: Any, other: Any) -> Any:
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
def floor_divide(input: Any, other: Any) -> Any:
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
def remainder(input: Any, other: Any) -> Any:
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


@primitive(np.negative, casts="common")
def neg(input: Any) -> Any:
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


@primitive(np.positive, np.copy, casts="common")
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


def pow(input: Any, exponent: Any) -> Any:
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
            return clone(input) if exponent else np.ones_like(input)
    return _power(input, exponent)


@primitive(np.square, saves="input", casts="common")
def square(input: Any) -> Any:
    """``input * input``; of bools in int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.square(tl.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return np.square(input if input.dtype.kind != "b" else np.asarray(input, np.int64))


@square.vjp(0)
def _(g, out, x):
    return 2 * g * x


@primitive(np.sqrt, saves="out", casts="float")
def sqrt(input: Any) -> Any:
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
def reciprocal(input: Any) -> Any:
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


# ---- exponentials and logarithms


@primitive(np.exp, saves="out", casts="float")
def exp(input: Any) -> Any:
    """The exponential.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.exp(tl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return np.exp(input)


@exp.vjp(0)
def _(g, out, x):
    return g * out


@primitive(np.expm1, saves="out", casts="float")
def expm1(input: Any) -> Any:
    """``exp(input) - 1``, exact near 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.expm1(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return np.expm1(input)


@expm1.vjp(0)
def _(g, out, x):
    return g * (out + 1)


@primitive(np.log, saves="input", casts="float")
def log(input: Any) -> Any:
    """The natural logarithm; -inf at 0 and nan below.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log(tl.tensor([1.0, 0.0]))
    tensor([0., -inf])
    """
    return np.log(input)


@log.vjp(0)
def _(g, out, x):
    return g / x


@primitive(np.log1p, saves="input", casts="float")
def log1p(input: Any) -> Any:
    """``log(1 + input)``, exact near 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log1p(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return np.log1p(input)


@log1p.vjp(0)
def _(g, out, x):
    return g / (1 + x)


# ---- trigonometric and activation functions


@primitive(np.sin, saves="input", casts="float")
def sin(input: Any) -> Any:
    """The sine of an angle in radians.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sin(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    return np.sin(input)


@sin.vjp(0)
def _(g, out, x):
    return g * np.cos(x)


@primitive(np.cos, saves="input", casts="float")
def cos(input: Any) -> Any:
    """The cosine of an angle in radians.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.cos(tl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    return np.cos(input)


@cos.vjp(0)
def _(g, out, x):
    return -g * np.sin(x)


@primitive(np.tanh, saves="out", casts="float")
def tanh(input: Any) -> Any:
    """The hyperbolic tangent.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tanh(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return np.tanh(input)


@tanh.vjp(0)
def _(g, out, x):
    return g * (1 - out * out)


@primitive(saves="out", casts="float")
def sigmoid(input: Any) -> Any:
    """The logistic function ``1 / (1 + exp(-input))`` (document 000); its derivative is ``s (1 - s)``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sigmoid(tl.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return 1 / (1 + np.exp(-input))


@sigmoid.vjp(0)
def _(g, out, x):
    return g * out * (1 - out)


@primitive(saves="gate")
def _gated(input, gate):
    """``np.where(gate, input, 0)``, but eight times faster on a random gate: the bits times 0 or 1."""
    bits = input.view(np.dtype(f"i{input.dtype.itemsize}"))
    return np.multiply(bits, gate).view(input.dtype)


@_gated.vjp(0)
def _(g, out, x, gate):
    return _gated(g, gate)


@primitive(saves="out", casts="common")
def relu(input: Any) -> Any:
    """``max(input, 0)`` (document 001); the derivative at 0 is 0, as in PyTorch, and so it is at nan.

    Raises
    ------
    RuntimeError
        For bools.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.relu(tl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if input.dtype.kind == "b":
        raise RuntimeError("relu of bool: convert with .float() first")
    return np.maximum(input, 0)


@relu.vjp(0)
def _(g, out, x):
    return _gated(g, np.logical_not(out <= 0))


@primitive(saves="input", casts="float")
def softplus(input: Any) -> Any:
    """``log(1 + exp(input))``, without overflow; its derivative is the sigmoid.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.softplus(tl.tensor([0.0, 1000.0]))
    tensor([6.9315e-01, 1.0000e+03])
    """
    return np.maximum(input, 0) + np.log1p(np.exp(-np.absolute(input)))


@softplus.vjp(0)
def _(g, out, x):
    return g * sigmoid(x)


# ---- pieces: kinks, choices and steps


@primitive(np.absolute, saves="input", casts="common")
def abs(input: Any) -> Any:
    """The absolute value; the derivative at 0 is 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.abs(tl.tensor([-1.0, 2.0]))
    tensor([1., 2.])
    """
    return np.absolute(input)


@abs.vjp(0)
def _(g, out, x):
    return g * np.sign(x)


@primitive(np.maximum, saves="input other", casts="common")
def maximum(input: Any, other: Any) -> Any:
    """The larger of two, elementwise; equal elements share the gradient half and half.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.maximum(tl.tensor([1.0, 5.0]), tl.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return np.maximum(input, other)


@maximum.vjp(0)
def _(g, out, x, y):
    return np.where(x == y, g / 2, np.where(x < y, 0, g))


@maximum.vjp(1)
def _(g, out, x, y):
    return np.where(x == y, g / 2, np.where(y < x, 0, g))


@primitive(np.minimum, saves="input other", casts="common")
def minimum(input: Any, other: Any) -> Any:
    """The smaller of two, elementwise; equal elements share the gradient half and half.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.minimum(tl.tensor([1.0, 5.0]), tl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return np.minimum(input, other)


@minimum.vjp(0)
def _(g, out, x, y):
    return np.where(x == y, g / 2, np.where(x > y, 0, g))


@minimum.vjp(1)
def _(g, out, x, y):
    return np.where(x == y, g / 2, np.where(y > x, 0, g))


@primitive(saves="condition")
def _where(condition, input, other):
    return np.where(condition, input, other)


@_where.vjp(1)
def _(g, out, condition, x, y):
    return np.where(condition, g, 0)


@_where.vjp(2)
def _(g, out, condition, x, y):
    return np.where(condition, 0, g)


@implements(np.where)
def where(condition: Any, input: Any, other: Any) -> Any:
    """``input`` where the condition holds, ``other`` elsewhere.

    Parameters
    ----------
    condition : bool Tensor
        Broadcast with the two others.
    input, other : Tensor or number
        The branch not taken gets no gradient.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([-1.0, 2.0])
    >>> tl.where(x > 0, x, 0)
    tensor([0., 2.])
    """
    tensors = [operand for operand in (input, other, condition) if isinstance(operand, Tensor)]
    if not tensors:
        return np.where(condition, input, other)
    if getattr(condition, "dtype", None) != np.bool_:
        raise RuntimeError("where: the condition must be a bool tensor, as a comparison gives")
    dtype = result_type(input, other)
    for value in (input, other):
        check_number("where", value, dtype)
    input, other = (as_operand("where", value, dtype) for value in (input, other))
    return _where(condition, *to_result_type(input, other))


@primitive(saves="input", casts="common")
def _clip(input, *, min, max):
    return np.clip(input, min, max)


@_clip.vjp(0)
def _(g, out, x, min, max):
    inside = np.logical_not((x < (-np.inf if min is None else min)) | (x > (np.inf if max is None else max)))
    return np.where(inside, g, 0)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """``input``, at least ``min`` and at most ``max``; on a bound the gradient goes to the input.

    Parameters
    ----------
    input : Tensor
        Any shape.
    min, max : number or Tensor, optional
        The bounds; where they cross the result is ``max``.

    Raises
    ------
    RuntimeError
        If both bounds are missing, or one does not fit the dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.clamp(tl.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    min, max = (bound.item() if isinstance(bound, np.generic) else bound for bound in (min, max))
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds:
        raise RuntimeError("clamp: give min, max or both")
    if any(isinstance(bound, Tensor) for bound in bounds):
        input = input if min is None else where(input < min, min, input)
        return input if max is None else where(input > max, max, input)
    dtype = result_type(input, *bounds)
    for bound in bounds:
        check_number("clamp", bound, dtype)
    return _clip(convert(input, dtype=dtype), min=min, max=max)


@implements(np.clip)
def _np_clip(a, a_min=None, a_max=None, *, min=None, max=None):
    return clamp(a, a_min if min is None else min, a_max if max is None else max)


def _step(numpy_function, name, meaning, example):
    """A function that is constant almost everywhere: its derivative is 0."""

    def forward(input):
        return numpy_function(input) if input.dtype.kind == "f" else np.array(input, like=input)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"""{meaning}; the derivative is 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.{name}(tl.tensor([-1.5, 0.0, 2.5]))
    {example}
    """
    step = primitive(numpy_function, casts="common")(forward)
    step.vjp(0)(lambda g, *_: g * 0)
    return step


floor = _step(np.floor, "floor", "The next integer below", "tensor([-2.,  0.,  2.])")
ceil = _step(np.ceil, "ceil", "The next integer above", "tensor([-1.,  0.,  3.])")
round = _step(np.rint, "round", "The nearest integer, halves to even", "tensor([-2.,  0.,  2.])")


@primitive(np.sign, casts="common")
def sign(input: Any) -> Any:
    """-1, 0 or 1, and nan for nan; a bool is its own sign. The derivative is 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sign(tl.tensor([-1.5, 0.0, 2.5]))
    tensor([-1.,  0.,  1.])
    """
    return np.sign(input) if input.dtype.kind != "b" else np.array(input, like=input)


@sign.vjp(0)
def _(g, out, x):
    return g * 0


# ---- PyTorch's second names

absolute, clip, divide, multiply, negative, subtract, true_divide = abs, clamp, div, mul, neg, sub, div
