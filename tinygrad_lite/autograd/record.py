"""Calling a primitive: compute on the arrays, wrap the result, record a Node.

One form per number of inputs. The forms for one and two inputs are the same steps as the general
one, written out: they are the hot path of eager mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.graph import NOT_SAVED, Node, Primitive, StandIn
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.sharing import Stamp, Version, note_view, stamp
from tinygrad_lite.autograd.tensor import Tensor, borrow, wrap

__all__ = ["as_operand", "convert", "record_node", "recorder", "to_result_type"]

new = object.__new__
ndarray = np.ndarray
NOTHING_OF_TWO = (NOT_SAVED, NOT_SAVED, NOT_SAVED)


def recorder(this: Primitive) -> Callable[..., Any]:
    """The function that runs ``this`` on arrays, and records it on Tensors."""
    if this.variadic:
        return _call_any(this)
    return {1: _call_one, 2: _call_two}.get(len(this.inputs), _call_any)(this)


def _call_one(this: Primitive) -> Callable[..., Any]:
    forward, view, floats = this.forward, this.view, this.casts == "float"
    saves_out, saves_input = this.keeps(1)
    elementwise = this.elementwise

    def call(input: Any, **params: Any) -> Any:
        if not isinstance(input, Tensor):
            return forward(_storage(input), **params)
        if floats and input._array.dtype.kind != "f":
            input = convert(input, dtype=dtypes.float32)
        x = input._array
        try:
            result = thread.run(forward, x, **params) if params else thread.run(forward, x)
        except ValueError as error:
            raise this.explain(error, (x,)) from error
        if result.__class__ is not ndarray:
            result = _storage(result)
        out = new(Tensor)
        out._array = result
        out._grad = out._hooks = None
        out._version = version = _shared_version(input, out) if view else [0, None]
        if input._requires_grad and (recording := thread.grad_enabled) and this.rules:
            out._requires_grad = True
            out._node = node = new(Node)
            node.primitive = this
            node.params = params
            node.edges = (input._node or input,)
            node.shapes = (x.shape,)
            node.dtype = x.dtype
            node.hooks = None
            node.origin = recording
            if saves_out:
                node.saved = (result, x if saves_input else NOT_SAVED if elementwise else StandIn(x.shape, x.dtype))
                node.versions = ((version, version[0] if version[1] is None else stamp(version, result)),)
                if saves_input:
                    node.versions += _versions(input)
            elif saves_input:
                node.saved = (NOT_SAVED, x)
                version = input._version
                node.versions = ((version, version[0] if version[1] is None else stamp(version, x)),)
            else:
                node.saved = (NOT_SAVED, NOT_SAVED if elementwise else StandIn(x.shape, x.dtype))
                node.versions = ()
        else:
            out._requires_grad = False
            out._node = None
        return out

    return call


def _call_two(this: Primitive) -> Callable[..., Any]:
    forward, casts, floats = this.forward, this.casts != "", this.casts == "float"
    name, elementwise, keeps = this.title, this.elementwise, this.keeps(2)
    saves_inputs = keeps == (False, True, True)
    plain = elementwise and (saves_inputs or not any(keeps))

    def operand_dtype(tensor: Tensor) -> np.dtype[Any]:
        """The dtype that a number beside the tensor is held against."""
        return dtypes.float32 if floats and tensor._array.dtype.kind != "f" else tensor._array.dtype

    def call(input: Any, other: Any, **params: Any) -> Any:
        if isinstance(input, Tensor):
            if not isinstance(other, Tensor):
                other = as_operand(name, other, operand_dtype(input))
        elif isinstance(other, Tensor):
            input = as_operand(name, input, operand_dtype(other))
        else:
            return forward(input, other, **params)
        x, y = input._array, other._array
        if casts and (x.dtype is not y.dtype or (floats and x.dtype.kind != "f")):
            input, other = to_result_type(input, other, floats=floats)
            x, y = input._array, other._array
        try:
            result = thread.run(forward, x, y, **params) if params else thread.run(forward, x, y)
        except ValueError as error:
            raise this.explain(error, (x, y)) from error
        if result.__class__ is not ndarray:
            result = _storage(result)
        out = new(Tensor)
        out._array = result
        out._grad = out._hooks = None
        out._version = [0, None]
        out._requires_grad = False
        out._node = None
        x_needs, y_needs = input._requires_grad, other._requires_grad
        if (x_needs or y_needs) and (recording := thread.grad_enabled) and this.rules:
            if not plain:
                record_node(this, params, out, [input, other], keeps)
                return out
            out._requires_grad = True
            out._node = node = new(Node)
            node.primitive = this
            node.params = params
            node.edges = (input._node or input if x_needs else None, other._node or other if y_needs else None)
            node.shapes = (x.shape, y.shape)
            node.dtype = x.dtype
            node.hooks = None
            node.origin = recording
            if saves_inputs:
                node.saved = (NOT_SAVED, x, y)
                mine, its = input._version, other._version
                node.versions = (
                    (mine, mine[0] if mine[1] is None else stamp(mine, x)),
                    (its, its[0] if its[1] is None else stamp(its, y)),
                )
            else:
                node.saved = NOTHING_OF_TWO
                node.versions = ()
        return out

    return call


def _call_any(this: Primitive) -> Callable[..., Any]:
    forward = this.forward
    fixed_keeps = None if this.variadic else this.keeps(len(this.inputs))

    def call(*args: Any, **params: Any) -> Any:
        arrays: list[Any] = []
        needs_grad = False
        for arg in args:
            if isinstance(arg, Tensor):
                arrays.append(arg._array)
                needs_grad = needs_grad or arg._requires_grad
            elif arg is None:
                arrays.append(None)
            else:
                like = next((arg for arg in args if isinstance(arg, Tensor)), None)
                if like is None:
                    return forward(*map(_storage, args), **params)
                return call(*(None if a is None else as_operand(this.title, a, like.dtype) for a in args), **params)
        try:
            result = thread.run(forward, *arrays, **params)
        except ValueError as error:
            raise this.explain(error, tuple(arrays)) from error
        out = wrap(result if result.__class__ is ndarray else _storage(result))
        if needs_grad and thread.grad_enabled and this.rules:
            record_node(this, params, out, args, fixed_keeps or this.keeps(len(args)))
        return out

    return call


def record_node(
    this: Primitive, params: dict[str, Any], out: Tensor, inputs: Sequence[Tensor | None], keeps: tuple[bool, ...]
) -> None:
    """Make ``out`` the output of a node."""
    edges: list[Node | Tensor | None] = []
    shapes: list[tuple[int, ...]] = []
    saved: list[Any] = [out._array if keeps[0] else NOT_SAVED]
    versions = _versions(out) if keeps[0] else ()
    for i, tensor in enumerate(inputs):
        if tensor is None:
            edges.append(None)
            shapes.append(())
            saved.append(None)
            continue
        array = tensor._array
        if not tensor._requires_grad:
            edges.append(None)
        elif this.has_rule(i):
            edges.append(tensor._node or tensor)
        else:
            raise RuntimeError(f"{this.title} has no derivative for '{this.input_name(i)}': detach() it")
        shapes.append(array.shape)
        if keeps[i + 1]:
            saved.append(array)
            versions += _versions(tensor)
        else:
            saved.append(StandIn(array.shape, array.dtype))
    out._requires_grad = True
    out._node = node = new(Node)
    node.primitive = this
    node.params = params
    node.edges = tuple(edges)
    node.shapes = tuple(shapes)
    node.dtype = out._array.dtype
    node.saved = tuple(saved)
    node.versions = versions
    node.hooks = None
    node.origin = thread.grad_enabled


def _storage(result: Any) -> Any:
    """An ndarray for the NumPy scalar that a reduction to 0-d returns; any other array as it is."""
    return np.asarray(result) if isinstance(result, np.generic) else result


def _versions(tensor: Tensor) -> tuple[tuple[Version, Stamp], ...]:
    """What a node keeps of a tensor whose array it saves: its version, and where that stands."""
    return ((tensor._version, stamp(tensor._version, tensor._array)),)


def _shared_version(input: Tensor, out: Tensor) -> Version:
    """The version of a result that may be a view: then it is its input's."""
    if not np.may_share_memory(input._array, out._array):
        return [0, None]
    return note_view(input, out)


