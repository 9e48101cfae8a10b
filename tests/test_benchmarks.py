import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

import tinygrad_lite as tl
from benchmarks import bars, by_hand, costs, machine, report
from benchmarks.__main__ import main
from benchmarks.contestants import (
    BY_HAND,
    COMPILED,
    JAX,
    LITE,
    REPLAYED,
    TORCH,
    Contestant,
    as_run_by,
    contestants,
    warm_up,
)
from benchmarks.runner import ratio, time_in_turns
from benchmarks.steps import STEPS, Net, check

WITHOUT_JAX = [who for who in contestants() if who != JAX]


def run(tmp_path, capsys, *arguments):
    """The JSON and the printed text of a quick run."""
    file = tmp_path / "results" / "figures.json"
    main(["--quick", "--rounds", "1", "--json", str(file), *arguments])
    assert [path.name for path in file.parent.iterdir()] == ["figures.json"]
    return json.loads(file.read_text()), capsys.readouterr().out


def assert_complete(results, printed, names, who, started=()):
    assert [step["name"] for step in results["steps"]] == names
    assert [start["name"] for start in results["first calls"]] == list(started)
    compiled = {COMPILED, REPLAYED} & set(who)
    for step in results["steps"]:
        times = step["microseconds"]
        assert list(times) == results["contestants"] == who
        assert all(time > 0 for time in times.values())
        for baseline in (BY_HAND, TORCH):  # of one round the ratio of medians is the median of ratios
            expected = times[LITE] / times[baseline] if baseline in times else None
            assert step["ratio"][baseline] == expected
        assert step["times faster"] == {name: {other: times[other] / times[name] for other in who} for name in compiled}
        assert step["baseline"] in (BY_HAND, TORCH)
        assert set(step["peak_bytes"]) == {BY_HAND, LITE}
        assert set(step["allocated_bytes"]) == compiled
        tables = 4 + (step["name"] in started)  # times, compiled, eager, memory; first calls
        assert sum(line.startswith(f"| {step['name']} |") for line in printed.splitlines()) == tables
    assert all(set(start["milliseconds"]) == compiled for start in results["first calls"])
    assert results["import"]["ratio"] > 0
    assert results["machine"]["versions"]["numpy"] == np.__version__
    assert all(blas["threads"] == 1 for blas in results["machine"]["BLAS"])
    assert all(blas["kernels"] in printed for blas in results["machine"]["BLAS"])


@pytest.mark.slow
def test_a_quick_run(tmp_path, capsys):
    results, printed = run(tmp_path, capsys)
    assert_complete(results, printed, [step.name for step in STEPS], WITHOUT_JAX)
    assert {step["document"] for step in results["steps"]} >= {"000", "001", "002", "003", "004"}


def test_a_run_of_some_steps(tmp_path, capsys):
    results, printed = run(tmp_path, capsys, "--only", "E1", "L2")
    assert_complete(results, printed, ["L2", "E1"], WITHOUT_JAX)


@pytest.mark.slow
def test_a_run_with_everybody_who_is_installed(tmp_path):
    """In a process of its own: from where JAX has computed, no other process may be forked."""
    file, names = tmp_path / "figures.json", ["L2", "B6", "B3", "B5", "E1"]  # every loss, the penalty, dropout, Adam
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--json", str(file), "--only", *names]
    finished = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert_complete(json.loads(file.read_text()), finished.stdout, names, contestants(), ["B5"])


def test_who_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert contestants() == [BY_HAND, LITE, REPLAYED]


def test_a_compiled_contestant_compiles_the_step_that_eager_mode_runs(monkeypatch):
    monkeypatch.setattr(tl, "compile", lambda step, **options: (step, options))
    assert as_run_by(COMPILED, max) == (max, {"fullgraph": True})
    assert as_run_by(REPLAYED, max) == (max, {"fullgraph": True, "backend": "numpy"})
    assert as_run_by(LITE, max) is as_run_by(TORCH, max) is max


@pytest.mark.parametrize("who", [COMPILED, REPLAYED, LITE])
def test_a_contestant_warms_up_before_it_is_timed(who):
    calls = []
    warm_up(who, Contestant(lambda: calls.append(who), list))
    assert len(calls) == (1 if who == LITE else 6)


@pytest.mark.parametrize("name", ["B5", "E2"])
def test_steps_are_held_against_each_other_where_that_makes_sense(name):
    step = next(step for step in STEPS if step.name == name)
    small = step.comparable()
    if name == "B5":
        assert small == replace(step, widths=(784, 100, 100, 10), dropout=0.0, eps=1e-4)
    else:
        assert small == replace(step, size=300)


