"""Reductions: over all elements, one dimension or several.

``dim`` and ``keepdim`` are PyTorch's names; ``axis`` and ``keepdims`` mean the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.summation import add_rows
from tinygrad_lite.autograd.tensor import NUMPY, Tensor
from tinygrad_lite.ops import arithmetic, elementwise
from tinygrad_lite.ops.indexing import take_along
from tinygrad_lite.ops.shape import cat, flatten, movedim, reshape, squeeze, unsqueeze

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

F = TypeVar("F", bound=Callable[..., Any])
Dim = int | Sequence[int] | None


class ValuesAndIndices(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def numpy_keywords(function: F) -> F:
    """Let ``axis=`` and ``keepdims=`` stand for ``dim=`` and ``keepdim=``."""

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        if "keepdims" in kwargs:
            kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return renamed  # type: ignore[return-value]


def as_axis(input: Any, dim: Dim) -> int | tuple[int, ...] | None:
    """``dim`` for NumPy: a sequence as a tuple; the only "dimension" of a 0-d tensor is all of it."""
    if dim is None or (input.ndim == 0 and dim in (0, -1)):
        return None
    return dim if isinstance(dim, int) else tuple(dim) or None


def _checked_axis(name: str, input: Any, dim: Dim) -> Any:
    """:func:`as_axis`, if the input has these dimensions, each named once."""
    axis, ndim = as_axis(input, dim), input.ndim
    named = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for d in named:
        if not -ndim <= d < ndim:
            raise IndexError(f"{name}: dim {d} is out of range for {ndim} dimensions")
    if len({d % ndim for d in named}) < len(named):
        raise RuntimeError(f"{name}: dim {dim} names a dimension twice")
    return axis


def _choice_axis(name: str, input: Any, dim: Dim) -> Any:
    """:func:`as_axis`, if there is something to choose from along it."""
    axis = as_axis(input, dim)
    if 0 in input.shape and not count(input.shape, _checked_axis(name, input, dim)):
        raise IndexError(f"{name}: shape {input.shape} has no elements to choose from along dim {dim}")
    return axis


def spread(g: Any, axis: Any, keepdims: bool, shape: tuple[int, ...]) -> Any:
    """The cotangent of a reduction, broadcast over the axes that it reduced."""
    return np.broadcast_to(g if axis is None or keepdims else np.expand_dims(g, axis), shape)


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements are reduced to one."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod(shape[a] for a in axes)


# ---- sums and means


def _added(x, axis, keepdims):
    """The sum: float16 is added in float32, and rows in blocks."""
    if x.dtype == np.float16:
        x = convert(x, dtype=dtypes.float32)
    if axis not in (0, (0,)) or x.dtype.kind != "f":
        return np.add.reduce(x, axis=axis, keepdims=keepdims)
    total = add_rows(x)
    return np.expand_dims(total, 0) if keepdims else total


@primitive(np.sum)
def _sum(input, *, axis=None, keepdims=False):
    total = _added(input, axis, keepdims)
    return convert(total, dtype=input.dtype) if input.dtype == np.float16 else total


@_sum.vjp(0)
def _(g, out, x, axis=None, keepdims=False):
    return spread(g, axis, keepdims, x.shape)


NUMPY[np.add, "reduce"] = lambda array, axis=0, keepdims=False: _sum(array, axis=axis, keepdims=keepdims)


@numpy_keywords
def sum(input: Any, dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The sum of the elements; integers and bools sum to int64.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim : int or sequence of int, optional
        What to sum over; default everything.
    keepdim : bool
        Keep the summed dimensions, with size 1.
    dtype : dtype, optional
        Convert to it first.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sum(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """
    axis = as_axis(input, dim)
    if dtype is None and input.dtype.kind != "f":
        dtype = dtypes.int64
    if dtype is None:
        return _sum(input, axis=axis, keepdims=keepdim)
    wanted = dtypes.as_dtype(dtype)
    return convert(_sum(convert(input, dtype=wanted), axis=axis, keepdims=keepdim), dtype=wanted)


@primitive(np.mean)
def _mean(input, *, axis=None, keepdims=False):
    mean = _added(input, axis, keepdims) / count(np.shape(input), axis)
    return convert(mean, dtype=input.dtype) if input.dtype == np.float16 else mean


