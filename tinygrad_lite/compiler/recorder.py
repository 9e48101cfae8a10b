"""Arrays that compute along and write down every NumPy call that they meet."""

from __future__ import annotations

import linecache
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler.layouts import cast_stand_in, looked_at, same_layout, stand_in
from tinygrad_lite.compiler.numbers import Number
from tinygrad_lite.compiler.origins import origin_of, place_of, users_frame
from tinygrad_lite.compiler.program import Slot, Value

__all__ = ["FUNCTIONS", "Recorder", "Recording", "Storage", "call", "concrete", "leaves_of"]

Array = NDArray[Any]

ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.may_share_memory, np.shares_memory, np.result_type, np.iscomplexobj}
"""Functions whose answer does not depend on the elements."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""How NumPy's functions are recorded; filled by ``recording``."""

INTEGER_DIVISIONS = {"floor_divide", "remainder", "fmod"}


class Recorder:
    """What one run of a step came to: its values so far, and what keeps it from being replayed.

    Attributes
    ----------
    problems : list of str
        Why the step cannot be replayed: the reason and the line. The run itself goes on, and its results are right.
    checks : list of Value
        The calls that raise for some values.
    foreign : list of ndarray
        The arrays that became constants.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.checks: list[Value] = []
        self.foreign: list[Array] = []
        self.position = 0
        self._thread = threading.get_ident()
        self._open = True
        self._known: dict[int, Recording] = {}
        self._scratch: list[Recording] = []
        self._made: list[weakref.ref[Recording]] = []

    @property
    def active(self) -> bool:
        """Whether calls are still written down: until the step is over, in the thread that runs it."""
        return self._open and threading.get_ident() == self._thread

    def close(self) -> None:
        """The step is over: from here on recordings compute and record nothing."""
        self._open = False
        self._known.clear()
        self._scratch.clear()

    def input(self, array: Array, place: int) -> Recording:
        """A recording that stands for an array from outside."""
        value = Value("input", (), array.shape, array.dtype, array.strides, place=place)
        recording = self._known[id(array)] = Recording(self, array, Storage(value))
        return recording

    def known(self, array: Array) -> Recording | None:
        """The recording that stands for this very array, or for scratch memory that holds results of the step."""
        recording = self._known.get(id(array), self._in_scratch(array))
        if recording is None and any(np.may_share_memory(other.array, array) for other in self._scratch):
            self.problem("NumPy memory that holds a result is used in another shape")
        return recording

    def _in_scratch(self, array: Array) -> Recording | None:
        return next((other for other in self._scratch if _geometry(other.array) == _geometry(array)), None)

    def put(self, array: Array, value: Value) -> Recording:
        """Note that an array of NumPy's, scratch memory, holds this value now; what stands for it."""
        recording = self._known.get(id(array), self._in_scratch(array))
        for other in self._scratch:
            if other is not recording:
                other.storage.overwritten |= np.may_share_memory(other.array, array)
        if recording is None:
            recording = Recording(self, array, Storage(self.value("constant", (), array, data=array)))
            self._scratch.append(recording)
        recording.write(value)
        return recording

    def made(self, recording: Recording) -> None:
        """Note a new recording."""
        self._made.append(weakref.ref(recording))

    def alive(self) -> list[Recording]:
        """The recordings that someone still holds."""
        return [recording for reference in self._made if (recording := reference()) is not None]

    def constant(self, array: Any) -> Recording:
        """A recording of an array that the step makes anew at every call, with the same content."""
        if isinstance(array, Recording):
            return array
        return Recording(self, array, Storage(self.value("constant", (), array, data=array.copy())))

    def source(self, generator: Any) -> Any:
        """What draws random numbers in the place of ``generator.numpy``, which may be another one at the next call."""
        return _Source(self, generator)

    def draw(self, generator: Any, method: str, args: Any, kwargs: Any) -> Recording:
        """Random numbers of a method of :class:`numpy.random.Generator`."""
        array = np.asarray(getattr(generator.numpy, method)(*args, **kwargs))
        value = self.value("draw", (), array, generator=generator, method=method, args=args, kwargs=kwargs)
        return Recording(self, array, Storage(value))

    def problem(self, reason: str) -> None:
        """Note why the step cannot be replayed, with the line of the user's code."""
        if self.active:
            frame = users_frame(sys._getframe(1))
            code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            self.problems.append(f"{reason}, in {place_of(frame)}: {code}")

    def value(self, op: str, inputs: Sequence[Value], result: Array, **params: Any) -> Value:
        """A new value with the shape, dtype and layout of the array that the call gave."""
        self.position += 1
        origin = origin_of(sys._getframe(1))
        return Value(op, inputs, result.shape, result.dtype, result.strides, origin, self.position, **params)

    def operand(self, x: Any, dtype: Any) -> Value:
        """What stands for an operand of a call that computes in ``dtype``."""
        if isinstance(x, Recording):
            if x.recorder is self:
                return x.value
            x = x.array
        if isinstance(x, Number):
            return self.value("number", (), np.empty((), np.float64), source=x.source)
        if isinstance(x, (bool, int, float)) and not isinstance(x, np.generic):
            return self.value("constant", (), np.empty((), dtype), data=x)
        array = np.asarray(x)
        known = self.known(array)
        if known is not None:
            return known.value
        self.foreign.append(array)
        return self.value("constant", (), array, data=array.copy())


