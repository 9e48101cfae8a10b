"""PyTorch's type promotion, exhaustively: every pair of dtypes, tensors, 0-d tensors and Python numbers."""

import functools
import operator

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.conformance.compare import DTYPES, assert_same, attempt, difference

torch = pytest.importorskip("torch")

LEFT = {"bool": [False, True, True, False], "uint8": [0, 1, 3, 200]}
LEFT |= dict.fromkeys(("int8", "int16", "int32", "int64"), [-2, 0, 3, 100])
LEFT |= dict.fromkeys(("float16", "float32", "float64"), [-1.5, 0.0, 2.0, 100.25])
RIGHT = {"bool": [True] * 4, "uint8": [1, 2, 3, 200]}  # positive: for divisors and exponents
RIGHT |= dict.fromkeys(("int8", "int16", "int32", "int64"), [1, 2, 3, 100])
RIGHT |= dict.fromkeys(("float16", "float32", "float64"), [0.5, 1.0, 2.0, 100.25])
SCALARS = (True, False, 0, 2, -1, 300, 0.0, 2.5, -1.5, np.float64(1.5), float("inf"))

OPERATORS = {
    name: getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow eq ne lt le gt ge and_ or_ xor".split()
}
FUNCTIONS = {
    "maximum": lambda xp, a, b: xp.maximum(a, b),
    "minimum": lambda xp, a, b: xp.minimum(a, b),
    "where": lambda xp, a, b: xp.where(xp.tensor([True, False, True, False]), a, b),
    "logical_and": lambda xp, a, b: xp.logical_and(a, b),
}
JOINS = {
    "cat": lambda xp, a, b: xp.cat([a, b]),
    "stack": lambda xp, a, b: xp.stack([a, b]),
}
RANKS = {"tensor": slice(None), "0-d": 2}


def left(xp, dtype, rank="tensor"):
    return xp.tensor(LEFT[dtype], dtype=getattr(xp, dtype))[RANKS[rank]]


def right(xp, dtype, rank="tensor"):
    return xp.tensor(RIGHT[dtype], dtype=getattr(xp, dtype))[RANKS[rank]]


def assert_none_differ(cases, ulps=0):
    """``cases`` gives pairs of a description and a function of the namespace."""
    found = {title: difference(attempt(lambda: f(tl)), attempt(lambda: f(torch)), ulps) for title, f in cases}
    assert found, "nothing was compared"
    differences = [f"{title}: {text}" for title, text in found.items() if text]
    assert not differences, f"{len(differences)} of {len(found)} differ:\n" + "\n".join(differences)


# ---- the table


def test_promote_types():
    assert_none_differ(
        (f"{a}, {b}", lambda xp, a=a, b=b: name(xp.promote_types(getattr(xp, a), getattr(xp, b))))
        for a in DTYPES
        for b in DTYPES
    )


def test_result_type():
    operands = [(f"{a} {r}", functools.partial(left, dtype=a, rank=r)) for a in DTYPES for r in RANKS]
    operands += [(repr(n), lambda xp, n=n: n) for n in SCALARS]
    assert_none_differ(
        (f"{a}, {b}", lambda xp, x=x, y=y: name(xp.result_type(x(xp), y(xp)))) for a, x in operands for b, y in operands
    )


def name(dtype):
    return str(dtype).removeprefix("torch.")


def test_dtype_names():
    for alias in ("half", "double", "short", "long", "float", "int", "bool"):
        assert name(getattr(tl, alias)) == name(getattr(torch, alias))


# ---- operations of two


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("op", [*OPERATORS, *FUNCTIONS])
def test_two_tensors(op, a):
    f = FUNCTIONS.get(op) or (lambda xp, x, y: OPERATORS[op](x, y))
    assert_none_differ(
        (
            (f"{op}: {a} {r}, {b} {s}", lambda xp, b=b, r=r, s=s: f(xp, left(xp, a, r), right(xp, b, s)))
            for b in DTYPES
            for r in RANKS
            for s in RANKS
        ),
        ulps=2 if op == "pow" else 0,
    )


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("op", [*OPERATORS, "where"])
def test_a_tensor_and_a_python_number(op, a):
    f = FUNCTIONS.get(op) or (lambda xp, x, y: OPERATORS[op](x, y))
    assert_none_differ(
        (
            (title.format(op=op, a=a, r=r, n=n), lambda xp, r=r, n=n, g=g: g(xp, left(xp, a, r), n))
            for n in SCALARS
            for r in RANKS
            for title, g in (
                ("{op}: {a} {r}, {n!r}", f),
                ("{op}: {n!r}, {a} {r}", lambda xp, x, n: f(xp, n, x)),
            )
        ),
        ulps=2 if op == "pow" else 0,
    )


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("op", JOINS)
def test_joins(op, a):
    assert_none_differ(
        (f"{op}: {a}, {b}", lambda xp, b=b: JOINS[op](xp, left(xp, a), right(xp, b))) for b in DTYPES
    )
    if op == "stack":
        assert_none_differ(
            (f"{op}: {a}, {b} 0-d", lambda xp, b=b: JOINS[op](xp, left(xp, a, "0-d"), right(xp, b, "0-d")))
            for b in DTYPES
        )


