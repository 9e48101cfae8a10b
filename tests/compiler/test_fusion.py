"""Which operations share a loop, and where what is between loops lies."""

import itertools
import math

import numpy as np

from tests.compiler.reference import Maker
from tinygrad_lite.compiler.arena import place_results, shared_results
from tinygrad_lite.compiler.fusion import fuse, needs_of
from tinygrad_lite.compiler.lowering import lower


def fused(m, *outputs):
    """The operations of each group, by name."""
    m.program.outputs = list(outputs)
    groups = fuse(lower(m.program).nodes)
    return [[node.op for node in group.nodes if node.op != "store"] for group in groups]


def chain(m, x, n):
    for _ in range(n):
        x = m.call("tanh", m.call("multiply", x, 2.0))
    return x


def test_a_chain_of_operations_is_one_loop():
    m = Maker()
    x = m.input(np.zeros((50, 60)))
    (group,) = fused(m, m.reduce("add", chain(m, x, 5), (0, 1)))
    assert len(group) == 11


def test_what_needs_a_whole_sum_is_in_a_later_loop():
    m = Maker()
    x = m.input(np.zeros((50, 60)))
    total = m.reduce("add", x, (1,), keepdims=True)
    assert fused(m, m.call("divide", x, total)) == [["add"], ["divide"]]


def test_what_reads_in_another_order_is_in_a_later_loop():
    m = Maker()
    x = m.input(np.zeros((50, 50)))
    y = m.call("exp", x)
    assert fused(m, m.call("add", y, m.transpose(y))) == [["exp"], ["add"]]


def test_loops_that_read_the_same_are_one():
    m = Maker()
    x = m.input(np.zeros((500, 600)))
    assert fused(m, m.call("exp", x), m.call("tanh", x)) == [["exp", "tanh"]]


def test_large_loops_that_share_nothing_stay_apart():
    m = Maker()
    x, y = m.input(np.zeros((500, 600))), m.input(np.zeros((500, 600)))
    assert fused(m, m.call("exp", x), m.call("exp", y)) == [["exp"], ["exp"]]


def test_nothing_is_fused_around_a_group_that_lies_between():
    m = Maker()
    x = m.input(np.zeros((50, 60)))
    y = m.call("exp", x)
    z = m.call("subtract", y, m.reduce("maximum", y, (0, 1)))
    m.program.outputs = [z, m.reduce("add", z, (0,))]
    groups = fuse(lower(m.program).nodes)
    order = {node: i for i, group in enumerate(groups) for node in group.nodes}
    for node, needed in needs_of(list(order)).items():
        assert all(order[x] <= order[node] for x in needed)


def test_results_that_are_needed_at_the_same_time_lie_apart_and_others_share():
    m = Maker()
    x = m.input(np.zeros((40, 40)))
    for _ in range(6):
        x = m.call("dot", x, x)
    m.program.outputs = [m.reduce("add", x, (0, 1))]
    groups = fuse(lower(m.program).nodes)
    shared = shared_results(groups)
    assert place_results(groups, shared) == 2 * 40 * 40 * 8
    for group in groups:
        here = {
            b for node in group.nodes for b in (node.result, *(a.buffer for a in node.accesses)) if b.kind == "arena"
        }
        spans = sorted((b.offset, b.offset + b.nbytes) for b in here & shared)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert math.prod((40, 40)) == groups[0].nodes[0].result.size
