"""Numeric tables in CSV files."""

from __future__ import annotations

import csv
import difflib
import os
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite import dtypes

__all__ = ["read_csv"]


@overload
def read_csv(
    path: str | os.PathLike[str], target: None = None, dtype: dtypes.DTypeLike = ...
) -> dict[str, NDArray[Any]]: ...
@overload
def read_csv(
    path: str | os.PathLike[str], target: str, dtype: dtypes.DTypeLike = ...
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def read_csv(
    path: str | os.PathLike[str], target: str | None = None, dtype: dtypes.DTypeLike = dtypes.float32
) -> dict[str, NDArray[Any]] | tuple[NDArray[Any], NDArray[Any]]:
    r"""The numbers of a CSV file: a line of column names, then a line of numbers per row.

    Parameters
    ----------
    path : path
        The file, UTF-8, with commas.
    target : str, optional
        The column to predict.
    dtype : dtype
        Of the numbers.

    Returns
    -------
    dict of str to ndarray
        Without ``target``: each column ``(N,)`` under its name.
    features, target : ndarray
        With ``target``: the other columns ``(N, d)`` in their order, and this one ``(N,)``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, has no line of names, has rows of another length or fields that are
        no numbers (the message names line and column), or has no column ``target``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_lite.datasets import read_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.csv")
    ...     written = path.write_text("x,y,Class\n0.5,1.5,0\n2.5,3.5,1\n")
    ...     features, classes = read_csv(path, target="Class")
    >>> features
    array([[0.5, 1.5],
           [2.5, 3.5]], dtype=float32)
    >>> classes
    array([0., 1.], dtype=float32)
    """
    dtype = dtypes.as_dtype(dtype)
    names, lines = _lines(path)
    column = None if target is None else _position(path, names, target)
    try:
        table = np.loadtxt(lines, dtype, comments=None, delimiter=",", quotechar='"', ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {_fault(names, lines, dtype) or error}") from error
    if table.shape[1] != len(names):  # every row has the same wrong length
        raise ValueError(f"{path}: {_fault(names, lines, dtype)}")
    if column is None:
        return {name: table[:, position].copy() for position, name in enumerate(names)}
    return np.delete(table, column, axis=1), table[:, column].copy()


def _lines(path: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """The column names, and the lines after theirs."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error})") from error
    names = [name.strip() for name in next(csv.reader(lines[:1]), [])]
    if not names:
        raise ValueError(f"{path}: line 1 is empty, expected the names of the columns, with commas between")
    if all(_is_number(name, dtypes.float64) for name in names):
        raise ValueError(f"{path}: line 1 holds numbers, expected the names of the columns")
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: line 1 names a column twice: {', '.join(names)}")
    if not any(line.strip() for line in lines[1:]):
        raise ValueError(f"{path}: no rows under the column names {', '.join(names)}")
    return names, lines[1:]


def _position(path: str | os.PathLike[str], names: list[str], target: str) -> int:
    if target in names:
        return names.index(target)
    (nearest,) = difflib.get_close_matches(target, names, n=1, cutoff=0)
    raise ValueError(f"{path}: no column '{target}', did you mean '{nearest}'? The columns are {', '.join(names)}")


def _fault(names: list[str], lines: list[str], dtype: np.dtype[Any]) -> str | None:
    """What is wrong in the first line that NumPy could not read."""
    for number, line in enumerate(lines, start=2):
        fields = next(csv.reader([line]), [])
        if not fields:
            continue
        if len(fields) != len(names):
            return f"line {number} has {len(fields)} fields, expected {len(names)}: {', '.join(names)}"
        for name, field in zip(names, fields, strict=True):
            if not _is_number(field, dtype):
                return f"line {number}, column '{name}': {field!r} is not a number of dtype {dtype.name}"
    return None


def _is_number(field: str, dtype: np.dtype[Any]) -> bool:
    """Whether NumPy reads the field as one number."""
    try:
        return bool(field.strip()) and np.loadtxt([field], dtype, comments=None, delimiter=",").size == 1
    except ValueError:
        return False
