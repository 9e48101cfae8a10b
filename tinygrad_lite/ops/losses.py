"""Losses: how far predictions are from targets. Their documented functions are in ``nn.functional``.

Fused primitives, for two reasons: composed of logarithms, derivatives would be nan where a sigmoid or
softmax saturates; and they are the hot path of the documents' nets.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.ops.elementwise import sigmoid
from tinygrad_lite.ops.indexing import gather, in_range
from tinygrad_lite.ops.shape import reshape
from tinygrad_lite.ops.softmax import _softmax, largest, log_softmax, total

__all__ = ["binary_cross_entropy", "check_reduction", "cross_entropy", "logistic_loss", "nll_loss", "reduce"]


Reduction = Literal["none", "mean", "sum"]


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless it is the name of a reduction."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction!r} is not a reduction: use 'mean', 'sum' or 'none'")


def reduce(losses: Any, reduction: str) -> Tensor:
    """The mean or sum of all losses, or the losses themselves."""
    if reduction == "none":
        return losses
    summed = np.add.reduce(losses, axis=None)
    return summed / math.prod(losses.shape) if reduction == "mean" else summed


def _each(g: Any, reduction: str, shape: tuple[int, ...]) -> Any:
    """The cotangent of each loss before the reduction; it broadcasts."""
    return g / math.prod(shape) if reduction == "mean" else g


# ---- two classes


@primitive(saves="input target")
def logistic_loss(input, target, *, reduction):
    """``-(y log s(x) + (1 - y) log(1 - s(x)))`` of logits x, ``s`` the sigmoid."""
    # for y = 1 and x > 0 the first two terms cancel exactly, and the small last one is not rounded away
    losses = np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.absolute(input)))
    return reduce(losses, reduction)


@logistic_loss.vjp(0)
def _(g, out, x, y, reduction):
    return _each(g, reduction, x.shape) * (sigmoid(x) - y)


@logistic_loss.vjp(1)
def _(g, out, x, y, reduction):
    return -_each(g, reduction, x.shape) * x


@primitive(saves="input target")
def binary_cross_entropy(input, target):
    """``-(y log p + (1 - y) log(1 - p))`` of probabilities p, with logarithms of at least -100."""
    outside = np.asarray(np.ceil(np.maximum(-input, input - 1)), dtype=np.int64, like=input)
    try:
        zero = np.take(np.zeros(1, input.dtype, like=input), outside)  # a look-up: a captured program keeps the check
    except IndexError:
        raise RuntimeError(
            "binary_cross_entropy: all elements of the input must be probabilities, from 0 to 1: apply a sigmoid "
            "first, or use binary_cross_entropy_with_logits"
        ) from None
    return zero - target * _bounded(np.log(input)) - (1 - target) * _bounded(np.log1p(-input))


@binary_cross_entropy.vjp(0)
def _(g, out, p, y):
    return g * (p - y) / np.maximum(p * (1 - p), 1e-12)


@binary_cross_entropy.vjp(1)
def _(g, out, p, y):
    return g * (_bounded(np.log1p(-p)) - _bounded(np.log(p)))


def _bounded(logarithm):
    return np.maximum(logarithm, -100)


# ---- many classes


@primitive(saves="input target")
def _cross_entropy(input, target, *, reduction):
    """``log sum_k exp(x_k) - x_target`` of each row, where every sample counts the same."""
    labels = in_range(target, size=input.shape[1], error=IndexError, name="cross_entropy: target class")
    shifted = input - largest(input, 1)
    normaliser = np.log(total(np.exp(shifted), 1))[:, 0]
    return reduce(normaliser - shifted[np.arange(shifted.shape[0]), labels], reduction)


@_cross_entropy.vjp(0)
def _(g, out, x, target, reduction):
    one_hot = target[:, None] == np.arange(x.shape[1])
    each = _each(g, reduction, target.shape)
    return (_softmax(x, axis=1) - one_hot) * (each[:, None] if reduction == "none" else each)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """The negative log likelihood of the target classes: ``-input[row, target]``.

    Parameters
    ----------
    input : Tensor, shape (N, C), (C,) or (N, C, d1, ...)
        Log probabilities.
    target : int64 Tensor, shape (N,), () or (N, d1, ...)
        Class indices, in range(C) or equal to ``ignore_index``.
    weight : Tensor, shape (C,), optional
        What a sample of each class counts.
    ignore_index : int
        Targets of this value count nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over the weights of the targets; nan if there are none.

    Raises
    ------
    IndexError
        For a class that does not exist.
    RuntimeError, ValueError
        For targets of another dtype or shape, and for an unknown reduction.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.functional.nll_loss(tl.tensor([[-1.0, -2.0]]), tl.tensor([1]))
    tensor(2.)
    """
    check_reduction(reduction)
    rows, labels = _by_row("nll_loss", input, target, weight)
    kept = labels != ignore_index
    labels = in_range(np.where(kept, labels, 0), size=rows.shape[1], error=IndexError, name="nll_loss: target class")
    counts = _counts(kept, labels, weight, rows.dtype)
    picked = gather(rows, 1, labels[:, None])[:, 0]
    losses = np.where(kept, -picked * counts, 0)  # no gradient of an ignored sample, not even 0 / 0
    if reduction == "none":
        return reshape(losses, target.shape)
    return np.sum(losses) / np.sum(counts) if reduction == "mean" else np.sum(losses)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-sum(target * log_softmax(input))``: how far logits are from the target classes.

    Its gradient with respect to the logits is ``softmax(input) - target`` (over the batch size for
    the mean): documents 000 to 004.

    Parameters
    ----------
    input : Tensor, shape (N, C), (C,) or (N, C, d1, ...)
        Logits, not probabilities.
    target : int64 Tensor of shape (N,), () or (N, d1, ...), or floating-point Tensor of the input's shape
        Class indices, or probabilities of the classes.
    weight : Tensor, shape (C,), optional
        What a sample of each class counts.
    ignore_index : int
        Class indices of this value count nothing.
    reduction : {"mean", "sum", "none"}
        For class indices the mean is over the weights of the targets.
    label_smoothing : float
        The share of each target that is spread evenly over all classes, from 0 to 1.

    Raises
    ------
    IndexError
        For a class that does not exist.
    RuntimeError, ValueError
        For targets of another dtype or shape, and for an unknown reduction.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> logits = tl.tensor([[2.0, 0.0]], requires_grad=True)
    >>> loss = tl.nn.functional.cross_entropy(logits, tl.tensor([0]))
    >>> loss.backward()
    >>> loss, logits.grad
    (tensor(0.1269, grad_fn=<CrossEntropyBackward0>), tensor([[-0.1192,  0.1192]]))
    """
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be from 0 to 1, not {label_smoothing}")
    if input.dtype.kind != "f":
        raise RuntimeError(f"cross_entropy of {input.dtype}: logits are floating point; convert with .float() first")
    if isinstance(target, Tensor) and target.dtype.kind == "f":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if label_smoothing:
        return _smooth_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    rows, labels = _by_row("cross_entropy", input, target, weight)
    loss = _of_labels(rows, labels, weight, ignore_index, reduction)
    return reshape(loss, target.shape) if reduction == "none" and target.ndim != 1 else loss


