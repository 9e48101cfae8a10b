"""Recording arrays: what NumPy would do happens, and the program that is written down does it again on other values."""

import inspect
import math
import threading

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.reference import assert_bitwise_equal, evaluate
from tests.compiler.replaying import record
from tinygrad_lite.autograd.tensor import wrap
from tinygrad_lite.autograd.tree import leaves
from tinygrad_lite.compiler.numbers import Number
from tinygrad_lite.compiler.program import Program
from tinygrad_lite.compiler.recording import Recorder, Recording


def examples(seed):
    """A matrix, a row, a matrix of doubles, indices, a mask, and integers."""
    random = np.random.default_rng(seed)
    return (
        random.uniform(-2, 2, (3, 4)).astype(np.float32),
        random.uniform(0.5, 2, 4).astype(np.float32),
        random.uniform(-2, 2, (3, 4)),
        random.integers(-3, 3, 3),
        random.integers(0, 2, (3, 4)).astype(np.bool_),
        random.integers(1, 9, (3, 4)).astype(np.int32),
    )


class Recorded:
    """A function of arrays, run once on recordings of the examples."""

    def __init__(self, function):
        self.recorder = Recorder()
        given = examples(0)
        recordings = [self.recorder.input(array, place) for place, array in enumerate(given)]
        self.before = [recording.value for recording in recordings]
        with np.errstate(all="ignore"):
            self.result = function(*recordings)
        self.results = [leaf for leaf in leaves(self.result) if isinstance(leaf, Recording)]
        self.written = [place for place, old in enumerate(self.before) if recordings[place].value is not old]
        self.arrays = [recording.array for recording in recordings]
        self.program = Program(
            self.before,
            [f"x{place}" for place in range(len(given))],
            ["state"] * len(given),
            outputs=[recording.value for recording in self.results],
            writes=[(place, recordings[place].value) for place in self.written],
            checks=self.recorder.checks,
        )
        self.recorder.close()


def run(function, arrays):
    with np.errstate(all="ignore"):
        result = function(*arrays)
    return [leaf for leaf in leaves(result) if isinstance(leaf, (np.ndarray, np.generic))]


def assert_recorded(function):
    """Recording gives NumPy's results, layouts and writes; the program does on other values."""
    found, same = Recorded(function), examples(0)
    expected = run(function, same)
    assert found.recorder.problems == []
    assert len(found.results) == len(expected)
    assert_bitwise_equal([recording.array for recording in found.results], map(np.asarray, expected))
    assert_bitwise_equal(found.arrays, same)
    for value, array in zip(found.program.outputs, map(np.asarray, expected), strict=True):
        assert (value.shape, value.dtype) == (array.shape, array.dtype)
        assert layout(value.shape, value.order) == layout(array.shape, array.strides)
    others = examples(1)
    replayed = evaluate(found.program, others)
    assert_bitwise_equal(replayed.outputs, map(np.asarray, run(function, others)))
    for place, (given, changed) in enumerate(zip(examples(1), others, strict=True)):
        assert_bitwise_equal([replayed.writes.get(place, given)], [changed])
    return found


def layout(shape, strides):
    """The strides that matter."""
    return [stride for n, stride in zip(shape, strides, strict=True) if n > 1]


def statements(*lines):
    """A function of the examples that runs these lines and returns ``r``."""
    body = "\n".join(f"    {line}" for line in lines)
    source = f"def function(x, y, d, i, m, n):\n    r = ()\n{body}\n    return r"
    namespace = {"np": np}
    exec(source, namespace)
    return namespace["function"]


def ids(lines):
    return "; ".join(lines) if isinstance(lines, tuple) else lines


# ---- expressions

