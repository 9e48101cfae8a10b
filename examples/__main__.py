"""Train the documents' nets: ``python -m examples`` prints one table and writes ``out/report.html``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from rich.console import Console
    from rich.table import Table

    from examples import report, results, schedule
    from examples.lesson import Effort, Lesson, Row
except ModuleNotFoundError as missing:
    raise SystemExit(f"{missing.name} is missing: pip install 'tinygrad_lite[examples]'") from missing

EMBEDDED = "Trained on embedded data: compare with the documents in kind; --data DIR has theirs."
COMPILED = "The nets whose seconds are marked with * were trained by compiled steps."


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Run the experiments that were asked for; returns the rows of the table."""
    options = parse(arguments)
    tasks = schedule.plan(options.only, options.seed, options.data, effort(options), options.out, options.compile)
    done: dict[schedule.Task, Lesson] = {}
    problem: BaseException | None = None
    try:
        done.update(schedule.perform(tasks, options.jobs))
    except (KeyboardInterrupt, Exception) as error:
        problem = error
    return conclude([done[task] for task in tasks if task in done], options, problem)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    every = schedule.documents()
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the real files; default: embedded data")
    parser.add_argument("--only", nargs="+", metavar="NNN", choices=every, default=every, help="the documents to run")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="train for a shorter time than the documents did")
    length.add_argument("--full", action="store_true", help="all iterations, all seeds; writes docs/results.md")
    parser.add_argument("--compile", action="store_true", help="train dense nets by compiled steps")
    parser.add_argument("--seed", type=int, default=0, help="of every random number; default 0")
    parser.add_argument("--jobs", type=int, default=schedule.cores(), help="experiments at once; default: the cores")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where figures go; default out")
    options = parser.parse_args(arguments)
    options.only = list(dict.fromkeys(options.only))
    if options.full and options.compile:
        parser.error("--full keeps the results of eager mode: python -m examples.comparison has those of both")
    if options.full and options.data is None:
        parser.error("--full needs the real files: --data DIR")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: at least 1")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {options.out}: {error.strerror}")
    return options


def effort(options: argparse.Namespace) -> Effort:
    """How long to train."""
    if options.full:
        return "full"
    return "quick" if options.quick or options.data is None else "data"


def conclude(lessons: Sequence[Lesson], options: argparse.Namespace, problem: BaseException | None) -> list[Row]:
    """Show the table and write the pages; a run that was stopped shows what it has, and says so."""
    rows = [row for lesson in lessons for row in lesson.rows]
    show(rows)
    note = " ".join([*([] if options.data else [EMBEDDED]), *([COMPILED] if any(row.compiled for row in rows) else [])])
    if note:
        print(note)
    if isinstance(problem, (KeyboardInterrupt, OSError, ValueError)):
        raise SystemExit(f"stopped before the end: {str(problem) or 'interrupted'}")
    if problem is not None:
        raise problem
    page = options.out / "report.html"
    report.write(page, lessons, note)
    print(f"Figures and table: {page}")
    if options.full:
        print(f"Results of all seeds: {results.update(lessons, results.FOLDER)}")
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table("document", "model", "reported", "ours")
    table.add_column("seconds", justify="right")
    for row in rows:
        table.add_row(row.document, row.model, row.reported, row.ours, row.took)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