def test_adam_by_hand_is_adam():
    step = next(step for step in STEPS if step.name == "B5")
    check(replace(step, widths=(6, 5, 4, 3), batch=7), [BY_HAND, LITE])


def test_dropout_by_hand_zeroes_its_share_and_keeps_the_mean():
    mask = by_hand.DropoutClassifier(0.4, 1e-8).mask(np.ones((200, 500), np.float32))
    assert mask.dtype == np.float32
    assert np.unique(mask).tolist() == [0, np.float32(1) / np.float32(0.6)]
    assert abs((mask == 0).mean() - 0.4) < 4 * np.sqrt(0.4 * 0.6 / mask.size)


def test_a_contestant_that_computes_something_else_is_refused():
    def too_far(W, b, x, y):
        loss = by_hand.logistic(W, b, x, y)
        b *= 1.0001
        return loss

    step = Net("L0", (3, 1), 1, "Sigmoid", "binary cross-entropy", too_far, 1.0, "000")
    with pytest.raises(AssertionError, match="L0: tinygrad_lite and NumPy by hand differ"):
        check(step, [BY_HAND, LITE])


def test_contestants_take_turns():
    calls = []
    taken = time_in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4, seconds=1e-6)
    assert [len(times) for times in taken.values()] == [4, 4]
    turns = calls[:1] + [now for before, now in pairwise(calls) if now != before]
    assert turns == ["a", "b"] * 5  # once to warm up


def test_the_ratio_is_taken_round_by_round():
    taken = {"ours": [2.0, 30.0, 4.0], "theirs": [1.0, 10.0, 4.0]}
    assert ratio(taken, "ours", "theirs") == 2.0
    assert ratio(taken, "ours", "absent") is None


def test_the_first_calls_cost_what_they_take_above_as_many_eager_steps(monkeypatch):
    seconds = iter([0.002, 0.001, 0.003, *[0.1, 0.05, 0.001, 0.002, 0.001, 0.001]])
    monkeypatch.setattr(costs, "_seconds", lambda contestant: next(seconds))
    assert costs.first_calls("L1", REPLAYED) == pytest.approx(98 + 48)


def test_memory_of_a_step_is_what_it_adds_or_what_it_holds():
    kept = [None]

    def step():
        kept[0] = np.zeros(100_000, np.uint8)

    assert 100_000 <= costs.allocated(Contestant(step, list)) < 110_000
    assert 200_000 <= costs.peak_memory(Contestant(step, list)) < 210_000


@pytest.mark.parametrize(
    ("flags", "kernels", "idle"),
    [
        ("sse4_1 avx2 avx512f", "Haswell", True),
        ("sse4_1 avx2 avx512f", "SkylakeX", False),
        ("sse4_1 avx2", "Haswell", False),
        ("sse4_1 avx2 avx512f", "unnamed", False),
    ],
)
def test_avx512_is_idle_if_the_processor_has_it_and_numpy_does_not_use_it(flags, kernels, idle, monkeypatch):
    own = {"owner": "tinygrad_lite's own", "kernels": "SkylakeX"}
    monkeypatch.setattr(machine, "_cpuinfo", {"flags": flags}.get)
    monkeypatch.setattr(machine, "_loaded", lambda: iter([own, {"owner": "NumPy's", "kernels": kernels}]))
    assert machine.idle_avx512() == idle


def test_bars_are_higher_where_avx512_lies_idle():
    assert bars.of_step("B2", idle_avx512=False) == {BY_HAND: 1.1, TORCH: 1.4}
    assert bars.of_step("B2", idle_avx512=True) == {BY_HAND: 1.8, TORCH: 1.4, JAX: 0.95}
    assert bars.of_step("L4", idle_avx512=True) == {}


def test_a_report_marks_what_is_not_reached(capsys, tmp_path):
    results, _ = run(tmp_path, capsys, "--only", "L1")
    results["steps"][0]["times faster"] = {COMPILED: {BY_HAND: 5.9, TORCH: 25}, REPLAYED: {LITE: 1.3}}
    line = "| L1 | **5.90** (>= 6) | 25.00 (>= 25) | - | - | 1.30 (>= 1.2) |"
    assert line in report.markdown(results).splitlines()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process to a core")
def test_one_thread_is_given_back():
    cores = os.sched_getaffinity(0)
    with pytest.raises(KeyError), machine.one_thread():
        assert len(os.sched_getaffinity(0)) == 1
        raise KeyError
    assert os.sched_getaffinity(0) == cores
