"""A program as NumPy source, to read and to run: the backpropagation that somebody would write by hand."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.compiler.naming import identifier, names_of
from tinygrad_lite.compiler.notation import Call, literal, written
from tinygrad_lite.compiler.program import SOURCES, Origin, Program, Value, in_order
from tinygrad_lite.compiler.replay import Executable, compile_program
from tinygrad_lite.compiler.storage import Storage, plan

__all__ = ["Executable", "compile_program", "source"]

LONGEST_LINE = 100

SHORT_UPDATE = 4
"""Calls that update a tensor, up to which that needs no heading of its own."""

LARGEST_WRITTEN = 16
"""Elements of a constant that is written out; larger ones are parameters."""

REMARKS = {"ravel_multi_index": "raises where one is out of range"}
"""What a call does that its name does not tell."""

IN_PLACE = {"add": "+=", "subtract": "-=", "multiply": "*=", "divide": "/="}


def source(program: Program, name: str = "step") -> str:
    """The program as a Python function of NumPy arrays that needs ``import numpy as np`` and nothing else.

    Its parameters are the arrays that the program reads, under their names; keyword-only are hyperparameters, ``rng``
    (a ``numpy.random.Generator``) where random numbers are drawn, and constants that are too large to be written out.
    It changes the arrays in place as the program does and returns the outputs, and after them, if the program leaves
    gradients, a dict of these. Its results are bitwise those of the program.

    Parameters
    ----------
    program : Program
        What to write.
    name : str
        The name of the function.

    Examples
    --------
    >>> x, w = (Value("input", shape=(2,), place=i) for i in range(2))
    >>> lr = Value("number", dtype=np.float64, source="lr")
    >>> floats = {"dtypes": (np.dtype("f4"),) * 3, "forced": False}
    >>> step = Value("multiply", (x, lr), (2,), **floats)
    >>> moved = Value("subtract", (w, step), (2,), **floats)
    >>> print(source(Program([x, w], ["x", "fc.weight"], ["argument", "state"], writes=[(1, moved)])))
    def step(x, fc_weight, *, lr):
        # ---- forward
        step_of_fc_weight = x * lr
        fc_weight -= step_of_fc_weight
    """
    return _Writer(program).text(name)


class _Writer:
    """One program on its way to source.

    Attributes
    ----------
    keywords : dict of str to None
        The keyword-only parameters met so far, in order.
    results : set of Value
        What the function returns.
    tensors : dict of Value to str
        Of a long update: the tensor that each of its calls is for.
    named_bitcasts : bool
        Whether bitcasts have lines of their own; not where they look at the old content of an input.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.storage: Storage = plan(program)
        self.keywords: dict[str, None] = {}
        self.named_bitcasts = True
        self.numbers = {v: _expression(v.params["source"]) for v in self.storage.values if v.op == "number"}
        reserved = {name for expression in self.numbers.values() for name in _names_in(expression)}
        states = {value: program.inputs[place] for value, place in self.storage.states.items()}
        self.names = names_of(program, reserved, states)
        self.results = {*program.outputs, *(value for _, value in program.gradients)}
        self.tensors = _updates(program, self.names)
        self.generators = [v.params["generator"] for v in self.storage.values if v.op == "draw"]

    def text(self, name: str) -> str:
        body = self._calls() + self._end()
        result = self._result()
        if result:
            body.append(f"return {result}")
        read = {value for value in self.storage.values if value.op == "input"}
        read |= {self.program.inputs[place] for place, _ in self.program.writes}
        parameters = [self.names[value] for value in self.program.inputs if value in read]
        parameters += ["*", *self.keywords] if self.keywords else []
        head = f"def {name}({', '.join(parameters)}):"
        if len(head) > LONGEST_LINE:
            head = f"def {name}(\n    {_wrapped(parameters)},\n):"
        return "\n".join([head, *(f"    {line}" if line else "" for line in body or ["pass"])])

    # ---- lines

    def _calls(self) -> list[str]:
        lines: list[str] = []
        section: Origin | None = None
        for value in self.storage.values:
            if value.op in {"input", "constant", "number"} or self._is_inlined(value):
                continue
            origin = value.origin
            if value in self.tensors:
                origin = origin._replace(operation=f"{origin.operation}: {self.tensors[value]}")
            lines += _headings(section, origin, self._has_loss())
            section = origin
            lines += self._lines(value)
        return lines

    def _has_loss(self) -> bool:
        return len(self.program.outputs) == 1 and self.program.outputs[0].ndim == 0

    def _is_inlined(self, value: Value) -> bool:
        """Views are written where they are used, since they compute nothing; bitcasts and results are worth a name."""
        if not self.storage.is_view(value) or (value.op == "bitcast" and self.named_bitcasts):
            return False
        return value not in self.results or self.storage.base[value].op in {"input", "constant"}

    def _lines(self, value: Value) -> list[str]:
        operands = [self.operand(value, number) for number in range(len(value.inputs))]
        name = self.names[value]
        in_place = value in self.storage.states
        if value.op in {"setitem", "add.at"}:
            out, memory = (name, self.storage.memory_of(value)) if in_place else (None, None)
            return written(Call(value, operands, self.refer, out, memory, name))
        (expression,) = written(Call(value, operands, self.refer))
        if not in_place:
            return [f"{name} = {expression}" + (f"  # {REMARKS[value.op]}" if value.op in REMARKS else "")]
        if value.op in IN_PLACE and operands[0] == name and not value.params["forced"]:
            return [f"{name} {IN_PLACE[value.op]} {operands[1]}"]
        return [f"{name}[...] = {expression}"]

    def _end(self) -> list[str]:
        """Copies of what must not change with the inputs, and the inputs that are not changed before."""
        lines = []
        changed = {self.program.inputs[place] for place, _ in self.program.writes}
        for value in dict.fromkeys([*self.program.outputs, *(v for _, v in self.program.gradients)]):
            base = self.storage.base.get(value)
            if base is not None and base.op in {"input", "constant"}:
                lines.append(f"copy_of_{self.names[value]} = np.copy({self.value(value)})")
        olds = {old: f"old_{self.names[old]}" for old in self.storage.snapshots}
        lines += [f"{name} = np.copy({self.names[old]})" for old, name in olds.items()]
        late = [f"{self.names[self.program.inputs[place]]}[...] = " for place, _ in self.storage.late]
        if not changed:
            return lines
        names, self.names, self.named_bitcasts = self.names, {**self.names, **olds}, False
        lines += [target + self.value(value) for target, (_, value) in zip(late, self.storage.late, strict=True)]
        self.names, self.named_bitcasts = names, True
        return lines

    def _result(self) -> str:
        results = [self._returned(value) for value in self.program.outputs]
        if self.program.gradients:
            gradients = [f"{json.dumps(name)}: {self._returned(value)}" for name, value in self.program.gradients]
            one_line = f"{{{', '.join(gradients)}}}"
            fits = len(one_line) < LONGEST_LINE - 20
            results.append(one_line if fits else "{\n        " + ",\n        ".join(gradients) + ",\n    }")
        return ", ".join(results)

    def _returned(self, value: Value) -> str:
        base = self.storage.base.get(value)
        if base is not None and base.op in {"input", "constant"}:
            return f"copy_of_{self.names[value]}"
        return self.value(value)

    # ---- operands

    def operand(self, value: Value, number: int) -> str:
        """How a call reads its input."""
        x = value.inputs[number]
        alone = x.op == "constant" and not x.is_literal and not x.ndim and "dtypes" in value.params
        if alone and any(
            other is not x and not other.is_literal and other.op != "number" and other.dtype == x.dtype
            for other in value.inputs
        ):
            return _shortest(x.params["data"])  # gives way to the dtype of the other, which is its own
        return self.value(x)

    def value(self, x: Value) -> str:
        """The name of a value, or an expression that needs no parentheses."""
        if x.is_literal:
            rounds = isinstance(x.params["data"], float) and x.dtype.kind == "f"
            text = _shortest(np.asarray(x.params["data"], x.dtype)) if rounds else literal(x.params["data"])
            return f"({text})" if text.startswith("-") else text
        if x.op == "number":
            expression = self.numbers[x]
            self.keywords.update(dict.fromkeys(_names_in(expression)))
            return expression if re.fullmatch(r"\w+(\[\w+\])?", expression) else f"({expression})"
        if x.op == "constant":
            return self._constant(x)
        if x in self.storage.base and self._is_inlined(x):
            if x.op == "cast":
                return self.value(x.inputs[0])
            (expression,) = written(Call(x, [self.value(x.inputs[0])], self.refer))
            return expression
        return self.names[x]

    def _constant(self, x: Value) -> str:
        text = _constant(x.params["data"])
        if text is None:
            text = self.names[x]
            self.keywords[text] = None
        return text

    def refer(self, thing: Any) -> str:
        """The text for a function of NumPy, a dtype or a generator; a parameter for what has no name."""
        if isinstance(thing, str):
            return thing
        if isinstance(thing, np.dtype):
            return literal(thing)
        distinct = list({id(generator): generator for generator in self.generators}.values())
        for number, generator in enumerate(distinct, 1):
            if thing is generator:
                name = "rng" if number == 1 else f"rng{number}"
                self.keywords[name] = None
                return name
        path = _path_of(thing)
        if path is None:
            path = f"function_{getattr(thing, '__name__', 'without_name')}"
            self.keywords[path] = None
        return path


