"""The way into a compiled step: the conditions, the arguments, the run, and what it leaves, as one generated function.

A step of a small net runs in a microsecond, so looking whether its program still holds must cost no more: the function
is written for one program, and compares what it finds to constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from sys import getrefcount
from threading import get_ident
from typing import Any

import numpy as np

from tinygrad_lite.autograd.graph import Node, Primitive
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild
from tinygrad_lite.compiler.capture import Capture, GradientOf
from tinygrad_lite.compiler.differentiation import Replay, Replayed
from tinygrad_lite.compiler.surroundings import ATTRIBUTE, LENGTH, PLAIN, Condition, Surroundings

__all__ = ["MISS", "REFUSED", "Entry"]

MISS = object()
"""What an entry returns if its program does not fit the call: nothing has happened then."""

REFUSED = object()
"""What it returns if the program does not accept the values (a label out of range): nothing has happened then."""


class Entry:
    """A program, bound to the arrays that it reads and changes.

    Parameters
    ----------
    capture : Capture
        The recorded run.
    around : Surroundings
        What the step reaches.
    executable : object
        The program, compiled: see ``numpy_emitter`` and ``native``.
    replay : Replay or None
        Of the backward, if what the step returns is differentiated later.
    args, kwargs
        Arguments of a call that it is for.

    Attributes
    ----------
    call : callable
        ``call(*args, **kwargs)``: what the step returns, or :data:`MISS` or :data:`REFUSED`.
    fits : callable
        ``fits(*args, **kwargs)``: whether the program is for such a call.
    source : str
        The function behind ``call``.
    """

    def __init__(
        self,
        capture: Capture,
        around: Surroundings,
        executable: Any,
        replay: Replay | None,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> None:
        self.capture, self.executable, self.replay = capture, executable, replay
        self.conditions = around.conditions
        self.hyperparameters = list(around.hyperparameters())
        self.names: dict[str, Any] = {
            "MISS": MISS,
            "REFUSED": REFUSED,
            "rebuild": rebuild,
            "get_ident": get_ident,
            "owner": get_ident(),
            "modes": vars(thread),  # of this thread, which the entry belongs to
            "Tensor": Tensor,
            "ndarray": np.ndarray,
            "new": object.__new__,
            "getrefcount": getrefcount,
            "rebind": executable.rebind,
            "update_numbers": self.update_numbers,
            "renew": self.renew,
            "touches": self.touches,
            "replay": replay,
            "freed": _freed_node(),
        }
        self.gradients = [wrap(np.empty(v.shape, v.dtype)) for _, v in capture.program.gradients]
        self.bind()
        writer = _Writer(self.names)
        self.source = _source(writer, self, args, kwargs)
        exec(compile(self.source, "<compiled step>", "exec"), self.names)
        self.call: Callable[..., Any] = self.names["call"]
        self.fits: Callable[..., bool] = self.names["fits"]
        self.update_numbers()

    # ---- arrays

    def bind(self) -> None:
        """Let the executable work on the arrays that the tensors have now."""
        program = self.capture.program
        found = [_array(tensor) for tensor in self.capture.tensors]
        self.arrays = [
            np.empty(value.shape, value.dtype) if array is None else array
            for value, array in zip(program.inputs, found, strict=True)
        ]
        self.executable.bind(self.arrays, [gradient._array for gradient in self.gradients])
        for place, (array, tensor) in enumerate(zip(self.arrays, self.capture.tensors, strict=True)):
            self.names[f"array{place}"] = array
            self.names[f"version{place}"] = _version(tensor)
        self.names["run"] = self.executable.run
        self.names["changed"] = {id(_owner(self.arrays[place])) for place, _ in program.writes}
        self.names |= {f"copy{place}": copy for place, copy in self.executable.copies.items()}
        for number in range(len(self.gradients)):
            self._name_gradient(number)

    def touches(self, array: Any) -> bool:
        """Whether the program changes memory of this array."""
        return any(np.may_share_memory(array, self.arrays[place]) for place, _ in self.capture.program.writes)

    def follow(self) -> bool:
        """Bind again if tensors have other arrays of the same shape and dtype; whether that was so."""
        found = [(old, _array(t)) for old, t in zip(self.arrays, self.capture.tensors, strict=True) if t is not None]
        if all(old is new for old, new in found):
            return False
        if any(new is None or old.shape != new.shape or old.dtype != new.dtype for old, new in found):
            return False
        try:
            self.bind()
        except ValueError:  # another layout, or memory that two of them share
            return False
        return True

    def renew(self) -> None:
        """Leave the gradients to those who hold them, and give the next ones memory of their own."""
        self.gradients = [wrap(np.empty_like(gradient._array)) for gradient in self.gradients]
        self.executable.bind(self.arrays, [gradient._array for gradient in self.gradients])
        for number in range(len(self.gradients)):
            self._name_gradient(number)

    def _name_gradient(self, number: int) -> None:
        """Let the function know a gradient, and how many hold it while nobody else does: a parameter is one of them."""
        names = self.names
        names[f"gradient{number}"] = self.gradients[number]
        names[f"memory{number}"] = self.gradients[number]._array
        names[f"holders{number}"] = getrefcount(names[f"gradient{number}"]) + 1
        names[f"users{number}"] = getrefcount(names[f"memory{number}"])

    def own_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
        """The arguments that are inputs of the program, in order."""
        states = {id(tensor) for tensor in self.capture.tensors if tensor is not None}
        tensors = [
            leaf for leaf in leaves((tuple(args), kwargs)) if isinstance(leaf, Tensor) and id(leaf) not in states
        ]
        return list({id(tensor): tensor for tensor in tensors}.values())

    def generators(self) -> list[Any]:
        """The sources of the random numbers that the program draws."""
        draws = [value.params["generator"] for value in self.capture.program.values() if value.op == "draw"]
        return list({id(generator): generator for generator in draws}.values())

    # ---- hyperparameters

    def update_numbers(self) -> bool:
        """Read the hyperparameters; whether the program is for such ones."""
        for index, (_, group, key) in enumerate(self.hyperparameters):
            self.names[f"number{index}"] = group[key]
        if any(self.number(condition) != found for condition, found in self.capture.conditions.items()):
            self.names |= {f"number{index}": MISS for index in range(len(self.hyperparameters))}
            return False
        for index, source in enumerate(self.executable.number_sources):
            self.executable.numbers[index] = self.number(source)
        return True

    def number(self, source: str) -> Any:
        """What an expression of hyperparameters gives now."""
        return eval(source, {name: group[key] for name, group, key in self.hyperparameters})


def _array(tensor: Any) -> Any:
    """The array that an input stands for; None for an argument, or a gradient that is not there."""
    if isinstance(tensor, GradientOf):
        tensor = tensor.tensor._grad
    return tensor._array if isinstance(tensor, Tensor) else tensor


def _owner(array: Any) -> Any:
    """The array that the memory belongs to."""
    return array if array.base is None else array.base


def _version(tensor: Any) -> Any:
    """What counts the changes of an input; of an array that has no such thing, a count for nothing."""
    if isinstance(tensor, GradientOf):
        tensor = tensor.tensor._grad
    return tensor._version if isinstance(tensor, Tensor) else [0, None]


def _freed_node() -> Node:
    """What made a loss whose backward has been run."""
    node = Node()
    node.primitive = Primitive(_compiled)
    node.params, node.edges, node.shapes, node.versions, node.hooks = {}, (), (), (), None
    node.dtype, node.saved, node.origin = np.dtype(np.float32), None, True
    return node


def _compiled() -> None:
    """The forward that is no call of its own."""


# ---- the text of the function


class _Writer:
    """Lines, and names for objects in them."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.lines: list[str] = []
        self._known: dict[int, str] = {}

    def name(self, thing: Any) -> str:
        """A name for an object."""
        if id(thing) not in self._known:
            self._known[id(thing)] = f"object{len(self._known)}"
            self.names[self._known[id(thing)]] = thing
        return self._known[id(thing)]

    def function(self, name: str, parameters: str, lines: Sequence[str]) -> str:
        """A function's text."""
        return "\n    ".join([f"def {name}({parameters}):", *lines]) + "\n"


