"""A program replayed by NumPy: the same calls, in memory that is allocated once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from types import CellType, CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler.naming import names_of
from tinygrad_lite.compiler.notation import Call, literal, written
from tinygrad_lite.compiler.program import Program, Value, compute
from tinygrad_lite.compiler.storage import ALIGNMENT, Layout, Storage, contiguous, plan

__all__ = ["Executable", "compile_program"]

Array = NDArray[Any]


def compile_program(program: Program, name: str = "step") -> Executable:
    """The program as a function of arrays that are bound to it, which allocates nothing.

    Parameters
    ----------
    program : Program
        What to run.
    name : str
        The name of the function, in tracebacks.
    """
    return Executable(program, name)


class Executable:
    """A program, bound to the arrays that it reads and changes.

    Its results are bitwise those of the calls of the program. NumPy's warnings come as the caller's error state says.

    Attributes
    ----------
    numbers : ndarray of float64
        The hyperparameters, to be set before :meth:`run`.
    number_sources : list of str
        The expression of each.
    outputs : list of ndarray
        What the step returned; the next run writes over it.
    arena_bytes : int
        The memory for values in between.
    text : str
        The source of the function, of which all names are arrays and functions of NumPy.

    Examples
    --------
    >>> x = Value("input", shape=(2,), place=0)
    >>> y = Value("add", (x, x), (2,), dtypes=(np.dtype("f4"),) * 3, forced=False)
    >>> executable = compile_program(Program([x], ["x"], ["argument"], outputs=[y]))
    >>> executable.bind([np.ones(2, np.float32)], [])
    >>> executable.run()
    >>> executable.outputs
    [array([2., 2.], dtype=float32)]
    """

    warns = True
    """Whether NumPy warns of what is no number, as the caller's error state says."""

    def __init__(self, program: Program, name: str = "step") -> None:
        self._program = program
        self._storage = plan(program)
        self._names = names_of(program)
        self.number_sources = list(dict.fromkeys(v.params["source"] for v in self._storage.values if v.op == "number"))
        self.numbers = np.zeros(len(self.number_sources))
        self.arena_bytes = self._storage.arena_bytes
        self._arena = _aligned_memory(self.arena_bytes)
        script = _Script(self._storage, self._names, self.numbers, self.number_sources)
        self.text = script.text(name)
        self._function, self._cells = _function(name, self.text, script.objects)
        self._views = _views(self._storage)
        self._gradient_values = {number: value for value, number in self._storage.gradients.items()}
        self._changed = {place for place, _ in program.writes}
        self._stages: dict[int, tuple[Array, Array]] = {}
        self._inputs: list[Array] | None = None
        self._gradients: list[Array] = []
        self._arrays: dict[Value, Array] = {}
        self._bind_own_memory()
        self.outputs = [self._output(value) for value in program.outputs]
        self.copies: dict[int, Array] = {}  # of arguments, which are read where they are

    def bind(self, inputs: Sequence[Array], gradients: Sequence[Array]) -> None:
        """Say which arrays the program reads and changes.

        Parameters
        ----------
        inputs : sequence of ndarray
            One for each of :attr:`Program.inputs`, of its shape and dtype. An array of another layout than was recorded
            is copied at every run, so that sums are taken in the same order.
        gradients : sequence of ndarray
            One for each of :attr:`Program.gradients`, to be written over: see :meth:`empty_gradients`.

        Raises
        ------
        ValueError
            For another number of arrays, another shape or dtype, and for an array that the program changes and that
            shares memory with another one.
        """
        program = self._program
        if (len(inputs), len(gradients)) != (len(program.inputs), len(program.gradients)):
            raise ValueError(
                f"the program has {len(program.inputs)} inputs and {len(program.gradients)} gradients, "
                f"got {len(inputs)} and {len(gradients)} arrays"
            )
        for place, array in enumerate(inputs):
            self._check_input(place, array)
        for (name, value), array in zip(program.gradients, gradients, strict=True):
            _check(f"the gradient of {name}", array, value)
        self._check_apart(inputs, gradients)
        self._inputs, self._gradients = list(inputs), list(gradients)
        for place, array in enumerate(inputs):
            self._place_input(place, array)
        for number, array in enumerate(gradients):
            array = self._staged(-1 - number, array, self._gradient_layout(program.gradients[number][1]))
            self._set(f"gradient{number}", array)
            if number in self._gradient_values:
                self._place(self._gradient_values[number], array)

    def rebind(self, place: int, array: Array) -> None:
        """Let the program read, or change, another array in that place.

        Raises
        ------
        ValueError
            As :meth:`bind`.
        """
        if self._inputs is None:
            raise RuntimeError("bind all arrays first")
        if array is self._inputs[place]:
            return
        self._check_input(place, array)
        others = [*self._inputs, *self._gradients]
        others[place] = array
        self._check_rebound(place, array, others)
        self._inputs[place] = array
        self._place_input(place, array)

    def run(self) -> None:
        """Do the step: all calls that may raise come before the first change of an array from outside.

        Raises
        ------
        ValueError, IndexError
            Whatever NumPy raises for the elements that it finds, as for a class label out of range.
        """
        if self._inputs is None:
            raise RuntimeError("bind arrays before running")
        if self._stages:
            self._run_on_copies()
        else:
            self._function()

    def _run_on_copies(self) -> None:
        for place, (array, copy) in self._stages.items():
            if place >= 0:
                np.copyto(copy, array)
        self._function()
        for place, (array, copy) in self._stages.items():
            if place < 0 or place in self._changed:
                np.copyto(array, copy)

    def empty_gradients(self) -> list[Array]:
        """New arrays for the gradients, in the layout that the program wants."""
        arrays = []
        for _, value in self._program.gradients:
            arrays.append(_empty(self._gradient_layout(value)))
        return arrays

    def report(self) -> dict[str, Any]:
        """What the program came to.

        Returns
        -------
        dict
            ``calls`` (how many of each function), ``arena_bytes``, ``in_place`` (names of the inputs that are computed
            right where they are), ``copied_at_the_end`` (names of the others that change) and ``allocated`` (calls that
            make a new array at every run).
        """
        storage, program = self._storage, self._program
        calls = [v for v in storage.values if v.op not in {"input", "constant", "number"} and not storage.is_view(v)]
        return {
            "calls": dict(Counter(_title(value) for value in calls)),
            "arena_bytes": self.arena_bytes,
            "in_place": sorted({program.names[place] for place in storage.states.values()}),
            "copied_at_the_end": [program.names[place] for place, _ in storage.late],
            "allocated": [_title(value) for value in calls if value in storage.loose],
        }

    # ---- memory

    def _bind_own_memory(self) -> None:
        """Give the values in the arena, the constants and all views of them their arrays."""
        storage = self._storage
        for value in storage.values:
            base = storage.base.get(value)
            if base is None or value in storage.loose:
                continue
            if value is base and value.op == "constant":
                self._place(value, value.params["data"])
            elif value is base and value in storage.offsets and value.op != "input":
                self._place(value, self._lent(value))
        for value in {*storage.snapshots, *storage.copies}:
            self._place_copy(value, self._lent(value))

    def _place_copy(self, value: Value, array: Array) -> None:
        """Let the copy of an input, and all views of it that are read at the end, be this array."""
        name = _copy_name(self._storage, self._names, value)
        self._set(name, array)
        arrays = {value: array}
        for view in self._views[value]:
            arrays[view] = compute(view, arrays[view.inputs[0]])
            self._set(f"{name}_as_{self._names[view]}", arrays[view])

    def _lent(self, value: Value) -> Array:
        layout = self._storage.layouts.get(value, contiguous(value))
        if not layout.is_dense:
            layout = contiguous(value)
        start = self._storage.offsets[value]
        return layout.of(self._arena[start : start + layout.extent[1]])

    def _place(self, base: Value, array: Array) -> None:
        """Let the value, and all views of it, be this array."""
        storage = self._storage
        self._arrays[base] = array
        self._set(self._names[base], array)
        self._set(f"{self._names[base]}_before", _before(base, array))
        for value in self._views[base]:
            (x,) = value.inputs
            self._arrays[value] = compute(value, self._arrays[x])
            self._set(self._names[value], self._arrays[value])
        for value, place in storage.states.items():
            if storage.program.inputs[place] is base:
                self._place(value, array)

    def _place_input(self, place: int, array: Array) -> None:
        value = self._program.inputs[place]
        self._place(value, self._staged(place, array, self._storage.layouts[value]))

    def _staged(self, place: int, array: Array, layout: Layout) -> Array:
        """The array, or one in the layout that the program wants, to be copied from and to; gradients count from -1."""
        repeats = any(n > 1 and stride == 0 for n, stride in zip(layout.shape, layout.strides, strict=True))
        if repeats or array.strides == layout.strides or _differ_in_unit_axes(array, layout):
            self._stages.pop(place, None)
            return array
        known = self._stages.get(place)
        self._stages[place] = array, _empty(layout) if known is None else known[1]
        return self._stages[place][1]

    def _output(self, value: Value) -> Array:
        return self._lent(value) if value in self._storage.copies else self._arrays[value]

    def _set(self, name: str, thing: Any) -> None:
        """Let the name mean this in the function, if it occurs there."""
        if name in self._cells:
            self._cells[name].cell_contents = thing

    # ---- checks

    def _gradient_layout(self, value: Value) -> Layout:
        layout = self._storage.layouts.get(value)
        return layout if layout is not None and layout.is_dense and not layout.start else contiguous(value)

    def _check_input(self, place: int, array: Array) -> None:
        _check(self._program.names[place], array, self._program.inputs[place])

    def _check_apart(self, inputs: Sequence[Array], gradients: Sequence[Array]) -> None:
        """What the program changes shares its memory with nothing else."""
        arrays = [*inputs, *gradients]
        names = [*self._program.names, *(f"the gradient of {name}" for name, _ in self._program.gradients)]
        changed = [*self._changed, *range(len(inputs), len(arrays))]
        read = {value.params["place"] for value in self._storage.values if value.op == "input"}
        used = {*changed, *read}
        for mine in changed:
            for other, array in enumerate(arrays):
                if other in used and other != mine and np.may_share_memory(arrays[mine], array):
                    raise ValueError(f"{names[mine]} is changed by the program and shares memory with {names[other]}")
        self._changed_memory = {id(memory) for mine in changed for memory in _owners(arrays[mine])}

    def _check_rebound(self, place: int, array: Array, others: Sequence[Array]) -> None:
        """As :meth:`_check_apart`, at next to no cost for an argument in memory that is known to be another."""
        owner = array if array.base is None else array.base
        foreign = not isinstance(owner, np.ndarray) or owner.base is not None
        if place in self._changed or foreign or id(owner) in self._changed_memory:
            count = len(self._program.inputs)
            self._check_apart(others[:count], others[count:])


