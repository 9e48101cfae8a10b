"""What several documents have in common, in NumPy, with samples as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from derivations.records import Array

__all__ = ["batches", "chosen_and_reported", "sigmoid", "softmax"]


def sigmoid(z: Array) -> Array:
    """``1 / (1 + e^-z)``."""
    return 1 / (1 + np.exp(-z))


def softmax(Z: Array) -> Array:
    """Every sample's exponentials over their sum, shifted by the sample's own maximum."""
    e = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def batches(count: int, size: int, drop_last: bool) -> Iterator[slice]:
    """An epoch of ``count`` samples in batches; documents 001 and 003 drop the last one if it is not full."""
    stop = count - count % size if drop_last else count
    for start in range(0, stop, size):
        yield slice(start, min(start + size, stop))


def chosen_and_reported(scores: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The setting that is best on the first of two sets: its score there, and on the set that chose nothing."""
    return max(scores, key=lambda score: score[0])