def _source(writer: _Writer, entry: Entry, args: Any, kwargs: Any) -> str:
    """The functions ``fits`` and ``call``."""
    parameters = ", ".join([*(f"argument{i}" for i in range(len(args))), "**kwargs"][: len(args) + bool(kwargs)])
    arguments = _Arguments(writer, entry, args, kwargs)
    grad_enabled = f"modes['grad_enabled'] is {bool(thread.grad_enabled)}"
    tests = [f"get_ident() == owner and {grad_enabled} and not modes['noting'] and modes['recorder'] is None"]
    tests += [f"len(kwargs) == {len(kwargs)}"] if kwargs else []
    tests += dict.fromkeys([*arguments.tests, *_conditions(writer, entry.conditions), *_states(writer, entry)])
    fitting = ["try:", "    if not (", *(f"        {test} and" for test in tests), "        True", "    ): return {}"]
    fitting += ["except (TypeError, KeyError, IndexError, AttributeError, ValueError): return {}"]
    numbers = [f"{writer.name(group)}[{key!r}] is number{i}" for i, (_, group, key) in enumerate(entry.hyperparameters)]
    if numbers:
        fitting += [f"if not ({' and '.join(numbers)}) and not update_numbers(): return {{}}"]
    fits = [*(line.replace("{}", "False") for line in fitting), "return True"]
    call = [*(line.replace("{}", "MISS") for line in fitting), *_run(entry, arguments), *_effects(writer, entry)]
    call += _result(writer, entry, arguments.spelled)
    return writer.function("fits", parameters, fits) + writer.function("call", parameters, call)


