"""What a step can reach besides its arguments: tensors, modules, optimizers, and the Python values it may read.

The closure, the globals that the code names, and whatever hangs on them, through the user's own functions and classes. All
that is met becomes a condition: a program holds only while each of these is still what it was.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn.module import Module
from tinygrad_lite.optim.optimizer import Optimizer

__all__ = ["Condition", "Surroundings"]

LONGEST = 1000  # elements of a container that are looked at; a longer one is a condition as a whole
PLAIN = (bool, int, float, str, bytes, type(None), np.generic)
OTHERS = sys.stdlib_module_names | {"tinygrad_lite", "numpy"}
"""Packages whose functions and objects are not looked into."""


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


class Surroundings:
    """What a function can reach.

    Parameters
    ----------
    function : callable
        A function, a method, a module or another callable object.

    Attributes
    ----------
    tensors : dict of str to Tensor or ndarray
        By name: ``fc1.weight`` of the only module, ``net.fc1.weight`` of one of several.
    modules, optimizers : dict of str to Module, to Optimizer
        By name.
    conditions : list of Condition
        What must not change.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.tensors: dict[str, Any] = {}
        self.modules: dict[str, Module] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.conditions: list[Condition] = []
        self._seen: dict[int, Any] = {}
        self._roots: list[str] = []
        self._visit("", function)
        for name, optimizer in self.optimizers.items():
            self._visit_optimizer(name, optimizer)
        self._drop_the_only_root()

    def changed(self) -> list[str]:
        """The places that are not any more what they were."""
        return [condition.name for condition in self.conditions if not condition.holds()]

    # ---- the walk

    def _visit(self, name: str, found: Any) -> None:
        if isinstance(found, PLAIN) or id(found) in self._seen:
            return
        self._seen[id(found)] = found
        if isinstance(found, (Tensor, np.ndarray)):
            self.tensors[name] = found
        elif isinstance(found, Optimizer):
            self.optimizers[name] = found
        elif isinstance(found, Module):
            self._visit_module(name, found)
        elif isinstance(found, types.FunctionType):
            self._visit_function(found)
        elif isinstance(found, types.MethodType):
            self._visit(name, found.__self__)
            self._visit(name, found.__func__)
        elif isinstance(found, functools.partial):
            self._visit_all(name, {"func": found.func, "args": found.args, "keywords": found.keywords})
        elif isinstance(found, (list, tuple, dict)):
            self._visit_container(name, found)
        elif _is_users(type(found)) and hasattr(found, "__dict__"):
            self._visit_object(name, found)

    def _visit_all(self, name: str, items: dict[str, Any]) -> None:
        for key, item in items.items():
            self._visit(_join(name, key), item)

    def _hold(self, name: str, expression: str, holder: Any, key: Any, found: Any) -> None:
        """Note what was found somewhere as a condition, and look into it."""
        self.conditions.append(Condition(name, expression, holder, key, found, not isinstance(found, PLAIN)))
        self._visit(name, found)

    def _visit_function(self, function: types.FunctionType) -> None:
        if not _is_users(function):
            return
        names = set(_names(function.__code__))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if _is_filled(cell):
                self._hold(name, CELL, cell, None, cell.cell_contents)
        for name in sorted(names & function.__globals__.keys()):
            found = function.__globals__[name]
            if isinstance(found, types.ModuleType):
                self._visit_namespace(name, found, names)
            elif not isinstance(found, type):
                self._hold(name, ITEM, function.__globals__, name, found)
        for index, found in enumerate(function.__defaults__ or ()):
            self._visit(f"{function.__name__}.default{index}", found)
        self._visit_all(function.__name__, function.__kwdefaults__ or {})

    def _visit_namespace(self, name: str, module: types.ModuleType, names: set[str]) -> None:
        """A Python module of the user's: of its contents, what the code names."""
        if module.__name__.partition(".")[0] not in OTHERS:
            for key in sorted(names & vars(module).keys()):
                if not isinstance(vars(module)[key], (type, types.ModuleType)):
                    self._hold(f"{name}.{key}", ITEM, vars(module), key, vars(module)[key])

    def _visit_module(self, name: str, module: Module) -> None:
        self.modules[name] = module
        if "." not in name:
            self._roots.append(name)
        self._hold(_join(name, "training"), ATTRIBUTE, module, "training", module.training)
        self._hold(_join(name, "_hooks"), ATTRIBUTE, module, "_hooks", module._hooks)
        self._visit_object(name, module)

    def _visit_object(self, name: str, found: Any) -> None:
        read = (
            None if _is_users(type(found)) else set(_names(type(found).forward.__code__))
        )  # of a layer of the package
        for key, value in list(vars(found).items()):
            unread = read is not None and key not in read and isinstance(value, PLAIN)
            if key not in ("training", "_hooks") and not unread:
                self._hold(_join(name, key), ITEM, vars(found), key, value)
        for kind in type(found).__mro__:
            if _is_users(kind):
                for method in vars(kind).values():
                    self._visit(name, inspect.unwrap(method) if isinstance(method, types.FunctionType) else None)

    def _visit_container(self, name: str, found: Any) -> None:
        if not isinstance(found, tuple):
            self._hold(f"len({name})", LENGTH, found, None, len(found))
        if len(found) <= LONGEST:
            for key, value in found.items() if isinstance(found, dict) else enumerate(found):
                if isinstance(key, (str, int)):
                    self._hold(f"{name}[{key!r}]", ITEM, found, key, value)

    def _visit_optimizer(self, name: str, optimizer: Optimizer) -> None:
        self._hold(f"{name}.state", ATTRIBUTE, optimizer, "state", optimizer.state)
        self._hold(f"{name}.param_groups", ATTRIBUTE, optimizer, "param_groups", optimizer.param_groups)
        for number, group in enumerate(optimizer.param_groups):
            place = f"{name}.param_groups[{number}]"
            for key, value in group.items():
                if key != "params" and not _is_hyperparameter(value):
                    self._hold(f"{place}[{key!r}]", ITEM, group, key, value)
            self._hold(f"len({place}['params'])", LENGTH, group["params"], None, len(group["params"]))
            for parameter in group["params"]:
                self._visit(f"{place}['params']", parameter)
                self._visit_state(optimizer, parameter)

    def _visit_state(self, optimizer: Optimizer, parameter: Tensor) -> None:
        known = next(name for name, tensor in self.tensors.items() if tensor is parameter)
        state = optimizer.state.get(parameter, {})
        if state:
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


def _is_hyperparameter(value: Any) -> bool:
    """Whether it is a number, or a tuple of numbers, as ``betas``; switches are none."""
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_hyperparameter, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_users(thing: Any) -> bool:
    """Whether a function or class is the user's own."""
    return (getattr(thing, "__module__", None) or "").partition(".")[0] not in OTHERS


def _names(code: types.CodeType) -> Iterator[str]:
    """Every global and attribute that the code names, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises if empty
    except ValueError:
        return False
    return True


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
