"""Long loops run in pieces, and compute what they did."""

import itertools

import numpy as np
import pytest

from tests.compiler.reference import Maker, evaluate
from tinygrad_lite.compiler import jit
from tinygrad_lite.compiler.loops import Buffer, Compute, Index, Load, Loop, Register, Store, Update, flattened
from tinygrad_lite.compiler.pieces import SCRATCH_BYTES, SHORTEST, in_pieces, is_long

FLOAT = np.dtype(np.float32)


def chain(length, size=1000, dtype=FLOAT, keep=False):
    """A loop of that many multiplications in a row; with ``keep`` the last adds up all of them again."""
    x, out = (Buffer("input", dtype, size, place=place) for place in range(2))
    index = Index(0, (("i0", 1),))
    registers = [Register(number, dtype) for number in range(length + 1)]
    body = [Load(registers[0], x, index)]
    body += [Compute(b, "multiply", (a, a), (dtype,) * 3) for a, b in itertools.pairwise(registers)]
    last = registers[-1]
    if keep:
        for old in registers[:-1]:
            total = Register(last.number + 1, dtype)
            body.append(Compute(total, "add", (last, old), (dtype,) * 3))
            last = total
    return Loop("i0", size, [*body, Update("total", "add", registers[1]), Store(out, index, last)])


def test_a_short_body_and_a_short_loop_are_left_whole():
    assert not is_long(chain(50))
    assert not is_long(chain(200, size=SHORTEST - 1))
    assert is_long(chain(200, size=SHORTEST))


def test_each_operation_is_in_one_piece_and_memory_is_written_in_the_last():
    loop = chain(200)
    pieces = in_pieces(loop).body
    assert len(pieces) > 4
    computed = [x for piece in pieces for x in piece.body if isinstance(x, Compute)]
    assert computed == [x for x in loop.body if isinstance(x, Compute)]
    last = pieces[-1].body[-1]
    assert (type(last), last.buffer.kind) == (Store, "input")
    written = [x.buffer.kind for piece in pieces[:-1] for x in piece.body if isinstance(x, Store)]
    assert set(written) == {"scratch"}
    assert any(isinstance(x, Update) for x in pieces[0].body)


def test_what_a_piece_reads_was_computed_or_loaded_in_it():
    for piece in in_pieces(chain(200, keep=True)).body:
        known = set()
        for x in piece.body:
            if isinstance(x, Compute):
                assert known.issuperset(x.operands)
            if isinstance(x, (Load, Compute)):
                known.add(x.target)


def test_scratch_memory_is_used_again_and_bounded():
    def scratch(loop):
        return {x.buffer for x in flattened([in_pieces(loop)]) if isinstance(x, Store) and x.buffer.kind == "scratch"}

    assert len(scratch(chain(400))) == 2
    kept = scratch(chain(300, size=100_000, dtype=np.dtype(np.float64), keep=True))
    assert len(kept) > 100
    assert sum(buffer.nbytes for buffer in kept) <= max(SCRATCH_BYTES, 8 * SHORTEST * len(kept))


@pytest.mark.parametrize(("size", "span"), [(1_000_000, 320), (64, 64), (39_200, 224), (1009, 320), (100, 320)])
def test_spans_are_equally_long_if_they_can_be(size, span):
    assert in_pieces(chain(200, size)).step == span


needs_native = pytest.mark.skipif(not jit.available(), reason="native code needs llvmlite")


def run(maker):
    """What the program leaves natively: outputs, gradients, and the inputs that it changes."""
    from tinygrad_lite.compiler import native

    program, arrays = maker.program, maker.arrays
    gradients = [np.empty(value.shape, value.dtype) for _, value in program.gradients]
    executable = native.compile_program(program)
    executable.bind(arrays, gradients)
    assert not executable.run()
    return [*executable.outputs, *gradients, *(arrays[place] for place, _ in program.writes)]


def long_program(shape, dtype):
    """A chain whose steps are read again in reverse, a mask, a transposed operand, sums, inputs written over."""
    rng = np.random.default_rng(0)
    m = Maker()
    a, b = (m.input(rng.uniform(-1, 1, shape).astype(dtype)) for _ in range(2))
    turned = m.transpose(m.input(rng.uniform(-1, 1, shape[::-1]).astype(dtype)))
    x, steps = m.call("add", a, turned), []
    for _ in range(6):
        steps.append(x)
        x = m.call("subtract", m.call("tanh", m.call("add", m.call("multiply", x, b), a)), b)
    mask, g = m.call("greater", steps[0], 0.1), x
    for y in reversed(steps):
        g = m.call("where", mask, m.call("add", m.call("multiply", g, y), turned), g)
    m.program.writes = [(0, g), (1, m.call("multiply", x, 0.5))]
    m.program.gradients = [("x", m.call("subtract", x, a))]
    m.program.outputs = [
        m.reduce("add", x, (0, 1)),
        m.reduce("maximum", g, (len(shape) - 1,)),
        m.reduce("add", g, (0,)),
    ]
    return m


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(8, 8), (1, 33), (3, 331), (2, 1009), (70, 100), (3, 2500), (40, 3), (5, 320)])
def test_programs_in_pieces_leave_what_numpy_leaves(shape, dtype):
    m = long_program(shape, dtype)
    expected = evaluate(m.program, m.arrays, ())
    eps = np.finfo(dtype).eps
    for ours, theirs in zip(run(m), [*expected.outputs, *expected.gradients, *expected.writes.values()], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=200 * eps, atol=200 * eps * np.sqrt(np.prod(shape)))