class _Script:
    """The text of the function, and what its names mean that never changes."""

    def __init__(self, storage: Storage, names: dict[Value, str], numbers: Array, sources: Sequence[str]) -> None:
        self.storage, self.names = storage, names
        self.numbers, self.sources = numbers, sources
        self.objects: dict[str, Any] = {"np": np}
        self.lists: dict[np.dtype[Any], str] = {}  # names of the numbers in other dtypes

    def text(self, name: str) -> str:
        """The whole function, as one that makes it with all other names as arguments."""
        body = self._calls() + self._end()
        start = [f"{self.refer('np.copyto')}({cast}, numbers)" for cast in self.lists.values()]
        if start:
            self.objects["numbers"] = self.numbers
        lines = [*start, *body] or ["pass"]
        return "\n".join([f"def {name}():", *(f"    {line}" for line in lines)])

    def refer(self, thing: Any) -> str:
        """A name for a function of NumPy, a dtype, a generator."""
        if isinstance(thing, str):
            name = thing.replace(".", "_")
            self.objects[name] = _named_object(thing)
            return name
        if isinstance(thing, np.dtype):
            name = f"np_{thing.name}"
            self.objects[name] = thing
            return name
        name = next((n for n, known in self.objects.items() if known is thing), f"object{len(self.objects)}")
        self.objects[name] = thing
        return f"{name}.numpy" if any(v.params.get("generator") is thing for v in self.storage.values) else name

    def _calls(self) -> list[str]:
        lines = []
        storage = self.storage
        for value in storage.values:
            if value.op in {"input", "constant", "number"} or (storage.is_view(value) and value not in storage.loose):
                continue
            operands = [self.operand(value, number) for number in range(len(value.inputs))]
            name = self.names[value]
            if value in storage.loose:
                lines.append(f"{name} = {written(Call(value, operands, self.refer))[0]}")
            else:
                out = f"{name}_before" if value.op == "reshape" else name
                lines += written(Call(value, operands, self.refer, out, storage.memory_of(value)))
        return lines

    def _end(self) -> list[str]:
        """What is left to copy: outputs and gradients, then what other copies read, then the inputs that change."""
        storage, copyto = self.storage, self.refer("np.copyto")
        copies = dict.fromkeys([*storage.copies, *storage.snapshots])
        copied = {value: _copy_name(storage, self.names, value) for value in copies}
        lines = [f"{copyto}({name}, {self._text(value)})" for value, name in copied.items()]
        lines += [f"{copyto}(gradient{number}, {self._text(v)})" for number, v in storage.late_gradients]
        for place, value in storage.late:
            lines.append(f"{copyto}({self.names[storage.program.inputs[place]]}, {self._late_source(value, copied)})")
        return lines

    def _late_source(self, value: Value, copied: dict[Value, str]) -> str:
        base = self.storage.base.get(value)
        if base not in self.storage.snapshots:
            return self._text(value)
        return copied[base] if value is base else f"{copied[base]}_as_{self.names[value]}"

    def _text(self, value: Value) -> str:
        if value.is_literal or value.op == "number":
            return self._scalar(value, value.dtype)
        return self.names[value]

    def operand(self, value: Value, number: int) -> str:
        """How a call reads its input: by name, and Python numbers as 0-d arrays of the dtype that they are read as."""
        x = value.inputs[number]
        if not (x.is_literal or x.op == "number"):
            return self.names[x]
        return self._scalar(x, _read_as(value, number))

    def _scalar(self, x: Value, dtype: np.dtype[Any]) -> str:
        if x.op == "number":
            return self._number(x.params["source"], dtype)
        try:
            array = np.asarray(x.params["data"], dtype)
        except OverflowError:  # a comparison with an integer out of the dtype's range
            return f"({literal(x.params['data'])})"
        for name, known in self.objects.items():
            if name.startswith("literal") and (known.dtype, known.tobytes()) == (array.dtype, array.tobytes()):
                return name
        name = f"literal{len(self.objects)}"
        self.objects[name] = array
        return name

    def _number(self, source: str, dtype: np.dtype[Any]) -> str:
        """A 0-d view of the numbers, cast to the dtype at the start of every run."""
        index, numbers = self.sources.index(source), self.numbers
        name = f"number{index}_{dtype.name}"
        if name not in self.objects:
            if dtype != numbers.dtype:
                cast = self.lists.setdefault(dtype, f"numbers_{dtype.name}")
                numbers = self.objects.setdefault(cast, np.zeros(len(self.sources), dtype))
            self.objects[name] = numbers[index, ...]
        return name


