"""``python -m benchmarks``: time every step, print the tables, keep the figures where asked."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import bars, costs, machine, report
from benchmarks.contestants import BY_HAND, COMPILED, JAX, LITE, REPLAYED, TORCH, contestants
from benchmarks.runner import measure, ratio
from benchmarks.steps import STEPS, Step
from examples.files import whole

PACKAGES = "jax", "jaxlib", "llvmlite", "scipy-openblas32"
LARGEST = "B5", "E2"
"""The steps whose first calls are timed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [step.name for step in STEPS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="STEP", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="turns of each contestant (default 15, with --quick 3)")
    parser.add_argument("--quick", action="store_true", help="short turns, without JAX and first calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    results = run(options.only, options.rounds or (3 if options.quick else 15), options.quick)
    print(report.markdown(results))
    if options.json:
        with whole(options.json) as file:
            file.write((json.dumps(results, indent=1) + "\n").encode())


def run(names: Sequence[str], rounds: int, quick: bool) -> dict[str, Any]:
    """Measure the named steps, the first calls, the import and the memory.

    Parameters
    ----------
    names : sequence of str
        The steps, as in :data:`benchmarks.steps.STEPS`.
    rounds : int
        Turns of each contestant; interpreters are started a fifth as often, at least once, for the first calls.
    quick : bool
        Turns of 5 milliseconds instead of 100, no first calls, and no JAX, which compiles each step for half a second
        or more.
    """
    who = [name for name in contestants() if not (quick and name == JAX)]
    with machine.one_thread():
        steps = [result_of(step, who, rounds, 0.005 if quick else 0.1) for step in STEPS if step.name in names]
        largest = [] if quick else [name for name in LARGEST if name in names]
        starts = [result_of_start(name, who, max(1, rounds // 5)) for name in largest]
        return {
            "machine": machine.describe(*PACKAGES),
            "rounds": rounds,
            "contestants": who,
            "steps": steps,
            "first calls": starts,
            "import": result_of_import(rounds),
        }


def result_of(step: Step, who: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """The figures of one step."""
    taken, team = measure(step, who, rounds, seconds)
    compiled = [name for name in (COMPILED, REPLAYED) if name in who]
    return {
        "name": step.name,
        "document": step.document,
        "description": step.description,
        "microseconds": {name: median(times) for name, times in taken.items()},
        "ratio": {baseline: ratio(taken, LITE, baseline) for baseline in (BY_HAND, TORCH)},
        "baseline": step.baseline,
        "target": step.target,
        "times faster": {name: {other: ratio(taken, other, name) for other in who} for name in compiled},
        "bars": {COMPILED: bars.of_step(step.name, machine.idle_avx512()), REPLAYED: {LITE: bars.REPLAY}},
        "peak_bytes": {name: costs.peak_memory(team[name]) for name in (BY_HAND, LITE)},
        "allocated_bytes": {name: costs.allocated(team[name]) for name in compiled},
    }


def result_of_start(name: str, who: list[str], rounds: int) -> dict[str, Any]:
    """The figures of the first calls of one step."""
    taken = costs.start_times(name, [compiled for compiled in bars.FIRST_CALLS if compiled in who], rounds)
    return {
        "name": name,
        "milliseconds": {compiled: median(times) for compiled, times in taken.items()},
        "bars": bars.FIRST_CALLS,
    }


def result_of_import(rounds: int) -> dict[str, Any]:
    """The figures of the import."""
    taken = costs.import_times(["numpy", "tinygrad_lite"], rounds)
    return {
        "milliseconds": {name: median(times) for name, times in taken.items()},
        "ratio": ratio(taken, "tinygrad_lite", "numpy"),
        "target": 1.6,
    }


if __name__ == "__main__":
    main()
