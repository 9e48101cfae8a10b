"""Which operations share a loop.

Nodes over the same space that read each other's results element by element become one group, so that what is between
them never lies in memory. Whatever reads a result in another order, or needs all of it, is in a later group.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinygrad_lite.compiler.loops import Buffer
from tinygrad_lite.compiler.lowering import Access, Node, Space, Window

__all__ = ["Group", "fuse"]

FEW_ELEMENTS = 1 << 12
"""Loops this short are merged even if they share nothing: a loop costs more to start."""

MANY_NODES = 150
"""So large a group is not made larger for the sake of shared reads alone."""


@dataclass(eq=False)
class Group:
    """Nodes that run together.

    Attributes
    ----------
    nodes : list of Node
        Each after what it needs. All in one loop over ``space``, or a single one that is no loop.
    space : tuple of int
        What is looped over.
    """

    nodes: list[Node]
    space: Space
    number: int
    needs: int = 0  # a bit for each group that must have run before, directly or not

    @property
    def is_loop(self) -> bool:
        """Whether other nodes may join."""
        return self.nodes[0].is_loop

    @property
    def buffers(self) -> set[Buffer]:
        """What the loop reads from memory or writes."""
        return {access.buffer for node in self.nodes for access in node.accesses} | {node.result for node in self.nodes}


def fuse(nodes: Sequence[Node]) -> list[Group]:
    """Sort the nodes into groups, in an order in which they can run."""
    fusion = _Fusion(_sorted(nodes))
    fusion.collect()
    fusion.merge()
    groups = fusion.scheduled()
    _read_from_outside(groups)
    return groups


def needs_of(nodes: Sequence[Node]) -> dict[Node, list[Node]]:
    """The nodes that must run before each."""
    makers = {node.result: node for node in nodes if node.gives_value}
    return {
        node: [
            *node.after,
            *(makers[a.buffer] for a in node.accesses if a.buffer in makers and makers[a.buffer] is not node),
        ]
        for node in nodes
    }


def _sorted(nodes: Sequence[Node]) -> list[Node]:
    """The nodes in an order in which they can run, otherwise as they come."""
    needs = needs_of(nodes)
    order: list[Node] = []
    done: set[Node] = set()
    for root in nodes:
        stack = [(root, iter(needs[root]))] if root not in done else []
        while stack:
            node, rest = stack[-1]
            following = next((x for x in rest if x not in done), None)
            if following is not None:
                stack.append((following, iter(needs[following])))
                continue
            stack.pop()
            if node not in done:
                done.add(node)
                order.append(node)
    return order


class _Fusion:
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.needs = needs_of(nodes)
        self.groups: dict[int, Group] = {}
        self.group_of: dict[Node, Group] = {}

    def collect(self) -> None:
        """Each node joins the last group that it can join, or opens one."""
        for node in self.nodes:
            group = next((g for g in self._candidates(node) if self._can_join(node, g)), None)
            if group is None:
                group = Group([], node.space if node.is_loop else (), len(self.groups))
                self.groups[group.number] = group
            group.nodes.append(node)
            self.group_of[node] = group
            self._add_needs(group, self._needed(node) & ~(1 << group.number))

    def _candidates(self, node: Node) -> Iterable[Group]:
        if not node.is_loop:
            return []
        makers = {self.group_of[x].number for x in self.needs[node]}
        return [
            self.groups[number]
            for number in sorted(makers, reverse=True)
            if self.groups[number].is_loop and self.groups[number].space == node.space
        ]

    def _needed(self, node: Node) -> int:
        """The groups that a node needs, and what they need."""
        mask = 0
        for x in self.needs[node]:
            mask |= 1 << self.group_of[x].number
        return self._closed(mask)

    def _closed(self, mask: int) -> int:
        closed = mask
        while mask:
            lowest = mask & -mask
            closed |= self.groups[lowest.bit_length() - 1].needs
            mask ^= lowest
        return closed

    def _add_needs(self, group: Group, mask: int) -> None:
        group.needs |= mask
        for other in self.groups.values():
            if other.needs >> group.number & 1:
                other.needs |= mask

    def _can_join(self, node: Node, group: Group) -> bool:
        others = 0
        for x in self.needs[node]:
            if self.group_of[x] is not group:
                others |= 1 << self.group_of[x].number
        if self._closed(others) >> group.number & 1:
            return False
        return _fits(group.nodes, [node])

    def merge(self) -> None:
        """Groups over the same space become one where nothing has to run between them."""
        by_space: dict[Space, list[Group]] = {}
        for group in self.groups.values():
            if group.is_loop:
                by_space.setdefault(group.space, []).append(group)
        for groups in by_space.values():
            kept: list[Group] = []
            for group in groups:
                target = next((other for other in reversed(kept) if self._can_merge(other, group)), None)
                if target is None:
                    kept.append(group)
                else:
                    self._merge(target, group)

    def _can_merge(self, first: Group, second: Group) -> bool:
        if math.prod(first.space) > FEW_ELEMENTS and not first.buffers & second.buffers:
            return False
        if len(first.nodes) + len(second.nodes) > MANY_NODES:
            return False
        if second.needs >> first.number & 1:
            before, later = first, second
        else:
            before, later = second, first
        between = any(
            later.needs >> g.number & 1 and g.needs >> before.number & 1 for g in self.groups.values() if g is not later
        )
        return not between and _fits(before.nodes, later.nodes)

    def _merge(self, target: Group, other: Group) -> None:
        rank = {node: i for i, node in enumerate(self.nodes)}
        for node in other.nodes:
            self.group_of[node] = target
        target.nodes = sorted([*target.nodes, *other.nodes], key=rank.__getitem__)
        del self.groups[other.number]
        both = 1 << target.number | 1 << other.number
        needs = (target.needs | other.needs) & ~both
        target.needs = needs
        for group in self.groups.values():
            if group.needs & both:
                group.needs = (group.needs & ~both) | 1 << target.number | needs

    def scheduled(self) -> list[Group]:
        """The groups in an order in which they can run: of those that can, the one whose calls came first."""
        left = sorted(self.groups.values(), key=lambda group: group.nodes[0].position)
        order: list[Group] = []
        done = 0
        while left:
            group = next(group for group in left if not group.needs & ~done)
            left.remove(group)
            order.append(group)
            done |= 1 << group.number
        return order


def _fits(before: Sequence[Node], later: Sequence[Node]) -> bool:
    """Whether the later nodes may run in the same loop: they read what it makes, element by element."""
    makers = {node.result: node for node in before}
    for node in later:
        for access in node.accesses:
            maker = makers.get(access.buffer)
            if maker is not None and (maker.reduced or not access.is_identity(node.space)):
                return False
    written = {node.result for node in [*before, *later] if node.op == "store" and node.result.kind == "input"}
    return not written or all(
        access.is_identity(node.space)
        for node in [*before, *later]
        for access in node.accesses
        if access.buffer in written
    )


def _read_from_outside(groups: Sequence[Group]) -> None:
    """A result that its own loop also stores outside is read there: it needs no memory of its own."""
    places: dict[Buffer, Buffer] = {}
    for group in groups:
        makers = {node.result: node for node in group.nodes if not node.reduced and node.op != "store"}
        for store in group.nodes:
            if store.op == "store":
                (operand,) = store.operands
                if isinstance(operand, Access) and operand.buffer in makers and operand.dtype == store.result.dtype:
                    places.setdefault(operand.buffer, store.result)
    for group in groups:
        inside = {node.result for node in group.nodes}
        for node in group.nodes:
            node.operands = [
                Access(places[x.buffer], x.offset, x.strides, x.dtype)
                if isinstance(x, Access) and x.buffer in places and x.buffer not in inside
                else x
                for x in node.operands
            ]
            node.arrays = [
                x.moved(places[x.buffer]) if isinstance(x, Window) and x.buffer in places else x for x in node.arrays
            ]
