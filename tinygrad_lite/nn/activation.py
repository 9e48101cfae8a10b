"""Activation functions as modules, to stand in a Sequential; the formulas are in ``nn.functional``."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn import functional
from tinygrad_lite.nn.module import Module

__all__ = ["Hardsigmoid", "LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]


class ReLU(Module):
    """``max(x, 0)``.

    Parameters
    ----------
    inplace : bool
        Put the result into the input's own memory.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.ReLU()(tl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return input.relu_() if self.inplace else functional.relu(input)

    def extra_repr(self) -> str:
        """Nothing, or that it works in place."""
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Sigmoid()(tl.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Tanh()(tl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.tanh(input)


class Hardsigmoid(Module):
    """``clip(x / 6 + 1/2, 0, 1)``, three straight lines.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Hardsigmoid()(tl.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.hardsigmoid(input)


class Softplus(Module):
    """``log(1 + exp(x))``, a smooth ReLU.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Softplus()(tl.tensor([0.0, 2.0]))
    tensor([0.6931, 2.1269])
    """

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.softplus(input)


class Softmax(Module):
    """Positive numbers that sum to 1 along one dimension.

    Parameters
    ----------
    dim : int
        That dimension.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Softmax(dim=1)(tl.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of :class:`Softmax`, computed without overflow.

    Parameters
    ----------
    dim : int
        The dimension along which the exponentials sum to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.LogSoftmax(dim=1)(tl.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Any:
        """Of the input's shape."""
        return functional.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"
