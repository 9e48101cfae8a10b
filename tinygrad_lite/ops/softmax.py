"""Softmax and its logarithm, stable for any finite logits and for -inf among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.ops.reduction import Dim, as_axis, numpy_keywords, spread

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _shift(x: Any, axis: Any) -> Any:
    """The largest entries, which make ``exp(x - shift)`` overflow nowhere; 0 where they are infinite."""
    largest = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isinf(largest), 0, largest)


@primitive(saves="input out")
def _logsumexp(input, *, axis, keepdims):
    shift = _shift(input, axis)
    out = np.log(np.add.reduce(np.exp(input - shift), axis=axis, keepdims=True)) + shift
    return out if keepdims else np.squeeze(out, axis)


@_logsumexp.vjp(0)
def _(g, out, x, axis, keepdims):
    shift = spread(np.where(out == -np.inf, 0, out), axis, keepdims, x.shape)
    return spread(g, axis, keepdims, x.shape) * np.exp(x - shift)


@numpy_keywords
def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(input)))`` over ``dim``; -inf where every entry is -inf.

    Parameters
    ----------
    input : Tensor
        Floating point, any shape.
    dim : int or sequence of int
        What to sum over.
    keepdim : bool
        Keep the summed dimensions, with size 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.logsumexp(tl.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    if input.dtype.kind != "f":
        input = convert(input, dtype=dtypes.float32)
    return _logsumexp(input, axis=as_axis(input, dim), keepdims=keepdim)


def largest(x, axis):
    """The largest entry of each row, kept as a dimension."""
    if _has_short_rows(x, axis):
        return np.maximum.reduce(np.ascontiguousarray(x.mT, like=x), axis=0)[:, None]
    return np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


def total(x, axis):
    """The sum of each row, kept as a dimension."""
    if _has_short_rows(x, axis):
        return np.dot(x, np.ones((x.shape[1], 1), x.dtype))
    return np.add.reduce(x, axis=axis, keepdims=True)


def _has_short_rows(x, axis):
    """Whether these are logits of a few classes: NumPy reduces short rows ten times slower than columns."""
    return x.ndim == 2 and axis in (1, -1) and x.shape[1] <= 32 < x.shape[0]


@primitive(saves="out")
def _softmax(input, *, axis):
    e = np.exp(input - largest(input, axis))
    return e / total(e, axis)


@_softmax.vjp(0)
def _(g, out, x, axis):
    return out * (g - np.add.reduce(g * out, axis=axis, keepdims=True))


def softmax(input: Any, dim: int) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim`` (documents 000 to 004): positive, and adds up to 1.

    The largest entry of each row is subtracted first, so that nothing overflows. A primitive of
    its own because its derivative, ``s * (g - sum(g * s))``, needs only the result.

    Parameters
    ----------
    input : Tensor
        Logits, floating point, any shape. A row of -inf alone gives nan.
    dim : int
        The dimension that adds up to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.softmax(tl.tensor([1000.0, 1000.0]), 0)
    tensor([0.5000, 0.5000])
    """
    _check("softmax", input)
    return _softmax(input, axis=as_axis(input, dim))


@primitive(saves="out")
def _log_softmax(input, *, axis):
    shifted = input - largest(input, axis)
    return shifted - np.log(total(np.exp(shifted), axis))


@_log_softmax.vjp(0)
def _(g, out, x, axis):
    return g - np.exp(out) * np.add.reduce(g, axis=axis, keepdims=True)


def log_softmax(input: Any, dim: int) -> Tensor:
    """``log(softmax(input))``, exact also where the softmax rounds to 0.

    A primitive of its own for that reason. Its derivative is ``g - softmax * sum(g)``.

    Parameters
    ----------
    input : Tensor
        Logits, floating point, any shape.
    dim : int
        The dimension of the classes.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log_softmax(tl.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    _check("log_softmax", input)
    return _log_softmax(input, axis=as_axis(input, dim))


def _check(name: str, input: Any) -> None:
    if input.dtype.kind != "f":
        raise RuntimeError(f"{name} of {input.dtype}: logits are floating point; convert with .float() first")
