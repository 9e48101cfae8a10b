"""The steps with backpropagation written by hand: what a careful NumPy user would type for each net.

A step takes the parameters (``w`` of shape ``(out, in)``, then ``b``), one sample as a vector or a batch
as rows, and the labels; it computes the loss and every gradient, changes the parameters in place, and
returns the loss.
"""

import numpy as np

RATE = 1e-3

outer = np.multiply.outer


def descend(parameters, gradients):
    """Gradient descent in the gradients' own memory."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        gradient *= RATE
        parameter -= gradient


def sigmoid_(z):
    """The logistic function, in the memory of ``z``."""
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def relu_(z):
    """The positive part, in the memory of ``z``."""
    return np.maximum(z, 0, out=z)


def cross_entropy_(z, labels):
    """Mean cross-entropy of logits, and its gradient in the memory of ``z``."""
    rows = np.arange(len(z))
    z -= z.max(axis=1, keepdims=True)
    chosen = z[rows, labels]
    np.exp(z, out=z)
    total = z.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - chosen).sum() / len(z)
    z /= total
    z[rows, labels] -= 1
    z /= len(z)
    return loss, z


def logistic(w, b, x, y):
    """d-1, one sample, binary cross-entropy."""
    z = w @ x
    z += b
    loss = np.logaddexp(0, z) - y * z
    dz = sigmoid_(z)
    dz -= y
    descend((w, b), (outer(dz, x), dz))
    return loss


def shallow(w1, b1, w2, b2, x, y):
    """d-n-1, one sample, sigmoid, binary cross-entropy."""
    z = w1 @ x
    z += b1
    a = sigmoid_(z)
    z = w2 @ a
    z += b2
    loss = np.logaddexp(0, z) - y * z
    dz2 = sigmoid_(z)
    dz2 -= y
    dz1 = dz2 @ w2
    dz1 *= a
    dz1 *= 1 - a
    descend((w1, b1, w2, b2), (outer(dz1, x), dz1, outer(dz2, a), dz2))
    return loss


def deep(w1, b1, w2, b2, w3, b3, x, label):
    """Two hidden layers, one sample, sigmoid, softmax cross-entropy."""
    z = w1 @ x
    z += b1
    a1 = sigmoid_(z)
    z = w2 @ a1
    z += b2
    a2 = sigmoid_(z)
    z = w3 @ a2
    z += b3
    z -= z.max()
    chosen = z[label]
    np.exp(z, out=z)
    total = z.sum()
    loss = np.log(total) - chosen
    dz3 = z
    dz3 /= total
    dz3[label] -= 1
    dz2 = dz3 @ w3
    dz2 *= a2
    dz2 *= 1 - a2
    dz1 = dz2 @ w2
    dz1 *= a1
    dz1 *= 1 - a1
    descend((w1, b1, w2, b2, w3, b3), (outer(dz1, x), dz1, outer(dz2, a1), dz2, outer(dz3, a2), dz3))
    return loss


def relu_classifier(w1, b1, w2, b2, x, labels):
    """d-n-k on a batch, ReLU, softmax cross-entropy."""
    z = x @ w1.T
    z += b1
    a = relu_(z)
    z = a @ w2.T
    z += b2
    loss, dz2 = cross_entropy_(z, labels)
    dz1 = dz2 @ w2
    dz1 *= a > 0
    descend((w1, b1, w2, b2), (dz1.T @ x, dz1.sum(axis=0), dz2.T @ a, dz2.sum(axis=0)))
    return loss


def sigmoid_classifier(w1, b1, w2, b2, x, labels):
    """d-n-k on a batch, sigmoid, softmax cross-entropy."""
    z = x @ w1.T
    z += b1
    a = sigmoid_(z)
    z = a @ w2.T
    z += b2
    loss, dz2 = cross_entropy_(z, labels)
    dz1 = dz2 @ w2
    dz1 *= a
    dz1 *= 1 - a
    descend((w1, b1, w2, b2), (dz1.T @ x, dz1.sum(axis=0), dz2.T @ a, dz2.sum(axis=0)))
    return loss


def squared_error(w1, b1, w2, b2, w3, b3, x, y):
    """Two ReLU layers on a batch, sigmoid output, half the summed squared error."""
    z = x @ w1.T
    z += b1
    a1 = relu_(z)
    z = a1 @ w2.T
    z += b2
    a2 = relu_(z)
    z = a2 @ w3.T
    z += b3
    p = sigmoid_(z)
    error = p - y
    loss = 0.5 * np.vdot(error, error)
    dz3 = error
    dz3 *= p
    dz3 *= 1 - p
    dz2 = dz3 @ w3
    dz2 *= a2 > 0
    dz1 = dz2 @ w2
    dz1 *= a1 > 0
    gradients = dz1.T @ x, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0), dz3.T @ a2, dz3.sum(axis=0)
    descend((w1, b1, w2, b2, w3, b3), gradients)
    return loss


def tanh_chain(a, b, repeats):
    """Loss and gradients of ``repeats`` times ``x = tanh(x * b + a) - b``, summed, from ``x = a``."""
    x, kept = a, []
    for _ in range(repeats):
        z = x * b
        z += a
        t = np.tanh(z, out=z)
        kept.append((x, t))
        x = t - b
    dx, da, db = np.ones_like(x), np.zeros_like(a), np.zeros_like(b)
    for before, t in reversed(kept):
        db -= dx
        t *= t
        np.subtract(1, t, out=t)
        dx *= t
        da += dx
        db += dx * before
        dx *= b
    da += dx
    return x.sum(), da, db
