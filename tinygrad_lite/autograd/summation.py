"""Adding many rows without losing digits."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["add_rows"]

BLOCK = 128  # rows that NumPy adds one by one: an error of at most 128 roundings


def add_rows(x: Any) -> Any:
    """The sum over the first axis, of an array or Tensor.

    NumPy adds rows one by one, and a float32 sum of 100,000 rows is then wrong in the third digit. Here
    blocks of rows are added, and then the sums of the blocks.
    """
    rows = x.shape[0]
    if rows <= 2 * BLOCK or len(x.shape) == 1:  # NumPy adds a single dimension pairwise
        return np.add.reduce(x, axis=0)
    whole = rows - rows % BLOCK
    blocks = np.add.reduce(np.reshape(x[:whole], (-1, BLOCK, *x.shape[1:])), axis=1)
    return add_rows(blocks) + np.add.reduce(x[whole:], axis=0)
