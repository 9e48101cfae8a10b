"""Document 003: telling two digits apart with a squared error, and why many nets never learn it.

The model, for an image x per row: ``z_l = y_(l-1) W_l^T + b_l`` with ``y_0 = x``, ``y_l = ReLU(z_l)`` in the hidden
layers, and ``y_hat = s(z_L)`` with the sigmoid ``s``. The label y is 1 for the larger digit. The cost is the squared
error, summed over the batch: ``C = 1/2 sum (y_hat - y)^2``. By hand its gradients are
``dC/dz_L = (y_hat - y) y_hat (1 - y_hat)``, ``dC/dz_(l-1) = (dC/dz_l W_l) * 1[y_(l-1) > 0]``,
``dC/dW_l = (dC/dz_l)^T y_(l-1)`` and ``dC/db_l``, the sum of ``dC/dz_l`` over the batch; here ``loss.backward()``
finds them.

Done as in the document, because its figures depend on it: pixels are divided by the largest of their own image; all
weights and biases start uniform in (-1, 1); batches that do not fill are dropped; the random numbers are those of
NumPy's legacy generator with seed 42: first the weights, then a permutation of the images for every epoch. The cost
shown is the mean over the images. The document chooses the best of its grid by the test images, so that this accuracy
is too good by construction; beside it stands that of the configuration with the lowest training cost, which needs no
test image.

Why nets get stuck: with weights this large ``z_L`` is far from 0, and the sigmoid saturates: ``y_hat`` is 0 or 1, and
the factor ``y_hat (1 - y_hat)`` wipes out the gradient, also where the answer is wrong. The cost is a sum over 1000
images, so the first steps, along what gradient there is, are large: they can throw all outputs to one side, and from
there hardly any gradient leads back. Whether that happens depends on the start, and even on rounding; so each pair is
trained from several starts in two precisions. A start is said to learn if its test accuracy is more than 5 points
above the share of the more frequent digit. A start's training ends early after an epoch that changed no bit of any
weight: where three such starts were trained on, for 28 to 48 more epochs, nothing moved any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from statistics import median
from typing import NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score

import tinygrad_lite as tl
from examples import plots
from examples.lesson import Expected, Lesson
from examples.sources import Images, digits
from tinygrad_lite import nn

SEEDS = (42,)  # the document's own; the ten starts are 42 to 51
SMALLEST = 1e-40  # of the gradient norms that are drawn: on a logarithmic axis 0 has no place


@dataclass(frozen=True)
class Settings:
    """How a net is built and trained; by default as in the document."""

    hidden: tuple[int, ...] = (500, 250, 50)
    learning_rate: float = 0.01
    batch_size: int = 1000
    epochs: int = 20

    def name(self, pixels: int) -> str:
        """The widths of all layers, such as 784-500-250-1."""
        return "-".join(map(str, (pixels, *self.hidden, 1)))


class Step(NamedTuple):
    """What is kept of a step of gradient descent."""

    loss: float  # C / batch size
    gradient_norms: list[float]  # of each layer, its weights and biases together
    saturated: float  # the share of outputs within 1e-6 of 0 or 1
    lost: float  # the share of those within 1e-6 of the wrong one: no gradient will mend them


Epochs = list[list[Step]]
Outcome = tuple[tl.Tensor, tl.Tensor, list[tl.Tensor]]  # of a step: cost, outputs, the layers' gradient norms


# ---- the document's experiments


def default_1_vs_5(lesson: Lesson) -> None:
    """Three hidden layers learn nothing; the gradients show why."""
    train, test = pair_of_digits(lesson, 1, 5)
    pixels = train.pixels.size(1)
    settings = lesson.by_effort(quick=Settings((100, 50, 25), batch_size=50), data=Settings(), full=Settings())
    exactly = Expected("test", "median", low=0.5599, high=0.559949)

    with lesson.measure(
        f"{settings.name(pixels)}, 1 vs 5, default", reported="55.99%, loss 0.223", form=".2%", expected=[exactly]
    ) as row:
        net, random = begin(pixels, settings.hidden, lesson.seed)
        epochs = fit(net, train, settings, random, lesson, "1 vs 5, default")
        predicted = predict(net, test.pixels)
        row.scores = {"test": float(accuracy_score(test.labels.numpy(), predicted))}

    learner = replace(settings, hidden=settings.hidden[:-1], epochs=2)
    net, random = begin(pixels, learner.hidden, lesson.seed)
    compared = {
        settings.name(pixels): flat(epochs[:2]),
        learner.name(pixels): flat(fit(net, train, learner, random, lesson, "1 vs 5, a layer less")),
    }
    states = "; ".join(state(name, steps) for name, steps in compared.items())
    row.note = f"Loss {losses(epochs)[-1]:.3f}. After the first step, over two epochs: {states}."

    lesson.save(
        plots.curve_panels(
            {name: layer_curves(steps) for name, steps in compared.items()},
            "step",
            "The layers' gradients over two epochs, from the same seed",
            value="gradient norm",
            scale="log",
        ),
        "default_gradient_norms",
        "From its second step on no layer of the default net has much of a gradient; with a layer less it comes back.",
    )
    save_training(lesson, epochs, settings, "default", "The default net, 1 vs 5")
    save_confusion(lesson, test, predicted, "default", "The default net takes every image for the same digit.")
    five = digits(lesson, train=True).draw(5)
    lesson.save(
        plots.images_in_a_grid(
            five.pixels.reshape(5, five.side, five.side).numpy(),
            [five.names[label] for label in five.labels.tolist()],
            "Five random training images",
        ),
        "images",
        "Five of the digits that there are to tell apart, each under its label.",
    )


def state(name: str, steps: Sequence[Step]) -> str:
    """Where the outputs and the gradient of a net are after its first step."""
    saturated, lost = np.mean([(step.saturated, step.lost) for step in steps[1:]], axis=0)
    norm = median_gradient_norm(steps[1:])
    return f"{name} has {saturated:.1%} of its outputs saturated, {lost:.1%} at the wrong end, gradient norm {norm:.2g}"


def pair_1_5(lesson: Lesson) -> None:
    """1 against 5."""
    several_starts(lesson, 1, 5, reported=0.9965)


def pair_1_7(lesson: Lesson) -> None:
    """1 against 7."""
    several_starts(lesson, 1, 7, reported=0.9903)


def pair_4_7(lesson: Lesson) -> None:
    """4 against 7."""
    several_starts(lesson, 4, 7, reported=0.9851)


def pair_2_3(lesson: Lesson) -> None:
    """2 against 3."""
    several_starts(lesson, 2, 3, reported=0.9770)


def pair_4_9(lesson: Lesson) -> None:
    """4 against 9."""
    several_starts(lesson, 4, 9, reported=0.9372)


class Start(NamedTuple):
    """How a training from one start ended."""

    accuracy: float  # on the test images
    gradient_norm: float  # the median of the first epoch
    epochs: Epochs
    predicted: np.ndarray


def several_starts(lesson: Lesson, smaller: int, larger: int, reported: float) -> None:
    """Train the document's best net on a pair of digits from several starts, in float32 and in float64."""
    train, test = pair_of_digits(lesson, smaller, larger)
    pixels = train.pixels.size(1)
    settings = lesson.by_effort(
        quick=Settings((100, 50), batch_size=50, epochs=20),
        data=Settings((500, 250), epochs=40),
        full=Settings((500, 250), epochs=50),
    )
    counts = {
        "float32": lesson.by_effort(quick=4, data=1, full=10),
        "float64": lesson.by_effort(quick=4, data=1, full=10),
    }
    threshold = learning_threshold(test)

    model = f"{settings.name(pixels)}, {smaller} vs {larger}"
    with lesson.measure(model, reported=f"{reported:.2%}", form=".2%") as row:
        starts = {
            dtype: [train_from(lesson.seed + k, dtype, train, test, settings, lesson) for k in range(count)]
            for dtype, count in counts.items()
        }
        row.scores = {f"start {lesson.seed}": starts["float64"][0].accuracy}
        for dtype, ended in starts.items():
            learnt = [start.accuracy for start in ended if start.accuracy > threshold]
            row.scores[f"learn {dtype}"] = len(learnt)
            if learnt:  # else there is no median, and nothing to expect of it
                row.scores[f"median {dtype}"] = median(learnt)
        low, high = round(reported - 0.02, 4), round(reported + 0.02, 4)
        row.expected = [Expected(name, "median", low, high) for name in row.scores if name.startswith("median")]
    row.note = what_became(starts, threshold)

    pair = f"{smaller}_{larger}"
    lesson.save(
        plots.dots(
            {dtype: gradient_and_accuracy(ended) for dtype, ended in starts.items()},
            "gradient norm, median of the first epoch",
            "test accuracy",
            f"{smaller} vs {larger}: a dot per start",
            level=threshold,
        ),
        f"pair_{pair}_starts",
        "Starts that lose their gradient in the first epoch mostly never learn, and stay below the dashed line "
        f"({SMALLEST:.0e} stands for 0 and all that is smaller).",
    )
    own = starts["float64"][0]
    save_training(lesson, own.epochs, settings, f"pair_{pair}", f"{smaller} vs {larger}, start {lesson.seed}")
    save_confusion(
        lesson,
        test,
        own.predicted,
        f"pair_{pair}",
        f"What start {lesson.seed} in float64 takes {smaller} and {larger} for.",
    )


