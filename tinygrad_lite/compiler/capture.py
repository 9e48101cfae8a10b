"""Recording a step: it runs once, for real, on recording arrays."""

from __future__ import annotations

import gc
import inspect
import io
import linecache
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lite.autograd.anomaly import PACKAGE, detect_anomaly
from tinygrad_lite.autograd.engine import _consumers_first, grad
from tinygrad_lite.autograd.graph import Node, StandIn
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.sharing import stamp
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild
from tinygrad_lite.compiler.differentiation import Backward, split
from tinygrad_lite.compiler.numbers import Number
from tinygrad_lite.compiler.program import Program
from tinygrad_lite.compiler.recording import Recorder, Recording, concrete
from tinygrad_lite.compiler.surroundings import Surroundings
from tinygrad_lite.nn.module import Module

__all__ = ["Capture", "GradientOf", "capture"]


@dataclass(frozen=True)
class GradientOf:
    """Stands for the gradient of a tensor: whatever lies in its ``.grad`` at the time."""

    tensor: Tensor


@dataclass
class Capture:
    """One run of a step, and the program that it came to.

    Attributes
    ----------
    result : object
        What the step returned.
    program : Program
        What it computed.
    tensors : list of Tensor, GradientOf, ndarray or None
        What the program's inputs stand for; None for an argument.
    gradients : list of (Tensor, int or None)
        What the step leaves in ``.grad`` of a tensor: the number of the program's gradient, or None for none.
    without_gradient : list of Tensor
        The tensors whose ``.grad`` was None before and is not after: the step may add to what it finds there.
    conditions : dict of str to object
        What was found out about hyperparameters.
    problems : list of str
        Why it cannot be replayed.
    unsettled : list of str
        What the step changed of what it reads: the next run will be another one.
    backward : Backward or None
        How to differentiate what it returns, if that is still to be done.
    """

    result: Any
    program: Program
    tensors: list[Any]
    gradients: list[tuple[Tensor, int | None]] = field(default_factory=list)
    without_gradient: list[Tensor] = field(default_factory=list)
    conditions: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    backward: Backward | None = None


def capture(step: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], around: Surroundings) -> Capture:
    """Run ``step(*args, **kwargs)`` and record it.

    The step's exceptions pass; whatever happens, tensors and hyperparameters are themselves again afterwards.
    """
    return _Capturing(around).run(step, args, kwargs)


