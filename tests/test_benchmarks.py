"""The benchmarks run, compare like with like, and leave the process as it was."""

import json
import os
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

from benchmarks import by_hand, machine
from benchmarks.__main__ import main
from benchmarks.runner import ratio, time_in_turns
from benchmarks.steps import BY_HAND, LITE, STEPS, TORCH, Net, check, contestants


def run(tmp_path, capsys, *arguments):
    """The JSON and the printed text of a quick run."""
    file = tmp_path / "results" / "figures.json"
    main(["--quick", "--rounds", "1", "--json", str(file), *arguments])
    assert [path.name for path in file.parent.iterdir()] == ["figures.json"]
    return json.loads(file.read_text()), capsys.readouterr().out


def assert_complete(results, printed, names):
    assert [step["name"] for step in results["steps"]] == names
    for step in results["steps"]:
        times = step["microseconds"]
        assert list(times) == contestants()
        assert all(time > 0 for time in times.values())
        for baseline in (BY_HAND, TORCH):  # of one round the ratio of medians is the median of ratios
            expected = times[LITE] / times[baseline] if baseline in times else None
            assert step["ratio"][baseline] == expected
        assert step["baseline"] in (BY_HAND, TORCH)
        assert set(step["peak_bytes"]) == {BY_HAND, LITE}
        assert sum(line.startswith(f"| {step['name']} |") for line in printed.splitlines()) == 2  # time and memory
    assert results["import"]["ratio"] > 0
    assert results["machine"]["versions"]["numpy"] == np.__version__
    assert all(blas["threads"] == 1 for blas in results["machine"]["BLAS"])
    assert all(blas["kernels"] in printed for blas in results["machine"]["BLAS"])


@pytest.mark.slow
def test_a_quick_run(tmp_path, capsys):
    results, printed = run(tmp_path, capsys)
    assert_complete(results, printed, [step.name for step in STEPS])
    assert {step["document"] for step in results["steps"]} >= {"000", "001", "002", "003", "004"}


def test_a_run_of_some_steps(tmp_path, capsys):
    results, printed = run(tmp_path, capsys, "--only", "E1", "L2")
    assert_complete(results, printed, ["L2", "E1"])


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


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process to a core")
def test_one_thread_is_given_back():
    cores = os.sched_getaffinity(0)
    with pytest.raises(KeyError), machine.one_thread():
        assert len(os.sched_getaffinity(0)) == 1
        raise KeyError
    assert os.sched_getaffinity(0) == cores
