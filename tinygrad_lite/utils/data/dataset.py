"""What can be loaded: samples that are found by their number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.random import Generator, randperm

__all__ = ["Dataset", "Subset", "TensorDataset", "random_split"]

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """A collection of samples, each found by its number.

    Subclass it and write ``__getitem__(index)``, and ``__len__()`` where the number of samples is
    known. Anything else that has both, a list for example, can be loaded too.

    Examples
    --------
    >>> from tinygrad_lite.utils.data import Dataset
    >>> class Squares(Dataset[int]):
    ...     def __getitem__(self, index: int) -> int:
    ...         return index * index
    ...
    ...     def __len__(self) -> int:
    ...         return 10
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> Sample:
        """The sample of this number."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors that lie side by side: sample i is row i of each.

    Parameters
    ----------
    *tensors : Tensor
        One or more, each with dimensions, the first of them of the same size N.

    Raises
    ------
    AssertionError
        If the tensors differ in the size of their first dimension.
    TypeError
        If something is not a Tensor.
    ValueError
        If there is no tensor, or one without dimensions.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite.utils.data import TensorDataset
    >>> dataset = TensorDataset(tl.tensor([[1.0], [2.0]]), tl.tensor([0, 1]))
    >>> len(dataset), dataset[1]
    (2, (tensor([2.]), tensor(1)))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"TensorDataset: argument {position} is of type {type(tensor).__name__}: "
                    "make it a Tensor, with from_numpy() or tensor()"
                )
            if tensor.ndim == 0:
                raise ValueError(f"TensorDataset: tensor {position} is 0-d, it has no rows to take as samples")
        if len({len(tensor) for tensor in tensors}) > 1:
            shapes = ", ".join(str(tensor.shape) for tensor in tensors)
            raise AssertionError(
                f"TensorDataset: tensors of shapes {shapes} differ in their first dimension, the number of samples"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[Sample]):
    """Some samples of a data set, in an order of their own.

    Parameters
    ----------
    dataset : Dataset
        Where the samples come from.
    indices : sequence of int
        Which ones; sample i of the subset is sample ``indices[i]`` of the data set.

    Raises
    ------
    TypeError
        If the indices are not integers, a boolean mask for example.

    Examples
    --------
    >>> from tinygrad_lite.utils.data import Subset
    >>> list(Subset("abcde", [4, 0]))
    ['e', 'a']
    """

    def __init__(self, dataset: Dataset[Sample], indices: Sequence[int]) -> None:
        found = np.asarray(indices)
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise TypeError(
                f"Subset: indices must be a list of integers, not {found.dtype} of shape {found.shape}; "
                "of a boolean mask, take np.flatnonzero(mask)"
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Sample:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[Sample], lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset[Sample]]:
    """Deal all samples out at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
        With a length N.
    lengths : sequence of int, or of float
        The sizes of the parts, which add up to N; or fractions, which add up to 1. Fractions are
        rounded down, and the samples left over go one each to the parts, from the first on.
    generator : Generator, optional
        What draws the permutation; default: the one that ``manual_seed`` seeds.

    Returns
    -------
    list of Subset
        One per length.

    Raises
    ------
    ValueError
        If a length is negative, or if they add up neither to N nor to 1.

    Warns
    -----
    UserWarning
        If a fraction is so small that its part is empty.

    Examples
    --------
    >>> from tinygrad_lite.utils.data import random_split
    >>> [len(part) for part in random_split(range(11), [0.5, 0.25, 0.25])]
    [6, 3, 2]
    """
    count = len(dataset)  # type: ignore[arg-type]
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths {list(lengths)} must not be negative")
    sizes = _sizes(lengths, count) if math.isclose(sum(lengths), 1) else list(lengths)
    if sum(sizes) != count or not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise ValueError(
            f"random_split: lengths {list(lengths)} add up to {sum(lengths)}: expected integers that add up to "
            f"the {count} samples, or fractions that add up to 1"
        )
    order = randperm(count, generator=generator).tolist()
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def _sizes(fractions: Sequence[float], count: int) -> list[int]:
    sizes = [math.floor(fraction * count) for fraction in fractions]
    for part in range(count - sum(sizes)):
        sizes[part % len(sizes)] += 1
    for fraction, size in zip(fractions, sizes, strict=True):
        if size == 0:
            warnings.warn(f"random_split: fraction {fraction} of {count} samples is an empty part", stacklevel=3)
    return sizes
