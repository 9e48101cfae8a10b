"""The figures of the lessons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

__all__ = ["confusion_matrix", "learning_curves", "predicted_images", "predicted_points"]


def learning_curves(curves: Mapping[str, Sequence[float]], steps: str, value: str, title: str) -> Figure:
    """Values over training, one line per name."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(values, label=name)
    axes.set(xlabel=steps, ylabel=value, title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def predicted_points(points: np.ndarray, target: np.ndarray, predicted: np.ndarray, title: str) -> Figure:
    """The first two features: colour is the true class, a cross marks a wrong prediction."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for label, colour in ((0, "tab:blue"), (1, "tab:orange")):
        mine = target == label
        axes.scatter(points[mine, 0], points[mine, 1], s=24, alpha=0.7, color=colour, label=f"class {label}")
    wrong = predicted != target
    axes.scatter(points[wrong, 0], points[wrong, 1], s=90, marker="x", color="black", label=f"wrong ({wrong.sum()})")
    axes.set(xlabel="first feature", ylabel="second feature", title=title)
    axes.legend()
    return figure


def predicted_images(
    images: np.ndarray, labels: Sequence[int], predicted: Sequence[int], names: Sequence[str], title: str
) -> Figure:
    """Images in a row, with what they are and what the net takes them for."""
    figure = Figure(figsize=(2.2 * len(images), 2.9), layout="constrained")
    figure.suptitle(title)
    for axes, image, label, guess in zip(figure.subplots(1, len(images)), images, labels, predicted, strict=True):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(
            f"{names[guess]}\n(is {names[label]})", fontsize=9, color="black" if guess == label else "tab:red"
        )
        axes.set_axis_off()
    return figure


def confusion_matrix(labels: Sequence[int], predicted: Sequence[int], names: Sequence[str], title: str) -> Figure:
    """How often each class is taken for each other, with the classes' names."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=range(len(names)), display_labels=names, xticks_rotation=60, cmap="Blues", ax=axes
    )
    axes.set_title(title)
    return figure
