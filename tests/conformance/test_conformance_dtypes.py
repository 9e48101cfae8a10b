"""PyTorch's type promotion, exhaustively: every pair of dtypes, tensors, 0-d tensors and Python numbers."""

import math
import operator

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import DTYPES, FLOATS, assert_none_differ, dtype_name  # noqa: E402

INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
SIGNED = INTEGERS[1:]
LEFT = {"bool": (False, True, True, False), "uint8": (0, 1, 3, 200)}
LEFT |= dict.fromkeys(SIGNED, (-2, 0, 3, 100)) | dict.fromkeys(FLOATS, (-1.5, 0.0, 2.0, 100.25))
RIGHT = {"bool": (True,) * 4, "uint8": (1, 2, 3, 200)}  # positive: these are divisors and exponents too
RIGHT |= dict.fromkeys(SIGNED, (1, 2, 3, 100)) | dict.fromkeys(FLOATS, (0.5, 1.0, 2.0, 100.25))
RANKS = {"": slice(None), " 0-d": 2}
NUMBERS = (True, False, 0, 2, -1, 300, 0.0, 2.5, -1.5, np.float64(1.5), math.inf)


def left(xp, dtype, rank=""):
    return xp.tensor(LEFT[dtype], dtype=getattr(xp, dtype))[RANKS[rank]]


def right(xp, dtype, rank=""):
    return xp.tensor(RIGHT[dtype], dtype=getattr(xp, dtype))[RANKS[rank]]


# ---- the table


def test_promote_types():
    assert_none_differ(
        (f"{a}, {b}", lambda xp, a=a, b=b: dtype_name(xp.promote_types(getattr(xp, a), getattr(xp, b))))
        for a in DTYPES
        for b in DTYPES
    )


def test_result_type():
    operands = [(f"{a}{r}", lambda xp, a=a, r=r: left(xp, a, r)) for a in DTYPES for r in RANKS]
    operands += [(repr(n), lambda xp, n=n: n) for n in NUMBERS]
    assert_none_differ(
        (f"{a}, {b}", lambda xp, x=x, y=y: dtype_name(xp.result_type(x(xp), y(xp))))
        for a, x in operands
        for b, y in operands
    )


@pytest.mark.parametrize("alias", ["half", "float", "double", "short", "int", "long", "bool"])
def test_names_of_dtypes(alias):
    assert dtype_name(getattr(tl, alias)) == dtype_name(getattr(torch, alias))
    assert dtype_name(getattr(tl.ones(1), alias)().dtype) == dtype_name(getattr(torch.ones(1), alias)().dtype)


# ---- operations of two

OPERATORS = {
    name: getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow eq ne lt le gt ge and_ or_ xor".split()
}
WITH_NUMBERS = OPERATORS | {"where": lambda a, b: namespace(a, b).where(mask(namespace(a, b)), a, b)}
WITH_TENSORS = WITH_NUMBERS | {
    name: lambda a, b, name=name: getattr(namespace(a, b), name)(a, b)
    for name in "maximum minimum logical_and logical_or logical_xor".split()
}
ULPS = {"pow": 2, "ipow": 2, "truediv": 2, "itruediv": 2}  # PyTorch multiplies by a reciprocal


def namespace(*operands):
    return torch if any(isinstance(operand, torch.Tensor) for operand in operands) else tl


def mask(xp):
    return xp.tensor([True, False, True, False])


def dtypes_for(op):
    return DTYPES[1:] if op in ("sub", "isub") else DTYPES  # subtraction of bools: a test of its own


def each(ops):
    return pytest.mark.parametrize(("op", "a"), [(op, a) for op in ops for a in dtypes_for(op)])


def numbers_for(op, dtype):
    """The Python numbers that PyTorch lets meet the dtype; what it refuses has a test of its own."""
    numbers = NUMBERS[2:] if op in ("sub", "isub") else NUMBERS
    if op.removeprefix("i") in ("floordiv", "mod"):
        return [n for n in numbers if n != 0]
    if op.removeprefix("i") in ("pow", "where"):
        return [n for n in numbers if n != 300 and not (n == -1 and dtype not in FLOATS)]
    return numbers


@each(WITH_TENSORS)
def test_two_tensors(op, a):
    f = WITH_TENSORS[op]
    assert_none_differ(
        (
            (f"{op} {a}{r}, {b}{s}", lambda xp, b=b, r=r, s=s: f(left(xp, a, r), right(xp, b, s)))
            for b in dtypes_for(op)
            for r in RANKS
            for s in RANKS
        ),
        ULPS.get(op, 0),
    )


