"""How a tensor prints: PyTorch's layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.autograd.tensor import Array, Tensor

__all__ = ["tensor_repr"]

PRECISION, THRESHOLD, EDGE_ITEMS, LINE_WIDTH = 4, 1000, 3, 80
_DEFAULT = {"f": np.dtype(np.float32), "i": np.dtype(np.int64), "b": np.dtype(np.bool_)}


def tensor_repr(tensor: Tensor) -> str:
    """``tensor([...], dtype=..., grad_fn=...)``, long ones with the middle left out."""
    notes = []
    if tensor.dtype != _DEFAULT.get(tensor.dtype.kind):
        notes.append(f"dtype=tl.{tensor.dtype.name}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    array = tensor.detach()._array
    prefix = "tensor("
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            notes.insert(0, f"size={array.shape}")
    else:
        body = _rows(array, _number_format(_visible(array)), len(prefix), summarise=array.size > THRESHOLD)
    return _with_notes(prefix + body, notes)


def _with_notes(text: str, notes: list[str]) -> str:
    """The notes behind the numbers, on a line of their own where the last one is full."""
    last = len(text) - text.rfind("\n") - 1
    for note in notes:
        if last + len(note) + 2 > LINE_WIDTH:
            text += ",\n" + " " * len("tensor(") + note
            last = len("tensor(") + len(note)
        else:
            text += ", " + note
            last += len(note) + 2
    return text + ")"


def _visible(array: Array) -> Array:
    """The elements that are printed: the format is chosen for them alone."""
    if array.size <= THRESHOLD:
        return array
    for axis, n in enumerate(array.shape):
        if n > 2 * EDGE_ITEMS:
            shown = np.r_[:EDGE_ITEMS, n - EDGE_ITEMS : n]
            array = np.take(array, shown, axis)
    return array


def _number_format(array: Array) -> Any:
    """A function from element to text, the same width for all: as many digits as they need."""
    if array.dtype.kind != "f":
        width = max(len(str(element)) for element in array.reshape(-1).tolist())
        return lambda element: f"{element!s:>{width}}"
    values = np.abs(array[np.isfinite(array) & (array != 0)]).astype(np.float64)
    spec = f".{PRECISION}f"
    if values.size:
        smallest, largest = values.min(), values.max()
        whole = bool(np.all(array[np.isfinite(array)] == np.ceil(array[np.isfinite(array)])))
        if largest / smallest > 1000.0 or largest > 1.0e8 or (not whole and smallest < 1.0e-4):
            spec = f".{PRECISION}e"
        if whole:
            spec = ".0f" if largest / smallest <= 1000.0 and largest <= 1.0e8 else f".{PRECISION}e"
    elif array.ndim or np.isfinite(array).all():
        spec = ".0f"
    point = "." if spec == ".0f" else ""

    def text(element: Any) -> str:
        return format(element, spec) + (point if np.isfinite(element) else "")

    width = max(len(text(element)) for element in array.reshape(-1).tolist())
    return lambda element: f"{text(element):>{width}}" if array.ndim else text(element)


def _rows(array: Array, text: Any, indent: int, summarise: bool) -> str:
    """The elements in nested brackets, wrapped at the line width."""
    if array.ndim == 0:
        return str(text(array.item()))
    cut = summarise and array.shape[0] > 2 * EDGE_ITEMS
    if array.ndim == 1:
        edges = array.tolist()
        items = [text(element) for element in (edges[:EDGE_ITEMS] + edges[-EDGE_ITEMS:] if cut else edges)]
        if cut:
            items.insert(EDGE_ITEMS, " ...")
        per_line = max(1, (LINE_WIDTH - indent) // (max(map(len, items)) + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [array[i] for i in (range(EDGE_ITEMS) if cut else range(array.shape[0]))]
    rows = [_rows(part, text, indent + 1, summarise) for part in parts]
    if cut:
        rows.append("...")
        rows += [_rows(part, text, indent + 1, summarise) for part in array[-EDGE_ITEMS:]]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"
