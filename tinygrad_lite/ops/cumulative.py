"""Along one dimension: running sums and products, differences, and sorting."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import NUMPY, Tensor
from tinygrad_lite.ops import arithmetic, comparison
from tinygrad_lite.ops.indexing import getitem, take_along
from tinygrad_lite.ops.reduction import numpy_keywords
from tinygrad_lite.ops.reduction import sum as total
from tinygrad_lite.ops.shape import as_tensors, cat, flatten, movedim

__all__ = ["argsort", "cumprod", "cumsum", "diff", "sort", "trapezoid"]


class Sorted(NamedTuple):
    """What ``sort`` returns."""

    values: Tensor
    indices: Tensor


def _dim(name: str, input: Any, dim: int) -> int:
    """``dim`` counted from the front; the only dimension of a 0-d tensor is -1 and 0."""
    ndim = max(np.ndim(input), 1)
    if not -ndim <= dim < ndim:
        raise IndexError(f"{name}: dim {dim} is out of range for {np.ndim(input)} dimensions")
    return dim % ndim


# ---- running sums and products


@primitive()
def _cumsum(input, *, axis):
    return np.cumsum(input, axis=axis, dtype=input.dtype)


@_cumsum.vjp(0)
def _(g, out, x, axis):
    return np.flip(_cumsum(np.flip(g, axis), axis=axis), axis)


@numpy_keywords
def cumsum(input: Any, dim: int, dtype: Any = None) -> Tensor:
    """The running sum along a dimension; integers and bools add up to int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.cumsum(tl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    axis = _dim("cumsum", input, dim)
    x = _summable(input, dtype)
    return _cumsum(x, axis=axis) if x.ndim else arithmetic.clone(x)


@numpy_keywords
def cumprod(input: Any, dim: int, dtype: Any = None) -> Tensor:
    """The running product along a dimension; exact derivatives with zeros in it.

    The factors double in reach with every pass, so that no derivative divides by an element.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.cumprod(tl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    axis = _dim("cumprod", input, dim)
    x = _summable(input, dtype)
    if x.ndim == 0 or x.shape[axis] < 2:
        return arithmetic.clone(x)
    x = movedim(x, axis, 0)
    reach = 1
    while reach < x.shape[0]:
        x = cat([x[:reach], x[reach:] * x[:-reach]])
        reach *= 2
    return movedim(x, 0, axis)


def _summable(input: Any, dtype: Any) -> Any:
    if dtype is None:
        return input if input.dtype.kind == "f" else convert(input, dtype=dtypes.int64)
    return convert(input, dtype=dtypes.as_dtype(dtype))


@implements(np.cumsum)
def _np_cumsum(a, axis=None, dtype=None):
    return cumsum(flatten(a), 0, dtype) if axis is None else cumsum(a, axis, dtype)


@implements(np.cumprod)
def _np_cumprod(a, axis=None, dtype=None):
    return cumprod(flatten(a), 0, dtype) if axis is None else cumprod(a, axis, dtype)


NUMPY[np.add, "accumulate"] = lambda array, axis=0: cumsum(array, axis)
NUMPY[np.multiply, "accumulate"] = lambda array, axis=0: cumprod(array, axis)

if hasattr(np, "cumulative_sum"):  # since NumPy 2.1

    @implements(np.cumulative_sum)
    def _np_cumulative_sum(x, /, *, axis=None, dtype=None):
        return cumsum(x, 0 if axis is None else axis, dtype)

    @implements(np.cumulative_prod)
    def _np_cumulative_prod(x, /, *, axis=None, dtype=None):
        return cumprod(x, 0 if axis is None else axis, dtype)


# ---- differences


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The differences of neighbours along a dimension, taken ``n`` times; of bools, whether they differ.

    Parameters
    ----------
    input : Tensor
        With at least one dimension.
    n : int
        How many times.
    dim : int
        Along which dimension.
    prepend, append : Tensor, optional
        What is put before and behind the input first.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.diff(tl.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    if np.ndim(input) == 0:
        raise RuntimeError("diff: a 0-d tensor has no neighbours")
    if n < 0:
        raise RuntimeError(f"diff: the order must not be negative: {n}")
    axis = _dim("diff", input, dim)
    x = input
    if prepend is not None or append is not None:
        x = cat([part for part in (prepend, input, append) if part is not None], axis)
    subtract = comparison.ne if x.dtype.kind == "b" else arithmetic.sub
    for _ in range(n):
        x = subtract(_piece(x, axis, 1, None), _piece(x, axis, None, -1))
    return arithmetic.clone(x) if n == 0 else x


def _piece(x: Any, axis: int, start: int | None, end: int | None) -> Tensor:
    return getitem(x, (slice(None),) * axis + (slice(start, end),))


@implements(np.diff)
def _np_diff(a, n=1, axis=-1, prepend=None, append=None):
    parts = (part if part is None else as_tensors([part])[0] for part in (a, prepend, append))
    a, prepend, append = parts
    return diff(a, n, axis, prepend, append)


@implements(np.ediff1d)
def _np_ediff1d(ary, to_end=None, to_begin=None):
    parts = [part for part in (to_begin, diff(flatten(ary)), to_end) if part is not None]
    return cat([flatten(part) for part in as_tensors(parts)])


def trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """The integral along a dimension by the trapezoidal rule, at points ``x`` or at distances ``dx``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.trapezoid(tl.tensor([1.0, 2.0, 4.0]))
    tensor(4.5000)
    """
    axis = _dim("trapezoid", y, dim)
    width: Any = dx
    if x is not None:
        behind = (1,) * (np.ndim(y) - axis - 1) if np.ndim(x) == 1 else ()
        width = diff(x, dim=0 if np.ndim(x) == 1 else axis)
        width = np.reshape(width, (*width.shape, *behind))
    return total((_piece(y, axis, 1, None) + _piece(y, axis, None, -1)) * width / 2, axis)


@implements(np.trapezoid)
def _np_trapezoid(y, x=None, dx=1.0, axis=-1):
    y, x = as_tensors([y])[0], x if x is None else as_tensors([x])[0]
    return trapezoid(y, x, dx=dx, dim=axis)


# ---- sorting


@primitive(np.argsort)
def _argsort(input, *, axis=-1):
    return np.argsort(input, axis=axis, kind="stable")


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort the input along a dimension; equal elements stay in order.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.argsort(tl.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    axis = _dim("argsort", input, dim)
    if np.ndim(input) == 0:
        return _argsort(flatten(input))[0]
    if not descending:
        return _argsort(input, axis=axis)
    backwards = _argsort(np.flip(input, axis), axis=axis)
    return input.shape[axis] - 1 - np.flip(backwards, axis)


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Sorted:
    """The elements in order along a dimension, and their indices; nan counts as the largest.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.sort(tl.tensor([3.0, 1.0, 2.0])).values
    tensor([1., 2., 3.])
    """
    indices = argsort(input, dim, descending)
    if np.ndim(input) == 0:
        return Sorted(arithmetic.clone(input), indices)
    return Sorted(take_along(input, indices, axis=dim % np.ndim(input)), indices)


@implements(np.sort)
def _np_sort(a, axis=-1, kind=None, *, stable=None):
    return sort(flatten(a), 0).values if axis is None else sort(a, axis).values