@each(WITH_NUMBERS)
def test_a_tensor_and_a_python_number(op, a):
    f = WITH_NUMBERS[op]
    assert_none_differ(
        ((f"{op} {a}{r}, {n!r}", lambda xp, r=r, n=n: f(left(xp, a, r), n)) for r in RANKS for n in numbers_for(op, a)),
        ULPS.get(op, 0),
    )
    assert_none_differ(
        (
            (f"{op} {n!r}, {a}{r}", lambda xp, r=r, n=n: f(n, right(xp, a, r)))
            for r in RANKS
            for n in numbers_for(op, a)
        ),
        ULPS.get(op, 0),
    )


@pytest.mark.parametrize("a", DTYPES)
def test_joins(a):
    assert_none_differ((f"cat {a}, {b}", lambda xp, b=b: xp.cat([left(xp, a), right(xp, b)])) for b in DTYPES)
    assert_none_differ(
        (f"stack {a}{r}, {b}{r}", lambda xp, b=b, r=r: xp.stack([left(xp, a, r), right(xp, b, r)]))
        for b in DTYPES
        for r in RANKS
    )


def test_numpy_scalars_and_arrays_meet_tensors_as_tensors_do():
    for b in DTYPES:
        value = np.array(RIGHT[b], b)
        for a in DTYPES:
            expected = dtype_name(torch.add(left(torch, a), right(torch, b)))
            assert dtype_name(left(tl, a) + value) == dtype_name(value + left(tl, a)) == expected


# ---- in place

IN_PLACE = {name: getattr(operator, name) for name in "iadd isub imul itruediv ifloordiv imod ipow".split()}


@each(IN_PLACE)
def test_in_place(op, a):
    others = [(f"{b}{s}", lambda xp, b=b, s=s: right(xp, b, s)) for b in dtypes_for(op) for s in RANKS]
    others += [(repr(n), lambda xp, n=n: n) for n in numbers_for(op, a)]
    assert_none_differ(
        (
            (f"{op} {a}{r}, {title}", lambda xp, r=r, other=other: IN_PLACE[op](left(xp, a, r), other(xp)))
            for title, other in others
            for r in RANKS
            if not (a == "uint8" and title in [f"{b}{r}" for b in SIGNED])  # deliberate: that does not fit
        ),
        ULPS.get(op, 0),
    )


def put(tensor, key, value):
    tensor[key] = value
    return tensor


@pytest.mark.parametrize("a", DTYPES)
def test_conversions(a):
    numbers = (True, 0, 2, 2.5, 100)
    assert_none_differ((f"{a}.copy_({b})", lambda xp, b=b: left(xp, a).copy_(right(xp, b))) for b in DTYPES)
    assert_none_differ((f"{b}.to({a})", lambda xp, b=b: right(xp, b).to(getattr(xp, a))) for b in DTYPES)
    assert_none_differ((f"{b}.type_as({a})", lambda xp, b=b: right(xp, b).type_as(left(xp, a))) for b in DTYPES)
    assert_none_differ((f"{a}.fill_({n})", lambda xp, n=n: left(xp, a).fill_(n)) for n in numbers)
    assert_none_differ((f"{a}[0] = {n}", lambda xp, n=n: put(left(xp, a), 0, n)) for n in numbers)
    assert_none_differ((f"{a}[:] = {b}", lambda xp, b=b: put(left(xp, a), slice(None), right(xp, b))) for b in DTYPES)
    assert_none_differ(
        (f"{a}.masked_fill({n})", lambda xp, n=n: left(xp, a).masked_fill(mask(xp), n)) for n in numbers[:3]
    )


# ---- operations of one

EXACT = "abs neg square sign ceil floor round relu clone isnan isinf isfinite logical_not bitwise_not".split()
ROUNDED = "reciprocal exp expm1 log log1p sin cos tanh sigmoid sqrt".split()


@pytest.mark.parametrize("op", [*EXACT, *ROUNDED])
def test_unary(op):
    assert_none_differ(
        ((f"{op} {a}{r}", lambda xp, a=a, r=r: getattr(xp, op)(left(xp, a, r))) for a in DTYPES for r in RANKS),
        ulps=4 if op in ROUNDED else 0,
    )


@pytest.mark.parametrize("op", "sum prod any all amax amin argmax argmin max min count_nonzero".split())
def test_reductions(op):
    ties = op in ("argmax", "argmin", "max", "min")  # then the index may be that of any
    deliberate = {"any": "uint8", "all": "uint8", "argmax": "bool", "argmin": "bool"}
    assert_none_differ(
        (f"{op} {a}{r}, dim={dim}", lambda xp, a=a, r=r, dim=dim: getattr(xp, op)(left(xp, a, r), *dim))
        for a in DTYPES
        for r in RANKS
        for dim in ((), (0,))
        if not (ties and a == "bool" and dim) and deliberate.get(op) != a
    )


