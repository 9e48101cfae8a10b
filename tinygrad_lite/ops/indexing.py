"""Indexing: reading elements by position, and its adjoint, adding them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import as_operand, convert
from tinygrad_lite.autograd.tensor import Tensor, borrow, wrap

__all__ = ["gather", "index_select", "masked_fill", "one_hot"]

# ---- slices, integers, None, Ellipsis: a view


@primitive(view=True)
def _slice(input, *, key):
    return input[key]


@_slice.vjp(0)
def _(g, out, x, key):
    return _unslice(g, key=key, shape=x.shape)


@primitive()
def _unslice(input, *, key, shape):
    out = np.zeros(shape, input.dtype, like=input)
    out[key] = input
    return out


@_unslice.vjp(0)
def _(g, out, x, key, shape):
    return g[key]


# ---- arrays of integers or bools: a copy


@primitive(saves="indices")
def _take(input, *indices, key):
    return input[_with_arrays(key, indices)]


@_take.vjp(0)
def _(g, out, x, *indices, key):
    return _add_at(g, *indices, key=key, shape=x.shape)


@primitive(saves="indices")
def _add_at(input, *indices, key, shape):
    out = np.zeros(shape, input.dtype, like=input)
    np.add.at(out, _with_arrays(key, indices), input)
    return out


@_add_at.vjp(0)
def _(g, out, x, *indices, key, shape):
    return _take(g, *indices, key=key)


@primitive(saves="indices")
def put(input, values, *indices, key):
    """A copy of the input with ``values`` at the key: what ``input[key] = values`` leaves."""
    out = np.array(input, like=input)
    out[_with_arrays(key, indices)] = values
    return out


@put.vjp(0)
def _(g, out, x, values, *indices, key):
    return put(g, np.zeros(values.shape, g.dtype), *indices, key=key)


@put.vjp(1)
def _(g, out, x, values, *indices, key):
    taken = g[_with_arrays(key, indices)]
    return np.reshape(taken, (1,) * (values.ndim - taken.ndim) + taken.shape)  # values may have had leading ones


class _Hole:
    """Where an index array belongs in a key: arrays are inputs of a primitive, not parameters."""

    def __repr__(self) -> str:
        return "_"


_HOLE = _Hole()


def _with_arrays(key: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    remaining = iter(arrays)
    return tuple(next(remaining) if part is _HOLE else part for part in key)


def parse_key(key: Any) -> tuple[tuple[Any, ...], list[Tensor]]:
    """An index expression as a tuple with holes, and the index arrays that fill them.

    Raises
    ------
    IndexError
        For floats and other numbers that do not index.
    TypeError
        For strings and other things that are no numbers.
    ValueError
        For a slice with step 0.
    """
    parts: list[Any] = []
    arrays: list[Tensor] = []
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, slice):
            start, stop, step = (None if n is None else n.__index__() for n in (part.start, part.stop, part.step))
            if step == 0:
                raise ValueError("the step of a slice cannot be 0")
            parts.append(slice(start, stop, step))
        elif part is None or part is Ellipsis:
            parts.append(part)
        elif _is_integer(part):
            parts.append(int(part))
        else:
            parts.append(_HOLE)
            arrays.append(_index_array(part))
    return tuple(parts), arrays


def _is_integer(part: Any) -> bool:
    if isinstance(part, Tensor):
        return part.ndim == 0 and part.dtype.kind in "iu"
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


def _index_array(part: Any) -> Tensor:
    array = part._array if isinstance(part, Tensor) else np.array(part)  # a copy: the caller may change its list
    if array.size == 0 and not isinstance(part, Tensor):
        array = array.astype(np.int64)
    if array.dtype == np.uint8:
        raise IndexError("an index of uint8 could be positions or a mask: say which with .long() or .bool()")
    if array.dtype.kind not in "ib":
        error = IndexError if array.dtype.kind in "fc" else TypeError
        raise error(f"tensors are indexed by integers, bools, slices, None and Ellipsis, not by {array.dtype}")
    return part if isinstance(part, Tensor) else wrap(array)


def getitem(input: Any, key: Any) -> Tensor:
    """``input[key]``: a view for slices and integers, a copy for index arrays and masks.

    As in PyTorch, integers beside index arrays select first, and the arrays index what is left.

    Raises
    ------
    IndexError
        If the index is out of range, has too many dimensions, or is no index.
    """
    key, arrays = parse_key(key)
    if not arrays:
        return _slice(input, key=_as_view(key))
    if any(isinstance(part, int) for part in key):
        input, key = _slice(input, key=_as_view(_selecting(key, arrays))), _remaining(key)
    return _take(input, *arrays, key=key)


def _as_view(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key with an Ellipsis: then NumPy gives a view even of a single element."""
    return key if any(part is Ellipsis for part in key) else (*key, Ellipsis)


def _selecting(key: tuple[Any, ...], arrays: list[Tensor]) -> tuple[Any, ...]:
    """The integers, slices and new dimensions of a key; an index array leaves its dimensions alone."""
    remaining = iter(arrays)
    parts: list[Any] = []
    for part in key:
        if part is _HOLE:
            array = next(remaining)
            parts += [slice(None)] * (array.ndim if array.dtype.kind == "b" else 1)
        else:
            parts.append(part)
    return tuple(parts)


