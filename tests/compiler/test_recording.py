"""Recording arrays: what NumPy would do happens, and the program that is written down does it again on other values."""

import inspect
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
        assert value.order == array.strides or array.size < 2
    others = examples(1)
    replayed = evaluate(found.program, others)
    assert_bitwise_equal(replayed.outputs, map(np.asarray, run(function, others)))
    for place, (given, changed) in enumerate(zip(examples(1), others, strict=True)):
        assert_bitwise_equal([replayed.writes.get(place, given)], [changed])
    return found


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
    "x + y", "x - 1", "2 - x", "x * 0.1", "0.1 * n", "n + 1", "n / 2", "x / 3", "1 / x", "-x", "abs(x)", "+x", "x ** 2",
    "x ** 0.5", "2.0 ** x", "x > 0", "x == x", "x != 1", "0 < x", "~m", "m & m", "m | True", "m ^ m", "m + m", "m * 2",
    "m * 1.5", "True + x", "x @ x.T", "x @ y", "y @ y", "d @ x.T", "n << 1", "n & 3", "x.T @ d",
    # NumPy's own scalars and 0-d arrays are not weak
    "x * np.float64(0.1)", "np.float64(0.1) * x", "x * np.float32(0.1)", "n + np.int64(1)", "x + np.array(2.0)",
    "np.float32(2) * n", "x[0, 0] * np.float64(2)", "x * np.True_", "x * np.ones(4)", "np.arange(4.0) - x",
    # mixed dtypes
    "x + d", "x * n", "x + m", "n * m", "d - n", "np.where(m, x, d)", "np.where(m, 1.0, x)", "np.where(m, x, 0)",
    "np.where(m, 1, 2)", "np.where(m, n, 0.5)", "np.maximum(x, 0)", "np.maximum(n, 0.5)", "np.greater(x, np.inf)",
    "np.add(x, y, dtype=np.float64)", "np.add(n, n, dtype=np.float32)", "np.multiply(n, 0.1, dtype=np.float32)",
    "np.divide(n, 3, dtype=np.float64)", "np.subtract(d, 1, dtype='f4', casting='same_kind')",
    "np.less(x, y, dtype=np.float64)", "np.sqrt(n)", "np.exp(m)", "np.isnan(x)", "np.signbit(x)", "np.sign(x)",
    "np.add(x, y, out=None)", "np.ldexp(x, n)", "np.float_power(x, 2)", "np.logaddexp(x, d)", "np.arctan2(x, y)",
    # reductions, with every form of axis
    "np.add.reduce(x)", "np.add.reduce(x, 1)", "np.add.reduce(x, axis=None)", "np.add.reduce(x, axis=-1, keepdims=True)",
    "np.add.reduce(x, axis=(0, 1))", "np.add.reduce(x, axis=())", "np.add.reduce(x, axis=(-1, 0))", "np.sum(x)",
    "np.sum(x, 0)", "np.sum(x, axis=(1,), keepdims=True)", "np.sum(n, dtype=np.float32)", "np.sum(n)", "np.sum(m)",
    "np.sum(m, axis=0)", "np.add.reduce(x, 0, np.float64)", "np.add.reduce(x, 0, None, None, True)",
    "np.sum(x, initial=3.0)", "np.sum(x, where=m)", "np.sum(x, axis=np.int64(1))", "np.mean(x)", "np.mean(x, axis=0)",
    "np.mean(n, axis=1, keepdims=True)", "np.max(x)", "np.max(x, axis=1)", "np.min(x, axis=(0, 1), keepdims=True)",
    "np.maximum.reduce(x, axis=1, initial=-np.inf)", "np.minimum.reduce(x, axis=0)", "np.prod(x, axis=1)",
    "np.multiply.reduce(n, axis=1)", "np.logical_and.reduce(m, axis=0)", "np.any(m, axis=1)", "np.all(m)", "np.var(x)",
    "np.std(x, axis=0, ddof=1)", "np.argmax(x, axis=1)", "np.argmin(x)", "np.count_nonzero(m, axis=0)",
    "np.add.accumulate(x)", "np.cumsum(x, axis=1)", "np.cumprod(x, axis=0)", "np.add.outer(y, y)",
    "np.add.reduceat(y, [0, 2])", "np.add.reduce(x.T, axis=0)", "np.add.reduce(x[::-2, 1:], axis=1)", "np.ptp(x, 0)",
    "np.add.reduce(np.zeros((0, 3)) + y[0], axis=0)", "np.linalg.norm(x)", "np.trace(x)", "np.vdot(y, y)",
    # several results
    "np.modf(x)", "np.frexp(x)", "np.divmod(x, 0.7)", "divmod(x, y)", "np.modf(x)[0] + np.modf(x)[1]",
    "np.split(x, 2, axis=1)", "np.unstack(x)" if hasattr(np, "unstack") else "np.split(x, 3)", "np.meshgrid(y, y)",
    "np.linalg.qr(d)", "np.average(x, axis=0, returned=True)", "np.broadcast_arrays(x, y)",
    # views and shapes
    "x.T", "x.mT", "x[0]", "x[0, 0]", "x[..., 0]", "x[None, :, 1:3]", "x[::-1, ::2]", "x[1:1]", "np.reshape(x, (4, 3))",
    "np.reshape(x, -1)", "np.reshape(x.T, -1)", "np.ravel(x)", "np.ravel(x.T)", "np.ravel(x, 'F')",
    "np.reshape(x, (2, 6), order='F')", "np.reshape(x.T, (2, 6), order='F')", "np.transpose(x)",
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
    "np.array([1.5, 2], np.float32, like=x)", "np.ascontiguousarray(x, like=x)", "np.ascontiguousarray(x.T, like=x)",
    "np.ascontiguousarray(x.T, np.float64, like=x)", "np.ascontiguousarray(x[0, 0], like=x)", "np.zeros_like(x)",
    "np.ones_like(x, dtype=np.int64)", "np.full_like(x, 2)", "np.zeros((2, 2), like=x)", "np.ones(3, np.float32, like=x)",
    "np.full((2, 2), 7.0, like=x)", "np.arange(3, like=x)", "np.eye(2, like=x)", "np.full_like(x, x[0, 0])",
    "np.full((2,), x[0, 0], like=x)", "np.asarray([x[0, 0], 1.0], like=x)", "np.array([x[0], x[1]], like=x)",
    # index arrays and masks
    "x[i]", "x[i, i]", "x[:, [0, 2]]", "x[i, 1:]", "x[[0, 1], ..., None]", "x[np.array([0, 1])]", "x[np.int64(1)]",
    "x[None, i]", "np.take(y, i)", "np.take(x, i, axis=0)", "np.take_along_axis(x, n % 3, 0)" if False else "y[i]",
    "np.ravel_multi_index((i % 3 + 1,), (5,))" if False else "np.ravel_multi_index((n,), (9,))",
    "np.ravel_multi_index((n, n), (9, 9))", "x[np.argsort(y)[:3]]", "np.choose(n % 2, [x, d])" if False else "np.sort(x)",
    # joined
    "np.concatenate([x, d])", "np.concatenate((x, x), axis=1)", "np.stack([y, y])", "np.hstack([x, x])", "np.vstack([x, y])",
    "np.concatenate([x, np.ones((1, 4))])", "np.concatenate([x, x], axis=None)", "np.einsum('ij,kj->ik', x, d)",
    "np.dot(x, y)", "np.dot(x, 2.0)", "np.dot(y, y)", "np.dot(2, x)", "np.inner(x, y)", "np.outer(y, y)",
    "np.tensordot(x, d, 2)", "np.matmul(x, x.T)", "np.linalg.inv(x @ x.T + np.eye(3))", "np.vecdot(x, x)" if False else "np.kron(y, y)",
    "np.clip(x, -1, 1)", "np.clip(x, None, y)", "np.nan_to_num(x)", "np.round(x, 1)", "np.diff(x)", "np.cross(x[:, :3], x[:, 1:])",
    "np.interp(y, y, y)", "np.searchsorted(np.sort(y), y)", "np.histogram(y, [0, 1, 2])[0]", "np.bincount(i + 3, minlength=7)",
    "np.piecewise(y, [y > 1], [1, 2])" if False else "np.select([x > 1, x > 0], [x, d], 5)",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_recorded_as_numpy_computes_it(expression):
    assert_recorded(statements(f"r = {expression}"))
