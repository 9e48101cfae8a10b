"""Document 001: nets of layers, mean cross-entropy with an L2 penalty on the weights; samples as rows here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import tinygrad_lite as tl
from derivations.formulas import batches, sigmoid, softmax
from derivations.records import Array, Derivation, Dispute, Finding, Gradient, Problem, gradients, grid

__all__ = ["DERIVATIONS", "FINDINGS", "TITLE"]

TITLE = "Document 001: nets of layers"
GUARD = 1e-10


# ---- the formulas


def relu(Z: Array) -> Array:
    """``max(0, z)``."""
    return np.maximum(0, Z)


SLOPE = {sigmoid: lambda Z: sigmoid(Z) * (1 - sigmoid(Z)), relu: lambda Z: 1.0 * (Z > 0)}


def multi_class_head(Z: Array, Y: Array) -> Array:
    """``dZ`` of the last layer for the softmax."""
    return (softmax(Z) - Y) / len(Y)


def binary_slope(P: Array, Y: Array, guard: float = 0.0) -> Array:
    """``dP`` of the sigmoid; the code's guard of 1e-10 belongs to no loss."""
    return (P - Y) / (P * (1 - P + guard)) / len(Y)


def binary_head(Z: Array, Y: Array, guard: float = 0.0) -> Array:
    """``dZ`` of the last layer for the sigmoid."""
    return binary_slope(sigmoid(Z), Y, guard) * SLOPE[sigmoid](Z)


class Gradients(NamedTuple):
    """Of every layer, first to last; ``A`` of the hidden layers only."""

    W: list[Array]
    b: list[Array]
    Z: list[Array]
    A: list[Array]


def backpropagate(
    weights: Sequence[Array],
    biases: Sequence[Array],
    X: Array,
    Y: Array,
    hidden: Callable[[Array], Array],
    head: Callable[[Array, Array], Array],
    l2: float,
) -> Gradients:
    """The gradients of a net of any number of layers."""
    A, Z = [X], []
    for W, b in zip(weights, biases, strict=True):
        Z.append(A[-1] @ W.T + b)
        A.append(hidden(Z[-1]))
    found, dZ = Gradients([], [], [], []), head(Z[-1], Y)
    for layer in reversed(range(len(weights))):
        found.W.insert(0, dZ.T @ A[layer] + l2 / len(Y) * weights[layer])
        found.b.insert(0, dZ.sum(axis=0))
        found.Z.insert(0, dZ)
        if layer > 0:
            dA = dZ @ weights[layer]
            found.A.insert(0, dA)
            dZ = dA * SLOPE[hidden](Z[layer - 1])
    return found


# ---- the losses, for autograd


def cross_entropy(P: tl.Tensor, Y: tl.Tensor, guard: float = 0.0) -> tl.Tensor:
    """Of the probabilities of many classes."""
    return -(Y * (P + guard).log()).sum() / len(Y)


def binary_cross_entropy(P: tl.Tensor, Y: tl.Tensor, guard: float = 0.0) -> tl.Tensor:
    """Of the probabilities of one class of two."""
    return -(Y * (P + guard).log() + (1 - Y) * (1 - P + guard).log()).sum() / len(Y)


def objective(
    X: Array, Y: Array, hidden: Callable[[Array], Array], loss: Callable[..., tl.Tensor], l2: float
) -> Callable[..., tl.Tensor]:
    """The penalised loss, of all weights, all biases, and zeros added to each Z and hidden A: they get dZ and dA."""
    activation = {sigmoid: tl.sigmoid, relu: tl.relu}[hidden]

    def f(*inputs: tl.Tensor) -> tl.Tensor:
        layers = (len(inputs) + 1) // 4
        weights, biases, at_Z, at_A = (inputs[i * layers : (i + 1) * layers] for i in range(4))
        Z = tensor(X) @ weights[0].T + biases[0] + at_Z[0]
        for i in range(1, layers):
            Z = (activation(Z) + at_A[i - 1]) @ weights[i].T + biases[i] + at_Z[i]
        penalty = sum((W**2).sum() for W in weights)
        return loss(Z, tensor(Y)) + l2 / (2 * len(Y)) * penalty

    return f


