"""Parameter: a tensor that belongs to a module and is trained."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a module finds among its attributes and an optimizer trains.

    Parameters
    ----------
    data : Tensor
        The initial values, of any shape; the memory is shared.
    requires_grad : bool
        Whether gradients are computed for it.

    Raises
    ------
    TypeError
        If ``data`` is not a Tensor.
    RuntimeError
        If ``requires_grad`` and the dtype is not floating point.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.Parameter(tl.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Tensor, requires_grad: bool = True) -> None:
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(data): expected a Tensor, not {type(data).__name__}; use tl.tensor(data) first")
        super().__init__(data)
        self._version = data._version  # changes through either are changes of both
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients, or set them to 0 in place and outside of any graph."""
    for parameter in parameters:
        if set_to_none:
            parameter._grad = None
        elif parameter._grad is not None:
            gradient = parameter._grad = parameter._grad.detach()
            np.copyto(gradient._array, 0)
            gradient._version[0] += 1