def _run(entry: Entry, arguments: _Arguments) -> Iterator[str]:
    held = [
        f"getrefcount(gradient{number}) > holders{number} or getrefcount(memory{number}) > users{number} "
        f"or gradient{number}._array is not memory{number}"
        for number in range(len(entry.gradients))
    ]
    if held:
        yield f"if {' or '.join(held)}: renew()"
    for place in arguments.spelled:
        if place in entry.executable.copies:
            if entry.capture.program.writes:  # an argument that sees what the program writes is no copy
                array = f"array_of{place}"
                elsewhere = "base.__class__ is not ndarray or base.base is not None"  # memory that is not NumPy's
                owner = f"id({array}) in changed if (base := {array}.base) is None else id(base) in changed"
                yield f"if ({owner} or {elsewhere}) and touches({array}): return MISS"
            yield f"copy{place}[...] = array_of{place}"
        else:
            yield f"try: rebind({place}, array_of{place})"
            yield "except ValueError: return MISS"  # another layout, or memory that the program changes
    run = "modes['run'](run)" if entry.executable.warns else "run()"  # without NumPy's warnings
    generators = list(enumerate(entry.generators())) if entry.capture.program.checks else []
    for number, generator in generators:
        entry.names[f"generator{number}"] = generator
        yield f"before{number} = generator{number}.get_state()"
    yield f"try: refused = {run}"
    yield "except (ValueError, IndexError): refused = True"
    restored = "".join(f"generator{number}.set_state(before{number}); " for number, _ in generators)
    yield f"if refused: {restored}return REFUSED"


def _effects(writer: _Writer, entry: Entry) -> Iterator[str]:
    for place, _ in entry.capture.program.writes:
        yield f"version{place}[0] += 1"
    for tensor, number in entry.capture.gradients:
        name, gradient = writer.name(tensor), "None" if number is None else f"gradient{number}"
        yield f"if {name}._grad is not {gradient}: {name}._grad = {gradient}"


class _Arguments:
    """The ``tests`` that arguments are like those of the recording, and how tensors among them are ``spelled``."""

    def __init__(self, writer: _Writer, entry: Entry, args: Any, kwargs: Any) -> None:
        self.tests: list[str] = []
        self.spelled: dict[int, str] = {}  # by the number of the program's input
        self._writer = writer
        self._states = {id(tensor) for tensor in entry.capture.tensors if tensor is not None}
        self._first: dict[int, str] = {}  # where a tensor that comes twice came first
        for index, found in enumerate(args):
            self._visit(f"argument{index}", found)
        for key, found in kwargs.items():
            self._visit(f"kwargs[{key!r}]", found)

    def _visit(self, name: str, found: Any) -> None:
        if isinstance(found, (tuple, list, dict)):
            kind = self._writer.name(type(found))
            self.tests.append(f"{name}.__class__ is {kind} and len({name}) == {len(found)}")
            for key, item in found.items() if isinstance(found, dict) else enumerate(found):
                self._visit(f"{name}[{key!r}]", item)
        elif not isinstance(found, Tensor):
            self.tests.append(_is(self._writer, name, found))
        elif id(found) in self._states:
            self.tests.append(f"{name} is {self._writer.name(found)}")
        elif id(found) in self._first:
            self.tests.append(f"{name} is {self._first[id(found)]}")
        else:
            place = len(self._first)
            self._first[id(found)] = self.spelled[place] = name
            self.tests.append(f"(array_of{place} := {name}._array).shape == {found.shape}")
            self.tests.append(f"array_of{place}.dtype is {self._writer.name(found.dtype)}")
            self.tests.append(f"{name}._requires_grad is {found._requires_grad}")


