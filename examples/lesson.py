"""What every program is given: its data folder, its settings, and where results and figures go."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure
from tqdm import tqdm

__all__ = ["Lesson", "Row"]


@dataclass
class Row:
    """One line of the table: a model of a document, and how well it did there and here."""

    document: str
    model: str
    reported: str
    ours: str = "-"
    seconds: float = 0.0


@dataclass
class Lesson:
    """The run of one document's program.

    Attributes
    ----------
    document : str
        Its number.
    data : Path or None
        The folder of the real files; None: generated points and scikit-learn's digits.
    quick : bool
        Shorter training than the document's.
    out : Path
        Where figures are saved.
    rows : list of Row
        The results so far.
    figures : list of Path
        The figures so far.
    """

    document: str
    data: Path | None
    quick: bool
    out: Path
    rows: list[Row] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)

    @contextmanager
    def measure(self, model: str, reported: str) -> Iterator[Row]:
        """A row of the table, timed: the block trains the model and fills in ``row.ours``."""
        row = Row(self.document, model, reported)
        start = time.perf_counter()
        yield row
        row.seconds = time.perf_counter() - start
        self.rows.append(row)

    def progress(self, total: int, what: str) -> tqdm:
        """A progress bar over ``total`` steps; ``bar.set_postfix(loss=...)`` shows the loss."""
        return tqdm(total=total, desc=f"{self.document} {what}", unit_scale=True, mininterval=0.2, dynamic_ncols=True)

    def save(self, figure: Figure, name: str) -> None:
        """Write a figure as PNG; it appears under its name only when it is complete."""
        target = self.out / f"{self.document}_{name}.png"
        handle, partial = tempfile.mkstemp(dir=self.out, suffix=".partial")
        os.close(handle)
        try:
            figure.savefig(partial, format="png", dpi=120, bbox_inches="tight")
            os.replace(partial, target)
        finally:
            Path(partial).unlink(missing_ok=True)
        self.figures.append(target)
