"""Names for the values of a program, as somebody would choose who writes the step by hand."""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tinygrad_lite.compiler.program import SOURCES, VIEWS, Program, Value

__all__ = ["identifier", "names_of"]

STEMS = {"constant": "constant", "draw": "draws", "ravel_multi_index": "index"}
"""What numbered values of these operations are called."""

RESERVED = {"np", "rng", "print", "self"} | set(keyword.kwlist) | set(keyword.softkwlist)


def identifier(path: str) -> str:
    """A dotted path as a Python name; a number in it belongs to the part before.

    Examples
    --------
    >>> identifier("fc1.weight"), identifier("0.weight"), identifier("net.layers.2.bias"), identifier("lambda")
    ('fc1_weight', 'layer0_weight', 'net_layers2_bias', 'lambda_')
    """
    parts: list[str] = []
    for part in re.split(r"[^0-9A-Za-z_]+", path):
        if part.isdigit():
            parts[-1:] = [(parts[-1] if parts else "layer") + part]
        elif part:
            parts.append(part)
    name = "_".join(parts) or "x"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if name in RESERVED else name


def names_of(
    program: Program, reserved: Iterable[str] = (), same: Mapping[Value, Value] | None = None
) -> dict[Value, str]:
    """A name for every value that is an array, each another one and none of the reserved.

    Inputs have their own names; gradients are ``d_`` and the name of the tensor; what a module returns has the name of
    the module, and the cotangent of that is ``d_`` and that name; what is subtracted from an input is its step; the
    rest is numbered. Values in ``same`` have the name of the input that they are a new state of.
    """
    names = _Names(reserved)
    values = program.values()
    for value, name in zip(program.inputs, program.names, strict=True):
        names.give(value, identifier(name))
    for value, known in (same or {}).items():
        names.given[value] = names.given[known]
    for name, value in program.gradients:
        names.give(value, f"d_{identifier(name)}")
    for value, name in zip(program.outputs, program.output_names, strict=False):
        names.give(value, identifier(name))
    for number, value in enumerate(program.outputs):
        names.give(value, "loss" if len(program.outputs) == 1 and value.ndim == 0 else f"output{number}")
    results = _results(program, values)
    for value, name in results:
        names.give(value, name)
    for value, name in _cotangents(values, results):
        names.give(value, f"d_{name}")
    for value in same or {}:
        if value.op == "subtract" and names.given.get(value.inputs[0]) == names.given[value]:
            names.give(value.inputs[1], f"step_of_{names.given[value]}")
    for value in values:
        names.number(value)
    return names.given


class _Names:
    """The names given so far."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.given: dict[Value, str] = {}
        self._taken = RESERVED | set(reserved)
        self._counts: dict[str, int] = defaultdict(int)

    def give(self, value: Value, name: str) -> None:
        """The name, or with a number if it is taken; for an array that has none yet."""
        if value in self.given or value.is_literal or value.op == "number":
            return
        free, count = name, 2
        while free in self._taken:
            free, count = f"{name}_{count}", count + 1
        self._taken.add(free)
        self.given[value] = free

    def number(self, value: Value) -> None:
        """A short name with the next number, which only arrays without a name use up."""
        if value in self.given or value.is_literal or value.op == "number":
            return
        plain = "view" if value.op in VIEWS else "mask" if value.dtype == bool else "t"
        stem = STEMS.get(value.op, plain)
        self._counts[stem] += 1
        self.give(value, f"{stem}{self._counts[stem]}")


# ---- what modules return


def _results(program: Program, values: list[Value]) -> list[tuple[Value, str]]:
    """The last value of each run of calls in one module, and the name of that module."""
    results = []
    for group in _groups(values, "forward"):
        module = group[-1].origin.module
        if not module:
            continue
        read = {_base(x) for value in group for x in value.inputs}
        paths = [
            n.rpartition(".")[0] for x, n in zip(program.inputs, program.names, strict=True) if x in read and "." in n
        ]
        own = [path for path in paths if _last(path) == _last(module) or "." not in module]
        results.append((group[-1], identifier(own[0]) if own else _without_parameters(group[-1])))
    return results


def _without_parameters(value: Value) -> str:
    """The name of what a module without parameters returns: of its place in a container alone, it says what it does."""
    module, operation = value.origin.module, re.sub(r"\W", "", value.origin.operation).lower()
    path = module.partition(".")[2]
    if not path:
        return operation or identifier(module).lower()
    return identifier(f"{path.rpartition('.')[0]}.{operation}{_last(path)}" if _last(path).isdigit() else path)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _base(value: Value) -> Value:
    while value.op in VIEWS:
        (value,) = value.inputs
    return value


def _groups(values: list[Value], phase: str) -> list[list[Value]]:
    """Runs of calls of one operation in one module."""
    groups: list[list[Value]] = []
    for value in values:
        if value.origin.phase != phase or value.op in SOURCES:
            continue
        if groups and groups[-1][0].origin[:3] == value.origin[:3]:
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


# ---- cotangents


def _cotangents(values: list[Value], results: list[tuple[Value, str]]) -> list[tuple[Value, str]]:
    """What the backward pass of a module gets from the one after it: the cotangent of the module's result."""
    by_module = {value.origin.module: (value, name) for value, name in results}
    found = []
    for group in _groups(values, "backward"):
        if group[0].origin.module not in by_module:
            continue
        result, name = by_module[group[0].origin.module]
        computed_here = {value for value in group if value.op not in VIEWS}
        for x in (x for value in group if value.op not in VIEWS for x in value.inputs):
            base = _base(x)
            if base.origin.phase == "backward" and base not in computed_here and x.op != "constant":
                while x.op in VIEWS and not (x.op == "bitcast" and x.dtype.kind == "f"):
                    (x,) = x.inputs
                if (x.shape, x.dtype) == (result.shape, result.dtype):
                    found.append((x, name))
    return found
