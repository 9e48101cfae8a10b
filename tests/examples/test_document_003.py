"""Document 003: a squared error on pairs of digits, from NumPy's legacy random numbers."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from scipy.special import expit
from sklearn.datasets import load_digits

import tinygrad_lite as tl
from examples import document_003 as program
from examples import plots, schedule
from examples.document_003 import Settings, Step
from examples.lesson import Lesson
from examples.sources import Images
from tinygrad_lite import nn


def lesson_in(tmp_path):
    return Lesson("003", None, "quick", 42, tmp_path)


def some_images(count=23, pixels=6, dtype="float64"):
    labels = tl.arange(count) % 2
    return Images(tl.rand(count, pixels, dtype=dtype), labels, ["3", "8"])


def saturated(net):
    """Its outputs become 0 to the last bit, and so do its gradients."""
    with tl.no_grad():
        net[-2].bias.fill_(-1000.0)
    return net


# ---- data and start


@pytest.mark.parametrize(("smaller", "larger"), [(1, 5), (4, 9)])
def test_label_1_is_the_larger_digit_and_the_brightest_pixel_is_1(tmp_path, smaller, larger):
    parts = program.pair_of_digits(lesson_in(tmp_path), smaller, larger)
    wanted = np.isin(load_digits().target, (smaller, larger))
    assert sum(len(part.labels) for part in parts) == wanted.sum()
    raw = np.unique(load_digits().data[load_digits().target == larger], axis=0)
    for part in parts:
        assert part.names == [str(smaller), str(larger)]
        pixels = part.pixels.numpy()
        assert pixels.dtype == np.float64
        assert (pixels.max(axis=1) == 1).all()
        larger_images = {tuple(row) for row in raw / raw.max(axis=1, keepdims=True)}
        assert [tuple(row) in larger_images for row in pixels] == [label == 1 for label in part.labels.tolist()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_start_draws_weights_then_permutations_from_the_legacy_generator(dtype):
    net, random = program.begin(6, (5, 4), 42, dtype)
    reference = np.random.RandomState(42)
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    for layer, (fan_out, fan_in) in zip(layers, [(5, 6), (4, 5), (1, 4)], strict=True):
        columns = (2 * (reference.rand(fan_out, fan_in + 1) - 0.5)).astype(dtype)
        np.testing.assert_array_equal(layer.weight.detach().numpy(), columns[:, :-1], strict=True)
        np.testing.assert_array_equal(layer.bias.detach().numpy(), columns[:, -1], strict=True)
    assert random.permutation(100).tolist() == reference.permutation(100).tolist()
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear, nn.Sigmoid]


# ---- training


def test_the_cost_is_half_the_sum_of_squares():
    rng = np.random.default_rng(0)
    y_hat, y = rng.random(9), rng.integers(0, 2, 9).astype(float)
    cost = program.squared_error(tl.tensor(y_hat), tl.tensor(y)).item()
    assert cost == pytest.approx(0.5 * np.linalg.norm(y_hat - y) ** 2, rel=1e-14)


def by_hand(images, hidden, settings, seed):
    """The document's training, its matrices and its random numbers, with images as columns."""
    X, y = images.pixels.numpy().T, images.labels.numpy()
    random = np.random.RandomState(seed)
    sizes = [len(X), *hidden, 1]
    weights = [2 * (random.rand(m, n + 1) - 0.5) for n, m in pairwise(sizes)]
    changes, costs = [], []
    for _ in range(settings.epochs):
        order = random.permutation(len(y))
        for start in range(0, len(y) - settings.batch_size + 1, settings.batch_size):
            batch = order[start : start + settings.batch_size]
            outputs = [X[:, batch]]
            for W in weights:
                Z = W @ np.vstack([outputs[-1], np.ones(len(batch))])
                outputs.append(expit(Z) if W is weights[-1] else np.maximum(Z, 0))
            y_hat = outputs[-1]
            costs.append(0.5 * np.sum((y_hat - y[batch]) ** 2) / len(batch))
            dZ = (y_hat - y[batch]) * y_hat * (1 - y_hat)
            gradients = []
            for W, Y in zip(weights[::-1], outputs[-2::-1], strict=True):
                gradients.insert(0, dZ @ np.vstack([Y, np.ones(len(batch))]).T)
                dZ = W[:, :-1].T @ dZ * (Y > 0)
            steps = [settings.learning_rate * gradient for gradient in gradients]
            weights = [W - change for W, change in zip(weights, steps, strict=True)]
            changes.append([np.linalg.norm(change) for change in steps])
    return weights, costs, np.array(changes)


