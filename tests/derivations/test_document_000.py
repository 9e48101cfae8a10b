"""Document 000: logistic, shallow and deep nets that learn from one sample, a vector ``x``, at a time."""

from itertools import pairwise

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

SEEDS = range(3)
HIDDEN = [[1], [10, 5], [10, 20, 30, 20, 10]]


# ---- the formulas of the document


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


def logistic(w, b, x, y):
    p = sigmoid(w @ x + b)
    return (p - y) * x, p - y


def shallow(W1, b1, W2, b2, x, y):
    a1 = sigmoid(W1 @ x + b1)
    p = sigmoid(W2 @ a1 + b2)
    dz2 = p - y
    dz1 = a1 * (1 - a1) * (W2.T @ dz2)
    return np.outer(dz1, x), dz1, np.outer(dz2, a1), dz2


def deep(*parameters, x, y, head):
    """Any number of hidden layers; the head is ``sigmoid`` for two classes, ``softmax`` for a one-hot ``y``."""
    weights, biases = parameters[::2], parameters[1::2]
    activations = [x]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        activations.append(sigmoid(W @ activations[-1] + b))
    dz = head(weights[-1] @ activations[-1] + biases[-1]) - y
    gradients = [np.outer(dz, activations[-1]), dz]
    for W, a, before in zip(weights[:0:-1], activations[:0:-1], activations[-2::-1], strict=True):
        dz = a * (1 - a) * (W.T @ dz)
        gradients = [np.outer(dz, before), dz, *gradients]
    return gradients


# ---- the losses, for autograd


def binary_loss(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).sum()


def logistic_loss(x, y):
    return lambda w, b: binary_loss((w @ tl.tensor(x) + b).sigmoid(), y)


def deep_loss(x, loss):
    def of(*parameters):
        z = tl.tensor(x)
        for i in range(0, len(parameters), 2):
            z = parameters[i] @ (z if i == 0 else z.sigmoid()) + parameters[i + 1]
        return loss(z)

    return of


def random_net(rng, sizes, sigma=0.5):
    shapes = [shape for d, n in pairwise(sizes) for shape in [(n, d), (n,)]]
    return [rng.normal(0, sigma, shape) for shape in shapes]


def check(f, inputs, derived):
    check_derivation(f, [tl.tensor(array, dtype=tl.float64) for array in inputs], derived)


# ---- the formulas against autograd


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("features", [1, 3, 784])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_logistic(seed, features, y):
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=features), rng.normal(0, 0.1, features), rng.normal(0, 0.1)
    check(logistic_loss(x, y), [w, b], logistic(w, b, x, y))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("features", "nodes"), [(2, 1), (3, 5), (784, 10)])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_shallow(seed, features, nodes, y):
    rng = np.random.default_rng(seed)
    x, parameters = rng.random(features), random_net(rng, [features, nodes, 1], sigma=0.1)
    f = deep_loss(x, lambda z: binary_loss(z.sigmoid(), y))
    check(f, parameters, shallow(*parameters, x, y))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_deep_binary(seed, hidden, y):
    rng = np.random.default_rng(seed)
    x, parameters = rng.normal(size=3), random_net(rng, [3, *hidden, 1])
    f = deep_loss(x, lambda z: binary_loss(z.sigmoid(), y))
    check(f, parameters, deep(*parameters, x=x, y=y, head=sigmoid))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("classes", [2, 10])
def test_deep_multi_class(seed, hidden, classes):
    rng = np.random.default_rng(seed)
    x, parameters, k = rng.normal(size=3), random_net(rng, [3, *hidden, classes]), rng.integers(classes)
    f = deep_loss(x, lambda z: -z.softmax(dim=0).log()[k])
    derived = deep(*parameters, x=x, y=np.eye(classes)[k], head=softmax)
    check(f, parameters, derived)


def test_the_cross_entropy_of_indices_is_the_documents_loss():
    rng = np.random.default_rng(0)
    x, parameters = rng.random(784), random_net(rng, [784, 10, 5, 10], sigma=0.1)
    f = deep_loss(x, lambda z: tl.nn.functional.cross_entropy(z, tl.tensor(7)))
    check(f, parameters, deep(*parameters, x=x, y=np.eye(10)[7], head=softmax))


# ---- what the document gets wrong is caught


def one_sample():
    rng = np.random.default_rng(0)
    return rng.normal(size=3), rng.normal(size=3), rng.normal()


def test_the_sign_of_the_prose_climbs_the_loss():
    x, w, b = one_sample()
    dw, db = logistic(w, b, x, 1.0)
    with pytest.raises(GradcheckError):
        check(logistic_loss(x, 1.0), [w, b], [-dw, db])


def test_the_bias_of_the_logistic_code_moves_once_per_feature():
    x, w, b = one_sample()
    dw, db = logistic(w, b, x, 1.0)
    moved = sum(db for _ in x)
    with pytest.raises(GradcheckError):
        check(logistic_loss(x, 1.0), [w, b], [dw, moved])


def test_the_guarded_loss_has_another_gradient_near_saturation():
    def guarded(z):
        return -(1 - z.sigmoid() + 1e-8).log()

    z = 18.0  # y = 0 and p = 1 - 1.5e-8: the guard of 1e-8 matters, and p - y does not know it
    p = sigmoid(z)
    check(guarded, [z], [p * (1 - p) / (1 - p + 1e-8)])
    with pytest.raises(GradcheckError):
        check(guarded, [z], [p - 0.0])


def test_the_softmax_without_a_shift_overflows_where_autograd_does_not():
    z, y = np.array([800.0, 0.0, 799.0]), np.eye(3)[2]
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(softmax(z) - y).any()
    check(lambda z: tl.nn.functional.cross_entropy(z, tl.tensor(2)), [z], [softmax(z - 800) - y])