def train_from(seed: int, dtype: str, train: Images, test: Images, settings: Settings, lesson: Lesson) -> Start:
    """Train a net from the start with this seed, until its last epoch or until nothing changes any more."""
    train, test = (images._replace(pixels=images.pixels.to(dtype)) for images in (train, test))
    net, random = begin(train.pixels.size(1), settings.hidden, seed, dtype)
    what = f"{' vs '.join(train.names)}, start {seed}, {dtype}"
    epochs = fit(net, train, settings, random, lesson, what, stop_when_still=True)
    predicted = predict(net, test.pixels)
    accuracy = float(accuracy_score(test.labels.numpy(), predicted))
    return Start(accuracy, median_gradient_norm(epochs[0]), epochs, predicted)


def learning_threshold(test: Images) -> float:
    """The test accuracy above which a net is said to have learnt: 5 points above always naming the same digit."""
    return float(np.bincount(test.labels.numpy()).max() / len(test.labels)) + 0.05


def what_became(starts: dict[str, list[Start]], threshold: float) -> str:
    """How many starts learn, and the gradients of those that do and of those that do not."""
    counts = " and ".join(
        f"{sum(start.accuracy > threshold for start in ended)} of {len(ended)} starts in {dtype}"
        for dtype, ended in starts.items()
    )
    every = [start for ended in starts.values() for start in ended]
    learners = [start.gradient_norm for start in every if start.accuracy > threshold]
    stuck = [start.gradient_norm for start in every if start.accuracy <= threshold]
    norms = [f"{median(group):.2g} of {who}" for who, group in (("these", learners), ("the stuck", stuck)) if group]
    return f"{counts} learn; the gradient norm in the first epoch (median) is {', '.join(norms)}."


