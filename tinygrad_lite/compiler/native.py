"""Programs as native code: loops compiled by LLVM, matrix products by BLAS, and NumPy for the rest."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite import _blas
from tinygrad_lite.compiler import jit, llvm
from tinygrad_lite.compiler.arena import place_results, shared_results
from tinygrad_lite.compiler.fusion import Group, fuse
from tinygrad_lite.compiler.loops import Buffer
from tinygrad_lite.compiler.lowering import Node, Window, lower
from tinygrad_lite.compiler.memory import Memory, aligned
from tinygrad_lite.compiler.nests import nest
from tinygrad_lite.compiler.program import Program, Value, compute

__all__ = ["Native", "Report", "compile_program"]

Array: TypeAlias = NDArray[Any]

SMALL_ARGUMENT = 32768
"""Arguments of up to so many bytes are copied: that is faster than to ask NumPy for their address."""

DRAWS_IN_PLACE = ("random", "standard_normal")
"""Methods of a generator that take ``out=``."""


@dataclass(frozen=True)
class Report:
    """What a program came to.

    Attributes
    ----------
    groups : tuple of str
        One line for each fused loop: the shape and the operations.
    products : tuple of str
        One line for each call of BLAS.
    calls : tuple of str
        One line for each call of NumPy.
    arena_bytes : int
        Memory for intermediate results.
    milliseconds : dict of str to float
        What compiling took, by stage.
    """

    groups: tuple[str, ...]
    products: tuple[str, ...]
    calls: tuple[str, ...]
    arena_bytes: int
    milliseconds: dict[str, float]


def compile_program(program: Program, name: str = "step") -> Native:
    """Compile a program for this processor.

    Parameters
    ----------
    program : Program
        Any valid one: what native code does not know is done by NumPy.
    name : str
        For whoever looks at the machine code.

    Returns
    -------
    Native
        To be bound to arrays, and run.

    Raises
    ------
    ImportError
        If llvmlite is not installed.
    """
    return Native(program, name)


class Native:
    """A compiled program; made by :func:`compile_program`.

    Attributes
    ----------
    run : callable
        Runs the program once. It returns 0 or None; anything else means that a check refused a value, and
        that nothing was written to any input or gradient.
    outputs : list of ndarray
        Where the outputs lie after a run; always the same memory.
    copies : dict of int to ndarray
        Once arrays are bound: where the program reads small arguments. To copy one there is to rebind it.
    numbers : ndarray of float64
        The hyperparameters that the next run uses, one for each of ``number_sources``.
    number_sources : list of str
        Their expressions.
    arena_bytes : int
        The memory for intermediate results.
    """

    def __init__(self, program: Program, name: str) -> None:
        watch = _Stopwatch()
        lowered = lower(program, lambda dtype: _blas.gemm_address(dtype) is not None)
        watch.stop("lower")
        self._groups = fuse(lowered.nodes)
        watch.stop("fuse")
        shared = shared_results(self._groups)
        self.arena_bytes = place_results(self._groups, shared)
        self._memory = Memory(lowered, self.arena_bytes)
        self.numbers, self.number_sources = self._memory.numbers, lowered.number_sources
        self.outputs = [array.reshape(v.shape) for array, v in zip(self._memory.outputs, program.outputs, strict=True)]
        module = llvm.Module(self._memory.table.ctypes.data, self._memory.slot, _blas.gemm_address)
        steps = _steps(module, self._groups, shared, name)
        self._source = module.text()
        watch.stop("write")
        self._program = program
        self._written = {place for place, _ in program.writes}
        self._copied: dict[int, tuple[Array, Array]] = {}  # scattered arrays that keep their place, and stand-ins
        self._may_copy = any(map(self._is_scattered, range(len(program.inputs))))
        self._calls: list[_Call] = []
        self.run = self._runner(steps)
        watch.stop("compile")
        self._milliseconds = watch.milliseconds
        self.copies: dict[int, Array] = {}  # of arguments: where the program reads them
        self._bound: list[Array | None] = [None] * len(program.inputs)
        self._spans: list[tuple[int, int]] = []

    def _is_scattered(self, place: int) -> bool:
        """Whether an array that keeps its place outside may have a layout that needs copies before and after."""
        value = self._program.inputs[place]
        if self._program.kinds[place] == "argument":
            return place in self._written
        return value.order != Value("input", shape=value.shape, dtype=value.dtype).order and value.size > 1

    @property
    def warns(self) -> bool:
        """Whether NumPy runs a part of it, and warns of what is no number as the caller's error state says."""
        return bool(self._calls)

    # ---- running

    def _runner(self, steps: Sequence[str | Node]) -> Callable[[], int | None]:
        library = jit.build(self._source) if any(isinstance(step, str) for step in steps) else None
        functions: list[Callable[[], int | None]] = []
        for step in steps:
            if isinstance(step, Node):
                self._calls.append(_Call(step, self._memory))
                functions.append(self._calls[-1])
            else:
                assert library is not None
                functions.append(self._function(library, step))
        run = functions[0] if len(functions) == 1 else _in_turn(functions)
        return self._with_copies(run) if self._may_copy else run

    def _function(self, library: jit.Library, name: str) -> Callable[[], int | None]:
        """A function of the library, which keeps all that it needs alive."""
        function: Any = library.function(name, ctypes.c_int32)
        function.memory = self._memory
        return function  # type: ignore[no-any-return]

    def _with_copies(self, run: Callable[[], int | None]) -> Callable[[], int | None]:
        def run_on_copies() -> int | None:
            for array, copy in self._copied.values():
                copy[...] = array
            if refused := run():
                return refused
            for place, (array, copy) in self._copied.items():
                if place in self._written:
                    array[...] = copy
            return None

        return run_on_copies

    # ---- the world outside

    def bind(self, inputs: Sequence[Array], gradients: Sequence[Array]) -> None:
        """Say which arrays the program reads and changes.

        Parameters
        ----------
        inputs, gradients : sequence of ndarray
            One for each of the program's, of its shape and dtype; kept until others are bound.

        Raises
        ------
        ValueError
            For another shape, dtype or layout than recorded, and for an array that the program changes and that shares
            memory with another one.
        """
        program = self._program
        for (name, value), array in zip(program.gradients, gradients, strict=True):
            _check(f"the gradient of {name}", array, value)
            if not _is_plain(array):
                raise ValueError(f"the gradient of {name} must be contiguous")
        changed = {f"input {program.names[place]}": inputs[place] for place in sorted(self._written)}
        changed |= {
            f"the gradient of {name}": array for (name, _), array in zip(program.gradients, gradients, strict=True)
        }
        states = {f"input {program.names[i]}": x for i, x in enumerate(inputs) if program.kinds[i] != "argument"}
        _check_apart(changed, states)
        self._spans = [_span(array) for array in changed.values()]
        self._copied.clear()
        for number, array in enumerate(gradients):
            self._memory.point("gradient", number, array)
        for place, array in enumerate(inputs):
            _check(f"input {program.names[place]}", array, program.inputs[place])
            if program.kinds[place] == "argument" and place not in self._written:
                self._bind_argument(place, array)
            else:
                self._bind_in_place(place, array)
        for call in self._calls:
            call.prepare()

    def rebind(self, i: int, array: Array) -> None:
        """Give the program another array as input ``i``: before each run, since a small or scattered one is copied.

        Parameters
        ----------
        i : int
            The number of the input.
        array : ndarray
            Of its shape and dtype.
        """
        copy = self.copies.get(i)
        if copy is not None:
            copy[...] = array
        elif array is not self._bound[i]:
            if i in self._written:
                self._bind_in_place(i, array)
            else:
                self._bind_argument(i, array)
            for call in self._calls:
                call.prepare()

    def _bind_argument(self, place: int, array: Array) -> None:
        low, high = _span(array)
        apart = all(high <= start or end <= low for start, end in self._spans)
        if array.nbytes > SMALL_ARGUMENT and apart and _is_plain(array):
            self._memory.point("input", place, array)
            self._bound[place] = array
            return
        copy = self.copies[place] if place in self.copies else _like(array)
        copy[...] = array
        self._memory.point("input", place, copy)
        self._bound[place] = None
        if array.nbytes <= SMALL_ARGUMENT:
            self.copies[place] = copy

    def _bind_in_place(self, place: int, array: Array) -> None:
        if _is_plain(array):
            self._copied.pop(place, None)
            self._memory.point("input", place, array)
        elif self._may_copy:
            self._copied[place] = array, _like(array)
            self._memory.point("input", place, self._copied[place][1])
        else:
            raise ValueError(f"input {self._program.names[place]} must be contiguous, as it was when it was recorded")
        self._bound[place] = array

    def report(self) -> Report:
        """What the program came to.

        Returns
        -------
        Report
        """
        loops = [group for group in self._groups if group.is_loop]
        nodes = [node for group in self._groups for node in group.nodes]
        return Report(
            tuple(_described(group) for group in loops),
            tuple(_product(node) for node in nodes if node.op == "gemm"),
            tuple(_called(node) for node in nodes if node.op == "call"),
            self.arena_bytes,
            dict(self._milliseconds),
        )