def _of_labels(rows: Tensor, labels: Tensor, weight: Any, ignore_index: int, reduction: Any) -> Tensor:
    """By the fused primitive where every sample counts the same, which its own check of the labels shows."""
    if weight is None and not 0 <= ignore_index < rows.shape[1]:
        try:
            return _cross_entropy(rows, labels, reduction=reduction)
        except IndexError:
            if ignore_index not in labels:
                raise
    return nll_loss(log_softmax(rows, 1), labels, weight, ignore_index, reduction)


def _smooth_cross_entropy(
    input: Tensor, target: Any, weight: Any, ignore_index: int, reduction: Any, label_smoothing: float
) -> Any:
    """A share of each target is spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    rows, labels = _by_row("cross_entropy", input, target, weight)
    log_p = log_softmax(rows, 1)
    hard = nll_loss(log_p, labels, weight, ignore_index, reduction)
    kept = labels != ignore_index
    smooth = np.where(kept, -np.sum(log_p if weight is None else log_p * weight, axis=1), 0)
    if reduction != "none":
        smooth = np.sum(smooth)
    if reduction == "mean":
        smooth = smooth / np.sum(_counts(kept, np.where(kept, labels, 0), weight, rows.dtype))
    loss = hard * (1 - label_smoothing) + smooth * (label_smoothing / rows.shape[1])
    return reshape(loss, target.shape) if reduction == "none" else loss


def _soft_cross_entropy(input: Tensor, target: Tensor, weight: Any, reduction: str, label_smoothing: float) -> Any:
    """The cross-entropy of target probabilities; the mean is over the samples."""
    if target.shape != input.shape:
        raise RuntimeError(
            f"cross_entropy: target probabilities {target.shape} need the shape of the logits {input.shape}; "
            "class indices are int64, convert them with .long()"
        )
    class_dim = 0 if input.ndim == 1 else 1
    classes = input.shape[class_dim]
    log_p = log_softmax(input, class_dim)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        _check_weight("cross_entropy", weight, classes)
        log_p = log_p * np.reshape(weight, (-1,) + (1,) * (input.ndim - class_dim - 1))
    losses = -np.sum(target * log_p, axis=class_dim)
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def _counts(kept: Any, labels: Any, weight: Any, dtype: Any) -> Any:
    """What each sample counts: 1, the weight of its class, or 0 where it is not kept."""
    counts = convert(kept, dtype=dtype)
    return counts if weight is None else counts * weight[labels]


def _check_weight(name: str, weight: Any, classes: int) -> None:
    if weight.shape != (classes,):
        raise RuntimeError(f"{name}: weight of shape {weight.shape} must hold one number for each of {classes} classes")


def _by_row(name: str, input: Any, target: Any, weight: Any) -> tuple[Any, Any]:
    """Logits as (samples, classes) and labels as (samples,), all shapes and dtypes checked."""
    for role, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: the {role} must be a Tensor, not {type(value).__name__}; use tl.tensor({role})")
    if target.dtype != dtypes.int64:
        raise RuntimeError(f"{name}: class indices must be int64, not {target.dtype}; convert with .long()")
    if input.ndim == 0:
        raise ValueError(f"{name}: the input needs a dimension of classes, got a 0-d tensor")
    expected = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if target.shape != expected:
        raise _wrong_shape(name, input, target, expected)
    if weight is not None:
        _check_weight(name, weight, input.shape[min(input.ndim - 1, 1)])
    if input.ndim == 1:
        return np.reshape(input, (1, -1)), np.reshape(target, (1,))
    if input.ndim == 2:
        return input, target
    return np.reshape(np.moveaxis(input, 1, -1), (-1, input.shape[1])), np.reshape(target, (-1,))


def _wrong_shape(name: str, input: Tensor, target: Tensor, expected: tuple[int, ...]) -> Exception:
    message = (
        f"{name}: target of shape {target.shape} for an input of shape {input.shape}: expected {expected}, "
        "one class index per sample"
    )
    if target.shape == input.shape:
        message += f"; if the target is one-hot, use target.argmax({min(input.ndim - 1, 1)})"
    elif target.numel() == math.prod(expected):
        message += f"; use target.reshape{expected}"
    return (ValueError if target.ndim == len(expected) else RuntimeError)(message)