@pytest.mark.parametrize("hidden", [(5,), (5, 4), (7, 5, 3)])
def test_training_is_the_document_s(tmp_path, hidden):
    """23 images in batches of 5: the three that do not fill a batch are dropped."""
    images, settings = some_images(count=23), Settings(hidden, 0.1, batch_size=5, epochs=3)
    weights, costs, changes = by_hand(images, hidden, settings, seed=42)
    net, random = program.begin(6, hidden, 42)
    epochs = program.fit(net, images, settings, random, lesson_in(tmp_path), "test")

    assert [len(steps) for steps in epochs] == [4, 4, 4]
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    for layer, columns in zip(layers, weights, strict=True):
        np.testing.assert_allclose(layer.weight.detach().numpy(), columns[:, :-1], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(layer.bias.detach().numpy(), columns[:, -1], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(program.losses(epochs), np.reshape(costs, (3, 4)).mean(axis=1), rtol=1e-11)
    expected = changes.reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(program.weight_changes(epochs, 0.1), expected, rtol=1e-11)


def test_training_in_two_parts_is_training_in_one(tmp_path):
    images, settings = some_images(), Settings((5, 4), 0.1, batch_size=5, epochs=4)
    whole, random = program.begin(6, (5, 4), 42)
    program.fit(whole, images, settings, random, lesson_in(tmp_path), "test")
    parts, random = program.begin(6, (5, 4), 42)
    for epochs in (3, 1):
        program.fit(parts, images, Settings((5, 4), 0.1, 5, epochs), random, lesson_in(tmp_path), "test")
    for one, two in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), two.detach().numpy())


@pytest.mark.parametrize(("stop", "epochs"), [(True, 1), (False, 6)])
def test_training_stops_when_no_bit_of_a_weight_has_changed(tmp_path, stop, epochs):
    settings = Settings((5, 4), batch_size=5, epochs=6)
    net, random = program.begin(6, (5, 4), 42)
    before = [parameter.detach().clone() for parameter in saturated(net).parameters()]
    done = program.fit(net, some_images(), settings, random, lesson_in(tmp_path), "test", stop_when_still=stop)
    assert len(done) == epochs
    assert all(map(tl.equal, before, net.parameters()))


def test_training_goes_on_while_a_single_weight_moves(tmp_path):
    settings = Settings((5, 4), batch_size=5, epochs=6)
    net, random = program.begin(6, (5, 4), 42)
    done = program.fit(net, some_images(), settings, random, lesson_in(tmp_path), "test", stop_when_still=True)
    assert len(done) == 6


def test_a_step_tells_saturated_outputs_from_lost_ones():
    """Four images whose outputs are 0, 0, 1 and one half; all are labelled 1."""
    net = nn.Sequential(nn.Linear(1, 1, dtype="float64"), nn.Sigmoid())
    with tl.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.zero_()
    x = tl.tensor([[-1000.0], [-20.0], [30.0], [0.0]], dtype=tl.float64)
    y = tl.ones(4, dtype=tl.float64)
    step = program.noted(y, *program.training_step(net, tl.optim.SGD(net.parameters(), lr=0.0))(x, y))
    assert (step.saturated, step.lost) == (0.75, 0.5)
    assert step.loss == pytest.approx(0.5 * (1 + (1 - expit(-20)) ** 2 + 0.25) / 4, rel=1e-7)


def test_the_gradient_norm_of_a_layer_does_not_underflow():
    layer = nn.Linear(1, 1)
    layer.weight.grad = tl.full((1, 1), 3e-23)
    layer.bias.grad = tl.full((1,), 4e-23)
    (norm,) = program.gradient_norms(nn.Sequential(layer))
    assert norm.item() == pytest.approx(5e-23, rel=1e-6)


def test_the_larger_digit_begins_at_one_half():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Sigmoid())
    with tl.no_grad():
        net[0].weight.fill_(1.0)
    assert program.predict(net, tl.tensor([[-1e-3], [0.0], [1e-3]])).tolist() == [0, 1, 1]


# ---- what is told of it


def test_a_net_has_learnt_5_points_above_the_more_frequent_digit():
    assert program.learning_threshold(Images(tl.zeros(4, 1), tl.tensor([1, 0, 1, 1]), ["3", "8"])) == 0.8


def test_the_note_tells_learners_from_the_stuck():
    def ended(accuracy, norm):
        return program.Start(accuracy, norm, [], np.zeros(0))

    starts = {"float32": [ended(0.9, 20.0), ended(0.5, 0.0)], "float64": [ended(0.95, 30.0), ended(0.9, 10.0)]}
    note = program.what_became(starts, 0.55)
    assert note.startswith("1 of 2 starts in float32 and 2 of 2 starts in float64 learn")
    assert "20 of these, 0 of the stuck" in note
    assert "stuck" not in program.what_became({"float64": starts["float64"]}, 0.55)


