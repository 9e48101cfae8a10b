"""From a list of samples to one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.ops.shape import stack

__all__ = ["default_collate"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Put samples of the same kind together, field by field.

    Parameters
    ----------
    batch : sequence
        At least one sample. Tensors and arrays of one shape S become a tensor ``(len(batch), *S)``;
        numbers a tensor ``(len(batch),)``, where Python's float gives float64 and int gives int64;
        texts stay as they are. Tuples and lists become a list with one batch per position, named
        tuples and dicts keep their names; all of them may nest.

    Returns
    -------
    Tensor, list, dict or named tuple
        The batch.

    Raises
    ------
    RuntimeError
        If tensors differ in shape, or tuples in length.
    KeyError
        If a dict lacks a key of the first one.
    TypeError
        For samples of another kind: write a ``collate_fn`` for these.

    Examples
    --------
    >>> from tinygrad_lite.utils.data import default_collate
    >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        _check_shapes(batch)
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic, bool, int, float)):
        return _from_numbers([np.asarray(sample) for sample in batch])
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        return _by_position(batch)
    raise TypeError(
        f"default_collate: samples of type {type(first).__name__} cannot be put into a batch: return tensors, arrays, "
        "numbers, texts, or tuples, lists and dicts of these, or give the DataLoader a collate_fn"
    )


def _from_numbers(arrays: list[np.ndarray[Any, Any]]) -> Tensor:
    _check_shapes(arrays)
    stacked = np.stack(arrays)
    return wrap(stacked.astype(dtypes.as_dtype(stacked.dtype), copy=False))


def _by_position(batch: Sequence[Any]) -> Any:
    first = batch[0]
    for number, sample in enumerate(batch):
        if len(sample) != len(first):
            raise RuntimeError(
                f"default_collate: sample 0 of the batch has {len(first)} fields, sample {number} has {len(sample)}"
            )
    fields = [default_collate(field) for field in zip(*batch, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else fields


def _check_shapes(batch: Sequence[Any]) -> None:
    for number, sample in enumerate(batch):
        if sample.shape != batch[0].shape:
            raise RuntimeError(
                f"default_collate: sample 0 of the batch has shape {batch[0].shape}, sample {number} has "
                f"{sample.shape}: bring them to one shape, or give the DataLoader a collate_fn"
            )
