"""Layers and losses as functions: what the modules of ``nn`` call."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite import _names
from tinygrad_lite.autograd.record import to_result_type
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.ops import losses
from tinygrad_lite.ops.elementwise import clamp, relu, sigmoid, softplus, tanh
from tinygrad_lite.ops.indexing import one_hot
from tinygrad_lite.ops.linear_algebra import linear
from tinygrad_lite.ops.losses import Reduction, check_reduction, cross_entropy, nll_loss, reduce
from tinygrad_lite.ops.softmax import log_softmax, softmax
from tinygrad_lite.random import source_of

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "hardsigmoid",
    "l1_loss",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]

# ---- layers


def hardsigmoid(input: Tensor) -> Tensor:
    """``clip(x / 6 + 1/2, 0, 1)``: a sigmoid of three straight lines.

    Parameters
    ----------
    input : Tensor
        Floating point, any shape.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.functional.hardsigmoid(tl.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    out: Tensor = clamp(input + 3, 0, 6) / 6
    return out


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by ``1 / (1 - p)`` (Srivastava et al. 2014).

    The scale keeps the expected value, so that nothing needs to change in evaluation.

    Parameters
    ----------
    input : Tensor
        Floating point, any shape.
    p : float
        The probability of a zero, from 0 to 1.
    training : bool
        Otherwise the input comes back as it is.

    Raises
    ------
    ValueError
        If ``p`` is outside 0 to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> out = tl.nn.functional.dropout(tl.ones(1000), 0.75)
    >>> sorted(set(out.tolist()))
    [0.0, 4.0]
    """
    check_probability(p)
    if not training or p == 0:
        return input
    draws: Any = source_of().random(input.shape, np.float64 if input.dtype == np.float64 else np.float32)
    kept = np.greater_equal(draws, p, out=draws)
    scale = 1 / (1 - p) if p < 1 else 0.0
    out: Tensor = input * wrap(np.multiply(kept, scale, dtype=input.dtype, casting="same_kind"))
    return out


def check_probability(p: float) -> None:
    """Raise ValueError unless ``p`` is a probability for dropout."""
    if not 0 <= p <= 1:
        raise ValueError(f"the dropout probability must be from 0 to 1, not {p}")


# ---- losses


def mse_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """The squared error ``(input - target)**2``.

    Parameters
    ----------
    input, target : Tensor
        Of one shape.
    reduction : {"mean", "sum", "none"}
        Over all elements. Document 003's cost is half the sum.

    Raises
    ------
    ValueError
        If the shapes differ, or for an unknown reduction.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.functional.mse_loss(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 4.0]))
    tensor(2.)
    """
    check_reduction(reduction)
    _check_pair("mse_loss", input, target)
    loss: Tensor = reduce((input - target).square(), reduction)
    return loss


def l1_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """The absolute error ``|input - target|``; its derivative at 0 is 0.

    Parameters
    ----------
    input, target : Tensor
        Of one shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Raises
    ------
    ValueError
        If the shapes differ, or for an unknown reduction.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.functional.l1_loss(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 4.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    _check_pair("l1_loss", input, target)
    loss: Tensor = reduce((input - target).abs(), reduction)
    return loss


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """``-(y log p + (1 - y) log(1 - p))`` of probabilities (document 000).

    The logarithms are at least -100, and the derivative ``(p - y) / (p (1 - p))`` has a denominator
    of at least 1e-12, so that a saturated sigmoid trains on. For logits,
    :func:`binary_cross_entropy_with_logits` is exact.

    Parameters
    ----------
    input : Tensor
        Probabilities of class 1, any shape.
    target : floating-point Tensor
        0, 1 or probabilities, of the input's shape.
    weight : Tensor, optional
        Factors of the elements; broadcast to the input's shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Raises
    ------
    ValueError
        If the shapes differ, or for an unknown reduction.
    RuntimeError
        If the target is not floating point, or a probability is outside 0 to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> p = tl.tensor([0.5, 0.5], requires_grad=True)
    >>> loss = tl.nn.functional.binary_cross_entropy(p, tl.tensor([0.0, 1.0]), reduction="sum")
    >>> loss.backward()
    >>> p.grad
    tensor([ 2., -2.])
    """
    check_reduction(reduction)
    _check_pair("binary_cross_entropy", input, target)
    _check_labels("binary_cross_entropy", target)
    each = losses.binary_cross_entropy(*to_result_type(input, target))
    loss: Tensor = reduce(each if weight is None else each * weight, reduction)
    return loss


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``-(y log s(x) + (1 - y) log(1 - s(x)))``, ``s`` the sigmoid: exact for logits of any size.

    Its derivative is ``s(x) - y`` (document 000).

    Parameters
    ----------
    input : Tensor
        Logits of class 1, any shape.
    target : floating-point Tensor
        0, 1 or probabilities, of the input's shape.
    weight : Tensor, optional
        Factors of the elements; broadcast to the input's shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    pos_weight : Tensor, optional
        Factors of the terms with ``y``; broadcast to the input's shape.

    Raises
    ------
    ValueError
        If the shapes differ, or for an unknown reduction.
    RuntimeError
        If the target is not floating point.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> logits = tl.tensor([0.0, 1000.0])
    >>> tl.nn.functional.binary_cross_entropy_with_logits(logits, tl.tensor([1.0, 0.0]), reduction="none")
    tensor([6.9315e-01, 1.0000e+03])
    """
    check_reduction(reduction)
    _check_pair("binary_cross_entropy_with_logits", input, target)
    _check_labels("binary_cross_entropy_with_logits", target)
    if input.dtype != target.dtype:
        input, target = to_result_type(input, target)
    loss: Tensor
    if weight is None and pos_weight is None:
        loss = losses.logistic_loss(input, target, reduction=reduction)
        return loss
    if pos_weight is None:
        each = losses.logistic_loss(input, target, reduction="none")
    else:
        each = pos_weight * target * softplus(-input) + (1 - target) * softplus(input)
    loss = reduce(each if weight is None else each * weight, reduction)
    return loss


def _check_pair(name: str, input: Tensor, target: Tensor) -> None:
    """Raise unless both are tensors of one shape; broadcasting (n, 1) with (n,) would compare all pairs."""
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        role, value = ("target", target) if isinstance(input, Tensor) else ("input", input)
        raise TypeError(f"{name}: the {role} must be a Tensor, not {type(value).__name__}; use tl.tensor({role})")
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: input of shape {input.shape} and target of shape {target.shape} must have the same shape: "
            "use target.reshape(input.shape), or squeeze() the input"
        )


def _check_labels(name: str, target: Tensor) -> None:
    if target.dtype.kind != "f":
        raise RuntimeError(f"{name}: the target must be floating point, not {target.dtype}: use target.float()")


_names.explain_missing(__name__)
