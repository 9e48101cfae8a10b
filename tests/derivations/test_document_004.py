"""Document 004: a net of two layers, sigmoid and softmax, gradients averaged over the batch, samples as rows."""

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

SEEDS = range(3)
SIZES = [(2, 1, 2, 1), (5, 4, 3, 7), (784, 100, 10, 50)]


# ---- the formulas of the document, for rows


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(Z):
    """Not shifted, as there: it overflows above 709."""
    return np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)


def backpropagate(W1, b1, W2, b2, X, Y):
    s = len(Y)
    Z1 = X @ W1.T + b1
    A1 = sigmoid(Z1)
    P = softmax(A1 @ W2.T + b2)
    dZ1 = (P - Y) @ W2 * sigmoid(Z1) * (1 - sigmoid(Z1))
    dW2 = (P - Y).T @ A1 / s
    db2 = (P - Y).sum(axis=0) / s
    dW1 = dZ1.T @ X / s
    db1 = dZ1.sum(axis=0) / s
    return dW1, db1, dW2, db2


# ---- the loss, for autograd


def objective(X, Y):
    X, Y = tl.tensor(X), tl.tensor(Y)

    def f(W1, b1, W2, b2):
        P = ((X @ W1.T + b1).sigmoid() @ W2.T + b2).softmax(dim=1)
        return -(Y * P.log()).sum(dim=1).mean()

    return f


def problem(seed, inputs, hidden, outputs, s):
    """Images, one-hot labels and the document's weights: N(0, 1), biases zero."""
    rng = np.random.default_rng(seed)
    parameters = [
        rng.normal(size=(hidden, inputs)),
        np.zeros(hidden),
        rng.normal(size=(outputs, hidden)),
        np.zeros(outputs),
    ]
    return rng.random((s, inputs)), np.eye(outputs)[rng.integers(outputs, size=s)], parameters


def check(f, parameters, derived):
    check_derivation(f, [tl.tensor(p) for p in parameters], derived)


# ---- the formulas against autograd


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_backpropagation(seed, sizes):
    X, Y, parameters = problem(seed, *sizes)
    check(objective(X, Y), parameters, backpropagate(*parameters, X, Y))


def test_the_cross_entropy_of_probabilities_is_the_documents_loss():
    X, Y, parameters = problem(0, 5, 4, 3, 7)

    def f(W1, b1, W2, b2):
        z = (tl.tensor(X) @ W1.T + b1).sigmoid() @ W2.T + b2
        return tl.nn.functional.cross_entropy(z, tl.tensor(Y))

    check(f, parameters, backpropagate(*parameters, X, Y))


# ---- what the document gets wrong is caught


@pytest.mark.parametrize("s", [1, 7, 50])
def test_the_code_divides_by_one_sample_too_many(s):
    X, Y, parameters = problem(0, 5, 4, 3, s)
    with pytest.raises(GradcheckError):
        check(objective(X, Y), parameters, [g * s / (s + 1) for g in backpropagate(*parameters, X, Y)])


def test_the_softmax_without_a_shift_overflows_where_autograd_does_not():
    Z, Y = np.array([[800.0, 0.0, 799.0]]), np.eye(3)[[2]]
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(softmax(Z) - Y).any()
    f = tl.nn.functional.cross_entropy
    check(lambda z: f(z, tl.tensor(Y)), [Z], [softmax(Z - 800) - Y])


def test_the_loss_of_a_sure_mistake_is_infinite():
    """Where the document says that loss(0, 1) is -1."""
    y, p = tl.tensor(0.0), tl.tensor(1.0)
    assert (-(y * p.log() + (1 - y) * (1 - p).log())).item() == np.inf
