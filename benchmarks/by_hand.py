"""The steps with backpropagation written by hand: the documents' formulas, in NumPy, over rows.

A step takes the parameters (``w`` of shape ``(out, in)``, then ``b``), samples as rows (one sample is a row
of its own) and their labels; it computes the loss and every gradient, changes the parameters in place, and
returns the loss. Written for the reader, as the documents write it: no scratch arrays are kept from step
to step, which NumPy code tuned for speed would do.
"""

from itertools import count

import numpy as np

RATE = 1e-3


def descend(parameters, gradients):
    """A step of gradient descent."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= RATE * gradient


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def softmax(z):
    """Probabilities of each row's classes."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def output_error(p, labels):
    """The mean cross-entropy of probabilities, and its gradient by the logits: ``(P - Y) / m``."""
    rows = np.arange(len(p))
    loss = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return loss, p / len(p)


def logistic(w, b, x, y):
    """Document 000: d-1, sigmoid, binary cross-entropy."""
    z = x @ w.T + b
    loss = (np.logaddexp(0, z) - y * z).mean()
    dz = (sigmoid(z) - y) / len(x)
    descend((w, b), (dz.T @ x, dz.sum(axis=0)))
    return loss


def shallow(w1, b1, w2, b2, x, y):
    """Document 000: d-n-1, sigmoid, binary cross-entropy."""
    a = sigmoid(x @ w1.T + b1)
    z = a @ w2.T + b2
    loss = (np.logaddexp(0, z) - y * z).mean()
    dz2 = (sigmoid(z) - y) / len(x)
    dz1 = dz2 @ w2 * a * (1 - a)
    descend((w1, b1, w2, b2), (dz1.T @ x, dz1.sum(axis=0), dz2.T @ a, dz2.sum(axis=0)))
    return loss


def deep(w1, b1, w2, b2, w3, b3, x, labels):
    """Document 000: two hidden layers, sigmoid, softmax cross-entropy."""
    a1 = sigmoid(x @ w1.T + b1)
    a2 = sigmoid(a1 @ w2.T + b2)
    loss, dz3 = output_error(softmax(a2 @ w3.T + b3), labels)
    dz2 = dz3 @ w3 * a2 * (1 - a2)
    dz1 = dz2 @ w2 * a1 * (1 - a1)
    gradients = dz1.T @ x, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0), dz3.T @ a2, dz3.sum(axis=0)
    descend((w1, b1, w2, b2, w3, b3), gradients)
    return loss


def relu_classifier(w1, b1, w2, b2, x, labels):
    """Documents 001 and 002: d-n-k, ReLU, softmax cross-entropy."""
    a = np.maximum(x @ w1.T + b1, 0)
    loss, dz2 = output_error(softmax(a @ w2.T + b2), labels)
    dz1 = dz2 @ w2 * (a > 0)
    descend((w1, b1, w2, b2), (dz1.T @ x, dz1.sum(axis=0), dz2.T @ a, dz2.sum(axis=0)))
    return loss


def sigmoid_classifier(w1, b1, w2, b2, x, labels):
    """Document 004: d-n-k, sigmoid, softmax cross-entropy."""
    a = sigmoid(x @ w1.T + b1)
    loss, dz2 = output_error(softmax(a @ w2.T + b2), labels)
    dz1 = dz2 @ w2 * a * (1 - a)
    descend((w1, b1, w2, b2), (dz1.T @ x, dz1.sum(axis=0), dz2.T @ a, dz2.sum(axis=0)))
    return loss


def squared_error(w1, b1, w2, b2, w3, b3, x, y):
    """Document 003: two ReLU layers, sigmoid output, half the summed squared error."""
    a1 = np.maximum(x @ w1.T + b1, 0)
    a2 = np.maximum(a1 @ w2.T + b2, 0)
    p = sigmoid(a2 @ w3.T + b3)
    error = p - y
    loss = 0.5 * (error * error).sum()
    dz3 = error * p * (1 - p)
    dz2 = dz3 @ w3 * (a2 > 0)
    dz1 = dz2 @ w2 * (a1 > 0)
    gradients = dz1.T @ x, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0), dz3.T @ a2, dz3.sum(axis=0)
    descend((w1, b1, w2, b2, w3, b3), gradients)
    return loss


