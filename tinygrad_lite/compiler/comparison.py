"""Whether two recordings of a step are one program: what differs is hidden state."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.autograd.tree import leaves, same_structure
from tinygrad_lite.compiler.capture import Capture, GradientOf
from tinygrad_lite.compiler.program import Value
from tinygrad_lite.compiler.surroundings import PLAIN, Surroundings

__all__ = ["circumstances", "first_difference"]


def circumstances(capture: Capture, around: Surroundings) -> Hashable:
    """What a recording was made under: two under the same must be one program.

    Other surroundings, other answers about hyperparameters, gradients that are there or not, and an argument that is
    given twice make other programs, without any hidden state.
    """
    places = tuple((condition.name, _identity(condition.expected)) for condition in around.conditions)
    answers = tuple((expression, repr(answer)) for expression, answer in capture.conditions.items())
    without = frozenset(id(tensor) for tensor in capture.without_gradient)
    return places, answers, without, _tensors(capture), tuple(capture.program.kinds)


def _identity(thing: Any) -> Hashable:
    return (type(thing), repr(thing)) if isinstance(thing, PLAIN) else id(thing)


def first_difference(one: Capture, other: Capture) -> str:
    """Where two recordings differ first, in words; empty if they are the same program.

    What a step changes is left out of the comparison (that ``.grad`` was None before its first run and is not
    now), unless the program reads it.
    """
    a, b = one.program, other.program
    for first, second in zip(a.values(), b.values(), strict=False):
        difference = _difference(first, second)
        if difference:
            return f"{difference} at every call, in {second.origin.line}"
    same = (
        len(a.values()) == len(b.values())
        and _tensors(one) == _tensors(other)
        and [place for place, _ in a.writes] == [place for place, _ in b.writes]
        and [name for name, _ in a.gradients] == [name for name, _ in b.gradients]
        and one.conditions == other.conditions
    )
    if not same:
        return "two calls in a row do not compute the same things"
    return "" if _same_results(one.result, other.result) else "the step returns another Python value at every call"


def _tensors(capture: Capture) -> tuple[Hashable, ...]:
    """What the inputs stand for."""
    return tuple(("grad", id(t.tensor)) if isinstance(t, GradientOf) else id(t) for t in capture.tensors)


def _difference(first: Value, second: Value) -> str:
    if first.op != second.op or len(first.inputs) != len(second.inputs):
        return f"another operation ({first.op}, then {second.op})"
    if first.shape != second.shape or first.dtype != second.dtype:
        return f"the result of {first.op} has another shape or dtype ({first.shape}, then {second.shape})"
    if [x.position for x in first.inputs] != [x.position for x in second.inputs]:
        return f"{first.op} is computed from other arrays"
    for key in first.params:
        if not _equal(first.params[key], second.params.get(key)):
            what = "a constant has another value" if first.op == "constant" else f"{first.op} has another {key}"
            return f"{what} ({_short(first.params[key])}, then {_short(second.params.get(key))})"
    return ""


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a is b or (type(a) is type(b) and bool(a == b))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.size > 1 else repr(value.item())
    return repr(value)


def _same_results(one: Any, other: Any) -> bool:
    if not same_structure(one, other):
        return False
    pairs = zip(leaves(one), leaves(other), strict=True)
    return all(type(a) is type(b) and (isinstance(a, Tensor) or _equal(a, b)) for a, b in pairs)
