"""Samples of every primitive: inputs, parameters, and the same computation in plain NumPy.

``SAMPLES`` holds them by the primitive's name, ``NUMPY_CALLS`` the ways to call what NumPy functions
run otherwise. ``test_registry.py`` checks each sample, and that nothing registered goes without.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.ops.indexing import parse_key

random = np.random.default_rng(7)


class Sample(NamedTuple):
    """One call of a primitive: ``primitive(*inputs, **params)``."""

    reference: Callable[..., Any]  # called like the primitive
    inputs: tuple[Any, ...]
    params: dict[str, Any]


# ---- numbers, at a distance from where a derivative jumps


def uniform(low, high, shape):
    return np.asarray(random.uniform(low, high, shape))


def integers(low, high, shape):
    return np.asarray(random.integers(low, high, shape))


def real(*shape):
    return uniform(-2.0, 2.0, shape)


def positive(*shape):
    return uniform(0.5, 2.0, shape)


def nonzero(*shape):
    return np.asarray(positive(*shape) * random.choice([-1, 1], shape))


def fractional(*shape):
    """Away from integers and halves."""
    return np.asarray(integers(-2, 2, shape) + uniform(0.1, 0.4, shape))


def fractional_above_half(*shape):
    """Away from integers, halves, and what ``fractional`` gives."""
    return np.asarray(fractional(*shape) + 0.5)


def distinct(*shape):
    """Without ties."""
    ranks = np.reshape(random.permutation(math.prod(shape)), shape)
    return np.asarray(ranks / 4 + uniform(0.0, 0.1, shape))


def probability(*shape):
    return uniform(0.35, 0.65, shape)


def above_one(*shape):
    return uniform(1.5, 3.0, shape)


def with_specials(*shape):
    """Numbers, the last of them nan, inf and -inf."""
    x = real(*shape)
    np.ravel(x)[-3:] = [np.nan, np.inf, -np.inf][: x.size]
    return x


def whole(*shape):
    return integers(-3, 4, shape)


def boolean(*shape):
    return integers(0, 2, shape).astype(np.bool_)


# ---- shapes


SHAPES = [(), (3,), (2, 3), (0, 3)]
BROADCAST = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((4, 1, 3), (2, 1)),
    ((), (2, 3)),
    ((0, 3), (1, 3)),
]
AXES = [((2, 3), None), ((2, 3), 0), ((4, 3, 2), -1), ((4, 3, 2), (0, 2)), ((3,), 0), ((), None)]


def unary(reference, draw=real, **params):
    inputs = [draw(*shape) for shape in SHAPES] + [draw(4, 3).T, draw(6)[::-2]]
    return [Sample(reference, (x,), params) for x in inputs]


def binary(reference, left=real, right=real):
    return [Sample(reference, (left(*a), right(*b)), {}) for a, b in BROADCAST]


def reduction(reference, draw=real):
    return [
        Sample(reference, (draw(*shape),), {"axis": axis, "keepdims": keepdims})
        for shape, axis in AXES
        for keepdims in (False, True)
    ]


def along_one_axis(reference, draw=real, **params):
    return [Sample(reference, (draw(*s),), {"axis": a, **params}) for s, a in AXES if not isinstance(a, tuple)]


# ---- indexing


def indexed(reference, x, key, *others):
    """A sample whose parameter ``key`` is an index expression; its index arrays become inputs."""
    parts, indices = parse_key(key)
    return Sample(reference(key), (x, *others, *(index.numpy() for index in indices)), {"key": parts})


def taken(key):
    return lambda x, *indices, **params: x[key]


def scattered(key):
    def reference(x, *indices, shape, **params):
        size = math.prod(shape)
        places = np.ravel(np.arange(size).reshape(shape)[key])
        return np.bincount(places, np.ravel(x), size).reshape(shape).astype(np.float64)

    return reference


def replaced(key):
    def reference(x, values, *indices, **params):
        chosen = np.zeros(x.shape, np.bool_)
        chosen[key] = True
        spread = np.zeros(x.shape)
        spread[key] = values
        return np.where(chosen, spread, x)

    return reference


def adjoint(shape, key):
    """The sample of adding back what ``x[key]`` reads of an ``x`` of this shape."""
    sample = indexed(scattered, real(*np.zeros(shape)[key].shape), key)
    return sample._replace(params={**sample.params, "shape": shape})


SLICES = [
    ((4,), (slice(1, 3), ...)),
    ((4, 3), (slice(None, None, -2), 1, ...)),
    ((2, 3), (..., None, 0)),
    ((4, 3), (2, -1, ...)),
    ((3,), (slice(3, None), ...)),
]
ARRAYS = [
    ((4,), np.array([0, 2, 0, -1])),
    ((4, 3), (np.array([[0], [3]]), np.array([0, 2]))),
    ((4, 3), (slice(1, None), np.array([1, 1]))),
    ((2, 4, 3), (np.array([0, 0]), slice(None), np.array([1, 2]))),
    ((2, 3), np.array([[True, False, True], [False, False, True]])),
    ((3,), np.array([], np.int64)),
]
PLACES = [
    ((4,), slice(1, 3), (2,)),
    ((4, 3), (2, ...), ()),
    ((4, 3), (slice(None), np.array([0, 2])), (2,)),
    ((2, 3), np.array([[True, False, True], [False, False, True]]), (3,)),
]


ALONG = [((4, 3), (4, 2), 1), ((4, 3), (5, 3), 0), ((3,), (4,), 0), ((2, 3, 2), (2, 1, 2), 1)]


def added_along(x, index, *, axis, shape):
    out = np.zeros(shape)
    for place in np.ndindex(index.shape):
        out[(*place[:axis], index[place], *place[axis + 1 :])] += x[place]
    return out


# ---- formulas that NumPy has no function for


def affine(x, weight, bias):
    return np.einsum("...k,nk->...n", x, weight) + (0 if bias is None else bias)


def softmax(x, *, axis):
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def logsumexp(x, *, axis, keepdims):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def cross_entropy(x, target, *, reduction):
    losses = np.asarray([-np.log(row[k] / np.sum(row)) for row, k in zip(np.exp(x), target, strict=True)])
    return reduced(losses, reduction)


def reduced(losses, reduction):
    return losses if reduction == "none" else np.mean(losses) if reduction == "mean" else np.sum(losses)


def binary_cross_entropy(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def logistic_loss(z, y, *, reduction):
    return reduced(np.log(1 + np.exp(z)) - y * z, reduction)


SAMPLES: dict[str, list[Sample]] = {
    # arithmetic
    "add": binary(np.add),
    "sub": binary(np.subtract),
    "mul": binary(np.multiply),
    "div": binary(np.divide, real, nonzero),
    "floor_divide": binary(np.floor_divide, real, fractional),
    "remainder": [
        Sample(np.remainder, (sign * uniform(2.2, 2.8, a), uniform(1.0, 1.05, b)), {})
        for sign in (1, -1)
        for a, b in BROADCAST
    ],
    "fmod": [
        Sample(np.fmod, (sign * uniform(2.2, 2.8, a), uniform(1.0, 1.05, b)), {})
        for sign in (1, -1)
        for a, b in BROADCAST
    ],
    "neg": unary(np.negative),
    "clone": unary(np.positive),
    "_power": [
        *binary(np.power, positive, real),
        Sample(np.power, (nonzero(2, 4), np.array([-2, 0, 1, 3])), {}),
    ],
    "square": unary(np.square),
    "sqrt": unary(np.sqrt, positive),
    "_root_of_variance": unary(lambda x: np.sqrt(x), positive),
    "reciprocal": unary(np.reciprocal, nonzero),
    # exponentials, trigonometry, activations
    "exp": unary(np.exp),
    "expm1": unary(np.expm1),
    "log": unary(np.log, positive),
    "log1p": unary(np.log1p, positive),
    "sin": unary(np.sin),
    "cos": unary(np.cos),
    "tanh": unary(np.tanh),
    "exp2": unary(np.exp2),
    "log2": unary(np.log2, positive),
    "log10": unary(np.log10, positive),
    "logaddexp": binary(np.logaddexp),
    "logaddexp2": binary(np.logaddexp2),
    "_cbrt": unary(np.cbrt, nonzero),
    "tan": unary(np.tan, probability),
    "asin": unary(np.arcsin, probability),
    "acos": unary(np.arccos, probability),
    "atan": unary(np.arctan),
    "atan2": binary(np.arctan2, nonzero, nonzero),
    "hypot": binary(np.hypot, nonzero, nonzero),
    "deg2rad": unary(np.deg2rad),
    "rad2deg": unary(np.rad2deg),
    "sinc": unary(np.sinc, nonzero),
    "sinh": unary(np.sinh),
    "cosh": unary(np.cosh),
    "asinh": unary(np.arcsinh),
    "acosh": unary(np.arccosh, above_one),
    "atanh": unary(np.arctanh, probability),
    "sigmoid": unary(lambda x: np.exp(x) / (1 + np.exp(x))),
    "relu": unary(lambda x: x * (x > 0), fractional),
    "softplus": unary(lambda x: np.log(1 + np.exp(x))),
    # pieces
    "abs": unary(np.absolute, fractional),
    "maximum": binary(np.maximum, fractional, fractional_above_half),
    "minimum": binary(np.minimum, fractional, fractional_above_half),
    "fmax": binary(np.fmax, fractional, fractional_above_half),
    "fmin": binary(np.fmin, fractional, fractional_above_half),
    "copysign": binary(np.copysign, nonzero, nonzero),
    "_nan_to_num": [
        Sample(
            lambda x, *, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
            (draw(4),),
            {"nan": 0.5, "posinf": 7.0, "neginf": -7.0},
        )
        for draw in (real, with_specials)
    ],
    "_gated": [
        Sample(lambda x, gate: np.where(gate, x, 0), (real(*shape), boolean(*shape)), {})
        for shape in [(), (3,), (2, 3), (0, 3)]
    ],
    "_where": [
        Sample(np.where, (boolean(*c), real(*a), real(*b)), {})
        for c, (a, b) in zip([(), (3,), (2, 1), (2, 3), (3,), (3,), (3,)], BROADCAST, strict=True)
    ],
    "_clip": [
        sample
        for low, high in [(-1, 1), (None, 0.5), (-0.5, None)]
        for sample in unary(lambda x, *, min, max: np.clip(x, min, max), fractional, min=low, max=high)
    ],
    "sign": unary(np.sign, fractional),
    "floor": unary(np.floor, fractional),
    "ceil": unary(np.ceil, fractional),
    "round": unary(np.rint, fractional),
    "trunc": unary(np.trunc, fractional),
    # comparison and logic
    "eq": binary(np.equal, whole, whole),
    "ne": binary(np.not_equal, whole, whole),
    "lt": binary(np.less, whole, whole),
    "le": binary(np.less_equal, whole, whole),
    "gt": binary(np.greater, whole, whole),
    "ge": binary(np.greater_equal, whole, whole),
    "logical_and": binary(np.logical_and, boolean, boolean),
    "logical_or": binary(np.logical_or, boolean, boolean),
    "logical_xor": binary(np.logical_xor, boolean, boolean),
    "logical_not": unary(np.logical_not, boolean),
    "bitwise_and": binary(np.bitwise_and, whole, whole),
    "bitwise_or": binary(np.bitwise_or, whole, whole),
    "bitwise_xor": binary(np.bitwise_xor, boolean, boolean),
    "bitwise_not": unary(np.invert, boolean) + unary(np.invert, whole),
    "isnan": [Sample(np.isnan, (np.array([1.0, np.nan, np.inf]),), {})],
    "isinf": [Sample(np.isinf, (np.array([1.0, np.nan, -np.inf]),), {})],
    "isfinite": [Sample(np.isfinite, (np.array([1.0, np.nan, np.inf]),), {})],
    # reductions
    "_sum": [*reduction(np.sum), *(Sample(np.sum, (real(0, 3),), {"axis": axis}) for axis in (0, 1, ()))],
    "_mean": [*reduction(np.mean), Sample(np.mean, (real(0, 3),), {"axis": 1})],
    "_amax": [*reduction(np.max, distinct), Sample(np.amax, (distinct(2, 3),), {"axis": (0, -1)})],
    "_amin": [*reduction(np.min, distinct), Sample(np.amin, (distinct(2, 3),), {"axis": (0, -1)})],
    "_argmax": along_one_axis(np.argmax, keepdims=True),
    "_argmin": along_one_axis(np.argmin, keepdims=False),
    "_any": reduction(np.any, boolean),
    "_all": reduction(np.all, boolean),
    # softmax and its relatives
    "_softmax": along_one_axis(softmax),
    "_log_softmax": along_one_axis(lambda x, *, axis: np.log(softmax(x, axis=axis))),
    "_logsumexp": reduction(logsumexp),
    # losses
    "_cross_entropy": [
        Sample(cross_entropy, (real(4, 3), np.array([2, 0, 0, 1])), {"reduction": reduction})
        for reduction in ("none", "mean", "sum")
    ],
    "binary_cross_entropy": binary(binary_cross_entropy, probability, probability),
    "logistic_loss": [
        Sample(logistic_loss, (real(*shape), probability(*shape)), {"reduction": reduction})
        for shape in [(), (3,), (4, 3)]
        for reduction in ("none", "mean", "sum")
    ],
    # products
    "_matmul": [
        Sample(np.matmul, (real(*a), real(*b)), {})
        for a, b in [
            ((2, 3), (3, 4)),
            ((2, 0), (0, 3)),
            ((5, 2, 3), (3, 4)),
            ((2, 3), (5, 3, 1)),
            ((5, 1, 2, 3), (4, 3, 2)),
        ]
    ],
    "_linear": [
        Sample(affine, (real(*x), real(4, 3), bias), {})
        for x in [(3,), (2, 3), (5, 2, 3), (0, 3)]
        for bias in (real(4), None)
    ],
    # shapes
    "_reshape": [
        Sample(lambda x, *, shape: np.reshape(x, shape), (real(*old),), {"shape": new})
        for old, new in [((2, 3), (3, 2)), ((), (1, 1)), ((4,), (2, -1)), ((0, 3), (3, 0))]
    ],
    "_permute": [
        Sample(np.transpose, (real(*shape),), {"axes": axes})
        for shape, axes in [((2, 3), None), ((2, 3, 4), (2, 0, 1)), ((2, 3, 4), (2, 1, 0)), ((), ())]
    ],
    "_expand": [
        Sample(np.broadcast_to, (real(*old),), {"shape": new})
        for old, new in [((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((), (2,)), ((1, 3), (0, 3))]
    ],
    "_flip": [
        Sample(np.flip, (real(*shape),), {"axis": axis})
        for shape, axis in [((3,), 0), ((2, 3), None), ((2, 3, 4), (0, -1)), ((2,), ()), ((0, 3), 1)]
    ],
    "_roll": [
        Sample(np.roll, (real(*shape),), {"shift": shift, "axis": axis})
        for shape, shift, axis in [((4,), 1, 0), ((2, 3), -2, None), ((2, 3), (1, 2), (0, 1)), ((0, 3), 1, 0)]
    ],
    "_diagonal": [Sample(lambda x: np.einsum("...ii->...i", x), (real(*s),), {}) for s in [(3, 3), (2, 4, 4), (0, 0)]],
    "_cumsum": [
        Sample(np.cumsum, (real(*shape),), {"axis": axis}) for shape, axis in [((4,), 0), ((2, 3), 1), ((0, 3), 0)]
    ],
    "_argsort": [Sample(np.argsort, (distinct(*shape),), {"axis": axis}) for shape, axis in [((4,), 0), ((2, 3), -1)]],
    "_concatenate": [
        Sample(
            lambda *arrays, axis: np.concatenate(arrays, axis), tuple(real(*shape) for shape in shapes), {"axis": axis}
        )
        for shapes, axis in [([(2, 3), (1, 3), (0, 3)], 0), ([(2, 1), (2, 2)], 1), ([(3,)], 0)]
    ],
    # indexing
    "_slice": [indexed(taken, real(*shape), key) for shape, key in SLICES],
    "_unslice": [adjoint(shape, key) for shape, key in SLICES],
    "_take": [indexed(taken, real(*shape), key) for shape, key in ARRAYS],
    "_add_at": [adjoint(shape, key) for shape, key in ARRAYS],
    "put": [indexed(replaced, real(*shape), key, real(*values)) for shape, key, values in PLACES],
    "in_range": [
        Sample(lambda x, **params: x, (integers(0, 5, shape),), {"size": 5, "error": IndexError, "name": "class"})
        for shape in SHAPES
    ],
    "take_along": [
        Sample(np.take_along_axis, (real(*shape), integers(0, shape[axis], chosen)), {"axis": axis})
        for shape, chosen, axis in ALONG
    ],
    "_add_along": [
        Sample(added_along, (real(*chosen), integers(0, shape[axis], chosen)), {"axis": axis, "shape": shape})
        for shape, chosen, axis in ALONG
    ],
}

RESHAPE_TO = "shape" if "shape" in inspect.signature(np.reshape).parameters else "newshape"  # its name until NumPy 2.1

NUMPY_CALLS: dict[Any, list[Callable[..., Any]]] = {
    # each is called with one array of shape (2, 3), and with the same as a Tensor
    np.where: [lambda a: np.where(a > 0, a, 2 * a), lambda a: np.where(a > 0, 1.0, a)],
    np.clip: [
        lambda a: np.clip(a, -0.5, 0.5),
        lambda a: np.clip(a, None, 0.5),
        lambda a: np.clip(a, a_min=0, a_max=None),
    ],
    np.copy: [np.copy],
    np.matmul: [
        lambda a: np.matmul(a, a.T),
        lambda a: np.matmul(a, np.arange(3.0)),
        lambda a: np.matmul(np.ones(2), a),
    ],
    np.dot: [lambda a: np.dot(a, a.T), lambda a: np.dot(a, 2.0), lambda a: np.dot(np.arange(2.0), a)],
    np.outer: [lambda a: np.outer(a[0], a[:, 1])],
    np.reshape: [
        lambda a: np.reshape(a, (3, 2)),
        lambda a: np.reshape(a, -1),
        lambda a: np.reshape(a, **{RESHAPE_TO: (6,)}),
    ],
    np.ravel: [np.ravel],
    np.squeeze: [
        lambda a: np.squeeze(a[:1]),
        lambda a: np.squeeze(a[:, None], axis=1),
        lambda a: np.squeeze(a[:1], (0,)),
    ],
    np.expand_dims: [lambda a: np.expand_dims(a, 1), lambda a: np.expand_dims(a, (0, -1))],
    np.swapaxes: [lambda a: np.swapaxes(a, 0, -1)],
    np.moveaxis: [lambda a: np.moveaxis(a, 0, -1), lambda a: np.moveaxis(a, (0, 1), (1, 0))],
    np.transpose: [np.transpose, lambda a: np.transpose(a, (1, 0)), lambda a: np.transpose(a, [-1, -2])],
    np.broadcast_to: [lambda a: np.broadcast_to(a, (4, 2, 3))],
    np.concatenate: [
        lambda a: np.concatenate([a, a[:1]]),
        lambda a: np.concatenate((a, a), -1),
        lambda a: np.concatenate([a, a], axis=None),
        lambda a: np.concatenate([a, np.full((1, 3), 0.1)]),
    ],
    np.stack: [
        lambda a: np.stack([a, 2 * a]),
        lambda a: np.stack((a, a), -1),
        lambda a: np.stack([a, np.ones((2, 3))]),
    ],
    np.take_along_axis: [lambda a: np.take_along_axis(a, np.array([[0, 2], [1, 1]]), 1)],
    np.sum: [np.sum, lambda a: np.sum(a, 0), lambda a: np.sum(a, axis=(0, -1)), lambda a: np.sum(a, np.int64(1))],
    np.mean: [
        np.mean,
        lambda a: np.mean(a, 1),
        lambda a: np.mean(a, np.int64(1)),
        lambda a: np.mean(a, 0, keepdims=True),
    ],
    np.var: [np.var, lambda a: np.var(a, 0), lambda a: np.var(a, axis=1, ddof=1, keepdims=True)],
    np.std: [np.std, lambda a: np.std(a, 0), lambda a: np.std(a, axis=1, ddof=1, keepdims=True)],
    np.prod: [np.prod, lambda a: np.prod(a, 0), lambda a: np.prod(a, axis=1, keepdims=True)],
    np.max: [np.max, lambda a: np.max(a, 0), lambda a: a.max()],
    np.amax: [np.amax, lambda a: np.amax(a, -1, keepdims=True)],
    np.min: [np.min, lambda a: np.min(a, 0), lambda a: a.min()],
    np.amin: [np.amin, lambda a: np.amin(a, -1, keepdims=True)],
    (np.add, "reduce"): [
        np.add.reduce,
        lambda a: np.add.reduce(a, axis=None),
        lambda a: np.add.reduce(a, 1, keepdims=True),
    ],
    (np.maximum, "reduce"): [np.maximum.reduce, lambda a: np.maximum.reduce(a, axis=-1)],
    (np.minimum, "reduce"): [np.minimum.reduce, lambda a: np.minimum.reduce(a, axis=-1)],
    np.argmax: [np.argmax, lambda a: np.argmax(a, 1)],
    np.argmin: [np.argmin, lambda a: np.argmin(a, axis=0)],
    np.any: [lambda a: np.any(a > 0, 0)],
    np.all: [lambda a: np.all(a > 0, axis=1)],
    np.zeros_like: [np.zeros_like],
    np.ones_like: [np.ones_like],
    np.empty_like: [lambda a: np.shape(np.empty_like(a))],
    np.full_like: [lambda a: np.full_like(a, 2.5)],
    # elementwise, by several primitives or under a second name
    np.conjugate: [np.conjugate],
    np.real: [np.real],
    np.real_if_close: [np.real_if_close],
    np.degrees: [np.degrees],
    np.radians: [np.radians],
    np.fabs: [np.fabs],
    np.sinc: [np.sinc],
    np.fix: [np.fix],
    np.round: [np.round, lambda a: np.round(a, 1)],
    np.around: [np.around],
    np.float_power: [lambda a: np.float_power(a, 2.0)],
    np.divmod: [lambda a: np.divmod(a, 0.7)[0], lambda a: np.divmod(a, 0.7)[1]],
    np.nan_to_num: [
        np.nan_to_num,
        lambda a: np.nan_to_num(np.where(a > 0, a, np.nan), nan=0.5),
        lambda a: np.nan_to_num(np.where(a > 0, a, -np.inf), neginf=-2.0),
    ],
    # rearranged
    np.flip: [np.flip, lambda a: np.flip(a, 1), lambda a: np.flip(a, (0, -1))],
    np.fliplr: [np.fliplr],
    np.flipud: [np.flipud],
    np.roll: [lambda a: np.roll(a, 2), lambda a: np.roll(a, -1, axis=1), lambda a: np.roll(a, (1, 2), (0, 1))],
    np.rot90: [np.rot90, *(lambda a, k=k: np.rot90(a, k) for k in (-1, 0, 2)), lambda a: np.rot90(a, 1, (1, 0))],
    np.tile: [lambda a: np.tile(a, 2), lambda a: np.tile(a, (2, 1, 3))],
    np.repeat: [lambda a: np.repeat(a, 2), lambda a: np.repeat(a, [1, 0, 3], axis=1)],
    np.take: [lambda a: np.take(a, [5, 0, 0]), lambda a: np.take(a, np.array([[2, 1]]), axis=-1)],
    np.compress: [lambda a: np.compress([True, False, True], a, axis=1), lambda a: np.compress([False, True], a)],
    np.extract: [lambda a: np.extract(a > 0, a)],
    np.delete: [lambda a: np.delete(a, 1), lambda a: np.delete(a, [0, -1], axis=1)],
    np.resize: [lambda a: np.resize(a, (3, 3)), lambda a: np.resize(a, (2, 2))],
    np.trim_zeros: [lambda a: np.trim_zeros(np.append(0.0, np.append(a, 0.0)))],
    np.diagonal: [np.diagonal, lambda a: np.diagonal(a, 1), lambda a: np.diagonal(a, -1, 1, 0)],
    np.linalg.diagonal: [np.linalg.diagonal, lambda a: np.linalg.diagonal(a, offset=1)],
    np.diag: [np.diag, lambda a: np.diag(a, -1), lambda a: np.diag(a[0], 2), lambda a: np.diag(a[1], -1)],
    np.diagflat: [np.diagflat, lambda a: np.diagflat(a, 1)],
    np.trace: [np.trace, lambda a: np.trace(a, 1)],
    np.linalg.trace: [np.linalg.trace, lambda a: np.linalg.trace(a, offset=-1)],
    np.tril: [np.tril, lambda a: np.tril(a, 1)],
    np.triu: [np.triu, lambda a: np.triu(a, -1)],
    np.matrix_transpose: [np.matrix_transpose],
    np.linalg.matrix_transpose: [np.linalg.matrix_transpose],
    np.astype: [lambda a: np.astype(a, np.float64), lambda a: np.astype(a, np.float64, copy=False)],
    # joined and split
    np.atleast_1d: [lambda a: np.atleast_1d(a[0, 0]), np.atleast_1d],
    np.atleast_2d: [lambda a: np.atleast_2d(a[0]), lambda a: np.atleast_2d(a[0], a)[0]],
    np.atleast_3d: [np.atleast_3d, lambda a: np.atleast_3d(a[0]), lambda a: np.atleast_3d(a[0, 0])],
    np.hstack: [lambda a: np.hstack([a, np.ones((2, 1))]), lambda a: np.hstack([a[0], a[1]])],
    np.vstack: [lambda a: np.vstack([a, a[0]]), lambda a: np.vstack([np.ones(3), a])],
    np.dstack: [lambda a: np.dstack([a, np.ones((2, 3))])],
    np.column_stack: [lambda a: np.column_stack([a[0], a[1]]), lambda a: np.column_stack([a, np.ones(2)])],
    np.append: [lambda a: np.append(a, [1.0, 2.0]), lambda a: np.append(a, a, axis=0)],
    np.array_split: [lambda a: np.array_split(a, 2, 1)[0], lambda a: np.array_split(a, [1, 2], axis=1)[1]],
    np.split: [lambda a: np.split(a, 3, axis=1)[2], lambda a: np.split(a, [1])[0]],
    np.hsplit: [lambda a: np.hsplit(a, [1])[1], lambda a: np.hsplit(a[0], 3)[1]],
    np.vsplit: [lambda a: np.vsplit(a, 2)[1]],
    np.dsplit: [lambda a: np.dsplit(a[None], 3)[1]],
    np.broadcast_arrays: [lambda a: np.broadcast_arrays(a, np.ones((4, 1, 1)))[0]],
    np.meshgrid: [
        lambda a: np.meshgrid(a[0], a[1])[0],
        lambda a: np.meshgrid(np.ones(2), a[1], indexing="ij")[1],
    ],
    # along one axis
    np.cumsum: [np.cumsum, lambda a: np.cumsum(a, axis=1)],
    np.cumprod: [np.cumprod, lambda a: np.cumprod(a, axis=0)],
    (np.add, "accumulate"): [np.add.accumulate, lambda a: np.add.accumulate(a, axis=1)],
    (np.multiply, "accumulate"): [np.multiply.accumulate],
    np.diff: [np.diff, lambda a: np.diff(a, 2), lambda a: np.diff(a, axis=0, prepend=np.ones((1, 3)), append=a)],
    np.ediff1d: [np.ediff1d, lambda a: np.ediff1d(a, to_begin=[1.0], to_end=a[0])],
    np.trapezoid: [
        np.trapezoid,
        lambda a: np.trapezoid(a, dx=0.5, axis=0),
        lambda a: np.trapezoid(a, x=np.array([0.0, 0.1, 0.5])),
        lambda a: np.trapezoid(np.ones((2, 3)), x=a),
    ],
    np.sort: [np.sort, lambda a: np.sort(a, axis=None), lambda a: np.sort(a, 0)],
    np.argsort: [np.argsort, lambda a: np.argsort(a, axis=0)],
    # statistics
    np.nansum: [np.nansum, lambda a: np.nansum(np.where(a > 0, a, np.nan), axis=1, keepdims=True)],
    np.nanmean: [np.nanmean, lambda a: np.nanmean(np.where(a > 0, a, np.nan), 0)],
    np.ptp: [np.ptp, lambda a: np.ptp(a, axis=1)],
    np.average: [
        np.average,
        lambda a: np.average(a, axis=1),
        lambda a: np.average(a, axis=0, weights=[0.2, 0.6]),
        lambda a: np.average(a, weights=a * a),
        lambda a: np.average(np.ones((2, 3)), 1, weights=a[0], returned=True)[1],
    ],
    np.median: [np.median, lambda a: np.median(a, axis=1), lambda a: np.median(a, 0, keepdims=True)],
    # sums of products
    np.linalg.matmul: [lambda a: np.linalg.matmul(a, np.ones((3, 2)))],
    np.linalg.outer: [lambda a: np.linalg.outer(a[0], a[1])],
    np.inner: [lambda a: np.inner(a, a), lambda a: np.inner(a, np.ones(3)), lambda a: np.inner(a, np.array(2.0))],
    np.vdot: [lambda a: np.vdot(a, a), lambda a: np.vdot(np.ones((2, 3)), a)],
    np.tensordot: [
        lambda a: np.tensordot(a, a),
        lambda a: np.tensordot(a, np.ones((3, 2)), 1),
        lambda a: np.tensordot(a, a, ([0], [0])),
        lambda a: np.tensordot(a, a, 0),
    ],
    np.linalg.tensordot: [lambda a: np.linalg.tensordot(a, a, axes=((1,), (1,)))],
    np.kron: [lambda a: np.kron(a, np.array([1.0, 2.0])), lambda a: np.kron(a[0], a)],
    np.vecdot: [lambda a: np.vecdot(a, a), lambda a: np.vecdot(np.ones(3), a)],
    np.linalg.vecdot: [lambda a: np.linalg.vecdot(a, a), lambda a: np.linalg.vecdot(a, a, axis=0)],
    np.linalg.multi_dot: [lambda a: np.linalg.multi_dot([a, np.ones((3, 2)), a])],
    np.linalg.matrix_power: [lambda a: np.linalg.matrix_power(a[:, :2], 3)],
    np.cross: [lambda a: np.cross(a[0], a[1]), lambda a: np.cross(a, np.array([1.0, 2.0, 3.0]))],
    np.linalg.cross: [lambda a: np.linalg.cross(a, a[::-1])],
    np.linalg.norm: [
        np.linalg.norm,
        lambda a: np.linalg.norm(a, axis=1, keepdims=True),
        lambda a: np.linalg.norm(a, "fro"),
        *(lambda a, ord=ord: np.linalg.norm(a, ord) for ord in (1, -1, np.inf, -np.inf)),
        *(lambda a, ord=ord: np.linalg.norm(a[1], ord) for ord in (0, 1, 2, 3, np.inf, -np.inf)),
    ],
    np.linalg.vector_norm: [np.linalg.vector_norm, lambda a: np.linalg.vector_norm(a, axis=1, ord=1)],
    np.linalg.matrix_norm: [np.linalg.matrix_norm, lambda a: np.linalg.matrix_norm(a, ord=1, keepdims=True)],
    # shapes
    np.shape: [np.shape],
    np.ndim: [np.ndim],
    np.size: [np.size, lambda a: np.size(a, 1)],
}
if hasattr(np, "unstack"):  # since NumPy 2.1
    NUMPY_CALLS |= {
        np.unstack: [lambda a: np.unstack(a)[1], lambda a: np.unstack(a, axis=1)[0]],
        np.cumulative_sum: [lambda a: np.cumulative_sum(a, axis=1), lambda a: np.cumulative_sum(a[0])],
        np.cumulative_prod: [lambda a: np.cumulative_prod(a, axis=1)],
    }
if hasattr(np, "matvec"):  # since NumPy 2.2
    NUMPY_CALLS |= {
        np.matvec: [lambda a: np.matvec(a, a[0]), lambda a: np.matvec(np.ones((3, 2)), a.mT)],
        np.vecmat: [lambda a: np.vecmat(np.ones(2), a), lambda a: np.vecmat(a[0], np.ones((3, 2)))],
    }
