"""The page on compiled training, from rows of both ways."""

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from examples import comparison, results
from examples.lesson import Lesson, Row


def lesson(seed, compiled, seconds, accuracy):
    training = {"multi-class, val": seconds / 4, "multi-class, test": seconds}
    trained = Row(
        "000",
        "ten classes",
        "0.825",
        scores={"test": accuracy},
        training=training,
        compiled=compiled,
        note=f"57 and 3{seed} epochs; the document: 52 and 42.",
    )
    untrained = Row("000", "shapes", "6 layers", scores={"layers": 6})
    return Lesson("000", None, "data", seed, None, compile=compiled, rows=[trained, untrained])


@pytest.fixture
def lessons():
    figures = [(0, 40.0, 0.81), (1, 60.0, 0.82), (2, 20.0, 0.80)]
    return [
        lesson(seed, compiled, seconds / (20 if compiled else 1), accuracy)
        for seed, seconds, accuracy in figures
        for compiled in (False, True)
    ]


def lines(page):
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)}


def test_each_model_is_shown_eager_and_compiled(lessons, tmp_path):
    found = lines(comparison.update(comparison.collect(lessons), tmp_path))
    assert found["ten classes"] == ["50.00", "test 0.810", "2.50", "test 0.810", "20.0"]
    assert "shapes" not in found


def test_the_net_of_several_seeds_has_a_table_with_medians(lessons, tmp_path):
    found = lines(comparison.update(comparison.collect(lessons), tmp_path))
    assert found["1"] == ["31, 31", "60.0", "0.8200", "3.00", "0.8200", "20.0"]
    assert found["median"] == ["", "40.0", "0.8100", "2.00", "0.8100", "20.0"]


def test_a_run_of_one_document_leaves_the_others(lessons, tmp_path):
    other = Row("004", "two layers", "0.9957", ".4f", scores={"AUC": 0.99591}, training={"a net": 3.0})
    for compiled in (False, True):
        other.compiled = compiled
        lessons.append(Lesson("004", None, "data", 0, None, rows=[Row(**vars(other))]))
    comparison.update(comparison.collect(lessons), tmp_path)
    found = lines(comparison.update(comparison.collect(lessons[:6]), tmp_path))
    assert found["two layers"] == ["3.00", "AUC 0.9959", "3.00", "AUC 0.9959", "1.0"]


def test_each_experiment_is_planned_both_ways_and_one_from_five_seeds():
    tasks = comparison.plan(["000", "003"], Path("data"), Path("out"))
    assert [task.compile for task in tasks] == [False, True] * (len(tasks) // 2)
    assert len(set(tasks)) == len(tasks)
    seeds = {
        name: {task.seed for task in tasks if task.experiment == name} for name in ("toy", "multi_class", "grid_1_5")
    }
    assert seeds == {"toy": {0}, "multi_class": {0, 1, 2, 3, 4}, "grid_1_5": {42}}


def test_the_real_files_are_needed(capsys):
    with pytest.raises(SystemExit):
        comparison.main([])
    assert "--data" in capsys.readouterr().err


def test_the_committed_page_is_the_one_of_the_committed_figures():
    documents = json.loads((results.FOLDER / "compiled_training.json").read_text())
    assert (results.FOLDER / "compiled_training.md").read_text() == comparison.render(documents)
