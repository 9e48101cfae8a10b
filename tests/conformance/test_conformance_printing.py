"""How tensors print: the very characters of PyTorch, its namespace and the names of its operations apart."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import DTYPES, FLOATS  # noqa: E402


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def assert_prints_as_in_torch(array, requires_grad=False):
    ours, theirs = (repr(xp.tensor(array, requires_grad=requires_grad)) for xp in (tl, torch))
    assert_same_text(ours, theirs)


def assert_same_text(ours, theirs):
    """Equal, but that a note of a dtype, three characters shorter here, may find room on the line before."""
    theirs = theirs.replace("torch.", "tl.")
    if "dtype=" in ours:
        ours, theirs = (re.sub(r",\s+(dtype|requires_grad)=", r", \1=", text) for text in (ours, theirs))
    assert ours == theirs


FLOAT_LISTS = {
    "whole": [1.0, 2.0, 3.0],
    "halves": [0.5, 1.5, -2.5],
    "negative": [-1.0, -20.0, 300.0],
    "mixed": [1.0, 2.25, 1000.0],
    "ratio of 1000": [0.5, 500.0],
    "ratio above 1000": [0.5, 501.0],
    "whole ratio of 1000": [1.0, 1000.0],
    "whole ratio above 1000": [1.0, 1001.0],
    "small": [1e-4, 2e-4],
    "smaller": [9.9e-5, 2e-4],
    "tiny": [1e-30, 1e-31],
    "large": [1e8, 9e7],
    "larger": [1.1e8, 1e8],
    "huge": [1e30, 1e31],
    "0.1": [0.1, 0.2, 0.3],
    "rounds up": [0.99999, 0.5],
    "pi": [np.pi, np.e],
    "zero": [0.0],
    "zeros": [0.0, 0.0, -0.0],
    "zero and halves": [0.0, 0.5, -0.0],
    "zero and tiny": [0.0, 1e-10],
    "nan": [np.nan],
    "infinite": [np.inf, -np.inf],
    "nan and whole": [np.nan, 1.0, 2.0],
    "nan and halves": [np.nan, 0.5, -np.inf],
    "nan and tiny": [np.nan, 1e-9, np.inf],
    "nan and zero": [0.0, np.nan],
    "wide": [-123456.0, 0.0, 7.0],
    "subnormal": [1e-42, 1.0],
    "extremes": [3.4e38, 1.2e-38],
    "just above a whole number": [1.0000001, 2.0],
    "halves, tiny": [0.5, 1e-7],
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FLOAT_LISTS)
def test_floats(name, dtype):
    with np.errstate(over="ignore", under="ignore"):
        values = np.array(FLOAT_LISTS[name]).astype(dtype)
    for array in (values, values.reshape(-1, 1), np.stack([values, values[::-1]])):
        assert_prints_as_in_torch(array)
    for value in values:
        assert_prints_as_in_torch(np.array(value))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in FLOATS])
def test_integers_and_bools(dtype):
    for values in ([0], [1, 2, 3], [1, 100, 7], [0, 1, 1, 0], [[1, 2], [30, 4]], 1, 0, [[[5]]]):
        assert_prints_as_in_torch(np.array(values).astype(dtype))
    if dtype.startswith("int"):
        info = np.iinfo(dtype)
        assert_prints_as_in_torch(np.array([info.min, info.max, -1], dtype))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3), (1, 1, 0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_empty(shape, dtype):
    assert_prints_as_in_torch(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    "shape", [(2, 3), (1, 1), (3, 1), (1, 3), (2, 2, 3), (1, 2, 1, 3), (2, 2, 2, 2), (1, 1, 1, 1, 1)]
)
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e-6])
def test_shapes(shape, scale):
    for dtype in ("float32", "float64"):
        assert_prints_as_in_torch((normal(*shape) * scale).astype(dtype))
    assert_prints_as_in_torch((normal(*shape) * 500).astype(np.int64))
    assert_prints_as_in_torch(normal(*shape) < 0)


@pytest.mark.parametrize("length", [*range(5, 32), 99, 100, 1000])
def test_wrapped_lines(length):
    for array in (
        normal(length),
        np.arange(length),
        np.arange(length, dtype=np.float32),
        np.arange(length) % 3 == 0,
        10.0 ** np.arange(length % 30).astype(np.float32),
    ):
        assert_prints_as_in_torch(array)
        assert_prints_as_in_torch(array[None])


@pytest.mark.parametrize(
    "shape",
    [
        (1001,),
        (2000,),
        (7, 200),
        (200, 7),
        (6, 200),
        (200, 6),
        (3, 400),
        (10, 10, 11),
        (6, 6, 30),
        (2, 2, 300),
        (1, 1001),
    ],
)
def test_long_tensors_lose_their_middle(shape):
    array = normal(*shape)
    array[(3,) * len(shape) if min(shape) > 6 else (0,) * (len(shape) - 1) + (4,)] = 1e9  # where it is not shown
    assert_prints_as_in_torch(array)
    assert_prints_as_in_torch(array.astype(np.float64), requires_grad=True)
    assert_prints_as_in_torch(np.arange(array.size).reshape(shape))


@pytest.mark.parametrize("length", range(1, 25))
def test_notes(length):
    """Where the notes go depends on the room that the last line leaves them."""
    array = normal(length)
    assert_prints_as_in_torch(array, requires_grad=True)
    assert_prints_as_in_torch(array.astype(np.float64), requires_grad=True)
    assert_prints_as_in_torch(array[None].astype(np.float16))
    assert_prints_as_in_torch(np.arange(length, dtype=np.int32))
    assert_prints_as_in_torch(np.arange(length, dtype=np.uint8).reshape(-1, 1))


@pytest.mark.parametrize("length", range(1, 25))
def test_notes_leave_no_line_longer_than_80(length):
    x = tl.tensor(normal(length), dtype=tl.float64, requires_grad=True)
    for tensor in (x, x * 1, tl.tensor(np.arange(10**9, 10**9 + length, dtype=np.int32))):
        assert max(map(len, repr(tensor).splitlines())) <= 80


def test_computed_tensors_name_their_operation():
    x, y = (xp.tensor([1.0, 2.0], requires_grad=True) for xp in (tl, torch))
    assert_same_text(repr(x.exp()), repr(y.exp()))
    assert re.fullmatch(r"tensor\(\[2\., 4\.\], grad_fn=<\w+Backward0>\)", repr(x + x))
    assert re.fullmatch(r"tensor\(3\., grad_fn=<\w+Backward0>\)", repr(x.sum()))
    assert re.fullmatch(r"tensor\(\[1\., 2\.\], dtype=tl.float64,\s+grad_fn=<\w+Backward0>\)", repr(x.double()))


def test_parameters():
    ours, theirs = (repr(xp.nn.Parameter(xp.tensor([[1.0, -2.5]]))) for xp in (tl, torch))
    assert_same_text(ours, theirs)


def test_str_and_format():
    for value in (1.5, [1.5, 2.5], 3, [True]):
        assert str(tl.tensor(value)) == str(torch.tensor(value))
        assert f"{tl.tensor(value)}" == f"{torch.tensor(value)}"


def test_views_print_their_own_elements():
    array = normal(4, 6)
    for view in (lambda x: x.T, lambda x: x[::2, 1::3], lambda x: x[1], lambda x: x[:, 2]):
        assert_same_text(repr(view(tl.tensor(array))), repr(view(torch.tensor(array))))


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), SHAPES))
def test_any_floats(array):
    assert_prints_as_in_torch(array)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    hnp.arrays(
        np.float32, SHAPES, elements=st.sampled_from([0.0, -0.0, 1.0, 0.5, -7.25, 1e3, 1e-4, 1e9, np.nan, np.inf])
    )
)
def test_floats_of_every_kind(array):
    assert_prints_as_in_torch(array, requires_grad=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(hnp.arrays(np.int64, SHAPES))
def test_any_integers(array):
    assert_prints_as_in_torch(array)
