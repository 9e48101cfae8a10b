"""``python -m benchmarks``: time every step, print the tables, keep the figures where asked."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import costs, machine, report
from benchmarks.runner import measure, ratio
from benchmarks.steps import BY_HAND, LITE, STEPS, TORCH, Step, contestants
from examples.files import whole


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [step.name for step in STEPS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="STEP", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="turns of each contestant (default 15, with --quick 3)")
    parser.add_argument("--quick", action="store_true", help="short turns: rougher figures in some seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    results = run(options.only, options.rounds or (3 if options.quick else 15), 0.005 if options.quick else 0.1)
    print(report.markdown(results))
    if options.json:
        with whole(options.json) as file:
            file.write((json.dumps(results, indent=1) + "\n").encode())


def run(names: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Measure the named steps, the import and the memory.

    Parameters
    ----------
    names : sequence of str
        The steps, as in :data:`benchmarks.steps.STEPS`.
    rounds : int
        Turns of each contestant.
    seconds : float
        About how long a turn lasts.
    """
    who = contestants()
    with machine.one_thread():
        steps = [result_of(step, who, rounds, seconds) for step in STEPS if step.name in names]
        return {"machine": machine.describe(), "rounds": rounds, "steps": steps, "import": result_of_import(rounds)}


def result_of(step: Step, who: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """The figures of one step."""
    taken = measure(step, who, rounds, seconds)
    return {
        "name": step.name,
        "document": step.document,
        "description": step.description,
        "microseconds": {name: median(times) for name, times in taken.items()},
        "ratio": {baseline: ratio(taken, LITE, baseline) for baseline in (BY_HAND, TORCH)},
        "baseline": step.baseline,
        "target": step.target,
        "peak_bytes": {name: costs.peak_memory(step, name) for name in (BY_HAND, LITE)},
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