class _Call:
    """A call of NumPy in the middle of a program."""

    def __init__(self, node: Node, memory: Memory) -> None:
        assert node.value is not None
        self.value = node.value
        self._node, self._memory = node, memory
        self._arrays: list[Array] = []
        self._numbers = [x for x, y in enumerate(node.value.inputs) if y.op == "number"]
        self._target: Array = np.empty(0)

    def prepare(self) -> None:
        """Look up where the arrays are: to be called after each change of the program's inputs."""
        *self._arrays, self._target = (self._memory.array(x) if isinstance(x, Window) else x for x in self._node.arrays)
        self._arguments: list[Any] = list(self._arrays)

    def __call__(self) -> None:
        value = self.value
        for place in self._numbers:
            self._arguments[place] = float(self._arrays[place])
        if value.op == "draw":
            self._draw()
        elif value.op == "pick":
            self._target[...] = compute(value, compute(value.inputs[0], *self._arguments))
        else:
            self._target[...] = compute(value, *self._arguments)

    def _draw(self) -> None:
        params = self.value.params
        generator, method, kwargs = params["generator"].numpy, params["method"], params["kwargs"]
        if method in DRAWS_IN_PLACE and self._target.dtype.kind == "f" and self._target.flags.c_contiguous:
            getattr(generator, method)(out=self._target, dtype=self._target.dtype)
        else:
            self._target[...] = getattr(generator, method)(*params["args"], **kwargs)