class _Source:
    """Writes down every draw."""

    def __init__(self, recorder: Recorder, generator: Any) -> None:
        self._recorder, self._generator = recorder, generator

    def __getattr__(self, method: str) -> Callable[..., Recording]:
        return lambda *args, **kwargs: self._recorder.draw(self._generator, method, args, kwargs)


class Storage:
    """A piece of memory.

    Attributes
    ----------
    value : Value
        What it holds now.
    overwritten : bool
        Whether it is scratch memory that holds something else by now.
    others : list of weak references to Storage
        Results of functions that look at the same memory in ways that are not followed.
    """

    def __init__(self, value: Value) -> None:
        self.value = value
        self.overwritten = False
        self.others: list[weakref.ref[Storage]] = []


View = tuple[str, dict[str, Any]]


class Recording(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a step is recorded.

    Whatever looks at the elements themselves gets them, and is noted as a problem: what Python computes from
    them would not be in the program.

    Attributes
    ----------
    array : ndarray
        The elements: recording a step is running it.
    value : Value
        What stands for it in the program; views see what was written to their memory since.
    """

    def __init__(self, recorder: Recorder, array: Array, storage: Storage, path: tuple[View, ...] = ()) -> None:
        self.recorder, self.array, self.storage, self.path = recorder, array, storage, path
        recorder.made(self)

    @property
    def value(self) -> Value:
        """What the memory holds now."""
        if self.storage.overwritten:
            self.recorder.problem("NumPy memory is read after another result was put there")
        value = self.storage.value
        for op, params in self.path:
            value = _view(self.recorder, value, op, params)
        return value

    def write(self, value: Value) -> None:
        """Note that the memory holds this value now."""
        storage = self.storage
        if any(reference() is not None for reference in storage.others):
            self.recorder.problem("memory is changed that the result of a NumPy function looks at")
        if value.dtype != self.array.dtype or value.is_literal or value.op == "number":
            value = self.recorder.value("cast", (value,), cast_stand_in(value, self.array.dtype))
        if value.shape != self.array.shape:
            value = _view(self.recorder, value, "broadcast_to", {"shape": self.array.shape})
        storage.overwritten = False
        whole = self._around(value, self.path)
        if not same_layout(whole, storage.value):  # the layout decides in which order NumPy adds
            whole = self.recorder.value("setitem", (storage.value, whole), stand_in(storage.value), key=(Ellipsis,))
        storage.value = whole

    def _around(self, value: Value, path: tuple[View, ...]) -> Value:
        """The value of the whole memory after a write to the view at the end of ``path``."""
        if not path:
            return value
        whole = self.storage.value
        for op, params in path[:-1]:
            whole = _view(self.recorder, whole, op, params)
        op, params = path[-1]
        if op == "slice":
            changed = self.recorder.value("setitem", (whole, value), stand_in(whole), key=params["key"])
        elif op == "transpose":
            changed = _view(self.recorder, value, op, {"axes": tuple(np.argsort(params["axes"]).tolist())})
        elif op == "reshape":
            changed = _view(self.recorder, value, op, {"shape": whole.shape})
        elif op == "bitcast":
            changed = _view(self.recorder, value, op, {"dtype": whole.dtype})
        else:
            raise AssertionError(f"a write to the result of {op}, which NumPy does not allow")
        return self._around(changed, path[:-1])

    # ---- what NumPy calls

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        recorder = self._recorder_of(inputs, out)
        target = None if out is None else out[0]
        if isinstance(target, Recording) and target.recorder is not recorder:
            target = target.array
        options = {**kwargs, **({} if target is None else {"out": out})}
        result = function(*concrete(inputs), **{key: concrete(option) for key, option in options.items()})
        if recorder is None:
            return result
        if any(isinstance(option, (Recording, Number)) for key, option in kwargs.items() if key != "where"):
            recorder.problem(f"an option of np.{ufunc.__name__} is a tensor or a hyperparameter")
        if method == "at":
            return _add_at(recorder, ufunc, inputs)
        if isinstance(result, tuple) or method not in ("__call__", "reduce") or "where" in kwargs:
            if target is not None:
                recorder.problem(f"np.{ufunc.__name__}.{method} with out= or where=")
            return call(recorder, function, inputs, kwargs, result)
        array = np.asarray(result)
        if method == "reduce":
            value = _reduction(recorder, ufunc, inputs[0], kwargs, array)
        else:
            value = _elementwise(recorder, ufunc, inputs, kwargs, array)
        if isinstance(target, Recording):
            target.write(value)
            return target
        return Recording(recorder, array, Storage(value)) if target is None else recorder.put(target, value)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        recorder = self._recorder_of(args, kwargs)
        if function in ABOUT_SHAPES or recorder is None:
            return function(*concrete(args), **concrete(kwargs))
        record = FUNCTIONS.get(function)
        if record is not None:
            return record(recorder, function, *args, **kwargs)
        return call(recorder, function, args, kwargs, function(*concrete(args), **concrete(kwargs)))

    def _recorder_of(self, *trees: Any) -> Recorder | None:
        """The recorder that is at work, if any: of two that meet, the recording of a closed one is a constant."""
        found = [self, *(leaf for leaf in leaves_of(trees) if isinstance(leaf, Recording))]
        return next((recording.recorder for recording in found if recording.recorder.active), None)

    def __getitem__(self, key: Any) -> Any:
        found = self.array[concrete(key)]
        if not self.recorder.active:
            return found
        array = np.asarray(found)
        template, arrays = _key(key, first_slot=1)
        if not arrays:
            template = template if Ellipsis in template else (*template, Ellipsis)
            view = self.looked_at("slice", {"key": template}, np.asarray(self.array[template]))
            return Recording(self.recorder, array, Storage(view.value)) if isinstance(found, np.generic) else view
        if any(isinstance(part, Recording) and part.dtype == np.bool_ for part in arrays):
            self.recorder.problem("the shape of x[mask] depends on the elements: np.where(mask, x, 0) keeps the shape")
        inputs = [self.value, *(self.recorder.operand(part, np.int64) for part in arrays)]
        return result_of(self.recorder, [self], array, self.recorder.value("getitem", inputs, array, key=template))

    def __setitem__(self, key: Any, item: Any) -> None:
        self.array[concrete(key)] = concrete(item)
        if self.recorder.active:
            template, arrays = _key(key, first_slot=2)
            operands = [self.recorder.operand(x, self.dtype) for x in (item, *arrays)]
            self.write(self.recorder.value("setitem", (self.value, *operands), stand_in(self.value), key=template))

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[place] for place in range(len(self)))

    def looked_at(self, op: str, params: dict[str, Any], array: Array) -> Recording:
        """The result of a function that may look at the same memory in another way."""
        if self.size and np.may_share_memory(array, self.array):
            return Recording(self.recorder, array, self.storage, (*self.path, (op, params)))
        return Recording(
            self.recorder, array, Storage(self.recorder.value(op, (self.value,), array, **_static(params)))
        )

    # ---- attributes of an array

    shape = property(operator.attrgetter("array.shape"))
    ndim = property(operator.attrgetter("array.ndim"))
    size = property(operator.attrgetter("array.size"))
    dtype = property(operator.attrgetter("array.dtype"))
    base = property(operator.attrgetter("array.base"))
    flags = property(operator.attrgetter("array.flags"))
    strides = property(operator.attrgetter("array.strides"))
    nbytes = property(operator.attrgetter("array.nbytes"))
    itemsize = property(operator.attrgetter("array.itemsize"))
    ctypes = property(operator.attrgetter("array.ctypes"))  # the address
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.matrix_transpose(self))  # noqa: N815 - NumPy's name

    def __len__(self) -> int:
        return len(self.array)

    def view(self, dtype: Any) -> Any:
        """The same bytes as another dtype."""
        array = self.array.view(dtype)
        return self.looked_at("bitcast", {"dtype": array.dtype}, array) if self.recorder.active else array

    def copy(self) -> Any:
        """A copy in memory of its own."""
        return np.copy(self)

    def astype(self, dtype: Any) -> Any:
        """A copy in another dtype."""
        return np.array(self, dtype, like=self)

    # ---- what looks at the elements

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.recorder.problem(f".{name} looks at the elements")
        return getattr(self.array, name)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.recorder.problem("a tensor became a plain array")
        return np.array(self.array, dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        self.recorder.problem("Python branches on the value of a tensor")
        return bool(self.array)

    def __int__(self) -> int:
        self.recorder.problem("a tensor became a Python number")
        return int(self.array)

    def __float__(self) -> float:
        self.recorder.problem("a tensor became a Python number")
        return float(self.array)

    __index__ = __int__

    def __contains__(self, item: Any) -> bool:
        self.recorder.problem("Python branches on the value of a tensor")
        return concrete(item) in self.array

    def __str__(self) -> str:
        self.recorder.problem("a tensor became text")
        return str(self.array)

    def __repr__(self) -> str:
        self.recorder.problem("a tensor became text")
        return repr(self.array)

    def __format__(self, form: str) -> str:
        self.recorder.problem("a tensor became text")
        return format(self.array if self.array.ndim else self.array[()], form)


# ---- what the calls become


def _view(recorder: Recorder, x: Value, op: str, params: dict[str, Any]) -> Value:
    """The value of a view, with its layout."""
    return recorder.value(op, (x,), looked_at(x, op, params), **_static(params))


def _static(params: dict[str, Any]) -> dict[str, Any]:
    """What the result's shape and dtype do not say already."""
    return {key: params[key] for key in ("axes", "key") if key in params}


def _geometry(array: Array) -> tuple[Any, ...]:
    return array.ctypes.data, array.shape, array.strides, array.dtype


def _elementwise(recorder: Recorder, ufunc: np.ufunc, inputs: Any, kwargs: dict[str, Any], array: Array) -> Value:
    if ufunc is np.matmul or ufunc.signature is not None:
        if ufunc is np.matmul and not kwargs:
            return recorder.value("matmul", [recorder.operand(x, array.dtype) for x in inputs], array)
        return _template(recorder, ufunc, inputs, kwargs, array)
    if ufunc.__name__ in INTEGER_DIVISIONS and array.dtype.kind != "f":
        recorder.problem(f"np.{ufunc.__name__} of integers raises for a zero")
    kinds = [type(x) if type(x) in (int, float) else float if isinstance(x, Number) else _dtype(x) for x in inputs]
    dtype = kwargs.get("dtype")
    loop: Any = {} if dtype is None else {"signature": (None,) * len(inputs) + (np.dtype(dtype),)}
    dtypes = ufunc.resolve_dtypes((*kinds, None), casting=kwargs.get("casting", "same_kind"), **loop)
    operands = [recorder.operand(x, loop) for x, loop in zip(inputs, dtypes, strict=False)]
    result = np.empty_like(array, dtypes[-1])  # with out= the array may have another dtype, and a larger shape
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    if shape != array.shape:
        result = np.empty(shape, dtypes[-1])
    return recorder.value(ufunc.__name__, operands, result, dtypes=dtypes, forced=dtype is not None)


def _dtype(x: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = x.dtype if isinstance(x, Recording) else np.asarray(x).dtype
    return dtype


def _reduction(recorder: Recorder, ufunc: np.ufunc, x: Any, kwargs: dict[str, Any], array: Array) -> Value:
    operand = recorder.operand(x, _dtype(x))
    axis = kwargs.get("axis", 0)
    axes = range(operand.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    example = np.empty((1,) * operand.ndim, operand.dtype)  # with out= the array may have another dtype
    result_dtype = ufunc.reduce(example, axis=tuple(axes), dtype=kwargs.get("dtype")).dtype
    return recorder.value(
        f"{ufunc.__name__}.reduce",
        (operand,),
        np.empty_like(array, result_dtype),
        axis=tuple(sorted(a % operand.ndim for a in axes)),
        keepdims=bool(kwargs.get("keepdims", False)),
        initial=kwargs.get("initial"),
        computed_in=kwargs.get("dtype"),
    )


def _add_at(recorder: Recorder, ufunc: np.ufunc, inputs: Any) -> None:
    target, key, item = inputs
    if ufunc is not np.add or not isinstance(target, Recording):
        recorder.problem(f"np.{ufunc.__name__}.at")
        return
    template, arrays = _key(key, first_slot=2)
    operands = [recorder.operand(x, target.dtype) for x in (item, *arrays)]
    target.write(recorder.value("add.at", (target.value, *operands), stand_in(target.value), key=template))


def call(recorder: Recorder, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
    """Any other function, which gave ``result``: called as it is."""
    sources = [leaf for leaf in leaves_of((args, kwargs)) if isinstance(leaf, Recording)]
    if isinstance(result, (tuple, list)):
        if not all(isinstance(item, (np.ndarray, np.generic)) for item in result):
            recorder.problem(f"np.{function.__name__} gives something that is no array")
            return result
        arrays = [np.asarray(item) for item in result]
        several = _template(recorder, function, args, kwargs, np.empty(()))
        picked = [recorder.value("pick", (several,), item, index=i) for i, item in enumerate(arrays)]
        parts = [result_of(recorder, sources, array, value) for array, value in zip(arrays, picked, strict=True)]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    if not isinstance(result, (np.ndarray, np.generic)):
        recorder.problem(f"np.{getattr(function, '__name__', function)} gives a Python value")
        return result
    array = np.asarray(result)
    return result_of(recorder, sources, array, _template(recorder, function, args, kwargs, array))


def result_of(recorder: Recorder, sources: Sequence[Recording], array: Array, value: Value) -> Recording:
    """A recording of what a function made of others: perhaps another look at their memory, which is not followed."""
    recording = Recording(recorder, array, Storage(value))
    for source in sources:
        if array.size and np.may_share_memory(array, source.array):
            source.storage.others.append(weakref.ref(recording.storage))
            recording.storage.others.append(weakref.ref(source.storage))
    return recording


def _template(recorder: Recorder, function: Any, args: Any, kwargs: Any, array: Array) -> Value:
    """A ``call`` with a slot for each array in its arguments."""
    inputs: list[Value] = []

    def emptied(tree: Any) -> Any:
        if isinstance(tree, (Recording, np.ndarray)):
            inputs.append(recorder.operand(tree, tree.dtype))
            return Slot(len(inputs) - 1)
        if isinstance(tree, dict):
            return {key: emptied(item) for key, item in tree.items()}
        if isinstance(tree, (tuple, list)):
            return [*map(emptied, tree)] if isinstance(tree, list) else tuple(map(emptied, tree))
        return float(tree) if isinstance(tree, Number) else tree

    templates = {"args": emptied(tuple(args)), "kwargs": emptied(kwargs)}
    return recorder.value("call", inputs, array, function=function, **templates)


def _key(key: Any, first_slot: int) -> tuple[tuple[Any, ...], list[Any]]:
    """An index as a template, and the arrays that belong into its slots."""
    arrays: list[Any] = []
    template: list[Any] = []
    for part in key if isinstance(key, tuple) else (key,):
        if part is None or part is Ellipsis or (isinstance(part, (slice, int, np.integer)) and type(part) is not bool):
            template.append(int(part) if isinstance(part, np.integer) else part)
        else:
            template.append(Slot(first_slot + len(arrays)))
            arrays.append(part if isinstance(part, Recording) else np.asarray(part))
    return tuple(template), arrays


# ---- helpers


def concrete(tree: Any) -> Any:
    """The arrays behind recordings and the numbers behind hyperparameters, also inside tuples, lists and dicts."""
    if isinstance(tree, Recording):
        return tree.array
    if isinstance(tree, Number):
        return tree.pinned
    if isinstance(tree, dict):
        return {key: concrete(item) for key, item in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(*map(concrete, tree)) if hasattr(tree, "_fields") else type(tree)(map(concrete, tree))
    return tree


def leaves_of(tree: Any) -> list[Any]:
    """Everything in nested tuples, lists and dicts."""
    if isinstance(tree, dict):
        return [leaf for item in tree.values() for leaf in leaves_of(item)]
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in leaves_of(item)]
    return [tree]
