"""Shapes: the same elements, otherwise arranged. Results share memory with their input where they can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import to_result_type
from tinygrad_lite.autograd.tensor import Tensor, borrow
from tinygrad_lite.ops.indexing import getitem

__all__ = [
    "broadcast_to",
    "cat",
    "chunk",
    "concat",
    "expand",
    "flatten",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
]


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` are the same."""
    return tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) else sizes


def _position(name: str, dim: int, ndim: int) -> int:
    """``dim`` counted from the front."""
    if not -ndim <= dim < ndim:
        raise IndexError(f"{name}: dim {dim} is out of range for {ndim} dimensions")
    return dim % ndim


# ---- reshape


@primitive(view=True)
def _reshape(input, *, shape):
    return np.reshape(input, shape)


@_reshape.vjp(0)
def _(g, out, x, shape):
    return np.reshape(g, x.shape)


@implements(np.reshape)
def _np_reshape(a, /, shape=None, order="C", *, newshape=None):
    if order != "C":
        raise TypeError(f"np.reshape of a tensor: order {order!r} is not supported, only 'C'")
    return _reshape(a, shape=shape if newshape is None else newshape)


def reshape(input: Any, *shape: Any) -> Tensor:
    """The elements in order, in another shape; one size may be -1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.reshape(tl.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    shape = _sizes(shape)
    _check_size("reshape", np.shape(input), shape)
    return _reshape(input, shape=shape)


def _check_size(name: str, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    size, known = math.prod(old), math.prod(n for n in new if n != -1)
    unknown = new.count(-1)
    if min(new, default=0) < -1 or unknown > 1 or (known == 0 or size % known if unknown else size != known):
        raise RuntimeError(f"{name}: shape {new} does not hold the {size} elements of {old}")


def view(input: Any, *shape: Any) -> Tensor:
    """:func:`reshape`, if it can share memory; ``view(dtype)`` is not supported.

    Raises
    ------
    RuntimeError
        If the elements would have to be copied: use ``reshape``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.arange(4).view(2, -1)
    tensor([[0, 1],
            [2, 3]])
    """
    shape = _sizes(shape)
    _check_size("view", input.shape, shape)
    out = _reshape(input, shape=shape)
    if not np.may_share_memory(out._array, input._array) and out.numel():
        raise RuntimeError(f"view: the memory of this {input.shape} has another order; use reshape(), which copies")
    return out


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.flatten(tl.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    shape = np.shape(input)
    if not shape:
        return _reshape(input, shape=(1,))
    start, end = (_position("flatten", dim, len(shape)) for dim in (start_dim, end_dim))
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    return _reshape(input, shape=(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@implements(np.ravel)
def ravel(input: Any) -> Tensor:
    """All elements in one dimension.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.ravel(tl.eye(2))
    tensor([1., 0., 0., 1.])
    """
    return flatten(input)


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without dimensions of size 1: all of them, or those named if their size is 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.squeeze(tl.zeros(2, 1, 3), 1).shape
    (2, 3)
    """
    shape = np.shape(input)
    if dim is None:
        return _reshape(input, shape=tuple(n for n in shape if n != 1))
    dims = {_position("squeeze", d, max(len(shape), 1)) for d in ((dim,) if isinstance(dim, int) else dim)}
    return _reshape(input, shape=tuple(n for d, n in enumerate(shape) if d not in dims or n != 1))


@implements(np.squeeze)
def _np_squeeze(a, axis=None):
    dims = () if axis is None else (axis,) if isinstance(axis, int) else axis
    if any(np.shape(a)[dim] != 1 for dim in dims):
        raise ValueError(f"np.squeeze: axis {axis} of shape {np.shape(a)} has not size 1")
    return squeeze(a, axis)


def unsqueeze(input: Any, dim: int) -> Tensor:
    """With a dimension of size 1 at ``dim``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.unsqueeze(tl.zeros(3), 0).shape
    (1, 3)
    """
    shape = np.shape(input)
    at = _position("unsqueeze", dim, len(shape) + 1)
    return _reshape(input, shape=(*shape[:at], 1, *shape[at:]))


