"""Document 003: summed squared error, biases as a last column of the weights; samples as rows here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import tinygrad_lite as tl
from derivations.formulas import batches, chosen_and_reported, sigmoid
from derivations.records import Array, Derivation, Dispute, Finding, Problem, gradients, grid

__all__ = ["DERIVATIONS", "FINDINGS", "TITLE"]

TITLE = "Document 003: squared error, summed"
ONE_OR_FIVE = 12163  # MNIST's training images of these digits


# ---- the formulas; both slopes take the layer's OUTPUT y


def relu(Z: Array) -> Array:
    """``max(0, z)``."""
    return np.where(Z < 0, 0, Z)


def sigmoid_slope(Y: Array) -> Array:
    """``y (1 - y)``."""
    return Y * (1 - Y)


def relu_slope(Y: Array) -> Array:
    """0 where the output is 0, else 1."""
    return np.where(Y == 0, 0, 1)


def with_ones(Y: Array) -> Array:
    """One more column, for the biases."""
    return np.hstack([Y, np.ones((len(Y), 1))])


def feedforward(weights: Sequence[Array], X: Array) -> list[Array]:
    """Every layer's output, the input first."""
    Y = [X]
    for W in weights[:-1]:
        Y.append(relu(with_ones(Y[-1]) @ W.T))
    return [*Y, sigmoid(with_ones(Y[-1]) @ weights[-1].T)]


class Gradients(NamedTuple):
    """Of every layer, first to last."""

    W: list[Array]
    Z: list[Array]
    Y: list[Array]


def backpropagate(weights: Sequence[Array], X: Array, labels: Array) -> Gradients:
    """The gradients of a net of any number of layers."""
    Y = feedforward(weights, X)
    slopes = [relu_slope] * (len(weights) - 1) + [sigmoid_slope]
    found, dC_dY = Gradients([], [], []), Y[-1] - labels
    for layer in reversed(range(len(weights))):
        dC_dZ = slopes[layer](Y[layer + 1]) * dC_dY
        found.W.insert(0, dC_dZ.T @ with_ones(Y[layer]))
        found.Z.insert(0, dC_dZ)
        found.Y.insert(0, dC_dY)
        dC_dY = dC_dZ @ weights[layer][:, :-1]  # without the bias column
    return found


# ---- the loss, for autograd


def objective(X: Array, labels: Array) -> Callable[..., tl.Tensor]:
    """The cost, of the weights."""
    shifted = objective_of_layers(X, labels)
    return lambda *weights: shifted(*weights, *[0.0] * (2 * len(weights)))


def objective_of_layers(X: Array, labels: Array) -> Callable[..., tl.Tensor]:
    """The cost, of the weights and of zeros added to each Z and each Y: they get the gradients by Z and Y."""

    def f(*inputs: tl.Tensor) -> tl.Tensor:
        layers = len(inputs) // 3
        weights, at_Z, at_Y = (inputs[i * layers : (i + 1) * layers] for i in range(3))
        Y = tl.tensor(X)
        for i in range(layers):
            Z = with_a_column_of_ones(Y) @ weights[i].T + at_Z[i]
            Y = (Z.sigmoid() if i == layers - 1 else Z.relu()) + at_Y[i]
        return squared_error(Y, labels)

    return f


def with_a_column_of_ones(Y: tl.Tensor) -> tl.Tensor:
    """One more column, for the biases."""
    return tl.cat([Y, tl.ones(len(Y), 1, dtype=Y.dtype)], dim=1)


def squared_error(Y: tl.Tensor, labels: Array) -> tl.Tensor:
    """``1/2 ||y_hat - y||^2``, summed over the batch."""
    return 0.5 * ((Y - tl.tensor(labels)) ** 2).sum()


# ---- problems to check them on


def backpropagation_problem(rng: np.random.Generator, sizes: Sequence[int]) -> Problem:
    """Twelve samples and a net of any number of layers."""
    X, labels, weights = random_problem(rng, sizes)
    found = backpropagate(weights, X, labels)
    hidden = len(weights) - 1
    zeros = [np.zeros(gradient.shape) for gradient in found.Z + found.Y]
    names = ["dC/dW_l"] * (hidden + 1) + ["dC/dZ_l"] * (hidden + 1) + ["dC/dY_(l-1)"] * hidden + ["dC/dY_L"]
    by_hand = found.W + found.Z + found.Y
    return Problem(objective_of_layers(X, labels), gradients(names, weights + zeros, by_hand))


