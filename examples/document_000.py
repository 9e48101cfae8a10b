"""Document 000: logistic regression, one sample at a time.

The model: ``p = s(x.w + b)`` with the sigmoid ``s``; the loss of a sample of class y is the
cross-entropy ``J = -(y log p + (1 - y) log(1 - p))``. The document derives ``dJ/dw = (p - y) x``
and ``dJ/db = p - y`` by hand. Here ``loss.backward()`` finds them.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import tinygrad_lite as tl
from examples import plots
from examples.lesson import Lesson
from examples.sources import blobs
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F


def run(lesson: Lesson) -> None:
    """Train on the blobs: once to score on the validation part, once more to score on the test part."""
    points, target = blobs(lesson)
    train_x, rest_x, train_y, rest_y = train_test_split(points, target, test_size=0.5, random_state=42)
    test_x, validation_x, test_y, validation_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=42)
    iterations = 60_000 if lesson.quick else 1_000_000

    with lesson.measure("logistic, blobs, validation", reported="0.960") as row:
        net = logistic(features=points.shape[1])
        first_curve = fit(net, train_x, train_y, iterations, lesson)
        row.ours = f"{accuracy_score(validation_y, predict(net, validation_x)):.3f}"

    with lesson.measure("logistic, blobs, test", reported="0.990") as row:
        net = logistic(features=points.shape[1])
        all_x, all_y = np.concatenate([train_x, validation_x]), np.concatenate([train_y, validation_y])
        second_curve = fit(net, all_x, all_y, iterations, lesson)
        predicted = predict(net, test_x)
        row.ours = f"{accuracy_score(test_y, predicted):.3f}"

    curves = {"train": first_curve, "train + validation": second_curve}
    lesson.save(plots.learning_curves(curves, "epoch", "J", "Logistic regression on blobs"), "learning_curve")
    lesson.save(plots.predicted_points(test_x, test_y, predicted, "Blobs, test part"), "predictions")


def logistic(features: int) -> nn.Linear:
    """One neuron; its output is the logit z, and the probability of class 1 is s(z)."""
    net = nn.Linear(features, 1)
    for parameter in net.parameters():
        nn.init.normal_(parameter, mean=0.0, std=0.1)
    return net


def fit(net: nn.Module, x: np.ndarray, y: np.ndarray, iterations: int, lesson: Lesson) -> list[float]:
    """Stochastic gradient descent: draw a sample, step along its gradient; an epoch is as many draws as samples.

    It ends after ``iterations`` draws, or when the mean loss of an epoch moved by less than 1e-6.
    """
    optimizer = tl.optim.SGD(net.parameters(), lr=0.001)
    samples = list(zip(tl.tensor(x), tl.tensor(y)[:, None], strict=True))
    curve: list[float] = []
    with lesson.progress(iterations, "logistic") as bar:
        for _ in range(iterations // len(samples)):
            total = 0.0
            for i in tl.randint(len(samples), (len(samples),)).tolist():
                sample, label = samples[i]  # (features,) and (1,)
                optimizer.zero_grad()
                loss = F.binary_cross_entropy_with_logits(net(sample), label)
                loss.backward()
                optimizer.step()
                total += loss.item()
            curve.append(total / len(samples))
            bar.update(len(samples))
            bar.set_postfix(J=f"{curve[-1]:.4f}", refresh=False)
            if len(curve) > 1 and abs(curve[-1] - curve[-2]) < 1e-6:
                break
    return curve


@tl.no_grad()
def predict(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """Class 1 where its probability is above one half."""
    probability = net(tl.tensor(x)).sigmoid().squeeze(1)
    return (probability > 0.5).float().numpy()
