"""How a tensor prints: in PyTorch's layout, to the character."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.tensor import Array, Tensor

__all__ = ["tensor_repr"]

THRESHOLD = 1000  # longer tensors are shortened
EDGE = 3  # to so many entries at each end of a dimension
LINE_WIDTH = 80


def tensor_repr(tensor: Tensor) -> str:
    """``tensor([...], dtype=..., grad_fn=...)``, long ones with the middle left out."""
    array, prefix = tensor._array, "tensor("
    shorten = array.size > THRESHOLD
    text, width = _number_text(_without_middle(array) if shorten else array)
    body = _brackets(array, text, width, len(prefix), shorten) if array.size else "[]"
    return _with_notes(prefix + body, _notes(tensor), len(prefix))


def _notes(tensor: Tensor) -> list[str]:
    """What the numbers do not show."""
    empty, notes = tensor.numel() == 0, []
    if empty and tensor.ndim != 1:
        notes.append(f"size={tensor.shape}")
    if tensor.dtype not in ([dtypes.float32] if empty else [dtypes.float32, dtypes.int64, dtypes.bool_]):
        notes.append(f"dtype=tl.{tensor.dtype.name}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return notes


def _without_middle(array: Array) -> Array:
    """The entries that are printed of a long array: the digits are chosen for them alone."""
    for axis, length in enumerate(array.shape):
        if length > 2 * EDGE:
            array = np.take(array, [*range(EDGE), *range(-EDGE, 0)], axis)
    return array


def _number_text(array: Array) -> tuple[Callable[[Any], str], int]:
    """A function from an entry to its text, and the width of the texts.

    Zeros and infinities have no say in either.
    """
    spec = ""
    if array.dtype.kind == "f":
        array = array[np.isfinite(array) & (array != 0)].astype(np.float64)
        spec = _float_format(np.abs(array))
    width = max((len(format(entry, spec)) for entry in array.ravel().tolist()), default=1)
    return lambda entry: format(entry, spec).rjust(width), width


def _float_format(magnitudes: Array) -> str:
    """Four decimals, none (but the point) for whole numbers, or an exponent where four would not show all."""
    smallest, largest = float(np.min(magnitudes, initial=np.inf)), float(np.max(magnitudes, initial=0.0))
    if magnitudes.size and (largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4):
        return ".4e"
    return "#.0f" if np.all(magnitudes == np.ceil(magnitudes)) else ".4f"


def _brackets(array: Any, text: Callable[[Any], str], width: int, indent: int, shorten: bool) -> str:
    """The entries in nested brackets, rows wrapped at the line width."""
    if array.ndim == 0:
        return text(array.item())
    cut = shorten and len(array) > 2 * EDGE
    shown = [*array[:EDGE], *array[-EDGE:]] if cut else array
    lines = [_brackets(part, text, width, indent + 1, shorten) for part in shown]
    if cut:
        lines.insert(EDGE, "..." if array.ndim > 1 else " ...")
    if array.ndim == 1:
        per_line = max(1, (LINE_WIDTH - indent) // (width + len(", ")))
        lines = [", ".join(lines[i : i + per_line]) for i in range(0, len(lines), per_line)]
    line_end: str = "," + "\n" * max(1, array.ndim - 1) + " " * (indent + 1)
    return "[" + line_end.join(lines) + "]"


def _with_notes(text: str, notes: list[str], indent: int) -> str:
    """The notes behind the numbers, on a new line where the last one is full."""
    column = len(text) - text.rfind("\n") - 1 + len(", ")  # as PyTorch counts: the first note needs two columns more
    for note in notes:
        column += len(", ") + len(note)
        if column > LINE_WIDTH:
            column = indent + len(note)
            text += ",\n" + " " * indent + note
        else:
            text += ", " + note
    return text + ")"