@implements(np.expand_dims)
def _np_expand_dims(a, axis):
    axes = (axis,) if isinstance(axis, int) else axis
    ndim = len(np.shape(a)) + len(axes)
    places = {_position("np.expand_dims", dim, ndim) for dim in axes}
    sizes = iter(np.shape(a))
    return _reshape(a, shape=tuple(1 if dim in places else next(sizes) for dim in range(ndim)))


# ---- order of dimensions


@primitive(view=True)
def _permute(input, *, axes=None):
    return np.transpose(input, axes)


@_permute.vjp(0)
def _(g, out, x, axes=None):
    return np.transpose(g, None if axes is None else tuple(axes.index(dim) for dim in range(len(axes))))


@implements(np.transpose)
def _np_transpose(a, axes=None):
    return _permute(a) if axes is None else permute(a, tuple(axes))


def permute(input: Any, *dims: Any) -> Tensor:
    """The dimensions in another order.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.permute(tl.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    ndim = len(np.shape(input))
    order = tuple(_position("permute", dim, ndim) for dim in _sizes(dims))
    if sorted(order) != list(range(ndim)):
        raise RuntimeError(f"permute: dims {_sizes(dims)} are not an order of the {ndim} dimensions")
    return _permute(input, axes=order)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.transpose(tl.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    ndim = len(np.shape(input))
    if ndim == 0 and dim0 in (0, -1) and dim1 in (0, -1):
        return _permute(input, axes=())
    order = list(range(ndim))
    a, b = _position("transpose", dim0, ndim), _position("transpose", dim1, ndim)
    order[a], order[b] = b, a
    return _permute(input, axes=tuple(order))


@implements(np.swapaxes)
def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two dimensions swapped: :func:`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


@implements(np.moveaxis)
def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions at other places, the others in their order.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.movedim(tl.zeros(2, 3, 4), 2, 0).shape
    (4, 2, 3)
    """
    ndim = len(np.shape(input))
    sources, destinations = ((dims,) if isinstance(dims, int) else tuple(dims) for dims in (source, destination))
    moves = {
        _position("movedim", d, ndim): _position("movedim", s, ndim)
        for s, d in zip(sources, destinations, strict=False)
    }
    if not len(sources) == len(destinations) == len(moves) == len(set(moves.values())):
        raise RuntimeError(f"movedim: {source} to {destination} must name as many dimensions, each once")
    others = (dim for dim in range(ndim) if dim not in moves.values())
    return _permute(input, axes=tuple(moves[dim] if dim in moves else next(others) for dim in range(ndim)))


def t(input: Any) -> Tensor:
    """A matrix transposed; a vector as it is.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.t(tl.zeros(2, 3)).shape
    (3, 2)
    """
    if np.ndim(input) > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got shape {np.shape(input)}; use .mT or transpose()")
    return _permute(input)


def reversed_dims(input: Any) -> Tensor:
    """The dimensions in reverse order: ``tensor.T``."""
    return _permute(input)


def matrix_transpose(input: Any) -> Tensor:
    """The last two dimensions swapped: ``tensor.mT``."""
    return transpose(input, -2, -1)


# ---- repetition without copies


@primitive(np.broadcast_to, view=True)
def _expand(input, *, shape):
    return np.broadcast_to(input, shape)


@_expand.vjp(0)
def _(g, out, x, shape):
    return g  # the engine sums it down


