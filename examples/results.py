"""The page of results: every experiment over its seeds, held against what was expected of it.

``docs/results/NNN.json`` keeps each score of each seed of a document; ``docs/results.md`` is written from all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from examples.files import whole
from examples.lesson import Expected, Lesson, Row

__all__ = ["FOLDER", "kept", "render", "update"]

FOLDER = Path(__file__).parent.parent / "docs"
STATISTICS = {"median": median, "best": max, "worst": min}
Documents = dict[str, dict[str, Any]]

INTRODUCTION = """\
# Results

Written by `python -m examples --data DIR --full`: the documents' real files, settings and iteration counts. Each model
starts from five fixed seeds (document 003 from NumPy's legacy seed 42, as there); a score is the median of the seeds,
with its range. "Expected" was fixed before the run. Times are medians on a shared machine, one thread each.
The files in [results/](results/) have every score of every seed.
"""


def update(lessons: Sequence[Lesson], folder: Path) -> Path:
    """Keep the scores of these lessons' documents, and write ``results.md`` anew; returns its path."""
    for number, document in collect(lessons).items():
        with whole(folder / "results" / f"{number}.json") as file:
            file.write((json.dumps(document, indent=1) + "\n").encode())
    page = folder / "results.md"
    with whole(page) as file:
        file.write(render(kept(folder)).encode())
    return page


def kept(folder: Path) -> Documents:
    """The scores of every document that was run."""
    files = sorted((folder / "results").glob("*.json"))
    return {file.stem: json.loads(file.read_text()) for file in files}


def collect(lessons: Sequence[Lesson]) -> Documents:
    """The rows of the lessons, by document and model, with a run for each seed."""
    documents: Documents = {}
    for lesson in lessons:
        document = documents.setdefault(lesson.document, {"machine": machine(), "models": {}})
        for row in lesson.rows:
            fixed = {"reported": row.reported, "form": row.form, "expected": [asdict(item) for item in row.expected]}
            model = document["models"].setdefault(row.model, {**fixed, "runs": []})
            run = {"seed": lesson.seed, "scores": row.scores, "seconds": round(row.seconds, 2), "note": row.note}
            model["runs"].append(run)
    return documents


def machine() -> str:
    """What the results were computed with; outcomes depend on rounding, so the BLAS kernels belong to it."""
    here = describe()
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items() if name != "torch")
    return f"{here['processor']}; {versions}; {here['BLAS'][0]['kernels']} kernels"


def render(documents: Documents) -> str:
    """The page."""
    parts = [INTRODUCTION]
    for number, document in documents.items():
        models = document["models"]
        parts.append(f"\n## Document {number}\n\n{document['machine']}.\n\n")
        parts.append("| model | reported | ours | seeds | expected | reached | seconds |\n|-|-|-|-:|-|-|-:|\n")
        parts.extend(_line(name, model) for name, model in models.items())
        notes = [(name, run) for name, model in models.items() for run in model["runs"] if run["note"]]
        parts.extend(f"\n- {name}, seed {run['seed']}: {run['note']}" for name, run in notes)
        parts.append("\n" if notes else "")
    return "".join(parts)


def _line(name: str, model: dict[str, Any]) -> str:
    row = Row("", name, model["reported"], model["form"])
    runs = [run for run in model["runs"] if run["scores"]]
    if not runs:
        return f"| {name} | {row.reported} | open | | | | |\n"
    scores = {score: [run["scores"][score] for run in runs] for score in runs[0]["scores"]}
    expected = [Expected(**item) for item in model["expected"]]
    cells = [
        name,
        row.reported,
        "<br>".join(f"{score} {_spread(row, values)}" for score, values in scores.items()),
        str(len(runs)),
        "<br>".join(in_words(item, row) for item in expected),
        "<br>".join("yes" if holds(item, scores[item.score]) else "**no**" for item in expected),
        f"{median(run['seconds'] for run in runs):.0f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def _spread(row: Row, values: Sequence[float | int]) -> str:
    if len(values) == 1:
        return row.format(values[0])
    return f"{row.format(median(values))} ({row.format(min(values))} to {row.format(max(values))})"


def in_words(expected: Expected, row: Row) -> str:
    """The expectation as the page states it."""
    low, high = row.format(expected.low), row.format(expected.high)
    if low == high:
        return f"{expected.score}: {expected.statistic} = {low}"
    bounds = [f">= {low}"] * (expected.low > 0) + [f"<= {high}"] * (expected.high < 1)
    return f"{expected.score}: {expected.statistic} {' and '.join(bounds)}"


def holds(expected: Expected, values: Sequence[float | int]) -> bool:
    """Whether the scores of the seeds are as expected."""
    return expected.low <= STATISTICS[expected.statistic](values) <= expected.high