class DropoutClassifier:
    """Document 004's Keras net: d-n-n-k, ReLU, dropout after the first hidden layer, softmax cross-entropy, Adam.

    It keeps the random numbers and Adam's means from step to step.
    """

    def __init__(self, dropout, eps):
        self.dropout, self.eps = dropout, eps
        self.rng = np.random.default_rng(0)
        self.steps = count(1)
        self.means = None

    def __call__(self, w1, b1, w2, b2, w3, b3, x, labels):
        a1 = np.maximum(x @ w1.T + b1, 0)
        mask = self.mask(a1)
        d1 = a1 * mask
        a2 = np.maximum(d1 @ w2.T + b2, 0)
        loss, dz3 = output_error(softmax(a2 @ w3.T + b3), labels)
        dz2 = dz3 @ w3 * (a2 > 0)
        dz1 = dz2 @ w2 * mask * (a1 > 0)
        gradients = dz1.T @ x, dz1.sum(axis=0), dz2.T @ d1, dz2.sum(axis=0), dz3.T @ a2, dz3.sum(axis=0)
        self.adam((w1, b1, w2, b2, w3, b3), gradients)
        return loss

    def mask(self, a):
        """What multiplies the activations: 0 with the probability of dropout, else so much that the mean stays."""
        return (self.rng.random(a.shape, dtype=a.dtype) >= self.dropout) / a.dtype.type(1 - self.dropout)

    def adam(self, parameters, gradients):
        """A step of Adam."""
        if self.means is None:
            self.means = [(np.zeros_like(parameter), np.zeros_like(parameter)) for parameter in parameters]
        t = next(self.steps)
        for parameter, gradient, (m, v) in zip(parameters, gradients, self.means, strict=True):
            m *= 0.9
            m += 0.1 * gradient
            v *= 0.999
            v += 0.001 * gradient * gradient
            parameter -= RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + self.eps)


def layers(*parameters_x_y, slope, activation, head, l2=0.0):
    """Documents 000 to 003, where they take any number of layers: forward in a loop, backward in another.

    ``activation`` is that of the hidden layers and ``slope`` its derivative by its output; ``head`` gives the loss
    and its gradient by the last layer's z. The penalty is ``l2 / 2m sum ||w||^2``.
    """
    *parameters, x, y = parameters_x_y
    weights, biases = parameters[::2], parameters[1::2]
    outputs = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        outputs.append(activation(outputs[-1] @ w.T + b))
    loss, dz = head(outputs[-1] @ weights[-1].T + biases[-1], y)
    gradients = []
    for w, a in zip(weights[::-1], outputs[::-1], strict=True):
        dw = dz.T @ a
        if l2:
            dw += l2 / len(x) * w
            loss += l2 / (2 * len(x)) * (w * w).sum()
        gradients = [dw, dz.sum(axis=0), *gradients]
        if a is not x:
            dz = dz @ w * slope(a)
    descend(parameters, gradients)
    return loss


def sigmoid_slope(a):
    """The derivative of the sigmoid by its output."""
    return a * (1 - a)


def relu(z):
    """The positive part."""
    return np.maximum(z, 0)


def relu_slope(a):
    """The derivative of ReLU by its output."""
    return a > 0


def softmax_head(z, labels):
    """Softmax and cross-entropy."""
    return output_error(softmax(z), labels)


def sigmoid_head(z, y):
    """Sigmoid and binary cross-entropy."""
    return (np.logaddexp(0, z) - y * z).mean(), (sigmoid(z) - y) / len(z)


def squared_error_head(z, y):
    """Sigmoid and half the summed squared error."""
    p = sigmoid(z)
    error = p - y
    return 0.5 * (error * error).sum(), error * p * (1 - p)


def tanh_chain(a, b, repeats):
    """Loss and gradients of ``repeats`` times ``x = tanh(x * b + a) - b``, summed, from ``x = a``."""
    x, kept = a, []
    for _ in range(repeats):
        t = np.tanh(x * b + a)
        kept.append((x, t))
        x = t - b
    dx, da, db = np.ones_like(x), np.zeros_like(a), np.zeros_like(b)
    for before, t in reversed(kept):
        db -= dx
        dz = dx * (1 - t * t)
        da += dz
        db += dz * before
        dx = dz * b
    return x.sum(), da + dx, db
