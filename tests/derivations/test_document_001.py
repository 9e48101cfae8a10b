"""Document 001: nets of layers, mean cross-entropy with an L2 penalty on the weights, samples as rows."""

from itertools import pairwise

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

GUARD = 1e-10
SEEDS = range(3)


# ---- the formulas of the document, for rows


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def relu(z):
    return np.maximum(0, z)


SLOPE = {sigmoid: lambda z: sigmoid(z) * (1 - sigmoid(z)), relu: lambda z: 1.0 * (z > 0)}


def multi_class_head(Z, Y):
    return (softmax(Z) - Y) / len(Y)


def binary_head(Z, Y, guard=0.0):
    """The code's ``dP`` times ``s'``; its guard of 1e-10 belongs to no loss."""
    P = sigmoid(Z)
    return (P - Y) / (P * (1 - P + guard)) / len(Y) * SLOPE[sigmoid](Z)


def backpropagate(*parameters, X, Y, hidden, head, l2):
    weights, biases = parameters[::2], parameters[1::2]
    A, Z = [X], []
    for W, b in zip(weights, biases, strict=True):
        Z.append(A[-1] @ W.T + b)
        A.append(hidden(Z[-1]))
    dZ, gradients = head(Z[-1], Y), []
    for layer in reversed(range(len(weights))):
        gradients = [dZ.T @ A[layer] + l2 / len(Y) * weights[layer], dZ.sum(axis=0), *gradients]
        if layer > 0:
            dZ = dZ @ weights[layer] * SLOPE[hidden](Z[layer - 1])
    return gradients


# ---- the losses, for autograd


def cross_entropy(P, Y, guard=0.0):
    return -(Y * (P + guard).log()).sum() / len(Y)


def binary_cross_entropy(P, Y, guard=0.0):
    return -(Y * (P + guard).log() + (1 - Y) * (1 - P + guard).log()).sum() / len(Y)


def objective(X, Y, hidden, loss, l2):
    activation = {sigmoid: tl.sigmoid, relu: tl.relu}[hidden]

    def f(*parameters):
        z = tensor(X)
        for i in range(0, len(parameters), 2):
            z = (z if i == 0 else activation(z)) @ parameters[i].T + parameters[i + 1]
        penalty = sum((W**2).sum() for W in parameters[::2])
        return loss(z, tensor(Y)) + l2 / (2 * len(Y)) * penalty

    return f


def tensor(array):
    return tl.tensor(array, dtype=tl.float64)


def check(f, inputs, derived):
    check_derivation(f, [tensor(array) for array in inputs], derived)


def random_net(rng, *sizes):
    shapes = [shape for d, n in pairwise(sizes) for shape in [(n, d), (n,)]]
    return [rng.uniform(-1, 1, shape) / np.sqrt(shape[-1]) for shape in shapes]


# ---- the formulas against autograd


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", [sigmoid, relu])
@pytest.mark.parametrize("sizes", [(3, 4), (6, 5, 3), (4, 8, 7, 2), (784, 25, 10)])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_multi_class(seed, hidden, sizes, l2):
    rng = np.random.default_rng(seed)
    X, parameters = rng.random((16, sizes[0])), random_net(rng, *sizes)
    Y = np.eye(sizes[-1])[rng.integers(sizes[-1], size=16)]
    f = objective(X, Y, hidden, lambda z, y: cross_entropy(z.softmax(dim=1), y), l2)
    check(f, parameters, backpropagate(*parameters, X=X, Y=Y, hidden=hidden, head=multi_class_head, l2=l2))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", [sigmoid, relu])
@pytest.mark.parametrize("sizes", [(2, 1), (5, 25, 25, 1)])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_binary(seed, hidden, sizes, l2):
    rng = np.random.default_rng(seed)
    X, parameters = rng.normal(size=(64, sizes[0])), random_net(rng, *sizes)
    Y = rng.integers(2, size=(64, 1)).astype(float)
    f = objective(X, Y, hidden, lambda z, y: binary_cross_entropy(z.sigmoid(), y), l2)
    check(f, parameters, backpropagate(*parameters, X=X, Y=Y, hidden=hidden, head=binary_head, l2=l2))