def random_problem(
    rng: np.random.Generator, sizes: Sequence[int], samples: int = 12
) -> tuple[Array, Array, list[Array]]:
    """Pixels, labels and the document's weights, uniform(-1, 1), narrowed so that the sigmoid does not saturate."""
    weights = [rng.uniform(-1, 1, (n, d + 1)) / np.sqrt(d + 1) for d, n in pairwise(sizes)]
    return rng.random((samples, sizes[0])), rng.integers(2, size=(samples, 1)).astype(float), weights


DERIVATIONS = (
    Derivation(
        model="any layers, ReLU, sigmoid, W with a bias column",
        loss="C = 1/2 sum over samples of (y_hat - y)^2",
        formulas={
            "dC/dY_L": "y_hat - y",
            "dC/dZ_l": "A'(Y_l) * dC/dY_l, s'(y) = y (1 - y), ReLU'(y) = 0 where y = 0, else 1",
            "dC/dW_l": "(dC/dZ_l)^T [Y_(l-1), 1]",
            "dC/dY_(l-1)": "dC/dZ_l W_l, W_l without its bias column",
        },
        problem=backpropagation_problem,
        cases=grid(sizes=[(6, 5, 4, 1), (2, 1), (3, 4, 1), (784, 50, 25, 5, 1)]),
    ),
)


# ---- what the document gets wrong


def small_problem() -> tuple[Array, Array, list[Array]]:
    """Twelve samples for a 3-4-1 net."""
    return random_problem(np.random.default_rng(0), (3, 4, 1))


def gradient_of_the_output_in_every_layer() -> Dispute:
    """Formula 1 as it is printed."""
    X, labels, weights = small_problem()
    _, hidden, output = feedforward(weights, X)
    right = backpropagate(weights, X, labels).W
    wrong = (relu_slope(hidden) * (output - labels)).T @ with_ones(X)
    return Dispute(objective(X, labels), weights, wrong=[wrong, right[1]], right=right)


def weights_with_their_bias_column() -> Dispute:
    """Formula 3 as it is printed, for the output of the hidden layer."""
    X, labels, weights = small_problem()
    *_, hidden, output = feedforward(weights, X)
    dC_dZ = sigmoid_slope(output) * (output - labels)

    def cost(Y: tl.Tensor) -> tl.Tensor:
        return squared_error((with_a_column_of_ones(Y) @ tl.tensor(weights[-1]).T).sigmoid(), labels)

    return Dispute(cost, [hidden], wrong=[dC_dZ @ weights[-1]], right=[dC_dZ @ weights[-1][:, :-1]])


def two_slopes_at_zero() -> Dispute:
    """The slope of ReLU by z and by y, for a unit whose z is 0 for the first of two samples."""
    X, w, b = np.array([2.0, 3.0]), np.array(1.0), np.array(-2.0)
    Z = X * w + b
    by_z, by_y = np.where(Z < 0, 0, 1), relu_slope(relu(Z))

    def loss(w: tl.Tensor, b: tl.Tensor) -> tl.Tensor:
        return (tl.tensor(X) * w + b).relu().sum()

    return Dispute(loss, [w, b], wrong=[by_z @ X, by_z.sum()], right=[by_y @ X, by_y.sum()])


def summed_loss() -> Dispute:
    """The gradients of the sum as those of the mean, which a rate that suits every batch size needs."""
    X, labels, weights = small_problem()
    summed = backpropagate(weights, X, labels).W

    def mean(*weights: tl.Tensor) -> tl.Tensor:
        return objective(X, labels)(*weights) / len(X)

    return Dispute(mean, weights, wrong=summed, right=[g / len(X) for g in summed])


def growth_with_the_batch() -> float:
    """How much longer the step becomes when every sample is in the batch twice."""
    X, labels, weights = small_problem()
    once = backpropagate(weights, X, labels).W
    twice = backpropagate(weights, np.vstack([X, X]), np.vstack([labels, labels])).W
    return float(np.linalg.norm(twice[0]) / np.linalg.norm(once[0]))


