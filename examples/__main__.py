"""Train the documents' nets and print one table: ``python -m examples``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import examples

try:
    from rich.console import Console
    from rich.table import Table

    from examples.lesson import Lesson, Row
except ModuleNotFoundError as missing:
    raise SystemExit(f"{missing.name} is missing: pip install 'tinygrad_lite[examples]'") from missing
import tinygrad_lite as tl


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Run the programs that were asked for; returns the rows of the table."""
    options = parse(arguments)
    lessons: list[Lesson] = []
    problem = None
    try:
        for number in options.only or documents():
            program = importlib.import_module(f"examples.document_{number}")
            tl.manual_seed(options.seed)
            lessons.append(Lesson(number, options.data, options.quick or options.data is None, options.out))
            program.run(lessons[-1])
    except KeyboardInterrupt:
        problem = "interrupted"
    except OSError as error:
        problem = str(error)
    rows = [row for lesson in lessons for row in lesson.rows]
    show(rows, [figure for lesson in lessons for figure in lesson.figures], real_data=options.data is not None)
    if problem is not None:
        raise SystemExit(f"stopped before the end: {problem}")
    return rows


def documents() -> list[str]:
    """The numbers of the documents that have a program: ``document_NNN.py``."""
    names = [module.name for module in pkgutil.iter_modules(examples.__path__)]
    return sorted(name.removeprefix("document_") for name in names if name.startswith("document_"))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the real files; default: embedded data")
    parser.add_argument("--only", nargs="+", metavar="NNN", choices=documents(), help="the documents to run")
    parser.add_argument("--quick", action="store_true", help="train for a shorter time than the documents did")
    parser.add_argument("--seed", type=int, default=0, help="of every random number; default 0")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where figures go; default out")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {options.out}: {error.strerror}")
    return options


def show(rows: Sequence[Row], figures: Sequence[Path], real_data: bool) -> None:
    """Print the table, and where the figures are."""
    table = Table("document", "model", "reported", "ours")
    table.add_column("seconds", justify="right")
    for row in rows:
        table.add_row(row.document, row.model, row.reported, row.ours, f"{row.seconds:.1f}")
    console = Console()
    console.print(table)
    if not real_data:
        console.print("'ours' is on embedded data: compare it with 'reported' in kind; --data DIR uses the real files.")
    console.print("Figures: " + ", ".join(str(path) for path in figures), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
