"""In-place operations: compute, then put the result into the tensor's own memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.graph import NOT_SAVED, Node, Primitive
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.record import as_operand, convert
from tinygrad_lite.autograd.sharing import others_on_memory
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.ops import arithmetic, elementwise, indexing
from tinygrad_lite.ops.indexing import getitem, with_items
from tinygrad_lite.ops.shape import expand_to

__all__: list[str] = []  # methods of Tensor, not functions: _tensor.py names them


def assign(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """Give ``tensor`` the values of ``result``, in its own memory, and its place in the graph.

    Raises
    ------
    RuntimeError
        For a leaf that requires grad (its gradient would belong to no value it has) or a view of one,
        memory that is read-only (as that of expand()), another shape, or a dtype that would lose the kind.
    """
    if not tensor._array.flags.writeable:
        raise RuntimeError(f"{name} changes read-only memory, as of an expanded tensor: use clone() first")
    recorded = thread.grad_enabled and (tensor._requires_grad or result._requires_grad)
    if recorded and tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            f"{name} changes a leaf that requires grad in place: do it under no_grad(), or write x = x + ... instead"
        )
    if result.shape != tensor.shape:
        raise RuntimeError(f"{name}: the result of shape {result.shape} does not fit into shape {tensor.shape}")
    if result.dtype != tensor.dtype:
        if not _fits(result.dtype, tensor.dtype):
            raise RuntimeError(f"{name}: the result is {result.dtype} and cannot be put into {tensor.dtype}")
        result = convert(result, dtype=tensor.dtype)
    if recorded:
        others = others_on_memory(tensor)
        if any(other._requires_grad and other._node is None for other in others):
            raise RuntimeError(f"{name} changes a view of a leaf that requires grad in place: do it under no_grad()")
        for other in others:
            _make_stale(other, by=tensor, change=result)
        _take_place(tensor, result)
    np.copyto(tensor._array, result._array)
    tensor._version[0] += 1
    return tensor


def _take_place(tensor: Tensor, result: Tensor) -> None:
    """Give ``tensor`` the place of ``result`` in the graph."""
    if result._requires_grad and result._node is None:
        result = arithmetic.clone(result)  # a leaf stays the leaf it is
    before = tensor._node.hooks if tensor._node is not None else None
    tensor._node, tensor._requires_grad = result._node, result._requires_grad
    if before is not None and before.retained is not None:
        before.retained = None
        tensor.retain_grad()


# ---- views: a recorded change through one tensor leaves the others on its memory without a place in the graph


def _stale(input: Any, change: Any) -> Any:
    return input


def _stale_vjp(*_: Any, **__: Any) -> Any:
    raise RuntimeError(
        "a tensor was used after its memory had been changed in place through another one, its view or what it is a "
        "view of: take the view anew after the change, or change a clone()"
    )


_STALE = Primitive(_stale)
_STALE.vjp(0)(_stale_vjp)
_STALE.vjp(1)(_stale_vjp)


def _make_stale(tensor: Tensor, by: Tensor, change: Tensor) -> None:
    """Let every gradient that would flow through ``tensor``, old or changed, raise until it is written to again."""
    node = Node()
    staleness = _staleness(tensor)
    previous = staleness["previous"] if staleness else (tensor._node, tensor._requires_grad)
    node.primitive = _STALE
    node.params = {"previous": previous, "by": weakref.ref(by)}
    node.edges = (previous[0] or wrap(tensor._array), (change._node or change) if change._requires_grad else None)
    node.shapes = (tensor.shape, change.shape)
    node.dtype = tensor.dtype
    node.saved = (NOT_SAVED, NOT_SAVED, NOT_SAVED)
    node.versions = ()
    node.hooks = None
    node.origin = True
    tensor._node, tensor._requires_grad = node, True


def _staleness(tensor: Tensor) -> dict[str, Any] | None:
    """Its place in the graph before it went stale, and what made it so; None if it is not."""
    return tensor._node.params if tensor._node is not None and tensor._node.primitive is _STALE else None


def _before_view(tensor: Tensor, key: Any, value: Any) -> Tensor:
    """The tensor; in the second half of ``tensor[key] op= ...``, where value is the changed view, as it was before."""
    staleness = _staleness(tensor)
    if staleness is None or staleness["by"]() is not value:
        return tensor
    place, view = getitem(tensor.detach(), key)._array, value._array
    if (place.ctypes.data, place.shape, place.strides) != (view.ctypes.data, view.shape, view.strides):
        return tensor
    before = wrap(tensor._array, version=tensor._version)
    before._node, before._requires_grad = staleness["previous"]
    return before


def _fits(found: np.dtype[Any], place: np.dtype[Any]) -> bool:
    """Whether values of one dtype may be put into another: not floats into integers, nor signs into uint8."""
    order = "buif"
    return order.index(found.kind) <= order.index(place.kind)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    name = f"{function.__name__.strip('_')}_"

    def method(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return assign(tensor, function(_before(tensor, [*args, *kwargs.values()]), *args, **kwargs), name)

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


add_ = _in_place(arithmetic.add)
sub_ = _in_place(arithmetic.sub)
mul_ = _in_place(arithmetic.mul)
div_ = _in_place(arithmetic.div)
pow_ = _in_place(arithmetic.pow)
floor_divide_ = _in_place(arithmetic.floor_divide)
remainder_ = _in_place(arithmetic.remainder)
neg_ = _in_place(arithmetic.neg)
reciprocal_ = _in_place(arithmetic.reciprocal)
sqrt_ = _in_place(arithmetic.sqrt)
square_ = _in_place(arithmetic.square)
abs_ = _in_place(elementwise.abs)
ceil_ = _in_place(elementwise.ceil)
clamp_ = _in_place(elementwise.clamp)
exp_ = _in_place(elementwise.exp)
floor_ = _in_place(elementwise.floor)
log_ = _in_place(elementwise.log)
relu_ = _in_place(elementwise.relu)
round_ = _in_place(elementwise.round)
sigmoid_ = _in_place(elementwise.sigmoid)
tanh_ = _in_place(elementwise.tanh)
masked_fill_ = _in_place(indexing.masked_fill)


def copy_(tensor: Tensor, src: Any) -> Tensor:
    """The values of ``src``, broadcast and converted, in the tensor's own memory.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros(2).copy_(tl.tensor([1, 2]))
    tensor([1., 2.])
    """
    return _overwrite(tensor, src, "copy_")


def _overwrite(tensor: Tensor, src: Any, name: str) -> Tensor:
    dtypes.check_number(name, src, tensor.dtype)
    source = convert(as_operand(name, src, tensor.dtype), dtype=tensor.dtype)
    if source.shape != tensor.shape:
        source = expand_to(name, source, tensor.shape)
    needs = tensor._requires_grad or source._requires_grad
    return assign(tensor, with_items(tensor, ..., source) if needs and thread.grad_enabled else source, name)


def fill_(tensor: Tensor, value: Any) -> Tensor:
    """One value everywhere: a number or a 0-d tensor.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros(2).fill_(7)
    tensor([7., 7.])
    """
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_: expected a number or a 0-d tensor, not shape {value.shape}; use copy_()")
    return _overwrite(tensor, value, "fill_")


def zero_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.ones(2).zero_()
    tensor([0., 0.])
    """
    return _overwrite(tensor, 0, "zero_")


def setitem(tensor: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value``, recorded if either requires grad."""
    name = "tensor[key] = value"
    dtypes.check_number(name, value, tensor.dtype)
    source = convert(as_operand(name, value, tensor.dtype), dtype=tensor.dtype)
    before = _before_view(tensor, key, value)
    try:
        result = with_items(before, key, source)
    except RuntimeError as error:
        place = getitem(tensor.detach(), key).shape
        raise RuntimeError(f"{name}: a value of shape {source.shape} does not fit into shape {place}") from error
    assign(tensor, result, name)
