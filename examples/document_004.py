"""Document 004: a net of two layers on MNIST, with the backpropagation that the document writes by hand left out.

The model, for an image x per row: ``z1 = x W1^T + b1``, ``a1 = s(z1)`` with the sigmoid ``s``, ``z2 = a1 W2^T + b2``,
and the probabilities of the digits ``P = softmax(z2)``. The loss is the mean cross-entropy of a batch of K images,
``C = -1/K sum Y log P`` with one-hot labels Y. By hand its gradients are ``dz2 = P - Y``, ``dW2 = dz2^T a1``,
``dz1 = dz2 W2 * s(z1) (1 - s(z1))``, ``dW1 = dz1^T x``, averaged over the batch; here ``loss.backward()`` finds them.

What differs from the document, and why:

- It divides the gradients by ``s + 1`` for batches of s images. Here the mean is over the images that there are.
- Each of its steps moves on by ``s + 1`` images, so one in 51 is never used, and it never shuffles. Here an epoch is a
  random order of all images.
- Its softmax divides exponentials that can overflow, and its loss is infinite at a probability of 0. Here the loss
  goes through ``log_softmax``, which is the same function without either.
- Its text says batches of 100 and one epoch, its code batches of 50 and two. Here the code is followed.

The document's other models are still open.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import accuracy_score, roc_auc_score

import tinygrad_lite as tl
from examples import plots
from examples.lesson import Expected, Lesson
from examples.sources import Images, digits
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F

HIDDEN = 100
BATCH_SIZE = 50
LEARNING_RATE = 1.0


def net_from_scratch(lesson: Lesson) -> None:
    """Train the net, and look at the probabilities that it gives to test images."""
    train, test = digits(lesson, train=True), digits(lesson, train=False)
    pixels, classes = train.pixels.size(1), len(train.names)
    epochs = 2 if lesson.data is not None else 40  # scikit-learn's digits are 45 times fewer

    with lesson.measure(
        f"{pixels}-{HIDDEN}-{classes} from scratch",
        reported="ROC AUC 0.9957",
        form=".4f",
        expected=[Expected("ROC AUC", "median", low=0.995)],
    ) as row:
        net = two_layers(pixels, HIDDEN, classes)
        losses = fit(net, train, epochs, lesson)
        probabilities = predict(net, test.pixels)
        labels, predicted = test.labels.numpy(), probabilities.argmax(axis=1)
        row.scores = {
            "ROC AUC": float(roc_auc_score(labels, probabilities, multi_class="ovr")),  # of each digit against the rest
            "test": float(accuracy_score(labels, predicted)),
        }

    lesson.save(
        plots.roc_curves(labels, probabilities, test.names, "ROC curves, test images"),
        "roc",
        "How many images of a digit are found, against how many others are taken for it, as the threshold falls.",
    )
    lesson.save(
        plots.learning_curves(
            {"train": mean_of_each(losses, 20)}, "steps / 20", "C", "A net from scratch", scale="log"
        ),
        "learning_curve",
        "The loss, averaged over 20 steps: it falls steeply, then slowly and unevenly, as batches of 50 differ.",
    )
    lesson.save(
        plots.confusion_matrix(labels, predicted, test.names, "Test images"),
        "confusion",
        "How often each digit, a row, is taken for which, a column; on the diagonal are those that are right.",
    )
    lesson.save(
        plots.predicted_images(
            test.pixels[:10].reshape(10, test.side, test.side).numpy(),
            labels[:10].tolist(),
            predicted[:10].tolist(),
            test.names,
            "Ten test images and predictions",
        ),
        "predictions",
        "The first ten test images, each under what the net takes it for; a mistake is red.",
    )


def still_open(lesson: Lesson) -> None:
    """The models of the document that are not rebuilt yet."""
    lesson.leave_open("PCA, 2 and 50 components", "explained variance 0.168, about 0.8")
    lesson.leave_open("maximal margin and support vector classifier", "lines, margins and support vectors, drawn")
    lesson.leave_open("kernel trick, points lifted to three dimensions", "drawn")
    lesson.leave_open("SVC linear / poly / sigmoid / RBF", "ROC AUC 0.954 / 0.959 / 0.955 / 0.968")
    lesson.leave_open("SVC RBF, grid search on 500 images", "cross-validation 0.880")
    lesson.leave_open("784-1200-1200-10, dropout, Adam", "more than 98 %")
    lesson.leave_open("CNN like LeNet-5", "val 0.9858, test 0.9859")


def two_layers(pixels: int, hidden: int, classes: int) -> nn.Sequential:
    """The net; its outputs are logits. Weights start from N(0, 1), biases at 0."""
    net = nn.Sequential(nn.Linear(pixels, hidden), nn.Sigmoid(), nn.Linear(hidden, classes))
    for layer in (net[0], net[2]):
        nn.init.normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return net


def cross_entropy(logits: tl.Tensor, one_hot: tl.Tensor) -> tl.Tensor:
    """``-1/K sum Y log P`` with ``P = softmax(logits)``."""
    return -(one_hot * logits.log_softmax(dim=1)).sum() / len(logits)


def fit(net: nn.Module, images: Images, epochs: int, lesson: Lesson) -> list[float]:
    """Gradient descent in batches; each epoch takes all images in a random order. Returns the loss of every step."""
    step = lesson.compiled(training_step(net, tl.optim.SGD(net.parameters(), lr=LEARNING_RATE)))
    one_hot = F.one_hot(images.labels, len(images.names)).float()
    losses: list[float] = []
    with lesson.progress(epochs * -(-len(one_hot) // BATCH_SIZE), "from scratch") as bar:
        for _ in range(epochs):
            for batch in tl.randperm(len(one_hot)).split(BATCH_SIZE):
                losses.append(step(images.pixels[batch], one_hot[batch]).item())
                bar.update()
                bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
    return losses


def training_step(net: nn.Module, optimizer: tl.optim.SGD) -> Callable[[tl.Tensor, tl.Tensor], tl.Tensor]:
    """A function that makes one step along the gradient of a batch, and returns its loss."""

    def step(x: tl.Tensor, one_hot: tl.Tensor) -> tl.Tensor:
        loss = cross_entropy(net(x), one_hot)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


@tl.no_grad()
def predict(net: nn.Module, x: tl.Tensor) -> np.ndarray:
    """The probability of each class, an image per row."""
    return net(x).softmax(dim=1).numpy()


def mean_of_each(values: list[float], count: int) -> list[float]:
    """The means of ``count`` values at a time, for a curve that can be read."""
    return [float(np.mean(values[start : start + count])) for start in range(0, len(values), count)]


EXPERIMENTS = (net_from_scratch, still_open)
