"""A function of single examples, mapped over a dimension."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor, as_array, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild
from tinygrad_lite.ops.shape import split, stack, unbind
from tinygrad_lite.random import default_generator

__all__ = ["check_randomness", "vmap"]

Function = Callable[..., Any]


def vmap(
    func: Function,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,  # noqa: ARG001 - PyTorch's
) -> Function:
    """The function that maps ``func`` over a dimension of its arguments, and stacks the results.

    It loops: the results are PyTorch's, the speed is that of the loop.

    Parameters
    ----------
    func : callable
        Works on single examples; returns Tensors.
    in_dims : int, None or nested tuple
        The dimension of each argument to map over; None for one that stays whole.
    out_dims : int, None or tuple
        Where the new dimension goes in each output; None for an output that is the same for all.
    randomness : {"error", "different", "same"}
        Whether drawing random numbers raises, gives each example others, or the same.
    chunk_size : int, optional
        Accepted; the examples are taken one by one.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> weight, rows = tl.tensor([1.0, 2.0]), tl.tensor([[1.0, 1.0], [3.0, 0.0]])
    >>> tl.func.vmap(tl.dot, in_dims=(None, 0))(weight, rows)
    tensor([3., 3.])
    """
    check_randomness(randomness)

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise ValueError("vmap: there is no positional argument to map over")
        if in_dims is None:
            raise ValueError("vmap: in_dims=None maps over nothing")
        dims = _spread(in_dims, args, "in_dims")
        values = leaves(args)
        parts = [_parts(value, dim) for value, dim in zip(values, dims, strict=True)]
        sizes = {len(part) for part in parts if part is not None}
        if len(sizes) != 1:
            problem = f"different sizes {sorted(sizes)}" if sizes else "no argument"
            raise ValueError(f"vmap: {problem} to map over: in_dims={in_dims}")
        (size,) = sizes
        start, results = default_generator.get_state(), []
        for number in range(max(size, 1)):  # of no examples: one of zeros says what the results look like
            if randomness == "same":
                default_generator.set_state(start)
            chosen = [_example(*one, number) for one in zip(values, parts, dims, strict=True)]
            results.append(func(*rebuild(args, chosen), **kwargs))
            if randomness == "error" and default_generator.get_state() != start:
                raise RuntimeError('vmap: random numbers were drawn: say randomness="different" or "same"')
        return _joined(results, size, out_dims)

    return mapped


def check_randomness(randomness: str) -> None:
    """Refuse what PyTorch refuses."""
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f'randomness must be "error", "different" or "same", not {randomness!r}')


def _spread(dims: Any, tree: Any, name: str) -> list[int | None]:
    """One dimension for each leaf: an int or None stands for all leaves below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(leaves(tree))
    if isinstance(dims, dict) and isinstance(tree, dict) and dims.keys() == tree.keys():
        return [dim for key in tree for dim in _spread(dims[key], tree[key], name)]
    if isinstance(dims, (list, tuple)) and isinstance(tree, (list, tuple)) and len(dims) == len(tree):
        return [dim for one, below in zip(dims, tree, strict=True) for dim in _spread(one, below, name)]
    raise ValueError(f"vmap: {name}={dims} does not fit what it is for, which is nested otherwise")


def _parts(value: Any, dim: int | None) -> tuple[Tensor, ...] | None:
    """The examples along a dimension; None for an argument that stays whole."""
    if dim is None:
        return None
    if not isinstance(value, Tensor):
        raise ValueError(f"vmap: in_dims is {dim} for a {type(value).__name__}: only Tensors are mapped over, use None")
    if not -value.ndim <= dim < value.ndim:
        raise ValueError(f"vmap: in_dims is {dim} for a tensor of shape {value.shape}, which has no such dimension")
    return unbind(value, dim)


def _example(value: Any, parts: tuple[Tensor, ...] | None, dim: int | None, number: int) -> Any:
    if parts is None or dim is None:
        return value
    return parts[number] if parts else wrap(np.zeros(np.delete(value.shape, dim).tolist(), value.dtype))


def _joined(results: Sequence[Any], size: int, out_dims: Any) -> Any:
    """The results of all examples, stacked leaf by leaf."""
    dims = _spread(out_dims, results[0], "out_dims")
    columns = zip(*(leaves(result) for result in results), strict=True)
    return rebuild(results[0], [_stacked_along(dim, column, size) for dim, column in zip(dims, columns, strict=True)])


def _stacked_along(dim: int | None, column: Sequence[Any], size: int) -> Any:
    first = column[0]
    if dim is None:
        if any(other is not first and not np.array_equal(as_array(other), as_array(first)) for other in column):
            raise ValueError("vmap: out_dims is None for an output that is not the same for all examples")
        return first
    if not isinstance(first, Tensor):
        raise ValueError(f"vmap: the function must return Tensors, not {type(first).__name__}")
    if not -first.ndim - 1 <= dim <= first.ndim:
        raise IndexError(f"vmap: out_dims is {dim}, but with the new dimension the output has only {first.ndim + 1}")
    stacked_examples = stack(column, dim)
    return stacked_examples if size else split(stacked_examples, [0, 1], dim)[0]
