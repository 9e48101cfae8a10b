"""The steps as a user of JAX writes them: loss, gradients and update in one jitted function.

What a step changes is donated, so that XLA can update it in place. JAX computes asynchronously: a step waits for its
loss. Adam is spelled out, as the optimizers for JAX live in packages of their own.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.by_hand import RATE
from benchmarks.contestants import Contestant

HIDDEN = {"ReLU": jax.nn.relu, "Sigmoid": jax.nn.sigmoid}


def binary_cross_entropy(z, y):
    """The mean over the samples, of logits."""
    return jnp.mean(jnp.logaddexp(0, z) - y * z)


def cross_entropy(z, labels):
    """The mean over the samples, of logits."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))


def squared_error(z, y):
    """Half the sum of squares, of logits."""
    return 0.5 * jnp.sum((jax.nn.sigmoid(z) - y) ** 2)


LOSSES = {
    "binary cross-entropy": binary_cross_entropy,
    "cross-entropy": cross_entropy,
    "squared error": squared_error,
}


def net(
    parameters: list[np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    hidden: str,
    loss: str,
    l2: float = 0.0,
    dropout: float = 0.0,
    eps: float | None = None,
) -> Contestant:
    """A training step of a dense net.

    Parameters
    ----------
    parameters : list of ndarray
        Weights ``(out, in)`` and biases, in turn.
    x, y : ndarray
        Samples as rows, and their labels.
    hidden, loss : str
        As in :data:`HIDDEN` and :data:`LOSSES`.
    l2 : float
        The penalty is ``l2 / 2m`` times the sum of the squared weights.
    dropout : float
        The probability of a zero after the first hidden layer.
    eps : float, optional
        Train by Adam with this ``eps`` instead of plain gradient descent.
    """

    def loss_of(parameters, key, x, y):
        a = x
        for number, (w, b) in enumerate(zip(parameters[:-2:2], parameters[1:-2:2], strict=True)):
            a = HIDDEN[hidden](a @ w.T + b)
            if dropout and number == 0:
                kept = jax.random.bernoulli(key, 1 - dropout, a.shape)
                a = jnp.where(kept, a / (1 - dropout), 0)
        value = LOSSES[loss](a @ parameters[-2].T + parameters[-1], y)
        if l2:
            value += l2 / (2 * len(x)) * sum(jnp.sum(w * w) for w in parameters[::2])
        return value

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, x, y):
        key, used = jax.random.split(state["key"]) if dropout else (state["key"], None)
        value, gradients = jax.value_and_grad(loss_of)(state["parameters"], used, x, y)
        return {**(descend(state, gradients) if eps is None else adam(state, gradients, eps)), "key": key}, value

    with jax.enable_x64(x.dtype == np.float64):
        state: dict[str, Any] = {"parameters": [jnp.array(array) for array in parameters], "key": jax.random.key(0)}
        if eps is not None:
            state["step"] = jnp.array(0)
            state["mean"], state["square"] = ([jnp.zeros_like(p) for p in state["parameters"]] for _ in range(2))
        x, y = jnp.array(x), jnp.array(y)

    def step():
        nonlocal state
        state, value = update(state, x, y)
        return value.block_until_ready()

    return Contestant(_in_precision_of(x, step), lambda: list(map(np.asarray, state["parameters"])))


def descend(state, gradients):
    """The state after a step of gradient descent."""
    return {**state, "parameters": jax.tree.map(lambda p, g: p - RATE * g, state["parameters"], gradients)}


def adam(state, gradients, eps):
    """The state after a step of Adam."""
    step = state["step"] + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], gradients)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["square"], gradients)
    parameters = jax.tree.map(
        lambda p, m, v: p - RATE * (m / (1 - 0.9**step)) / (jnp.sqrt(v / (1 - 0.999**step)) + eps),
        state["parameters"],
        mean,
        square,
    )
    return {**state, "parameters": parameters, "step": step, "mean": mean, "square": square}


def tanh_chain(a: np.ndarray, b: np.ndarray, repeats: int) -> Contestant:
    """Loss and gradients of ``repeats`` times ``x = tanh(x * b + a) - b``, summed, from ``x = a``."""

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def loss_and_gradients(a, b):
        x = a
        for _ in range(repeats):
            x = jnp.tanh(x * b + a) - b
        return x.sum()

    with jax.enable_x64(a.dtype == np.float64):
        a, b = jnp.array(a), jnp.array(b)
    gradients: tuple[Any, ...] = ()

    def step():
        nonlocal gradients
        loss, gradients = loss_and_gradients(a, b)
        return loss.block_until_ready()

    return Contestant(_in_precision_of(a, step), lambda: list(map(np.asarray, gradients)))


def _in_precision_of(x: Any, step: Callable[[], Any]) -> Callable[[], Any]:
    """The step with float64 allowed if it computes in that: JAX compiles for float32 unless told."""
    if x.dtype == np.float32:
        return step  # as it is timed: nothing around it

    def in_float64():
        with jax.enable_x64(True):
            return step()

    return in_float64
