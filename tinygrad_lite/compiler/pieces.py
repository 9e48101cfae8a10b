"""Long loops in pieces: each runs over a few hundred elements before the next one starts.

The operations on one element wait for each other. Meanwhile a processor works on the next elements, as far as it can
look ahead: a few hundred instructions. So a long body waits at every step, and its pieces do not. What passes between
the pieces lies in scratch memory that stays in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinygrad_lite.compiler import native_math
from tinygrad_lite.compiler.loops import Buffer, Compute, Index, Load, Loop, Register, Statement, Store, Update

__all__ = ["in_pieces", "is_long"]

SHORTEST, LONGEST, VECTORS = 32, 320, 16
"""Elements that a piece runs over, at least and at most, in multiples of the last. Shorter loops are left whole."""

SCRATCH_BYTES = 48 * 1024
"""Spans are shorter where their scratch memory would need more: it lies on the stack, and at best in the first cache.
"""

LONG, PIECE = 96, 32
"""From how many operations on a body is divided, and into pieces of how many."""

VARIABLE = "span"
"""The variable of the loop around the pieces: where they start."""


def is_long(loop: Loop) -> bool:
    """Whether an innermost loop runs faster in pieces.

    Parameters
    ----------
    loop : Loop
        Its body has no loops.

    Returns
    -------
    bool
    """
    return loop.stop >= SHORTEST and sum(map(_operations, loop.body)) >= LONG


def in_pieces(loop: Loop, before: Sequence[Statement] = (), after: Sequence[Statement] = ()) -> Loop:
    """A loop over spans with the pieces inside.

    Memory that others see is written in the last piece, after all was read: a result may lie where an operand did.

    Parameters
    ----------
    loop : Loop
        An innermost loop from 0 on: its body has no loops.
    before, after : sequence of statements
        What to do at the start and at the end of each span.

    Returns
    -------
    Loop
    """
    connected = _Connections(_divided(loop.body), loop.variable)
    span = _span(loop.stop, sum(buffer.dtype.itemsize for buffer in connected.scratch))
    for buffer in connected.scratch:
        buffer.size = span
    loops = [Loop(loop.variable, loop.stop, piece, start=VARIABLE, length=span) for piece in connected.pieces]
    return Loop(VARIABLE, loop.stop, [*before, *loops, *after], step=span)


def _span(size: int, scratch: int) -> int:
    """The longest that divides the loop, or else that there is room for.

    Code for a known number of rounds is shorter and faster.
    """
    longest = min(LONGEST, SCRATCH_BYTES // max(1, scratch)) // VECTORS * VECTORS
    spans = range(max(longest, SHORTEST), SHORTEST - 1, -VECTORS)
    return next((n for n in spans if size % n == 0), spans[0])


def _operations(statement: Statement) -> int:
    """How many the statement comes to."""
    if not isinstance(statement, Compute):
        return 0
    dtype = statement.dtypes[0]
    return native_math.length(statement.op, dtype) if native_math.knows(statement.op, dtype) else 1


def _divided(body: Sequence[Statement]) -> list[list[Statement]]:
    """The body in runs of about as many operations; sums collect in the piece that has their value."""
    pieces: list[list[Statement]] = [[]]
    home: dict[Register, int] = {}
    stores: list[Statement] = []
    count = 0
    for statement in body:
        if isinstance(statement, Store):
            stores.append(statement)
        elif isinstance(statement, Update):
            pieces[next((home[x] for x in _read(statement) if x in home), 0)].append(statement)
        else:
            assert isinstance(statement, (Load, Compute))
            count += _operations(statement)
            if count > PIECE and pieces[-1]:
                pieces.append([])
                count = _operations(statement)
            pieces[-1].append(statement)
            home[statement.target] = len(pieces) - 1
    pieces[-1] += stores
    return pieces


def _read(statement: Statement) -> Iterator[Register]:
    """The registers that a statement reads."""
    values = statement.operands if isinstance(statement, Compute) else ()
    if isinstance(statement, (Store, Update)):
        values = (statement.value,)
    yield from (value for value in values if isinstance(value, Register))


class _Connections:
    """Gives each piece what it reads of earlier ones: from where it was loaded, or through a scratch buffer."""

    def __init__(self, pieces: list[list[Statement]], variable: str) -> None:
        self.pieces = [list(piece) for piece in pieces]
        self.variable = variable
        self.index = Index(0, ((variable, 1), (VARIABLE, -1)))
        self.scratch: dict[Buffer, int] = {}
        """The last piece that reads what is in each."""
        readers = self._readers(pieces)
        for number, piece in enumerate(pieces):
            for statement in piece:
                if isinstance(statement, (Load, Compute)) and statement.target in readers:
                    self._connect(statement, number, sorted(readers[statement.target] - {number}))

    def _readers(self, pieces: list[list[Statement]]) -> dict[Register, set[int]]:
        readers: dict[Register, set[int]] = {}
        for number, piece in enumerate(pieces):
            for statement in piece:
                for register in _read(statement):
                    readers.setdefault(register, set()).add(number)
        return readers

    def _connect(self, statement: Load | Compute, home: int, readers: list[int]) -> None:
        if not readers:
            return
        load = statement
        if not isinstance(load, Load) or not self._lies_in_order(load):
            buffer = self._scratch(statement.target, home, readers[-1])
            self.pieces[home].append(Store(buffer, self.index, statement.target))
            load = Load(statement.target, buffer, self.index)
        for reader in readers:
            self.pieces[reader].insert(0, load)

    def _lies_in_order(self, load: Load) -> bool:
        return all(stride == 1 for variable, stride in load.index.terms if variable == self.variable)

    def _scratch(self, register: Register, home: int, last: int) -> Buffer:
        """A buffer for a value of one piece up to the last that reads it."""
        for buffer, end in self.scratch.items():
            if end < home and buffer.dtype == register.dtype:
                break
        else:
            buffer = Buffer("scratch", register.dtype, 0, place=len(self.scratch))
        self.scratch[buffer] = last
        return buffer
