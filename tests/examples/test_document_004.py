"""Document 004: its net from scratch."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from scipy.special import expit, logsumexp, softmax
from sklearn.metrics import roc_auc_score

import tinygrad_lite as tl
from examples import document_004 as program
from examples import plots
from examples.lesson import Lesson
from examples.sources import Images, digits


def lesson_in(tmp_path):
    return Lesson("004", None, "quick", 0, tmp_path)


def some_images(count=7, pixels=4, classes=3):
    labels = tl.arange(count) % classes
    return Images(tl.rand(count, pixels), labels, [str(name) for name in range(classes)])


def test_the_loss_is_the_document_s():
    rng = np.random.default_rng(0)
    logits, one_hot = rng.normal(size=(5, 3)), np.eye(3)[[0, 2, 1, 1, 0]]
    loss = program.cross_entropy(tl.tensor(logits), tl.tensor(one_hot)).item()
    assert loss == pytest.approx(-np.sum(one_hot * np.log(softmax(logits, axis=1))) / 5, rel=1e-12)


def test_the_loss_of_a_hopeless_guess_is_finite():
    """The document's exponential of 1000 overflows, and the logarithm of its probability 0 is infinite."""
    logits = np.array([[1000.0, 0.0]])
    loss = program.cross_entropy(tl.tensor(logits), tl.tensor([[0.0, 1.0]], dtype=tl.float64)).item()
    assert loss == logsumexp(logits) - logits[0, 1]


def test_weights_are_standard_normal_and_biases_zero():
    net = program.two_layers(pixels=784, hidden=100, classes=10)
    first, second = net[0], net[2]
    assert (first.weight.shape, second.weight.shape) == ((100, 784), (10, 100))
    weights = first.weight.detach().numpy()
    assert abs(weights.mean()) < 5 / weights.size**0.5
    assert abs(weights.std() - 1) < 5 / (2 * weights.size) ** 0.5
    assert second.weight.detach().numpy().std() == pytest.approx(1, abs=5 / 2000**0.5)
    assert not first.bias.detach().numpy().any()
    assert not second.bias.detach().numpy().any()


def test_a_step_follows_the_document_s_gradients_averaged_over_the_batch():
    net = program.two_layers(pixels=4, hidden=5, classes=3)
    images = some_images()
    x, Y = images.pixels.numpy(), np.eye(3)[images.labels.numpy()]
    W1, b1, W2, b2 = (parameter.detach().numpy().astype(np.float64) for parameter in net.parameters())
    a1 = expit(x @ W1.T + b1)
    P = softmax(a1 @ W2.T + b2, axis=1)
    dz2 = (P - Y) / len(x)
    dz1 = dz2 @ W2 * a1 * (1 - a1)
    expected = [W1 - dz1.T @ x, b1 - dz1.sum(axis=0), W2 - dz2.T @ a1, b2 - dz2.sum(axis=0)]

    step = program.training_step(net, tl.optim.SGD(net.parameters(), lr=1.0))
    assert step(images.pixels, tl.tensor(Y.astype(np.float32))).item() == pytest.approx(
        -np.sum(Y * np.log(P)) / len(x), rel=1e-5
    )
    for parameter, value in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-5, atol=1e-6)


def test_an_epoch_takes_every_image_once_in_another_order(monkeypatch, tmp_path):
    images = some_images(count=120)
    seen = []

    def record(x, one_hot):
        seen.append(x.numpy())
        assert len(x) == len(one_hot)
        return tl.tensor(0.0)

    monkeypatch.setattr(program, "training_step", lambda net, optimizer: record)
    losses = program.fit(program.two_layers(4, 5, 3), images, 2, lesson_in(tmp_path))
    assert [len(batch) for batch in seen] == [50, 50, 20, 50, 50, 20]
    assert len(losses) == 6
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert not np.array_equal(first, second)
    every = sorted(images.pixels.numpy().tolist())
    assert sorted(first.tolist()) == every
    assert sorted(second.tolist()) == every


def test_predictions_are_probabilities():
    probabilities = program.predict(program.two_layers(4, 5, 3), tl.rand(6, 4))
    assert probabilities.shape == (6, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_the_figure_of_roc_curves_names_each_area():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, 50), softmax(rng.normal(size=(50, 3)), axis=1)
    figure = plots.roc_curves(labels, scores, ["cat", "dog", "emu"], "ROC")
    areas = [f"{name}: {roc_auc_score(labels == k, scores[:, k]):.4f}" for k, name in enumerate(["cat", "dog", "emu"])]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [*areas, "chance: 0.5"]


def test_means_of_each_few_values():
    assert program.mean_of_each([1.0, 3.0, 5.0, 7.0, 10.0], 2) == [2.0, 6.0, 10.0]


def test_what_is_still_open(tmp_path):
    lesson = lesson_in(tmp_path)
    program.still_open(lesson)
    assert {row.ours for row in lesson.rows} == {"open"}
    models = " ".join(row.model for row in lesson.rows)
    assert all(model in models for model in ("PCA", "margin", "kernel trick", "SVC", "grid search", "dropout", "CNN"))


@pytest.mark.slow
def test_the_net_learns_the_small_digits(monkeypatch, tmp_path):
    predict, predictions, lessons = program.predict, [], []
    monkeypatch.setattr(program, "predict", lambda *given: predictions.append(predict(*given)) or predictions[-1])
    for _ in range(2):
        tl.manual_seed(0)
        lessons.append(lesson_in(tmp_path))
        program.net_from_scratch(lessons[-1])
    row, same = (lesson.rows[0] for lesson in lessons)
    assert row.model == "64-100-10 from scratch"
    assert row.scores == same.scores

    labels = digits(lessons[0], train=False).labels.numpy()
    assert row.scores["ROC AUC"] == pytest.approx(roc_auc_score(np.eye(10)[labels], predictions[0]), rel=1e-9)
    assert 0.99 <= row.scores["ROC AUC"] <= 1
    assert 0.93 <= row.scores["test"] <= 1

    pictures = lessons[0].pictures
    names = {"roc", "learning_curve", "confusion", "predictions"}
    assert {picture.path.name for picture in pictures} == {f"004_{name}.png" for name in names}
    assert all(picture.path.exists() and picture.caption.endswith(".") for picture in pictures)
