"""Where the lessons' data come from: the documents' own files, or what scikit-learn brings along."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits, make_blobs

import tinygrad_lite as tl
from examples.lesson import Lesson
from tinygrad_lite.datasets import FashionMNIST, read_csv

__all__ = ["Images", "blobs", "clothes"]


class Images(NamedTuple):
    """Images as rows of pixels from 0 to 1, and their classes."""

    pixels: tl.Tensor
    labels: tl.Tensor
    names: list[str]


def blobs(lesson: Lesson) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of 400 points with three features; the classes 0 and 1."""
    if lesson.data is not None:
        return read_csv(lesson.data / "tabular" / "blobs400.csv", target="Class")
    points, target = make_blobs(400, centers=[[-1.2, -1.2, 0.0], [1.2, 1.2, 0.0]], cluster_std=0.8, random_state=0)
    return points.astype(np.float32), target.astype(np.float32)


def clothes(lesson: Lesson, count: int) -> Images:
    """``count`` random images of Fashion-MNIST; without its files all 1,797 of scikit-learn's 8x8 digits."""
    if lesson.data is None:
        digits = load_digits()
        order = tl.randperm(len(digits.target))
        pixels = tl.from_numpy((digits.data / 16).astype(np.float32))
        return Images(pixels[order], tl.from_numpy(digits.target)[order], [str(name) for name in digits.target_names])
    fashion = FashionMNIST(lesson.data, train=True)
    pixels, labels = fashion.tensors(flatten=True)
    order = tl.randperm(len(labels))[:count]
    return Images(pixels[order], labels[order], fashion.classes)
