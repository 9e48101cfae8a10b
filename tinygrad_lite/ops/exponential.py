"""Exponentials, logarithms and roots beside ``exp``, ``log`` and ``sqrt``, elementwise.

Integers become float32 first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import as_operand, convert
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.ops.arithmetic import pow

__all__ = ["exp2", "float_power", "log2", "log10", "logaddexp", "logaddexp2"]


@primitive(np.exp2, saves="out", casts="float")
def exp2(input: Any) -> Tensor:
    """``2 ** input``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.exp2(tl.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    return np.exp2(input)


@exp2.vjp(0)
def _(g, out, x):
    return g * out * math.log(2)


@primitive(np.log2, saves="input", casts="float")
def log2(input: Any) -> Tensor:
    """The logarithm to base 2; -inf at 0 and nan below.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log2(tl.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    return np.log2(input)


@log2.vjp(0)
def _(g, out, x):
    return g / (x * math.log(2))


@primitive(np.log10, saves="input", casts="float")
def log10(input: Any) -> Tensor:
    """The logarithm to base 10; -inf at 0 and nan below.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log10(tl.tensor([1.0, 2.0]))
    tensor([0.0000, 0.3010])
    """
    return np.log10(input)


@log10.vjp(0)
def _(g, out, x):
    return g / (x * math.log(10))


@primitive(np.logaddexp, saves="input other", casts="float")
def logaddexp(input: Any, other: Any) -> Tensor:
    """``log(exp(input) + exp(other))``, without overflow.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.logaddexp(tl.tensor([1000.0]), tl.tensor([0.0]))
    tensor([1000.])
    """
    return np.logaddexp(input, other)


@logaddexp.vjp(0)
def _(g, out, x, y):
    return g / (1 + np.exp(y - x))


@logaddexp.vjp(1)
def _(g, out, x, y):
    return g / (1 + np.exp(x - y))


@primitive(np.logaddexp2, saves="input other", casts="float")
def logaddexp2(input: Any, other: Any) -> Tensor:
    """``log2(2 ** input + 2 ** other)``, without overflow.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.logaddexp2(tl.tensor([1000.0]), tl.tensor([1000.0]))
    tensor([1001.])
    """
    return np.logaddexp2(input, other)


@logaddexp2.vjp(0)
def _(g, out, x, y):
    return g / (1 + np.exp2(y - x))


@logaddexp2.vjp(1)
def _(g, out, x, y):
    return g / (1 + np.exp2(x - y))


@implements(np.float_power)
def float_power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``, computed in float64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.float_power(tl.tensor([2, 3]), -1).dtype
    dtype('float64')
    """
    base, power = (
        convert(as_operand("float_power", value, dtypes.float64), dtype=dtypes.float64) for value in (input, exponent)
    )
    return pow(base, power)


@primitive(np.cbrt, saves="out", casts="float")
def _cbrt(input):
    return np.cbrt(input)


@_cbrt.vjp(0)
def _(g, out, x):
    return g / (3 * out * out)
