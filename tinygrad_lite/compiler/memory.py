"""The memory of a native program: a table of addresses, and the arrays that keep what they point to alive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler.loops import Buffer
from tinygrad_lite.compiler.lowering import Lowered, Node, Window

__all__ = ["Memory", "aligned"]

Array: TypeAlias = NDArray[Any]

ALIGNMENT = 64
"""Bytes: a line of the cache, and the widest register."""

KINDS = ("arena", "numbers", "input", "gradient", "output", "constant")


class Memory:
    """What a program's buffers are in memory.

    Attributes
    ----------
    table : ndarray
        Addresses: of the arena, of the numbers, and of each input, gradient, output and constant.
    numbers : ndarray of float64
        The hyperparameters.
    outputs : list of ndarray
        The outputs, flat.
    """

    def __init__(self, lowered: Lowered, arena_bytes: int) -> None:
        constants = _constants(lowered.nodes)
        self.numbers = np.zeros(len(lowered.number_sources))
        self.outputs = [aligned(buffer.nbytes).view(buffer.dtype) for buffer in lowered.outputs]
        self._places = {id(buffer): place for place, buffer in enumerate(constants)}
        self._first = dict(
            zip(
                KINDS,
                _starts(1, 1, *map(len, (lowered.inputs, lowered.gradients, lowered.outputs, constants))),
                strict=True,
            )
        )
        size = self._first["constant"] + len(constants)
        self.arrays: list[Array | None] = [None] * size
        self.table = np.zeros(size, np.uintp)
        self._set(self._first["arena"], aligned(arena_bytes))
        self._set(self._first["numbers"], self.numbers)
        for place, array in enumerate(self.outputs):
            self._set(self._first["output"] + place, array)
        for place, buffer in enumerate(constants):
            self._set(self._first["constant"] + place, buffer.data)

    def slot(self, buffer: Buffer) -> tuple[int, int]:
        """Where in the table the address of a buffer's memory is, and how many bytes from there the buffer begins."""
        if buffer.kind == "constant":
            return self._first["constant"] + self._places[id(buffer)], 0
        return self._first[buffer.kind] + buffer.place, buffer.offset

    def point(self, kind: str, place: int, array: Array) -> None:
        """Let the input or gradient of that number be this array, whose elements lie in order."""
        self._set(self._first[kind] + place, array)

    def _set(self, slot: int, array: Array) -> None:
        self.arrays[slot] = array
        self.table[slot] = address_of(array)

    def array(self, window: Window) -> Array:
        """The elements of a window, where they lie now."""
        slot, offset = self.slot(window.buffer)
        whole = self.arrays[slot]
        assert whole is not None
        layout = window.layout
        if not layout.size:
            return np.empty(layout.shape, layout.dtype)
        first = whole.reshape(-1).view(np.uint8)[offset + window.offset :][: layout.itemsize].view(layout.dtype)
        return np.lib.stride_tricks.as_strided(first, layout.shape, layout.strides)


def aligned(nbytes: int) -> Array:
    """New memory that begins at a multiple of the widest register."""
    memory = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -address_of(memory) % ALIGNMENT
    return memory[start : start + nbytes]


def address_of(array: Array) -> int:
    """Where an array begins."""
    address: int = array.__array_interface__["data"][0]
    return address


def _constants(nodes: Sequence[Node]) -> list[Buffer]:
    found = [access.buffer for node in nodes for access in node.accesses if access.buffer.kind == "constant"]
    return list(dict.fromkeys(found))


def _starts(*counts: int) -> list[int]:
    """Where in a row of so many and so many each begins."""
    starts = [0]
    for count in counts[:-1]:
        starts.append(starts[-1] + count)
    return starts
