"""Document 000: its losses, its way of training, its splits and settings, and what its nets learn."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from scipy.special import expit, log_softmax, softmax
from sklearn.model_selection import train_test_split

import tinygrad_lite as tl
from examples import document_000 as program
from examples.document_000 import Parts, Samples, Training
from examples.lesson import Lesson
from examples.sources import Images, blobs, circles, digits


def lesson_in(tmp_path, effort="quick"):
    return Lesson("000", None, effort, 0, tmp_path)


def weights(net):
    return [parameter.detach().numpy().copy() for parameter in net.parameters()]


def some_samples(count, features=3, classes=2):
    x = np.random.default_rng(0).normal(size=(count, features))
    return Samples(x, np.arange(count) % classes)


# ---- the losses


@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.3, 0.5, 0.9, 1.0])
def test_the_loss_of_two_classes_is_the_document_s(p, y):
    loss = program.binary_loss(tl.tensor([p], dtype=tl.float64), program.targets(np.array([y]), 1)[0]).item()
    assert loss == -(y * np.log(p + 1e-8) + (1 - y) * np.log(1 - p + 1e-8))


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_loss_of_many_classes_is_the_document_s(label):
    z, y = np.array([0.3, -1.2, 2.0]), np.eye(3)[label]
    head = program.dense(2, 3)[-1]
    loss = program.multi_class_loss(head(tl.tensor(z)), tl.tensor(y)).item()
    assert loss == pytest.approx(-np.sum(y * np.log(softmax(z))), rel=1e-14)


def test_the_softmax_does_not_overflow():
    head = program.dense(2, 2)[-1]
    assert program.multi_class_loss(head(tl.tensor([1000.0, 0.0])), tl.tensor([0.0, 1.0])).item() == 1000


# ---- the net


def test_a_list_of_widths_makes_the_layers():
    shapes = [weight.shape for weight in weights(program.dense(3, 10, 20, 30, 20, 10, 1))]
    matrices = [(10, 3), (20, 10), (30, 20), (20, 30), (10, 20), (1, 10)]
    assert shapes == [shape for matrix in matrices for shape in (matrix, matrix[:1])]


@pytest.mark.parametrize("sigma", [0.1, 2.0])
def test_weights_and_biases_start_normal(sigma):
    for values in weights(program.dense(100, 400, 400, 1, sigma=sigma)):
        assert values.dtype == np.float64
        assert abs(values.mean()) < 5 * sigma / values.size**0.5
        if values.size > 1:
            assert values.std() == pytest.approx(sigma, abs=5 * sigma / (2 * values.size) ** 0.5)


def test_the_output_is_a_probability_or_the_logarithm_of_one():
    x = some_samples(6).x
    p, log_p = program.output(program.dense(3, 5, 1), x), program.output(program.dense(3, 5, 4), x)
    assert p.shape == (6, 1)
    assert log_p.shape == (6, 4)
    assert np.all((p > 0) & (p < 1))
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [([[0.4], [0.5], [0.6]], [0, 0, 1]), (log_softmax([[1.0, 2.0, 0.0], [0.0, 0.0, 9.0]], axis=1), [1, 2])],
)
def test_the_more_probable_class_is_predicted(monkeypatch, outputs, classes):
    monkeypatch.setattr(program, "output", lambda net, x: np.array(outputs))
    assert program.predict(None, None).tolist() == classes


# ---- a step: the document's gradients, written by hand


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("hidden", [(), (4,), (5, 4)])
def test_a_step_follows_the_document_s_gradients(hidden, classes):
    net = program.dense(3, *hidden, 1 if classes == 2 else classes)
    x, label = np.array([0.5, -1.0, 2.0]), 1
    W, b = weights(net)[::2], weights(net)[1::2]

    a, z = [x], None
    for matrix, vector in zip(W, b, strict=True):
        z = matrix @ a[-1] + vector
        a.append(expit(z))
    if classes == 2:
        p = a[-1][0]
        loss, dz = -np.log(p + 1e-8), np.array([p - 1]) * p / (p + 1e-8)  # the 1e-8 is in the gradient too
    else:
        loss, dz = -log_softmax(z)[label], softmax(z) - np.eye(classes)[label]
    expected = []
    for matrix, vector, before in zip(W[::-1], b[::-1], a[-2::-1], strict=True):
        expected = [matrix - 0.1 * np.outer(dz, before), vector - 0.1 * dz, *expected]
        dz = before * (1 - before) * (matrix.T @ dz)

    loss_of = program.binary_loss if classes == 2 else program.multi_class_loss
    step = program.training_step(net, loss_of, tl.optim.SGD(net.parameters(), lr=0.1))
    y = program.targets(np.array([label]), 1 if classes == 2 else classes)[0]
    assert step(tl.tensor(x), y).item() == pytest.approx(loss, rel=1e-13)
    for actual, value in zip(weights(net), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-13, atol=1e-16)


# ---- an epoch, and when training ends


@pytest.fixture
def fit(monkeypatch, tmp_path):
    """Train with steps that give these losses, over and over; also records which samples they were given."""

    def run(losses, samples, **training):
        drawn = []

        def step(x, y):
            drawn.append((x.numpy().tolist(), y.item()))
            return tl.tensor(losses[(len(drawn) - 1) % len(losses)], dtype=tl.float64)

        monkeypatch.setattr(program, "training_step", lambda net, loss, optimizer: step)
        settings = Training(**training)
        curve = program.fit(program.dense(3, 1), program.binary_loss, samples, settings, lesson_in(tmp_path), "test")
        return SimpleNamespace(curve=curve, drawn=drawn)

    return run


def test_an_epoch_is_as_many_draws_as_there_are_samples(fit):
    run = fit([1, 2, 6, 3, 3, 9], some_samples(3), iterations=6)
    assert run.curve == [3, 5]
    assert len(run.drawn) == 6


def test_samples_are_drawn_with_replacement_each_with_its_class(fit):
    samples = some_samples(20)
    drawn = fit([1.0], samples, iterations=20).drawn
    indices = [samples.x.tolist().index(x) for x, _ in drawn]
    assert [label for _, label in drawn] == samples.y[indices].tolist()
    assert 5 < len(set(indices)) < 20


def test_training_ends_when_the_loss_moves_by_less_than_eps(fit):
    assert fit([4, 3, 2.5, 2.4, 2.3], some_samples(1), eps=0.3).curve == [4, 3, 2.5, 2.4]
    assert fit([4, 3, 2.5], some_samples(1), eps=0.5, iterations=4).curve == [4, 3, 2.5, 4]  # 0.5 is not less


def test_the_first_epoch_is_compared_with_zero(fit):
    assert fit([0.05], some_samples(1), eps=0.1).curve == [0.05]


def test_only_whole_epochs_are_begun(fit):
    run = fit([1, 2], some_samples(3), iterations=11)
    assert (len(run.curve), len(run.drawn)) == (3, 9)


# ---- the data


@pytest.mark.parametrize(("source", "rest", "sizes"), [(blobs, 0.5, (200, 100, 100)), (circles, 0.7, (150, 175, 175))])
def test_points_are_split_as_in_the_document(tmp_path, source, rest, sizes):
    x, y = source(lesson_in(tmp_path))
    parts = program.split(x, y, rest)
    assert tuple(len(part.y) for part in parts) == sizes
    _, others = train_test_split(np.arange(len(y)), test_size=rest, random_state=42)
    test, validation = train_test_split(others, test_size=0.5, random_state=42)  # in this order
    for part, indices in ((parts.validation, validation), (parts.test, test)):
        np.testing.assert_array_equal(part.x, x[indices])
        np.testing.assert_array_equal(part.y, y[indices])
    assert len({tuple(row) for part in parts for row in part.x}) == len(np.unique(x, axis=0))


def test_images_are_split_as_in_the_document(tmp_path):
    train, test = (digits(lesson_in(tmp_path), train=train) for train in (True, False))
    parts = program.split_images(train, test)
    learning, validation = train_test_split(np.arange(len(train.labels)), test_size=0.7, random_state=42)
    np.testing.assert_array_equal(parts.train.x, train.pixels.numpy()[learning])
    np.testing.assert_array_equal(parts.validation.y, train.labels.numpy()[validation])
    np.testing.assert_array_equal(parts.test.x, test.pixels.numpy())
    assert parts.train.x.dtype == np.float64


def test_shirts_are_class_0_and_sandals_class_1(monkeypatch, tmp_path):
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    labels = tl.arange(40) % 10
    monkeypatch.setattr(program, "clothes", lambda lesson, train: Images(labels[:, None].float(), labels, names))
    lesson = lesson_in(tmp_path)
    lesson.data = tmp_path
    parts, images = program.two_kinds(lesson)
    assert images.names == ["Shirt", "Sandal"]
    for samples in parts:
        np.testing.assert_array_equal(np.where(samples.x[:, 0] == 6, 0, 1), samples.y)
    assert {*parts.test.x[:, 0]} == {5, 6}


def test_without_fashion_two_digits_are_told_apart(tmp_path):
    _, images = program.two_kinds(lesson_in(tmp_path))
    assert images.names == ["1", "5"]


# ---- the experiments


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """The widths and the training of each net of an experiment in full; nothing is trained."""

    def of(experiment):
        seen = []

        def fit(net, loss, samples, training, lesson, what):
            sizes = [weight.shape[0] for weight in weights(net)[::2]]
            seen.append((sizes, training.lr, training.eps, training.iterations))
            return [1.0, 0.5]

        monkeypatch.setattr(program, "fit", fit)
        monkeypatch.setattr(Lesson, "save", lambda *figure: None)
        getattr(program, experiment)(lesson_in(tmp_path, "full"))
        return seen

    return of


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("toy", [([1], 1e-3, 1e-4, 1_000_000)]),
        ("logistic_blobs", [([1], 1e-3, 1e-6, 1_000_000)] * 2),
        ("logistic_circles", [([1], 1e-3, 1e-4, 1_000_000)]),
        ("shallow_blobs", [([5, 1], 1e-3, 1e-6, 150_000), ([5, 1], 1e-3, 1e-6, 500_000)]),
        ("shallow_circles", [([5, 1], 1e-3, 1e-8, 3_000_000)] * 2),
        ("shallow_clothes", [([10, 1], 1e-2, 1e-3, 1_000_000)] * 2 + [([15, 1], 1e-2, 1e-4, 1_000_000)]),
        ("deep_clothes", [([10, 5, 1], 1e-2, 1e-3, 1_000_000)] * 2 + [([10, 3, 1], 1e-2, 1e-3, 1_000_000)]),
        ("softmax_two_classes", [([10, 3, 2], 1e-2, 1e-3, 1_000_000)]),
        ("multi_class", [([10, 5, 10], 1e-2, 1e-3, 1_000_000)] * 2),
        ("multi_class_variants", [([10, 5, width, 10], 1e-2, 1e-3, 1_000_000) for width in (10, 3)]),
    ],
)
def test_the_settings_in_full_are_the_document_s(settings, experiment, expected):
    assert settings(experiment) == expected


def test_the_net_that_is_tested_learns_from_training_and_validation_parts(monkeypatch, tmp_path):
    parts = Parts(some_samples(5), some_samples(3), some_samples(2))
    seen = []

    def fit(net, loss, samples, *others):
        seen.append(samples)
        return [1.0]

    monkeypatch.setattr(program, "fit", fit)
    program.validate_and_test((3, 1), program.binary_loss, parts, Training(), lesson_in(tmp_path), "test")
    first, second = seen
    assert first is parts.train
    np.testing.assert_array_equal(second.x, np.concatenate([parts.train.x, parts.validation.x]))
    np.testing.assert_array_equal(second.y, [0, 1, 0, 1, 0, 0, 1, 0])


def test_the_toy_sample_converges_and_the_same_seed_gives_the_same_scores(tmp_path):
    scores = []
    for _ in range(2):
        tl.manual_seed(0)
        lesson = lesson_in(tmp_path)
        program.toy(lesson)
        scores.append(lesson.rows[0].scores)
    assert scores[0] == scores[1]
    assert 100 < scores[0]["epochs"] < 2000
    assert scores[0]["J last"] < 0.1 < scores[0]["J first"]


QUICK = {  # the range of each score of each row, and the figures
    "logistic_blobs": ([{"val": (0.93, 1), "test": (0.95, 1)}], {"curve", "predictions"}),
    "logistic_circles": ([{"val": (0.3, 0.7), "test": (0.3, 0.7)}], {"curve", "boundary"}),
    "shallow_blobs": ([{"val": (0.93, 1), "test": (0.95, 1)}], {"curve", "predictions"}),
    "shallow_circles": ([{"val": (0.93, 1), "test": (0.93, 1)}], {"curve", "boundary"}),
    "shallow_clothes": (
        [{"val": (0.97, 1), "test": (0.97, 1)}, {"val": (0.97, 1), "epochs": (10, 1000)}],
        {"curve", "confusion", "images"},
    ),
    "deep_clothes": ([{"val": (0.97, 1), "test": (0.97, 1)}, {"val": (0.97, 1)}], {"curve", "confusion"}),
    "softmax_two_classes": (
        [{"epochs": (10, 1000), "J first": (0.6, 0.8), "J last": (0, 0.05), "val": (0.97, 1)}],
        {"curve"},
    ),
    "shapes_of_a_deep_net": ([{"layers": (6, 6)}], set()),
    "multi_class": ([{"val": (0.8, 1), "test": (0.8, 1)}], {"curve", "confusion", "images"}),
    "multi_class_variants": (
        [{"val": (0.05, 0.7), "epochs": (40, 60)}, {"val": (0.7, 1), "epochs": (40, 60)}],
        {"curve"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("experiment", QUICK)
def test_the_experiments_in_quick_form(experiment, tmp_path):
    ranges, figures = QUICK[experiment]
    tl.manual_seed(0)
    lesson = lesson_in(tmp_path)
    getattr(program, experiment)(lesson)
    for row, expected in zip(lesson.rows, ranges, strict=True):
        assert row.scores.keys() == expected.keys()
        assert all(low <= row.scores[name] <= high for name, (low, high) in expected.items()), row.scores
    assert {picture.path.name for picture in lesson.pictures} == {f"000_{experiment}_{name}.png" for name in figures}
    assert all(picture.path.exists() and picture.caption.endswith(".") for picture in lesson.pictures)


def test_every_experiment_is_tried():
    assert {experiment.__name__ for experiment in program.EXPERIMENTS} == {"toy", *QUICK}