def dropped_batches() -> Dispute:
    """The gradients of an epoch's batches of 5, added up at fixed weights, beside the cost of all 12 samples."""
    X, labels, weights = small_problem()

    def epoch(drop_last: bool) -> list[Array]:
        found = [backpropagate(weights, X[batch], labels[batch]).W for batch in batches(len(X), 5, drop_last)]
        return [sum(layer) for layer in zip(*found, strict=True)]

    return Dispute(objective(X, labels), weights, wrong=epoch(drop_last=True), right=epoch(drop_last=False))


def samples_left_out(count: int, size: int) -> int:
    """How many of an epoch's samples are in no batch."""
    return count - sum(len(range(count)[batch]) for batch in batches(count, size, drop_last=True))


def grid_search(rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """The document's grid in small, on labels drawn by lot: accuracy on 100 test samples, and on 100 others."""
    X, labels = rng.random((3, 100, 5)), rng.integers(2, size=(3, 100, 1)).astype(float)
    for setting in grid(size=[10, 15, 20], hidden=[(5, 5, 3), (5, 3)], eta=[0.01, 0.001], epochs=[1, 2]):
        _, _, weights = random_problem(rng, (5, *setting["hidden"], 1))
        for _ in range(setting["epochs"]):
            for batch in batches(100, setting["size"], drop_last=True):
                found = backpropagate(weights, X[0, batch], labels[0, batch]).W
                weights = [W - setting["eta"] * g for W, g in zip(weights, found, strict=True)]
        test, others = (accuracy(weights, X[i], labels[i]) for i in (1, 2))
        yield test, others


def accuracy(weights: Sequence[Array], X: Array, labels: Array) -> float:
    """The share of samples on the right side of 0.5."""
    return float(np.mean((feedforward(weights, X)[-1] > 0.5) == labels))


def best_of_the_grid(repetitions: int = 20) -> tuple[float, float]:
    """Of the setting that is best on the test set: mean accuracy there, and on samples that did not choose it."""
    rng = np.random.default_rng(0)
    test, others = np.mean([chosen_and_reported(list(grid_search(rng))) for _ in range(repetitions)], axis=0)
    return float(test), float(others)


FINDINGS = (
    Finding(
        name="formula_1_multiplies_by_the_gradient_of_the_last_layer",
        says="Formula 1 has `dC/dY_L`, the gradient by the net's output, in every layer.",
        right="Layer l needs its own, `dC/dY_l` (the code has it right).",
        dispute=gradient_of_the_output_in_every_layer,
    ),
    Finding(
        name="formula_3_keeps_the_bias_column",
        says="Formula 3 multiplies by the transposed W_l as it is, bias column and all.",
        right="Without that column, for the column of ones is no output of a layer (the code has it right).",
        dispute=weights_with_their_bias_column,
    ),
    Finding(
        name="the_slope_of_relu_is_given_twice",
        says="ReLU' is 0 for z < 0, else 1, and also 0 for y = 0, else 1, with an equals sign between the two.",
        right="They differ at z = 0: 1 and 0. The code takes 0, and so does autograd, as in PyTorch.",
        dispute=two_slopes_at_zero,
    ),
    Finding(
        name="the_summed_loss_scales_with_the_batch",
        says="The cost is a sum over the batch, divided by the batch size only where it is shown.",
        right="Divide the gradient as well; otherwise eta means another step for each batch size of the grid.",
        dispute=summed_loss,
        measured=lambda: f"a batch twice as large makes the step {growth_with_the_batch():.3f} times as long.",
    ),
    Finding(
        name="the_grid_is_chosen_on_test_data",
        says="Each of the 24 settings is scored on the test set, and the best score is the result.",
        right="Choose on validation data, and test once. With labels drawn by lot, where nothing can be learnt, the "
        "best of 24 still looks better than chance.",
        measured=lambda: (
            "two classes by lot, 20 grids: the chosen setting has {:.1%} on the test set that chose it, "
            "{:.1%} on other samples; chance is 50.0%.".format(*best_of_the_grid())
        ),
    ),
    Finding(
        name="the_batch_that_does_not_fill_is_left_out",
        says="An epoch has `N // batch_size` batches; the remaining samples take no part in it.",
        right="A smaller last batch: only then do the batches' gradients add up to the gradient of the cost.",
        dispute=dropped_batches,
        measured=lambda: (
            f"of the {ONE_OR_FIVE} images of 1 and 5 in batches of 1000 an epoch leaves out "
            f"{samples_left_out(ONE_OR_FIVE, 1000)} (others each time, for it shuffles)."
        ),
    ),
)
