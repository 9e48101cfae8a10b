"""Summaries of data: averages, ranges and medians, with or without nan; mostly in NumPy's spellings."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.ops.cumulative import sort
from tinygrad_lite.ops.elementwise import where
from tinygrad_lite.ops.reduction import Dim, amax, amin, mean, numpy_keywords, sum
from tinygrad_lite.ops.shape import as_tensors, flatten, movedim, reshape, unsqueeze

__all__ = ["nanmean", "nansum"]


@numpy_keywords
def nansum(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The sum of the elements that are not nan.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nansum(tl.tensor([1.0, tl.nan, 2.0]))
    tensor(3.)
    """
    return sum(where(np.isnan(input), 0, input), dim, keepdim)


@numpy_keywords
def nanmean(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The mean of the elements that are not nan; nan where none is.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nanmean(tl.tensor([1.0, tl.nan, 2.0]))
    tensor(1.5000)
    """
    return nansum(input, dim, keepdim) / sum(~np.isnan(input), dim, keepdim)


@implements(np.nansum)
def _np_nansum(a, axis=None, *, keepdims=False):
    return nansum(a, axis, keepdims)


@implements(np.nanmean)
def _np_nanmean(a, axis=None, *, keepdims=False):
    return nanmean(a, axis, keepdims)


@implements(np.ptp)
def _np_ptp(a, axis=None, *, keepdims=False):
    return amax(a, axis, keepdims) - amin(a, axis, keepdims)


@implements(np.average)
def _np_average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    a = as_tensors([a])[0]
    if weights is None:
        weights = np.ones_like(a)
    weights = as_tensors([weights])[0]
    if weights.shape != a.shape:
        if not isinstance(axis, int) or weights.shape != (a.shape[axis],):
            raise TypeError(f"np.average: weights {weights.shape} fit neither shape {a.shape} nor axis {axis}")
        weights = reshape(weights, (-1,) + (1,) * (a.ndim - axis % a.ndim - 1))
    total = sum(weights * np.ones_like(a), axis, keepdims)
    average = sum(a * weights, axis, keepdims) / total
    return (average, total) if returned else average


@implements(np.median)
def _np_median(a, axis=None, *, keepdims=False):
    if axis is not None and not isinstance(axis, int):
        raise TypeError(f"np.median of a tensor: one axis or none, not {axis}")
    ordered = sort(flatten(a) if axis is None else movedim(a, axis, -1)).values
    length = ordered.shape[-1]
    middle = mean(ordered[..., (length - 1) // 2 : length // 2 + 1], -1)
    found = where(np.isnan(ordered[..., -1]), ordered[..., -1], middle)
    if not keepdims:
        return found
    return reshape(found, (1,) * np.ndim(a)) if axis is None else unsqueeze(found, axis)
