"""Passes leave what a program computes as it is: bit for bit, or up to rounding."""

import math

import numpy as np
import pytest

from tests.compiler.reference import Maker, assert_bitwise_equal, evaluate, everything
from tinygrad_lite.compiler.passes import EXACT, NATIVE, fold_constants, listing, merge_equal, run_passes, simplify
from tinygrad_lite.compiler.program import Value

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ops(program):
    return [value.op for value in program.values() if value.op not in {"input", "constant", "number"}]


def made(*values):
    """The program of a maker whose outputs are these values."""
    maker, *outputs = values
    maker.program.outputs = outputs
    return maker.program


# ---- merge_equal


def test_a_call_that_is_made_twice_is_made_once():
    m = Maker()
    x = m.input(floats(3))
    program = made(m, m.call("add", m.call("exp", x), m.call("exp", x)))
    assert ops(merge_equal(program)) == ["exp", "add"]


def test_calls_that_differ_in_a_param_stay_two():
    m = Maker()
    x = m.input(floats(3, 3))
    program = made(m, m.reduce("add", x, (0,)), m.reduce("add", x, (1,)), m.reduce("add", x, (1,), True))
    assert len(ops(merge_equal(program))) == 3


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1, 1.0), (1, True)], ids=str)
def test_numbers_that_are_equal_but_not_the_same_stay_two(pair):
    m = Maker()
    x = m.input(floats(3))
    program = made(m, *(m.call("add", x, number) for number in pair))
    assert len(ops(merge_equal(program))) == 2


def test_constants_are_merged_by_content():
    m = Maker()
    x = m.input(floats(3))
    program = made(
        m, *(m.call("add", x, m.constant(np.array(data, np.float32))) for data in ([1, 2, 3], [1, 2, 3], [1, 2, 4]))
    )
    first, second, third = merge_equal(program).outputs
    assert first is second
    assert first is not third


def test_draws_are_never_merged():
    m = Maker()
    one, other = (m.draw(object(), "random", (3,), np.float32) for _ in range(2))
    program = merge_equal(made(m, one, other))
    assert program.outputs == [one, other]


def test_a_product_of_two_equal_arrays_does_not_become_one_with_itself():
    """BLAS has a routine of its own for ``x @ x.T``, which rounds in another way."""
    m = Maker()
    x = m.input(floats(37, 41))
    program = made(m, m.call("dot", m.call("exp", x), m.transpose(m.call("exp", x))))
    merged = merge_equal(program)
    assert ops(merged).count("exp") == 1
    assert_bitwise_equal(everything(evaluate(merged, m.arrays)), everything(evaluate(program, m.arrays)))


# ---- fold_constants


def test_what_depends_on_constants_alone_is_computed_before():
    m = Maker()
    x, c = m.input(floats(3)), m.constant(np.arange(3))
    program = made(m, m.call("add", x, m.call("exp", m.call("multiply", c, 0.5))))
    folded = fold_constants(program)
    assert ops(folded) == ["add"]
    assert_bitwise_equal(everything(evaluate(folded, m.arrays)), everything(evaluate(program, m.arrays)))


def test_constants_do_not_grow():
    m = Maker()
    c = m.constant(np.arange(1000.0))
    program = made(m, m.call("multiply", c, m.reshape(c, 1000, 1)))
    assert "multiply" in ops(fold_constants(program))


def test_checks_and_draws_are_not_folded():
    m = Maker()
    c = m.constant(np.arange(3))
    check = m.call("ravel_multi_index", c, dims=(3,))
    program = made(m, m.draw(object(), "random", (3,), np.float32))
    program.checks = [check]
    assert sorted(ops(fold_constants(program))) == ["draw", "ravel_multi_index"]


# ---- simplify


def gate(m, g, z):
    """The rule of relu: the bits of the cotangent times 0 or 1."""
    closed = m.call("less_equal", z, 0)
    bits = m.call("multiply", m.call("bitcast", g, dtype=np.int32), m.call("logical_not", closed))
    return m.call("bitcast", bits, dtype=np.float32)


