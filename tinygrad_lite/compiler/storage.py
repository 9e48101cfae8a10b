"""Where the values of a program lie in memory when it runs again and again.

A value is a view of another one, or lies in an array from outside that it is going to be written to, or in the arena:
memory that is allocated once and shared by values that do not live at the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler.notation import has_out
from tinygrad_lite.compiler.program import CHECKS, VIEWS, Program, Slot, Value, compute

__all__ = ["Layout", "Storage", "may_raise", "plan"]

Array = NDArray[Any]

ALIGNMENT = 64
"""Of every array in the arena, in bytes: a cache line."""

INDEXED = {"getitem", "setitem", "add.at"}


def may_raise(value: Value) -> bool:
    """Whether the call raises for some elements, rather than for shapes or dtypes."""
    if value.op in CHECKS or value.op in {"call", "pick"}:
        return True
    if value.op in INDEXED:
        return any(isinstance(part, Slot) for part in value.params["key"])
    return value.op == "power" and value.dtype.kind in "iu"


@dataclass(frozen=True)
class Layout:
    """Shape, dtype and strides of an array, and where it starts in the memory that it looks at."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    start: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        """The first byte and the one after the last, counted from the first element."""
        if 0 in self.shape:
            return 0, 0
        reach = [(n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True)]
        return sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + int(self.dtype.itemsize)

    @property
    def is_dense(self) -> bool:
        """Whether its elements fill its memory, each in a place of its own."""
        low, high = self.extent
        size = int(np.prod(self.shape)) * int(self.dtype.itemsize)
        axes = sorted((stride, n) for n, stride in zip(self.shape, self.strides, strict=True) if n != 1)
        return low == 0 and high == size and (not axes or axes[0][0] > 0)

    def of(self, memory: Array) -> Array:
        """The array in these bytes."""
        return np.ndarray(self.shape, self.dtype, memory.data, -self.extent[0], self.strides)


def contiguous(value: Value) -> Layout:
    """The layout of a new array in C order."""
    return Layout(value.shape, value.dtype, Value("", (), value.shape, value.dtype).order)


@dataclass
class Storage:
    """What :func:`plan` found.

    Attributes
    ----------
    values : list of Value
        The calls, in order.
    layouts : dict of Value to Layout
        Of every array; those of views count from the start of what they look at.
    base : dict of Value to Value
        The value in whose memory a value lies: itself, unless it is a view.
    loose : set of Value
        Values that are made anew at every call, and views of them.
    states : dict of Value to int
        Values that are computed right into the memory of an input, and which one.
    gradients : dict of Value to int
        Values that are computed right into the array for a gradient, and which one.
    takes : dict of Value to int
        Values that take over the memory of one of their inputs: its number.
    copies : list of Value
        Outputs that do not lie in the arena, and are copied there at the end.
    snapshots : list of Value
        What must be copied before inputs are changed at the end.
    late : list of (int, Value)
        Inputs that are changed at the end, by a copy.
    late_gradients : list of (int, Value)
        Gradients that are copies.
    offsets : dict of Value to int
        Where values lie in the arena; copies and snapshots under the value that they copy.
    arena_bytes : int
        The size of the arena.
    """

    program: Program
    values: list[Value]
    layouts: dict[Value, Layout] = field(default_factory=dict)
    base: dict[Value, Value] = field(default_factory=dict)
    loose: set[Value] = field(default_factory=set)
    states: dict[Value, int] = field(default_factory=dict)
    gradients: dict[Value, int] = field(default_factory=dict)
    takes: dict[Value, int] = field(default_factory=dict)
    copies: list[Value] = field(default_factory=list)
    snapshots: list[Value] = field(default_factory=list)
    late: list[tuple[int, Value]] = field(default_factory=list)
    late_gradients: list[tuple[int, Value]] = field(default_factory=list)
    offsets: dict[Value, int] = field(default_factory=dict)
    arena_bytes: int = 0

    def is_view(self, value: Value) -> bool:
        """Whether it is another look at the memory of its input."""
        return self.base[value] is not value

    def memory_of(self, value: Value) -> int | None:
        """The number of the input that lies in the very memory of the result, if there is one."""
        if value in self.takes:
            return self.takes[value]
        if value not in self.states:
            return None
        place = self.states[value]
        for number, x in enumerate(value.inputs):
            base = self.base.get(x)
            if base is not None and (base is self.program.inputs[place] or self.states.get(base) == place):
                return number
        return None


def plan(program: Program) -> Storage:
    """Decide where every value of the program lies."""
    storage = Storage(program, program.values())
    _find_layouts(storage)
    uses = _Uses(storage)
    _choose_gradients(storage, uses)
    _choose_states(storage, uses)
    _lay_out_arena(storage, uses)
    return storage


# ---- views


def _find_layouts(storage: Storage) -> None:
    for value in [*storage.program.inputs, *(v for v in storage.values if v.op != "input")]:
        if value.is_literal or value.op == "number":
            continue
        looked_at = _look(storage, value)
        if looked_at is None:
            storage.base[value] = value
            storage.layouts[value] = _own_layout(value)
            if value.op not in {"input", "constant"} and not has_out(value):
                storage.loose.add(value)
        else:
            storage.base[value] = storage.base[value.inputs[0]]
            storage.layouts[value] = looked_at
            if storage.base[value] in storage.loose:
                storage.loose.add(value)


def _own_layout(value: Value) -> Layout:
    if value.op == "constant":
        return Layout(value.shape, value.dtype, value.params["data"].strides)
    recorded = Layout(value.shape, value.dtype, value.order)
    if value.op == "input" or (recorded.is_dense and value.op not in {"dot", "reshape", "draw"}):
        return recorded
    return contiguous(value)


def _look(storage: Storage, value: Value) -> Layout | None:
    """The layout of a view, counted from the start of its base; None for what needs memory of its own."""
    if value.op not in VIEWS and not (value.op == "cast" and value.dtype == value.inputs[0].dtype):
        return None
    (x,) = value.inputs
    if x not in storage.layouts or 0 in (x.size, value.size):
        return None
    layout = storage.layouts[x]
    low, high = layout.extent
    memory = np.empty(high - low, np.uint8)  # touched only if the view turns out to be a copy
    array = layout.of(memory)
    look = compute(value, array)
    if not np.may_share_memory(look, memory):
        return None
    start = layout.start + _address(look) - _address(array)
    return Layout(look.shape, look.dtype, look.strides, start)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


# ---- who reads what, and when


class _Uses:
    """When the memory of a value is read: the places of the reading calls in the order of the calls."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.place = {value: number for number, value in enumerate(storage.values)}
        self.end = len(storage.values)
        self.readers: dict[Value, list[Value]] = defaultdict(list)
        self.kept = {storage.base[v] for v in storage.program.outputs if v in storage.base}
        for value in storage.values:
            for x in value.inputs:
                if x in storage.base and not storage.is_view(value):
                    self.readers[storage.base[x]].append(value)
        raising = [number for number, value in enumerate(storage.values) if may_raise(value)]
        self.safe = raising[-1] + 1 if raising else 0

    def last(self, base: Value) -> int:
        """The place of its last reader; the end if it is wanted after the run."""
        if base in self.kept:
            return self.end
        return max((self.place[reader] for reader in self.readers[base]), default=self.place.get(base, -1))