class _Capturing:
    """One recording: who stands for whom while the step runs."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.recorder = Recorder()
        self.program = Program()
        self.tensors: list[Any] = []  # what the program's inputs stand for; None for an argument
        self.recordings: list[Recording] = []  # of the program's inputs
        self.gradients: list[tuple[Tensor, int | None]] = []
        self.stand_ins: dict[int, Tensor] = {}  # of the arguments, by id
        self.numbers: list[Number] = []  # the hyperparameters
        self.cut: dict[Tensor, Node] = {}  # arguments that were computed, and by what
        self.changes: dict[int, int] = {}  # how often the recording changed what it counts
        self.versions: dict[int, tuple[Any, Any]] = {}  # of the recording, and of the tensors themselves

    def run(self, step: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Capture:
        with ExitStack() as undo:
            undo.callback(self._settle)
            args, kwargs = self._with_stand_ins((tuple(args), kwargs), _argument_names(step, args, kwargs), undo)
            states = self._substitute_all(undo)
            before = {id(tensor): tensor._grad for _, tensor in states}
            conditions = self._lift_hyperparameters(undo)
            with self._recording_mode():
                result = step(*args, **kwargs)
            self._note_writes()
            self._note_gradients(states, before)
            outputs = self._note_outputs(result)
            backward = self._differentiate(outputs, states)
            self._note_shared_memory()
        without = [t for t, number in self.gradients if number is not None and before[id(t)] is None]
        without += [tensor for _, tensor in states if before[id(tensor)] is None and tensor._grad is None]
        self._drop_unused(backward)
        self._note_hooks()
        self._repair_leaks(outputs)
        self._note_unknown_tensors(result)
        self.around.release(self.tensors)
        self.recorder.problems += [f"{name} draws random numbers: use those of tl" for name in self.around.drawn()]
        problems, unsettled = self.recorder.problems, self.around.changed()
        return Capture(
            result,
            self.program,
            self.tensors,
            self.gradients,
            without,
            conditions,
            problems,
            unsettled,
            backward,
        )

    def _note_hooks(self) -> None:
        """Hooks are Python that would run while recording only; so would the backward of an outer graph."""
        for name, tensor in zip(self.program.names, self.tensors, strict=True):
            if isinstance(tensor, Tensor) and tensor._node is not None:
                self.recorder.problems.append(
                    f"{name} is computed outside of the step: detach() it, or compute it inside"
                )
            if isinstance(tensor, Tensor) and tensor._hooks is not None:
                self.recorder.problems.append(f"{name} has hooks on its gradient")
            if isinstance(tensor, GradientOf) and tensor.tensor._grad is not None and tensor.tensor._grad._node:
                self.recorder.problems.append(f"{name} has a graph of its own")
        self.recorder.problems += [
            f"module {name or type(module).__name__} has hooks"
            for name, module in self.around.modules.items()
            if module._hooks is not None
        ]

    def _differentiate(self, outputs: Sequence[Tensor], states: Sequence[tuple[str, Tensor]]) -> Backward | None:
        """Record the backward of what the step returns, if it is to be differentiated later."""
        wanted = [place for place, output in enumerate(outputs) if output._requires_grad and output._node is not None]
        nodes = _consumers_first([node for place in wanted if (node := outputs[place]._node) is not None])
        if not wanted or self.gradients or any(node.saved is None for node in nodes):
            return None
        candidates = {id(recording.array): place for place, recording in enumerate(self.recordings)}
        tensors = [tensor for tensor in [*self.stand_ins.values(), *(t for _, t in states)] if tensor._requires_grad]
        tensors = list({id(tensor): tensor for tensor in tensors}.values())
        sources = [candidates[id(tensor._array.array)] for tensor in tensors]  # type: ignore[attr-defined]
        cotangents = [np.ones(outputs[place].shape, outputs[place].dtype) for place in wanted]
        given = [self.recorder.input(array, -1) for array in cotangents]
        with self._recording_mode():
            found = grad(
                [outputs[place] for place in wanted],
                tensors,
                [wrap(recording) for recording in given],  # type: ignore[arg-type]
                retain_graph=True,
                allow_unused=True,
            )
        gradients = [None if g is None else self.recorder.operand(g._array, g.dtype) for g in found]
        return split(self.program, wanted, [recording.value for recording in given], sources, gradients)

    def _drop_unused(self, backward: Backward | None) -> None:
        """Leave out what is in reach, but not used by the step; arguments stay."""
        program = self.program
        needed = set() if backward is None else {*backward.inputs, *backward.sources}
        used = {id(value) for value in program.values()} | {id(program.inputs[place]) for place, _ in program.writes}
        kept = [
            place
            for place, value in enumerate(program.inputs)
            if id(value) in used or place in needed or program.kinds[place] == "argument"
        ]
        new = {old: place for place, old in enumerate(kept)}
        if backward is not None:
            backward.inputs = [new[place] for place in backward.inputs]
            backward.sources = [new[place] for place in backward.sources]
        for place, old in enumerate(kept):
            program.inputs[old].params["place"] = place
        program.inputs = [program.inputs[i] for i in kept]
        program.names = [program.names[i] for i in kept]
        program.kinds = [program.kinds[i] for i in kept]
        program.writes = [(new[place], value) for place, value in program.writes]
        self.tensors = [self.tensors[i] for i in kept]

    # ---- before the step

    def _input(self, name: str, kind: str, array: Array, tensor: Any) -> Recording:
        known = self.recorder.known(array)
        if known is not None and tensor is array:
            return known  # the NumPy array of a tensor in reach
        if known is not None:  # of another tensor, which may have another array at the next call
            array = array.view()
        recording = self.recorder.input(array, len(self.tensors))
        self.program.inputs.append(recording.value)
        self.program.names.append(name)
        self.program.kinds.append(kind)
        self.tensors.append(tensor)
        self.recordings.append(recording)
        return recording

    def _with_stand_ins(self, arguments: Any, names: Sequence[str], undo: ExitStack) -> Any:
        """The arguments with tensors of the recording's own in the place of the caller's, which stay as they are.

        Tensors that require grad stand for themselves: gradients belong to them.
        """
        states = {id(tensor) for tensor in self.around.tensors.values()}
        stand_ins = self.stand_ins
        replaced = []
        for name, leaf in zip(names, leaves(arguments), strict=True):
            if isinstance(leaf, Tensor) and id(leaf) not in states:
                if id(leaf) not in stand_ins:
                    stand_ins[id(leaf)] = self._stand_in(name, leaf, undo)
                leaf = stand_ins[id(leaf)]
            elif isinstance(leaf, np.ndarray):
                self.recorder.problems.append("an argument is a NumPy array: pass tensors, tl.from_numpy(array)")
            replaced.append(leaf)
        return rebuild(arguments, replaced)

    def _stand_in(self, name: str, argument: Tensor, undo: ExitStack) -> Tensor:
        if argument._requires_grad:
            self._substitute(name, argument, {}, undo, "argument")
            undo.callback(self._note_argument_gradient, name, argument, argument._grad)
            node, argument._node = argument._node, None  # what lies behind it is not the step's
            if node is not None:
                self.cut[argument] = node
                undo.callback(setattr, argument, "_node", node)
            return argument
        stand_in = wrap(self._input(name, "argument", argument._array, None))  # type: ignore[arg-type]
        self.versions[id(stand_in._version)] = stand_in._version, argument._version
        undo.callback(_add_changes, argument, stand_in)
        return stand_in

    def _note_argument_gradient(self, name: str, argument: Tensor, before: Tensor | None) -> None:
        if argument._grad is not before:
            self.recorder.problems.append(f"the step leaves a gradient in its argument {name}")

    def _substitute_all(self, undo: ExitStack) -> list[tuple[str, Tensor]]:
        """Put recordings behind all tensors in reach, and behind their gradients."""
        states = [(name, found) for name, found in self.around.tensors.items() if isinstance(found, Tensor)]
        known = {id(tensor) for _, tensor in states}
        versions: dict[int, Any] = {}
        for name, tensor in states:
            self._substitute(name, tensor, versions, undo)
        for name, tensor in states:
            if tensor._grad is not None and id(tensor._grad) not in known:
                self._substitute(f"{name}.grad", tensor._grad, versions, undo, stands_for=GradientOf(tensor))
                known.add(id(tensor._grad))
        for name, found in self.around.tensors.items():
            if isinstance(found, np.ndarray):
                self._input(name, "state", found, found)
        return states

    def _substitute(
        self,
        name: str,
        tensor: Tensor,
        versions: dict[int, Any],
        undo: ExitStack,
        kind: str = "state",
        stands_for: GradientOf | None = None,
    ) -> None:
        array, version = tensor._array, tensor._version
        recording = self._input(name, kind, array, (stands_for or tensor) if kind == "state" else None)
        temporary = versions.setdefault(id(version), [0, None])  # recorded arrays have no checksums
        self.versions[id(temporary)] = temporary, version
        tensor._array, tensor._version = recording, temporary  # type: ignore[assignment]

        def give_back() -> None:
            tensor._version = version
            version[0] += temporary[0]
            self.changes[id(temporary)] = self.changes.get(id(temporary), 0) + temporary[0]
            temporary[0] = 0
            if tensor._array is recording:  # type: ignore[comparison-overlap]
                tensor._array = array
            else:
                self.recorder.problems.append(f"the step replaces the data of {name}: change it in place")

        undo.callback(give_back)

    def _lift_hyperparameters(self, undo: ExitStack) -> dict[str, Any]:
        """Let the optimizers read numbers that know their names."""
        conditions: dict[str, Any] = {}
        for name, group, key in self.around.hyperparameters():
            value = group[key]
            if isinstance(value, tuple):
                lifted: Any = tuple(
                    Number.named(item, f"{name}[{index}]", conditions) for index, item in enumerate(value)
                )
            else:
                lifted = Number.named(value, name, conditions)
            group[key] = lifted
            self.numbers += lifted if isinstance(lifted, tuple) else [lifted]
            undo.callback(self._give_back_number, group, key, lifted, value)
        return conditions

    def _give_back_number(self, group: dict[str, Any], key: str, lifted: Any, value: Any) -> None:
        if group[key] is lifted:
            group[key] = value
        else:
            group[key] = concrete(group[key])
            self.recorder.problems.append(f"the step changes the optimizer's {key!r}: do that between the steps")

    # ---- during the step

    @contextmanager
    def _recording_mode(self) -> Iterator[None]:
        """Random numbers and new tensors are recorded, operations know their lines, and side effects are noticed."""
        previous, profiler = thread.recorder, sys.getprofile()
        thread.recorder = self.recorder
        try:
            with detect_anomaly(check_nan=False):
                if profiler is None:
                    sys.setprofile(self._watch)
                else:  # another one keeps its place: then side effects show in the comparison alone
                    self._pin_numbers()
                yield
        finally:
            if profiler is None:
                sys.setprofile(None)
            thread.recorder = previous

    def _watch(self, frame: Any, event: str, called: Any) -> None:
        """Note what the user's code does besides computing: printing, files, the clock, random numbers."""
        if event == "c_call" and _is_users(frame):
            owner = getattr(called, "__self__", None)
            name = getattr(called, "__name__", str(called))
            if getattr(called, "__module__", None) == "math":
                self._pin_numbers()
            if called in SIDE_EFFECTS or isinstance(owner, (io.IOBase, random.Random, np.random.Generator)):
                self.recorder.problems.append(f"{name}() would happen while recording only, in {_users_line(frame)}")

    def _pin_numbers(self) -> None:
        """Make all hyperparameters conditions: what ``math`` computes of one does not know where it came from."""
        for number in self.numbers:
            float(number)

    # ---- after the step

    def _note_writes(self) -> None:
        for place, (given, recording) in enumerate(zip(self.program.inputs, self.recordings, strict=True)):
            if recording.storage.value is not given:
                self.program.writes.append((place, recording.storage.value))
                if self.program.kinds[place] == "argument":
                    name = self.program.names[place]
                    self.recorder.problems.append(f"the step changes its argument {name} in place")

    def _note_gradients(self, states: Sequence[tuple[str, Tensor]], before: dict[int, Tensor | None]) -> None:
        """What the step put into ``.grad``, in tensors of its own."""
        for name, tensor in states:
            gradient, previous = tensor._grad, before[id(tensor)]
            if gradient is previous or _share_an_array(gradient, previous):
                continue
            if gradient is None:
                self.gradients.append((tensor, None))
            elif not isinstance(gradient._array, Recording) or gradient._node is not None:
                self.recorder.problems.append(f"the gradient of {name} has a graph, or is no result of the step")
            else:
                self.gradients.append((tensor, len(self.program.gradients)))
                self.program.gradients.append((name, gradient._array.value))

    def _note_outputs(self, result: Any) -> list[Tensor]:
        """Tell the tensors that the step returns."""
        states = {id(recording.storage) for recording in self.recordings}
        outputs = []
        for leaf in leaves(result):
            if isinstance(leaf, (Recording, np.ndarray, Number)):
                self.recorder.problems.append("the step returns an array or a hyperparameter: return tensors")
            if isinstance(leaf, Tensor):
                array: Any = leaf._array
                if not isinstance(array, Recording):
                    array = self.recorder.constant(array)
                if id(array.storage) in states:
                    self.recorder.problems.append("the step returns a tensor from outside, or a view of one")
                self.program.outputs.append(array.value)
                outputs.append(leaf)
        self.program.checks = self.recorder.checks
        return outputs

    def _note_unknown_tensors(self, result: Any) -> None:
        """A constant that a tensor holds after the step comes from where the step was not seen to reach."""
        found = {id(leaf) for leaf in leaves(result)}
        holders = gc.get_referrers(*self.recorder.foreign) if self.recorder.foreign else []
        if any(isinstance(holder, Tensor) and id(holder) not in found for holder in holders):
            self.recorder.problems.append(
                "the step uses a tensor that is hidden from compile: make it an argument, or an attribute of a module"
            )

    def _note_shared_memory(self) -> None:
        """Two arrays on one memory would have to be read and written in one order."""
        for place, _ in self.program.writes:
            mine = self.recordings[place].array
            for other, name in zip(self.recordings, self.program.names, strict=True):
                if other.array is not mine and np.may_share_memory(mine, other.array):
                    self.recorder.problems.append(
                        f"{self.program.names[place]} is changed and shares memory with {name}"
                    )

    def _settle(self) -> None:
        """Nothing is recorded any more; tensors that the step made or changed get arrays."""
        self.recorder.close()
        for stand_in in self.stand_ins.values():
            _make_real(stand_in)
            _make_real(stand_in._grad)
        for found in self.around.tensors.values():
            if isinstance(found, Tensor):
                _make_real(found)
                _make_real(found._grad)
        for optimizer in self.around.optimizers.values():
            for state in optimizer.state.values():
                for value in state.values():
                    _make_real(value)

    def _real_versions(self, node: Node) -> tuple[Any, ...]:
        """What a node that outlives the step notes of its arrays: where the tensors' own counts stand."""
        if len(_saved_arrays(node)) != len(node.versions):
            return node.versions  # of a Function, which saves in a way of its own
        found = []
        for (version, at_save), array in zip(node.versions, _saved_arrays(node), strict=True):
            known = self.versions.get(id(version))
            unchanged = known is not None and at_save == self.changes.get(id(version), 0)
            found.append((known[1], stamp(known[1], array)) if known and unchanged else (version, at_save))
        return tuple(found)

    def _repair_leaks(self, outputs: Sequence[Tensor]) -> None:
        """Give arrays to tensors and nodes that outlive the step; only what it returns may do so."""
        for output in outputs:
            _make_real(output)
        places = [output._node for output in outputs if output._node is not None]
        for node in _consumers_first(places):
            if node.saved is not None:
                node.saved = concrete(node.saved)
                node.versions = self._real_versions(node)
            node.edges = tuple(self.cut.get(edge, edge) if isinstance(edge, Tensor) else edge for edge in node.edges)
        self.recordings.clear()
        leaked = self.recorder.alive()
        if leaked:
            gc.collect()
            leaked = self.recorder.alive()
        if leaked:
            self.recorder.problems.append("the step keeps a tensor that it computed: return it instead")
        holders = gc.get_referrers(*leaked) if leaked else []
        for holder in holders:
            _make_real(holder)
        nodes = gc.get_referrers(*[holder for holder in holders if isinstance(holder, tuple)]) if holders else []
        for node in nodes:
            if isinstance(node, Node):
                node.saved = concrete(node.saved)


