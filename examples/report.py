"""The page of a run: the table and every figure in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from examples.files import whole
from examples.lesson import Lesson, Picture

__all__ = ["write"]

TITLES = {
    "000": "Logistic, shallow, deep and multi-class nets",
    "001": "A layers API on Fashion-MNIST and moons",
    "002": "Two layers by full-batch gradient descent",
    "003": "Pairs of digits with squared error",
    "004": "A net from scratch, and other models of MNIST",
}
PIXEL_DENSITY = 1.5  # of a figure's pixels per pixel of the page, for sharp lines on phones

PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Embedded:
    """A figure as it stands in the page."""

    uri: str
    width: int
    height: int
    caption: str


def write(path: Path, lessons: Sequence[Lesson], note: str) -> None:
    """Write the page of these lessons.

    Parameters
    ----------
    path : Path
        The file; it appears whole or not at all.
    lessons : sequence of Lesson
        What ran, in the order of the table.
    note : str
        What holds for all of it, in a sentence; empty: nothing is said.
    """
    documents: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        documents.setdefault(lesson.document, []).append(lesson)
    page = PAGE.get_template("report.html.jinja").render(
        documents=documents,
        titles=TITLES,
        note=note,
        by_seed=by_seed,
        seeds=any(len(by_seed(mine)) > 1 for mine in documents.values()),
        embed=embed,
    )
    with whole(path) as file:
        file.write(page.encode())


def by_seed(lessons: Sequence[Lesson]) -> dict[int, list[Picture]]:
    """The figures of a document, by the seed that they were made with."""
    pictures: dict[int, list[Picture]] = {}
    for lesson in lessons:
        pictures.setdefault(lesson.seed, []).extend(lesson.pictures)
    return pictures


def embed(picture: Picture) -> Embedded:
    """The PNG file as a URI that contains it."""
    png = picture.path.read_bytes()
    width, height = (round(pixels / PIXEL_DENSITY) for pixels in struct.unpack(">II", png[16:24]))
    return Embedded(f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height, picture.caption)