EXPRESSIONS = [
    # operators and weak Python scalars
    "x + y", "x - 1", "2 - x", "x * 0.1", "0.1 * n", "n + 1", "n / 2", "x / 3", "1 / x", "-x", "abs(x)", "+x",
    "x ** 2", "x ** 0.5", "2.0 ** x", "x > 0", "x == x", "x != 1", "0 < x", "~m", "m & m", "m | True", "m ^ m",
    "m + m", "m * 2", "m * 1.5", "True + x", "x @ x.T", "x @ y", "y @ y", "d @ x.T", "n << 1", "n & 3", "x.T @ d",
    # NumPy's own scalars and 0-d arrays are not weak
    "x * np.float64(0.1)", "np.float64(0.1) * x", "x * np.float32(0.1)", "n + np.int64(1)", "x + np.array(2.0)",
    "np.float32(2) * n", "x[0, 0] * np.float64(2)", "x * np.True_", "x * np.ones(4)", "np.arange(4.0) - x",
    # mixed dtypes
    "x + d", "x * n", "x + m", "n * m", "d - n", "np.where(m, x, d)", "np.where(m, 1.0, x)", "np.where(m, x, 0)",
    "np.where(m, 1, 2)", "np.where(m, n, 0.5)", "np.maximum(x, 0)", "np.maximum(n, 0.5)", "np.greater(x, np.inf)",
    "np.add(x, y, dtype=np.float64)", "np.add(n, n, dtype=np.float32)", "np.multiply(n, 0.1, dtype=np.float32)",
    "np.divide(n, 3, dtype=np.float64)", "np.subtract(d, 1, dtype='f4', casting='same_kind')", "x + [1, 2, 3, 4]",
    "n < 2**40", "np.sqrt(n)", "np.exp(m)", "np.isnan(x)", "np.signbit(x)", "np.sign(x)", "np.add(x, y, out=None)",
    "np.ldexp(x, n)", "np.float_power(x, 2)", "np.logaddexp(x, d)", "np.arctan2(x, y)",
    # reductions, with every form of axis
    "np.add.reduce(x)", "np.add.reduce(x, 1)", "np.add.reduce(x, axis=None)",
    "np.add.reduce(x, axis=-1, keepdims=True)", "np.add.reduce(x, axis=(0, 1))", "np.add.reduce(x, axis=())",
    "np.add.reduce(x, axis=(-1, 0))", "np.sum(x)", "np.sum(x, 0)", "np.sum(x, axis=(1,), keepdims=True)",
    "np.sum(n, dtype=np.float32)", "np.sum(n)", "np.sum(m)", "np.sum(m, axis=0)", "np.add.reduce(x, 0, np.float64)",
    "np.add.reduce(x, 0, None, None, True)", "np.sum(x, initial=3.0)", "np.sum(x, where=m)",
    "np.sum(x, axis=np.int64(1))", "np.mean(x)", "np.mean(x, axis=0)", "np.mean(n, axis=1, keepdims=True)",
    "np.max(x)", "np.max(x, axis=1)", "np.min(x, axis=(0, 1), keepdims=True)",
    "np.maximum.reduce(x, axis=1, initial=-np.inf)", "np.minimum.reduce(x, axis=0)", "np.prod(x, axis=1)",
    "np.multiply.reduce(n, axis=1)", "np.logical_and.reduce(m, axis=0)", "np.any(m, axis=1)", "np.all(m)",
    "np.var(x)", "np.std(x, axis=0, ddof=1)", "np.argmax(x, axis=1)", "np.argmin(x)", "np.count_nonzero(m, axis=0)",
    "np.add.accumulate(x)", "np.cumsum(x, axis=1)", "np.cumprod(x, axis=0)", "np.add.outer(y, y)",
    "np.add.reduceat(y, [0, 2])", "np.add.reduce(x.T, axis=0)", "np.add.reduce(x[::-2, 1:], axis=1)",
    "np.ptp(x, 0)", "np.add.reduce(np.zeros((0, 3)) + y[0], axis=0)", "np.linalg.norm(x)", "np.trace(x)",
    "np.vdot(y, y)",
    # several results
    "np.modf(x)", "np.frexp(x)", "np.divmod(x, 0.7)", "divmod(x, y)", "np.modf(x)[0] + np.modf(x)[1]",
    "np.split(x, 2, axis=1)", "np.split(x, 3)", "np.meshgrid(y, y)",
    "np.linalg.qr(d)", "np.average(x, axis=0, returned=True)", "np.broadcast_arrays(x, y)",
    # views and shapes
    "x.T", "x.mT", "x[0]", "x[0, 0]", "x[..., 0]", "x[None, :, 1:3]", "x[::-1, ::2]", "x[1:1]",
    "np.reshape(x, (4, 3))", "np.reshape(x, -1)", "np.reshape(x.T, -1)", "np.ravel(x)", "np.ravel(x.T)",
    "np.ravel(x, 'F')", "np.reshape(x, (2, 6), order='F')", "np.reshape(x.T, (2, 6), order='F')", "np.transpose(x)",
    "np.transpose(x[None], (2, 0, 1))", "np.transpose(x, axes=(1, 0))", "np.swapaxes(x, 0, 1)",
    "np.moveaxis(x[None], 0, -1)", "np.rollaxis(x, 1)", "np.expand_dims(x, (0, -1))", "np.squeeze(x[:1])",
    "np.squeeze(x[None], axis=0)", "np.atleast_1d(x[0, 0])", "np.atleast_2d(y)", "np.atleast_3d(x)",
    "np.atleast_2d(x, y)", "np.broadcast_to(y, (3, 4))", "np.broadcast_to(x[:, :1], (2, 3, 4))", "x.view(np.int32)",
    "x.view('i4') * 2", "np.flip(x)", "np.flip(x, 1)", "np.rot90(x)", "np.roll(x, 1, axis=0)", "np.diagonal(x)",
    "np.tril(x)", "np.tile(y, 2)", "np.repeat(y, 2)", "np.pad(x, 1)", "np.vsplit(x, 3)[1]", "np.squeeze(x)",
    "np.transpose(x[0, 0])", "np.reshape(x[0, 0], (1, 1))", "np.reshape(x[:0], (4, 0))", "x[..., None][..., 0]",
    # copies and new arrays
    "np.copy(x)", "np.copy(x.T)", "np.copy(x, order='C')", "x.copy()", "x.astype(np.float64)", "x.astype('i4')",
    "n.astype(np.float32)", "x.astype(np.float32)", "np.array(x, like=x)", "np.array(x.T, like=x)",
    "np.array(x, np.float64, like=x)", "np.array(x.T, order='C', like=x)", "np.asarray(x, like=x)",
    "np.asarray(x, np.float64, like=x)", "np.asarray(n, np.float32, like=x)", "np.asarray([1, 2], like=x)",
    "np.array([1.5, 2], np.float32, like=x)", "np.ascontiguousarray(x, like=x)",
    "np.ascontiguousarray(x.T, like=x)", "np.ascontiguousarray(x.T, np.float64, like=x)",
    "np.ascontiguousarray(x[0, 0], like=x)", "np.zeros_like(x)", "np.ones_like(x, dtype=np.int64)",
    "np.full_like(x, 2)", "np.zeros((2, 2), like=x)", "np.ones(3, np.float32, like=x)",
    "np.full((2, 2), 7.0, like=x)", "np.arange(3, like=x)", "np.eye(2, like=x)", "np.full_like(x, x[0, 0])",
    "np.full((2,), x[0, 0], like=x)", "np.asarray([x[0, 0], 1.0], like=x)", "np.array([x[0], x[1]], like=x)",
    # index arrays and masks
    "x[i]", "x[i, i]", "x[:, [0, 2]]", "x[i, 1:]", "x[[0, 1], ..., None]", "x[np.array([0, 1])]", "x[np.int64(1)]",
    "x[None, i]", "np.take(y, i)", "np.take(x, i, axis=0)", "y[i]", "x[True]", "x[np.array(1)]",
    "np.ravel_multi_index((n,), (9,))", "np.ravel_multi_index((n, n), (9, 9))", "x.T[np.argsort(y)]",
    "np.choose(m, [x, d])", "np.sort(x)",
    # joined
    "np.concatenate([x, d])", "np.concatenate((x, x), axis=1)", "np.stack([y, y])", "np.hstack([x, x])",
    "np.vstack([x, y])", "np.concatenate([x, np.ones((1, 4))])", "np.concatenate([x, x], axis=None)",
    "np.einsum('ij,kj->ik', x, d)", "np.dot(x, y)", "np.dot(x, 2.0)", "np.dot(y, y)", "np.dot(2, x)",
    "np.inner(x, y)", "np.outer(y, y)", "np.tensordot(x, d, 2)", "np.matmul(x, x.T)",
    "np.linalg.inv(x @ x.T + np.eye(3))", "np.kron(y, y)", "np.clip(x, -1, 1)", "np.clip(x, None, y)",
    "np.nan_to_num(x)", "np.round(x, 1)", "np.diff(x)", "np.cross(x[:, :3], x[:, 1:])", "np.interp(y, y, y)",
    "np.searchsorted(np.sort(y), y)", "np.histogram(y, [0, 1, 2])[0]", "np.select([x > 1, x > 0], [x, d], 5)",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_recorded_as_numpy_computes_it(expression):
    assert_recorded(statements(f"r = {expression}"))


# ---- writes, and views

STATEMENTS = [
    # a view sees what is written to its base, and the other way round
    ("v = x[0]", "x += 1", "r = v * 2"),
    ("v = x[0]", "v += 1", "r = x * 2"),
    ("v = x.T", "v[1] = 7", "r = x * 2"),
    ("v = np.reshape(x, -1)", "v[3:7] = 0", "r = x + v[0]"),
    ("v = np.reshape(x.T, -1)", "v[3:7] = 0", "r = (x, v)"),  # a copy
    ("v = x[1:, ::2]", "w = v.T[1]", "w *= 3", "x[2] = 1", "r = (w, v, x)"),
    ("v = x.view(np.int32)", "v &= 0x7fffffff", "r = x"),
    ("v = np.broadcast_to(y, (3, 4))", "y *= 2", "r = v + x"),
    ("v = x[None, :, 0]", "v[...] = 5", "r = x"),
    ("v = x[0, 0]", "x[0, 0] = 9", "r = v + x[0]"),  # a scalar, no view
    ("v = x[0, 0, ...]", "x[0, 0] = 9", "r = v + x[0]"),
    ("v = np.flip(x, 0)", "v[0] = 1", "r = x + v"),
    ("v = np.squeeze(x[None])", "np.copyto(v, 3)", "r = x"),
    ("v = np.atleast_2d(y)", "v[0, 1] = 3", "r = y"),
    ("v = np.copy(x)", "v += 1", "r = (x, v)"),
    ("v = x[np.array(1)]", "x += 1", "r = v * 2"),
    ("v = x.astype(np.float64)", "x += 1", "r = v"),
    ("v = np.asarray(x, like=x)", "v += 1", "r = x"),
    ("v = x.astype(np.float32)", "v += 1", "r = x"),
    ("z = x * 1", "v = z[1]", "z *= 2", "v += 1", "r = (z, v)"),
    # layouts survive a write: they decide in which order NumPy adds
    ("z = np.copy(x.T)", "z[...] = np.ones((4, 3)) / 3", "r = (z, np.add.reduce(z, axis=None))"),
    ("np.copyto(x.T, np.copy(x.T, order='C'))", "r = np.add.reduce(x, axis=None)"),
    ("v = d.T", "np.add(v, np.copy(v, order='C'), out=v)", "r = np.add.reduce(d, axis=None)"),
    # out=
    ("np.add(x, y, out=x)", "r = x * 2"),
    ("r = np.multiply(x, 2, out=x)",),
    ("r = np.add(x, d, out=d)",),
    ("r = np.add(x, d, out=x)",),
    ("np.add(y, 1, out=x)", "r = np.add.reduce(x, 0)"),
    ("np.add.reduce(x, axis=0, out=y)", "r = y * 2"),
    ("np.add.reduce(d, axis=0, out=y)", "r = y"),
    ("np.matmul(x, x.T, out=d[:, :3])", "r = d"),
    ("np.maximum(x, 0, out=x[:])", "r = x"),
    ("s = np.empty((3, 4), np.float32)", "np.multiply(x, 2, out=s)", "r = np.add(s, y)"),
    ("s = np.empty((3, 4), np.float32)", "t = np.multiply(x, 2, out=s)", "np.add(t, 1, out=s)", "r = (s * x, t * x)"),
    ("s = np.empty(12, np.float32)", "np.multiply(x, 2, out=s.reshape(3, 4))", "r = s.reshape(3, 4) + x"),
    ("s = np.empty((3, 4))", "np.add(x, y, out=s)", "r = x + s"),
    ("s = np.ones((3, 4), np.float32)", "np.add(y, 1, out=s)", "s2 = s * x", "r = s2"),
    # copyto
    ("np.copyto(x, 1)", "r = x"),
    ("np.copyto(x, 0.1, where=m)", "r = x"),
    ("np.copyto(x, d, where=m)", "r = x"),
    ("np.copyto(x, y)", "r = x"),
    ("np.copyto(x, y[0], where=m[0])", "r = x"),
    ("np.copyto(x, n)", "r = x"),
    ("np.copyto(n, x, casting='unsafe', where=x > 0)", "r = n"),
    ("np.copyto(x, d, where=np.array([True, False, True, True]))", "r = x"),
    # add.at
    ("np.add.at(y, i, 1)", "r = y"),
    ("np.add.at(x, (i, i), d[0, :3])", "r = x"),
    ("np.add.at(x, (slice(1, None), [0, 0]), 0.5)", "r = x"),
    ("v = x.T", "np.add.at(v, i, 1.0)", "r = x"),
    ("np.add.at(x, m, 2)", "r = x"),
    ("np.add.at(np.reshape(y[:1], ()), (), 2)", "r = y"),
    # setitem
    ("x[0] = 1", "r = x"),
    ("x[1:, ::2] = d[1:, ::2]", "r = x"),
    ("x[...] = y", "r = x"),
    ("x[i] = 3", "r = x"),
    ("x[i, [0, 1, 2]] = y[:3]", "r = x"),
    ("x[m] = 0.5", "r = x"),
    ("x[x > 0] = np.float64(0.1)", "r = x"),
    ("x[:, 0] = x[:, 1]", "r = x"),
    ("x[1:] = x[:-1]", "r = x"),
    ("x.T[0] += y[0]", "r = x"),
    ("x[i] += 1", "r = x"),
    ("x[0, 0] = x[1, 1]", "r = x"),
    ("n[0] = 2.7", "r = n"),
    ("x[:] = [1, 2, 3, 4]", "r = x"),
    ("m[0] = x[0] > 0", "r = m"),
    ("y += y[::-1]", "r = y"),
    ("x -= x[0]", "r = x"),
    ("x @= np.eye(4, dtype=np.float32)", "r = x"),
    ("n += True", "r = n"),
    ("rows = [row * 2 for row in x]", "r = (rows[0], rows[2])"),
    ("a, b, c = x", "b += 1", "r = x + c"),
]


@pytest.mark.parametrize("lines", STATEMENTS, ids="; ".join)
def test_statements_are_recorded_as_numpy_runs_them(lines):
    assert_recorded(statements(*lines))


# ---- what is not recorded, and why

PROBLEMS = {
    "np.nonzero(x)": "depends on the elements",
    "np.unique(n)": "depends on the elements",
    "np.where(x > 0)": "depends on the elements",
    "np.repeat(y, n[0])": "depends on the elements",
    "np.bincount(n[0])": "depends on the elements",
    "x[m]": "depends on the elements",
    "x[x > 0]": "depends on the elements",
    "n // n": "raises for a zero",
    "n % n": "raises for a zero",
    "np.maximum.at(x, 0, 1)": "np.maximum.at",
    "np.add.at(np.zeros(3), i, 1.0)": "np.add.at",
    "np.add(x, 1, out=x, where=m)": "out= or where=",
    "np.modf(x, out=(x, d))": "out= or where=",
    "np.array_equal(x, d)": "Python value",
    "np.allclose(x, d)": "Python value",
    "np.copyto(np.zeros(4), y)": "copied into a NumPy array",
    "np.add.reduce(x, initial=y[0])": "is a tensor or a hyperparameter",
    "x + [x[0, 0]]": "plain array",
    "np.zeros(n[0, 0], like=x)": "Python number",
    "np.reshape(x[:1], (n[0, 0] * 0 + 2, -1))": "Python number",
    "x[n[0, 0] * 0:]": "Python number",
    "x.sum()": ".sum looks at the elements",
    "x.item(0)": ".item looks at the elements",
    "x.tolist()": ".tolist looks at the elements",
    "float(x[0, 0])": "Python number",
    "int(n[0, 0])": "Python number",
    "bool(x[0, 0] > 0)": "branches on the value",
    "3.0 in x": "branches on the value",
    "np.asarray(x)": "plain array",
    "np.array([x, x])": "plain array",
    "list(range(n[0, 0]))": "Python number",
    "f'{x[0]}'": "text",
    "'%r' % (x,)": "text",
    "memoryview(np.asarray(x)).nbytes": "plain array",
}


@pytest.mark.parametrize("expression", PROBLEMS)
def test_what_cannot_be_recorded_gives_the_right_value_and_a_reason(expression):
    function = statements(f"r = {expression}")
    found, same = Recorded(function), examples(0)
    with np.errstate(all="ignore"):
        expected = function(*same)
    assert PROBLEMS[expression] in found.recorder.problems[0]
    for ours, theirs in zip(leaves(found.result), leaves(expected), strict=True):
        ours = ours.array if isinstance(ours, Recording) else ours
        np.testing.assert_array_equal(ours, theirs, strict=isinstance(theirs, np.ndarray))
    assert_bitwise_equal(found.arrays, same)


UNFOLLOWED = [
    ("v = np.diagonal(x)", "x[0, 0] = 1", "r = v * 2"),
    ("v = np.split(x, 2, axis=1)[0]", "v += 1", "r = x * 2"),
    ("v = np.ravel(x.T, 'K')", "v[0] = 1", "r = x"),
]


@pytest.mark.parametrize("lines", UNFOLLOWED, ids="; ".join)
def test_a_write_that_an_unfollowed_view_would_see_is_a_problem(lines):
    found, same = Recorded(statements(*lines)), examples(0)
    expected = run(statements(*lines), same)
    assert "memory is changed that the result of a NumPy function looks at" in found.recorder.problems[0]
    assert_bitwise_equal([recording.array for recording in found.results], expected)


def test_a_write_after_an_unfollowed_view_is_gone_is_recorded():
    assert_recorded(statements("r = np.diagonal(x) * 2", "x += 1"))


SCRATCH = [
    (
        "s = np.empty(12, np.float32)",
        "a = np.multiply(x, 2, out=s.reshape(3, 4))",
        "np.multiply(y, 3, out=s[:4])",
        "r = a + 1",
    ),
    ("s = np.empty(12, np.float32)", "np.multiply(x, 2, out=s.reshape(3, 4))", "r = s * y[0]"),
]


@pytest.mark.parametrize("lines", SCRATCH, ids="; ".join)
def test_scratch_memory_that_is_read_as_something_else_is_a_problem(lines):
    found, same = Recorded(statements(*lines)), examples(0)
    assert any("NumPy memory" in problem for problem in found.recorder.problems)
    assert_bitwise_equal([recording.array for recording in found.results], run(statements(*lines), same))


# ---- tensors


def looked_at(escape):
    """A step with a look at the elements of a tensor in its third line."""

    def step(x):
        y = x * 2
        found = escape(y)
        return found, y

    return step


ESCAPES = {
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "bool": lambda x: bool(x[0, 0] > 0),
    "if": lambda x: 1 if x[0, 0] > 0 else 2,
    "item": lambda x: x[0, 0].item(),
    "tolist": lambda x: x.tolist(),
    "np.asarray": np.asarray,
    "np.array of tensors": lambda x: np.array([x[0].tolist(), x[1].tolist()]),
    "format": lambda x: f"{x[0, 0]:.3f}",
    "str": str,
    "repr": repr,
    "index": lambda x: list(range(4))[(x[0, 0] > 0).to(tl.int64)],
    "max of Python": lambda x: max(x[0, 0], x[0, 1]).item(),
    "sum of numbers": lambda x: sum(row[0].item() for row in x),
    "numpy() and methods": lambda x: x.numpy().sum(),
    "numpy() to a list": lambda x: x.numpy().tolist(),
    "a mask": lambda x: x[x > 0].tolist(),
    "all": lambda x: bool((x > -10).all()),
    "allclose": lambda x: tl.allclose(x, x),
    "equal": lambda x: tl.equal(x, x),
    "membership": lambda x: 3.0 in x,
}


@pytest.mark.parametrize("name", ESCAPES)
def test_what_escapes_from_a_tensor_has_the_right_value_and_is_told_with_its_line(name):
    step = looked_at(ESCAPES[name])
    x = tl.tensor(examples(0)[0])
    expected, _ = step(x)
    found = record(step, x)
    np.testing.assert_array_equal(found.result[0], expected)
    assert type(found.result[0]) is type(expected)
    assert found.problems
    file, line = __file__, inspect.getsourcelines(looked_at)[1] + 5
    own = inspect.getsourcelines(ESCAPES[name])[1] if name not in ("np.asarray", "str", "repr") else line
    assert f"in {file}:{own}: " in found.problems[0]


def test_rows_of_a_tensor_are_recorded():
    x, y = tl.tensor(examples(0)[0]), tl.tensor(examples(1)[0])

    def step(x):
        first, *rest = x
        return first * 2, sum(rest)

    found = record(step, x)
    assert found.problems == []
    replayed = evaluate(found.program, [y._array])
    assert_bitwise_equal(replayed.outputs, [t._array for t in step(y)])


# ---- when recordings do not record


def test_recordings_of_a_closed_recorder_just_compute():
    recorder, (x, *_) = Recorder(), examples(0)
    recording = recorder.input(x, 0)
    recorder.close()
    position = recorder.position
    results = [
        recording + 1,
        np.add.reduce(recording),
        recording[0],
        np.reshape(recording, -1),
        recording.T,
        recording.copy(),
        recording.astype(np.float64),
        recording.view(np.int32),
        np.modf(recording)[0],
        np.zeros_like(recording),
        np.array(recording),
    ]
    assert [type(result) for result in results] == [np.ndarray] * len(results)
    recording[0] = 5
    recording += 1
    np.copyto(recording, 2, where=np.eye(3, 4) > 0)
    np.add.at(recording, 0, 1)
    assert (x[0].tolist(), x[1, 0], float(recording[1, 1])) == ([3.0, 7.0, 7.0, 7.0], x[1, 0], 2.0)
    assert (recorder.position, recorder.problems) == (position, [])


def test_what_another_thread_does_is_not_recorded():
    recorder, (x, *_) = Recorder(), examples(0)
    recording = recorder.input(x, 0)
    position, results = recorder.position, []

    def work():
        results.extend([recording * 2, float(recording[0, 0]), recording.sum()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0], x * 2)
    assert results[1:] == [float(x[0, 0]), x.sum()]
    assert (recorder.position, recorder.problems) == (position, [])
    assert isinstance(recording * 2, Recording)
    recorder.close()


def test_a_recording_of_a_closed_recorder_is_a_constant_for_the_next():
    (x, y, *_), old, new = examples(0), Recorder(), Recorder()
    left = old.input(y, 0)
    old.close()
    result = new.input(x, 0) + left
    assert result.recorder is new
    assert [value.op for value in result.value.inputs] == ["input", "constant"]
    result = left + new.input(x, 0)
    assert [value.op for value in result.value.inputs] == ["constant", "input"]
    np.testing.assert_array_equal(result.array, x + y)


def test_random_numbers_are_drawn_anew():
    def step(x):
        return x + tl.rand(3, 4), tl.randn(2), tl.randperm(5)

    x = tl.zeros(3, 4)
    tl.manual_seed(1)
    found = record(step, x)
    assert found.problems == []
    tl.manual_seed(2)
    replayed = evaluate(found.program, [x._array])
    tl.manual_seed(2)
    assert_bitwise_equal(replayed.outputs, [t._array for t in step(x)])


def test_a_tensor_of_constants_is_a_constant():
    def step(x):
        return x + tl.tensor([1.0, 2.0]), tl.arange(3), tl.ones(2)

    found = record(step, tl.zeros(2))
    assert found.problems == []
    assert_bitwise_equal(
        evaluate(found.program, [np.ones(2, np.float32)]).outputs,
        [t._array for t in step(wrap(np.ones(2, np.float32)))],
    )


# ---- numbers

ARITHMETIC = [
    "n + 1", "1 + n", "n - m", "2 - n", "n * 3.5", "-n", "n / m", "1 / n", "n ** 2", "2 ** n", "n ** 0.5", "n % 0.03",
    "1 % n", "(1 - n * m) ** 3 / (1 - m ** 7)", "n * float('inf')", "n - float('inf')", "n * True", "+n",
]  # fmt: skip
FINDINGS = [
    "n < m", "n <= 0.1", "n > 0", "n >= m", "n == 0.1", "n != 0", "bool(n)", "int(n)", "float(n)", "not n", "max(n, m)",
    "min(n, 0)", "abs(n)", "n // 0.03", "round(n, 1)", "divmod(n, 0.03)", "str(n)", "f'{n:.2f}'", "1 if n else 2",
    "n * np.float64(2)", "np.float64(2) * n", "np.sqrt(n)", "np.ones(2) * n", "np.asarray(n, np.float32)", "n * 1j",
    "math.floor(n)", "math.ceil(n)", "math.trunc(n)", "n.is_integer()", "repr(n)", "tl.tensor(n)", "1.5 // n",
]  # fmt: skip


@pytest.mark.parametrize("expression", ARITHMETIC)
def test_arithmetic_of_hyperparameters_is_that_of_floats(expression):
    conditions = {}
    lifted = {name: Number.named(value, name, conditions) for name, value in (("n", 0.1), ("m", 0.75))}
    result = eval(expression, dict(lifted))
    assert isinstance(result, Number)
    for values in ({"n": 0.1, "m": 0.75}, {"n": 0.3, "m": -0.2}):
        assert eval(result.source, dict(values)) == eval(expression, dict(values))
    assert result.pinned == eval(expression, {"n": 0.1, "m": 0.75})
    assert conditions == {}


@pytest.mark.parametrize("expression", FINDINGS)
def test_what_is_found_out_about_a_hyperparameter_is_a_condition(expression):
    conditions, names = {}, {"np": np, "math": math, "tl": tl}
    lifted = {name: Number.named(value, name, conditions) for name, value in (("n", 0.1), ("m", 0.75))}
    values = {"n": 0.1, "m": 0.75}
    result, expected = eval(expression, names | lifted), eval(expression, names | values)
    np.testing.assert_array_equal(result, expected)
    assert conditions
    assert all(eval(condition, dict(values)) == found for condition, found in conditions.items())
    others = [{"n": n, "m": -7.25} for n in (-2.5, 0.0, 0.3)]
    assert any(eval(condition, dict(v)) != found for condition, found in conditions.items() for v in others)
