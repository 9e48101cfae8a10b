"""Dropout as a module."""

from __future__ import annotations

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn import functional
from tinygrad_lite.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """While training, zero each element with probability ``p`` and scale the rest by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        The probability, from 0 to 1.

    Raises
    ------
    ValueError
        If ``p`` is outside 0 to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> dropout = tl.nn.Dropout(0.5).eval()
    >>> dropout(tl.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        functional.check_probability(p)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """Of the input's shape; in evaluation the input itself."""
        return functional.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"
