"""Memory for intermediate results, allocated once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Array

__all__ = ["Scratch"]


class Scratch:
    """Lends one flat array per dtype, in any shape: whatever it held before is gone.

    Examples
    --------
    >>> scratch = Scratch()
    >>> view = scratch.like(np.ones((2, 3)))
    >>> view.shape, np.shares_memory(view, scratch.like(np.ones(4)))
    ((2, 3), True)
    """

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}
        self._views: dict[tuple[tuple[int, ...], str], Array] = {}
        self._numbers: dict[str, tuple[Array, Array]] = {}

    def __reduce__(self) -> tuple[type[Scratch], tuple[()]]:
        return Scratch, ()  # copied and pickled empty

    def like(self, array: Any) -> Array:
        """An array of the same shape and dtype, valid until the next request for that dtype."""
        view = self._views.get((array.shape, array.dtype.char))
        return self._lend(array.shape, array.dtype.char) if view is None else view

    def _lend(self, shape: tuple[int, ...], char: str) -> Array:
        size = math.prod(shape)
        if char not in self._flat or self._flat[char].size < size:
            self._flat[char] = np.empty(size, char)
            self._views = {
                key: view for key, view in self._views.items() if key[1] != char
            }  # they keep the old one alive
        view = self._views[shape, char] = self._flat[char][:size].reshape(shape)
        return view

    def two_numbers(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Two 0-d arrays, apart from the flat one."""
        pair = self._numbers.get(dtype.char)
        if pair is None:
            pair = self._numbers[dtype.char] = np.empty((), dtype), np.empty((), dtype)
        return pair
