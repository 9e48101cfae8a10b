"""Softmax and its relatives, stable for any finite logits and for -inf among them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.primitive import primitive
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.ops.indexing import in_range
from tinygrad_lite.ops.reduction import Dim, as_axis, numpy_keywords, spread

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "nll_loss", "softmax"]

Reduction = Literal["none", "mean", "sum"]


def _shift(x: Any, axis: Any) -> Any:
    """The largest entries, which make ``exp(x - shift)`` overflow nowhere; 0 where they are infinite."""
    largest = np.maximum.reduce(x, axis=axis, keepdims=True)
    return np.where(np.isfinite(largest), largest, 0)


@primitive(saves="input out")
def _logsumexp(input, *, axis, keepdims):
    shift = _shift(input, axis)
    out = np.log(np.add.reduce(np.exp(input - shift), axis=axis, keepdims=True)) + shift
    return out if keepdims else np.squeeze(out, axis)


@_logsumexp.vjp(0)
def _(g, out, x, axis, keepdims):
    shift = spread(np.where(np.isfinite(out), out, 0), axis, keepdims, x.shape)
    return spread(g, axis, keepdims, x.shape) * np.exp(x - shift)


@numpy_keywords
def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Any:
    """``log(sum(exp(input)))`` over ``dim``; -inf where every entry is -inf.

    Parameters
    ----------
    input : Tensor
        Floating point, any shape.
    dim : int or sequence of int
        What to sum over.
    keepdim : bool
        Keep the summed dimensions, with size 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.logsumexp(tl.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    return _logsumexp(input, axis=as_axis(input, dim), keepdims=keepdim)


@primitive(saves="out")
def _softmax(input, *, axis):
    e = np.exp(input - np.maximum.reduce(input, axis=axis, keepdims=True))
    return e / np.add.reduce(e, axis=axis, keepdims=True)


@_softmax.vjp(0)
def _(g, out, x, axis):
    return out * (g - np.add.reduce(g * out, axis=axis, keepdims=True))


def softmax(input: Any, dim: int) -> Any:
    """``exp(x) / sum(exp(x))`` along ``dim`` (documents 000 to 004): positive, and adds up to 1.

    The largest entry of each row is subtracted first, so that nothing overflows. A primitive of
    its own because its derivative, ``s * (g - sum(g * s))``, needs only the result.

    Parameters
    ----------
    input : Tensor
        Logits, floating point, any shape. A row of -inf alone gives nan.
    dim : int
        The dimension that adds up to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.softmax(tl.tensor([1000.0, 1000.0]), 0)
    tensor([0.5000, 0.5000])
    """
    _check("softmax", input)
    return _softmax(input, axis=as_axis(input, dim))


@primitive(saves="out")
def _log_softmax(input, *, axis):
    shifted = input - np.maximum.reduce(input, axis=axis, keepdims=True)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


@_log_softmax.vjp(0)
def _(g, out, x, axis):
    return g - np.exp(out) * np.add.reduce(g, axis=axis, keepdims=True)


def log_softmax(input: Any, dim: int) -> Any:
    """``log(softmax(input))``, exact also where the softmax rounds to 0.

    A primitive of its own for that reason. Its derivative is ``g - softmax * sum(g)``.

    Parameters
    ----------
    input : Tensor
        Logits, floating point, any shape.
    dim : int
        The dimension of the classes.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.log_softmax(tl.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    _check("log_softmax", input)
    return _log_softmax(input, axis=as_axis(input, dim))


def _check(name: str, input: Any) -> None:
    if input.dtype.kind != "f":
        raise RuntimeError(f"{name} of {input.dtype}: logits are floating point; convert with .float() first")


# ---- losses over classes


def _labels_and_counts(target: Any, weight: Any, ignore_index: int, classes: int, dtype: Any) -> tuple[Any, Any]:
    """The class of each row, 0 for an ignored one, and what the row counts: 1, its class's weight, or 0."""
    kept = target != ignore_index
    labels = in_range(np.where(kept, target, 0), size=classes, error=IndexError, name="cross-entropy: the target class")
    counts = convert(kept, dtype=dtype)
    return labels, counts if weight is None else counts * weight[labels]


@primitive(saves="target weight")
def _nll(input, target, weight, *, ignore_index, average):
    labels, counts = _labels_and_counts(target, weight, ignore_index, input.shape[1], input.dtype)
    picked = np.reshape(np.take_along_axis(input, np.expand_dims(labels, 1), 1), -1)
    total = -np.add.reduce(picked * counts)
    return total / np.add.reduce(counts) if average else total


@_nll.vjp(0)
def _(g, out, log_probabilities, target, weight, ignore_index, average):
    classes = log_probabilities.shape[1]
    labels, counts = _labels_and_counts(target, weight, ignore_index, classes, g.dtype)
    factor = -g * counts / np.add.reduce(counts) if average else -g * counts
    return np.where(np.expand_dims(labels, 1) == np.arange(classes), np.expand_dims(factor, 1), 0)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Any:
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
    rows, labels = _by_row("nll_loss", input, target)
    classes = rows.shape[1]
    if weight is not None:
        _check_weight("nll_loss", weight, classes)
    if reduction == "none":
        labels, counts = _labels_and_counts(labels, weight, ignore_index, classes, rows.dtype)
        losses = -np.take_along_axis(rows, np.expand_dims(labels, 1), 1)[:, 0] * counts
        return np.reshape(losses, target.shape)
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{reduction!r} is not a reduction: use 'mean', 'sum' or 'none'")
    return _nll(rows, labels, weight, ignore_index=ignore_index, average=reduction == "mean")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Any:
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
    (tensor(0.1269, grad_fn=<NllBackward0>), tensor([[-0.1192,  0.1192]]))
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be from 0 to 1, not {label_smoothing}")
    class_dim = 0 if input.ndim == 1 else 1
    log_probabilities = log_softmax(input, class_dim)
    if isinstance(target, Tensor) and target.dtype.kind == "f":
        return _soft_cross_entropy(log_probabilities, target, weight, reduction, label_smoothing)
    loss = nll_loss(log_probabilities, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return loss
    classes = input.shape[class_dim]
    weighted = log_probabilities if weight is None else log_probabilities * _along(weight, class_dim, input.ndim)
    kept = convert(target != ignore_index, dtype=input.dtype)
    smooth = -np.sum(weighted, axis=class_dim) * kept
    if reduction != "none":
        smooth = np.sum(smooth)
    if reduction == "mean":
        counts = kept if weight is None else kept * weight[np.where(target != ignore_index, target, 0)]
        smooth = smooth / np.sum(counts)
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / classes)


def _soft_cross_entropy(log_p: Tensor, target: Tensor, weight: Any, reduction: str, label_smoothing: float) -> Any:
    """The cross-entropy of target probabilities; the mean is over the samples."""
    if target.shape != log_p.shape:
        raise RuntimeError(
            f"cross_entropy: target probabilities {target.shape} need the shape of the logits {log_p.shape}; "
            "class indices must be int64"
        )
    class_dim = 0 if log_p.ndim == 1 else 1
    classes = log_p.shape[class_dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        _check_weight("cross_entropy", weight, classes)
        log_p = log_p * _along(weight, class_dim, log_p.ndim)
    losses = -np.sum(target * log_p, axis=class_dim)
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{reduction!r} is not a reduction: use 'mean', 'sum' or 'none'")
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def _along(weight: Any, dim: int, ndim: int) -> Any:
    """A vector as a tensor that broadcasts along one dimension of many."""
    return np.reshape(weight, (1,) * dim + (-1,) + (1,) * (ndim - dim - 1))


def _check_weight(name: str, weight: Any, classes: int) -> None:
    if weight.shape != (classes,):
        raise RuntimeError(f"{name}: weight of shape {weight.shape} must hold one number for each of {classes} classes")


def _by_row(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Log probabilities as (samples, classes) and labels as (samples,), checked."""
    if not isinstance(target, Tensor) or target.dtype != dtypes.int64:
        found = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise RuntimeError(f"{name}: class indices must be an int64 Tensor, not {found}; convert with .long()")
    if input.ndim == 0:
        raise ValueError(f"{name}: the input needs a dimension of classes, got a 0-d tensor")
    expected = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if target.shape != expected:
        raise ValueError(
            f"{name}: target of shape {target.shape} for an input of shape {input.shape}: expected {expected}, "
            "one class index per sample"
        )
    if input.ndim == 1:
        return np.reshape(input, (1, -1)), np.reshape(target, (1,))
    if input.ndim == 2:
        return input, target
    return np.reshape(np.moveaxis(input, 1, -1), (-1, input.shape[1])), np.reshape(target, (-1,))
