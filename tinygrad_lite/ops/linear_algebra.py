"""Products of matrices and vectors."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_lite import _blas, dtypes
from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import NUMPY, Tensor, borrow
from tinygrad_lite.ops.reduction import _root_of_variance
from tinygrad_lite.ops.shape import as_tensors

__all__ = ["bmm", "dot", "inner", "kron", "linear", "matmul", "mm", "mv", "outer", "tensordot", "vdot"]


@primitive(saves="input other")
def _matmul(input, other):
    return _times(input, other)


@_matmul.vjp(0)
def _(g, out, x, y):
    return _times(g, y.mT)


@_matmul.vjp(1)
def _(g, out, x, y):
    return _times(x.mT, g)


def _times(x, y):
    return _blas.product(x, y) if x.ndim == y.ndim == 2 else np.matmul(x, y)


@implements(np.matmul)
def matmul(input: Any, other: Any) -> Tensor:
    """The matrix product; dimensions before the last two are broadcast.

    Parameters
    ----------
    input : Tensor, shape (..., n, k) or (k,)
        A vector is a row.
    other : Tensor, shape (..., k, m) or (k,)
        A vector is a column. Of the same dtype as the input.

    Returns
    -------
    Tensor, shape (..., n, m)
        Without the dimensions that the operands as vectors did not have.

    Raises
    ------
    RuntimeError
        If the shapes do not fit, an operand is 0-d, or the dtypes differ.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.matmul(tl.tensor([[1.0, 2.0]]), tl.tensor([3.0, 4.0]))
    tensor([11.])
    """
    return _product("matmul", input, other)


def _product(name: str, input: Any, other: Any) -> Any:
    """The matrix product, under the name of the function that was called."""
    input, other = _operands(name, input, other)
    if input.ndim == 0 or other.ndim == 0:
        raise RuntimeError(
            f"{name}: {input.shape} @ {other.shape}: both need at least one dimension; use * for numbers"
        )
    x = np.reshape(input, (1, -1)) if input.ndim == 1 else input
    y = np.reshape(other, (-1, 1)) if other.ndim == 1 else other
    if x.shape[-1] != y.shape[-2]:
        raise RuntimeError(
            f"{name}: {input.shape} @ {other.shape}: the last dimension of the first, {x.shape[-1]}, must equal the "
            f"{'only' if other.ndim == 1 else 'second to last'} dimension of the second, {y.shape[-2]}"
        )
    out = _matmul(x, y)
    if input.ndim > 1 and other.ndim > 1:
        return out
    shape = out.shape[:-2] + out.shape[-2:-1] * (input.ndim > 1) + out.shape[-1:] * (other.ndim > 1)
    return np.reshape(out, shape)


def _operands(name: str, input: Any, other: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors, arrays included, of one dtype."""
    operands = []
    for operand in (input, other):
        if not isinstance(operand, (Tensor, np.ndarray)):
            raise TypeError(f"{name}: expected Tensors, not {type(operand).__name__}")
        operands.append(operand if isinstance(operand, Tensor) else borrow(operand))
    x, y = operands
    if x.dtype != y.dtype:
        wider = dtypes.promote_types(x.dtype, y.dtype)
        raise RuntimeError(f"{name}: {x.dtype} and {y.dtype} must be the same dtype: convert one with .to(tl.{wider})")
    return x, y


def _of_dimensions(name: str, input: Any, other: Any, dimensions: tuple[int, int]) -> Any:
    if (input.ndim, other.ndim) != dimensions:
        raise RuntimeError(
            f"{name}: expected {dimensions[0]} and {dimensions[1]} dimensions, got {input.shape} and {other.shape}"
        )
    return _product(name, input, other)


