"""The figures of the lessons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

__all__ = [
    "confusion_matrix",
    "curve_panels",
    "decision_boundary",
    "dots",
    "heat_map",
    "images_in_a_grid",
    "learning_curves",
    "predicted_images",
    "predicted_points",
    "roc_curves",
    "swept",
]

Curves = Mapping[str, Sequence[float]]
CLASS_COLOURS = ("tab:blue", "tab:orange")


def learning_curves(curves: Curves, steps: str, value: str, title: str, scale: str = "linear") -> Figure:
    """Values over training, one line per name; ``scale="log"`` for values of many magnitudes."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    _draw_curves(axes, curves, steps, value, title)
    axes.set_yscale(scale)
    return figure


def curve_panels(
    panels: Mapping[str, Curves], steps: str, title: str, value: str | None = None, scale: str = "linear"
) -> Figure:
    """Learning curves side by side: a panel per measured value, or one ``value`` on one axis in all of them."""
    columns = 2 if len(panels) > 3 else len(panels)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.6 * rows + 0.2), layout="constrained")
    figure.suptitle(title)
    every = figure.subplots(rows, columns, squeeze=False, sharey=value is not None).ravel()
    for axes, (name, curves) in zip(every, panels.items(), strict=False):
        _draw_curves(axes, curves, steps, value or name, name)
        axes.set_yscale(scale)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw_curves(axes: Axes, curves: Curves, steps: str, value: str, title: str) -> None:
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, label=name)
    axes.set(xlabel=steps, ylabel=value, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def dots(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, title: str, level: float
) -> Figure:
    """A dot per run, a colour per group: a value of many magnitudes (``x``) against a share (``y``); a dashed level."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, (across, up)), marker in zip(groups.items(), "os^v", strict=False):
        axes.scatter(across, up, s=50, marker=marker, alpha=0.7, label=name)
    axes.set(xscale="log", xlabel=x, ylabel=y, title=title)
    axes.axhline(level, color="grey", linestyle="--", linewidth=1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def swept(settings: Sequence[float], values: Sequence[float], without: float, x: str, y: str, title: str) -> Figure:
    """A value for each of some settings of many magnitudes, and the value ``without``, at a setting of 0."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(settings, values, marker="o")
    axes.axhline(without, linestyle="dashed", color="black", label=f"{x} = 0")
    axes.set(xscale="log", xlabel=x, ylabel=y, title=title)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str) -> Figure:
    """A table of shares ``(rows, columns)``, coloured by value."""
    figure = Figure(figsize=(2.6 + 0.95 * len(columns), 1.6 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.2%}", ha="center", va="center", color="white" if value > 0.5 else "black")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title)
    return figure


def predicted_points(points: np.ndarray, target: np.ndarray, predicted: np.ndarray, title: str) -> Figure:
    """The first two features: colour is the true class, a cross marks a wrong prediction."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    _draw_points(axes, points, target)
    wrong = predicted != target
    axes.scatter(points[wrong, 0], points[wrong, 1], s=90, marker="x", color="black", label=f"wrong ({wrong.sum()})")
    axes.set(title=title)
    axes.legend()
    return figure


def decision_boundary(
    probability: Callable[[np.ndarray], np.ndarray], points: np.ndarray, target: np.ndarray, title: str
) -> Figure:
    """The probability of class 1 over the plane, its boundary at one half, and the points.

    ``probability`` takes points ``(N, 2)`` and gives ``(N,)``.
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    low, high = points.min(axis=0) - 0.3, points.max(axis=0) + 0.3
    x, y = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    surface = probability(np.stack([x.ravel(), y.ravel()], axis=1).astype(points.dtype)).reshape(x.shape)
    shades = axes.contourf(x, y, surface, levels=np.linspace(0, 1, 11), cmap="PuOr_r", alpha=0.6)
    figure.colorbar(shades, ax=axes, label="probability of class 1")
    if surface.min() < 0.5 < surface.max():
        axes.contour(x, y, surface, levels=[0.5], colors="black", linewidths=1.5)
    _draw_points(axes, points, target)
    axes.set(title=title)
    axes.legend()
    return figure


def _draw_points(axes: Axes, points: np.ndarray, target: np.ndarray) -> None:
    for label, colour in enumerate(CLASS_COLOURS):
        mine = target == label
        axes.scatter(points[mine, 0], points[mine, 1], s=24, alpha=0.7, color=colour, label=f"class {label}")
    axes.set(xlabel="first feature", ylabel="second feature")


def images_in_a_grid(
    images: np.ndarray, titles: Sequence[str], title: str, columns: int = 5, colours: Sequence[str] | None = None
) -> Figure:
    """Images ``(N, rows, columns)``, each under its title."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.9 * columns, 2.2 * rows + 0.4), layout="constrained")
    figure.suptitle(title)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, image, text, colour in zip(cells, images, titles, colours or ["black"] * len(images), strict=False):
        cell.imshow(image, cmap="gray_r")
        cell.set_title(text, fontsize=9, color=colour)
    return figure


def predicted_images(
    images: np.ndarray, labels: Sequence[int], predicted: Sequence[int], names: Sequence[str], title: str
) -> Figure:
    """Images, with what they are and what the net takes them for; a mistake is red."""
    titles = [f"{names[guess]}\n(is {names[label]})" for label, guess in zip(labels, predicted, strict=True)]
    colours = ["black" if guess == label else "tab:red" for label, guess in zip(labels, predicted, strict=True)]
    return images_in_a_grid(images, titles, title, colours=colours)


def confusion_matrix(labels: Sequence[int], predicted: Sequence[int], names: Sequence[str], title: str) -> Figure:
    """How often each class is taken for each other, with the classes' names."""
    size = 3.2 + 0.4 * len(names)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    turned = 60 if max(map(len, names)) > 2 else 0
    ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=range(len(names)), display_labels=names, xticks_rotation=turned, cmap="Blues", ax=axes
    )
    axes.set_title(title)
    return figure


def roc_curves(labels: np.ndarray, scores: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """A receiver operating characteristic per class, each class against the rest, with the area under it.

    ``labels`` are class indices ``(N,)``, ``scores`` the classes' probabilities ``(N, K)``. An inset enlarges the
    corner where good curves lie.
    """
    figure = Figure(figsize=(6, 5.4), layout="constrained")
    axes = figure.subplots()
    corner = axes.inset_axes((0.13, 0.55, 0.33, 0.33), xlim=(0, 0.1), ylim=(0.9, 1), xticks=[0, 0.05, 0.1])
    for k, name in enumerate(names):
        display = RocCurveDisplay.from_predictions(labels == k, scores[:, k], ax=axes)
        display.line_.set_label(f"{name}: {display.roc_auc:.4f}")
        corner.plot(display.fpr, display.tpr)
    axes.plot([0, 1], [0, 1], linestyle="dashed", color="black", linewidth=1, label="chance: 0.5")
    axes.indicate_inset_zoom(corner)
    axes.legend(title="area", loc="lower right")
    axes.set(title=title, xlabel="false positive rate", ylabel="true positive rate")
    return figure
