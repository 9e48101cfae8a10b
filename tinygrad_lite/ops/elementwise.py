"""Elementwise functions: exponentials, logarithms, angles, activations, kinks and steps.

Every function broadcasts its inputs as NumPy does, brings them to PyTorch's result type, and
returns a Tensor if any input is one (an ndarray otherwise). Functions that have no meaning on
integers (``exp``, ``sin``, ...) turn integers into float32 first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import as_operand, convert, to_result_type
from tinygrad_lite.autograd.tensor import NUMPY, Tensor
from tinygrad_lite.dtypes import check_number, result_type

__all__ = [
    "abs",
    "absolute",
    "ceil",
    "clamp",
    "clip",
    "copysign",
    "cos",
    "exp",
    "expm1",
    "fix",
    "floor",
    "fmax",
    "fmin",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "nan_to_num",
    "relu",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "tanh",
    "trunc",
    "where",
]

# ---- exponentials and logarithms


@primitive(np.exp, saves="out", casts="float")
def exp(input: Any) -> Tensor:
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
def expm1(input: Any) -> Tensor:
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
def log(input: Any) -> Tensor:
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
def log1p(input: Any) -> Tensor:
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
def sin(input: Any) -> Tensor:
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
def cos(input: Any) -> Tensor:
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
def tanh(input: Any) -> Tensor:
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
def sigmoid(input: Any) -> Tensor:
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
def relu(input: Any) -> Tensor:
    """``max(input, 0)`` (document 001); the derivative at 0 is 0 and at nan 1, as in PyTorch.

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
def softplus(input: Any) -> Tensor:
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
def abs(input: Any) -> Tensor:
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
def maximum(input: Any, other: Any) -> Tensor:
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
def minimum(input: Any, other: Any) -> Tensor:
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


@primitive(np.fmax, saves="input other", casts="common")
def fmax(input: Any, other: Any) -> Tensor:
    """The larger of two, or the one that is not nan; of equal elements the first gets the gradient.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.fmax(tl.tensor([1.0, tl.nan]), tl.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    return np.fmax(input, other)


@fmax.vjp(0)
def _(g, out, x, y):
    return np.where((x >= y) | np.isnan(y), g, 0)


@fmax.vjp(1)
def _(g, out, x, y):
    return np.where((x >= y) | np.isnan(y), 0, g)


@primitive(np.fmin, saves="input other", casts="common")
def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of two, or the one that is not nan; of equal elements the first gets the gradient.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.fmin(tl.tensor([1.0, tl.nan]), tl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return np.fmin(input, other)


@fmin.vjp(0)
def _(g, out, x, y):
    return np.where((x <= y) | np.isnan(y), g, 0)


@fmin.vjp(1)
def _(g, out, x, y):
    return np.where((x <= y) | np.isnan(y), 0, g)


@primitive(np.copysign, saves="input other", casts="float")
def copysign(input: Any, other: Any) -> Tensor:
    """The size of ``input`` with the sign of ``other``, also of -0.0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.copysign(tl.tensor([1.0, -2.0]), tl.tensor([-1.0, -1.0]))
    tensor([-1., -2.])
    """
    return np.copysign(input, other)


@copysign.vjp(0)
def _(g, out, x, y):
    return g * np.sign(x) * np.copysign(1, y)


@copysign.vjp(1)
def _(g, out, x, y):
    return g * 0


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
def where(condition: Any, input: Any, other: Any) -> Tensor:
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


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
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


@primitive(saves="input", casts="common")
def _nan_to_num(input, *, nan, posinf, neginf):
    return np.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)


@_nan_to_num.vjp(0)
def _(g, out, x, nan, posinf, neginf):
    return np.where(np.isfinite(x), g, 0)


def nan_to_num(input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Numbers for nan and the infinities, through which no gradient flows.

    Parameters
    ----------
    input : Tensor
        Any shape.
    nan : number
        What replaces nan.
    posinf, neginf : number, optional
        What replaces inf and -inf; by default the largest and the smallest number of the dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nan_to_num(tl.tensor([1.0, tl.nan, tl.inf]), posinf=9)
    tensor([1., 0., 9.])
    """
    return _nan_to_num(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


@implements(np.nan_to_num)
def _np_nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy:
        raise TypeError("np.nan_to_num of a tensor: copy=False would change it unnoticed; leave it out")
    return nan_to_num(x, nan, posinf, neginf)


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
trunc = _step(np.trunc, "trunc", "The next integer towards 0", "tensor([-1.,  0.,  2.])")


@implements(np.round, np.around)
def _np_round(a, decimals=0):
    return round(a) if decimals == 0 else round(a * 10**decimals) / 10**decimals


@implements(np.fabs)
def _np_fabs(x):
    return abs(x if x.dtype.kind == "f" else convert(x, dtype=np.dtype(np.float32)))


@implements(np.real, np.real_if_close)
def _np_real(val):
    return val


NUMPY[np.fix] = trunc


@primitive(np.sign, casts="common")
def sign(input: Any) -> Tensor:
    """-1, 0 or 1, and nan for nan; a bool is its own sign. The derivative is 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sign(tl.tensor([-1.5, 0.0, 2.5]))
    tensor([-1.,  0.,  1.])
    """
    return np.sign(input) if input.dtype.kind != "b" else np.logical_or(input, False)


@sign.vjp(0)
def _(g, out, x):
    return g * 0


# ---- PyTorch's second names

absolute, clip, fix = abs, clamp, trunc
