"""Products of matrices and vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import implements, primitive
from tinygrad_lite.autograd.tensor import Tensor, wrap

__all__ = ["bmm", "dot", "linear", "matmul", "mm", "mv", "outer"]


@primitive(saves="input other")
def _matmul(input, other):
    return np.dot(input, other) if input.ndim == other.ndim == 2 else np.matmul(input, other)


@_matmul.vjp(0)
def _(g, out, x, y):
    return np.matmul(g, y.mT)


@_matmul.vjp(1)
def _(g, out, x, y):
    return np.matmul(x.mT, g)


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
        operands.append(operand if isinstance(operand, Tensor) else wrap(operand))
    x, y = operands
    if x.dtype != y.dtype:
        raise RuntimeError(f"{name}: {x.dtype} and {y.dtype} must be the same dtype: convert one with .to(dtype)")
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


@implements(np.outer)
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
    out = np.dot(input, weight.mT) if input.ndim == 2 else np.matmul(input, weight.mT)
    return out if bias is None else np.add(out, bias, out=out)


@_linear.vjp(0)
def _(g, out, x, weight, bias):
    return np.dot(g, weight)


@_linear.vjp(1)
def _(g, out, x, weight, bias):
    if x.ndim == 1:
        return g[:, None] * x
    return np.dot(_as_matrix(g).mT, _as_matrix(x))


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
        raise RuntimeError(
            f"linear: input {x.dtype} and weight {w.dtype} must be the same dtype: convert the input with "
            f".to(tl.{w.dtype}), or the module with .to(tl.{x.dtype})"
        )
    return _linear(input, weight, bias)


def _linear_shapes(x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...] | None) -> RuntimeError:
    if len(w) != 2:
        return RuntimeError(f"linear: weight {w} must have two dimensions, (out_features, in_features)")
    if x[-1:] != w[1:]:
        return RuntimeError(f"linear: input {x} does not match weight {w}: the last dimension must be {w[1]}")
    return RuntimeError(f"linear: bias {b} does not match weight {w}: its shape must be ({w[0]},)")