RULES = {
    "times one": (lambda m, x, y: m.call("multiply", x, 1.0), []),
    "one times": (lambda m, x, y: m.call("multiply", m.constant(np.ones((1, 4), np.float32)), x), []),
    "times minus one": (lambda m, x, y: m.call("multiply", x, -1), ["negative"]),
    "two factors": (lambda m, x, y: m.call("multiply", 3.0, m.call("multiply", x, 0.5)), ["multiply"]),
    "two large factors": (
        lambda m, x, y: m.call("multiply", 1e20, m.call("multiply", x, 1e20)),
        ["multiply", "multiply"],
    ),
    "over next to nothing": (lambda m, x, y: m.call("divide", x, 2.0**-130), ["divide"]),
    "plus zero": (lambda m, x, y: m.call("add", 0, x), []),
    "minus zero": (lambda m, x, y: m.call("subtract", x, 0.0), []),
    "zero minus": (lambda m, x, y: m.call("subtract", 0, x), ["negative"]),
    "minus minus": (lambda m, x, y: m.call("negative", m.call("negative", x)), []),
    "plus minus": (lambda m, x, y: m.call("add", x, m.call("negative", y)), ["subtract"]),
    "minus a negative": (lambda m, x, y: m.call("subtract", x, m.call("negative", y)), ["add"]),
    "over sixteen": (lambda m, x, y: m.call("divide", x, 16), ["multiply"]),
    "over three": (lambda m, x, y: m.call("divide", x, 3), ["divide"]),
    "squared": (lambda m, x, y: m.call("power", x, 2), ["multiply"]),
    "square": (lambda m, x, y: m.call("square", x), ["multiply"]),
    "to the first": (lambda m, x, y: m.call("power", x, 1.0), []),
    "inverse": (lambda m, x, y: m.call("power", x, -1.0), ["divide"]),
    "cubed": (lambda m, x, y: m.call("power", x, 3), ["power"]),
    "copy": (lambda m, x, y: m.call("exp", m.call("copy", x, layout="C")), ["exp"]),
    "transposed twice": (lambda m, x, y: m.transpose(m.transpose(x)), []),
    "reshaped twice": (lambda m, x, y: m.reshape(m.reshape(x, 12), 2, 6), ["reshape"]),
    "reshaped back": (lambda m, x, y: m.reshape(m.reshape(x, 12), 3, 4), []),
    "a new axis": (lambda m, x, y: m.slice(x, slice(None), None), ["reshape"]),
    "part of it": (lambda m, x, y: m.slice(x, slice(1, None)), ["slice"]),
    "reversed": (lambda m, x, y: m.slice(x, slice(None, None, -1)), ["slice"]),
    "broadcast": (
        lambda m, x, y: m.call("add", x, m.call("broadcast_to", m.slice(y, 0), shape=(3, 4))),
        ["slice", "add"],
    ),
    "both broadcast": (
        lambda m, x, y: m.call("exp", m.call("broadcast_to", m.slice(y, 0), shape=(3, 4))),
        ["slice", "broadcast_to", "exp"],
    ),
    "sum of nothing else": (lambda m, x, y: m.reduce("add", m.reshape(x, 12, 1), (1,)), ["reshape"]),
    "sum of equal terms": (
        lambda m, x, y: m.reduce("add", m.call("broadcast_to", m.slice(y, 0), shape=(3, 4)), (0,)),
        ["slice", "multiply"],
    ),
    "sum of some equal terms": (
        lambda m, x, y: m.reduce("add", m.call("broadcast_to", m.slice(y, 0), shape=(3, 4)), (0, 1)),
        ["slice", "reshape", "add.reduce", "multiply"],
    ),
    "largest of equal": (
        lambda m, x, y: m.reduce("maximum", m.call("broadcast_to", m.slice(y, 0), shape=(3, 4)), (0,), True),
        ["slice", "reshape"],
    ),
    "sum of columns": (lambda m, x, y: m.reduce("add", m.transpose(x), (0,)), ["add.reduce"]),
    "gate": (gate, ["less_equal", "where"]),
    "product with a column of ones": (
        lambda m, x, y: m.call("dot", x, m.constant(np.ones((4, 1), np.float32))),
        ["add.reduce"],
    ),
    "product with a row of ones": (
        lambda m, x, y: m.call("matmul", m.constant(np.ones(3, np.float32)), x),
        ["add.reduce"],
    ),
    "product with a row of halves": (
        lambda m, x, y: m.call("dot", m.constant(np.full((1, 3), 0.5, np.float32)), x),
        ["add.reduce", "multiply"],
    ),
    "product with other numbers": (lambda m, x, y: m.call("dot", m.constant(floats(1, 3)), x), ["dot"]),
    "the same dtype": (lambda m, x, y: m.call("cast", x, dtype=np.float32), []),
    "another dtype": (lambda m, x, y: m.call("cast", x, dtype=np.float64), ["cast"]),
}


