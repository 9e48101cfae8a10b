"""Losses as modules; the formulas are in ``nn.functional``."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn import functional
from tinygrad_lite.nn.module import Module
from tinygrad_lite.ops.losses import Reduction, check_reduction

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "NLLLoss"]


class _Loss(Module):
    """What losses share: how the elements' losses are reduced to one number."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with given factors, which move with the module's state."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """The squared error: see :func:`tinygrad_lite.nn.functional.mse_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.MSELoss()(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of an input and a target of one shape."""
        return functional.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute error: see :func:`tinygrad_lite.nn.functional.l1_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.L1Loss(reduction="sum")(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of an input and a target of one shape."""
        return functional.l1_loss(input, target, reduction=self.reduction)


class BCELoss(_WeightedLoss):
    """Cross-entropy of probabilities of two classes: see :func:`tinygrad_lite.nn.functional.binary_cross_entropy`.

    Parameters
    ----------
    weight : Tensor, optional
        Factors of the elements; broadcast to the input's shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.BCELoss()(tl.tensor([0.5, 0.5]), tl.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(weight, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities and floating-point targets of one shape."""
        return functional.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """A sigmoid and :class:`BCELoss` in one: see :func:`tinygrad_lite.nn.functional.binary_cross_entropy_with_logits`.

    Parameters
    ----------
    weight : Tensor, optional
        Factors of the elements; broadcast to the input's shape.
    reduction : {"mean", "sum", "none"}
        Over all elements.
    pos_weight : Tensor, optional
        Factors of class 1, for unbalanced data; broadcast to the input's shape.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.BCEWithLogitsLoss()(tl.tensor([0.0, 0.0]), tl.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, *, reduction: Reduction = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and floating-point targets of one shape."""
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class NLLLoss(_WeightedLoss):
    """Minus the log probability of the target class: see :func:`tinygrad_lite.nn.functional.nll_loss`.

    Parameters
    ----------
    weight : Tensor, shape (C,), optional
        What a sample of each class counts.
    ignore_index : int
        Targets of this value count nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over the weights of the targets.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.NLLLoss()(tl.tensor([[-1.0, -2.0]]), tl.tensor([1]))
    tensor(2.)
    """

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """The loss of log probabilities ``(N, C)`` and int64 class indices ``(N,)``."""
        return functional.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of logits of many classes: see :func:`tinygrad_lite.nn.functional.cross_entropy`.

    Parameters
    ----------
    weight : Tensor, shape (C,), optional
        What a sample of each class counts.
    ignore_index : int
        Class indices of this value count nothing.
    reduction : {"mean", "sum", "none"}
        For class indices the mean is over the weights of the targets.
    label_smoothing : float
        The share of each target that is spread evenly over all classes, from 0 to 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.CrossEntropyLoss()(tl.zeros(3, 10), tl.tensor([0, 5, 9]))
    tensor(2.3026)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """The loss of logits ``(N, C)`` and class indices ``(N,)`` or probabilities ``(N, C)``."""
        return functional.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )
