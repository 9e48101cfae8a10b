"""Document 000: logistic, shallow, deep and multi-class nets that learn from one sample, a vector ``x``, at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

import tinygrad_lite as tl
from derivations.formulas import sigmoid, softmax
from derivations.records import Array, Derivation, Dispute, Finding, Problem, gradients, grid

__all__ = ["DERIVATIONS", "FINDINGS", "TITLE"]

TITLE = "Document 000: one sample at a time"
GUARD = 1e-8


# ---- the formulas


def logistic(w: Array, b: Array, x: Array, y: float) -> list[Array]:
    """The gradients of the logistic model."""
    p = sigmoid(w @ x + b)
    return [(p - y) * x, p - y]


def shallow(W1: Array, b1: Array, W2: Array, b2: Array, x: Array, y: float) -> list[Array]:
    """The gradients of one hidden layer."""
    a1 = sigmoid(W1 @ x + b1)
    p = sigmoid(W2 @ a1 + b2)
    dz2 = p - y
    dz1 = a1 * (1 - a1) * (W2.T @ dz2)
    return [np.outer(dz1, x), dz1, np.outer(dz2, a1), dz2]


def deep(*parameters: Array, x: Array, y: Array | float, head: Callable[[Array], Array]) -> list[Array]:
    """The gradients of any number of hidden layers; the head is ``sigmoid``, or ``softmax`` for a one-hot ``y``."""
    weights, biases = parameters[::2], parameters[1::2]
    activations = [x]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        activations.append(sigmoid(W @ activations[-1] + b))
    dz = head(weights[-1] @ activations[-1] + biases[-1]) - y
    found = [np.outer(dz, activations[-1]), dz]
    for W, a, before in zip(weights[:0:-1], activations[:0:-1], activations[-2::-1], strict=True):
        dz = a * (1 - a) * (W.T @ dz)
        found = [np.outer(dz, before), dz, *found]
    return found


# ---- the losses, for autograd


def binary_loss(p: tl.Tensor, y: float, guard: float = 0.0) -> tl.Tensor:
    """The cross-entropy of two classes."""
    return -(y * (p + guard).log() + (1 - y) * (1 - p + guard).log()).sum()


def logistic_loss(x: Array, y: float) -> Callable[..., tl.Tensor]:
    """The logistic model's loss, of its weights and bias."""
    return lambda w, b: binary_loss((w @ tl.tensor(x) + b).sigmoid(), y)


def deep_loss(x: Array, loss: Callable[[tl.Tensor], tl.Tensor]) -> Callable[..., tl.Tensor]:
    """A net's loss, of its parameters, given the loss of its last layer's ``z``."""

    def of(*parameters: tl.Tensor) -> tl.Tensor:
        z = tl.tensor(x)
        for i in range(0, len(parameters), 2):
            z = parameters[i] @ (z if i == 0 else z.sigmoid()) + parameters[i + 1]
        return loss(z)

    return of


# ---- problems to check them on


def logistic_problem(rng: np.random.Generator, features: int, y: float) -> Problem:
    """One sample and a random start."""
    x, w, b = rng.normal(size=features), rng.normal(0, 0.1, features), np.array(rng.normal(0, 0.1))
    return Problem(logistic_loss(x, y), gradients(["dw", "db"], [w, b], logistic(w, b, x, y)))


def shallow_problem(rng: np.random.Generator, sizes: Sequence[int], y: float) -> Problem:
    """One sample, and a net with the document's start."""
    x, parameters = rng.random(sizes[0]), random_net(rng, sizes, sigma=0.1)
    loss = deep_loss(x, lambda z: binary_loss(z.sigmoid(), y))
    names = ["dW1", "db1", "dW2", "db2"]
    return Problem(loss, gradients(names, parameters, shallow(*parameters, x, y)))


def deep_problem(rng: np.random.Generator, hidden: Sequence[int], y: float) -> Problem:
    """One sample, and a net with two classes."""
    x, parameters = rng.normal(size=3), random_net(rng, [3, *hidden, 1])
    loss = deep_loss(x, lambda z: binary_loss(z.sigmoid(), y))
    by_hand = deep(*parameters, x=x, y=y, head=sigmoid)
    return Problem(loss, gradients(layer_names(hidden), parameters, by_hand))


def multi_class_problem(rng: np.random.Generator, hidden: Sequence[int], classes: int) -> Problem:
    """One sample, and a net with a softmax head."""
    x, parameters, k = rng.normal(size=3), random_net(rng, [3, *hidden, classes]), rng.integers(classes)
    loss = deep_loss(x, lambda z: -z.softmax(dim=0).log()[k])
    by_hand = deep(*parameters, x=x, y=np.eye(classes)[k], head=softmax)
    return Problem(loss, gradients(layer_names(hidden), parameters, by_hand))


def random_net(rng: np.random.Generator, sizes: Sequence[int], sigma: float = 0.5) -> list[Array]:
    """Weights and biases in turn, normal."""
    shapes = [shape for d, n in pairwise(sizes) for shape in [(n, d), (n,)]]
    return [rng.normal(0, sigma, shape) for shape in shapes]


def layer_names(hidden: Sequence[int]) -> list[str]:
    """The formula of each weight and bias."""
    return ["dW_l", "db_l"] * len(hidden) + ["dW_L", "db_L"]