def _saved_arrays(node: Node) -> list[Any]:
    """The arrays that a node keeps, as many as versions."""
    return [saved for saved in node.saved or () if saved is not None and not isinstance(saved, StandIn)]


def _argument_names(step: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """A name for each leaf of the arguments: its parameter, and its place in that."""
    called = step.forward if isinstance(step, Module) else step
    try:
        parameters = list(inspect.signature(called).parameters)
    except (TypeError, ValueError):  # a callable that does not say
        parameters = []
    parameters += [f"argument{number}" for number in range(len(parameters), len(args))]
    tops = [*zip(parameters, args, strict=False), *kwargs.items()]
    counted = ((name, leaves(top)) for name, top in tops)
    return [name if len(found) == 1 else f"{name}{i}" for name, found in counted for i in range(len(found))]


def _share_an_array(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two gradients are one, as ``zero_grad(set_to_none=False)`` leaves it."""
    return one is not None and other is not None and one._node is None and one._array is other._array


def _add_changes(argument: Tensor, stand_in: Tensor) -> None:
    """Changes in place of one were changes of the other."""
    argument._version[0] += stand_in._version[0]


def _make_real(tensor: Any) -> None:
    if isinstance(tensor, Tensor) and isinstance(tensor._array, Recording):
        tensor._array = tensor._array.array


def _is_users(frame: Any) -> bool:
    """Whether the user's code runs here, or called the library that does."""
    while frame.f_code.co_filename.startswith(LIBRARY) and frame.f_back is not None:
        frame = frame.f_back
    return not frame.f_code.co_filename.startswith((PACKAGE, NUMPY))


def _users_line(frame: Any) -> str:
    while frame.f_code.co_filename.startswith(LIBRARY) and frame.f_back is not None:
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{number}: {linecache.getline(file, number).strip()}"


LIBRARY = f"{Path(os.__file__).parent}{os.sep}"
SIDE_EFFECTS = {print, input, open, exec, os.urandom}
NUMPY = str(Path(np.__file__).parent)
