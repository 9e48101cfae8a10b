"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.tensor import Tensor, borrow
from tinygrad_lite.ops.arithmetic import clone
from tinygrad_lite.ops.elementwise import where
from tinygrad_lite.ops.indexing import getitem, with_items
from tinygrad_lite.ops.reduction import sum
from tinygrad_lite.ops.shape import flatten, movedim

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu"]

# ---- diagonals


@primitive(view=True)
def _diagonal(input):
    return np.einsum("...ii->...i", input)


@_diagonal.vjp(0)
def _(g, out, x):
    return np.where(np.eye(x.shape[-1], dtype=np.bool_), np.expand_dims(g, -1), 0)


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements whose indices in two dimensions differ by ``offset``, as the last dimension of a view.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.diagonal(tl.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    ndim = np.ndim(input)
    for dim in (dim1, dim2):
        if not -ndim <= dim < ndim:
            raise IndexError(f"diagonal: dim {dim} is out of range for {ndim} dimensions")
    if dim1 % ndim == dim2 % ndim:
        raise RuntimeError(f"diagonal: dims {dim1} and {dim2} are the same")
    x = movedim(input, (dim1, dim2), (-2, -1))
    first, second = max(-offset, 0), max(offset, 0)
    length = max(min(x.shape[-2] - first, x.shape[-1] - second), 0)
    return _diagonal(getitem(x, (..., slice(first, first + length), slice(second, second + length))))


@implements(np.diagonal)
def _np_diagonal(a, offset=0, axis1=0, axis2=1):
    return diagonal(a, offset, axis1, axis2)


@implements(np.linalg.diagonal)
def _np_linalg_diagonal(x, /, *, offset=0):
    return diagonal(x, offset, -2, -1)


def diag(input: Any, diagonal: int = 0) -> Tensor:
    """A copy of the diagonal of a matrix, or the matrix that has a vector there and zeros elsewhere.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.diag(tl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if np.ndim(input) == 2:
        return clone(_np_diagonal(input, diagonal))
    if np.ndim(input) != 1:
        raise RuntimeError(f"diag: expected a vector or a matrix, not shape {np.shape(input)}")
    places = np.arange(input.shape[0])
    size = input.shape[0] + abs(diagonal)
    zeros = borrow(np.zeros((size, size), input.dtype))
    return with_items(zeros, (places + max(-diagonal, 0), places + max(diagonal, 0)), input)


@implements(np.diag)
def _np_diag(v, k=0):
    return diag(v, k)


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix that has all elements of the input on its diagonal.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.diagflat(tl.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag(flatten(input), offset)


@implements(np.diagflat)
def _np_diagflat(v, k=0):
    return diagflat(v, k)


def trace(input: Any) -> Tensor:
    """The sum of the diagonal of a matrix.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.trace(tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if np.ndim(input) != 2:
        raise RuntimeError(f"trace: expected a matrix, not shape {np.shape(input)}")
    return sum(diagonal(input))


@implements(np.trace)
def _np_trace(a, offset=0, axis1=0, axis2=1):
    return sum(diagonal(a, offset, axis1, axis2), -1)


@implements(np.linalg.trace)
def _np_linalg_trace(x, /, *, offset=0):
    return _np_trace(x, offset, -2, -1)


# ---- triangles


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, up to a diagonal; 0 above it.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tril(tl.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle("tril", input, diagonal, True)


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, from a diagonal on; 0 below it.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.triu(tl.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle("triu", input, diagonal - 1, False)


def _triangle(name: str, input: Any, diagonal: int, lower: bool) -> Tensor:
    if np.ndim(input) < 2:
        raise RuntimeError(f"{name}: expected matrices, not shape {np.shape(input)}")
    rows, columns = input.shape[-2:]
    inside = np.tri(rows, columns, diagonal, dtype=np.bool_)
    return where(borrow(inside if lower else ~inside), input, 0)


@implements(np.tril)
def _np_tril(m, k=0):
    return tril(m, k)


@implements(np.triu)
def _np_triu(m, k=0):
    return triu(m, k)
