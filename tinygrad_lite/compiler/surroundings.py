"""What a step can reach besides its arguments: tensors, modules, optimizers, and the Python values it may read.

The closure, the globals that the code names, and whatever hangs on them, through the user's own functions and classes.
All that is met becomes a condition: a program holds only while each of these is still what it was.
"""

from __future__ import annotations

import argparse
import collections
import dis
import enum
import functools
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn.module import Module
from tinygrad_lite.optim.optimizer import Optimizer

__all__ = ["Condition", "Surroundings"]

LONGEST = 1000  # elements of a container that are conditions of their own; a longer one is a condition as a whole
LARGEST_COMPARED = 4096  # bytes of a NumPy array that must keep its elements, if Python may read them
PLAIN = (bool, int, float, str, bytes, type(None), np.generic)
OTHERS = sys.stdlib_module_names | {"tinygrad_lite", "numpy"}
INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
"""Packages whose functions and objects are not looked into."""

NAMESPACES = (types.SimpleNamespace, argparse.Namespace)
"""Classes of the standard library whose objects hold what the user puts there."""

NUMPYS_OWN: Any = np.random.get_state.__self__  # type: ignore[attr-defined]
"""The generator behind ``np.random.rand()`` and its like, whose calls no profiler sees."""

SETS = (set, frozenset)
CONTAINERS = (list, tuple, dict, collections.deque)


class Condition(NamedTuple):
    """What was found in one place: ``read(holder, key)`` was ``expected``.

    Attributes
    ----------
    name : str
        The place, for messages.
    expression : str
        Python source with ``{holder}`` and ``{key}`` that reads it.
    same : bool
        Whether it must be the very object; else one of the same type that is equal.
    """

    name: str
    expression: str
    holder: Any
    key: Any
    expected: Any
    same: bool

    def holds(self) -> bool:
        """Whether the place is as it was."""
        try:
            found = eval(self.expression.format(holder="holder", key="key"), {"holder": self.holder, "key": self.key})
        except (KeyError, IndexError, AttributeError, ValueError):
            return False
        return found is self.expected or (
            not self.same and type(found) is type(self.expected) and found == self.expected
        )


ATTRIBUTE, ITEM, CELL, LENGTH = "getattr({holder}, {key})", "{holder}[{key}]", "{holder}.cell_contents", "len({holder})"
EQUAL, CONTENT = "({holder} == {key})", "{holder}.tobytes()"


MAKING = {"__new__", "__init__", "__post_init__", "__init_subclass__", "__repr__", "__str__"}
"""Methods that make objects, or show them."""

BY_COMPUTED_NAME = {"getattr", "vars", "__dict__", "attrgetter", "methodcaller", "eval", "exec"}