def _is(writer: _Writer, expression: str, expected: Any) -> str:
    """The test that an expression gives this object, or an equal number or string of its type."""
    name = writer.name(expected)
    if expected is None or isinstance(expected, bool) or not isinstance(expected, PLAIN):
        return f"{expression} is {name}"
    sign = f" and repr(found) == {repr(expected)!r}" if expected == 0 and not isinstance(expected, int) else ""  # -0.0
    return f"((found := {expression}) is {name} or (found.__class__ is {name}.__class__ and found == {name}{sign}))"


def _conditions(writer: _Writer, conditions: Sequence[Condition]) -> Iterator[str]:
    for condition in conditions:
        holder, key = writer.name(condition.holder), condition.key
        if condition.expression == LENGTH:
            yield f"len({holder}) == {condition.expected}"
            continue
        if condition.expression == ATTRIBUTE:
            place = f"{holder}.{key}"
        else:
            key = repr(key) if type(key) in (str, int, bool) else writer.name(key)
            place = condition.expression.format(holder=holder, key=key)
        yield _is(writer, place, condition.expected)


def _states(writer: _Writer, entry: Entry) -> Iterator[str]:
    """The tests that tensors from outside have the arrays that the program is bound to."""
    for place, tensor in enumerate(entry.capture.tensors):
        if isinstance(tensor, Tensor):
            name = writer.name(tensor)
            yield f"{name}._array is array{place} and {name}._requires_grad is {tensor._requires_grad}"
            yield f"{name}._hooks is None"
        elif isinstance(tensor, GradientOf):
            yield f"{writer.name(tensor.tensor)}._grad._array is array{place}"
    for tensor in entry.capture.without_gradient:
        yield f"{writer.name(tensor)}._grad is None"


def _result(writer: _Writer, entry: Entry, arguments: dict[int, str]) -> Iterator[str]:
    """The lines that wrap the outputs and return what the step returns."""
    found = leaves(entry.capture.result)
    names = []
    outputs = 0
    for leaf in found:
        if not isinstance(leaf, Tensor):
            names.append(writer.name(leaf))
            continue
        name = f"result{outputs}"
        freed = leaf._requires_grad and entry.replay is None
        yield f"{name} = new(Tensor)"
        yield f"{name}._array = {writer.name(entry.executable.outputs[outputs])}.copy()"
        yield f"{name}._grad = {name}._hooks = None"
        yield f"{name}._version = [0, None]"
        yield f"{name}._requires_grad = {freed}"
        yield f"{name}._node = {'freed' if freed else None}"
        names.append(name)
        outputs += 1
    if entry.replay is not None:
        yield from _graph(writer, entry, arguments)
    if len(found) == 1 and found[0] is entry.capture.result:
        yield f"return {names[0]}"
    else:
        skeleton = rebuild(entry.capture.result, [None] * len(found))
        yield f"return rebuild({writer.name(skeleton)}, ({''.join(f'{name}, ' for name in names)}))"


def _graph(writer: _Writer, entry: Entry, arguments: dict[int, str]) -> Iterator[str]:
    """The lines that give the results their place in the graph."""
    backward = entry.capture.backward
    assert backward is not None

    def tensors(places: Sequence[int]) -> str:
        known = entry.capture.tensors
        return "".join(f"{arguments.get(place) or writer.name(known[place])}, " for place in places)

    results = "".join(f"result{place}, " for place in backward.outputs)
    first = len(entry.executable.outputs) - backward.saved
    saved = "".join(f"{writer.name(array)}.copy('K'), " for array in entry.executable.outputs[first:])
    given = f"replay, ({results}), ({saved}), ({tensors(backward.inputs)}), {tensors(backward.sources)}"
    yield f"{results}= {writer.name(Replayed.apply)}({given})"
