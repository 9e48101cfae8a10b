"""Angles and hyperbolas: the functions beside ``sin``, ``cos`` and ``tanh``, and their inverses, elementwise.

Integers become float32 first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.tensor import Tensor

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sinc",
    "sinh",
    "tan",
]

# ---- angles


@primitive(np.tan, saves="out", casts="float")
def tan(input: Any) -> Tensor:
    """The tangent of an angle in radians.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tan(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """
    return np.tan(input)


@tan.vjp(0)
def _(g, out, x):
    return g * (1 + out * out)


@primitive(np.arcsin, saves="input", casts="float")
def asin(input: Any) -> Tensor:
    """The angle from -pi/2 to pi/2 with this sine; nan beyond -1 and 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.asin(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    return np.arcsin(input)


@asin.vjp(0)
def _(g, out, x):
    return g / np.sqrt(1 - x * x)


@primitive(np.arccos, saves="input", casts="float")
def acos(input: Any) -> Tensor:
    """The angle from 0 to pi with this cosine; nan beyond -1 and 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.acos(tl.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    return np.arccos(input)


@acos.vjp(0)
def _(g, out, x):
    return -g / np.sqrt(1 - x * x)


@primitive(np.arctan, saves="input", casts="float")
def atan(input: Any) -> Tensor:
    """The angle from -pi/2 to pi/2 with this tangent.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.atan(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    return np.arctan(input)


@atan.vjp(0)
def _(g, out, x):
    return g / (x * x + 1)


@primitive(np.arctan2, saves="input other", casts="float")
def atan2(input: Any, other: Any) -> Tensor:
    """The angle from -pi to pi of the point of height ``input`` and width ``other``; at (0, 0) its derivatives are 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.atan2(tl.tensor([1.0, -1.0]), tl.tensor([1.0, -1.0]))
    tensor([ 0.7854, -2.3562])
    """
    return np.arctan2(input, other)


@atan2.vjp(0)
def _(g, out, y, x):
    return g * x / _squared_distance(x, y)


@atan2.vjp(1)
def _(g, out, y, x):
    return -g * y / _squared_distance(x, y)


def _squared_distance(x, y):
    """From the origin; 1 at the origin itself, whose derivatives so are 0 and not 0 / 0."""
    squared = x * x + y * y
    return np.where(squared == 0, 1, squared)


@primitive(np.hypot, saves="input other out", casts="float")
def hypot(input: Any, other: Any) -> Tensor:
    """``sqrt(input**2 + other**2)``, without overflow on the way.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.hypot(tl.tensor([3.0]), tl.tensor([4.0]))
    tensor([5.])
    """
    return np.hypot(input, other)


@hypot.vjp(0)
def _(g, out, x, y):
    return g * (x / out)


@hypot.vjp(1)
def _(g, out, x, y):
    return g * (y / out)


@primitive(np.deg2rad, np.radians, casts="float")
def deg2rad(input: Any) -> Tensor:
    """Degrees as radians.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.deg2rad(tl.tensor([180.0]))
    tensor([3.1416])
    """
    return np.deg2rad(input)


@deg2rad.vjp(0)
def _(g, out, x):
    return np.deg2rad(g)


@primitive(np.rad2deg, np.degrees, casts="float")
def rad2deg(input: Any) -> Tensor:
    """Radians as degrees.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.rad2deg(tl.tensor([tl.pi]))
    tensor([180.])
    """
    return np.rad2deg(input)


@rad2deg.vjp(0)
def _(g, out, x):
    return np.rad2deg(g)


@primitive(np.sinc, saves="input", casts="float")
def sinc(input: Any) -> Any:
    """``sin(pi * input) / (pi * input)``, and 1 at 0, where the derivative is 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sinc(tl.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    angle = math.pi * np.where(input == 0, 1, input)
    return np.where(input == 0, 1, np.sin(angle) / angle)


@sinc.vjp(0)
def _(g, out, x):
    other = np.where(x == 0, 1, x)
    angle = math.pi * other
    return g * np.where(x == 0, 0, (np.cos(angle) - np.sin(angle) / angle) / other)


# ---- hyperbolas


@primitive(np.sinh, saves="input", casts="float")
def sinh(input: Any) -> Tensor:
    """The hyperbolic sine.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sinh(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    return np.sinh(input)


@sinh.vjp(0)
def _(g, out, x):
    return g * np.cosh(x)


@primitive(np.cosh, saves="input", casts="float")
def cosh(input: Any) -> Tensor:
    """The hyperbolic cosine.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.cosh(tl.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """
    return np.cosh(input)


@cosh.vjp(0)
def _(g, out, x):
    return g * np.sinh(x)


@primitive(np.arcsinh, saves="input", casts="float")
def asinh(input: Any) -> Tensor:
    """The inverse of :func:`sinh`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.asinh(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return np.arcsinh(input)


@asinh.vjp(0)
def _(g, out, x):
    return g / np.sqrt(x * x + 1)


@primitive(np.arccosh, saves="input", casts="float")
def acosh(input: Any) -> Tensor:
    """The inverse of :func:`cosh`; nan below 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.acosh(tl.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return np.arccosh(input)


@acosh.vjp(0)
def _(g, out, x):
    return g / np.sqrt(x * x - 1)


@primitive(np.arctanh, saves="input", casts="float")
def atanh(input: Any) -> Tensor:
    """The inverse of :func:`tanh`; nan beyond -1 and 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.atanh(tl.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    return np.arctanh(input)


@atanh.vjp(0)
def _(g, out, x):
    return g / (1 - x * x)


# ---- PyTorch's second names

arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
