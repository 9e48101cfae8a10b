"""The IDX reader, on files that the tests write byte by byte."""

import gzip
import math
import struct

import numpy as np
import pytest

from tinygrad_lite.datasets import read_idx

CODES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
FORMATS = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


def idx_bytes(code, shape, values):
    """An IDX file, written with ``struct`` alone."""
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)
    return header + struct.pack(f">{len(values)}{FORMATS[code]}", *values)


@pytest.fixture
def write(tmp_path):
    def write(content, name="some-file"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2), (0,), (0, 4), (1,) * 64])
def test_every_dtype_and_rank(write, code, shape):
    count = math.prod(shape)
    values = [3, 1, 100, 7, 0, 127][:count]
    array = read_idx(write(idx_bytes(code, shape, values)))
    assert array.dtype == np.dtype(CODES[code])
    assert array.dtype.isnative
    assert array.shape == shape
    assert array.ravel().tolist() == values


@pytest.mark.parametrize(
    ("code", "values"),
    [(0x09, [-128, 127]), (0x0B, [-300, 258]), (0x0C, [-70000, 1 << 24]), (0x0D, [-0.5, 1.5]), (0x0E, [1e-300, -0.1])],
)
def test_values_that_need_every_byte(write, code, values):
    assert read_idx(write(idx_bytes(code, (2,), values))).tolist() == values


def test_the_array_is_the_users_to_change(write):
    path = write(idx_bytes(0x08, (3,), [1, 2, 3]))
    array = read_idx(path)
    array += 1
    assert array.tolist() == [2, 3, 4]
    assert read_idx(path).tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["labels", "labels.gz", "labels.txt"])
@pytest.mark.parametrize("packed", [False, True])
def test_gzip_is_recognised_by_content_not_by_name(write, name, packed):
    content = idx_bytes(0x08, (2, 2), [1, 2, 3, 4])
    path = write(gzip.compress(content, mtime=0) if packed else content, name)
    assert read_idx(path).tolist() == [[1, 2], [3, 4]]
    assert read_idx(str(path)).tolist() == [[1, 2], [3, 4]]


GOOD = idx_bytes(0x0B, (2, 3), range(6))  # a header of 12 bytes, and 12 bytes of int16


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an IDX file: it starts with nothing, expected 00 00"),
        (b"\0\0\x08", "not an IDX file: it starts with 00 00 08"),
        (b"<html>not found</html>", "not an IDX file: it starts with 3c 68 74 6d, expected 00 00"),
        (b"\0\0\x07\x01\0\0\0\0", "type code 07, expected one of 08 09 0b 0c 0d 0e"),
        (b"\0\0\x08\x00\x05", "of 0 dimensions, expected 1 to 64"),
        (b"\0\0\x08\x41" + bytes(4 * 65), "of 65 dimensions, expected 1 to 64"),
        (GOOD[:11], "cut off in the header: 11 bytes, expected 12 for 2 dimensions"),
        (GOOD[:-1], r"cut off: 23 bytes, expected 24, a header of 12 and int16 of shape \(2, 3\)"),
        (GOOD[:12], r"cut off: 12 bytes, expected 24, a header of 12 and int16 of shape \(2, 3\)"),
        (GOOD + b"\0", r"too long: 25 bytes, expected 24, a header of 12 and int16 of shape \(2, 3\)"),
        (b"\0\0\x0e\x03" + b"\xff" * 12, "cut off: 16 bytes, expected 633825299671392843082401579016"),
        (gzip.compress(GOOD[:-1], mtime=0), "cut off: 23 bytes, expected 24"),
        (gzip.compress(GOOD, mtime=0)[:-9], "the gzip data is damaged or cut off"),
        (gzip.compress(GOOD, mtime=0)[:5], "the gzip data is damaged or cut off"),
        (gzip.compress(GOOD, mtime=0) + b"more", "the gzip data is damaged or cut off"),
    ],
)
def test_wrong_files_are_refused_by_name(write, content, says):
    path = write(content, "wrong-file")
    with pytest.raises(ValueError, match=f"wrong-file: .*{says}"):
        read_idx(path)


@pytest.mark.parametrize("position", range(10, 30))
def test_a_flipped_byte_inside_gzip_is_noticed(write, position):
    packed = bytearray(gzip.compress(GOOD, mtime=0))
    packed[position % len(packed)] ^= 0xFF
    with pytest.raises(ValueError, match="some-file: "):
        read_idx(write(bytes(packed)))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
