"""What a group of fused operations becomes: loops over loads, computations and stores, in any target language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Buffer", "Compute", "Index", "Literal", "Load", "Loop", "Register", "Reset", "Statement", "Store", "Update"]


@dataclass(eq=False)
class Buffer:
    """A piece of memory, contiguous.

    Attributes
    ----------
    kind : str
        ``"input"``, ``"gradient"``, ``"output"``: of that number (``place``) outside; ``"constant"``: ``data``;
        ``"numbers"``: the hyperparameters; ``"arena"``: at byte ``offset`` of the program's own memory;
        ``"ramp"``: no memory at all, element k is ``data[0] + k * data[1]``; ``"scratch"``: memory of its function.
    dtype : dtype
        Of the elements.
    size : int
        How many.
    """

    kind: str
    dtype: np.dtype[Any]
    size: int
    place: int = 0
    data: Any = None
    offset: int = 0

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * int(self.dtype.itemsize)

    @property
    def is_outside(self) -> bool:
        """Whether others see what is written to it."""
        return self.kind in ("input", "gradient")

    def __repr__(self) -> str:
        return f"{self.kind}{self.place if self.kind != 'arena' else self.offset}"


@dataclass(frozen=True)
class Literal:
    """A number that is written into the program, of the dtype that its reader computes in."""

    value: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype


@dataclass(frozen=True)
class Register:
    """What a statement computed; each is assigned once, where a loop is in pieces once in each that reads it."""

    number: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Index:
    """An element of a buffer: ``offset`` plus each loop variable times its stride, counted in elements."""

    offset: int = 0
    terms: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Load:
    """``target = buffer[index]``, the bytes read as the dtype of the target."""

    target: Register
    buffer: Buffer
    index: Index


@dataclass(frozen=True)
class Compute:
    """``target = op(operands)`` in the loop of these dtypes: operands first, then the result."""

    target: Register
    op: str
    operands: tuple[Register | Literal, ...]
    dtypes: tuple[np.dtype[Any], ...]


@dataclass(frozen=True)
class Store:
    """``buffer[index] = value``; with ``op``: ``buffer[index] = op(buffer[index], value)``."""

    buffer: Buffer
    index: Index
    value: Register | Literal
    op: str = ""


@dataclass(frozen=True)
class Reset:
    """``accumulator = value``: the start of a reduction."""

    accumulator: str
    value: Literal


@dataclass(frozen=True)
class Update:
    """``accumulator = op(accumulator, value)``, in any order."""

    accumulator: str
    op: str
    value: Register | Literal


@dataclass(frozen=True)
class Read:
    """``target = accumulator``."""

    target: Register
    accumulator: str


@dataclass
class Loop:
    """``for variable in range(start, stop, step)``; with ``length`` it ends after so many, if not before.

    With ``length`` it starts at a multiple of that. ``start`` is a number or the variable of a loop around.
    """

    variable: str
    stop: int
    body: list[Statement] = field(default_factory=list)
    start: int | str = 0
    step: int = 1
    length: int | None = None


Statement = Load | Compute | Store | Reset | Update | Read | Loop


def flattened(statements: Sequence[Statement]) -> Iterator[Statement]:
    """The statements, those inside of loops too."""
    for statement in statements:
        yield statement
        if isinstance(statement, Loop):
            yield from flattened(statement.body)