def expand(input: Any, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated, without copies, to ``sizes``; -1 keeps a size.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.expand(tl.tensor([[1], [2]]), 2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return expand_to("expand", input, _sizes(sizes))


def expand_to(name: str, input: Any, sizes: tuple[int, ...]) -> Tensor:
    """:func:`expand`, with errors in the name of another operation."""
    shape = np.shape(input)
    old = (-1,) * (len(sizes) - len(shape)) + shape  # a new dimension has no size to keep
    wanted = tuple(o if n == -1 else n for o, n in zip(old, sizes, strict=False))
    if len(old) > len(sizes) or any(n < 0 or o not in (-1, 1, n) for o, n in zip(old, wanted, strict=True)):
        raise RuntimeError(f"{name}: {sizes} does not fit shape {shape}: only new dimensions and those of 1 can grow")
    return _expand(input, shape=wanted)


def broadcast_to(input: Any, size: Sequence[int]) -> Tensor:
    """The tensor broadcast to a shape, without copies.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.broadcast_to(tl.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand_to("broadcast_to", input, tuple(size))


# ---- joining and splitting


@primitive()
def _concatenate(*arrays, axis):
    return np.concatenate(arrays, axis=axis)


@_concatenate.vjp(-1)
def _(g, out, *arrays, axis, index):
    start = sum(array.shape[axis] for array in arrays[:index])
    return g[(slice(None),) * axis + (slice(start, start + arrays[index].shape[axis]),)]


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension, in their common dtype.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of the same shape but for ``dim``.
    dim : int
        Where to join.

    Raises
    ------
    RuntimeError
        If there is no tensor, or the other sizes differ.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.cat([tl.tensor([1, 2]), tl.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = _of_one_dtype("cat", tensors)
    shapes = [tensor.shape for tensor in tensors]
    if () in shapes:
        raise RuntimeError("cat: a 0-d tensor has no dimension to join; use stack()")
    axis = _position("cat", dim, len(shapes[0]))
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise RuntimeError(f"cat: shapes {', '.join(map(str, shapes))} must agree but for dim {dim}")
    return _concatenate(*tensors, axis=axis)


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.stack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = _of_one_dtype("stack", tensors)
    shapes = {tensor.shape for tensor in tensors}
    if len(shapes) > 1:
        raise RuntimeError(f"stack: shapes {', '.join(map(str, shapes))} must be equal")
    axis = _position("stack", dim, tensors[0].ndim + 1)
    return cat([unsqueeze(tensor, axis) for tensor in tensors], axis)


def _of_one_dtype(name: str, tensors: Sequence[Any]) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise TypeError(f"{name}: expected a list or tuple of Tensors")
    if not tensors:
        raise (ValueError if name == "cat" else RuntimeError)(f"{name}: expected at least one Tensor")
    return to_result_type(*tensors)


@implements(np.concatenate)
def _np_concatenate(arrays, /, axis=0):
    tensors = as_tensors(arrays)
    return cat([flatten(tensor) for tensor in tensors]) if axis is None else cat(tensors, axis)


@implements(np.stack)
def _np_stack(arrays, axis=0):
    return stack(as_tensors(arrays), axis)


def as_tensors(arrays: Sequence[Any]) -> list[Tensor]:
    return [a if isinstance(a, Tensor) else borrow(np.asarray(a)) for a in arrays]


def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Pieces of a size (the last may be smaller), or of the sizes listed.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.split(tl.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis = _position("split", dim, tensor.ndim)
    length = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size <= 0 and not size == length == 0:
            raise RuntimeError(f"split: the size of a piece must be positive, not {size}")
        sizes = [min(size, length - start) for start in range(0, length, size)] if length else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != length or min(sizes, default=0) < 0:
            raise RuntimeError(f"split: sizes {sizes} do not add up to {length}, the size of dim {dim}")
    pieces, start = [], 0
    for size in sizes:
        pieces.append(getitem(tensor, (slice(None),) * axis + (slice(start, start + size),)))
        start += size
    return tuple(pieces)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most so many pieces of equal size (the last may be smaller).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.chunk(tl.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise RuntimeError(f"chunk: the number of chunks must be positive, not {chunks}")
    length = input.shape[_position("chunk", dim, input.ndim)]
    return split(input, -(-length // chunks) or [0] * chunks, dim)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along a dimension, without it.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.unbind(tl.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    axis = _position("unbind", dim, input.ndim)
    return tuple(getitem(input, (slice(None),) * axis + (i,)) for i in range(input.shape[axis]))


concat = cat
