"""Who runs the steps: names, who can run here, and what an implementation of a step offers."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lite as tl

BY_HAND, LITE, TORCH, JAX = "NumPy by hand", "tinygrad_lite", "PyTorch", "JAX"
COMPILED, REPLAYED = "tinygrad_lite compiled", "compiled, NumPy"

CALLS_TO_STEADY_STATE = {COMPILED: 6, REPLAYED: 6, JAX: 2}
"""How many calls of those who record or compile come before any that is timed; the others need one."""

PACKAGES = {COMPILED: "llvmlite", TORCH: "torch", JAX: "jax"}
"""What has to be installed; without llvmlite ``tl.compile`` replays in NumPy, which is a contestant already."""


@dataclass
class Contestant:
    """One implementation of a step, with a state of its own.

    Attributes
    ----------
    step : callable
        Runs once and returns the loss: this is what is timed.
    state : callable
        What the implementations must agree on: the parameters, or the gradients of the last step.
    """

    step: Callable[[], Any]
    state: Callable[[], list[np.ndarray]]


def contestants() -> list[str]:
    """Who can run here: PyTorch, JAX and native code only where they are installed."""
    everybody = [BY_HAND, LITE, COMPILED, REPLAYED, TORCH, JAX]
    return [who for who in everybody if who not in PACKAGES or importlib.util.find_spec(PACKAGES[who])]


def framework_of(who: str) -> Any:
    """The module whose tensors, layers and optimizers the contestant uses."""
    return importlib.import_module("torch") if who == TORCH else tl


def as_run_by(who: str, step: Callable[..., Any]) -> Callable[..., Any]:
    """The training step as the contestant calls it: compiled, or as it stands; one that stays eager is an error."""
    if who == COMPILED:
        return tl.compile(step, fullgraph=True)
    if who == REPLAYED:
        return tl.compile(step, fullgraph=True, backend="numpy")
    return step


def warm_up(who: str, contestant: Contestant) -> None:
    """Bring it to its steady state: what it records or compiles, it has recorded and compiled."""
    for _ in range(CALLS_TO_STEADY_STATE.get(who, 1)):
        contestant.step()
