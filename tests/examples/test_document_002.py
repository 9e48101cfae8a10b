"""Document 002: full-batch gradient descent, and a sweep of the penalty."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from scipy.special import softmax

import tinygrad_lite as tl
from examples import document_002 as program
from examples import plots
from examples.lesson import Lesson
from examples.sources import Images


def lesson_in(tmp_path):
    return Lesson("002", None, "quick", 0, tmp_path)


def some_images(count=10, pixels=4, classes=3):
    return Images(tl.rand(count, pixels), tl.arange(count) % classes, ["cat", "dog", "emu"][:classes])


def test_2_000_images_are_split_into_1_600_and_400():
    images = Images(tl.arange(3000).reshape(3000, 1), tl.zeros(3000, dtype=tl.int64), ["one"])
    train, dev = program.split_images(images)
    drawn = np.concatenate([train.pixels.numpy(), dev.pixels.numpy()]).ravel()
    assert (len(train.labels), len(dev.labels)) == (1600, 400)
    assert len(set(drawn.tolist())) == 2000
    assert drawn.max() >= 2000


def test_weights_and_biases_start_uniform_within_one_half():
    images = Images(tl.rand(10, 784), tl.arange(10), [str(name) for name in range(10)])
    net = program.dense(program.split_images(images))
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [(20, 784), (20,), (10, 20), (10,)]
    values = np.concatenate([parameter.detach().numpy().ravel() for parameter in net.parameters()])
    assert -0.5 <= values.min() < -0.49
    assert 0.49 < values.max() <= 0.5
    assert (
        abs(values.mean()) < 5 / (12 * values.size) ** 0.5
    )  # the variance of a uniform value in (-1/2, 1/2) is 1 / 12
    assert np.all(np.abs(net[0].bias.detach().numpy()) > 0)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_step_follows_the_document_s_gradients(weight):
    images = some_images()
    net = program.dense(program.Split(images, images))
    x, Y = images.pixels.numpy().astype(np.float64), np.eye(3)[images.labels.numpy()]
    W1, b1, W2, b2 = (parameter.detach().numpy().astype(np.float64) for parameter in net.parameters())
    Z1 = x @ W1.T + b1
    A1 = np.maximum(Z1, 0)
    P = softmax(A1 @ W2.T + b2, axis=1)
    m = len(x)
    dZ2 = P - Y
    dZ1 = dZ2 @ W2 * (Z1 > 0)
    expected = [
        W1 - 0.1 * (dZ1.T @ x / m + weight / m * W1),
        b1 - 0.1 * dZ1.sum(axis=0) / m,
        W2 - 0.1 * (dZ2.T @ A1 / m + weight / m * W2),
        b2 - 0.1 * dZ2.sum(axis=0) / m,
    ]

    optimizer = tl.optim.SGD(net.parameters(), lr=program.LEARNING_RATE)
    loss, predicted = program.training_step(net, optimizer, weight)(images.pixels, images.labels)
    penalty = weight / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
    assert loss.item() == pytest.approx(-np.sum(Y * np.log(P)) / m + penalty, rel=1e-5)
    assert predicted.tolist() == P.argmax(axis=1).tolist()
    for parameter, value in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-5, atol=1e-6)


def test_common_confusions_leave_out_what_is_right():
    images = Images(tl.zeros(7, 4), tl.tensor([0, 0, 0, 1, 1, 2, 2]), ["cat", "dog", "emu"])
    predicted = np.array([0, 0, 1, 2, 2, 2, 2])
    assert program.common_confusions(images, predicted, 3) == ["dog for emu (2)", "cat for dog (1)"]


def test_the_figure_of_a_sweep_has_a_line_without():
    axes = plots.swept([0.01, 1.0], [0.7, 0.8], 0.75, "lambda", "accuracy", "Sweep").axes[0]
    values, without = axes.get_lines()
    assert (list(values.get_xdata()), list(values.get_ydata())) == ([0.01, 1.0], [0.7, 0.8])
    assert list(without.get_ydata()) == [0.75, 0.75]
    assert axes.get_xscale() == "log"


def test_every_lambda_starts_from_the_same_weights_and_sees_the_same_images(monkeypatch, tmp_path):
    starts, splits, weights = [], [], []

    def record(net, split, weight, lesson, what):
        starts.append(net[0].weight.detach().numpy().copy())
        splits.append(split)
        weights.append(weight)

    monkeypatch.setattr(program, "fit", record)
    program.lambda_sweep(lesson_in(tmp_path))
    assert weights == [0.0, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0]
    assert all(np.array_equal(start, starts[0]) for start in starts)
    assert all(split is splits[0] for split in splits)


@pytest.mark.slow
def test_the_experiments_learn_the_small_digits(tmp_path):
    lesson = lesson_in(tmp_path)
    for experiment in program.EXPERIMENTS:
        tl.manual_seed(0)
        experiment(lesson)
    net, sweep = lesson.rows
    assert (net.model, sweep.model) == ("64-20-10, full batch", "64-20-10, lambda sweep")
    assert 0.8 <= net.scores["dev"] <= 1
    assert 0.8 <= net.scores["train"] <= 1
    assert sweep.scores["best lambda"] in program.LAMBDAS
    assert 0.8 <= sweep.scores["best dev"] <= 1
    assert 0.8 <= sweep.scores["its test"] <= 1
    assert sweep.scores["dev at 0"] == net.scores["dev"]  # the same split and start
    assert net.note.count(" for ") == 3

    names = {"learning_curve", "four_images", "confusion", "classification_report", "lambda_sweep"}
    assert {picture.path.name for picture in lesson.pictures} == {f"002_{name}.png" for name in names}
    assert all(picture.path.exists() and picture.caption.endswith(".") for picture in lesson.pictures)
