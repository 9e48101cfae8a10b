"""Where intermediate results lie: in one piece of memory, where those of different times share places."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lite.compiler.fusion import Group
from tinygrad_lite.compiler.loops import Buffer

__all__ = ["place_results", "shared_results"]

ALIGNMENT = 64
"""Bytes: a line of the cache, and the widest register."""


def shared_results(groups: Sequence[Group]) -> set[Buffer]:
    """The results that lie in memory: those that another group reads, and those that no loop keeps in registers."""
    shared: set[Buffer] = set()
    for group in groups:
        made = {node.result for node in group.nodes if not node.reduced}
        for node in group.nodes:
            shared.update(a.buffer for a in node.accesses if a.buffer not in made or not group.is_loop)
            if node.reduced or not node.is_loop or node.op == "store":
                shared.add(node.result)
    return shared


def place_results(groups: Sequence[Group], shared: set[Buffer]) -> int:
    """Give each shared result of the arena its offset, the large ones first; the bytes of the whole arena."""
    spans: dict[Buffer, tuple[int, int]] = {}
    for time, group in enumerate(groups):
        for buffer in {b for node in group.nodes for b in (node.result, *(a.buffer for a in node.accesses))}:
            if buffer.kind == "arena" and buffer in shared:
                spans[buffer] = spans.get(buffer, (time, time))[0], time
    placed: list[Buffer] = []
    total = 0
    for buffer in sorted(spans, key=lambda b: (-b.nbytes, spans[b])):
        start, end = spans[buffer]
        neighbours = sorted(
            (other for other in placed if spans[other][0] <= end and start <= spans[other][1]), key=lambda b: b.offset
        )
        buffer.offset = 0
        for other in neighbours:
            if buffer.offset + buffer.nbytes <= other.offset:
                break
            buffer.offset = max(buffer.offset, _aligned(other.offset + other.nbytes))
        placed.append(buffer)
        total = max(total, buffer.offset + buffer.nbytes)
    return total


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