def test_the_median_gradient_norm_is_of_the_whole_gradient():
    steps = [Step(0.0, norms, 0.0, 0.0) for norms in ([3.0, 4.0], [0.0, 0.0], [6.0, 8.0])]
    assert program.median_gradient_norm(steps) == 5.0
    assert program.layer_curves(steps) == {"layer 1": [3.0, 1e-40, 6.0], "layer 2": [4.0, 1e-40, 8.0]}


def test_the_heat_map_shows_every_share():
    figure = plots.heat_map(np.array([[0.5599, 0.9965]]), ["net"], ["a", "b"], "Grid")
    assert [text.get_text() for text in figure.axes[0].texts] == ["55.99%", "99.65%"]


def test_a_dot_per_start():
    figure = plots.dots({"a": ([1e-9, 10.0], [0.5, 0.9]), "b": ([1.0], [0.8])}, "norm", "accuracy", "Dots", level=0.55)
    axes = figure.axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 1]
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_ydata()) == [0.55, 0.55]


def test_panels_of_one_value_share_its_axis():
    panels = {"first": {"a": [1.0, 2.0]}, "second": {"b": [1.0, 100.0]}}
    left, right = plots.curve_panels(panels, "step", "Panels", value="norm", scale="log").axes
    assert left.get_ylim() == right.get_ylim()
    assert (left.get_ylabel(), left.get_title(), right.get_title()) == ("norm", "first", "second")


# ---- the whole program, on the small digits

FIGURES = {
    "default_1_vs_5": {"default_gradient_norms", "default_training", "default_confusion", "images"},
    "grid_1_5": {"grid"},
    **{
        f"pair_{pair}": {f"pair_{pair}_{figure}" for figure in ("starts", "training", "confusion")}
        for pair in ("1_5", "1_7", "4_7", "2_3", "4_9")
    },
}


def test_each_experiment_runs_once_with_the_document_s_seed(tmp_path):
    tasks = schedule.plan(["003"], 7, None, "full", tmp_path)
    assert [(task.experiment, task.seed) for task in tasks] == [(name.__name__, 42) for name in program.EXPERIMENTS]
    assert {task.experiment for task in tasks} == set(FIGURES)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return {task.experiment: schedule.study(task) for task in schedule.plan(["003"], 0, None, "quick", folder)}


@pytest.mark.slow
@pytest.mark.parametrize("experiment", FIGURES)
def test_an_experiment_saves_its_figures(studied, experiment):
    pictures = studied[experiment].pictures
    assert {picture.path.name for picture in pictures} == {f"003_{name}.png" for name in FIGURES[experiment]}
    assert all(picture.path.exists() and picture.caption.endswith(".") for picture in pictures)


@pytest.mark.slow
def test_a_layer_too_many_learns_nothing_on_the_small_digits(studied):
    (row,) = studied["default_1_vs_5"].rows
    assert row.model == "64-100-50-25-1, 1 vs 5, default"
    labels = program.pair_of_digits(studied["default_1_vs_5"], 1, 5)[1].labels.numpy()
    assert row.scores["test"] in (labels.mean(), 1 - labels.mean())


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["1_5", "1_7", "4_7", "2_3", "4_9"])
def test_some_starts_learn_the_small_digits(studied, pair):
    (row,) = studied[f"pair_{pair}"].rows
    for dtype in ("float32", "float64"):
        assert 1 <= row.scores[f"learn {dtype}"] <= 4
        assert 0.85 <= row.scores[f"median {dtype}"] <= 1
    assert {expected.score for expected in row.expected} == {"median float32", "median float64"}


@pytest.mark.slow
def test_no_median_is_claimed_where_no_start_learns(monkeypatch, tmp_path):
    begin = program.begin

    def begin_saturated(*given):
        net, random = begin(*given)
        return saturated(net), random

    monkeypatch.setattr(program, "begin", begin_saturated)
    lesson = lesson_in(tmp_path)
    program.pair_1_5(lesson)
    (row,) = lesson.rows
    assert row.scores.keys() == {"start 42", "learn float32", "learn float64"}
    assert (row.scores["learn float32"], row.scores["learn float64"], row.expected) == (0, 0, [])


@pytest.mark.slow
def test_the_grid_counts_the_nets_that_are_stuck(studied):
    (row,) = studied["grid_1_5"].rows
    assert row.scores["lowest training cost"] <= row.scores["best"]
    assert 0.9 <= row.scores["best"] <= 1
    assert 4 <= row.scores["stuck"] < 16


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores(studied, tmp_path):
    task = schedule.Task("003", "pair_4_9", 42, None, "quick", tmp_path)
    assert schedule.study(task).rows[0].scores == studied["pair_4_9"].rows[0].scores
