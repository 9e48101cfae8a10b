"""Which experiments run, with which seeds, one after the other or in processes of their own."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from examples import schedule


def plan(*documents, seed=0, effort="quick", out=Path("out")):
    return schedule.plan(documents, seed, None, effort, out)


def test_every_document_has_a_program():
    assert schedule.documents() == ["000", "001", "002", "003", "004"]


def test_one_seed_is_the_one_asked_for():
    tasks = plan("000", "002", seed=7)
    assert {task.seed for task in tasks} == {7}
    assert {task.document for task in tasks} == {"000", "002"}
    assert {task.out for task in tasks} == {Path("out")}
    assert len(set(tasks)) == len(tasks)


def test_in_full_there_are_five_seeds_and_the_first_has_the_figures():
    tasks = plan("002", effort="full")
    assert {task.seed for task in tasks} == {0, 1, 2, 3, 4}
    assert {task.seed for task in tasks if task.out == Path("out")} == {0}


@pytest.mark.parametrize("compiled", [False, True])
def test_every_lesson_is_told_whether_to_compile(compiled, monkeypatch):
    seen = []
    monkeypatch.setattr("examples.document_004.still_open", lambda lesson: seen.append(lesson.compile))
    (task,) = [
        task
        for task in schedule.plan(["004"], 0, None, "quick", Path("out"), compiled)
        if task.experiment == "still_open"
    ]
    schedule.study(task)
    assert seen == [compiled]


def test_document_003_keeps_its_own_seed():
    assert {task.seed for task in plan("003", seed=7)} == {42}
    assert {task.seed for task in plan("003", effort="full")} == {42}


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_processes(tmp_path):
    tasks = plan("002", "004", seed=3, out=tmp_path)
    alone, together = (
        {task.experiment: [row.scores for row in lesson.rows] for task, lesson in schedule.perform(tasks, jobs)}
        for jobs in (1, 2)
    )
    assert alone == together
    assert any(scores for rows in alone.values() for scores in rows)


def ends(group, seconds=20):
    """Whether the process group comes to its end: helpers of multiprocessing see that their parent is gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def start_examples(folder):
    """The main job in a process group of its own, where Ctrl-C arrives; it is under way when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples", "--jobs", "2", "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.1)  # until something is done
    return process


@pytest.mark.slow
def test_an_interrupt_ends_the_processes_and_leaves_the_table(tmp_path):
    process = start_examples(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped before the end: interrupted" in err
    assert "Traceback" not in err
    assert "reported" in out
    assert ends(process.pid), "processes are left"


@pytest.mark.slow
def test_no_process_outlives_the_first_one(tmp_path):
    process = start_examples(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    assert ends(process.pid), "processes are left"