def _may_lie_on(value: Value, number: int) -> bool:
    """Whether the result may be written over the operand of that number while it is computed."""
    if value.op == "where":
        return number == 2
    if value.op in {"setitem", "add.at"}:
        return number == 0
    return "dtypes" in value.params


def _covers(storage: Storage, value: Value, base: Value) -> bool:
    """Whether ``value`` may be computed right over ``base``, as far as its own operands go."""
    target = _shape_of(storage.layouts[base])
    for number, x in enumerate(value.inputs):
        if storage.base.get(x) is not base:
            continue
        layout = storage.layouts[x]
        if layout.start or _shape_of(layout) != target or not _may_lie_on(value, number):
            return False
    return _shape_of(storage.layouts[value]) == target


def _shape_of(layout: Layout) -> tuple[Any, ...]:
    """What two arrays must share to be computed in each other's memory; axes of length 1 do not matter."""
    strides = tuple(stride for n, stride in zip(layout.shape, layout.strides, strict=True) if n != 1)
    return layout.shape, layout.dtype, strides


# ---- arrays from outside


def _choose_gradients(storage: Storage, uses: _Uses) -> None:
    for number, (_, value) in enumerate(storage.program.gradients):
        fits = value not in storage.gradients and value not in uses.kept and storage.base.get(value) is value
        if fits and _is_computed(storage, value) and uses.place[value] >= uses.safe:
            storage.gradients[value] = number
        else:
            storage.late_gradients.append((number, value))
            if value in storage.base:
                uses.kept.add(storage.base[value])


def _is_computed(storage: Storage, value: Value) -> bool:
    return value.op not in {"input", "constant", "number"} and value not in storage.loose


def _choose_states(storage: Storage, uses: _Uses) -> None:
    """In place where nobody reads the old value later; a write that comes late reads its source late."""
    candidates = list(storage.program.writes)
    while True:
        late = [write for write in candidates if not _is_legal(storage, uses, *write)]
        if not late:
            break
        candidates = [write for write in candidates if write not in late]
        storage.late += late
        uses.kept |= {storage.base[value] for _, value in late if value in storage.base}
    storage.late.sort(key=lambda write: write[0])
    for place, value in candidates:
        if value in storage.states:  # one result for two inputs: the second is a copy
            storage.late.append((place, value))
            continue
        for step in _chain(storage, uses, value, storage.program.inputs[place]):
            storage.states[step] = place
    changed = {storage.program.inputs[place] for place, _ in storage.program.writes}
    late_sources = {storage.base[value] for _, value in storage.late if value in storage.base}
    storage.snapshots = [x for x in storage.program.inputs if x in late_sources and x in changed]