HIDDEN = [[10, 5], [1], [10, 20, 30, 20, 10]]
RECURSION = {
    "dW_L": "dz_L a_(L-1)^T",
    "db_L": "dz_L = p - y",
    "dW_l": "dz_l a_(l-1)^T",
    "db_l": "dz_l = s'(z_l) * (W_(l+1)^T dz_(l+1))",
}
DERIVATIONS = (
    Derivation(
        model="logistic, p = s(w . x + b)",
        loss="J = -(y log p + (1 - y) log(1 - p))",
        formulas={"dw": "(p - y) x", "db": "p - y"},
        problem=logistic_problem,
        cases=grid(features=[3, 1, 784], y=[1.0, 0.0]),
    ),
    Derivation(
        model="shallow, d-n-1, sigmoid, sigmoid",
        loss="J = -(y log p + (1 - y) log(1 - p))",
        formulas={
            "dW2": "dz2 a1^T",
            "db2": "dz2 = p - y",
            "dW1": "dz1 x^T",
            "db1": "dz1 = s'(z1) * (W2^T dz2), s' = s (1 - s)",
        },
        problem=shallow_problem,
        cases=grid(sizes=[(3, 5, 1), (2, 1, 1), (784, 10, 1)], y=[1.0, 0.0]),
    ),
    Derivation(
        model="deep, two classes, sigmoid",
        loss="J = -(y log p + (1 - y) log(1 - p))",
        formulas=RECURSION,
        problem=deep_problem,
        cases=grid(hidden=HIDDEN, y=[1.0, 0.0]),
    ),
    Derivation(
        model="deep, many classes, softmax, y one-hot",
        loss="J = -sum_k y_k log p_k",
        formulas=RECURSION,
        problem=multi_class_problem,
        cases=grid(hidden=HIDDEN, classes=[10, 2]),
    ),
)


# ---- what the document gets wrong


def one_sample() -> tuple[Array, Array, Array]:
    """A sample of class 1, and weights and bias that are in doubt about it."""
    rng = np.random.default_rng(0)
    return rng.normal(size=3), rng.normal(size=3), np.array(rng.normal())


def sign_of_the_prose() -> Dispute:
    """The gradient with respect to the weights with its sign turned."""
    x, w, b = one_sample()
    dw, db = logistic(w, b, x, 1.0)
    return Dispute(logistic_loss(x, 1.0), [w, b], wrong=[-dw, db], right=[dw, db])


def losses_after_a_step(lr: float = 0.1) -> tuple[float, float, float]:
    """The loss before a step on the weights, after one along the prose's gradient, after one along the right one."""
    loss, (w, b), wrong, right = sign_of_the_prose()
    weights = [w, w - lr * wrong[0], w - lr * right[0]]
    before, prose, descent = [loss(tl.tensor(w), tl.tensor(b)).item() for w in weights]
    return before, prose, descent


def bias_step_per_feature() -> Dispute:
    """The step of the bias taken once for every feature."""
    x, w, b = one_sample()
    dw, db = logistic(w, b, x, 1.0)
    moved = sum(db for _ in x)
    return Dispute(logistic_loss(x, 1.0), [w, b], wrong=[dw, moved], right=[dw, db])


def guarded_logarithm() -> Dispute:
    """A sample of class 1 that the model is nearly sure to be of class 0: ``p`` is as small as the guard."""
    z = np.array(-18.0)
    p = sigmoid(z)
    right = -p * (1 - p) / (p + GUARD)
    return Dispute(lambda z: binary_loss(z.sigmoid(), 1.0, GUARD), [z], wrong=[p - 1.0], right=[right])


def softmax_without_a_shift(z: Array) -> Array:
    """As the document has it: above 709 the exponential is infinite."""
    return np.exp(z) / np.sum(np.exp(z))


def overflowing_softmax() -> Dispute:
    """Outputs that a net may well have, and a class that is not sure."""
    z, k = np.array([800.0, 0.0, 799.0]), 2
    y = np.eye(3)[k]
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = softmax_without_a_shift(z) - y
    return Dispute(lambda z: -tl.log_softmax(z, dim=0)[k], [z], wrong=[wrong], right=[softmax(z) - y])


FINDINGS = (
    Finding(
        name="the_prose_climbs_the_loss",
        says="The prose gives `Dw = (y - p) x` and subtracts it; its code has `p - y`.",
        right="`dw = (p - y) x`: the prose forgets the minus in front of its J, and its steps go uphill.",
        dispute=sign_of_the_prose,
        measured=lambda: "J = {:.4f}; {:.4f} after the prose's step on w, {:.4f} after the right one.".format(
            *losses_after_a_step()
        ),
    ),
    Finding(
        name="the_bias_moves_once_per_feature",
        says="The logistic code subtracts `lr * db` from the bias inside its loop over the features.",
        right="Once: with d features the bias learns d times faster than the derivation says (here d = 3).",
        dispute=bias_step_per_feature,
    ),
    Finding(
        name="the_guarded_loss_has_another_gradient",
        says="The losses of two classes add 1e-8 inside the logarithm; the gradient stays `p - y`.",
        right="For y = 1 the loss as written has `dz = -p (1 - p) / (p + 1e-8)`, which fades where the net is "
        "surely wrong (here z = -18).",
        dispute=guarded_logarithm,
    ),
    Finding(
        name="the_softmax_overflows",
        says="Softmax is `e^z / sum e^z` of z as it comes.",
        right="Subtract the sample's maximum first: the same value, and no overflow (here z = 800, 0, 799).",
        dispute=overflowing_softmax,
    ),
)
