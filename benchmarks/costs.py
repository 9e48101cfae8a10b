"""What is paid besides the time of a step: the import, the first calls of a compiled step, and memory."""

import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.contestants import CALLS_TO_STEADY_STATE, LITE, Contestant
from benchmarks.runner import FLOAT32
from benchmarks.steps import STEPS

ROOT = Path(__file__).parent.parent
IMPORT = "from time import perf_counter as now; start = now(); import {}; print((now() - start) * 1e3)"
FIRST_CALLS = "from benchmarks.costs import first_calls; print(first_calls({!r}, {!r}))"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def import_times(modules: list[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds that importing each module takes in a fresh interpreter, in turns.

    A first round is not counted: it compiles the modules, as an installation does.
    """
    taken: dict[str, list[float]] = {module: [] for module in modules}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {"PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(rounds + 1):
            for module in modules:
                taken[module].append(_milliseconds(IMPORT.format(module), environment))
    return {module: times[1:] for module, times in taken.items()}


def start_times(step: str, who: list[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds that each contestant needs to reach its steady state in a fresh interpreter, in turns.

    See :func:`first_calls`; a fresh interpreter, because the first call also imports the compiler.
    """
    taken: dict[str, list[float]] = {name: [] for name in who}
    for _ in range(rounds):
        for name in who:
            taken[name].append(_milliseconds(FIRST_CALLS.format(step, name), ONE_THREAD))
    return taken


def first_calls(name: str, who: str) -> float:
    """What the calls before the steady state take above as many eager steps, in milliseconds.

    Of each of them the time above the median of the eager step counts: a call that is already faster takes
    nothing off. That is how much later the training arrives where eager mode would be after as many calls.

    Parameters
    ----------
    name : str
        Of the step.
    who : str
        A contestant that compiles.
    """
    step = next(step for step in STEPS if step.name == name)
    eager, compiled = (step.contestant(mode, FLOAT32) for mode in (LITE, who))
    eager.step()
    usual = median(_seconds(eager) for _ in range(3))
    taken = [_seconds(compiled) for _ in range(CALLS_TO_STEADY_STATE[who])]
    return sum(max(0.0, time - usual) for time in taken) * 1e3


def peak_memory(contestant: Contestant) -> int:
    """Bytes that Python and NumPy hold at the peak of a step, above what the parameters and the data hold already.

    The gradients of the step before stay until then, as in training.
    """
    return _traced(contestant)[1]


def allocated(contestant: Contestant) -> int:
    """Bytes that a step adds to what is held when it begins, at its peak."""
    before, peak = _traced(contestant)
    return peak - before


def _traced(contestant: Contestant) -> tuple[int, int]:
    """Bytes held before a step and at its peak, of what the step before it and itself allocate."""
    contestant.step()
    tracemalloc.start()
    try:
        contestant.step()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        contestant.step()
        return before, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _seconds(contestant: Contestant) -> float:
    start = perf_counter()
    contestant.step()
    return perf_counter() - start


def _milliseconds(code: str, environment: dict[str, str]) -> float:
    """The figure that the code prints, run in an interpreter of its own."""
    command, environment = [sys.executable, "-c", code], {**os.environ, **environment}
    run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return float(run.stdout)