# ---- operands


def _convert(input: Any, *, dtype: np.dtype[Any]) -> Any:
    return np.asarray(input, dtype=dtype, like=input)


def _convert_vjp(g: Any, _out: Any, x: Any, **_: Any) -> Any:
    return convert(g, dtype=x.dtype)


_CONVERT = Primitive(_convert)
_CONVERT.vjp(0)(_convert_vjp)
_record_conversion = recorder(_CONVERT)


def convert(input: Any, *, dtype: np.dtype[Any]) -> Any:
    """The tensor or array in another dtype; itself if it has it. No gradient passes through integers and bools."""
    if input.dtype == dtype:
        return input
    if isinstance(input, Tensor) and dtype.kind != "f":
        input = input.detach()
    return _record_conversion(input, dtype=dtype)


def as_operand(name: str, value: Any, dtype: np.dtype[Any]) -> Tensor:
    """An operand of operation ``name`` as a tensor, beside one of this dtype.

    A Python number takes the dtype that PyTorch computes in: it never widens within a category.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float)):
        dtype = dtypes.combine(((2, dtype), (0, dtypes.scalar_dtype(value))))
        if isinstance(value, int):
            value = np.asarray(value)  # then a number too large for the dtype wraps, as in PyTorch
        return wrap(thread.run(np.asarray, value, dtype))
    if isinstance(value, (ndarray, np.generic)):
        dtypes.as_dtype(value.dtype)
        return borrow(np.asarray(value))
    raise TypeError(f"{name}: expected a Tensor, an array or a number, not {type(value).__name__}")


def to_result_type(*tensors: Tensor, floats: bool = False) -> list[Tensor]:
    """The tensors in the dtype that PyTorch computes them in; ``floats``: at least the default float."""
    dtype = dtypes.result_type(*tensors)
    if floats and dtype.kind != "f":
        dtype = dtypes.float32
    return [tensor if tensor.dtype == dtype else convert(tensor, dtype=dtype) for tensor in tensors]
