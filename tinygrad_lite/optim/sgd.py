"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Array, wrap
from tinygrad_lite.optim.optimizer import Optimizer, ParameterGroup, Parameters, as_number

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= lr * g`` (documents 000 to 003).

    With momentum ``p -= lr * b`` instead, where ``b = momentum * b + (1 - dampening) * g`` and the
    first ``b`` is the first ``g``; with Nesterov's ``p -= lr * (g + momentum * b)`` (Sutskever et
    al. 2013, in PyTorch's form).

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to train, or groups of it with settings of their own.
    lr : float
        The learning rate.
    momentum : float
        The share of the previous step that is kept.
    dampening : float
        What the momentum takes from the gradient.
    weight_decay : float
        The factor of an L2 penalty: it adds ``weight_decay * p`` to the gradient.
    nesterov : bool
        Use Nesterov's momentum.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    TypeError, ValueError
        As :class:`Optimizer`; also for Nesterov's momentum without momentum or with dampening.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.Parameter(tl.tensor([1.0, 2.0]))
    >>> optimizer = tl.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.8000, 1.6000])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_hyperparameters(self, group: ParameterGroup) -> None:
        super()._check_hyperparameters(group)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("Nesterov's momentum needs momentum > 0 and dampening = 0")

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: ParameterGroup) -> None:
        lr, momentum = as_number(group["lr"]), as_number(group["momentum"])
        if group["weight_decay"] or group["maximize"]:
            gradient = self._objective_gradient(
                parameter, gradient, as_number(group["weight_decay"]), group["maximize"]
            )
        if not momentum:
            self._move(parameter, gradient, lr)
            return
        velocity = self._velocity(gradient, momentum, 1 - as_number(group["dampening"]), state)
        if group["nesterov"]:
            self._move(parameter, gradient, lr)
            self._move(parameter, velocity, lr * momentum)
        else:
            self._move(parameter, velocity, lr)

    def _velocity(self, gradient: Array, momentum: float, share: float, state: dict[str, Any]) -> Array:
        """The running sum of gradients, brought up to date."""
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = wrap(np.copy(gradient))
            first: Array = state["momentum_buffer"]._array
            return first
        velocity: Array = state["momentum_buffer"]._array
        if share != 1:
            gradient = np.multiply(gradient, share, out=self._scratch.like(velocity))
        velocity = np.multiply(velocity, momentum, out=velocity)
        return np.add(velocity, gradient, out=velocity)

    def _move(self, parameter: Array, direction: Array, lr: float) -> None:
        step = np.multiply(direction, lr, out=self._scratch.like(parameter))
        np.subtract(parameter, step, out=parameter)
