"""Where the lessons' data come from: the documents' own files, or what scikit-learn brings along."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits, make_blobs, make_circles, make_moons
from sklearn.model_selection import train_test_split

import tinygrad_lite as tl
from examples.lesson import Lesson
from tinygrad_lite.datasets import MNIST, FashionMNIST, read_csv

__all__ = ["Images", "blobs", "circles", "clothes", "digits", "moons"]


class Images(NamedTuple):
    """Images and their classes.

    Attributes
    ----------
    pixels : Tensor
        float32, 0 to 1, an image per row.
    labels : Tensor
        int64, indices into ``names``.
    names : list of str
        Of the classes.
    """

    pixels: tl.Tensor
    labels: tl.Tensor
    names: list[str]

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return round(self.pixels.size(1) ** 0.5)

    def draw(self, count: int) -> Images:
        """``count`` random images, or all in random order if there are fewer."""
        order = tl.randperm(len(self.labels))[:count]
        return Images(self.pixels[order], self.labels[order], self.names)

    def only(self, *classes: int) -> Images:
        """The images of these classes, which become 0, 1, ..."""
        labels = self.labels.numpy()
        mine = np.flatnonzero(np.isin(labels, classes))
        index = np.zeros(len(self.names), np.int64)
        index[list(classes)] = range(len(classes))
        return Images(
            self.pixels[tl.from_numpy(mine)],
            tl.from_numpy(index[labels[mine]]),
            [self.names[label] for label in classes],
        )


def blobs(lesson: Lesson) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of 400 points with three features; the classes 0 and 1."""
    if lesson.data is not None:
        return read_csv(lesson.data / "tabular" / "blobs400.csv", target="Class")
    points, target = make_blobs(400, centers=[[-1.2, -1.2, 0.0], [1.2, 1.2, 0.0]], cluster_std=0.8, random_state=0)
    return points.astype(np.float32), target.astype(np.float32)


def circles(lesson: Lesson) -> tuple[np.ndarray, np.ndarray]:
    """500 points on two rings around one centre; the classes 0 and 1."""
    if lesson.data is not None:
        return read_csv(lesson.data / "tabular" / "circles500.csv", target="Class")
    points, target = make_circles(500, noise=0.1, factor=0.5, random_state=0)
    return points.astype(np.float32), target.astype(np.float32)


def moons() -> tuple[np.ndarray, np.ndarray]:
    """500 points on two half moons that reach into each other; the classes 0 and 1."""
    points, target = make_moons(500, noise=0.3, random_state=0)
    return points.astype(np.float32), target.astype(np.float32)


def clothes(lesson: Lesson, train: bool) -> Images:
    """Fashion-MNIST; without its files scikit-learn's 8x8 digits."""
    if lesson.data is None:
        return _small_digits(train)
    fashion = FashionMNIST(lesson.data, train=train)
    return Images(*fashion.tensors(flatten=True), list(fashion.classes))


def digits(lesson: Lesson, train: bool) -> Images:
    """MNIST; without its files scikit-learn's 8x8 digits."""
    if lesson.data is None:
        return _small_digits(train)
    mnist = MNIST(lesson.data, train=train)
    return Images(*mnist.tensors(flatten=True), [str(digit) for digit in range(10)])


def _small_digits(train: bool) -> Images:
    bunch = load_digits()
    parts = train_test_split(bunch.data / 16, bunch.target, test_size=0.25, random_state=0, stratify=bunch.target)
    pixels, labels = (parts[0], parts[2]) if train else (parts[1], parts[3])
    names = [str(name) for name in bunch.target_names]
    return Images(tl.tensor(pixels.astype(np.float32)), tl.tensor(labels.astype(np.int64)), names)
