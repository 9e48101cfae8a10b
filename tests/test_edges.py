"""The table of edges: what it says of us, of PyTorch, of every primitive, and that the page shows it."""

import itertools
import warnings

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.edges import EDGES, NO_EDGE, PAGE, page, run
from tinygrad_lite.autograd.primitive import PRIMITIVES

ROWS = list(itertools.chain.from_iterable(EDGES.values()))
every_row = pytest.mark.parametrize("edge", ROWS, ids=lambda edge: f"{edge.code} {edge.edge}")


def assert_result(found, stated):
    if isinstance(stated.value, type):
        assert isinstance(found.value, type), found.value
        assert issubclass(found.value, stated.value)
        return
    assert_values(found.value, stated.value)
    assert sum(g is not None for g in found.gradients) == sum(g is not None for g in stated.gradients)
    for gradient, expected in zip(found.gradients, stated.gradients, strict=False):
        if expected is not None:
            assert_values(gradient, expected)


def assert_values(found, stated):
    assert not isinstance(found, type), found
    stated = np.asarray(stated)
    assert (found.shape, found.dtype) == (stated.shape, stated.dtype)
    np.testing.assert_allclose(found, stated, rtol=4e-16 if stated.dtype.kind == "f" else 0, atol=0)


@every_row
def test_what_we_return(edge):
    assert_result(run(edge, tl), edge.ours)


@every_row
def test_what_pytorch_returns(edge):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a variance of one value
        assert_result(run(edge, torch), edge.theirs)


def test_the_page_shows_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.edges"


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_with_an_edge_has_a_row(name):
    rows = [edge for edge in ROWS if name in edge.primitives.split()]
    reasons = [reason for reason, names in NO_EDGE.items() if name in names.split()]
    assert rows or reasons, (
        f"{name}: add a row to EDGES in tests/edges.py (kinks, poles, ties, empty input, overflow, nan), or its name "
        "to NO_EDGE if it has none; then python -m tests.edges writes the page"
    )
    assert not (rows and reasons), f"{name} has an edge and has none"


def test_the_table_names_only_primitives():
    named = {name for edge in ROWS for name in edge.primitives.split()} | set(" ".join(NO_EDGE.values()).split())
    assert named <= PRIMITIVES.keys()


def test_every_row_says_why():
    assert all(edge.why for edge in ROWS)
    assert all(edge.theirs is edge.ours or edge.theirs != edge.ours for edge in ROWS)