@pytest.mark.parametrize("op", ["mean", "var", "std"])
def test_reductions_of_floats(op):
    assert_none_differ(((f"{op} {a}", lambda xp, a=a: getattr(xp, op)(left(xp, a))) for a in DTYPES), ulps=4)


@pytest.mark.parametrize("to", DTYPES)
def test_sum_in_another_dtype(to):
    assert_none_differ(
        (f"{a}.sum(dtype={to})", lambda xp, a=a: right(xp, a).sum(dtype=getattr(xp, to))) for a in DTYPES
    )


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "logsumexp"])
def test_softmax(op):
    assert_none_differ(((f"{op} {a}", lambda xp, a=a: getattr(xp, op)(left(xp, a), 0)) for a in DTYPES), ulps=4)


@pytest.mark.parametrize("bounds", [(0, 2), (0.5, None), (None, 1), (1, 2.5), (None, np.float64(1.5))])
def test_clamp(bounds):
    assert_none_differ((f"{a}.clamp{bounds}", lambda xp, a=a: left(xp, a).clamp(*bounds)) for a in DTYPES)


PRODUCTS = {"matmul": (2, 2), "mm": (2, 2), "mv": (2, 1), "bmm": (3, 3), "dot": (1, 1), "outer": (1, 1)}


@pytest.mark.parametrize("op", PRODUCTS)
def test_products_want_one_dtype(op):
    def product(xp, *dtypes):
        operands = zip(PRODUCTS[op], dtypes, strict=True)
        return getattr(xp, op)(*[xp.ones((2,) * ndim, dtype=getattr(xp, dtype)) for ndim, dtype in operands])

    assert_none_differ((f"{op} {a}, {b}", lambda xp, a=a, b=b: product(xp, a, b)) for a in DTYPES for b in DTYPES)


# ---- what PyTorch refuses


@pytest.mark.parametrize("f", [operator.sub, operator.isub])
def test_bools_do_not_subtract(f):
    assert_none_differ([("bool - bool", lambda xp: f(left(xp, "bool"), right(xp, "bool")))])
    assert_none_differ([("bool - True", lambda xp: f(left(xp, "bool"), True))])


def test_bools_have_no_negative():
    assert_none_differ([("-bool", lambda xp: -left(xp, "bool"))])


@pytest.mark.parametrize("a", DTYPES[1:])
def test_beside_a_number_a_bool_counts_as_0_or_1(a):
    """Deliberate: what PyTorch refuses."""
    number, truth = left(tl, a).numpy(), right(tl, "bool").numpy()
    assert (left(tl, a) - right(tl, "bool")).tolist() == (number - truth.astype(a)).tolist()
    assert (right(tl, "bool") - left(tl, a)).tolist() == (truth.astype(a) - number).tolist()
    assert (left(tl, a) - right(tl, "bool")).dtype == a


@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_integers_do_not_divide_by_zero(op):
    f = OPERATORS[op]
    assert_none_differ((f"{op} {a}, 0", lambda xp, a=a: f(left(xp, a), 0)) for a in ("bool", *INTEGERS))
    assert_none_differ((f"{op} {a}, {a}", lambda xp, a=a: f(right(xp, a), left(xp, a) * 0)) for a in INTEGERS)


def test_negative_integer_powers():
    assert_none_differ((f"{a} ** -1", lambda xp, a=a: left(xp, a) ** -1) for a in INTEGERS)
    for a in SIGNED:  # deliberate: PyTorch gives 0
        for base in (2, left(tl, a)):
            with pytest.raises(RuntimeError, match=r"pow.*negative"):
                base ** -right(tl, a)


@pytest.mark.parametrize("a", ["uint8", "int8"])
def test_numbers_that_do_not_fit(a):
    assert_none_differ(
        [
            ("where", lambda xp: xp.where(mask(xp), left(xp, a), 300)),
            ("clamp", lambda xp: left(xp, a).clamp(max=300)),
            ("pow", lambda xp: left(xp, a) ** 300),
            ("fill_", lambda xp: left(xp, a).fill_(300)),
            ("setitem", lambda xp: put(left(xp, a), 0, 300)),
            ("masked_fill", lambda xp: left(xp, a).masked_fill(mask(xp), 300)),
            ("full", lambda xp: xp.full((2,), 300, dtype=getattr(xp, a))),
            ("tensor", lambda xp: xp.tensor([300], dtype=getattr(xp, a))),
        ]
    )
