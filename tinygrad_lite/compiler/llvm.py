"""Loops as LLVM IR: a function for each group, and one that runs them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lite.compiler import native_math, scalars
from tinygrad_lite.compiler.fusion import Group
from tinygrad_lite.compiler.loops import (
    Buffer,
    Compute,
    Index,
    Literal,
    Load,
    Loop,
    Read,
    Register,
    Reset,
    Statement,
    Store,
    Update,
    flattened,
)
from tinygrad_lite.compiler.lowering import Access, Node
from tinygrad_lite.compiler.scalars import Code, type_of, written

__all__ = ["Module"]

ROW_MAJOR, AS_IT_IS, TRANSPOSED = 101, 111, 112
"""The numbers of CBLAS."""

CACHE_LINE = 64
"""Bytes; vectors that lie across two lines take longer to read."""


@dataclass
class Module:
    """LLVM IR in the making.

    Attributes
    ----------
    table : int
        The address of an array of pointers: where each piece of memory begins.
    slot : callable
        The place of a buffer's memory in the table, and the bytes from there to the buffer.
    gemm_address : callable
        The address of CBLAS's matrix product of a dtype.
    """

    table: int
    slot: Callable[[Buffer], tuple[int, int]]
    gemm_address: Callable[[Any], int | None]
    functions: list[str] = field(default_factory=list)
    called: set[tuple[str, Any]] = field(default_factory=set)
    intrinsics: set[str] = field(default_factory=set)

    def add_loops(self, name: str, statements: Sequence[Statement]) -> list[Buffer]:
        """A function that runs the statements; the buffers that it takes the addresses of."""
        places: dict[tuple[int, int], Buffer] = {}
        for statement in flattened(statements):
            if isinstance(statement, (Load, Store)) and statement.buffer.kind not in ("ramp", "scratch"):
                places.setdefault(self.slot(statement.buffer), statement.buffer)
        names = {place: f"%p{number}" for number, place in enumerate(places)}
        writer = _LoopWriter(lambda buffer: names[self.slot(buffer)])
        writer.write(statements)
        parameters = ", ".join(f"ptr noalias nocapture {name}" for name in names.values())
        self._add(f"define internal void @{name}({parameters}) noinline nounwind", writer.allocations, writer.code)
        return list(places.values())

    def add_segment(self, name: str, steps: Sequence[tuple[Group, str, Sequence[Buffer]]]) -> None:
        """The function of one stretch of groups: it returns 1 where a check refuses, else 0."""
        code = Code()
        for group, function, buffers in steps:
            node = group.nodes[0]
            if node.op == "guard":
                self._write_guard(code, node)
            elif node.op == "gemm":
                self._write_gemm(code, node)
            else:
                code.add(f"call void @{function}({', '.join(f'ptr {self._address(code, b)}' for b in buffers)})")
        code.add("ret i32 0")
        self._add(f"define i32 @{name}() nounwind", [], code)

    def text(self) -> str:
        """The whole module."""
        library = native_math.declarations(self.called)
        extra = "".join(f"{line}\n" for line in sorted(self.intrinsics) if line not in library)
        return extra + library + "".join(self.functions)

    def _add(self, head: str, allocations: Sequence[str], code: Code) -> None:
        self.functions.append("\n".join([f"{head} {{", "entry:", *allocations, *code.lines, "}", ""]))
        self.called |= code.functions
        self.intrinsics |= code.intrinsics

    def _address(self, code: Code, buffer: Buffer) -> str:
        place, offset = self.slot(buffer)
        base = code.emit(f"load ptr, ptr inttoptr (i64 {self.table + 8 * place} to ptr)")
        return code.emit(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def _write_guard(self, code: Code, node: Node) -> None:
        flags = [code.emit(f"load i8, ptr {self._address(code, access.buffer)}") for access in node.accesses]
        either = flags[0]
        for flag in flags[1:]:
            either = code.emit(f"or i8 {either}, {flag}")
        refused = code.emit(f"icmp ne i8 {either}, 0")
        label = refused[1:]
        code.add(f"br i1 {refused}, label %refuse{label}, label %go{label}")
        code.lines.append(f"refuse{label}:")
        code.add("ret i32 1")
        code.lines.append(f"go{label}:")

    def _write_gemm(self, code: Code, node: Node) -> None:
        rows, inner, columns = node.space
        number = type_of(node.result.dtype)
        one, zero = (written(Literal(node.result.dtype.type(k))) for k in (1, 0))
        arguments = [f"i32 {ROW_MAJOR}"]
        matrices = [
            _flag_and_leading(access, shape)
            for access, shape in zip(node.accesses, ((rows, inner), (inner, columns)), strict=True)
        ]
        arguments += [f"i32 {flag}" for flag, _ in matrices]
        arguments += [f"i32 {n}" for n in (rows, columns, inner)] + [f"{number} {one}"]
        for access, (_, leading) in zip(node.accesses, matrices, strict=True):
            base = self._address(code, access.buffer)
            arguments += [
                f"ptr {code.emit(f'getelementptr {number}, ptr {base}, i64 {access.offset}')}",
                f"i32 {leading}",
            ]
        arguments += [f"{number} {zero}", f"ptr {self._address(code, node.result)}", f"i32 {columns}"]
        code.add(f"call void inttoptr (i64 {self.gemm_address(node.result.dtype)} to ptr)({', '.join(arguments)})")


def _flag_and_leading(access: Access, shape: tuple[int, int]) -> tuple[int, int]:
    down, across = access.strides
    if across == 1 and down >= shape[1]:
        return AS_IT_IS, down
    return TRANSPOSED, across


class _LoopWriter:
    """Writes statements; what they assign is in ``values``."""

    def __init__(self, name_of: Callable[[Buffer], str]) -> None:
        self.name_of = name_of
        self.code = Code()
        self.allocations: list[str] = []
        self.values: dict[int, str] = {}
        self.variables: dict[str, str] = {}
        self.accumulators: dict[str, tuple[str, np.dtype[Any]]] = {}
        self.scratch: dict[Buffer, str] = {}
        self.label = "entry"
        self.loops = 0

    def write(self, statements: Sequence[Statement]) -> None:
        """A function's body."""
        self._write(statements)
        self.code.add("ret void")

    def _write(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            WRITE[type(statement)](self, statement)

    # ---- elements

    def _text(self, value: Register | Literal) -> str:
        return written(value) if isinstance(value, Literal) else self.values[value.number]

    def _position(self, index: Index) -> str:
        code, position = self.code, str(index.offset)
        for variable, stride in index.terms:
            step = self.variables[variable]
            if stride != 1:
                step = code.emit(f"mul nsw i64 {step}, {stride}")
            position = step if position == "0" else code.emit(f"add nsw i64 {position}, {step}")
        return position

    def _pointer(self, buffer: Buffer, index: Index, dtype: np.dtype[Any]) -> str:
        name = self._scratch(buffer) if buffer.kind == "scratch" else self.name_of(buffer)
        return self.code.emit(f"getelementptr inbounds {_in_memory(dtype)}, ptr {name}, i64 {self._position(index)}")

    def _scratch(self, buffer: Buffer) -> str:
        if buffer not in self.scratch:
            self.scratch[buffer] = name = f"%s{len(self.scratch)}"
            kind = f"[{buffer.size} x {_in_memory(buffer.dtype)}]"
            self.allocations.append(f"  {name} = alloca {kind}, align {CACHE_LINE}")
        return self.scratch[buffer]

    def _load(self, statement: Load) -> None:
        dtype = statement.target.dtype
        if statement.buffer.kind == "ramp":
            self.values[statement.target.number] = self._ramp(statement)
            return
        self.values[statement.target.number] = self._from_memory(
            self._pointer(statement.buffer, statement.index, dtype), dtype
        )

    def _from_memory(self, pointer: str, dtype: np.dtype[Any]) -> str:
        value = self.code.emit(f"load {_in_memory(dtype)}, ptr {pointer}")
        return self.code.emit(f"icmp ne i8 {value}, 0") if dtype.kind == "b" else value

    def _ramp(self, statement: Load) -> str:
        start, step = statement.buffer.data
        position = self.code.emit(f"mul nsw i64 {self._position(statement.index)}, {step}")
        value = self.code.emit(f"add nsw i64 {position}, {start}")
        return self.code.cast(value, np.dtype(np.int64), statement.target.dtype)

    def _compute(self, statement: Compute) -> None:
        op, factors = scalars.simplified(statement.op, statement.operands)
        operands = [self._text(x) for x in statement.operands]
        if op == "multiply" and factors:
            value = operands[0]
            for _ in range(factors - 1):
                value = self.code.compute(op, [value, operands[0]], statement.dtypes)
        else:
            value = self.code.compute(op, operands[:factors] or operands, statement.dtypes)
        self.values[statement.target.number] = value

    def _store(self, statement: Store) -> None:
        dtype = statement.buffer.dtype
        pointer = self._pointer(statement.buffer, statement.index, dtype)
        value = self._text(statement.value)
        if statement.op:
            value = self.code.compute(statement.op, [self._from_memory(pointer, dtype), value], (dtype,) * 3)
        if dtype.kind == "b":
            value = self.code.emit(f"zext i1 {value} to i8")
        self.code.add(f"store {_in_memory(dtype)} {value}, ptr {pointer}")

    # ---- accumulators: LLVM turns these pieces of memory into registers

    def _reset(self, statement: Reset) -> None:
        name, dtype = f"%a{len(self.accumulators)}", statement.value.dtype
        self.accumulators[statement.accumulator] = name, dtype
        self.allocations.append(f"  {name} = alloca {type_of(dtype)}")
        self.code.add(f"store {type_of(dtype)} {written(statement.value)}, ptr {name}")

    def _update(self, statement: Update) -> None:
        name, dtype = self.accumulators[statement.accumulator]
        old = self.code.emit(f"load {type_of(dtype)}, ptr {name}")
        operands = [old, self._text(statement.value)]
        new = self.code.compute(statement.op, operands, (dtype,) * 3, scalars.ANY_ORDER)
        self.code.add(f"store {type_of(dtype)} {new}, ptr {name}")

    def _read(self, statement: Read) -> None:
        name, dtype = self.accumulators[statement.accumulator]
        self.values[statement.target.number] = self.code.emit(f"load {type_of(dtype)}, ptr {name}")

    # ---- loops

    def _loop(self, loop: Loop) -> None:
        code, number, before = self.code, self.loops, self.label
        self.loops += 1
        start = self.variables[loop.start] if isinstance(loop.start, str) else str(loop.start)
        stop = str(loop.stop)
        if loop.length is not None:
            stop = code.emit(f"add nsw i64 {start}, {loop.length}")
            if loop.stop % loop.length:  # else LLVM is shown that all are equally long
                sooner = code.emit(f"icmp slt i64 {stop}, {loop.stop}")
                stop = code.emit(f"select i1 {sooner}, i64 {stop}, i64 {loop.stop}")
        variable, label = f"%i{number}", f"loop{number}"
        code.add(f"br label %{label}")
        code.lines.append(f"{label}:")
        code.add(f"{variable} = phi i64 [{start}, %{before}], [%next{number}, %end{number}]")
        self.label, self.variables[loop.variable] = label, variable
        self._write(loop.body)
        code.add(f"br label %end{number}")
        code.lines.append(f"end{number}:")
        code.add(f"%next{number} = add nuw nsw i64 {variable}, {loop.step}")
        code.add(f"%more{number} = icmp slt i64 %next{number}, {stop}")
        code.add(f"br i1 %more{number}, label %{label}, label %past{number}")
        code.lines.append(f"past{number}:")
        self.label = f"past{number}"


WRITE: dict[type, Callable[[_LoopWriter, Any], None]] = {
    Load: _LoopWriter._load,
    Compute: _LoopWriter._compute,
    Store: _LoopWriter._store,
    Reset: _LoopWriter._reset,
    Update: _LoopWriter._update,
    Read: _LoopWriter._read,
    Loop: _LoopWriter._loop,
}


def _in_memory(dtype: np.dtype[Any]) -> str:
    return "i8" if dtype.kind == "b" else type_of(dtype)