def _remaining(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key for what :func:`_selecting` left: its index arrays, in place."""
    return tuple(
        part if part is _HOLE or part is Ellipsis else slice(None) for part in key if not isinstance(part, int)
    )


def with_items(input: Any, key: Any, values: Any) -> Tensor:
    """A copy of the input in which ``input[key]`` is ``values``."""
    key, arrays = parse_key(key)
    if arrays and any(isinstance(part, int) for part in key):
        selecting = _selecting(key, arrays)
        selected = put(_take(input, key=_as_view(selecting)), values, *arrays, key=_remaining(key))
        return put(input, selected, key=selecting)
    return put(input, values, *arrays, key=key)


# ---- by name


@primitive()
def in_range(input, *, size, error, name):
    """The indices, if all of them are in ``range(size)``; else an error that shows one.

    A primitive, so that a captured program keeps the check.
    """
    try:
        return np.ravel_multi_index((input,), (size,))
    except ValueError:
        largest, smallest = np.max(input), np.min(input)
        raise error(f"{name} {smallest if smallest < 0 else largest} is not in range({size})") from None


@primitive(saves="index")
def take_along(input, index, *, axis):
    return np.take_along_axis(input, index, axis)


@take_along.vjp(0)
def _(g, out, x, index, axis):
    return _add_along(g, index, axis=axis, shape=x.shape)


@primitive(saves="index")
def _add_along(input, index, *, axis, shape):
    out = np.zeros(shape, input.dtype, like=input)
    grid = [np.reshape(np.arange(n), (-1,) + (1,) * (len(shape) - d - 1)) for d, n in enumerate(np.shape(index))]
    np.add.at(out, (*grid[:axis], index, *grid[axis + 1 :]), input)
    return out


@_add_along.vjp(0)
def _(g, out, x, index, axis, shape):
    return take_along(g, index, axis=axis)


@implements(np.take_along_axis)
def _np_take_along_axis(arr, indices, axis=-1):
    return gather(arr, axis, indices if isinstance(indices, Tensor) else borrow(np.asarray(indices)))


def gather(input: Any, dim: int, index: Any) -> Tensor:
    """Along ``dim``, the elements that ``index`` names: ``out[i][j] = input[index[i][j]][j]`` for dim 0.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim : int
        The dimension to pick along.
    index : int64 Tensor
        As many dimensions as the input; its sizes give the result's, at most the input's but for ``dim``.

    Raises
    ------
    RuntimeError
        If the index has another number of dimensions, or is larger than the input outside ``dim``, or
        is not int64, or names elements that the input does not have.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.gather(tl.tensor([[1, 2], [3, 4]]), 1, tl.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if index.dtype != dtypes.int64:
        raise RuntimeError(f"gather: the index must be int64, not {index.dtype}")
    if index.ndim != input.ndim:
        raise RuntimeError(f"gather: the index {index.shape} needs as many dimensions as the input {input.shape}")
    if input.ndim == 0:
        return input[None][index]
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(f"gather: dim {dim} is out of range for {input.ndim} dimensions")
    axis = dim % input.ndim
    if any(n > m for d, (n, m) in enumerate(zip(index.shape, input.shape, strict=True)) if d != axis):
        raise RuntimeError(f"gather: the index {index.shape} is larger than the input {input.shape} outside dim {dim}")
    size = input.shape[axis]
    index = in_range(index, size=size, error=RuntimeError, name=f"gather along dim {dim}: index")
    window = tuple(slice(None) if d == axis else slice(n) for d, n in enumerate(index.shape))
    return take_along(input if index.shape == input.shape else input[window], index, axis=axis)


def index_select(input: Any, dim: int, index: Any) -> Tensor:
    """The slices along ``dim`` that a 1-D index names.

    Raises
    ------
    IndexError
        If the index names slices that the input does not have; negative ones do not count from the end.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.index_select(tl.tensor([[1, 2], [3, 4]]), 1, tl.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(f"index_select: dim {dim} is out of range for {input.ndim} dimensions")
    axis = dim % input.ndim
    index = in_range(index, size=input.shape[axis], error=IndexError, name=f"index_select along dim {dim}: index")
    return getitem(input, (slice(None),) * axis + (index,))


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """A copy with ``value`` where the mask holds.

    Raises
    ------
    RuntimeError
        If the mask is not bool or does not broadcast with the input, or the value does not fit its dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.masked_fill(tl.tensor([1.0, 2.0]), tl.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    if mask.dtype != dtypes.bool_:
        raise RuntimeError(f"masked_fill: the mask must be bool, as a comparison gives, not {mask.dtype}")
    dtypes.check_number("masked_fill", value, input.dtype)
    value = convert(as_operand("masked_fill", value, input.dtype), dtype=input.dtype)
    try:
        return np.where(mask, value, input)
    except RuntimeError as error:
        shapes = f"mask {mask.shape}, value {value.shape} and input {input.shape}"
        raise RuntimeError(f"masked_fill: {shapes} cannot be broadcast together") from error


def one_hot(input: Any, num_classes: int = -1) -> Tensor:
    """Class indices as rows of zeros with a single one; int64.

    Parameters
    ----------
    input : int64 Tensor
        Class indices, any shape.
    num_classes : int
        The length of a row; -1: the largest index plus one.

    Raises
    ------
    RuntimeError
        If an index is negative, not below ``num_classes``, or not int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.one_hot(tl.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if input.dtype != dtypes.int64:
        raise RuntimeError(f"one_hot: class indices must be int64, not {input.dtype}")
    if num_classes == -1:
        if not input.numel():
            raise RuntimeError("one_hot: num_classes cannot be found out from an empty tensor")
        num_classes = int(np.max(input)) + 1
    input = in_range(input, size=num_classes, error=RuntimeError, name="one_hot: class")
    return convert(np.expand_dims(input, -1) == np.arange(num_classes), dtype=dtypes.int64)
