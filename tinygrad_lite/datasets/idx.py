"""IDX, the format of the MNIST files: a magic number, the sizes, the numbers; all big-endian."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_idx", "read_idx", "unpacked"]

_GZIP_MAGIC = b"\x1f\x8b"
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 64  # NumPy's own limit


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, plain or gzip, whatever its name is.

    The format: two zero bytes, a type code (08 uint8, 09 int8, 0B int16, 0C int32, 0D float32,
    0E float64), the number of dimensions, each size as an unsigned 32-bit integer, then the
    elements in C order; all big-endian. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST
    database of handwritten digits".

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray
        Of the shape and the type in the header, writable, in the machine's byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not IDX, damaged, cut off, or longer than its header says.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_lite.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     written = path.write_bytes(bytes([0, 0, 8, 1]) + bytes([0, 0, 0, 3]) + bytes([7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    return decode_idx(unpacked(Path(path).read_bytes(), path), path)


def unpacked(content: bytes, source: object) -> bytes:
    """The content of a file that may be gzip; ``source`` names it in the error."""
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{source}: the gzip data is damaged or cut off ({error}): get the file again") from error


def decode_idx(content: bytes, source: object) -> NDArray[Any]:
    """The array that plain IDX bytes describe; ``source`` names them in errors."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(
            f"{source}: not an IDX file: it starts with {_hex(content[:4])}, expected 00 00, "
            "a type code and the number of dimensions"
        )
    code, dimensions = content[2], content[3]
    if code not in _DTYPES:
        raise ValueError(f"{source}: IDX type code {code:02x}, expected one of {_hex(_DTYPES)}")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ValueError(f"{source}: an IDX array of {dimensions} dimensions, expected 1 to {_MAX_DIMENSIONS}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(
            f"{source}: cut off in the header: {len(content)} bytes, expected {start} for {dimensions} dimensions"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    dtype = np.dtype(_DTYPES[code])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{source}: {'cut off' if len(content) < expected else 'too long'}: {len(content)} bytes, expected "
            f"{expected}, a header of {start} and {dtype.name} of shape {shape}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _hex(values: Any) -> str:
    return " ".join(f"{value:02x}" for value in values) or "nothing"
