"""What compiling saves: every net that is trained step by step, trained eagerly and by compiled steps.

``python -m examples.comparison --data DIR`` writes ``docs/compiled_training.md`` and the figures behind it,
``docs/compiled_training.json``. Each experiment runs eagerly and then compiled, from the same seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from examples import results, schedule
from examples.files import whole
from examples.lesson import Lesson, Row

__all__ = ["collect", "main", "render", "update"]

SEEDS = range(5)  # of the net below; of the others the first alone
SEVERAL_SEEDS = ("000", "multi_class", "multi-class, test")  # document, experiment, and the net on all 10,000 images
WAYS = ("eager", "compiled")
Documents = dict[str, dict[str, Any]]

INTRODUCTION = """\
# Compiled training

Written by `python -m examples.comparison --data DIR`: nets of the documents that are trained step by step, as far as it
was run for them, with the real files and the settings of `python -m examples --data DIR`. Each trained eagerly and by
compiled steps ([`tl.compile`](../tinygrad_lite/compiler/__init__.py)), from the same seed and with the same draws.
Seconds are those of training alone: the draws, the steps, the losses, and the compiling, in processor time, since the
machine was shared.
Scores may differ by what rounding changes: after a hundred thousand steps that can be when a training ends, and in
document 003 whether a start learns.
"""

TEN_CLASSES = """
## Ten classes, one image at a time

Document 000 trains its net for ten classes on 10,000 images in about 12 minutes: 42 epochs of as many single images,
drawn at random, at a learning rate of 0.01, until the mean loss of an epoch moves by less than 0.001. The same here,
from five seeds, on which it depends when the training ends.

| seed | epochs eager, compiled | eager, s | test | compiled, s | test | times faster |
|-:|-:|-:|-:|-:|-:|-:|
"""


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run the experiments both ways; returns the page."""
    every = schedule.documents()
    parser = argparse.ArgumentParser(prog="python -m examples.comparison", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="folder of the real files")
    parser.add_argument("--only", nargs="+", metavar="NNN", choices=every, default=every, help="the documents to run")
    parser.add_argument("--jobs", type=int, default=1, help="experiments at once; default 1")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where figures go; default out")
    options = parser.parse_args(arguments)
    tasks = plan(options.only, options.data, options.out)
    done = dict(schedule.perform(tasks, options.jobs))
    page = update(collect(done[task] for task in tasks), results.FOLDER)
    print(f"Eager and compiled: {page}")
    return page


def plan(chosen: Sequence[str], data: Path, out: Path) -> list[schedule.Task]:
    """Each experiment eagerly and compiled; one of them from several seeds."""
    ways = [
        [
            task
            for seed in SEEDS
            for task in schedule.plan(chosen, seed, data, "data", out / way / f"seed_{seed}", compile=way == "compiled")
            if seed == SEEDS[0] or (task.document, task.experiment) == SEVERAL_SEEDS[:2]
        ]
        for way in WAYS
    ]
    return [task for both in zip(*ways, strict=True) for task in both]


def collect(lessons: Iterable[Lesson]) -> Documents:
    """The rows of what was trained, by document, model and way."""
    documents: Documents = {}
    for lesson in lessons:
        for row in lesson.rows:
            if not row.training:
                continue
            document = documents.setdefault(lesson.document, {"machine": results.machine(), "models": {}})
            model = document["models"].setdefault(row.model, {"form": row.form, **{way: [] for way in WAYS}})
            training = {net: round(seconds, 2) for net, seconds in row.training.items()}
            run = {"seed": lesson.seed, "scores": row.scores, "training": training, "note": row.note}
            model[WAYS[row.compiled]].append(run)
    return documents


def update(documents: Documents, folder: Path) -> Path:
    """Keep these documents' figures, and write ``compiled_training.md`` anew; returns its path."""
    figures = folder / "compiled_training.json"
    known = json.loads(figures.read_text()) if figures.exists() else {}
    known = dict(sorted((known | documents).items()))
    with whole(figures) as file:
        file.write((json.dumps(known, indent=1) + "\n").encode())
    page = folder / "compiled_training.md"
    with whole(page) as file:
        file.write(render(known).encode())
    return page


def render(documents: Documents) -> str:
    """The page."""
    parts = [INTRODUCTION]
    document, _, net = SEVERAL_SEEDS
    for model in documents.get(document, {"models": {}})["models"].values():
        if net in model["eager"][0]["training"]:
            parts += [TEN_CLASSES, *_by_seed(model, net)]
    for number, document in documents.items():
        parts.append(f"\n## Document {number}\n\n{document['machine']}.\n\n")
        parts.append("| model | eager, s | | compiled, s | | times faster |\n|-|-:|-|-:|-|-:|\n")
        parts.extend(_line(name, model) for name, model in document["models"].items())
    return "".join(parts)


def _by_seed(model: dict[str, Any], net: str) -> Iterable[str]:
    """The lines of the net with several seeds, and their medians."""
    seconds = {way: [run["training"][net] for run in model[way]] for way in WAYS}
    accuracies = {way: [run["scores"]["test"] for run in model[way]] for way in WAYS}
    for i, run in enumerate(model["compiled"]):
        epochs = ", ".join(model[way][i]["note"].split(" epochs")[0].split(" and ")[1] for way in WAYS)
        figures = (seconds["eager"][i], accuracies["eager"][i], seconds["compiled"][i], accuracies["compiled"][i])
        yield _figures(f"{run['seed']} | {epochs}", *figures)
    yield _figures("median | ", *(median(kind[way]) for way in WAYS for kind in (seconds, accuracies)))


def _figures(first: str, eager: float, its: float, compiled: float, its_own: float) -> str:
    return f"| {first} | {eager:.1f} | {its:.4f} | {compiled:.2f} | {its_own:.4f} | {eager / compiled:.1f} |\n"


def _line(name: str, model: dict[str, Any]) -> str:
    """A model from its first seed."""
    first = {way: model[way][0] for way in WAYS}
    seconds = {way: sum(run["training"].values()) for way, run in first.items()}
    row = Row("", name, "", model["form"])
    cells = [name]
    for way in WAYS:
        row.scores = first[way]["scores"]
        cells += [f"{seconds[way]:.2f}", row.ours]
    return "| " + " | ".join([*cells, f"{seconds['eager'] / max(seconds['compiled'], 0.01):.1f}"]) + " |\n"


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
