"""How NumPy's functions are recorded: under the names of the program, as views where they give views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.compiler.layouts import cast_stand_in
from tinygrad_lite.compiler.numbers import Number
from tinygrad_lite.compiler.recorder import FUNCTIONS, Recorder, Recording, Storage, call, concrete, leaves_of

__all__ = ["Recorder", "Recording", "concrete"]

SHAPED_BY_VALUES = {
    *(np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.trim_zeros, np.bincount),
    *(np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values),
    *(np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.arange),
}
"""Functions whose result has a shape that depends on the elements."""

SHAPED_BY_OPTIONS = {np.repeat, np.tile, np.delete, np.insert, np.resize, np.pad, np.linspace, np.histogram}
"""Functions whose result has a shape that depends on the elements of what follows the first argument."""


def _reshape(recorder: Recorder, function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(x, Recording):
        return _as_it_is(recorder, function, x, *args, **kwargs)
    array = function(x.array, *args, **kwargs)
    order = kwargs.get("order") or next((arg for arg in args if isinstance(arg, str)), "C")
    if order == "F":
        return np.transpose(np.reshape(np.transpose(x), array.shape[::-1]))
    if order != "C":
        return call(recorder, function, (x, *args), kwargs, array)
    return x.looked_at("reshape", {"shape": array.shape}, array)


def _at_least(recorder: Recorder, function: Any, *xs: Any) -> Any:
    if len(xs) > 1:
        return tuple(function(x) for x in xs)
    return _reshape(recorder, function, *xs)


def _transpose(recorder: Recorder, function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(x, Recording):
        return _as_it_is(recorder, function, x, *args, **kwargs)
    array = function(x.array, *args, **kwargs)
    numbered = np.lib.stride_tricks.as_strided(np.empty((), np.int8), (1,) * x.ndim, range(x.ndim))
    return x.looked_at("transpose", {"axes": function(numbered, *args, **kwargs).strides}, array)


def _flip(recorder: Recorder, function: Any, x: Any, axis: Any = None) -> Any:
    if not isinstance(x, Recording):
        return _as_it_is(recorder, function, x, axis)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    flipped = {a % x.ndim for a in axes}
    function(x.array, axis)  # raises for a wrong axis
    return x[tuple(slice(None, None, -1 if a in flipped else None) for a in range(x.ndim))]


def _as_it_is(recorder: Recorder, function: Any, *args: Any, **kwargs: Any) -> Any:
    return call(recorder, function, args, kwargs, function(*concrete(args), **concrete(kwargs)))


def _broadcast_to(recorder: Recorder, function: Any, x: Any, shape: Any, subok: bool = False) -> Any:  # noqa: ARG001 - as NumPy has it
    if not isinstance(x, Recording):
        return _as_it_is(recorder, function, x, shape)
    array = np.broadcast_to(x.array, shape)
    return x.looked_at("broadcast_to", {"shape": array.shape}, array)


def _copy(recorder: Recorder, function: Any, x: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """``copy``, ``array`` and ``ascontiguousarray``; of anything else than an array, or with rare options, as it is."""
    if not isinstance(x, Recording):
        return _made_of(recorder, function, x, dtype, kwargs)
    if kwargs.keys() - {"order"}:
        return _as_it_is(recorder, function, x, dtype, **kwargs)
    if function is np.ascontiguousarray:
        if x.ndim == 0:
            x = np.reshape(x, (1,))
        if x.flags.c_contiguous and dtype in (None, x.dtype):
            return x
        kwargs = {"order": "C"}
    array = np.array(x.array, dtype, **kwargs)
    layout = kwargs.get("order", "K")
    if array.dtype != x.dtype:
        cast = np.asarray(x.array, array.dtype)
        value = recorder.value("cast", (x.value,), cast)
        if cast.strides != array.strides:
            value = recorder.value("copy", (value,), array, layout=layout)
    else:
        value = recorder.value("copy", (x.value,), array, layout=layout)
    return Recording(recorder, array, Storage(value))


def _cast(recorder: Recorder, function: Any, x: Any, dtype: Any = None, **kwargs: Any) -> Any:
    if not isinstance(x, Recording) or kwargs:
        return _made_of(recorder, function, x, dtype, kwargs)
    if dtype is None or x.dtype == dtype:
        return x
    array = np.asarray(x.array, dtype)
    return Recording(recorder, array, Storage(recorder.value("cast", (x.value,), array)))


def _made_of(recorder: Recorder, function: Any, x: Any, dtype: Any, kwargs: dict[str, Any]) -> Any:
    """An array made of a list: new at each call, and of the same elements if there is no recording among them."""
    if any(isinstance(leaf, (Recording, Number)) for leaf in leaves_of((x, kwargs))):
        return _as_it_is(recorder, function, x, **({} if dtype is None else {"dtype": dtype}), **kwargs)
    return recorder.constant(function(x, dtype, **kwargs))


def _named(op: str, count: int) -> Callable[..., Any]:
    """A function of so many arrays, under its own name."""

    def record(recorder: Recorder, function: Any, *args: Any, **kwargs: Any) -> Any:
        array = function(*concrete(args), **concrete(kwargs))
        if len(args) != count or kwargs:
            return call(recorder, function, args, kwargs, array)
        array = np.asarray(array)
        operands = [recorder.operand(x, array.dtype) for x in args]
        return Recording(recorder, array, Storage(recorder.value(op, operands, array)))

    return record


def _where(recorder: Recorder, function: Any, condition: Any, *args: Any) -> Any:
    if not args:
        recorder.problem("the shape of np.where(condition) depends on the elements")
        return _as_it_is(recorder, function, condition)
    return _named("where", 3)(recorder, function, condition, *args)


def _ravel_multi_index(recorder: Recorder, function: Any, indices: Any, dims: Any, **kwargs: Any) -> Any:
    array = np.asarray(function(concrete(indices), dims, **kwargs))
    if len(indices) != 1 or kwargs:
        return call(recorder, function, (indices, dims), kwargs, array)
    value = recorder.value("ravel_multi_index", (recorder.operand(indices[0], np.int64),), array, dims=tuple(dims))
    recorder.checks.append(value)
    return Recording(recorder, array, Storage(value))


def _take(recorder: Recorder, function: Any, x: Any, indices: Any, *args: Any, **kwargs: Any) -> Any:
    array = function(*concrete((x, indices, *args)), **kwargs)
    if args or kwargs or np.ndim(x) != 1:
        return call(recorder, function, (x, indices, *args), kwargs, array)
    value = recorder.value("take", [recorder.operand(x, array.dtype), recorder.operand(indices, np.int64)], array)
    recorder.checks.append(value)
    return Recording(recorder, np.asarray(array), Storage(value))


def _new(recorder: Recorder, function: Any, shape: Any, *args: Any, **kwargs: Any) -> Any:
    """An array of a shape, without regard to any elements; a recording in the shape is asked for its number."""
    if any(isinstance(leaf, (Recording, Number)) for leaf in leaves_of((args, kwargs))):
        return _as_it_is(recorder, function, shape, *args, **kwargs)
    if function is np.empty:
        function = np.zeros  # what is in new memory is no program's business
    return recorder.constant(function(shape, *args, **kwargs))


def _new_like(recorder: Recorder, function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    if function is np.empty_like:
        function = np.zeros_like
    return recorder.constant(function(concrete(x), *args, **kwargs))


def _copyto(
    recorder: Recorder, function: Any, dst: Any, src: Any, casting: Any = "same_kind", where: Any = True
) -> None:
    function(concrete(dst), concrete(src), casting=casting, where=concrete(where))
    if not isinstance(dst, Recording) or dst.recorder is not recorder:
        recorder.problem("a tensor is copied into a NumPy array")
        return
    value = recorder.operand(src, dst.dtype)
    if where is not True:
        if value.dtype != dst.dtype:
            value = recorder.value("cast", (value,), cast_stand_in(value, dst.dtype))
        chosen = [recorder.operand(where, np.bool_), value, dst.value]
        value = recorder.value("where", chosen, np.where(concrete(where), dst.array, dst.array))
    dst.write(value)


def _shaped_by_values(recorder: Recorder, function: Any, *args: Any, **kwargs: Any) -> Any:
    decisive = (args if function in SHAPED_BY_VALUES else args[1:], kwargs)
    if any(isinstance(leaf, Recording) for leaf in leaves_of(decisive)):
        recorder.problem(f"the shape of np.{function.__name__} depends on the elements")
    return _as_it_is(recorder, function, *args, **kwargs)


_RECORDED_BY: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (_reshape, (np.reshape, np.expand_dims, np.squeeze, np.ravel)),
    (_at_least, (np.atleast_1d, np.atleast_2d)),
    (_transpose, (np.transpose, np.matrix_transpose, np.moveaxis, np.swapaxes, np.rollaxis)),
    (_flip, (np.flip,)),
    (_broadcast_to, (np.broadcast_to,)),
    (_copy, (np.copy, np.array, np.ascontiguousarray)),
    (_cast, (np.asarray,)),
    (_copyto, (np.copyto,)),
    (_named("dot", 2), (np.dot,)),
    (_where, (np.where,)),
    (_ravel_multi_index, (np.ravel_multi_index,)),
    (_take, (np.take,)),
    (_new, (np.zeros, np.ones, np.full, np.empty)),
    (_new_like, (np.zeros_like, np.ones_like, np.empty_like)),
    (_shaped_by_values, (*SHAPED_BY_VALUES, *SHAPED_BY_OPTIONS)),
]
FUNCTIONS.update({function: record for record, functions in _RECORDED_BY for function in functions})
