"""Training by compiled steps: the same numbers as in eager mode, from the same draws."""

import os
from pathlib import Path
from statistics import median

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

import tinygrad_lite as tl
from examples import document_000, document_001, document_002, document_003, document_004
from examples.lesson import Lesson
from examples.sources import Images
from tinygrad_lite import nn


def lesson_in(tmp_path, compiled):
    return Lesson("000", None, "quick", 0, tmp_path, compile=compiled)


def some_images(count, dtype=tl.float32):
    return Images(tl.rand(count, 16, dtype=dtype), tl.arange(count) % 3, ["0", "1", "2"])


def one_sample_binary(lesson):
    samples = document_000.Samples(tl.randn(20, 3, dtype=tl.float64).numpy(), np.arange(20) % 2)
    training = document_000.Training(lr=0.1, eps=0.0, iterations=60)
    net = document_000.dense(3, 5, 1)
    return net, document_000.fit(net, document_000.binary_loss, samples, training, lesson, "test")


def one_sample_multi_class(lesson):
    samples = document_000.Samples(tl.randn(20, 3, dtype=tl.float64).numpy(), np.arange(20) % 4)
    training = document_000.Training(lr=0.1, eps=0.0, iterations=60)
    net = document_000.dense(3, 6, 5, 4)
    return net, document_000.fit(net, document_000.multi_class_loss, samples, training, lesson, "test")


def batches_with_a_penalty(lesson):
    images = some_images(50)
    training = document_001.Training(lr=0.1, batch_size=16, epochs=4)  # the last batch of an epoch has 2
    net = document_001.dense(16, 5, 3, activation=nn.ReLU(), head=nn.Softmax(dim=1))
    return net, document_001.fit(
        net, document_001.multi_class_loss, images.pixels, images.labels, training, lesson, "test"
    )


def two_classes_in_batches(lesson):
    images = some_images(32)
    training = document_001.Training(lr=0.1, batch_size=16, epochs=3)
    net = document_001.dense(16, 5, 1, activation=nn.Sigmoid(), head=nn.Sigmoid())
    labels = (images.labels == 1).float()
    return net, document_001.fit(net, document_001.binary_loss, images.pixels, labels, training, lesson, "test")


def full_batch(lesson):
    split = document_002.Split(some_images(40), some_images(20))
    net = document_002.dense(split)
    curves = document_002.fit(net, split, 0.5, lesson, "test")
    return net, curves["train"] + curves["dev"]


def squared_error(lesson, dtype):
    images = some_images(40, dtype)
    images = images._replace(labels=images.labels % 2)
    settings = document_003.Settings((6, 4), batch_size=10, epochs=2)
    net, random = document_003.begin(16, settings.hidden, 42, dtype)
    steps = document_003.flat(document_003.fit(net, images, settings, random, lesson, "test"))
    return net, [number for step in steps for number in (step.loss, *step.gradient_norms)]


def squared_error_in_float32(lesson):
    return squared_error(lesson, "float32")


def squared_error_in_float64(lesson):
    return squared_error(lesson, "float64")


def batches_of_fifty(lesson):
    net = document_004.two_layers(16, 8, 3)
    return net, document_004.fit(net, some_images(120), 3, lesson)


TRAININGS = [
    one_sample_binary,
    one_sample_multi_class,
    batches_with_a_penalty,
    two_classes_in_batches,
    full_batch,
    squared_error_in_float32,
    squared_error_in_float64,
    batches_of_fifty,
]


@pytest.mark.parametrize("training", TRAININGS)
def test_compiled_training_gives_the_numbers_of_eager_training(training, tmp_path):
    ended = []
    for compiled in (False, True):
        tl.manual_seed(0)
        net, numbers = training(lesson_in(tmp_path, compiled))
        ended.append((net.state_dict(), numbers, tl.rand(1).item()))  # the last tells how far the draws went
    (eager, numbers, draw), (compiled, its_numbers, its_draw) = ended
    assert its_draw == draw
    rounding = 1e-4 if next(iter(eager.values())).dtype == tl.float32 else 1e-10
    np.testing.assert_allclose(its_numbers, numbers, rtol=rounding, atol=rounding)
    for name, value in eager.items():
        np.testing.assert_allclose(compiled[name].numpy(), value.numpy(), rtol=rounding, atol=rounding, err_msg=name)


@pytest.mark.parametrize("training", TRAININGS)
def test_every_step_gets_a_program(training, tmp_path, monkeypatch):
    compiled = []

    def compile(step, fullgraph):
        compiled.append(tl.compiler.compile(step, fullgraph=fullgraph))
        return compiled[-1]

    monkeypatch.setattr(tl, "compile", compile)
    training(lesson_in(tmp_path, True))
    (step,) = compiled
    assert "def step(" in step.source()


def test_without_the_option_the_step_stays_what_it_is(tmp_path):
    assert lesson_in(tmp_path, False).compiled(len) is len


def test_a_step_that_cannot_be_compiled_is_an_error_and_not_an_eager_row(tmp_path):
    def step(x):
        return x * 2 if x.sum().item() > 0 else x

    compiled = lesson_in(tmp_path, True).compiled(step)
    with pytest.raises(RuntimeError, match=r"step runs eagerly: .*item"):
        for _ in range(3):
            compiled(tl.ones(2))


def test_only_training_is_timed_as_training(tmp_path):
    lesson = lesson_in(tmp_path, True)
    with lesson.measure("trained", "") as row:
        row.scores = {"test": 1.0}
        for what in ("one", "other", "one"):
            with lesson.progress(1, what):
                pass
    with lesson.progress(1, "beside any row"):
        pass
    with lesson.measure("not trained", "") as row:
        row.scores = {"test": 1.0}
    trained, not_trained = lesson.rows
    assert list(trained.training) == ["one", "other"]
    assert trained.compiled
    assert trained.took == "0.0 *"
    assert not_trained.training == {}
    assert not not_trained.compiled
    assert not_trained.took == "0.0"


@pytest.mark.data
def test_ten_classes_one_image_at_a_time_reach_the_document_s_accuracy(tmp_path, monkeypatch):
    monkeypatch.setattr(Lesson, "save", lambda *figure: None)
    accuracies = []
    for seed in range(3):
        lesson = Lesson("000", Path(os.environ["TINYGRAD_LITE_DATA"]), "data", seed, tmp_path, compile=True)
        tl.manual_seed(seed)
        document_000.multi_class(lesson)
        (row,) = lesson.rows
        assert row.compiled
        accuracies.append(row.scores["test"])
    assert median(accuracies) >= 0.78  # the document: 0.825
    assert max(accuracies) >= 0.81
