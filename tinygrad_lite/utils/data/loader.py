"""From a data set to the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.random import Generator, randperm
from tinygrad_lite.utils.data.collate import default_collate
from tinygrad_lite.utils.data.dataset import Subset, TensorDataset

__all__ = ["DataLoader"]

Rows = NDArray[np.intp]

_NOT_OFFERED: dict[str, Any] = {
    "sampler": None,
    "batch_sampler": None,
    "num_workers": 0,
    "pin_memory": False,
    "timeout": 0,
    "worker_init_fn": None,
    "multiprocessing_context": None,
    "prefetch_factor": None,
    "persistent_workers": False,
    "pin_memory_device": "",
    "in_order": True,
}
"""PyTorch's other keywords: accepted with the value that PyTorch has by default."""


class DataLoader:
    """The batches of a data set, as often as you iterate, each time in a new random order.

    A :class:`TensorDataset`, or a :class:`Subset` of one, is read by indexing its arrays once per
    batch, without a step through its samples. Every batch owns its memory.

    Parameters
    ----------
    dataset : Dataset
        Anything with ``__getitem__`` and ``__len__``; or without a length, then it is iterated.
    batch_size : int or None
        Samples per batch; None gives the samples one by one, as they are.
    shuffle : bool
        Draw a new permutation for each epoch.
    drop_last : bool
        Leave out a last batch that does not fill.
    generator : Generator, optional
        What draws the permutations; default: the one that ``manual_seed`` seeds.
    collate_fn : callable, optional
        Makes a batch from a list of samples; default :func:`default_collate`. With ``batch_size``
        None, it gets each sample.
    **options
        PyTorch's other keywords, ``num_workers=0`` and ``pin_memory=False`` for example: accepted
        with PyTorch's default, so that its programs run, and refused with any other value.

    Raises
    ------
    ValueError
        If ``batch_size`` is not a positive integer, or with ``drop_last`` and no ``batch_size``.
    TypeError
        If the data set cannot be read twice, or has no length and is to be shuffled; if the
        generator is not a Generator; for a keyword that PyTorch does not have either.
    NotImplementedError
        If one of PyTorch's other keywords has another value than its default.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite.utils.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(tl.arange(5), tl.ones(5)), batch_size=2)
    >>> for x, y in loader:
    ...     print(x, y.shape)
    tensor([0, 1]) (2,)
    tensor([2, 3]) (2,)
    tensor([4]) (1,)
    >>> len(loader)
    3
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        generator: Generator | None = None,
        collate_fn: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        _check_options(options)
        _check_dataset(dataset, shuffle)
        _check_batches(batch_size, drop_last)
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(f"DataLoader: generator must be a tl.Generator, not {type(generator).__name__}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator
        self.collate_fn = collate_fn

    def __len__(self) -> int:
        """The number of batches in an epoch; without ``batch_size``, of samples."""
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if not hasattr(self.dataset, "__len__"):
            return self._collated(iter(self.dataset))
        order = randperm(len(self.dataset), generator=self.generator).numpy() if self.shuffle else None
        if self.batch_size is not None and self.collate_fn in (None, default_collate):
            resident = _in_memory(self.dataset)
            if resident is not None:
                tensors, rows = resident
                return self._indexed(tensors, _chosen(rows, order), self.batch_size)
        indices = range(len(self.dataset)) if order is None else order.tolist()
        return self._collated(self.dataset[index] for index in indices)

    def _indexed(self, tensors: tuple[Tensor, ...], rows: Rows | None, size: int) -> Iterator[list[Tensor]]:
        """Batches cut out of whole arrays; ``rows`` None takes all rows in their order."""
        for start in range(0, len(self) * size, size):
            end = start + size
            if rows is None:
                yield [wrap(tensor._array[start:end].copy()) for tensor in tensors]
            else:
                yield [wrap(tensor._array[rows[start:end]]) for tensor in tensors]

    def _collated(self, samples: Iterator[Any]) -> Iterator[Any]:
        """Batches put together from single samples."""
        if self.batch_size is None:
            yield from samples if self.collate_fn is None else map(self.collate_fn, samples)
            return
        collate = self.collate_fn or default_collate
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield collate(batch)


def _in_memory(dataset: Any) -> tuple[tuple[Tensor, ...], Rows | None] | None:
    """The tensors behind a data set and the rows it takes of them (None: all), if they can be cut as arrays."""
    rows: Rows | None = None
    while type(dataset) is Subset:
        rows = _chosen(np.asarray(dataset.indices, dtype=np.intp), rows)
        dataset = dataset.dataset
    # a subclass may compute its samples; a tensor that requires grad must record what is taken of it
    if type(dataset) is not TensorDataset or any(tensor.requires_grad for tensor in dataset.tensors):
        return None
    return dataset.tensors, rows


def _chosen(rows: Rows | None, order: Rows | None) -> Rows | None:
    """``rows[order]``, where None stands for all in their order."""
    if rows is None or order is None:
        return order if rows is None else rows
    return rows[order]


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name not in _NOT_OFFERED:
            raise TypeError(f"DataLoader: got an unexpected keyword argument '{name}'")
        if value != _NOT_OFFERED[name]:
            raise NotImplementedError(
                f"DataLoader: {name}={value!r} is not offered, batches are made in this process: "
                f"leave it out, or keep {name}={_NOT_OFFERED[name]!r}"
            )


def _check_dataset(dataset: Any, shuffle: bool) -> None:
    kind = type(dataset).__name__
    if isinstance(dataset, Iterator) or not (hasattr(dataset, "__getitem__") or hasattr(dataset, "__iter__")):
        raise TypeError(
            f"DataLoader: a {kind} cannot be read again for each epoch: pass a Dataset, a list, "
            "or an object whose __iter__ starts anew"
        )
    if shuffle and not hasattr(dataset, "__len__"):
        raise TypeError(f"DataLoader: shuffle=True needs to know how many samples there are: give {kind} a __len__")


def _check_batches(batch_size: int | None, drop_last: bool) -> None:
    if batch_size is None:
        if drop_last:
            raise ValueError("DataLoader: drop_last=True without batches: give a batch_size")
    elif isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"DataLoader: batch_size must be a positive integer, or None, not {batch_size!r}")
