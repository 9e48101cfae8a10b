"""Document 002: a net of two layers, full-batch gradient descent with an L2 penalty, samples as rows."""

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

SEEDS = range(3)
SIZES = [(2, 1, 2, 1), (5, 4, 3, 7), (784, 20, 10, 32)]
LAMBDAS = [0.0, 0.001, 0.5, 1.0]


# ---- the formulas of the document, for rows


def softmax(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_shifted_by_the_whole_matrix(Z):
    """As the document's code has it."""
    e = np.exp(Z - Z.max())
    return e / e.sum(axis=1, keepdims=True)


def backward_prop(W1, b1, W2, b2, X, Y, lambda_, softmax=softmax):
    m = len(Y)
    Z1 = X @ W1.T + b1
    A1 = np.maximum(0, Z1)
    P = softmax(A1 @ W2.T + b2)
    dZ2 = P - Y
    dW2 = 1 / m * dZ2.T @ A1 + lambda_ / m * W2
    db2 = 1 / m * dZ2.sum(axis=0)
    dZ1 = dZ2 @ W2 * (Z1 > 0)
    dW1 = 1 / m * dZ1.T @ X + lambda_ / m * W1
    db1 = 1 / m * dZ1.sum(axis=0)
    return dW1, db1, dW2, db2


# ---- the loss that these gradients belong to, for autograd


def objective(X, labels, lambda_):
    X, labels = tl.tensor(X), tl.tensor(labels)

    def f(W1, b1, W2, b2):
        z = (X @ W1.T + b1).relu() @ W2.T + b2
        penalty = lambda_ / (2 * len(X)) * ((W1**2).sum() + (W2**2).sum())
        return tl.nn.functional.cross_entropy(z, labels) + penalty

    return f


def problem(seed, d, hidden, classes, m):
    """The inputs, the labels and the document's initial weights, uniform(-0.5, 0.5)."""
    rng = np.random.default_rng(seed)
    shapes = [(hidden, d), (hidden,), (classes, hidden), (classes,)]
    parameters = [rng.uniform(-0.5, 0.5, shape) for shape in shapes]
    return rng.random((m, d)), rng.integers(classes, size=m), parameters


def check(f, parameters, derived):
    check_derivation(f, [tl.tensor(p) for p in parameters], derived)


# ---- the formulas against autograd


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("lambda_", LAMBDAS)
def test_backward_prop(seed, sizes, lambda_):
    X, labels, parameters = problem(seed, *sizes)
    Y = np.eye(sizes[2])[labels]
    check(objective(X, labels, lambda_), parameters, backward_prop(*parameters, X, Y, lambda_))


# ---- what the document gets wrong is caught


def test_the_softmax_shifted_by_the_whole_matrix_underflows():
    X, labels, parameters = problem(0, 5, 4, 3, 7)
    X[0] *= 10_000
    with np.errstate(invalid="ignore"):
        wrong = backward_prop(*parameters, X, np.eye(3)[labels], 0.0, softmax_shifted_by_the_whole_matrix)
    with pytest.raises(GradcheckError):
        check(objective(X, labels, 0.0), parameters, wrong)
    check(objective(X, labels, 0.0), parameters, backward_prop(*parameters, X, np.eye(3)[labels], 0.0))


def test_a_penalty_of_another_strength_is_caught():
    X, labels, parameters = problem(0, 5, 4, 3, 7)
    with pytest.raises(GradcheckError):
        check(objective(X, labels, 0.5), parameters, backward_prop(*parameters, X, np.eye(3)[labels], 0.5001))


def test_a_slope_of_one_below_zero_is_caught():
    X, labels, parameters = problem(0, 5, 4, 3, 7)
    Y = np.eye(3)[labels]
    _, *others = backward_prop(*parameters, X, Y, 0.0)
    W1, b1, W2, b2 = parameters
    dZ1 = (softmax(np.maximum(0, X @ W1.T + b1) @ W2.T + b2) - Y) @ W2
    with pytest.raises(GradcheckError):
        check(objective(X, labels, 0.0), parameters, [dZ1.T @ X / 7, *others])
