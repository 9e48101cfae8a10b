"""The two fused primitives of binary classification, elementwise; ``nn.functional`` checks their inputs.

Fused for numerical reasons: composed of logarithms, their derivatives would be nan where a sigmoid
saturates. The second is also the hot path of document 000's nets.
"""
# ruff: noqa: ARG001 - a rule has the arguments of every rule

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.ops.elementwise import sigmoid

__all__ = ["binary_cross_entropy", "logistic_loss"]


@primitive(saves="input target", casts="float")
def binary_cross_entropy(input: Any, target: Any) -> Any:
    """``-(y log p + (1 - y) log(1 - p))`` of probabilities, with logarithms of at least -100."""
    outside = np.asarray(np.ceil(np.maximum(-input, input - 1)), dtype=np.int64, like=input)
    try:
        zero = np.take(np.zeros(1, input.dtype), outside)  # a look-up, so that a captured program keeps the check
    except IndexError:
        raise RuntimeError(
            "binary_cross_entropy: all elements of the input must be probabilities, from 0 to 1: apply a sigmoid "
            "first, or use binary_cross_entropy_with_logits"
        ) from None
    return zero - target * _bounded(np.log(input)) - (1 - target) * _bounded(np.log1p(-input))


@binary_cross_entropy.vjp(0)
def _(g: Any, out: Any, p: Any, y: Any) -> Any:
    return g * (p - y) / np.maximum(p * (1 - p), 1e-12)


@binary_cross_entropy.vjp(1)
def _(g: Any, out: Any, p: Any, y: Any) -> Any:
    return g * (_bounded(np.log1p(-p)) - _bounded(np.log(p)))


def _bounded(logarithm: Any) -> Any:
    return np.maximum(logarithm, -100)


@primitive(saves="input target", casts="float")
def logistic_loss(input: Any, target: Any) -> Any:
    """``-(y log s(x) + (1 - y) log(1 - s(x)))`` of logits."""
    # for y = 1 and x > 0 the first two terms cancel exactly, and the small last one is not rounded away
    return np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.absolute(input)))


@logistic_loss.vjp(0)
def _(g: Any, out: Any, x: Any, y: Any) -> Any:
    return g * (sigmoid(x) - y)


@logistic_loss.vjp(1)
def _(g: Any, out: Any, x: Any, y: Any) -> Any:
    return -g * x