@pytest.mark.parametrize("name", RULES)
def test_algebra_simplifies_and_keeps_the_value(name):
    m = Maker()
    make, expected = RULES[name]
    program = made(m, make(m, m.input(floats(3, 4)), m.input(floats(3, 4))))
    simple = simplify(program)
    assert ops(simple) == expected
    (before,), (after,) = evaluate(program, m.arrays).outputs, evaluate(simple, m.arrays).outputs
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    np.testing.assert_allclose(after, before, rtol=1e-6)


@pytest.mark.parametrize("name", ["times one", "plus zero", "minus minus"])
def test_algebra_keeps_the_shape_of_a_broadcast(name):
    m = Maker()
    x = m.input(floats(3, 4))
    operand = {"times one": 1, "plus zero": 0, "minus minus": 0}[name]
    op = {"times one": "multiply", "plus zero": "add", "minus minus": "subtract"}[name]
    program = made(m, m.call(op, x, m.constant(np.full((2, 3, 4), operand, np.float32))))
    assert evaluate(simplify(program), m.arrays).outputs[0].shape == (2, 3, 4)


def test_algebra_keeps_the_dtype_of_a_promotion():
    m = Maker()
    program = made(m, m.call("multiply", m.input(np.arange(3)), 1.0))
    assert evaluate(simplify(program), m.arrays).outputs[0].dtype == np.float64


def test_a_copy_that_is_a_result_stays():
    m = Maker()
    program = made(m, m.call("copy", m.input(floats(3)), layout="K"))
    assert ops(simplify(program)) == ["copy"]


def test_infinite_cotangents_stop_at_a_closed_gate():
    m = Maker()
    g, z = np.array([math.inf, math.inf, math.nan], np.float32), np.array([-1, 1, -1], np.float32)
    program = made(m, gate(m, m.input(g), m.input(z)))
    (found,) = evaluate(simplify(program), m.arrays).outputs
    np.testing.assert_array_equal(found, [0, math.inf, 0])


# ---- all of them


def test_passes_keep_roots_of_every_kind():
    m = Maker()
    x, w = m.input(floats(3)), m.input(floats(3))
    program = made(m, m.call("add", m.call("exp", x), m.call("exp", x)))
    program.gradients = [("w", m.call("multiply", m.call("exp", x), 2.0))]
    program.writes = [(1, m.call("subtract", w, m.call("exp", x)))]
    expected = evaluate(program, m.arrays)
    assert_bitwise_equal(everything(evaluate(run_passes(program, EXACT), m.arrays)), everything(expected))
    for ours, theirs in zip(
        everything(evaluate(run_passes(program, NATIVE), m.arrays)), everything(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_listing_shows_every_value_and_every_write():
    m = Maker()
    w = m.input(floats(3), "fc.weight")
    m.program.writes = [(0, m.call("subtract", w, m.call("multiply", w, m.number("lr"))))]
    lines = listing(m.program).splitlines()
    assert [line.split()[0] for line in lines] == ["fc_weight", "t1", "t2", "fc_weight"]
    assert "multiply(fc_weight, lr)" in lines[1]
    assert lines[-1].split() == ["fc_weight", "<-", "t2"]


def test_a_value_made_by_algebra_comes_after_its_inputs():
    m = Maker()
    x = m.input(floats(3, 4))
    program = simplify(made(m, m.reduce("add", m.call("broadcast_to", m.call("exp", x), shape=(5, 3, 4)), (0, 1))))
    order = {value: number for number, value in enumerate(program.values())}
    assert all(order[x] < order[value] for value in order for x in value.inputs)
    assert isinstance(program.outputs[0], Value)
