"""Document 002: a net of two layers, 784-20-10, by full-batch gradient descent.

Hidden ReLU, softmax output, 1,600 images to train on and 400 to score. The document defines no loss:
its gradients ``dZ2 = P - Y``, ``dW2 = 1/m dZ2 A1^T``, ``dZ1 = W2^T dZ2 * 1[Z1 > 0]`` ... are those of the
mean cross-entropy, which is all that is written here.
"""

from __future__ import annotations

import numpy as np

import tinygrad_lite as tl
from examples import plots
from examples.lesson import Lesson
from examples.sources import clothes
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F


def run(lesson: Lesson) -> None:
    """Train the net, and look at what it confuses."""
    images = clothes(lesson, count=2000)
    dev_x, dev_y = images.pixels[:400], images.labels[:400]
    train_x, train_y = images.pixels[400:], images.labels[400:]

    with lesson.measure("784-20-10, full batch", reported="train 0.829, dev 0.770") as row:
        net = two_layers(pixels=train_x.size(1), hidden=20, classes=len(images.names))
        curves = fit(net, train_x, train_y, dev_x, dev_y, lesson)
        row.model = f"{train_x.size(1)}-20-10, full batch"
        row.ours = f"train {accuracy(net, train_x, train_y):.3f}, dev {accuracy(net, dev_x, dev_y):.3f}"

    predicted = predict(net, dev_x).tolist()
    side = round(train_x.size(1) ** 0.5)
    four = dev_x[:4].reshape(4, side, side).numpy()
    lesson.save(plots.learning_curves(curves, "iteration", "accuracy", "A net of two layers"), "learning_curve")
    lesson.save(
        plots.predicted_images(four, dev_y[:4].tolist(), predicted[:4], images.names, "Four images and predictions"),
        "four_images",
    )
    lesson.save(plots.confusion_matrix(dev_y.tolist(), predicted, images.names, "Dev images"), "confusion")


def two_layers(pixels: int, hidden: int, classes: int) -> nn.Sequential:
    """The net; every weight and bias starts uniform in (-0.5, 0.5)."""
    net = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return net


def fit(
    net: nn.Module, x: tl.Tensor, y: tl.Tensor, dev_x: tl.Tensor, dev_y: tl.Tensor, lesson: Lesson
) -> dict[str, list[float]]:
    """501 steps of learning rate 0.1, each along the gradient of all images."""
    optimizer = tl.optim.SGD(net.parameters(), lr=0.10)
    curves: dict[str, list[float]] = {"train": [], "dev": []}
    with lesson.progress(501, "two layers") as bar:
        for _ in range(501):
            optimizer.zero_grad()
            logits = net(x)  # (m, classes)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            curves["train"].append(float(np.mean(logits.detach().argmax(1).numpy() == y.numpy())))
            curves["dev"].append(accuracy(net, dev_x, dev_y))
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
    return curves


@tl.no_grad()
def predict(net: nn.Module, x: tl.Tensor) -> tl.Tensor:
    """The class of the largest output."""
    return net(x).argmax(dim=1)


def accuracy(net: nn.Module, x: tl.Tensor, y: tl.Tensor) -> float:
    """The share of images whose class is found."""
    return (predict(net, x) == y).float().mean().item()
