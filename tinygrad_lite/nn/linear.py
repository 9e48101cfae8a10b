"""Linear, the layer that learns, and the two that only pass things on: Identity and Flatten."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.creation import empty
from tinygrad_lite.dtypes import DTypeLike
from tinygrad_lite.nn import functional, init
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter

__all__ = ["Flatten", "Identity", "Linear"]


class Linear(Module):
    """``input @ weight.T + bias``.

    Weight and bias start uniform in ``(-k, k)`` with ``k = 1 / sqrt(in_features)``, as in PyTorch.

    Parameters
    ----------
    in_features : int
        The length of each input row.
    out_features : int
        The length of each output row.
    bias : bool
        Whether a bias is added.
    dtype : dtype, optional
        The parameters' dtype; default float32.

    Attributes
    ----------
    weight : Parameter
        ``(out_features, in_features)``.
    bias : Parameter or None
        ``(out_features,)``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> layer = tl.nn.Linear(784, 20)
    >>> layer(tl.zeros(5, 784)).shape
    (5, 20)
    """

    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, dtype: DTypeLike = None) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype))
        self.bias = Parameter(empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the slope that makes its bound 1 / sqrt(in_features)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Any:
        """From ``(..., in_features)`` to ``(..., out_features)``."""
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """The input itself; any arguments are accepted and ignored, so that it can stand for another layer.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Identity()(tl.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input


class Flatten(Module):
    """Merge the dimensions from ``start_dim`` to ``end_dim`` into one; by default all but the first.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Flatten()(tl.zeros(5, 28, 28)).shape
    (5, 784)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Any:
        """The input, reshaped."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The range of dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