def _headings(before: Origin | None, now: Origin, has_loss: bool) -> list[str]:
    """Comments between lines of different parts of the step."""
    lines = []
    if before is None or before.phase != now.phase:
        lines += [""] * (before is not None) + [f"# ---- {now.phase}"]
    module = now.module.partition(".")[2] or now.module
    title = ": ".join(part for part in (module, now.operation) if part)
    if not title and before is not None and before.module:
        title = "loss" if has_loss and now.phase == "forward" else "outside of modules"
    changed = before is None or (before.phase, before.module, before.operation) != (
        now.phase,
        now.module,
        now.operation,
    )
    return [*lines, f"# {title}"] if title and changed else lines


def _updates(program: Program, names: dict[Value, str]) -> dict[Value, str]:
    """For each call of an update, the tensor that it is for; nothing if few calls make an update."""
    tensors: dict[Value, str] = {}
    for place, value in sorted(program.writes, key=lambda write: write[1].position):
        reached = [x for x in in_order([value]) if x.origin.phase == "update" and x.op not in SOURCES]
        parts = {names[program.inputs[i]] for i, x in program.writes if x in reached}  # as an average for its parameter
        for x in reached:
            if tensors.get(x) is None or tensors[x] in parts:
                tensors[x] = names[program.inputs[place]]
    return tensors if any(count > SHORT_UPDATE for count in Counter(tensors.values()).values()) else {}


