"""The canonical form of programs: what an operand is in memory."""

import numpy as np
import pytest

from tests.compiler.reference import Maker
from tinygrad_lite.compiler.loops import Literal
from tinygrad_lite.compiler.lowering import Access, contiguous, lower


def lowered(m, *outputs, **more):
    m.program.outputs = list(outputs)
    return lower(m.program, **more).nodes


def maker():
    m = Maker()
    return m, m.input(np.zeros((4, 6), np.float32)), m.input(np.zeros((6, 5), np.float32))


@pytest.mark.parametrize(
    ("view", "offset", "strides"),
    [
        (lambda m, x: x, 0, (6, 1)),
        (lambda m, x: m.slice(x, slice(1, 3), slice(None, None, 2)), 6, (6, 2)),
        (lambda m, x: m.slice(x, slice(None), slice(None, None, -1)), 5, (6, -1)),
        (lambda m, x: m.slice(x, 2), 12, (1,)),
        (lambda m, x: m.reshape(x, 2, 12), 0, (12, 1)),
        (lambda m, x: m.reshape(x, 1, 4, 1, 6), 0, (6, 1)),
        (lambda m, x: m.call("broadcast_to", m.slice(x, 0), shape=(3, 6)), 0, (0, 1)),
        (lambda m, x: m.call("copy", x, layout="K"), 0, (6, 1)),
    ],
)
def test_a_view_is_an_offset_and_strides(view, offset, strides):
    m, x, _ = maker()
    store = lowered(m, view(m, x))[-1]
    (access,) = store.operands
    assert (access.buffer.kind, access.offset, access.strides) == ("input", offset, strides)


def test_operations_on_a_transposed_array_run_in_its_order():
    m, x, _ = maker()
    first, second, _ = lowered(m, m.call("exp", m.call("negative", m.transpose(x))))
    assert first.space == second.space == (4, 6)
    assert all(access.is_identity((4, 6)) for access in [*first.accesses, *second.accesses])


def test_a_reshape_that_is_no_view_copies():
    m, x, _ = maker()
    copy, _ = lowered(m, m.reshape(m.transpose(x), 8, 3))
    assert (copy.op, copy.operands[0].strides) == ("copy", (1, 6))


def test_axes_of_one_element_are_gone_and_numbers_are_literals():
    m = Maker()
    x, y = m.input(np.zeros((1, 5, 1))), m.input(np.zeros((5, 1)))
    node, _ = lowered(m, m.call("add", m.call("broadcast_to", y, shape=(1, 5, 1)), x))
    assert node.space == (5,)
    node, _ = lowered(m, m.call("add", x, 2))
    assert node.operands[1] == Literal(np.float64(2))


def test_reductions_name_their_axes_of_the_space():
    m, x, _ = maker()
    (node,) = lowered(m, m.reduce("add", m.transpose(x), (0,)))
    assert (node.space, node.reduced, node.result.size, node.result_strides) == ((4, 6), (1,), 4, (1, 0))


@pytest.mark.parametrize(
    ("sizes", "ops"),
    [
        ((30, 20, 10), ["gemm"]),
        ((30, 1, 10), ["multiply"]),
        ((1, 20, 30), ["multiply", "add"]),
        ((2, 3, 2), ["multiply", "add"]),
    ],
)
def test_products_are_blas_calls_outer_products_or_sums(sizes, ops):
    m = Maker()
    x, y = m.input(np.zeros(sizes[:2])), m.input(np.zeros(sizes[1:]))
    assert [node.op for node in lowered(m, m.call("dot", x, y)) if node.op != "store"] == ops


def test_without_blas_numpy_multiplies_matrices():
    m = Maker()
    x, y = m.input(np.zeros((30, 20))), m.input(np.zeros((20, 10)))
    assert lowered(m, m.call("dot", x, y), has_gemm=lambda _: False)[0].op == "call"


def test_a_transposed_product_is_the_product_of_the_transposed():
    m = Maker()
    x, y = m.input(np.zeros((30, 20))), m.input(np.zeros((20, 10)))
    (node,) = lowered(m, m.transpose(m.call("dot", x, y)))
    assert (node.op, node.space, node.result.kind) == ("gemm", (10, 20, 30), "output")


def test_checks_come_before_what_others_see():
    m = Maker()
    labels, w = m.input(np.zeros(3, np.int64), kind="argument"), m.input(np.zeros(3))
    m.program.checks = [m.call("ravel_multi_index", labels, dims=(4,), shape=(3,), dtype=np.int64)]
    m.program.writes = [(1, m.call("add", w, 1.0))]
    nodes = lowered(m, m.call("exp", w))
    (guard,) = [node for node in nodes if node.op == "guard"]
    outside = [node for node in nodes if node.result.is_outside]
    assert outside
    assert all(guard in node.after for node in outside)


def test_readers_of_an_old_value_come_before_the_write():
    m = Maker()
    w = m.input(np.zeros((3, 3)))
    m.program.writes = [(0, m.call("add", w, 1.0))]
    nodes = lowered(m, m.reduce("add", m.call("exp", m.transpose(w)), (0,)))
    write = next(node for node in nodes if node.result.kind == "input")
    readers = {node for node in nodes if node is not write and any(a.buffer is write.result for a in node.accesses)}
    assert len(readers) == 2
    assert readers <= write.after


def test_contiguous_strides():
    assert contiguous((2, 3, 4)) == (12, 4, 1)
    assert contiguous(()) == ()
    assert isinstance(lowered(*_one())[0].operands[0], Access)


def _one():
    m, x, _ = maker()
    return m, m.call("exp", x)
