"""Document 001: nets with a penalty, and a callback."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from scipy.special import expit, softmax
from sklearn.preprocessing import PolynomialFeatures

import tinygrad_lite as tl
from examples import document_001 as program
from examples.lesson import Lesson
from tinygrad_lite import nn

ANY_ACTIVATION = [nn.Sigmoid(), nn.ReLU()]


def lesson_in(tmp_path):
    return Lesson("001", None, "quick", 0, tmp_path)


def small_net(activation):
    return program.dense(4, 5, 3, activation=activation, head=nn.Softmax(dim=1)).double()


def test_the_loss_of_many_classes_is_the_document_s():
    rng = np.random.default_rng(0)
    P, Y = softmax(rng.normal(size=(5, 3)), axis=1), np.eye(3)[[0, 2, 1, 1, 0]]
    loss = program.multi_class_loss(tl.tensor(P), tl.tensor(Y.argmax(axis=1))).item()
    assert loss == pytest.approx(-np.sum(Y * np.log(P + 1e-10)) / 5, rel=1e-12)


def test_the_loss_of_two_classes_is_the_document_s():
    P, Y = np.array([0.9, 0.2, 0.4]), np.array([1.0, 0.0, 1.0])
    loss = program.binary_loss(tl.tensor(P[:, None]), tl.tensor(Y)).item()
    assert loss == pytest.approx(-np.sum(Y * np.log(P + 1e-10) + (1 - Y) * np.log(1 - P + 1e-10)) / 3, rel=1e-12)


def test_the_losses_of_a_hopeless_guess_are_finite():
    P = tl.tensor([[1.0, 0.0]], dtype=tl.float64)
    assert program.multi_class_loss(P, tl.tensor([1])).item() == pytest.approx(-np.log(1e-10), rel=1e-12)
    assert program.binary_loss(P[:, 1:], tl.tensor([1.0])).item() == pytest.approx(-np.log(1e-10), rel=1e-12)


def test_the_penalty_is_of_the_weights_alone():
    net = small_net(nn.ReLU())
    W1, _, W2, _ = (parameter.detach().numpy() for parameter in net.parameters())
    assert program.penalty(net, 7).item() == pytest.approx(0.1 / 14 * (np.sum(W1**2) + np.sum(W2**2)), rel=1e-12)


def test_weights_and_biases_start_uniform_between_minus_one_and_one():
    net = program.dense(784, 25, 10, activation=nn.ReLU(), head=nn.Softmax(dim=1))
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [(25, 784), (25,), (10, 25), (10,)]
    values = np.concatenate([parameter.detach().numpy().ravel() for parameter in net.parameters()])
    assert values.size == 19_885
    assert -1 <= values.min() < -0.99
    assert 0.99 < values.max() <= 1
    assert abs(values.mean()) < 5 / (3 * values.size) ** 0.5  # the variance of a uniform value in (-1, 1) is 1 / 3
    assert np.all(np.abs(net[2].bias.detach().numpy()) > 0)


@pytest.mark.parametrize("activation", ANY_ACTIVATION, ids=["sigmoid", "ReLU"])
def test_a_step_follows_the_document_s_gradients(activation):
    net = small_net(activation)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(7, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    W1, b1, W2, b2 = (parameter.detach().numpy().copy() for parameter in net.parameters())
    Z1 = X @ W1.T + b1
    sigmoid = expit(Z1)
    A1, slope = (np.maximum(Z1, 0), Z1 > 0) if isinstance(activation, nn.ReLU) else (sigmoid, sigmoid * (1 - sigmoid))
    P = softmax(A1 @ W2.T + b2, axis=1)
    dZ2 = (P - Y) / 7
    dZ1 = dZ2 @ W2 * slope
    decay = 0.1 / 7
    expected = [
        W1 - 0.1 * (dZ1.T @ X + decay * W1),
        b1 - 0.1 * dZ1.sum(axis=0),
        W2 - 0.1 * (dZ2.T @ A1 + decay * W2),
        b2 - 0.1 * dZ2.sum(axis=0),
    ]

    step = program.training_step(net, program.multi_class_loss, tl.optim.SGD(net.parameters(), lr=0.1))
    assert step(tl.tensor(X), tl.tensor(Y.argmax(axis=1))).item() == pytest.approx(-np.sum(Y * np.log(P)) / 7, rel=1e-8)
    for parameter, value in zip(net.parameters(), expected, strict=True):  # the 1e-10 changes less than 1e-8 of them
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-7, atol=1e-9)


def test_an_epoch_takes_every_sample_once_in_another_order_and_ends_in_the_callback(monkeypatch, tmp_path):
    x, y, seen, told = tl.rand(10, 4), tl.arange(10), [], []

    def record(x, y):
        seen.append(y.tolist())
        return tl.tensor(float(len(y)))

    monkeypatch.setattr(program, "training_step", lambda net, loss, optimizer: record)
    net = small_net(nn.ReLU())
    training = program.Training(lr=0.1, batch_size=4, epochs=2)
    curve = program.fit(net, program.multi_class_loss, x, y, training, lesson_in(tmp_path), "test", told.append)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    assert curve == [10 / 3, 10 / 3]
    assert told == [net, net]
    first, second = ([label for batch in epoch for label in batch] for epoch in (seen[:3], seen[3:]))
    assert first != second
    assert sorted(first) == sorted(second) == list(range(10))


def test_features_up_to_the_second_degree():
    points = np.random.default_rng(0).normal(size=(6, 2))
    x1, x2, x1_squared, x1_x2, x2_squared = PolynomialFeatures(2, include_bias=False).fit_transform(points).T
    expected = np.column_stack([x1, x2, x1_squared, x2_squared, x1_x2])
    np.testing.assert_allclose(program.quadratic(points), expected, rtol=1e-15)


@pytest.mark.slow
def test_the_experiments_learn_the_embedded_data(tmp_path):
    lesson = lesson_in(tmp_path)
    for experiment in program.EXPERIMENTS:
        tl.manual_seed(0)
        experiment(lesson)
    sigmoid, relu, callback, moons = lesson.rows
    assert [row.model for row in lesson.rows] == [
        "64-25-10, sigmoid",
        "64-25-10, ReLU",
        "64-25-10, a callback",
        "5-25-25-1, moons",
    ]
    assert 0.85 <= sigmoid.scores["test"] <= 1
    assert 0.92 <= relu.scores["test"] <= 1
    assert 0.85 <= callback.scores["test"] <= 1
    assert callback.scores["parameters"] == 64 * 25 + 25 + 25 * 10 + 10
    assert 0.88 <= moons.scores["train"] < 1
    assert all(0 < row.scores["last"] < row.scores["loss first"] for row in lesson.rows)

    names = {
        *("images", "hidden_activations_curve", "its_own_api_metrics", "its_own_api_curve"),
        *(f"{net}_{figure}" for net in ("sigmoid", "relu") for figure in ("predictions", "confusion")),
        *("moons_curve", "moons_boundary"),
    }
    assert {picture.path.name for picture in lesson.pictures} == {f"001_{name}.png" for name in names}
    assert all(picture.path.exists() and picture.caption.endswith(".") for picture in lesson.pictures)
