"""Document 003: summed squared error, biases as a last column of the weights, samples as rows."""

from itertools import pairwise

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

SEEDS = range(3)
SIZES = [(2, 1), (3, 4, 1), (6, 5, 4, 1), (784, 50, 25, 5, 1)]


# ---- the formulas of the document, for rows; both slopes take the layer's OUTPUT y


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.where(z < 0, 0, z)


def sigmoid_slope(y):
    return y * (1 - y)


def relu_slope(y):
    return np.where(y == 0, 0, 1)


def with_ones(Y):
    return np.hstack([Y, np.ones((len(Y), 1))])


def feedforward(weights, X):
    """Every layer's output, the input first."""
    Y = [X]
    for W in weights[:-1]:
        Y.append(relu(with_ones(Y[-1]) @ W.T))
    return [*Y, sigmoid(with_ones(Y[-1]) @ weights[-1].T)]


def backpropagate(*weights, X, labels):
    Y = feedforward(weights, X)
    slopes = [relu_slope] * (len(weights) - 1) + [sigmoid_slope]
    dC_dY, gradients = Y[-1] - labels, []
    for layer in reversed(range(len(weights))):
        dC_dZ = slopes[layer](Y[layer + 1]) * dC_dY
        gradients = [dC_dZ.T @ with_ones(Y[layer]), *gradients]
        dC_dY = dC_dZ @ weights[layer][:, :-1]  # without the bias column
    return gradients


# ---- the loss, for autograd


def objective(X, labels):
    def f(*weights):
        Y = tl.tensor(X)
        for W in weights:
            Z = tl.cat([Y, tl.ones(len(Y), 1, dtype=Y.dtype)], dim=1) @ W.T
            Y = Z.sigmoid() if W is weights[-1] else Z.relu()
        return 0.5 * ((Y - tl.tensor(labels)) ** 2).sum()

    return f


def problem(seed, sizes, m=12):
    """Pixels, labels and the document's weights, uniform(-1, 1), narrowed so that the sigmoid does not saturate."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (n, d + 1)) / np.sqrt(d + 1) for d, n in pairwise(sizes)]
    return rng.random((m, sizes[0])), rng.integers(2, size=(m, 1)).astype(float), weights


def check(f, weights, derived):
    check_derivation(f, [tl.tensor(W) for W in weights], derived)


# ---- the formulas against autograd


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_backpropagation(seed, sizes):
    X, labels, weights = problem(seed, sizes)
    check(objective(X, labels), weights, backpropagate(*weights, X=X, labels=labels))


def test_the_linear_layers_and_the_summed_loss_of_the_library_agree():
    X, labels, weights = problem(0, (6, 5, 4, 1))

    def f(*weights):
        Y = tl.tensor(X)
        for W in weights:
            Z = tl.nn.functional.linear(Y, W[:, :-1], W[:, -1])
            Y = Z.sigmoid() if W is weights[-1] else Z.relu()
        return 0.5 * tl.nn.functional.mse_loss(Y, tl.tensor(labels), reduction="sum")

    check(f, weights, backpropagate(*weights, X=X, labels=labels))


# ---- what the document gets wrong is caught


def test_formula_1_needs_the_gradient_of_its_own_layer():
    X, labels, weights = problem(0, (3, 4, 1))
    _, hidden, output = feedforward(weights, X)
    of_the_output = output - labels  # dC/dY of the last layer, in every layer
    wrong = (relu_slope(hidden) * of_the_output).T @ with_ones(X)
    right = backpropagate(*weights, X=X, labels=labels)
    with pytest.raises(GradcheckError):
        check(objective(X, labels), weights, [wrong, right[1]])


def test_formula_3_needs_the_weights_without_the_bias_column():
    X, labels, weights = problem(0, (3, 4, 1))
    *_, hidden, output = feedforward(weights, X)
    dC_dZ = sigmoid_slope(output) * (output - labels)

    def cost(Y):
        Z = tl.cat([Y, tl.ones(len(Y), 1, dtype=Y.dtype)], dim=1) @ tl.tensor(weights[-1]).T
        return 0.5 * ((Z.sigmoid() - tl.tensor(labels)) ** 2).sum()

    check(cost, [hidden], [dC_dZ @ weights[-1][:, :-1]])
    with pytest.raises(GradcheckError):
        check(cost, [hidden], [dC_dZ @ weights[-1]])


def test_at_zero_the_slope_of_relu_is_the_one_that_reads_the_output():
    """The document gives 1 at z = 0 by its first form, 0 by its second; autograd takes 0, as PyTorch does."""
    z = np.zeros(3)
    check(lambda z: z.relu().sum(), [z], [relu_slope(relu(z))])
    with pytest.raises(GradcheckError):
        check(lambda z: z.relu().sum(), [z], [np.where(z < 0, 0, 1)])


def test_the_summed_loss_scales_with_the_batch():
    X, labels, weights = problem(0, (3, 4, 1))
    once = backpropagate(*weights, X=X, labels=labels)
    twice = backpropagate(*weights, X=np.vstack([X, X]), labels=np.vstack([labels, labels]))
    check(objective(np.vstack([X, X]), np.vstack([labels, labels])), weights, [2 * g for g in once])
    with pytest.raises(GradcheckError):
        check(lambda *W: objective(X, labels)(*W) / len(X), weights, twice)