def test_the_library_losses_are_the_documents():
    rng = np.random.default_rng(0)
    X, parameters, k = rng.random((16, 6)), random_net(rng, 6, 5, 3), rng.integers(3, size=16)
    derived = backpropagate(*parameters, X=X, Y=np.eye(3)[k], hidden=relu, head=multi_class_head, l2=0.1)
    f = objective(X, k, relu, lambda z, y: tl.nn.functional.cross_entropy(z, y.long()), 0.1)
    check(f, parameters, derived)


# ---- the guarded loss: its exact derivative, and where (P - Y) / m leaves it


def guarded_head(Z, Y):
    """The derivative of ``-1/m sum Y log(P + guard)``: ``(P - Y)/m`` times ``p / (p + guard)``, p of the true class."""
    p = (softmax(Z) * Y).sum(axis=1, keepdims=True)
    return multi_class_head(Z, Y) * p / (p + GUARD)


def guarded(Y):
    return lambda Z: cross_entropy(Z.softmax(dim=1), tensor(Y), GUARD)


@pytest.mark.parametrize("distance", [0.0, 5.0, 23.0, 40.0])
def test_the_guarded_loss_has_its_own_derivative(distance):
    Z, Y = np.array([[0.0, distance, 1.0], [0.5, 0.2, 0.1]]), np.eye(3)[[0, 1]]
    check(guarded(Y), [Z], [guarded_head(Z, Y)])


def test_the_guarded_loss_stops_teaching_where_the_net_is_surely_wrong():
    Z, Y = np.array([[0.0, 23.0, 1.0]]), np.eye(3)[[0]]  # p = 1e-10, as large as the guard
    assert abs(guarded_head(Z, Y)[0, 0] / multi_class_head(Z, Y)[0, 0] - 0.5) < 0.01
    with pytest.raises(GradcheckError):
        check(guarded(Y), [Z], [multi_class_head(Z, Y)])


# ---- what the document gets wrong is caught


def test_the_guarded_binary_derivative_belongs_to_no_loss():
    Z, Y = np.array([[20.0], [-20.0]]), np.array([[0.0], [1.0]])
    for guard in (0.0, GUARD):
        with pytest.raises(GradcheckError):
            check(lambda z: binary_cross_entropy(z.sigmoid(), tensor(Y), guard), [Z], [binary_head(Z, Y, GUARD)])


def test_the_binary_derivative_divides_by_zero_where_autograd_does_not():
    Z, Y = np.array([[-800.0]]), np.array([[0.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(binary_head(Z, Y, GUARD)).all()
    check(lambda z: binary_cross_entropy(z.sigmoid(), tensor(Y), GUARD), [Z], [np.zeros((1, 1))])
    f = tl.nn.functional.binary_cross_entropy_with_logits
    check(lambda z: f(z, tensor(Y)), [Z], [np.zeros((1, 1))])


def test_the_relu_slope_overwrites_what_the_layer_remembers():
    def activation_prime(z):
        z[z <= 0] = 0
        z[z > 0] = 1
        return z

    Z = np.array([-2.0, 3.0])
    slope = activation_prime(Z)
    np.testing.assert_array_equal(slope, SLOPE[relu](np.array([-2.0, 3.0])))  # right, once:
    assert slope is Z  # and z is gone
    z = tensor([-2.0, 3.0]).requires_grad_()
    loss = (z * z).sum()
    with tl.no_grad():
        z[z <= 0] = 0.0
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_the_softmax_derivative_is_not_the_jacobian():
    z = np.array([[0.3, -0.2, 0.9]])
    P = softmax(z)[0]
    jacobian = np.diag(P) - np.outer(P, P)
    of_the_document = np.einsum("ij,ik->ij", P[:, None], np.eye(3) - P[:, None])  # a column of samples, as there
    for k in range(3):
        check(lambda z: z.softmax(dim=1)[0, k], [z], [jacobian[None, k]])
    assert of_the_document.shape != jacobian.shape
    assert not np.isclose(of_the_document[:, 0], np.diag(jacobian)).any()


def test_a_penalty_on_the_biases_is_caught():
    rng = np.random.default_rng(0)
    X, Y, parameters = rng.random((8, 4)), np.eye(3)[rng.integers(3, size=8)], random_net(rng, 4, 3)
    dW, db = backpropagate(*parameters, X=X, Y=Y, hidden=relu, head=multi_class_head, l2=0.1)
    f = objective(X, Y, relu, lambda z, y: cross_entropy(z.softmax(dim=1), y), 0.1)
    with pytest.raises(GradcheckError):
        check(f, parameters, [dW, db + 0.1 / 8 * parameters[1]])
