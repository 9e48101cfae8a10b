"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Array, wrap
from tinygrad_lite.dtypes import float64
from tinygrad_lite.optim.optimizer import Optimizer, ParameterGroup, Parameters, as_number

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015).

    Of the gradient ``g`` at step ``t``::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to train, or groups of it with settings of their own.
    lr : float
        The learning rate: about the size of a step.
    betas : (float, float)
        How much of the running means is kept, from 0 up to but not including 1.
    eps : float
        Keeps the division from exploding.
    weight_decay : float
        The factor of an L2 penalty: it adds ``weight_decay * p`` to the gradient.
    amsgrad : bool
        Use the largest ``v`` so far (Reddi et al. 2018).
    maximize : bool
        Climb instead of descend.
    decoupled_weight_decay : bool
        Shrink the parameter by ``lr * weight_decay`` instead of the penalty: AdamW.

    Raises
    ------
    TypeError, ValueError
        As :class:`Optimizer`; also for a beta outside its range.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.Parameter(tl.tensor([1.0, 2.0]))
    >>> optimizer = tl.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.9000, 1.9000])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check_hyperparameters(self, group: ParameterGroup) -> None:
        super()._check_hyperparameters(group)
        for index, beta in enumerate(group["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"betas[{index}] must be at least 0 and below 1, got {beta}")

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: ParameterGroup) -> None:
        if not state:
            _initialise(state, parameter, group["amsgrad"])
        weight_decay = as_number(group["weight_decay"])
        if group["decoupled_weight_decay"]:
            parameter = np.multiply(parameter, 1 - as_number(group["lr"]) * weight_decay, out=parameter)
            weight_decay = 0.0
        gradient = self._objective_gradient(parameter, gradient, weight_decay, group["maximize"])
        mean, square = self._running_means(gradient, state, group)
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]._array
            square = np.maximum(largest, square, out=largest)
        rate, eps = self._corrected(parameter.dtype, state, group)
        step = np.sqrt(square, out=self._scratch.like(parameter))
        step = np.add(step, eps, out=step)
        step = np.divide(mean, step, out=step)
        step = np.multiply(step, rate, out=step)
        np.subtract(parameter, step, out=parameter)

    def _running_means(self, gradient: Array, state: dict[str, Any], group: ParameterGroup) -> tuple[Array, Array]:
        """The means of the gradient and of its square, brought up to date."""
        beta1, beta2 = map(as_number, group["betas"])
        mean, square = state["exp_avg"]._array, state["exp_avg_sq"]._array
        part = np.multiply(gradient, 1 - beta1, out=self._scratch.like(mean))  # where the gradient may lie
        mean = np.multiply(mean, beta1, out=mean)
        mean = np.add(mean, part, out=mean)
        part = np.square(part, out=part)
        part = np.multiply(part, (1 - beta2) / (1 - beta1) ** 2, out=part)
        square = np.multiply(square, beta2, out=square)
        square = np.add(square, part, out=square)
        return mean, square

    def _corrected(self, dtype: np.dtype[Any], state: dict[str, Any], group: ParameterGroup) -> tuple[Array, Array]:
        """``lr`` and ``eps`` scaled to make up for means that started at 0, as 0-d arrays of ``dtype``.

        With ``c = sqrt(1 - beta2**t)`` the step is ``lr * c / (1 - beta1**t) * m / (sqrt(v) + c * eps)``.
        """
        beta1, beta2 = map(as_number, group["betas"])
        first, second = self._scratch.two_numbers(float64)
        step = state["step"]._array
        step = np.add(step, 1, out=step)
        first = np.power(beta1, step, out=first)
        first = np.subtract(1, first, out=first)
        second = np.power(beta2, step, out=second)
        second = np.subtract(1, second, out=second)
        second = np.sqrt(second, out=second)
        first = np.divide(second, first, out=first)
        rate, eps = self._scratch.two_numbers(dtype)
        return np.multiply(first, as_number(group["lr"]), out=rate), np.multiply(
            second, as_number(group["eps"]), out=eps
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): ``p -= lr * weight_decay * p`` comes first.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        As :class:`Adam`.
    weight_decay : float
        The share that is taken off each parameter, times ``lr``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.Parameter(tl.tensor([1.0, 2.0]))
    >>> optimizer = tl.optim.AdamW([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.8990, 1.8980])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


def _initialise(state: dict[str, Any], parameter: Array, amsgrad: bool) -> None:
    state["step"] = wrap(np.zeros(()))
    for name in ("exp_avg", "exp_avg_sq") + ("max_exp_avg_sq",) * amsgrad:
        state[name] = wrap(np.zeros_like(parameter))
