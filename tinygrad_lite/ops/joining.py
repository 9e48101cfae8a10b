"""Joining, splitting and broadcasting several tensors: the functions beside ``cat``, ``stack`` and ``split``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.dtypes import as_dtype
from tinygrad_lite.ops.indexing import getitem
from tinygrad_lite.ops.shape import as_tensors, cat, expand_to, flatten, matrix_transpose, movedim, reshape, unbind

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_tensors",
    "column_stack",
    "dstack",
    "hstack",
    "meshgrid",
    "tensor_split",
    "vstack",
]

# ---- at least so many dimensions


def _at_least(ndim: int, meaning: str, to_shape: Any) -> Any:
    """A function of one or several tensors that gives them dimensions in PyTorch's and NumPy's order."""

    def reshaped(*tensors: Any) -> Any:
        given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
        found = tuple(t if t.ndim >= ndim else reshape(t, to_shape(t.shape)) for t in as_tensors(given))
        return found[0] if len(tensors) == 1 and given is tensors else found

    reshaped.__name__ = reshaped.__qualname__ = f"atleast_{ndim}d"
    reshaped.__doc__ = f"""{meaning}; several tensors give a tuple.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.atleast_{ndim}d(tl.tensor(1.0)).shape
    {(1,) * ndim}
    """
    return implements(getattr(np, reshaped.__name__))(reshaped)


atleast_1d = _at_least(1, "A number as a vector", lambda _: (1,))
atleast_2d = _at_least(2, "A vector as a row", lambda shape: (1, *shape) if shape else (1, 1))
atleast_3d = _at_least(3, "A matrix with a third dimension", lambda shape: (*(1, 1, *shape)[-2:], 1))


# ---- joined


@implements(np.hstack)
def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined side by side: vectors in a row, others along the second dimension.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.hstack([tl.tensor([1, 2]), tl.tensor([3])])
    tensor([1, 2, 3])
    """
    parts = atleast_1d(list(tensors))
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


@implements(np.vstack)
def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined below each other, vectors as rows.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.vstack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(list(tensors)))


@implements(np.dstack)
def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along the third dimension.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.dstack([tl.tensor([1, 2]), tl.tensor([3, 4])]).shape
    (1, 2, 2)
    """
    return cat(atleast_3d(list(tensors)), 2)


@implements(np.column_stack)
def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Vectors as the columns of a matrix, beside other matrices.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.column_stack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return hstack([t if t.ndim > 1 else reshape(t, (-1, 1)) for t in as_tensors(tensors)])


@implements(np.append)
def _np_append(arr, values, axis=None):
    parts = as_tensors([arr, values])
    return cat([flatten(part) for part in parts]) if axis is None else cat(parts, axis)


# ---- split


def tensor_split(input: Any, indices_or_sections: Any, /, dim: int = 0) -> tuple[Any, ...]:
    """So many pieces, the first ones longer by one where it does not come out even; or cut before the indices.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tensor_split(tl.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    ndim = np.ndim(input)
    if not -ndim <= dim < ndim:
        raise IndexError(f"tensor_split: dim {dim} is out of range for {ndim} dimensions")
    dim %= ndim
    length = input.shape[dim]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections < 1:
            raise RuntimeError(f"tensor_split: the number of pieces must be positive, not {sections}")
        cuts = [i * (length // sections) + min(i, length % sections) for i in range(1, sections)]
    else:
        cuts = list(indices_or_sections)
    pieces = zip([None, *cuts], [*cuts, None], strict=True)
    return tuple(getitem(input, (slice(None),) * dim + (slice(start, end),)) for start, end in pieces)


@implements(np.array_split)
def _np_array_split(ary, indices_or_sections, axis=0):
    return list(tensor_split(ary, indices_or_sections, axis))


@implements(np.split)
def _np_split(ary, indices_or_sections, axis=0):
    length = np.shape(ary)[axis]
    if isinstance(indices_or_sections, (int, np.integer)) and length % indices_or_sections:
        raise ValueError(f"np.split: {length} elements do not split into {indices_or_sections} equal pieces")
    return _np_array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def _np_hsplit(ary, indices_or_sections):
    return _np_split(ary, indices_or_sections, 1 if np.ndim(ary) > 1 else 0)


@implements(np.vsplit)
def _np_vsplit(ary, indices_or_sections):
    return _np_split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def _np_dsplit(ary, indices_or_sections):
    return _np_split(ary, indices_or_sections, 2)


if hasattr(np, "unstack"):  # since NumPy 2.1

    @implements(np.unstack)
    def _np_unstack(x, /, *, axis=0):
        return unbind(x, axis)


# ---- brought to one shape


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors broadcast against each other, without copies.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> [t.shape for t in tl.broadcast_tensors(tl.zeros(2, 1), tl.zeros(3))]
    [(2, 3), (2, 3)]
    """
    shapes = [np.shape(tensor) for tensor in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(f"broadcast_tensors: shapes {', '.join(map(str, shapes))} do not fit together") from None
    return tuple(expand_to("broadcast_tensors", tensor, shape) for tensor in tensors)


@implements(np.broadcast_arrays)
def _np_broadcast_arrays(*args):
    return broadcast_tensors(*as_tensors(args))


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Vectors as coordinates: of each point of the grid that they span, one tensor per coordinate.

    Parameters
    ----------
    *tensors : Tensor
        Vectors or numbers.
    indexing : {"ij", "xy"}
        "xy": the first two dimensions swapped, so that the first coordinate runs along the columns.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> rows, columns = tl.meshgrid(tl.tensor([1, 2]), tl.tensor([3, 4, 5]))
    >>> columns
    tensor([[3, 4, 5],
            [3, 4, 5]])
    """
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    if any(np.ndim(tensor) > 1 for tensor in tensors):
        raise RuntimeError("meshgrid: expected vectors")
    ndim = len(tensors)
    apart = [reshape(tensor, (1,) * i + (-1,) + (1,) * (ndim - i - 1)) for i, tensor in enumerate(tensors)]
    grids = broadcast_tensors(*apart)
    return tuple(movedim(grid, 0, 1) for grid in grids) if indexing == "xy" and ndim > 1 else grids


@implements(np.meshgrid)
def _np_meshgrid(*xi, indexing="xy"):
    return meshgrid(*as_tensors(xi), indexing=indexing)


# ---- conversions, in NumPy's spellings


@implements(np.astype)
def _np_astype(x, dtype, /, *, copy=True):
    converted = convert(x, dtype=as_dtype(dtype))
    return np.copy(converted) if copy and converted is x else converted


implements(np.matrix_transpose, np.linalg.matrix_transpose)(matrix_transpose)
