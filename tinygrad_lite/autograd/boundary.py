"""Where a differentiation begins: inputs with a place in the graph that no other tensor has.

A gradient with respect to such an input ends there, whatever else the function uses. What lies behind it is
linked or cut off separately, so that derivatives can be taken of derivatives, or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.engine import grad
from tinygrad_lite.autograd.graph import Primitive
from tinygrad_lite.autograd.record import record_node
from tinygrad_lite.autograd.sharing import note_view
from tinygrad_lite.autograd.tensor import Tensor, wrap

__all__ = ["Boundary", "depends_on_leaves", "pull_back", "zeros_like"]


def _boundary(input: Any) -> Any:
    return input


def _boundary_vjp(g: Any, *_: Any) -> Any:
    return g


_BOUNDARY = Primitive(_boundary)
_BOUNDARY.vjp(0)(_boundary_vjp)


class Boundary:
    """An input of a function that is differentiated.

    Parameters
    ----------
    tensor : Tensor
        What the input stands for.
    linked : bool
        Whether the result shall be differentiable with respect to ``tensor``, if that requires grad.

    Attributes
    ----------
    place : Tensor
        What to differentiate with respect to.
    """

    def __init__(self, tensor: Tensor, linked: bool) -> None:
        self.tensor = tensor
        self.linked = linked and tensor._requires_grad
        self.place = wrap(tensor._array, version=tensor._version)
        source = tensor if self.linked else tensor.detach().requires_grad_()
        record_node(_BOUNDARY, {}, self.place, [source], (False, False))

    def argument(self) -> Tensor:
        """What to call the function with; it may change it in place."""
        argument = wrap(self.place._array, version=self.place._version)
        if self.linked:
            note_view(self.tensor, argument)
        argument._node, argument._requires_grad = self.place._node, True
        return argument

    def close(self) -> None:
        """The function has been called: from here on nothing lies behind an input that is not linked."""
        if not self.linked:
            self._lead_to(None)

    def link(self) -> None:
        """Link it afterwards: what was computed through it so far becomes differentiable."""
        self._lead_to(self.tensor._node or self.tensor)

    def _lead_to(self, edge: Any) -> None:
        assert self.place._node is not None
        self.place._node.edges = (edge,)


def depends_on_leaves(tensors: Sequence[Any]) -> bool:
    """Whether a gradient of one of them would arrive at any leaf."""
    stack: list[Any] = [t._node or t for t in tensors if isinstance(t, Tensor) and t._requires_grad]
    seen = set()
    while stack:
        place = stack.pop()
        if isinstance(place, Tensor):
            return True
        if place not in seen:
            seen.add(place)
            stack += [edge for edge in place.edges if edge is not None]
    return False


def pull_back(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    create_graph: bool,
    retain_graph: bool | None = None,
) -> list[Tensor | None]:
    """The gradients of the inputs; None where there is no way from any output."""
    pairs = [(output, g) for output, g in zip(outputs, cotangents, strict=True) if output._requires_grad]
    if not pairs:
        return [None] * len(inputs)
    recorded, gradients = zip(*pairs, strict=True)
    return list(grad(recorded, inputs, gradients, retain_graph, create_graph, allow_unused=True))


def zeros_like(tensor: Tensor) -> Tensor:
    """Zeros of the tensor's shape and dtype."""
    return wrap(np.zeros(tensor.shape, tensor.dtype))
