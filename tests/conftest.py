"""What holds for every test: it leaves the library as it found it, and it leaks no reference cycles."""

import gc

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd.graph import Node
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.primitive import PRIMITIVES


@pytest.fixture(autouse=True)
def _seeded():
    tl.manual_seed(0)


@pytest.fixture(autouse=True)
def _state_restored():
    """Grad mode, NumPy's error state, the thread's silent context and the registry are as before."""

    def state():
        return tl.is_grad_enabled(), np.geterr(), thread.run, dict(PRIMITIVES)

    before = state()
    yield
    assert state() == before


@pytest.fixture(autouse=True)
def _no_reference_cycles():
    """Tensors and nodes die by reference counting: with the collector off, none waits in a cycle for it."""
    gc.collect()
    gc.freeze()  # what lives already needs no look: then a collection takes no time, however much is imported
    gc.disable()
    yield
    try:
        assert not _leaked()
    finally:
        gc.enable()


@pytest.fixture
def leaked():
    """Finds the tensors and nodes that only the garbage collector can free, and frees them."""
    return _leaked


def _leaked():
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [repr(thing) for thing in gc.garbage if isinstance(thing, (tl.Tensor, Node)) and _in_a_cycle(thing)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


def _in_a_cycle(thing):
    """Whether it leads to itself; a tensor that merely hangs on a cycle, as of a caught exception, does not."""
    garbage = {id(other) for other in gc.garbage}
    seen, stack = set(), [thing]
    while stack:
        for other in gc.get_referents(stack.pop()):
            if other is thing:
                return True
            if id(other) in garbage and id(other) not in seen:
                seen.add(id(other))
                stack.append(other)
    return False


@pytest.fixture
def local_primitives():
    """Lets a test define primitives of its own: the registry forgets them afterwards."""
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)
