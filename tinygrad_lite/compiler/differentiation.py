"""A forward that is differentiated later: its program, and another one for its backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.autograd.function import Function, once_differentiable
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap
from tinygrad_lite.compiler.naming import identifier
from tinygrad_lite.compiler.program import VIEWS, Program, Value, in_order

__all__ = ["Backward", "Replayed", "split"]


@dataclass
class Backward:
    """What a compiled forward leaves to its backward.

    Attributes
    ----------
    program : Program
        Its inputs: the gradients of the differentiable outputs, what the forward saved, and some of the forward's own
        inputs, in this order. Its outputs: the gradients of those sources that have one.
    outputs : list of int
        Which outputs of the forward are differentiable.
    saved : int
        How many arrays the forward saves: its last outputs.
    inputs : list of int
        Which inputs of the forward are read again.
    sources : list of int
        The inputs of the forward that need a gradient.
    found : list of bool
        For each source, whether it has one.
    """

    program: Program
    outputs: list[int]
    saved: int
    inputs: list[int]
    sources: list[int]
    found: list[bool]


def split(
    program: Program, outputs: list[int], cotangents: list[Value], sources: list[int], gradients: list[Value | None]
) -> Backward:
    """Cut a recorded forward and backward in two; the forward program gets what it saves as further outputs."""
    forward = set(program.values())
    kept = {value for value in forward if value.op not in VIEWS and value.op not in ("constant", "number")}
    roots = [gradient for gradient in gradients if gradient is not None]
    order = in_order(roots, stop=kept)
    direct = [value for value in order if value in kept and value.op == "input"]
    saved = [value for value in order if value in kept and value.op != "input"]
    inputs = [*cotangents, *saved, *direct]
    new = {
        value: Value("input", (), value.shape, value.dtype, value.order, value.origin, place=place)
        for place, value in enumerate(inputs)
    }
    for value in order:
        if value not in new:
            new[value] = value.like([new[x] for x in value.inputs])
    names = [f"d_output{i}" for i in outputs] + [f"saved{i}" for i in range(len(saved))]
    names += [program.names[value.params["place"]] for value in direct]
    program.outputs = [*program.outputs, *saved]
    kinds, found = ["argument"] * len(inputs), zip(sources, gradients, strict=True)
    output_names = [f"d_{identifier(program.names[place])}" for place, gradient in found if gradient is not None]
    return Backward(
        Program([new[v] for v in inputs], names, kinds, [new[root] for root in roots], output_names=output_names),
        outputs,
        len(saved),
        [value.params["place"] for value in direct],
        sources,
        [gradient is not None for gradient in gradients],
    )


class Replayed(Function):
    """The place of a compiled forward in the graph."""

    @staticmethod
    def forward(ctx: Any, replay: Any, outputs: Any, saved: Any, inputs: Any, *_sources: Tensor) -> Any:
        """Pass the outputs on, which the program has computed; the sources are what gradients go to."""
        ctx.replay, ctx.saved = replay, saved
        ctx.save_for_backward(*inputs)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradients of the sources, by the backward program."""
        arrays = [gradient._array for gradient in gradients]
        return None, None, None, None, *ctx.replay([*arrays, *ctx.saved, *(t._array for t in ctx.saved_tensors)])


class Replay:
    """Runs a backward program.

    Parameters
    ----------
    backward : Backward
        What is to be run.
    executable : object
        Its program, compiled.
    lock : context manager
        Held while it runs.
    """

    def __init__(self, backward: Backward, executable: Any, lock: Any) -> None:
        self.backward, self.executable, self.lock = backward, executable, lock
        executable.bind([np.empty(v.shape, v.dtype) for v in backward.program.inputs], [])

    def __call__(self, arrays: Sequence[Array]) -> list[Tensor | None]:
        """The gradient of each source, or None."""
        with self.lock:
            for place, array in enumerate(arrays):
                self.executable.rebind(place, array)
            self.executable.run()
            found = (wrap(output.copy()) for output in self.executable.outputs)
            return [next(found) if has_one else None for has_one in self.backward.found]