@_mean.vjp(0)
def _(g, out, x, axis=None, keepdims=False):
    return spread(g / count(x.shape, axis), axis, keepdims, x.shape)


@numpy_keywords
def mean(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The mean of the elements: of all, or over ``dim`` (see :func:`sum`); nan of none.

    Raises
    ------
    RuntimeError
        For integers and bools: convert them with ``.float()`` first.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.mean(tl.tensor([1.0, 2.0, 6.0]))
    tensor(3.)
    """
    _need_floats("mean", input)
    return _mean(input, axis=as_axis(input, dim), keepdims=keepdim)


@numpy_keywords
def var(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The variance: the sum of squared deviations from the mean over ``n - correction``.

    Parameters
    ----------
    input : Tensor
        Floating point, any shape.
    dim : int or sequence of int, optional
        What to reduce; default everything.
    unbiased : bool
        Bessel's correction: True is ``correction=1``, False 0.
    keepdim : bool
        Keep the reduced dimensions, with size 1.
    correction : number, optional
        What is subtracted from n; nan or inf where it leaves nothing.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.var(tl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    _need_floats("var", input)
    if isinstance(dim, bool):  # var(input, unbiased)
        dim, unbiased = None, dim
    axis = _checked_axis("var", input, dim)
    freedom = count(np.shape(input), axis) - (int(unbiased) if correction is None else correction)
    deviation = input - _mean(input, axis=axis, keepdims=True)
    return _sum(deviation * deviation, axis=axis, keepdims=keepdim) / (freedom if freedom > 0 else 0)


@primitive(saves="out", casts="float")
def _root_of_variance(input):
    return np.sqrt(input)


@_root_of_variance.vjp(0)
def _(g, out, x):
    # equal values: the deviation is at its minimum, 0, where PyTorch takes the subgradient 0
    return np.where(out == 0, 0, g / (2 * np.where(out == 0, 1, out)))


@numpy_keywords
def std(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The standard deviation: the root of :func:`var`; its derivative is 0 where all values are equal.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.std(tl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    _need_floats("std", input)
    return _root_of_variance(var(input, dim, unbiased, keepdim, correction=correction))


@implements(np.var)
def _np_var(a, axis=None, *, ddof=0, keepdims=False):
    return var(a, axis, keepdim=keepdims, correction=ddof)


@implements(np.std)
def _np_std(a, axis=None, *, ddof=0, keepdims=False):
    return std(a, axis, keepdim=keepdims, correction=ddof)


@numpy_keywords
def prod(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product of the elements, of all or over one dimension; exact derivatives with zeros in it.

    It is a tree of pairwise products, so that no derivative divides by an element.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([0.0, 2.0, 3.0], requires_grad=True)
    >>> tl.prod(x).backward()
    >>> x.grad
    tensor([6., 0., 0.])
    """
    if input.dtype.kind != "f":
        input = convert(input, dtype=dtypes.int64)
    shape = np.shape(input)
    dim = _checked_axis("prod", input, dim)
    x = flatten(input) if dim is None else movedim(input, dim, 0)
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pairs = x[:half] * x[half : 2 * half]
        x = pairs if x.shape[0] % 2 == 0 else cat([pairs, x[2 * half :]])
    out = x[0] if x.shape[0] else _sum(x, axis=0) + 1
    if not keepdim:
        return out
    return reshape(out, (1,) * len(shape)) if dim is None else unsqueeze(out, dim % len(shape))


@implements(np.prod)
def _np_prod(a, axis=None, *, keepdims=False):
    return prod(a, axis, keepdims)


# ---- extremes


@primitive(np.max, np.amax, saves="input out")
def _amax(input, *, axis=None, keepdims=False):
    return np.maximum.reduce(input, axis=axis, keepdims=keepdims)


@primitive(np.min, np.amin, saves="input out")
def _amin(input, *, axis=None, keepdims=False):
    return np.minimum.reduce(input, axis=axis, keepdims=keepdims)


@_amax.vjp(0)
@_amin.vjp(0)
def _(g, out, x, axis=None, keepdims=False):
    if axis is not None and not keepdims:
        g, out = np.expand_dims(g, axis), np.expand_dims(out, axis)
    hit = convert(x == out, dtype=g.dtype)
    return g * hit / np.add.reduce(hit, axis=axis, keepdims=True)


NUMPY[np.maximum, "reduce"] = lambda array, axis=0, keepdims=False: _amax(array, axis=axis, keepdims=keepdims)
NUMPY[np.minimum, "reduce"] = lambda array, axis=0, keepdims=False: _amin(array, axis=axis, keepdims=keepdims)


@numpy_keywords
def amax(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest elements; equal ones share the gradient.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.amax(tl.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([5., 3.])
    """
    return _amax(input, axis=None if dim is None else _choice_axis("amax", input, dim), keepdims=keepdim)


@numpy_keywords
def amin(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest elements; equal ones share the gradient.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.amin(tl.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
    return _amin(input, axis=None if dim is None else _choice_axis("amin", input, dim), keepdims=keepdim)


@primitive(np.argmax)
def _argmax(input, *, axis=None, keepdims=False):
    return np.argmax(input, axis=axis, keepdims=keepdims)


@primitive(np.argmin)
def _argmin(input, *, axis=None, keepdims=False):
    return np.argmin(input, axis=axis, keepdims=keepdims)


@numpy_keywords
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first largest element, in the flattened tensor or along ``dim``; int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.argmax(tl.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return _argmax(input, axis=_choice_axis("argmax", input, dim), keepdims=keepdim)


@numpy_keywords
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first smallest element, in the flattened tensor or along ``dim``; int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.argmin(tl.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return _argmin(input, axis=_choice_axis("argmin", input, dim), keepdims=keepdim)


@numpy_keywords
def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; ``max(dim)`` with its index; ``max(other)`` the larger of two tensors.

    Parameters
    ----------
    input : Tensor
        Any shape, not empty.
    dim : int or Tensor, optional
        None: one value over everything, equal elements sharing the gradient. An int: values and
        indices along that dimension, the gradient going to the returned index. A Tensor:
        :func:`maximum`.
    keepdim : bool
        Keep the reduced dimension, with size 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> values, indices = tl.max(tl.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    >>> indices
    tensor([1, 0])
    """
    if isinstance(dim, Tensor):
        return elementwise.maximum(input, dim)
    return _amax(input) if dim is None else _extreme("max", input, _argmax, dim, keepdim)


@numpy_keywords
def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; ``min(dim)`` with its index; ``min(other)`` the smaller of two tensors: see :func:`max`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.min(tl.tensor([3.0, 1.0, 2.0]))
    tensor(1.)
    """
    if isinstance(dim, Tensor):
        return elementwise.minimum(input, dim)
    return _amin(input) if dim is None else _extreme("min", input, _argmin, dim, keepdim)


def _extreme(name: str, input: Any, find: Any, dim: int, keepdim: bool) -> ValuesAndIndices:
    if _choice_axis(name, input, dim) is None:
        return ValuesAndIndices(arithmetic.clone(input), find(input))
    indices = find(input, axis=dim, keepdims=True)
    values = take_along(input, indices, axis=dim % np.ndim(input))
    if keepdim:
        return ValuesAndIndices(values, indices)
    return ValuesAndIndices(squeeze(values, dim), squeeze(indices, dim))


# ---- truth and counts


@primitive(np.any)
def _any(input, *, axis=None, keepdims=False):
    return np.logical_or.reduce(input, axis=axis, keepdims=keepdims)


@primitive(np.all)
def _all(input, *, axis=None, keepdims=False):
    return np.logical_and.reduce(input, axis=axis, keepdims=keepdims)


@numpy_keywords
def any(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether any element is true (not 0).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.any(tl.tensor([False, True]))
    tensor(True)
    """
    return _any(input, axis=as_axis(input, dim), keepdims=keepdim)


@numpy_keywords
def all(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are true (not 0).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.all(tl.tensor([False, True]))
    tensor(False)
    """
    return _all(input, axis=as_axis(input, dim), keepdims=keepdim)


@numpy_keywords
def count_nonzero(input: Any, dim: Dim = None) -> Tensor:
    """How many elements are not 0; int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.count_nonzero(tl.tensor([0, 3, 4]))
    tensor(2)
    """
    return sum(input != 0, dim)


def _need_floats(name: str, input: Any) -> None:
    if input.dtype.kind != "f":
        raise RuntimeError(f"{name} of {input.dtype}: only floating point has one; convert with .float() first")
