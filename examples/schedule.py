"""Which experiments run, with which seed, and on which core."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm

import examples
import tinygrad_lite as tl
from examples.lesson import Effort, Lesson

__all__ = ["Task", "cores", "documents", "perform", "plan"]

FULL_SEEDS = range(5)


@dataclass(frozen=True)
class Task:
    """One experiment of one document, with one seed."""

    document: str
    experiment: str
    seed: int
    data: Path | None
    effort: Effort
    out: Path
    compile: bool = False


def documents() -> list[str]:
    """The numbers of the documents that have a program: ``document_NNN.py``."""
    names = [module.name for module in pkgutil.iter_modules(examples.__path__)]
    return sorted(name.removeprefix("document_") for name in names if name.startswith("document_"))


def plan(
    chosen: Sequence[str], seed: int, data: Path | None, effort: Effort, out: Path, compile: bool = False
) -> list[Task]:
    """The experiments of the chosen documents; in full those of five seeds, where a document has not its own."""
    tasks = []
    for document in chosen:
        program = _program(document)
        seeds = getattr(program, "SEEDS", FULL_SEEDS if effort == "full" else [seed])
        for experiment in program.EXPERIMENTS:
            for number in seeds:
                folder = out if number == seeds[0] else out / f"seed_{number}"
                tasks.append(Task(document, experiment.__name__, number, data, effort, folder, compile))
    return tasks


def cores() -> int:
    """How many experiments can run at once."""
    return os.cpu_count() or 1


def perform(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Lesson]]:
    """Run the tasks, up to ``jobs`` at once, each in one thread; they come as they end."""
    if jobs == 1:
        yield from ((task, study(task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    lines: Any = context.SimpleQueue()
    for line in range(jobs):
        lines.put(line)
    with ProcessPoolExecutor(jobs, context, _begin_worker, (lines, context.RLock())) as pool:
        with _deaf_to_ctrl_c():  # which the workers inherit: the first process ends them
            futures = {pool.submit(study, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()  # not to wait for minutes of training that nobody will see
            raise


_line = 0  # of the screen, where this process draws its progress bars


def _begin_worker(lines: Any, lock: Any) -> None:
    global _line
    _line = lines.get()
    tqdm.set_lock(lock)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """However the first process ended: there is nobody left to work for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def study(task: Task) -> Lesson:
    """Run one experiment; its results do not depend on what ran before it, or on the number of cores."""
    lesson = Lesson(task.document, task.data, task.effort, task.seed, task.out, task.compile, _line)
    tl.manual_seed(task.seed)
    with threadpool_limits(1):
        getattr(_program(task.document), task.experiment)(lesson)
    return lesson


def _program(document: str) -> ModuleType:
    return importlib.import_module(f"examples.document_{document}")