def _wrapped(parameters: Sequence[str]) -> str:
    """Parameters in lines that are not too long."""
    lines = [""]
    for parameter in parameters:
        if len(lines[-1]) + len(parameter) > LONGEST_LINE - 8:
            lines.append("")
        lines[-1] += f", {parameter}" if lines[-1] else parameter
    return ",\n    ".join(lines)


def _constant(data: np.ndarray[Any, Any]) -> str | None:
    """An array as an expression, if that is short."""
    dtype = literal(data.dtype)
    if not data.flags.c_contiguous or data.dtype.kind not in "biuf":
        return None
    if data.ndim == 0:
        return f"{dtype}({_shortest(data)})"
    if data.ndim == 1 and data.dtype == np.int64 and data.size > 1 and np.array_equal(data, np.arange(data.size)):
        return f"np.arange({data.size})"
    first = data.flat[0].item() if data.size else 0
    if data.size and data.tobytes() == np.full_like(data, first).tobytes():
        shape = literal(data.shape if data.ndim > 1 else data.shape[0])
        known = {0: "zeros", 1: "ones"}.get(first) if str(first)[0] != "-" else None
        return f"np.{known}({shape}, {dtype})" if known else f"np.full({shape}, {literal(first)}, {dtype})"
    return f"np.array({literal(data.tolist())}, {dtype})" if 0 < data.size <= LARGEST_WRITTEN else None


def _shortest(data: np.ndarray[Any, Any]) -> str:
    """The Python number that becomes the element of this 0-d array."""
    if data.dtype.kind == "f" and np.isfinite(data):
        return repr(float(np.format_float_scientific(data.flat[0], unique=True)))
    return literal(data.item())


def _path_of(function: Any) -> str | None:
    """Where NumPy has the function: ``np.linalg.inv``, ``np.add.accumulate``."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    name = getattr(function, "__name__", "")
    for path, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        if name and getattr(module, name, None) is function:
            return f"{path}.{name}"
    return None


# ---- hyperparameters


def _expression(text: str) -> str:
    """The source of a number, as an expression of plain names."""
    return ast.unparse(_Plain().visit(ast.parse(text, mode="eval")))


class _Plain(ast.NodeTransformer):
    """Turns ``optimizer.param_groups[0]`` into a name."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Name(identifier(ast.unparse(node)), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name):
            return node
        return ast.Name(identifier(ast.unparse(node)), ast.Load())


def _names_in(expression: str) -> list[str]:
    tree = ast.parse(expression, mode="eval")
    return list(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
