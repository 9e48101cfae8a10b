"""The loops of a group: which axis runs outside, where reductions collect, what is read and computed at which depth."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinygrad_lite.compiler import scalars
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
)
from tinygrad_lite.compiler.lowering import Access, Node, Operand
from tinygrad_lite.compiler.pieces import in_pieces, is_long

__all__ = ["nest"]

DType: TypeAlias = np.dtype[Any]

BLOCK = 1024
"""Sums of more elements are sums of sums, the outer ones in float64: so float32 loses no digits."""

SHORT, LONG = 16, 64
"""Rows of fewer elements leave much of a vector empty: if there are many, they are reduced side by side."""


def nest(group: Group, in_memory: Collection[Buffer]) -> list[Statement]:
    """The statements that compute a group of operations over one space.

    Parameters
    ----------
    group : Group
        A loop.
    in_memory : collection of Buffer
        Those of its results that others read; the rest live in registers.

    Returns
    -------
    list of Loads, Loops ...
    """
    return _Nest(group, in_memory).statements()


class _Nest:
    """Loops 0 (outermost) to depth - 1; what is at level d runs inside of loop d - 1, level 0 outside of all."""

    def __init__(self, group: Group, in_memory: Collection[Buffer]) -> None:
        self.nodes = group.nodes
        self.in_memory = in_memory
        self.axes = _coalesced(_ordered(group), group)
        self.sizes = [math.prod(group.space[a] for a in axes) for axes in self.axes]
        self.depth = len(self.axes)
        self.before: list[list[Statement]] = [[] for _ in range(self.depth + 1)]
        self.after: list[list[Statement]] = [[] for _ in range(self.depth + 1)]
        self.stores: list[Statement] = []
        self.block_before: list[Statement] = []
        self.block_after: list[Statement] = []
        self.results: dict[Buffer, Register | Literal] = {}
        self.levels: dict[int, int] = {}
        self.loaded: dict[Access, Register] = {}
        self.cast: dict[tuple[int, DType], Register] = {}
        self.count = 0
        self.blocked = (
            bool(self.depth) and self.sizes[-1] > 2 * BLOCK and any(self._collects_inside(n) for n in self.nodes)
        )

    def statements(self) -> list[Statement]:
        for node in self.nodes:
            if node.reduced:
                self._reduce(node)
            else:
                self._compute(node)
        body = [*self.before[self.depth], *self.stores]
        for level in reversed(range(self.depth)):
            loops = self._loop(level, body)
            body = [*self.before[level], *loops, *self.after[level]]
        return body

    def _loop(self, level: int, body: list[Statement]) -> list[Statement]:
        variable, size = f"i{level}", self.sizes[level]
        loop = Loop(variable, size, body)
        if level == self.depth - 1 and is_long(loop):
            return [in_pieces(loop, self.block_before, self.block_after)]
        if level == self.depth - 1 and self.blocked:
            inner = Loop(variable, size, body, start="block", length=BLOCK)
            return [Loop("block", size, [*self.block_before, inner, *self.block_after], step=BLOCK)]
        return [loop]

    # ---- elements

    def _register(self, dtype: DType, level: int) -> Register:
        register = Register(self.count, dtype)
        self.levels[self.count] = level
        self.count += 1
        return register

    def _level(self, value: Register | Literal) -> int:
        return self.levels[value.number] if isinstance(value, Register) else 0

    def _value(self, operand: Operand, dtype: DType) -> Register | Literal:
        """The element of an operand, as the loop of its reader takes it."""
        if isinstance(operand, Literal):
            return operand
        value = self.results[operand.buffer] if operand.buffer in self.results else self._load(operand)
        if isinstance(value, Literal) or value.dtype == dtype:
            return value
        key = value.number, dtype
        if key not in self.cast:
            level = self._level(value)
            self.cast[key] = self._register(dtype, level)
            self.before[level].append(Compute(self.cast[key], "cast", (value,), (value.dtype, dtype)))
        return self.cast[key]

    def _load(self, access: Access) -> Register:
        if access not in self.loaded:
            index = self._index(access.offset, access.strides)
            level = max((int(variable[1:]) + 1 for variable, _ in index.terms), default=0)
            self.loaded[access] = self._register(access.dtype, level)
            self.before[level].append(Load(self.loaded[access], access.buffer, index))
        return self.loaded[access]

    def _index(self, offset: int, strides: Sequence[int]) -> Index:
        terms = ((f"i{level}", strides[axes[-1]]) for level, axes in enumerate(self.axes))
        return Index(offset, tuple((variable, stride) for variable, stride in terms if stride))

    def _compute(self, node: Node) -> None:
        operands = tuple(self._value(x, dtype) for x, dtype in zip(node.operands, node.dtypes, strict=False))
        value: Register | Literal
        if node.op in ("copy", "store", "positive", "conjugate"):
            (value,) = operands
        else:
            level = max(map(self._level, operands), default=0)
            value = self._register(node.dtypes[-1], level)
            self.before[level].append(Compute(value, node.op, operands, node.dtypes))
        if node.op == "store":
            self.stores.append(Store(node.result, self._index(0, node.result_strides), value))
            return
        self.results[node.result] = value
        if node.result in self.in_memory:
            self.stores.append(Store(node.result, self._index(0, node.result_strides), value))

    # ---- reductions

    def _is_reduced(self, node: Node, level: int) -> bool:
        return self.axes[level][-1] in node.reduced

    def _collects_inside(self, node: Node) -> bool:
        """Whether the innermost loop is one that the node reduces."""
        return bool(node.reduced) and self._is_reduced(node, self.depth - 1)

    def _reduce(self, node: Node) -> None:
        """Collect in registers over the innermost loops that are reduced; those outside of them add to memory."""
        (operand,) = node.operands
        value = self._value(operand, node.dtypes[0])
        outer = self.depth  # the loops from here on are reduced
        while outer and self._is_reduced(node, outer - 1):
            outer -= 1
        in_parts = any(self._is_reduced(node, level) for level in range(outer))
        assert node.initial is not None
        index = self._index(0, node.result_strides)
        if in_parts:
            self._fill(node)
        if outer == self.depth:
            self.stores.append(Store(node.result, index, value, node.op))
            return
        total = self._collect(
            node, value, outer, Literal(scalars.identity_of(node.op, node.dtypes[0])) if in_parts else node.initial
        )
        self.after[outer].append(Store(node.result, index, total, node.op if in_parts else ""))

    def _collect(self, node: Node, value: Register | Literal, outer: int, initial: Literal) -> Register:
        """Accumulate over the loops from ``outer`` on; the result can be read after them."""
        dtype, name = node.dtypes[0], f"{len(self.results)}_{self.count}"
        several = self.depth - outer > 1 or self.blocked
        wide = np.dtype(np.float64) if node.op == "add" and dtype == np.float32 and several else dtype
        total = f"total{name}"
        self.before[outer].append(Reset(total, Literal(initial.value.astype(wide))))
        if several:
            part = f"part{name}"
            start, end = self._around_innermost()
            start.append(Reset(part, Literal(scalars.identity_of(node.op, dtype))))
            self._update(part, node.op, value)
            read = self._read(part, dtype, end)
            if wide != dtype:
                widened = self._register(wide, self.depth)
                end.append(Compute(widened, "cast", (read,), (dtype, wide)))
                read = widened
            end.append(Update(total, node.op, read))
        else:
            self._update(total, node.op, value)
        result = self._read(total, wide, self.after[outer])
        if wide != dtype:
            narrowed = self._register(dtype, outer)
            self.after[outer].append(Compute(narrowed, "cast", (result,), (wide, dtype)))
            return narrowed
        return result

    def _around_innermost(self) -> tuple[list[Statement], list[Statement]]:
        """What runs directly before and after the innermost loop."""
        if self.blocked:
            return self.block_before, self.block_after
        return self.before[self.depth - 1], self.after[self.depth - 1]

    def _update(self, accumulator: str, op: str, value: Register | Literal) -> None:
        self.stores.append(Update(accumulator, op, value))

    def _read(self, accumulator: str, dtype: DType, place: list[Statement]) -> Register:
        register = self._register(dtype, self.depth)
        place.append(Read(register, accumulator))
        return register

    def _fill(self, node: Node) -> None:
        """Before the loops: what a reduction in memory starts from."""
        assert node.initial is not None
        self.before[0].append(Loop("k", node.result.size, [Store(node.result, Index(0, (("k", 1),)), node.initial)]))


def _ordered(group: Group) -> list[int]:
    """The axes, outermost first: the innermost is the one along which most accesses lie in order."""
    axes = list(range(len(group.space)))
    if len(axes) < 2:
        return axes
    accesses = [x.strides for node in group.nodes for x in node.accesses]
    accesses += [node.result_strides for node in group.nodes]

    def jumps(axis: int) -> int:
        return sum(abs(strides[axis]) > 1 for strides in accesses)

    innermost = min(reversed(axes), key=jumps)
    longest = max(axes, key=lambda axis: group.space[axis])
    if group.space[innermost] < SHORT and group.space[longest] >= LONG:
        innermost = longest if any(node.reduced == (innermost,) for node in group.nodes) else innermost
    return [*(axis for axis in axes if axis != innermost), innermost]


def _coalesced(axes: Sequence[int], group: Group) -> list[list[int]]:
    """The axes in runs that are one loop: those that every access walks through without a jump."""
    accesses = [x.strides for node in group.nodes for x in node.accesses]
    accesses += [node.result_strides for node in group.nodes]
    runs: list[list[int]] = []
    for axis in axes:
        if (
            runs
            and all(_continues(strides, runs[-1][-1], axis, group.space) for strides in accesses)
            and all((runs[-1][-1] in node.reduced) == (axis in node.reduced) for node in group.nodes)
        ):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs


def _continues(strides: Sequence[int], outer: int, inner: int, space: Sequence[int]) -> bool:
    return strides[outer] == strides[inner] * space[inner]
