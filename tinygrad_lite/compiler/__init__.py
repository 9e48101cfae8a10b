"""Compiling: a training step recorded once, and from then on replayed without a graph.

``capture`` runs the step on recording arrays and gives a :class:`~tinygrad_lite.compiler.program.Program`; passes turn
programs into programs; an emitter turns one into something to call: NumPy source, or native code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["compile"]


def compile(model: Callable[..., Any] | None = None, *, fullgraph: bool = False, backend: str = "auto") -> Any:
    """A function or module that does the same in a fraction of the time: recorded once, replayed from then on.

    The first calls run as ever and are recorded; two that agree become a program, whose first run is held against
    another eager one. From then on there is no graph, no Python per operation, and nothing is allocated but the
    result. Parameters, gradients, buffers and the optimizer's state live where they did. Other shapes, dtypes,
    training modes, frozen parameters and Python values are noticed at the call, and recorded anew; learning rates
    and other hyperparameters are read at each call; random numbers are drawn anew and follow ``manual_seed``.

    What cannot be replayed (a branch on a tensor's value, ``item()``, printing) runs eagerly, with one warning that
    names the line.

    Parameters
    ----------
    model : callable
        A step (zero the gradients, forward, loss, backward, optimizer step) or a forward, with tensors as arguments;
        or a module, whose forward and backward are compiled for use in a training loop. Without it: a decorator.
    fullgraph : bool
        Raise RuntimeError instead of running eagerly.
    backend : {"auto", "native", "numpy"}
        Native code needs the extra ``fast`` (llvmlite); without it "auto" replays in NumPy.

    Returns
    -------
    Compiled
        To be called as before. ``source()`` is the program as NumPy code, ``explain()`` tells what was done.

    Raises
    ------
    ValueError
        For an unknown backend.
    ImportError
        For ``"native"`` where llvmlite is missing.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> net = tl.nn.Linear(3, 1)
    >>> optimizer = tl.optim.SGD(net.parameters(), lr=0.1)
    >>> @tl.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = tl.nn.functional.mse_loss(net(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = tl.ones(8, 3), tl.zeros(8, 1)
    >>> losses = [step(x, y).item() for _ in range(20)]
    >>> losses[-1] < losses[0] / 100
    True
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, backend=backend)
    from tinygrad_lite.compiler import api  # brought when it is needed: most programs compile nothing

    return api.compile_anything(model, fullgraph, backend)