def multi_class_loss(Z: tl.Tensor, Y: tl.Tensor) -> tl.Tensor:
    """Of the last layer's Z."""
    return cross_entropy(Z.softmax(dim=1), Y)


def binary_loss(Z: tl.Tensor, Y: tl.Tensor) -> tl.Tensor:
    """Of the last layer's Z."""
    return binary_cross_entropy(Z.sigmoid(), Y)


def tensor(array: Array) -> tl.Tensor:
    """In float64."""
    return tl.tensor(array, dtype=tl.float64)


# ---- problems to check them on


def multi_class_problem(
    rng: np.random.Generator, sizes: Sequence[int], hidden: Callable[[Array], Array], l2: float
) -> Problem:
    """Sixteen samples and a net with a softmax."""
    X, Y = rng.random((16, sizes[0])), np.eye(sizes[-1])[rng.integers(sizes[-1], size=16)]
    net = random_net(rng, sizes)
    by_hand = backpropagate(*net, X, Y, hidden, multi_class_head, l2)
    return Problem(objective(X, Y, hidden, multi_class_loss, l2), named(net, by_hand))


def binary_problem(
    rng: np.random.Generator, sizes: Sequence[int], hidden: Callable[[Array], Array], l2: float
) -> Problem:
    """Sixty-four samples and a net with one sigmoid at its end."""
    X, Y = rng.normal(size=(64, sizes[0])), rng.integers(2, size=(64, 1)).astype(float)
    net = random_net(rng, sizes)
    by_hand = backpropagate(*net, X, Y, hidden, binary_head, l2)
    return Problem(objective(X, Y, hidden, binary_loss, l2), named(net, by_hand))


def binary_slope_problem(rng: np.random.Generator, samples: int) -> Problem:
    """Probabilities that come from nowhere: the first step of the two-class head alone."""
    P, Y = rng.uniform(0.1, 0.9, (samples, 1)), rng.integers(2, size=(samples, 1)).astype(float)
    return Problem(lambda P: binary_cross_entropy(P, tensor(Y)), gradients(["dP"], [P], [binary_slope(P, Y)]))