# ---- in place

IN_PLACE = {name: getattr(operator, name) for name in "iadd isub imul itruediv ifloordiv imod ipow".split()}


def changed(op, x, y):
    """What an in-place operation leaves in its target."""
    op(x, y)
    return x


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("op", IN_PLACE)
def test_in_place(op, a):
    others = [(f"{b} {s}", functools.partial(left, dtype=b, rank=s)) for b in DTYPES for s in RANKS]
    others += [(repr(n), lambda xp, n=n: n) for n in SCALARS]
    assert_none_differ(
        (
            (f"{op}: {a} {r}, {title}", lambda xp, r=r, y=y: changed(IN_PLACE[op], left(xp, a, r), y(xp)))
            for title, y in others
            for r in RANKS
        ),
        ulps=2 if op == "ipow" else 0,
    )


@pytest.mark.parametrize("a", DTYPES)
def test_copy_converts(a):
    assert_none_differ((f"{a}, {b}", lambda xp, b=b: left(xp, a).copy_(right(xp, b).abs())) for b in DTYPES if b != "bool")
    assert_none_differ((f"fill {n}", lambda xp, n=n: left(xp, a).fill_(n)) for n in (True, 0, 2, 2.5, 100))
    assert_none_differ((f"[0] = {n}", lambda xp, n=n: set_first(left(xp, a), n)) for n in (True, 0, 2, 2.5, 100))
    assert_none_differ((f"{a} of {b}", lambda xp, b=b: right(xp, b).abs().to(getattr(xp, a))) for b in DTYPES[1:])


def set_first(x, value):
    x[0] = value
    return x


# ---- operations of one

UNARY = "abs neg square sign ceil floor round relu clone reciprocal".split()
FLOAT_UNARY = "exp expm1 log log1p sin cos tanh sigmoid sqrt".split()
LOGIC = "isnan isinf isfinite logical_not bitwise_not".split()


@pytest.mark.parametrize("op", [*UNARY, *FLOAT_UNARY, *LOGIC])
def test_unary(op):
    assert_none_differ(
        ((f"{op} {a} {r}", lambda xp, a=a, r=r: getattr(xp, op)(left(xp, a, r))) for a in DTYPES for r in RANKS),
        ulps=4 if op in FLOAT_UNARY else 0,
    )


@pytest.mark.parametrize("op", "sum prod mean var std amax amin argmax argmin any all count_nonzero max min".split())
def test_reductions(op):
    for rank in RANKS:
        assert_none_differ(
            ((f"{op} {a} {rank}", lambda xp, a=a: getattr(xp, op)(left(xp, a, rank))) for a in DTYPES),
            ulps=4 if op in ("mean", "var", "std") else 0,
        )
        if op in ("argmax", "argmin", "max", "min"):  # with ties, PyTorch may name any of the indices
            continue
        assert_none_differ(
            (f"{op}(0) {a} {rank}", lambda xp, a=a: getattr(xp, op)(left(xp, a, rank), 0))
            for a in DTYPES
            if op not in ("mean", "var", "std")
        )


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "logsumexp"])
def test_softmax(op):
    assert_none_differ(((f"{op} {a}", lambda xp, a=a: getattr(xp, op)(left(xp, a), 0)) for a in DTYPES), ulps=4)


@pytest.mark.parametrize("to", DTYPES)
def test_sum_with_dtype(to):
    assert_none_differ(
        (f"{a}", lambda xp, a=a: left(xp, a).abs().sum(dtype=getattr(xp, to)) if a != "bool" else left(xp, a).sum())
        for a in DTYPES
    )


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("bounds", [(0, 2), (0.5, None), (None, 1), (-1, 300), (True, 2.5)])
def test_clamp(a, bounds):
    assert_same(attempt(lambda: tl.clamp(left(tl, a), *bounds)), attempt(lambda: torch.clamp(left(torch, a), *bounds)))


@pytest.mark.parametrize("op", ["matmul", "mm", "dot", "bmm", "mv", "outer"])
def test_products_of_matrices(op):
    shapes = {"mm": ((2, 2), (2, 2)), "bmm": ((1, 2, 2), (1, 2, 2)), "mv": ((2, 2), (2,)), "matmul": ((2, 2), (2, 2))}
    vectors = ((2,), (2,))

    def product(xp, a, b):
        x, y = shapes.get(op, vectors)
        return getattr(xp, op)(xp.ones(x, dtype=getattr(xp, a)), xp.ones(y, dtype=getattr(xp, b)))

    assert_none_differ((f"{op}: {a}, {b}", lambda xp, a=a, b=b: product(xp, a, b)) for a in DTYPES for b in DTYPES)