def _in_turn(functions: Sequence[Callable[[], int | None]]) -> Callable[[], int | None]:
    def run() -> int | None:
        for function in functions:
            if refused := function():
                return refused
        return None

    return run


def _steps(module: llvm.Module, groups: Sequence[Group], shared: set[Buffer], name: str) -> list[str | Node]:
    """The names of native functions, and the calls between them."""
    steps: list[str | Node] = []
    stretch: list[tuple[Group, str, Sequence[Buffer]]] = []

    def end() -> None:
        if stretch:
            function = f"{name}_{len(steps)}"
            module.add_segment(function, stretch)
            steps.append(function)
            stretch.clear()

    for number, group in enumerate(groups):
        if group.nodes[0].op == "call":
            end()
            steps.append(group.nodes[0])
        elif group.is_loop:
            function = f"{name}_group{number}"
            stretch.append((group, function, module.add_loops(function, nest(group, shared))))
        else:
            stretch.append((group, "", ()))
    end()
    return steps


# ---- arrays


def _check(name: str, array: Array, value: Value) -> None:
    if array.shape != value.shape or array.dtype != value.dtype:
        raise ValueError(
            f"{name} is {array.dtype}{list(array.shape)}, the program is for {value.dtype}{list(value.shape)}"
        )


def _check_apart(changed: dict[str, Array], others: dict[str, Array]) -> None:
    """No array that changes shares memory with another one."""
    spans = sorted((*_span(array), name) for name, array in {**others, **changed}.items())
    arrays = {**others, **changed}
    for number, (_, end, name) in enumerate(spans):
        for start, _, other in spans[number + 1 :]:
            if start >= end:
                break
            mine, its = (name, other) if name in changed else (other, name)
            if mine in changed and np.shares_memory(arrays[mine], arrays[its]):
                raise ValueError(f"{mine}, which the program changes, shares memory with {its}")


def _span(array: Array) -> tuple[int, int]:
    """The addresses between which all elements lie."""
    span: tuple[int, int] = np.lib.array_utils.byte_bounds(array)
    return span


def _is_plain(array: Array) -> bool:
    return bool(array.flags.c_contiguous and array.flags.aligned)


def _like(array: Array) -> Array:
    return aligned(array.nbytes).view(array.dtype).reshape(array.shape)


# ---- reports


class _Stopwatch:
    """How long the stages take."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        """The end of a stage, and the beginning of the next."""
        now = time.perf_counter()
        self.milliseconds[stage] = 1000 * (now - self._last)
        self._last = now


def _described(group: Group) -> str:
    counts: dict[str, int] = {}
    for node in group.nodes:
        name = f"{node.op}.reduce" if node.reduced else node.op
        counts[name] = counts.get(name, 0) + 1
    operations = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
    return f"{list(group.space)}: {operations}"


def _product(node: Node) -> str:
    rows, inner, columns = node.space
    return f"{rows}x{inner} @ {inner}x{columns} {node.result.dtype}"


def _called(node: Node) -> str:
    value = node.value
    assert value is not None
    function = value.params.get("function", value.params.get("method"))
    name = value.op if function is None else getattr(function, "__name__", function)
    return f"{name} {value.dtype}{list(value.shape)}"