def random_net(rng: np.random.Generator, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Weights and biases, uniform and narrowed so that no unit saturates."""
    weights = [rng.uniform(-1, 1, (n, d)) / np.sqrt(d) for d, n in pairwise(sizes)]
    return weights, [rng.uniform(-1, 1, W.shape[0]) / np.sqrt(W.shape[1]) for W in weights]


def named(net: tuple[list[Array], list[Array]], by_hand: Gradients) -> list[Gradient]:
    """Every input of :func:`objective` with its formula and gradient."""
    weights, biases = net
    hidden = len(by_hand.A)
    names = ["dW_l"] * (hidden + 1) + ["db_l"] * (hidden + 1) + ["dZ_l"] * hidden + ["dZ_L"] + ["dA_l"] * hidden
    zeros = [np.zeros(gradient.shape) for gradient in by_hand.Z + by_hand.A]
    return gradients(names, weights + biases + zeros, by_hand.W + by_hand.b + by_hand.Z + by_hand.A)


LAYERS = {
    "dA_l": "dZ_(l+1) W_(l+1)",
    "dZ_l": "dA_l * g'(Z_l), g' = s (1 - s) or 1[Z_l > 0]",
    "dW_l": "dZ_l^T A_(l-1) + (l2/m) W_l",
    "db_l": "sum over samples of dZ_l",
}
DERIVATIONS = (
    Derivation(
        model="any layers, sigmoid or ReLU, softmax",
        loss="J = -1/m sum Y log P + (l2 / 2m) sum_l ||W_l||^2",
        formulas={"dZ_L": "(P - Y) / m", **LAYERS},
        problem=multi_class_problem,
        cases=grid(sizes=[(6, 5, 3), (3, 4), (4, 8, 7, 2), (784, 25, 10)], hidden=[relu, sigmoid], l2=[0.1, 0.0]),
    ),
    Derivation(
        model="any layers, sigmoid or ReLU, two classes, sigmoid",
        loss="J = -1/m sum (Y log P + (1 - Y) log(1 - P)) + (l2 / 2m) sum_l ||W_l||^2",
        formulas={"dZ_L": "dP * s'(Z_L)", **LAYERS},
        problem=binary_problem,
        cases=grid(sizes=[(5, 25, 25, 1), (2, 1)], hidden=[relu, sigmoid], l2=[0.1, 0.0]),
    ),
    Derivation(
        model="the first step of that head alone",
        loss="J = -1/m sum (Y log P + (1 - Y) log(1 - P))",
        formulas={"dP": "(P - Y) / (P (1 - P)) / m"},
        problem=binary_slope_problem,
        cases=grid(samples=[64, 1]),
    ),
)


# ---- what the document gets wrong


def slope_in_place(Z: Array) -> Array:
    """The slope of ReLU as the document's class computes it: in the array that the layer remembers."""
    negative = Z <= 0
    Z[negative], Z[~negative] = 0, 1
    return Z


def overwritten_input() -> Dispute:
    """A derivative that needs Z after the slope was asked for: that of ``1/2 sum relu(Z)^2``."""
    Z = np.array([-2.0, 3.0])
    remembered = Z.copy()
    slope = slope_in_place(remembered)
    wrong, right = relu(remembered) * slope, relu(Z) * SLOPE[relu](Z)
    return Dispute(lambda Z: 0.5 * (Z.relu() ** 2).sum(), [Z], wrong=[wrong], right=[right])


class Softmax:
    """The document's class in short: it has an ``activation``, but its derivative asks for a ``softmax``."""

    @staticmethod
    def activation(z: Array) -> Array:
        """Of a column of outputs."""
        return softmax(z.T).T

    @staticmethod
    def softmax_derivative(z: Array) -> Array:
        """Cannot be called."""
        return softmax_derivative(Softmax.softmax(z))


def softmax_derivative(p: Array) -> Array:
    """What the document's product of indices ``ij,ik->ij`` gives for a column: row sums, no matrix."""
    return p * (np.eye(len(p)) - p).sum(axis=1, keepdims=True)


def no_jacobian() -> Dispute:
    """The cross-entropy of a column z: its slope by p, carried to z by that product, and by the Jacobian."""
    z, y = np.array([[0.3], [-0.2], [0.9]]), np.array([[0.0], [1.0], [0.0]])
    p = Softmax.activation(z)
    dp, jacobian = -y / p, np.diag(p[:, 0]) - p @ p.T
    wrong, right = dp * softmax_derivative(p), jacobian @ dp
    return Dispute(lambda z: -(tensor(y) * z.softmax(dim=0).log()).sum(), [z], wrong=[wrong], right=[right])


def missing_function() -> str:
    """What Python says when the derivative is called."""
    try:
        Softmax.softmax_derivative(np.zeros((3, 1)))
    except AttributeError as error:
        return f"calling it raises AttributeError: {error}."
    raise ValueError("the function is there")


def guarded_head(Z: Array, Y: Array) -> Array:
    """The derivative of ``-1/m sum Y log(P + 1e-10)``: ``(P - Y)/m`` times ``p / (p + 1e-10)``, p of the true class."""
    p = (softmax(Z) * Y).sum(axis=1, keepdims=True)
    return multi_class_head(Z, Y) * p / (p + GUARD)


def guarded_loss(Y: Array) -> Callable[[tl.Tensor], tl.Tensor]:
    """The loss as the code has it, of the last layer's Z."""
    return lambda Z: cross_entropy(Z.softmax(dim=1), tensor(Y), GUARD)


def guarded_logarithm() -> Dispute:
    """A net that is surely wrong: the true class has p = 1e-10, as small as the guard."""
    Z, Y = np.array([[0.0, 23.0, 1.0]]), np.eye(3)[[0]]
    return Dispute(guarded_loss(Y), [Z], wrong=[multi_class_head(Z, Y)], right=[guarded_head(Z, Y)])


def division_by_zero() -> Dispute:
    """A net that is surely right: Z = -800 for class 0, where P is 0 in floating point."""
    Z, Y = np.array([[-800.0], [0.5]]), np.array([[0.0], [1.0]])
    with np.errstate(all="ignore"):
        wrong, right = binary_head(Z, Y, GUARD), (sigmoid(Z) - Y) / len(Y)
    loss = tl.nn.functional.binary_cross_entropy_with_logits  # the same, and exact at P = 0
    return Dispute(lambda Z: loss(Z, tensor(Y)), [Z], wrong=[wrong], right=[right])


def dropped_batches() -> Dispute:
    """The gradients of an epoch's batches of 4, added up at fixed weights, beside the loss of all 10 samples."""
    rng = np.random.default_rng(0)
    X, Y = rng.random((10, 4)), np.eye(3)[rng.integers(3, size=10)]
    W, b = rng.normal(size=(3, 4)), rng.normal(size=3)

    def epoch(drop_last: bool) -> list[Array]:
        dW, db = np.zeros(W.shape), np.zeros(b.shape)
        for batch in batches(len(X), 4, drop_last):
            found = backpropagate([W], [b], X[batch], Y[batch], relu, multi_class_head, l2=0.0)
            share = len(X[batch]) / len(X)
            dW, db = dW + share * found.W[0], db + share * found.b[0]
        return [dW, db]

    def loss(W: tl.Tensor, b: tl.Tensor) -> tl.Tensor:
        return multi_class_loss(tensor(X) @ W.T + b, tensor(Y))

    return Dispute(loss, [W, b], wrong=epoch(drop_last=True), right=epoch(drop_last=False))


def samples_seen(count: int, size: int, drop_last: bool) -> int:
    """How many of an epoch's samples come in some batch."""
    return sum(len(range(count)[batch]) for batch in batches(count, size, drop_last))


FINDINGS = (
    Finding(
        name="the_slope_of_relu_overwrites_its_input",
        says="`ReLU.activation_prime` writes zeros and ones into the array that the layer remembers, and returns it.",
        right="A new array: what reads Z afterwards reads zeros and ones (here the derivative of 1/2 sum ReLU(Z)^2). "
        "Autograd refuses the gradient of a saved array that was changed in place.",
        dispute=overwritten_input,
    ),
    Finding(
        name="the_softmax_derivative_is_no_jacobian",
        says="`softmax_derivative` multiplies over `ij,ik->ij` and calls `Softmax.softmax`, which is not there.",
        right="The Jacobian of one sample is a matrix, `diag(p) - p p^T`.",
        dispute=no_jacobian,
        measured=missing_function,
    ),
    Finding(
        name="the_guarded_loss_leaves_its_gradient",
        says="The loss has `log(P + 1e-10)`, the gradient is `(P - Y)/m`.",
        right="The loss as written has `(P - Y)/m * p / (p + 1e-10)`, p of the true class: half where p = 1e-10.",
        dispute=guarded_logarithm,
    ),
    Finding(
        name="the_guarded_slope_divides_by_zero",
        says="The slope for two classes is `(P - Y) / (P (1 - P + 1e-10)) / m`, times `s'`.",
        right="`(P - Y)/m` in one: the guard stands at one end only, and at P = 0 it is 0/0 where the gradient is 0.",
        dispute=division_by_zero,
    ),
    Finding(
        name="the_batch_that_does_not_fill_is_dropped",
        says="An epoch has `N // batch_size` batches; the remaining samples take no part in it.",
        right="A smaller last batch: only then do the batches' gradients add up to the gradient of the loss.",
        dispute=dropped_batches,
        measured=lambda: (
            f"of the 500 moons in batches of 64 an epoch sees {samples_seen(500, 64, drop_last=True)}; "
            f"with a smaller last batch {samples_seen(500, 64, drop_last=False)}."
        ),
    ),
)