def gradient_and_accuracy(starts: Sequence[Start]) -> tuple[list[float], list[float]]:
    """The two axes of the figure of starts."""
    return [max(start.gradient_norm, SMALLEST) for start in starts], [start.accuracy for start in starts]


def grid_1_5(lesson: Lesson) -> None:
    """Every combination of batch size, hidden layers, learning rate and epochs, each from the document's start."""
    train, test = pair_of_digits(lesson, 1, 5)
    pixels = train.pixels.size(1)
    deep = lesson.by_effort(quick=(100, 50, 25), data=(500, 250, 50), full=(500, 250, 50))
    nets = list(product((deep, deep[:-1]), (0.01, 0.001)))
    batch_sizes = lesson.by_effort(quick=(50, 100), data=(1000,), full=(1000, 1500, 2000))
    half = lesson.by_effort(quick=5, data=3, full=50)
    schedules = list(product(batch_sizes, (half, 2 * half)))
    accuracies, costs = np.zeros((2, len(nets), len(schedules)))

    best = Expected("best", "median", low=0.9765)
    with lesson.measure("grid of 1 vs 5", reported="best 99.65%", form=".2%", expected=[best]) as row:
        for (i, (hidden, learning_rate)), (j, batch_size) in product(enumerate(nets), enumerate(batch_sizes)):
            settings = Settings(hidden, learning_rate, batch_size, half)
            net, random = begin(pixels, hidden, lesson.seed)
            for k in (2 * j, 2 * j + 1):  # the same start and the same order: the longer training continues the shorter
                epochs = fit(net, train, settings, random, lesson, "1 vs 5, grid", stop_when_still=True)
                accuracies[i, k] = accuracy_score(test.labels.numpy(), predict(net, test.pixels))
                costs[i, k] = losses(epochs)[-1]
        row.scores = {
            "best": float(accuracies.max()),
            "lowest training cost": float(accuracies.flat[costs.argmin()]),
            "stuck": int(np.sum(accuracies <= learning_threshold(test))),
        }

    rows = [f"{Settings(hidden).name(pixels)}, eta {learning_rate:g}" for hidden, learning_rate in nets]
    columns = [f"batch {batch_size}\n{epochs} epochs" for batch_size, epochs in schedules]
    i, k = np.unravel_index(accuracies.argmax(), accuracies.shape)
    row.note = (
        f"Of {accuracies.size} configurations the best is {rows[i]}, batch {schedules[k][0]}, {schedules[k][1]} epochs."
    )
    lesson.save(
        plots.heat_map(accuracies, rows, columns, "1 vs 5: test accuracy"),
        "grid",
        "Depth and learning rate decide whether a net learns; batch size and epochs move its accuracy by a little.",
    )