class Surroundings:
    """What a function can reach.

    Parameters
    ----------
    function : callable
        A function, a method, a module or another callable object.
    arguments : sequence of object
        What it is called with: objects lead on, tensors and arrays are inputs of the program.

    Attributes
    ----------
    tensors : dict of str to Tensor or ndarray
        By name: ``fc1.weight`` of the only module, ``net.fc1.weight`` of one of several.
    modules, optimizers : dict of str to Module, to Optimizer
        By name.
    conditions : list of Condition
        What must not change.
    """

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any] = ()) -> None:
        self._function = inspect.unwrap(function)
        names: set[str] = {"forward"}
        while not self._walk(function, arguments, frozenset(names)) <= names:  # until no further code is reached
            names |= self._named

    def _walk(self, function: Callable[..., Any], arguments: Sequence[Any], names: frozenset[str]) -> set[str]:
        """Look around, at attributes of these names; returns what the code that was met names."""
        self.tensors: dict[str, Any] = {}
        self.modules: dict[str, Module] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.conditions: list[Condition] = []
        self._names, self._named = names, set[str]()
        self._seen: dict[int, Any] = {}
        self._classes: set[tuple[type, bool]] = set()
        self._roots: list[str] = []
        self._generators = {"np.random": (NUMPYS_OWN, _state(NUMPYS_OWN))}
        self._visit("", function)
        for number, argument in enumerate(arguments):
            if not isinstance(argument, (Tensor, np.ndarray)):
                self._visit(f"argument{number}", argument)
        for name, optimizer in self.optimizers.items():
            self._visit_optimizer(name, optimizer)
        self._drop_the_only_root()
        return self._named

    def changed(self) -> list[str]:
        """The places that are not any more what they were."""
        return [condition.name for condition in self.conditions if not condition.holds()]

    def drawn(self) -> list[str]:
        """NumPy's random generators that have moved on."""
        return [name for name, (generator, state) in self._generators.items() if _state(generator) != state]

    def release(self, arrays: Sequence[Any]) -> None:
        """Let NumPy arrays have other elements at each call: those that the program itself reads."""
        known = {id(array) for array in arrays}
        self.conditions = [c for c in self.conditions if c.expression != CONTENT or id(c.holder) not in known]

    # ---- the walk

    def _visit(self, name: str, found: Any) -> None:
        if isinstance(found, (*PLAIN, enum.Enum, types.ModuleType)) or id(found) in self._seen:
            return
        self._seen[id(found)] = found
        if isinstance(found, Tensor):
            self.tensors[name] = found
        elif isinstance(found, np.ndarray):
            self._visit_array(name, found)
        elif isinstance(found, Optimizer):
            self.optimizers[name] = found
        elif isinstance(found, Module):
            self._visit_module(name, found)
        elif isinstance(found, type):
            self._visit_class(name, found)
        elif isinstance(found, types.FunctionType):
            self._visit_function(found)
        else:
            self._visit_other(name, found)

    def _visit_other(self, name: str, found: Any) -> None:
        """Whatever leads on: bound methods, partial functions, wrappers, containers, objects."""
        if isinstance(found, types.MethodType):
            self._visit(name, found.__self__)
            self._visit(name, found.__func__)
        elif isinstance(found, functools.partial):
            self._visit_all(name, {"func": found.func, "args": found.args, "keywords": found.keywords})
        elif isinstance(found, property):
            self._visit(name, found.fget)
        elif isinstance(found, (staticmethod, classmethod)):
            self._visit(name, found.__func__)
        elif isinstance(found, (functools.cached_property, functools.partialmethod)):
            self._visit(name, found.func)
        elif isinstance(found, CONTAINERS):
            self._visit_container(name, found)
        elif isinstance(found, (np.random.Generator, np.random.RandomState)):
            self._generators[name] = found, _state(found)
        elif isinstance(found, SETS):
            self._visit_set(name, found)
        elif "__wrapped__" in getattr(found, "__dict__", ()):  # of functools.cache, of tinygrad_lite.compile
            self._visit(name, found.__wrapped__)
        if isinstance(found, NAMESPACES) or _is_users(type(found)):
            self._visit_object(name, found)
            self._visit_class(name, type(found), of_object=True)

    def _visit_all(self, name: str, items: dict[str, Any]) -> None:
        for key, item in items.items():
            self._visit(_join(name, key), item)

    def _hold(self, name: str, expression: str, holder: Any, key: Any, found: Any) -> None:
        """Note what was found somewhere as a condition, and look into it."""
        self.conditions.append(Condition(name, expression, holder, key, found, not isinstance(found, PLAIN)))
        self._visit(name, found)

    def _hold_length(self, name: str, found: Any) -> None:
        self._hold(f"len({name})", LENGTH, found, None, len(found))

    # ---- functions and classes

    def _visit_function(self, function: types.FunctionType) -> None:
        """Its closure; and of the user's own functions, which may read more, globals and defaults."""
        self._visit(function.__name__, vars(function).get("__wrapped__"))
        users = _is_users(function) or function is self._function  # which may be an example of the package
        if not users and "<locals>" not in function.__qualname__:
            return  # of a library, and not made for the user
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if _is_filled(cell):
                self._hold(name, CELL, cell, None, cell.cell_contents)
        if not users:
            return
        attributes = set(_names(function.__code__))
        self._named |= attributes
        for name in sorted(set(_globals(function.__code__)) & function.__globals__.keys()):
            found = function.__globals__[name]
            if isinstance(found, types.ModuleType):
                self._visit_namespace(name, found, attributes, ())
            else:
                self._hold_global(name, function.__globals__, name, found)
        for index, default in enumerate(function.__defaults__ or ()):
            self._visit(f"{function.__name__}.default{index}", default)
        self._visit_all(function.__name__, function.__kwdefaults__ or {})

    def _hold_global(self, name: str, namespace: dict[str, Any], key: str, found: Any) -> None:
        """A global name; those of the libraries stay what they are."""
        if isinstance(found, (type, types.FunctionType, types.BuiltinFunctionType)) and not _is_users(found):
            self._visit(name, found)
        else:
            self._hold(name, ITEM, namespace, key, found)

    def _visit_namespace(
        self, name: str, module: types.ModuleType, names: set[str], inside: tuple[types.ModuleType, ...]
    ) -> None:
        """A Python module of the user's: of its contents, what the code names."""
        if _is_installed(module.__name__.partition(".")[0]) or module in inside:
            return
        for key in sorted(names & vars(module).keys()):
            found = vars(module)[key]
            if isinstance(found, types.ModuleType):
                self._visit_namespace(f"{name}.{key}", found, names, (*inside, module))
            else:
                self._hold_global(f"{name}.{key}", vars(module), key, found)

    def _visit_class(self, name: str, found: type, of_object: bool = False) -> None:
        """What the user's classes hold: methods, and attributes that all objects share.

        An object that is there already is not made again: what made it is of no interest.
        """
        for kind in found.__mro__:
            if not _is_users(kind) or (kind, of_object) in self._classes or issubclass(kind, enum.Enum):
                continue
            self._classes.add((kind, of_object))
            for key, value in list(vars(kind).items()):
                if not self._is_read(key) or (of_object and key in MAKING):
                    continue
                if key == "__call__" or not (key.startswith("__") and key.endswith("__")):
                    self._hold(_join(name, key), ITEM, vars(kind), key, value)
                elif isinstance(value, types.FunctionType):
                    self._visit(name, value)

    # ---- objects

    def _visit_module(self, name: str, module: Module) -> None:
        self.modules[name] = module
        if "." not in name:
            self._roots.append(name)
        for key in {"training", "_hooks"} & vars(module).keys():  # else the class has it, while nothing is added
            self._hold(_join(name, key), ITEM, vars(module), key, vars(module)[key])
        self._visit_object(name, module)
        self._visit_class(name, type(module), of_object=True)

    def _visit_object(self, name: str, found: Any) -> None:
        """Its attributes; that there are as many of them says that none hides one of the class."""
        attributes = getattr(found, "__dict__", None)
        if attributes is not None:
            self._hold_length(_join(name, "__dict__"), attributes)
            for key, value in list(attributes.items()):
                if key not in ("training", "_hooks") and not self._is_unread(found, key, value):
                    self._hold(_join(name, key), ITEM, attributes, key, value)
        for key in _slots(type(found)):
            if hasattr(found, key):
                self._hold(_join(name, key), ATTRIBUTE, found, key, getattr(found, key))

    def _is_unread(self, found: Any, key: str, value: Any) -> bool:
        """Whether no code that was met reads an attribute; the parts of a module are always read."""
        if isinstance(found, Module) and not _is_users(type(found)):
            return isinstance(value, PLAIN) and key not in set(_names(type(found).forward.__code__))
        return not (isinstance(found, Module) and isinstance(value, (Tensor, Module))) and not self._is_read(key)

    def _is_read(self, key: str) -> bool:
        """Whether the code that was met names an attribute, or may compute its name; Python itself calls methods."""
        return key in self._names or not self._names.isdisjoint(BY_COMPUTED_NAME) or key.startswith("__")

    def _visit_array(self, name: str, array: np.ndarray[Any, Any]) -> None:
        """A NumPy array: Python may read its elements past the recording."""
        self.tensors[name] = array
        if array.nbytes <= LARGEST_COMPARED and array.dtype.kind != "O":
            self._hold(f"the elements of {name}", CONTENT, array, None, array.tobytes())

    def _visit_container(self, name: str, found: Any) -> None:
        if not isinstance(found, tuple):
            self._hold_length(name, found)
        items = found.items() if isinstance(found, dict) else enumerate(found)
        if len(found) <= LONGEST:
            for key, value in items:
                self._hold(f"{name}[{key!r}]" if isinstance(key, PLAIN) else name, ITEM, found, key, value)
        elif not isinstance(found, tuple) and all(isinstance(value, PLAIN) for _, value in items):
            self._hold(name, EQUAL, found, found.copy(), True)

    def _visit_set(self, name: str, found: Any) -> None:
        if isinstance(found, set):
            self._hold_length(name, found)
        if len(found) > LONGEST or all(isinstance(item, PLAIN) for item in found):
            self._hold(name, EQUAL, found, frozenset(found), True)
        else:
            for item in found:
                self._visit(name, item)

    def _visit_optimizer(self, name: str, optimizer: Optimizer) -> None:
        """All of it but the hyperparameters, which are read at each call."""
        for part in (optimizer.param_groups, optimizer.state, *optimizer.param_groups):
            self._seen[id(part)] = part
        self._hold(f"{name}.param_groups", ATTRIBUTE, optimizer, "param_groups", optimizer.param_groups)
        self._hold(f"len({name}.param_groups)", LENGTH, optimizer.param_groups, None, len(optimizer.param_groups))
        self._hold(f"{name}.state", ATTRIBUTE, optimizer, "state", optimizer.state)
        self._hold(f"len({name}.state)", LENGTH, optimizer.state, None, len(optimizer.state))
        for number, group in enumerate(optimizer.param_groups):
            place = f"{name}.param_groups[{number}]"
            for key, value in group.items():
                if not _is_hyperparameter(value):
                    self._hold(f"{place}[{key!r}]", ITEM, group, key, value)
            for parameter in group["params"]:
                self._visit_state(optimizer, parameter)

    def _visit_state(self, optimizer: Optimizer, parameter: Tensor) -> None:
        known = next(name for name, tensor in self.tensors.items() if tensor is parameter)
        state = optimizer.state.get(parameter, {})
        self._seen[id(state)] = state  # whose contents get the parameter's name, below
        if state:
            self._hold(f"the optimizer's state of {known}", ITEM, optimizer.state, parameter, state)
            self._hold(f"the optimizer's state of {known}", LENGTH, state, None, len(state))
        for key, value in state.items():
            self._hold(f"{known}.{key}", ITEM, state, key, value)

    def _drop_the_only_root(self) -> None:
        """Names without the variable of the module, if there is one only."""
        if len(self._roots) == 1 and self._roots[0]:
            prefix = f"{self._roots[0]}."
            self.tensors = {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items()}

    # ---- hyperparameters

    def hyperparameters(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """The numbers that optimizers read at each step: an identifier, the group, its key."""
        groups = [(name, group) for name, optimizer in self.optimizers.items() for group in optimizer.param_groups]
        for number, (_, group) in enumerate(groups):
            for key, value in group.items():
                if key != "params" and _is_hyperparameter(value):
                    yield key if len(groups) == 1 else f"{key}_{number}", group, key


def _state(generator: Any) -> str:
    """Where a generator is in its sequence."""
    is_new = isinstance(generator, np.random.Generator)
    state: Any = generator.bit_generator.state if is_new else generator.get_state(legacy=False)
    return repr({**state, "state": {key: _bytes(value) for key, value in state["state"].items()}})


def _bytes(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _is_hyperparameter(value: Any) -> bool:
    """Whether it is a number, or a tuple of numbers, as ``betas``; switches are none."""
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_hyperparameter, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_users(thing: Any) -> bool:
    """Whether a function or class is the user's own, and of no installed package."""
    return not _is_installed((getattr(thing, "__module__", None) or "").partition(".")[0])


@functools.cache
def _is_installed(package: str) -> bool:
    """Whether a package is Python's, ours, or was installed beside us."""
    place = getattr(sys.modules.get(package), "__file__", None) or ""
    return package in OTHERS or any(folder in place for folder in INSTALLED)


def _names(code: types.CodeType) -> Iterator[str]:
    """Every global and attribute that the code names, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _globals(code: types.CodeType) -> Iterator[str]:
    """Every global that the code reads, nested functions included."""
    yield from (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant)


def _slots(kind: type) -> Iterator[str]:
    """The names of the user's ``__slots__``."""
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ()) if _is_users(base) else ()
        for key in (slots,) if isinstance(slots, str) else slots:
            if key not in ("__dict__", "__weakref__"):
                yield f"_{base.__name__.lstrip('_')}{key}" if key.startswith("__") else key


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises if empty
    except ValueError:
        return False
    return True


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
