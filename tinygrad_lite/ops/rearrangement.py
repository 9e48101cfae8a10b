"""Elements in another order or more often: flipped, rolled, repeated, and picked out; the results are copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.tensor import Tensor, as_array
from tinygrad_lite.ops.arithmetic import clone
from tinygrad_lite.ops.indexing import getitem
from tinygrad_lite.ops.shape import expand, flatten, reshape, swapaxes

__all__ = ["flip", "fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile"]


def along(axis: int, key: Any) -> tuple[Any, ...]:
    """The key that indexes one axis and takes the others whole."""
    return (slice(None),) * axis + (key,)


# ---- turned


@primitive(np.flip)
def _flip(input, *, axis=None):
    return np.array(np.flip(input, axis), like=input)


@_flip.vjp(0)
def _(g, out, x, axis=None):
    return np.flip(g, axis)


def flip(input: Any, *dims: Any) -> Tensor:
    """The elements in reverse order along the dimensions named; unlike ``input[::-1]`` a copy.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.flip(tl.tensor([[1, 2], [3, 4]]), (0, 1))
    tensor([[4, 3],
            [2, 1]])
    """
    axes = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    ndim = np.ndim(input)
    if any(not -ndim <= axis < ndim for axis in axes):
        raise IndexError(f"flip: dims {axes} are out of range for {ndim} dimensions")
    if len({axis % ndim for axis in axes}) < len(axes):
        raise RuntimeError(f"flip: dims {axes} name a dimension twice")
    return _flip(input, axis=axes)


@implements(np.fliplr)
def fliplr(input: Any) -> Tensor:
    """The columns in reverse order.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.fliplr(tl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if np.ndim(input) < 2:
        raise RuntimeError(f"fliplr: shape {np.shape(input)} has no columns: it needs two dimensions")
    return _flip(input, axis=1)


@implements(np.flipud)
def flipud(input: Any) -> Tensor:
    """The rows in reverse order.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.flipud(tl.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if np.ndim(input) < 1:
        raise RuntimeError("flipud: a 0-d tensor has no rows")
    return _flip(input, axis=0)


@primitive(np.roll)
def _roll(input, *, shift, axis=None):
    return np.roll(input, shift, axis)


@_roll.vjp(0)
def _(g, out, x, shift, axis=None):
    return np.roll(g, tuple(-n for n in shift) if np.ndim(shift) else -shift, axis)


def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """The elements moved on along dimensions (default: all in a row); what falls off returns at the other end.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.roll(tl.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    steps = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if len(steps) != max(len(axes), 1):
        raise RuntimeError(f"roll: shifts {shifts} and dims {dims} must be as many")
    for dim in axes:
        if not -np.ndim(input) <= dim < np.ndim(input):
            raise IndexError(f"roll: dim {dim} is out of range for {np.ndim(input)} dimensions")
    return _roll(input, shift=steps, axis=axes) if axes else _roll(input, shift=steps[0])


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned ``k`` times by 90 degrees, from the first of two dimensions towards the second.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.rot90(tl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    first, second = dims
    if k % 4 == 2:
        return _flip(input, axis=(first, second))
    if k % 4 == 0:
        return _flip(input, axis=())
    turned = swapaxes(input, first, second)
    return _flip(turned, axis=first if k % 4 == 1 else second)


@implements(np.rot90)
def _np_rot90(m, k=1, axes=(0, 1)):
    return rot90(m, k, axes)


# ---- repeated


def tile(input: Any, *dims: Any) -> Tensor:
    """The whole tensor, so many times along each dimension (the last ones, or new ones in front).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tile(tl.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    shape = np.shape(input)
    ndim = max(len(shape), len(times))
    shape = (1,) * (ndim - len(shape)) + shape
    times = (1,) * (ndim - len(times)) + times
    apart = reshape(input, [size for n in shape for size in (1, n)])
    repeated = expand(apart, [size for pair in zip(times, shape, strict=True) for size in pair])
    return clone(reshape(repeated, [t * n for t, n in zip(times, shape, strict=True)]))


@implements(np.tile)
def _np_tile(A, reps):  # noqa: N803 - NumPy's name
    return tile(A, (reps,) if np.ndim(reps) == 0 else tuple(reps))


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None) -> Tensor:
    """Every element so many times, one after the other; ``repeats`` is one number or one for each.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.repeat_interleave(tl.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    x, dim = (flatten(input), 0) if dim is None else (input, dim)
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(f"repeat_interleave: dim {dim} is out of range for {x.ndim} dimensions")
    try:
        places = np.repeat(np.arange(x.shape[dim]), as_array(repeats))
    except ValueError as error:
        raise RuntimeError(f"repeat_interleave of {np.shape(input)}: {error}") from None
    return getitem(x, along(dim % x.ndim, places))


@implements(np.repeat)
def _np_repeat(a, repeats, axis=None):
    return repeat_interleave(a, repeats, axis)


# ---- picked out, in NumPy's spellings


@implements(np.take)
def _np_take(a, indices, axis=None, *, mode="raise"):
    if mode != "raise":
        raise TypeError(f"np.take of a tensor: mode {mode!r} is not supported, only 'raise'")
    x, axis = (flatten(a), 0) if axis is None else (a, axis % np.ndim(a))
    return getitem(x, along(axis, indices))


@implements(np.compress)
def _np_compress(condition, a, axis=None):
    chosen = np.flatnonzero(as_array(condition))
    return _np_take(a, chosen, axis)


@implements(np.extract)
def _np_extract(condition, arr):
    return _np_compress(np.ravel(as_array(condition)), arr)


@implements(np.delete)
def _np_delete(arr, obj, axis=None):
    x, axis = (flatten(arr), 0) if axis is None else (arr, axis % np.ndim(arr))
    return getitem(x, along(axis, np.delete(np.arange(x.shape[axis]), as_array(obj))))


@implements(np.resize)
def _np_resize(a, new_shape):
    return reshape(getitem(flatten(a), np.resize(np.arange(np.size(a)), new_shape).ravel()), new_shape)


@implements(np.trim_zeros)
def _np_trim_zeros(filt, trim="fb"):
    places = np.flatnonzero(as_array(filt))
    start = places[0] if "f" in trim and len(places) else 0
    end = places[-1] + 1 if "b" in trim and len(places) else len(filt)
    return getitem(filt, slice(start, end if len(places) else 0))
