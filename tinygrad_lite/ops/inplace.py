"""In-place operations: compute, then put the result into the tensor's own memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.record import as_operand, convert
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.ops import elementwise
from tinygrad_lite.ops.indexing import with_items
from tinygrad_lite.ops.shape import broadcast_to

__all__: list[str] = []  # methods of Tensor, not functions: _tensor.py names them


def assign(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """Give ``tensor`` the values of ``result``, in its own memory, and its place in the graph.

    Raises
    ------
    RuntimeError
        For a leaf that requires grad (its gradient would belong to no value it has), a recorded
        change of memory that views share, another shape, or a dtype that would lose the kind.
    """
    recorded = thread.grad_enabled and (tensor._requires_grad or result._requires_grad)
    if recorded and tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            f"{name} changes a leaf that requires grad in place: do it under no_grad(), or write x = x + ... instead"
        )
    if recorded and tensor._version[1]:
        raise RuntimeError(
            f"{name} changes memory that views share, which is not recorded: use clone() first, or write y = y + ..."
        )
    if result.shape != tensor.shape:
        raise RuntimeError(f"{name}: the result of shape {result.shape} does not fit into shape {tensor.shape}")
    if result.dtype != tensor.dtype:
        if not _fits(result.dtype, tensor.dtype):
            raise RuntimeError(f"{name}: the result is {result.dtype} and cannot be put into {tensor.dtype}")
        result = convert(result, dtype=tensor.dtype)
    if recorded:
        tensor._node, tensor._requires_grad = result._node, result._requires_grad
    np.copyto(tensor._array, result._array)
    tensor._version[0] += 1
    return tensor


def _fits(found: np.dtype[Any], place: np.dtype[Any]) -> bool:
    """Whether values of one dtype may be put into another: not floats into integers, nor signs into uint8."""
    order = "buif"
    return order.index(found.kind) <= order.index(place.kind)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    name = f"{function.__name__.strip('_')}_"

    def method(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return assign(tensor, function(_before(tensor, args), *args, **kwargs), name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``{function.__name__}``, into the tensor's own memory; returns the tensor."
    return method


def _before(tensor: Tensor, others: Sequence[Any]) -> Tensor:
    """The tensor as it is before the change: if the operation is recorded, in memory that the change spares."""
    needs = tensor._requires_grad or any(isinstance(other, Tensor) and other._requires_grad for other in others)
    if not (needs and thread.grad_enabled) or (tensor.is_leaf and tensor._requires_grad):
        return tensor
    before = wrap(np.copy(tensor._array))
    before._node, before._requires_grad = tensor._node, tensor._requires_grad
    return before


add_ = _in_place(elementwise.add)
sub_ = _in_place(elementwise.sub)
mul_ = _in_place(elementwise.mul)
div_ = _in_place(elementwise.div)
pow_ = _in_place(elementwise.pow)
floor_divide_ = _in_place(elementwise.floor_divide)
remainder_ = _in_place(elementwise.remainder)
clamp_ = _in_place(elementwise.clamp)


def copy_(tensor: Tensor, src: Any) -> Tensor:
    """The values of ``src``, broadcast and converted, in the tensor's own memory.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros(2).copy_(tl.tensor([1, 2]))
    tensor([1., 2.])
    """
    source = convert(as_operand("copy_", src, tensor.dtype), dtype=tensor.dtype)
    return assign(tensor, source if source.shape == tensor.shape else broadcast_to(source, tensor.shape), "copy_")


def fill_(tensor: Tensor, value: Any) -> Tensor:
    """One value everywhere.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros(2).fill_(7)
    tensor([7., 7.])
    """
    return copy_(tensor, value)


def zero_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.ones(2).zero_()
    tensor([0., 0.])
    """
    return copy_(tensor, 0)


def setitem(tensor: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value``, recorded if either requires grad."""
    source = convert(as_operand("tensor[key] = value", value, tensor.dtype), dtype=tensor.dtype)
    assign(tensor, with_items(tensor, key, source), "tensor[key] = value")