def _is_legal(storage: Storage, uses: _Uses, place: int, value: Value) -> bool:
    old = storage.program.inputs[place]
    if storage.base.get(value) is not value or value in uses.kept or value in storage.gradients:
        return False
    if not _is_computed(storage, value) or uses.place[value] < uses.safe:
        return False
    return uses.last(old) <= uses.place[value] and _covers(storage, value, old)


def _chain(storage: Storage, uses: _Uses, value: Value, old: Value) -> Iterator[Value]:
    """The value, and those before it that nobody else reads and that can be computed in the same memory."""
    yield value
    first = value
    while True:
        before = next((x for x in first.inputs if _precedes(storage, uses, x, first, old)), None)
        if before is None:
            return
        yield before
        first = before


def _precedes(storage: Storage, uses: _Uses, x: Value, reader: Value, old: Value) -> bool:
    if storage.base.get(x) is not x or not _is_computed(storage, x) or x in storage.gradients:
        return False
    if any(x is value for _, value in storage.program.writes):
        return False
    if uses.last(x) != uses.place[reader] or uses.place[x] < uses.safe or uses.last(old) > uses.place[x]:
        return False
    return _covers(storage, reader, x) and _covers(storage, x, old)


# ---- the arena


def _lay_out_arena(storage: Storage, uses: _Uses) -> None:
    free = _Free()
    owner: dict[Value, Value] = {}  # whose memory a value took over
    ends: dict[Value, int] = {}
    by_end: dict[int, list[Value]] = defaultdict(list)
    for place, value in enumerate(storage.values):
        if not _lies_in_arena(storage, value):
            continue
        _release(storage, free, by_end, place)
        dying = next((n for n, x in enumerate(value.inputs) if _may_take(storage, uses, value, x, place)), None)
        if dying is None:
            root = value
            storage.offsets[value] = free.take(_bytes(storage, value))
        else:
            storage.takes[value] = dying
            root = owner[storage.base[value.inputs[dying]]]
            storage.offsets[value] = storage.offsets[root]
            by_end[ends[root]].remove(root)
        owner[value], ends[root] = root, uses.last(value)
        by_end[ends[root]].append(root)
    _release(storage, free, by_end, uses.end)
    outputs = dict.fromkeys(storage.program.outputs)
    storage.copies = [value for value in outputs if storage.base.get(value) not in storage.offsets]
    for value in dict.fromkeys([*storage.copies, *storage.snapshots]):
        storage.offsets[value] = free.take(_bytes(storage, value))
    storage.arena_bytes = free.end


def _lies_in_arena(storage: Storage, value: Value) -> bool:
    if storage.base.get(value) is not value or not _is_computed(storage, value):
        return False
    return value not in storage.states and value not in storage.gradients


def _release(storage: Storage, free: _Free, by_end: dict[int, list[Value]], place: int) -> None:
    """Give back the memory whose last reader comes before ``place``."""
    for end in [end for end in by_end if end < place]:
        for value in by_end.pop(end):
            free.give(storage.offsets[value], _bytes(storage, value))


def _may_take(storage: Storage, uses: _Uses, value: Value, x: Value, place: int) -> bool:
    base = storage.base.get(x)
    if base is None or base not in storage.offsets or uses.last(base) != place:
        return False
    whole = storage.layouts[x].extent == storage.layouts[base].extent and not storage.layouts[x].start
    return whole and _lies_exactly(storage, value, base)


def _lies_exactly(storage: Storage, value: Value, base: Value) -> bool:
    """Whether every operand in that memory looks at it just as the result does."""
    target = _shape_of(storage.layouts[value])
    return all(
        _shape_of(storage.layouts[other]) == target and not storage.layouts[other].start and _may_lie_on(value, number)
        for number, other in enumerate(value.inputs)
        if storage.base.get(other) is base
    )


def _bytes(storage: Storage, value: Value) -> int:
    layout = storage.layouts[value] if value in storage.layouts else contiguous(value)
    return value.nbytes if not layout.is_dense else layout.extent[1] - layout.extent[0]


class _Free:
    """The parts of the arena that nobody uses, each with its size."""

    def __init__(self) -> None:
        self.end = 0
        self.parts: dict[int, int] = {}

    def take(self, size: int) -> int:
        """The start of so many bytes: of the smallest part that has them, or at the end."""
        size = _aligned(size)
        fitting = [(n, start) for start, n in self.parts.items() if n >= size]
        if fitting and size:
            n, start = min(fitting)
            del self.parts[start]
            if n > size:
                self.parts[start + size] = n - size
            return start
        start = self.end
        if self.parts and (last := max(self.parts)) + self.parts[last] == self.end and size:
            start = last
            del self.parts[last]
        self.end = max(self.end, start + size)
        return start

    def give(self, start: int, size: int) -> None:
        """The bytes from ``start`` on are free again."""
        size = _aligned(size)
        if not size:
            return
        for before, n in list(self.parts.items()):
            if before + n == start:
                start, size = before, size + n
                del self.parts[before]
            elif start + size == before:
                size += n
                del self.parts[before]
        self.parts[start] = size


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