def _views(storage: Storage) -> dict[Value, list[Value]]:
    """All views of each value, one after what it looks at."""
    views: dict[Value, list[Value]] = defaultdict(list)
    for value in storage.values:
        base = storage.base.get(value)
        if base is not None and base is not value:
            views[base].append(value)
    return views


def _copy_name(storage: Storage, names: dict[Value, str], value: Value) -> str:
    return f"copy_of_{names[value] if value in names else storage.copies.index(value)}"


def _read_as(value: Value, number: int) -> np.dtype[Any]:
    """The dtype in which a call reads a Python number."""
    if "dtypes" in value.params:
        loop: np.dtype[Any] = value.params["dtypes"][number]
        return loop
    reader = value if value.op in {"where", "setitem", "add.at"} else value.inputs[number]
    dtype: np.dtype[Any] = reader.dtype
    return dtype


def _named_object(path: str) -> Any:
    thing: Any = np
    for part in path.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


def _function(name: str, text: str, objects: dict[str, Any]) -> tuple[Callable[[], None], dict[str, CellType]]:
    """The function of the text, and the cells that hold what its names mean: they can be filled anew at any time."""
    code = compile(text, f"<tinygrad_lite {name}>", "exec")
    free = sorted(_globals_of(code))
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    namespace: dict[str, Any] = {}
    exec(compile(f"def make({', '.join(free)}):\n{indented}    return {name}\n", f"<{name}>", "exec"), namespace)
    function = namespace.pop("make")(*(objects.get(key) for key in free))
    return function, dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def _globals_of(code: CodeType) -> set[str]:
    """The names that the one function in a module's code finds outside of itself, and those of attributes."""
    (inner,) = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(inner.co_names)


def _before(value: Value, array: Array) -> Array:
    """The array as a copying ``reshape`` fills it: in the shape of what it copies."""
    return np.reshape(array, value.inputs[0].shape) if value.op == "reshape" else array


def _aligned_memory(size: int) -> Array:
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + size]


def _owners(array: Array) -> Iterator[Any]:
    """The array, and what its memory belongs to."""
    memory: Any = array
    while memory is not None:
        yield memory
        memory = getattr(memory, "obj", getattr(memory, "base", None))


def _empty(layout: Layout) -> Array:
    low, high = layout.extent
    return layout.of(np.empty(high - low, np.uint8))


def _differ_in_unit_axes(array: Array, layout: Layout) -> bool:
    """Whether the strides are the same wherever they matter."""
    return all(n == 1 or a == b for n, a, b in zip(array.shape, array.strides, layout.strides, strict=True))


def _title(value: Value) -> str:
    return getattr(value.params["function"], "__name__", "call") if value.op == "call" else value.op


def _check(name: str, array: Array, value: Value) -> None:
    if array.shape != value.shape or array.dtype != value.dtype:
        raise ValueError(
            f"{name} has shape {array.shape}, {array.dtype}: the program is for {value.shape}, {value.dtype}"
        )
