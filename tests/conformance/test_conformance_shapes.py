"""Indexing, broadcasting, matrix products and views, in all their shapes."""

import itertools

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import (  # noqa: E402
    assert_none_differ,
    attempt,
    call,
    difference_of_derivatives,
    fail_if_any,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


BOX = normal(3, 4, 5)


# ---- indexing

PIECES = {
    ":": slice(None),
    "1:3": slice(1, 3),
    "::2": slice(None, None, 2),
    "-2:": slice(-2, None),
    "5:2": slice(5, 2),
    "0": 0,
    "-1": -1,
    "None": None,
    "...": ...,
    "[0, 2, 2]": [0, 2, 2],
    "[[0, -1], [2, 0]]": np.array([[0, -1], [2, 0]]),
    "[-1]": np.array([-1]),
    "tensor(1)": np.array(1),
}
MASKS = {
    "mask of rows": np.array([True, False, True]),
    "mask of two": normal(3, 4) < 0,
    "mask of all": BOX < 0,
    "mask of none": np.zeros((3, 4), bool),
    "(mask, 0)": (np.array([False, True, True]), 0),
    "(mask, [0, 1])": (np.array([False, True, True]), [0, 1]),
    "(:, mask)": (slice(None), np.array([True, False, True, True])),
    "(0, mask)": (0, np.array([True, False, True, True])),
    "(..., mask)": (..., np.array([True, False, True, True, False])),
    "(mask, None, 1:)": (np.array([False, True, True]), None, slice(1, None)),
    "True": True,
    "False": False,
    "()": (),
    "[True, False, True]": [True, False, True],
    "empty list": [],
    "list in a tuple": ([0, 1], [2, 3], [-1, 0]),
}
KEYS = {
    first: {
        " | ".join((first, *rest)): tuple(PIECES[name] for name in (first, *rest))
        for n in (0, 1, 2)
        for rest in itertools.product(PIECES, repeat=n)
        if (first, *rest).count("...") <= 1
    }
    for first in PIECES
}
KEYS["masks"] = MASKS


def spelled(xp, key):
    """The key with index arrays as tensors."""
    if isinstance(key, tuple):
        return tuple(spelled(xp, part) for part in key)
    return xp.tensor(key) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("first", KEYS)
def test_getitem(first):
    fail_if_any(
        {
            f"x[{name}]": difference_of_derivatives(lambda xp, x, key=key: x[spelled(xp, key)], call(BOX), order=1)
            for name, key in KEYS[first].items()
        }
    )


@pytest.mark.parametrize("first", KEYS)
def test_setitem(first):
    def assigned(xp, x, key, value):
        y = x * 1
        y[spelled(xp, key)] = value
        return y

    fail_if_any(
        {
            f"x[{name}] = 7.5": difference_of_derivatives(
                lambda xp, x, key=key: assigned(xp, x, key, 7.5), call(BOX), order=1
            )
            for name, key in KEYS[first].items()
            if len(key if isinstance(key, tuple) else ()) < 3
        }
    )


ASSIGNMENTS = {
    "row": (1, normal(4, 5, seed=1)),
    "broadcast": (slice(1, None), normal(5, seed=1)),
    "one element": ((0, 1, 2), np.array(2.5)),
    "columns": ((..., [0, 3]), normal(3, 4, 2, seed=1)),
    "mask, a number": (BOX > 0, np.array(1.5)),
    "mask, many": (np.array([True, False, True]), normal(2, 4, 5, seed=1)),
    "leading ones": (0, normal(1, 4, 5, seed=1)),
    "too large": (0, normal(3, 5, seed=1)),
    "too many dimensions": ((0, 0, 0), normal(2, seed=1)),
    "out of range": (3, np.array(1.0)),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_setitem_of_tensors(name):
    key, value = ASSIGNMENTS[name]

    def assigned(xp, x, v):
        y = x * 1
        y[spelled(xp, key)] = v
        return y * y

    fail_if_any({name: difference_of_derivatives(assigned, call(BOX, value))})


def test_setitem_changes_a_leaf_without_grad():
    def changed(xp):
        x = xp.tensor(BOX)
        x[0], x[:, 1], x[..., -1], x[x > 1] = 1, xp.tensor([1.0, 2, 3, 4, 5]), 2.5, 0
        x[[0, 0, 1], 2] += 1
        return x

    assert_none_differ([("setitem", changed)])


def test_augmented_assignment_to_an_index():
    def changed(xp, x):
        y = x * 1
        y[0] += 2
        y[:, 1] *= 3
        y[1:, 2:] -= x[:2, :2]
        y[..., 0] /= 2
        return y

    fail_if_any({"op=": difference_of_derivatives(changed, call(BOX))})


def test_augmented_assignment_to_index_arrays():
    def changed(xp, x):
        y = x * 1
        y[[0]] += 2
        y[:, [1]] *= 3
        y[[1, 2], 2:] -= x[:2, :2]
        y[y > 1] /= 2
        return y

    fail_if_any({"op=": difference_of_derivatives(changed, call(BOX))})


def test_augmented_assignment_to_an_index_without_gradients():
    def changed(xp):
        x = xp.tensor(BOX)
        x[0] += 2
        x[:, 1] *= 3
        x[1:, 2:] -= x[:2, :2]
        x[..., 0] /= 2
        return x

    assert_none_differ([("op=", changed)])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_dtypes_of_index_tensors(dtype):
    assert_none_differ([(dtype, lambda xp: xp.tensor(BOX)[xp.tensor([0, -1], dtype=getattr(xp, dtype))])])


def test_repeated_indices_add_their_gradients():
    fail_if_any(
        {
            "x[[1, 1, 1]]": difference_of_derivatives(lambda xp, x: x[[1, 1, 1]] * 2, call(BOX)),
            "x[i, i]": difference_of_derivatives(lambda xp, x, i: x[i, i].exp(), call(BOX, np.array([0, 1, 1, 0]))),
        }
    )


# ---- broadcasting

SHAPES = [(), (1,), (3,), (2, 1), (1, 3), (2, 3), (2, 2, 3), (1, 1, 1), (4, 1, 2, 1), (0,), (2, 0), (0, 1), (4,)]
BROADCAST = {
    "add": lambda xp, x, y: x + y,
    "sub": lambda xp, x, y: x - y,
    "mul": lambda xp, x, y: x * y,
    "div": lambda xp, x, y: x / (y * y + 1),
    "pow": lambda xp, x, y: (x * x + 1) ** y,
    "maximum": lambda xp, x, y: xp.maximum(x, y),
    "where": lambda xp, x, y: xp.where(x < 0, x, y),
    "eq": lambda xp, x, y: x == y,
}


@pytest.mark.parametrize("name", BROADCAST)
def test_broadcasting(name):
    fail_if_any(
        {
            f"{name} of {a} and {b}": difference_of_derivatives(
                BROADCAST[name], call(normal(*a), normal(*b, seed=1)), order=1
            )
            for a in SHAPES
            for b in SHAPES
        }
    )


# ---- products of matrices

FACTORS = [
    (3,),
    (1,),
    (3, 3),
    (2, 3),
    (3, 2),
    (3, 1),
    (1, 3),
    (2, 3, 3),
    (1, 2, 3),
    (4, 1, 3, 2),
    (2, 3, 2),
    (0, 3),
    (3, 0),
    (2, 0, 3),
    (),
]


@pytest.mark.parametrize("name", ["matmul", "@", "mm", "bmm", "mv", "dot"])
def test_matrix_products(name):
    f = (lambda xp, x, y: x @ y) if name == "@" else (lambda xp, x, y: getattr(xp, name)(x, y))
    fail_if_any(
        {
            f"{name} of {a} and {b}": difference_of_derivatives(
                f, call(normal(*a), normal(*b, seed=1)), order=2 if name == "matmul" else 1
            )
            for a in FACTORS
            for b in FACTORS
            if not (name == "mv" and a == ())
        }
    )


def test_matrix_products_of_integers():
    x, y = np.arange(24).reshape(2, 3, 4) - 9, np.arange(12).reshape(4, 3) % 5
    assert_none_differ([("int64", lambda xp: xp.tensor(x) @ xp.tensor(y))])


# ---- views

VIEWS = {
    "x[0]": lambda x: x[0],
    "x[1:, ::2]": lambda x: x[1:, ::2],
    "x[..., None]": lambda x: x[..., None],
    "x[0, 0, 0]": lambda x: x[0, 0, 0],
    "view": lambda x: x.view(12, 5),
    "view(-1)": lambda x: x.view(-1),
    "view(3, -1)": lambda x: x.view(3, -1),
    "view(x.shape)": lambda x: x.view(x.shape),
    "reshape": lambda x: x.reshape(5, 12),
    "reshape(-1)": lambda x: x.reshape(-1),
    "reshape of a transposed": lambda x: x.transpose(0, 1).reshape(-1),
    "flatten": lambda x: x.flatten(),
    "flatten(1)": lambda x: x.flatten(1),
    "flatten of a transposed": lambda x: x.transpose(0, 2).flatten(),
    "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "transpose": lambda x: x.transpose(0, 2),
    "swapaxes": lambda x: x.swapaxes(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "permute of a tuple": lambda x: x.permute((2, 0, 1)),
    "movedim": lambda x: x.movedim(0, 2),
    "t": lambda x: x[0].t(),
    "T": lambda x: x[0].T,
    "mT": lambda x: x.mT,
    "split": lambda x: x.split(2)[1],
    "chunk": lambda x: x.chunk(2, 1)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "contiguous": lambda x: x.contiguous(),
    "contiguous of a transposed": lambda x: x.transpose(0, 1).contiguous(),
    "to its dtype": lambda x: x.to(x.dtype),
    "to another dtype": lambda x: x.float(),
    "double": lambda x: x.double(),
    "clone": lambda x: x.clone(),
    "index array": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > 0],
    "gather": lambda x: x.index_select(0, type(x)([0, 1]).long()),
    "expand": lambda x: x[:, :1].expand(3, 4, 5),
    "broadcast_to": lambda x: x.broadcast_to((2, 3, 4, 5)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_shares_memory(name):
    def changed(xp):
        base = xp.tensor(BOX)
        result = VIEWS[name](base)
        result += 1
        return base, result

    def seen_through(xp):
        base = xp.tensor(BOX)
        result = VIEWS[name](base)
        base += 1
        return result

    assert_none_differ([(f"{name} += 1", changed), ("base += 1", seen_through)])


@pytest.mark.parametrize("name", VIEWS)
def test_gradients_of_views(name):
    fail_if_any({name: difference_of_derivatives(lambda xp, x: VIEWS[name](x), call(BOX), order=1)})


VIEW_SHAPES = [
    (60,),
    (-1,),
    (3, 20),
    (12, 5),
    (2, 30),
    (3, 2, 2, 5),
    (3, 4, 5),
    (-1, 4),
    (7, -1),
    (3, 4, 5, 1),
    (4, 3, 5),
    (15, 4),
]
LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, 1),
    "reversed": lambda x: x.permute(2, 1, 0),
    "sliced": lambda x: x[:, ::2],
    "sliced last": lambda x: x[..., 1:],
    "expanded": lambda x: x[:, :1].expand(3, 4, 5),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_where_view_is_possible(name):
    assert_none_differ(
        (f"{name}.view{shape}", lambda xp, shape=shape: LAYOUTS[name](xp.tensor(BOX)).view(shape))
        for shape in VIEW_SHAPES
    )


# ---- what a tensor says of itself

FACTS = {
    "shape": lambda x: tuple(x.shape),
    "ndim": lambda x: x.ndim,
    "dim()": lambda x: x.dim(),
    "size()": lambda x: tuple(x.size()),
    "size(0)": lambda x: x.size(0),
    "size(-1)": lambda x: x.size(-1),
    "size(3)": lambda x: x.size(3),
    "numel()": lambda x: x.numel(),
    "len": len,
    "item()": lambda x: x.item(),
    "tolist()": lambda x: x.tolist(),
    "bool": bool,
    "float": float,
    "int": int,
    "index": lambda x: [10, 20, 30][x],
    "range": lambda x: list(range(x)),
    "list": lambda x: [tuple(row.shape) for row in x],
    "unpacking": lambda x: [tuple(row.shape) for row in (lambda *rows: rows)(*x)],
    "contains": lambda x: (0 in x, 2.5 in x),
    "is_leaf": lambda x: (x.is_leaf, (x + 1).is_leaf),
    "format": lambda x: f"{x:.2f}",
    "str": lambda x: f"{x}".replace("torch.", "tl."),
}
FORMED = {
    "0-d float": np.array(1.25),
    "0-d int": np.array(2),
    "0-d bool": np.array(True),
    "one element": np.array([0.5]),
    "one int": np.array([[1]]),
    "vector": np.array([0, 2, 0]),
    "matrix": np.array([[1.0, 2.5], [0.0, -1.0], [4.0, 5.0]]),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("fact", FACTS)
def test_facts(fact):
    error = {"float": RuntimeError, "int": RuntimeError, "format": ValueError}.get(fact)  # deliberate
    found = {name: attempt(lambda xp, array=array: FACTS[fact](xp.tensor(array)), tl) for name, array in FORMED.items()}
    others = {name for name, ours in found.items() if error and isinstance(ours, Exception)}
    assert all(type(found[name]) is error for name in others)
    assert_none_differ(
        (name, lambda xp, array=FORMED[name]: FACTS[fact](xp.tensor(array))) for name in FORMED if name not in others
    )
