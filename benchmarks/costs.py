"""What is paid besides time: the import, and the memory of a step."""

import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

from benchmarks.runner import FLOAT32
from benchmarks.steps import Step

ROOT = Path(__file__).parent.parent
IMPORT = "from time import perf_counter as now; start = now(); import {}; print((now() - start) * 1e3)"


def import_times(modules: list[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds that importing each module takes in a fresh interpreter, in turns.

    A first round is not counted: it compiles the modules, as an installation does.
    """
    taken: dict[str, list[float]] = {module: [] for module in modules}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(rounds + 1):
            for module in modules:
                command = [sys.executable, "-c", IMPORT.format(module)]
                run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
                taken[module].append(float(run.stdout))
    return {module: times[1:] for module, times in taken.items()}


def peak_memory(step: Step, who: str) -> int:
    """Bytes that Python and NumPy hold at the peak of a step, above what the parameters and the data hold already."""
    run = step.contestant(who, FLOAT32).step
    run()
    tracemalloc.start()
    try:
        run()  # its gradients stay, as in training
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