def mm(input: Any, mat2: Any) -> Tensor:
    """The product of two matrices, without broadcasting.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.mm(tl.tensor([[1.0, 2.0]]), tl.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return _of_dimensions("mm", input, mat2, (2, 2))


def bmm(input: Any, mat2: Any) -> Tensor:
    """The products of two batches of matrices: (b, n, k) by (b, k, m).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.bmm(tl.ones(2, 1, 3), tl.ones(2, 3, 1)).shape
    (2, 1, 1)
    """
    if input.shape[:1] != mat2.shape[:1]:
        raise RuntimeError(f"bmm: {input.shape} and {mat2.shape} must have the same first dimension")
    return _of_dimensions("bmm", input, mat2, (3, 3))


def mv(input: Any, vec: Any) -> Tensor:
    """A matrix times a vector.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.mv(tl.tensor([[1.0, 2.0]]), tl.tensor([3.0, 4.0]))
    tensor([11.])
    """
    return _of_dimensions("mv", input, vec, (2, 1))


def dot(input: Any, tensor: Any) -> Tensor:
    """The inner product of two vectors.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.dot(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return _of_dimensions("dot", input, tensor, (1, 1))


def outer(input: Any, vec2: Any) -> Tensor:
    """The products of every element of one vector with every element of another: (n,) and (m,) to (n, m).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.outer(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    if np.ndim(input) != 1 or np.ndim(vec2) != 1:
        raise RuntimeError(f"outer: expected two vectors, got {np.shape(input)} and {np.shape(vec2)}")
    return np.reshape(input, (-1, 1)) * vec2


@implements(np.dot)
def _np_dot(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) > 2:
        raise TypeError(f"np.dot of {np.shape(a)} and {np.shape(b)} sums over other axes than @: use np.matmul")
    return matmul(a, b)


# ---- the linear layer: one primitive, so that a small net records half as many nodes


@primitive(saves="input weight")
def _linear(input, weight, bias):
    if input.ndim == 1:  # one sample: a matrix-vector product is a third faster than a product of one row
        return np.dot(weight, input) if bias is None else np.dot(weight, input) + bias
    out = _blas.product(input, weight.mT) if input.ndim == 2 else np.matmul(input, weight.mT)
    return out if bias is None else np.add(out, bias, out=out)


@_linear.vjp(0)
def _(g, out, x, weight, bias):
    return _blas.product(g, weight)


@_linear.vjp(1)
def _(g, out, x, weight, bias):
    if x.ndim == 1:
        return g[:, None] * x
    return _blas.product(_as_matrix(g).mT, _as_matrix(x))


@_linear.vjp(2)
def _(g, out, x, weight, bias):
    if not 32 <= math.prod(g.shape[:-1]) <= 2048:
        return g  # the engine sums it down
    rows = _as_matrix(g)
    return np.dot(np.ones(rows.shape[0], rows.dtype), rows)  # ten times faster than a sum over the first axis


def _as_matrix(x):
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``, the affine map of a layer (documents 000 to 004: ``Z = W A + b``).

    Parameters
    ----------
    input : Tensor, shape (..., in_features)
        Samples as rows.
    weight : Tensor, shape (out_features, in_features)
        One row per output.
    bias : Tensor, shape (out_features,), optional
        Added to every sample.

    Returns
    -------
    Tensor, shape (..., out_features)

    Raises
    ------
    RuntimeError
        If the shapes or dtypes do not fit.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.functional.linear(tl.tensor([[1.0, 2.0]]), tl.tensor([[3.0, 4.0]]), tl.tensor([0.5]))
    tensor([[11.5000]])
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"linear: the input must be a Tensor, not {type(input).__name__}; use tl.tensor(input)")
    x, w, b = input._array, weight._array, None if bias is None else bias._array
    if not (w.ndim == 2 and x.shape[-1:] == w.shape[1:] and (b is None or b.shape == w.shape[:1])):
        raise _linear_shapes(x.shape, w.shape, None if b is None else b.shape)
    if x.dtype != w.dtype or (b is not None and b.dtype != w.dtype):
        module = f", or the module with .to(tl.{x.dtype})" if x.dtype.kind == "f" else ""
        raise RuntimeError(
            f"linear: input {x.dtype} and weight {w.dtype} must be the same dtype: convert the input with "
            f".to(tl.{w.dtype}){module}"
        )
    return _linear(input, weight, bias)


def _linear_shapes(x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...] | None) -> RuntimeError:
    if len(w) != 2:
        return RuntimeError(f"linear: weight {w} must have two dimensions, (out_features, in_features)")
    if x[-1:] != w[1:]:
        flatten = ", use input.flatten(1)" if len(x) > 2 and math.prod(x[1:]) == w[1] else ""
        return RuntimeError(f"linear: input {x} does not match weight {w}: the last dimension must be {w[1]}{flatten}")
    return RuntimeError(f"linear: bias {b} does not match weight {w}: its shape must be ({w[0]},)")


# ---- sums of products over several dimensions


def inner(input: Any, other: Any) -> Tensor:
    """The sums of products over the last dimensions of both; a 0-d tensor multiplies.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.inner(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor(11.)
    """
    x, y = _operands("inner", input, other)
    return x * y if x.ndim == 0 or y.ndim == 0 else tensordot(x, y, ([-1], [-1]))


def vdot(input: Any, other: Any) -> Tensor:
    """The inner product of two vectors: :func:`dot`, for real numbers.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.vdot(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return _of_dimensions("vdot", input, other, (1, 1))


def tensordot(a: Any, b: Any, dims: Any = 2) -> Tensor:
    """The sums of products over some dimensions of both.

    Parameters
    ----------
    a, b : Tensor
        Of the same dtype.
    dims : int, or pair of sequences of int
        The last so many of ``a`` with the first of ``b``; or those of ``a`` and those of ``b``, pair by pair.

    Raises
    ------
    RuntimeError
        If the sizes of paired dimensions differ.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tensordot(tl.ones(2, 3), tl.ones(3, 4), 1).shape
    (2, 4)
    """
    x, y = _operands("tensordot", a, b)
    if isinstance(dims, int):
        pairs = list(zip(range(x.ndim - dims, x.ndim), range(dims), strict=True))
    else:
        firsts, seconds = ([side] if isinstance(side, int) else list(side) for side in dims)
        if len(firsts) != len(seconds):
            raise RuntimeError(f"tensordot: dims {dims} must name as many dimensions of both")
        pairs = [(i % x.ndim, j % y.ndim) for i, j in zip(firsts, seconds, strict=True)]
    if any(not 0 <= i < x.ndim or not j < y.ndim or x.shape[i] != y.shape[j] for i, j in pairs):
        raise RuntimeError(f"tensordot: dims {dims} of {x.shape} and {y.shape} do not fit together")
    summed = [[i for i, _ in pairs], [j for _, j in pairs]]
    kept = [[d for d in range(t.ndim) if d not in dims] for t, dims in zip((x, y), summed, strict=True)]
    size = math.prod(x.shape[i] for i in summed[0])
    sizes = [tuple(t.shape[d] for d in dims) for t, dims in zip((x, y), kept, strict=True)]
    rows = np.reshape(np.transpose(x, kept[0] + summed[0]), (math.prod(sizes[0]), size))
    columns = np.reshape(np.transpose(y, summed[1] + kept[1]), (size, math.prod(sizes[1])))
    product: Any = np.reshape(_matmul(rows, columns), sizes[0] + sizes[1])
    return product


def kron(input: Any, other: Any) -> Tensor:
    """The Kronecker product: ``other``, scaled by every element of ``input`` in its place.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.kron(tl.tensor([1, 10]), tl.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    operands: list[Any] = as_tensors([input, other])
    ndim = max(operand.ndim for operand in operands)
    first, second = ((1,) * (ndim - operand.ndim) + operand.shape for operand in operands)
    x = np.reshape(operands[0], [size for n in first for size in (n, 1)])
    y = np.reshape(operands[1], [size for n in second for size in (1, n)])
    product: Any = np.reshape(x * y, [n * m for n, m in zip(first, second, strict=True)])
    return product


# ---- in NumPy's spellings

implements(np.linalg.matmul)(matmul)
implements(np.linalg.outer)(outer)


@implements(np.outer)
def _np_outer(a, b):
    return outer(*(np.ravel(operand) for operand in as_tensors([a, b])))


@implements(np.inner)
def _np_inner(a, b, /):
    return inner(a, b)


@implements(np.vdot)
def _np_vdot(a, b, /):
    return vdot(*(np.ravel(operand) for operand in as_tensors([a, b])))


@implements(np.tensordot)
def _np_tensordot(a, b, axes=2):
    return tensordot(a, b, axes)


@implements(np.linalg.tensordot)
def _np_linalg_tensordot(a, b, /, *, axes=2):
    return tensordot(a, b, axes)


@implements(np.kron)
def _np_kron(a, b):
    return kron(a, b)


@implements(np.vecdot)
def _np_vecdot(x1, x2, axis=-1):
    products = np.multiply(x1, x2)
    return np.sum(products, axis)


@implements(np.linalg.vecdot)
def _np_linalg_vecdot(x1, x2, /, *, axis=-1):
    return _np_vecdot(x1, x2, axis)


if hasattr(np, "matvec"):  # since NumPy 2.2
    NUMPY[np.matvec] = lambda x1, x2: np.matmul(x1, np.expand_dims(x2, -1))[..., 0]
    NUMPY[np.vecmat] = lambda x1, x2: np.matmul(np.expand_dims(x1, -2), x2)[..., 0, :]


@implements(np.linalg.multi_dot)
def _np_multi_dot(arrays):
    return functools.reduce(matmul, arrays)


@implements(np.linalg.matrix_power)
def _np_matrix_power(a, n):
    if n < 1:
        raise TypeError(f"np.linalg.matrix_power of a tensor: the power must be positive, not {n}")
    return functools.reduce(matmul, [a] * n)


@implements(np.cross)
def _np_cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    operands: list[Any] = as_tensors([a, b])
    x, y = (np.moveaxis(t, dim, -1) for t, dim in zip(operands, (axisa, axisb), strict=True))
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError(f"np.cross of tensors: expected vectors of 3 elements, not of {x.shape[-1]} and {y.shape[-1]}")
    later, last = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(x[..., later] * y[..., last] - x[..., last] * y[..., later], -1, axisc)


@implements(np.linalg.cross)
def _np_linalg_cross(x1, x2, /, *, axis=-1):
    return _np_cross(x1, x2, axis=axis)


def _norm(x, p, axis, keepdims):
    """The p-norm over one axis or all; the Euclidean one has the subgradient 0 at 0."""
    if p == 2:
        return _root_of_variance(np.sum(x * x, axis, keepdims=keepdims))
    if p in (math.inf, -math.inf):
        return (np.max if p > 0 else np.min)(np.absolute(x), axis, keepdims=keepdims)
    if p == 0:
        return np.sum(convert(x != 0, dtype=x.dtype), axis, keepdims=keepdims)
    return np.power(np.sum(np.power(np.absolute(x), p), axis, keepdims=keepdims), 1 / p)


@implements(np.linalg.vector_norm)
def _np_vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    return _norm(x, ord, axis, keepdims)


@implements(np.linalg.matrix_norm)
def _np_matrix_norm(x, /, *, keepdims=False, ord="fro"):
    return _np_norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.norm)
def _np_norm(x, ord=None, axis=None, keepdims=False):
    axes = tuple(range(np.ndim(x))) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return _norm(x, 2, axes, keepdims)
    if len(axes) == 1:
        return _norm(x, ord, axes[0], keepdims)
    if len(axes) != 2 or ord not in (1, -1, math.inf, -math.inf):
        raise TypeError(f"np.linalg.norm of a tensor of {len(axes)} dimensions: ord {ord!r} is not supported")
    summed, compared = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(np.absolute(x), summed, keepdims=True)
    found = (np.max if ord > 0 else np.min)(sums, compared, keepdims=True)
    return found if keepdims else np.squeeze(found, axes)
