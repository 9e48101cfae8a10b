"""What every experiment is given: its data folder, how long to train, and where results and figures go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from matplotlib.figure import Figure
from tqdm import tqdm

import tinygrad_lite as tl
from examples.files import whole

__all__ = ["Effort", "Expected", "Lesson", "Picture", "Row"]

T = TypeVar("T")
Step = TypeVar("Step", bound=Callable[..., Any])
Effort = Literal["quick", "data", "full"]


@dataclass(frozen=True)
class Expected:
    """What a score should come to over several seeds.

    Attributes
    ----------
    score : str
        The name of the score.
    statistic : {"median", "best", "worst"}
        Of the seeds; the best is the largest.
    low, high : float
        The bounds, both included.
    """

    score: str
    statistic: Literal["median", "best", "worst"]
    low: float = 0.0
    high: float = 1.0


@dataclass
class Row:
    """One line of the table: a model of a document, and how well it did there and here.

    Attributes
    ----------
    document : str
        Its number.
    model : str
        The net and its data.
    reported : str
        The document's result.
    form : str
        The format of a score: ``".3f"`` or ``".2%"``.
    expected : sequence of Expected
        What ``--full`` holds the scores of its seeds against.
    scores : dict of str to float or int
        Our result; empty: the model is still open.
    seconds : float
        How long it took.
    training : dict of str to float
        Seconds of processor time that went into training each net; empty: nothing is trained step by step.
    compiled : bool
        Whether these nets were trained by compiled steps.
    note : str
        What the scores do not say, in a sentence.
    """

    document: str
    model: str
    reported: str
    form: str = ".3f"
    expected: Sequence[Expected] = ()
    scores: dict[str, float | int] = field(default_factory=dict)
    seconds: float = 0.0
    training: dict[str, float] = field(default_factory=dict)
    compiled: bool = False
    note: str = ""

    @property
    def ours(self) -> str:
        """The scores in words; a count stays a count."""
        return ", ".join(f"{name} {self.format(value)}" for name, value in self.scores.items()) or "open"

    @property
    def took(self) -> str:
        """The seconds in words; a star says that the nets were compiled."""
        return f"{self.seconds:.1f}{' *' * self.compiled}" if self.scores else ""

    def format(self, value: float | int) -> str:
        """A score as the table shows it."""
        return str(value) if isinstance(value, int) else f"{value:{self.form}}"


@dataclass(frozen=True)
class Picture:
    """A figure that was saved."""

    document: str
    path: Path
    caption: str


@dataclass
class Lesson:
    """The run of one experiment of one document.

    Attributes
    ----------
    document : str
        Its number.
    data : Path or None
        The folder of the real files; None: generated points and scikit-learn's digits.
    effort : {"quick", "data", "full"}
        A short training, the documents' settings, or their iteration counts too.
    seed : int
        Of every random number, set before the experiment begins.
    out : Path
        Where figures are saved.
    compile : bool
        Whether nets are trained by compiled steps.
    line : int
        Of the screen, where progress bars are drawn.
    rows : list of Row
        The results so far.
    pictures : list of Picture
        The figures so far.
    """

    document: str
    data: Path | None
    effort: Effort
    seed: int
    out: Path
    compile: bool = False
    line: int = 0
    rows: list[Row] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    _training: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def by_effort(self, *, quick: T, data: T, full: T) -> T:
        """The value for the effort of this run, such as a number of iterations."""
        return {"quick": quick, "data": data, "full": full}[self.effort]

    def compiled(self, step: Step) -> Step:
        """The step of a training loop as it is to be run: compiled, where that was asked for.

        Raises
        ------
        RuntimeError
            At a call, if the step cannot be compiled: a row of the table must not pass for what it is not.
        """
        return tl.compile(step, fullgraph=True) if self.compile else step

    @contextmanager
    def measure(self, model: str, reported: str, form: str = ".3f", expected: Sequence[Expected] = ()) -> Iterator[Row]:
        """A row of the table, timed: the block trains the model and fills in ``row.scores``."""
        row = Row(self.document, model, reported, form, expected)
        self._training = {}
        start = time.perf_counter()
        yield row
        row.seconds = time.perf_counter() - start
        row.training, self._training = self._training, {}
        row.compiled = self.compile and bool(row.training)
        self.rows.append(row)

    def leave_open(self, model: str, reported: str) -> None:
        """A row for a model of the document that is not rebuilt yet."""
        self.rows.append(Row(self.document, model, reported))

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[tqdm]:
        """Time a training of ``total`` steps, with a progress bar; ``bar.set_postfix(loss=...)`` shows the loss."""
        start = time.process_time()  # of a machine that is shared the clock tells little
        with tqdm(
            total=total,
            desc=f"{self.document} {what}",
            position=self.line,
            leave=False,
            unit_scale=True,
            mininterval=0.2,
            dynamic_ncols=True,
        ) as bar:
            yield bar
        self._training[what] = self._training.get(what, 0.0) + time.process_time() - start

    def save(self, figure: Figure, name: str, caption: str) -> None:
        """Write a figure as PNG; the caption says what there is to see."""
        path = self.out / f"{self.document}_{name}.png"
        with whole(path) as file:
            figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
        self.pictures.append(Picture(self.document, path, caption))