# ---- the data


def pair_of_digits(lesson: Lesson, smaller: int, larger: int) -> tuple[Images, Images]:
    """The images of two digits, to train on and to test on; label 1 is the larger digit."""
    train, test = (normalised(digits(lesson, train=train).only(smaller, larger)) for train in (True, False))
    return train, test


def normalised(images: Images) -> Images:
    """Each image divided by its own largest pixel, in float64."""
    pixels = images.pixels.double()
    return images._replace(pixels=pixels / pixels.amax(dim=1, keepdim=True))


# ---- the net


def begin(
    pixels: int, hidden: Sequence[int], seed: int, dtype: str = "float64"
) -> tuple[nn.Sequential, np.random.RandomState]:
    """A net at its start, and the generator that will draw the order of the images.

    The document keeps the biases as a last column of the weights, and draws both at once, uniform in (-1, 1).
    """
    random = np.random.RandomState(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise((pixels, *hidden, 1)):
        columns = tl.from_numpy(2 * (random.rand(fan_out, fan_in + 1) - 0.5))
        layer = nn.Linear(fan_in, fan_out, dtype=dtype)
        with tl.no_grad():
            layer.weight.copy_(columns[:, :-1])
            layer.bias.copy_(columns[:, -1])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid()), random


def squared_error(y_hat: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
    """``1/2 sum (y_hat - y)^2``."""
    return ((y_hat - y) ** 2).sum() / 2


def fit(
    net: nn.Sequential,
    images: Images,
    settings: Settings,
    random: np.random.RandomState,
    lesson: Lesson,
    what: str,
    stop_when_still: bool = False,
) -> Epochs:
    """Gradient descent in full batches, each epoch in a new order; returns its steps, epoch by epoch."""
    step = lesson.compiled(training_step(net, tl.optim.SGD(net.parameters(), lr=settings.learning_rate)))
    labels = images.labels.to(images.pixels.dtype)
    batches = len(labels) // settings.batch_size
    epochs: Epochs = []
    with lesson.progress(settings.epochs * batches, what) as bar:
        for _ in range(settings.epochs):
            before = [parameter.detach().clone() for parameter in net.parameters()]
            order = tl.from_numpy(random.permutation(len(labels)))[: batches * settings.batch_size]
            steps = []
            for batch in order.split(settings.batch_size):
                steps.append(noted(labels[batch], *step(images.pixels[batch], labels[batch])))
                bar.update()
                bar.set_postfix(loss=f"{steps[-1].loss:.4f}", refresh=False)
            epochs.append(steps)
            if stop_when_still and all(map(tl.equal, before, net.parameters())):
                break
    return epochs


def training_step(net: nn.Sequential, optimizer: tl.optim.SGD) -> Callable[[tl.Tensor, tl.Tensor], Outcome]:
    """A function that makes one step along the gradient of a batch."""

    def step(x: tl.Tensor, y: tl.Tensor) -> Outcome:
        y_hat = net(x).squeeze(1)
        loss = squared_error(y_hat, y)
        loss.backward()
        norms = gradient_norms(net)
        optimizer.step()
        optimizer.zero_grad()
        return loss, y_hat, norms

    return step


@tl.no_grad()
def gradient_norms(net: nn.Sequential) -> list[tl.Tensor]:
    """The L2 norm of each layer's gradient, by way of float64: in float32 the square of 1e-23 is 0."""
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    squares = [sum((p.grad.double() ** 2).sum() for p in layer.parameters()) for layer in layers]
    return [square.sqrt().to(net[0].weight.dtype) for square in squares]


def noted(y: tl.Tensor, loss: tl.Tensor, y_hat: tl.Tensor, norms: list[tl.Tensor]) -> Step:
    """What is kept of a step on images with these labels."""
    outputs = y_hat.detach().numpy()
    saturated = np.minimum(outputs, 1 - outputs) < 1e-6
    lost = np.abs(outputs - y.numpy()) > 1 - 1e-6
    return Step(loss.item() / len(y), [norm.item() for norm in norms], float(saturated.mean()), float(lost.mean()))


@tl.no_grad()
def predict(net: nn.Sequential, x: tl.Tensor) -> np.ndarray:
    """1, the larger digit, where the output is at least one half."""
    return (net(x).squeeze(1) >= 0.5).long().numpy()


# ---- what is drawn


def flat(epochs: Epochs) -> list[Step]:
    """The steps of all epochs."""
    return [step for steps in epochs for step in steps]


def losses(epochs: Epochs) -> list[float]:
    """The mean cost of an image, epoch by epoch."""
    return [float(np.mean([step.loss for step in steps])) for steps in epochs]


def weight_changes(epochs: Epochs, learning_rate: float) -> list[float]:
    """The L2 norm of a step, mean over layers and steps, epoch by epoch: a step is the gradient times eta."""
    return [float(learning_rate * np.mean([step.gradient_norms for step in steps])) for steps in epochs]


def median_gradient_norm(steps: Sequence[Step]) -> float:
    """The median over steps of the norm of the whole gradient."""
    return float(np.median([np.linalg.norm(step.gradient_norms) for step in steps]))


def layer_curves(steps: Sequence[Step]) -> dict[str, list[float]]:
    """The gradient norm of each layer, step by step, for a logarithmic axis."""
    layers = zip(*(step.gradient_norms for step in steps), strict=True)
    return {f"layer {i}": [max(norm, SMALLEST) for norm in norms] for i, norms in enumerate(layers, start=1)}


def save_training(lesson: Lesson, epochs: Epochs, settings: Settings, name: str, title: str) -> None:
    """The document's two curves."""
    panels = {
        "cost of an image": {"train": losses(epochs)},
        "weight change (L2 norm)": {"mean of layers": weight_changes(epochs, settings.learning_rate)},
    }
    lesson.save(
        plots.curve_panels(panels, "epoch", title),
        f"{name}_training",
        "The cost, and how far a step moves the weights of a layer: a net that rests at a high cost is stuck.",
    )


def save_confusion(lesson: Lesson, test: Images, predicted: np.ndarray, name: str, caption: str) -> None:
    """Which digit is taken for which."""
    title = f"Test images, {' vs '.join(test.names)}"
    lesson.save(
        plots.confusion_matrix(test.labels.tolist(), predicted.tolist(), test.names, title),
        f"{name}_confusion",
        caption,
    )


EXPERIMENTS = (default_1_vs_5, pair_1_5, pair_1_7, pair_4_7, pair_2_3, pair_4_9, grid_1_5)
