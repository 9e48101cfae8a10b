"""A program as NumPy gives bitwise what its calls give one by one: replayed in lent memory, and as source to run."""

import gc
import inspect
import weakref

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.reference import Maker, assert_bitwise_equal, evaluate, everything
from tests.test_protocols import NETS, OPTIMIZERS, Training
from tinygrad_lite.compiler.capture import capture
from tinygrad_lite.compiler.naming import identifier
from tinygrad_lite.compiler.numpy_emitter import compile_program, source
from tinygrad_lite.compiler.passes import EXACT, NATIVE, run_passes
from tinygrad_lite.compiler.program import Slot, Value
from tinygrad_lite.compiler.surroundings import Surroundings

RNG = np.random.default_rng(0)
NUMBERS = {"lr": 0.1, "1 - lr * weight_decay": 0.99, "betas[0]": 0.9, "group.eps": 1e-3}


def floats(*shape, dtype=np.float32):
    return (RNG.random(shape) + 0.5).astype(dtype)


class Generator:
    """Gives the same random numbers again after ``restart``."""

    def restart(self):
        self.numpy = np.random.default_rng(0)
        return self


# ---- holding both against the meaning


def assert_replays(program, arrays, numbers=NUMBERS, generator=None):
    """Bind once and run twice, on other arrays: each time everything is as it should be."""
    executable = compile_program(program)
    executable.numbers[:] = [numbers[text] for text in executable.number_sources]
    for scale in (1, 2):
        inputs = [in_layout_of(a, a * a.dtype.type(scale) if a.dtype.kind == "f" else a) for a in arrays]
        restart(generator)
        expected = evaluate(program, inputs, numbers)
        gradients, before = executable.empty_gradients(), [np.copy(x) for x in inputs]
        executable.bind(inputs, gradients)
        restart(generator)
        with np.errstate(all="ignore"):
            executable.run()
        assert_bitwise_equal(executable.outputs, expected.outputs)
        assert_bitwise_equal(gradients, expected.gradients)
        for place, array in enumerate(inputs):
            assert_bitwise_equal([array], [expected.writes.get(place, before[place])])
    return executable


def assert_source_runs(program, arrays, numbers=NUMBERS, generator=None):
    """The text alone, in an empty namespace."""
    text = source(program)
    namespace = {}
    exec(f"import numpy as np\n{text}", namespace)
    step = namespace["step"]
    restart(generator)
    expected = evaluate(program, arrays, numbers)
    inputs = dict(zip(map(identifier, program.names), (in_layout_of(a, a) for a in arrays), strict=True))
    restart(generator)
    given = {}
    for name in inspect.signature(step).parameters:
        if name in inputs:
            given[name] = inputs[name]
        else:
            known = {"lr": 0.1, "weight_decay": 0.1, "betas": (0.9, 0.99), "group_eps": 1e-3, **constants(program)}
            given[name] = generator.numpy if name == "rng" else known[name]
    with np.errstate(all="ignore"):
        returned = step(**given)
    results = list(returned) if isinstance(returned, tuple) else [] if returned is None else [returned]
    gradients = results.pop() if program.gradients else {}
    assert_bitwise_equal(map(np.asarray, results), expected.outputs)
    assert list(gradients) == [name for name, _ in program.gradients]
    assert_bitwise_equal(map(np.asarray, gradients.values()), expected.gradients)
    for place, (array, before) in enumerate(zip(inputs.values(), arrays, strict=True)):
        assert_bitwise_equal([array], [expected.writes.get(place, before)])
    return text


def constants(program):
    """Large constants under the names that the source gives them."""
    large = [v.params["data"] for v in program.values() if v.op == "constant" and not v.is_literal]
    return {f"constant{number}": data for number, data in enumerate(large, 1)}


def restart(generator):
    if generator is not None:
        generator.restart()


def in_layout_of(array, elements):
    """The elements in new memory with the strides of the array."""
    copy = np.copy(array, order="K")
    if copy.strides != array.strides and array.size:
        low = sum(min(0, (n - 1) * s) for n, s in zip(array.shape, array.strides, strict=True))
        high = sum(max(0, (n - 1) * s) for n, s in zip(array.shape, array.strides, strict=True))
        copy = np.ndarray(
            array.shape, array.dtype, np.zeros(high - low + array.itemsize, np.uint8), -low, array.strides
        )
    copy[...] = elements
    return copy


def check(maker, generator=None):
    assert_replays(maker.program, maker.arrays, generator=generator)
    return assert_source_runs(maker.program, maker.arrays, generator=generator)


# ---- every operation


def called(m, function, inputs, args, **kwargs):
    return m.call("call", *inputs, function=function, args=args, kwargs=kwargs)


def gated(m, x):
    bits = m.call("multiply", m.call("bitcast", x, dtype=np.int32), m.call("greater", x, 1))
    return m.call("bitcast", bits, dtype=np.float32)


def several(m, x):
    parts = called(m, np.divmod, (x,), (Slot(0), 0.25))
    return m.call("add", *(m.call("pick", parts, index=index) for index in (0, 1)))


OPERATIONS = {
    "ufunc": lambda m, x, y, i: m.call("arctan2", x, y),
    "operator": lambda m, x, y, i: m.call("subtract", x, y),
    "Python number": lambda m, x, y, i: m.call("multiply", 0.1, x),
    "negative number": lambda m, x, y, i: m.call("add", x, -2),
    "infinite number": lambda m, x, y, i: m.call("minimum", x, np.inf),
    "hyperparameter": lambda m, x, y, i: m.call("multiply", x, m.number("lr")),
    "expression of hyperparameters": lambda m, x, y, i: m.call("multiply", x, m.number("1 - lr * weight_decay")),
    "hyperparameter among others": lambda m, x, y, i: m.call("power", m.number("betas[0]"), x),
    "attribute": lambda m, x, y, i: m.call("add", x, m.number("group.eps")),
    "given dtype": lambda m, x, y, i: m.call("multiply", i, 0.5, dtypes=(np.dtype("f4"),) * 3, forced=True),
    "comparison": lambda m, x, y, i: m.call("less_equal", x, y),
    "promotion": lambda m, x, y, i: m.call("add", x, i),
    "bools": lambda m, x, y, i: m.call("logical_and", m.call("greater", x, y), m.call("greater", x, 1)),
    "sum": lambda m, x, y, i: m.reduce("add", x, (0,)),
    "sum of everything": lambda m, x, y, i: m.reduce("add", x, (0, 1)),
    "sum of rows": lambda m, x, y, i: m.reduce("add", x, (1,), True),
    "sum of columns of a transpose": lambda m, x, y, i: m.reduce("add", m.call("exp", m.transpose(x)), (1,)),
    "sum of nothing": lambda m, x, y, i: m.reduce("add", x, ()),
    "largest": lambda m, x, y, i: m.reduce("maximum", x, (1,), True, -np.inf),
    "product": lambda m, x, y, i: m.reduce("multiply", x, (0,)),
    "all": lambda m, x, y, i: m.reduce("logical_and", m.call("greater", x, 1), (0,)),
    "hypotenuse": lambda m, x, y, i: m.reduce("hypot", x, (0,)),
    "dot": lambda m, x, y, i: m.call("dot", x, m.transpose(y)),
    "product with itself": lambda m, x, y, i: m.call("dot", m.transpose(x), x),
    "inner product": lambda m, x, y, i: m.call("dot", m.slice(x, 0), m.slice(y, 1)),
    "matrix and vector": lambda m, x, y, i: m.call("dot", x, m.slice(y, 1)),
    "matmul": lambda m, x, y, i: m.call("matmul", m.reshape(x, 2, 2, 3), m.transpose(y)),
    "where": lambda m, x, y, i: m.call("where", m.call("greater", x, y), x, y),
    "where a number": lambda m, x, y, i: m.call("where", m.call("greater", x, y), m.call("exp", x), 0),
    "where numbers": lambda m, x, y, i: m.call("where", m.call("greater", x, y), 1.0, 0.5),
    "where integers": lambda m, x, y, i: m.call("where", i, x, y),
    "view of nothing": lambda m, x, y, i: m.slice(x, slice(2, 2)),
    "reshape": lambda m, x, y, i: m.call("exp", m.reshape(x, 2, 6)),
    "copying reshape": lambda m, x, y, i: m.call("exp", m.reshape(m.transpose(x), 2, 6)),
    "new axis": lambda m, x, y, i: m.call("add", m.reshape(x, 4, 1, 3), m.reshape(y, 1, 4, 3)),
    "last axis": lambda m, x, y, i: m.call("multiply", x, m.reshape(m.reduce("add", x, (1,)), 4, 1)),
    "0-d": lambda m, x, y, i: m.call("exp", m.call("multiply", m.reduce("add", x, (0, 1)), 1e-3)),
    "element": lambda m, x, y, i: m.call("exp", m.slice(x, 1, -1)),
    "slice": lambda m, x, y, i: m.call("exp", m.slice(x, slice(None, None, -2), slice(1, 3))),
    "permuted": lambda m, x, y, i: m.call("exp", m.transpose(m.reshape(x, 2, 2, 3), 1, 2, 0)),
    "broadcast": lambda m, x, y, i: m.call("exp", m.call("broadcast_to", m.slice(x, 0), shape=(5, 3))),
    "bits": lambda m, x, y, i: gated(m, x),
    "copy": lambda m, x, y, i: m.call("copy", m.transpose(x), layout="C"),
    "copy in its layout": lambda m, x, y, i: m.call("copy", m.transpose(x), layout="K"),
    "cast": lambda m, x, y, i: m.call("cast", x, dtype=np.int64),
    "cast to the same": lambda m, x, y, i: m.call("exp", m.call("cast", x, dtype=np.float32)),
    "cast of a number": lambda m, x, y, i: m.call("broadcast_to", m.call("cast", 0.5, dtype=np.float32), shape=(4, 3)),
    "check": lambda m, x, y, i: m.call("ravel_multi_index", i, dims=(9,)),
    "take": lambda m, x, y, i: m.call("take", m.constant(np.arange(9.0)), i),
    "rows and columns": lambda m, x, y, i: m.call("getitem", x, m.slice(i, 1), m.slice(i, 0), key=(Slot(1), Slot(2))),
    "view of an indexed array": lambda m, x, y, i: m.transpose(m.call("getitem", x, m.slice(i, 0), key=(Slot(1),))),
    "setitem": lambda m, x, y, i: m.call("setitem", x, m.slice(y, 0), key=(slice(1, None, 2),)),
    "setitem by index": lambda m, x, y, i: m.call("setitem", x, 0.5, m.slice(i, 0), key=(Slot(2), slice(0, 1))),
    "add at": lambda m, x, y, i: m.call("add.at", x, m.slice(y, 0), m.slice(i, 0), key=(Slot(2),)),
    "function": lambda m, x, y, i: called(m, np.concatenate, (x, y), ((Slot(0), Slot(1)),), axis=1),
    "method": lambda m, x, y, i: called(m, np.add.accumulate, (x,), (Slot(0),), axis=0),
    "submodule": lambda m, x, y, i: called(m, np.linalg.norm, (x,), (Slot(0),)),
    "several results": lambda m, x, y, i: several(m, x),
    "counted": lambda m, x, y, i: m.call("multiply", x, m.constant(np.arange(3))),
    "ones": lambda m, x, y, i: m.call("dot", x, m.constant(np.ones((3, 1), np.float32))),
    "minus zeros": lambda m, x, y, i: m.call("add", m.call("multiply", x, 0), m.constant(np.full(3, -0.0, np.float32))),
    "small constant": lambda m, x, y, i: m.call("multiply", x, m.constant(np.array([0.1, np.inf, np.nan], np.float32))),
    "0-d constant": lambda m, x, y, i: m.call("multiply", x, m.constant(np.array(0.1, np.float32))),
    "0-d constant of another dtype": lambda m, x, y, i: m.call("multiply", x, m.constant(np.array(0.1))),
    "large constant": lambda m, x, y, i: m.call("multiply", m.reshape(x, 12, 1), m.constant(floats(12, 17))),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_bitwise_what_it_means(name):
    m = Maker()
    x, y, i = m.input(floats(4, 3)), m.input(floats(4, 3)), m.input(np.array([[0, 2, 1], [2, 2, 0]]).repeat(2, axis=0))
    value = OPERATIONS[name](m, x, y, i)
    m.program.outputs = [value]
    arrays = m.arrays
    assert_source_runs(m.program, arrays)
    executable = compile_program(m.program)
    executable.numbers[:] = [NUMBERS[text] for text in executable.number_sources]
    executable.bind(arrays, [])
    for _ in range(2):
        executable.run()
        assert_bitwise_equal(executable.outputs, evaluate(m.program, arrays, NUMBERS).outputs)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_can_be_left_as_gradient_and_as_state(name):
    m = Maker()
    x, y, i = m.input(floats(4, 3)), m.input(floats(4, 3)), m.input(np.array([[0, 2, 1], [2, 2, 0]]).repeat(2, axis=0))
    value = OPERATIONS[name](m, x, y, i)
    m.input(np.zeros(value.shape, value.dtype))
    m.program.gradients, m.program.writes = [("y", value)], [(3, value)]
    executable, arrays = compile_program(m.program), m.arrays
    executable.numbers[:] = [NUMBERS[text] for text in executable.number_sources]
    gradients = executable.empty_gradients()
    executable.bind(arrays, gradients)
    expected = evaluate(m.program, arrays, NUMBERS)
    executable.run()
    assert_bitwise_equal([*gradients, arrays[3]], [*expected.gradients, expected.writes[3]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["random", "standard_normal"])
def test_random_numbers_are_drawn_at_every_run(method, dtype):
    m, generator = Maker(), Generator()
    x = m.input(floats(5, 3, dtype=dtype))
    draws = m.draw(generator, method, (5, 3), dtype)
    m.program.outputs = [m.call("multiply", x, draws), m.draw(generator, "normal", 0.0, 1.0, (2,))]
    text = check(m, generator)
    assert f"rng.{method}((5, 3), np.{np.dtype(dtype).name})" in text


# ---- memory


def test_an_output_that_is_an_input_is_a_copy():
    m = Maker()
    x = m.input(floats(3))
    m.program.outputs, m.program.writes = [x, m.slice(x, slice(1, None))], [(0, m.call("exp", x))]
    check(m)


def test_an_output_that_is_a_number_or_a_constant():
    m = Maker()
    m.program.outputs = [m.constant(np.arange(3)), m.slice(m.constant(np.arange(3)), slice(1, None))]
    m.program.outputs += [m.number("lr"), m.number("betas[0]")]
    check(m)


def test_two_states_are_swapped():
    m = Maker()
    x, y = m.input(floats(3)), m.input(floats(3))
    m.program.writes = [(0, y), (1, x)]
    check(m)


def test_a_state_becomes_its_own_transpose():
    m = Maker()
    x, _ = m.input(floats(3, 3)), m.input(floats(3, 3))
    m.program.writes = [(0, m.transpose(x)), (1, m.call("add", x, m.transpose(x)))]
    check(m)


def test_a_state_is_read_after_its_new_value_is_known():
    m = Maker()
    w, _ = m.input(floats(3)), m.input(floats(3))
    new = m.call("multiply", w, 0.5)
    later = m.call("add", m.call("exp", w), new)
    m.program.writes, m.program.outputs = [(0, new), (1, later)], [m.call("exp", m.slice(w, slice(1, None)))]
    check(m)


def test_a_state_is_changed_where_it_is_read_transposed():
    m = Maker()
    w = m.input(floats(4, 4))
    m.program.writes = [(0, m.call("add", m.transpose(w), w))]
    check(m)


def test_one_value_goes_to_two_states_a_gradient_and_an_output():
    m = Maker()
    x, _ = m.input(floats(3)), m.input(floats(3))
    value = m.call("exp", x)
    m.program.writes, m.program.gradients = [(0, value), (1, value)], [("a", value), ("b", value)]
    m.program.outputs = [value, value]
    check(m)


def test_a_product_is_written_to_its_own_operand():
    m = Maker()
    w = m.input(floats(4, 4))
    m.program.writes = [(0, m.call("dot", w, m.transpose(w)))]
    check(m)


def test_a_state_of_no_dimensions_counts_steps():
    m = Maker()
    step = m.input(np.zeros(()))
    count = m.call("add", step, 1)
    m.program.writes, m.program.outputs = (
        [(0, count)],
        [m.call("subtract", 1, m.call("power", m.number("betas[0]"), count))],
    )
    text = check(m)
    assert "x0 += 1" in text


def test_a_momentum_update_is_done_in_place():
    m = Maker()
    w, v, g = (m.input(floats(3, 2), name) for name in ("fc.weight", "fc.weight.momentum", "g"))
    velocity = m.call("add", m.call("multiply", v, 0.9), g)
    m.program.writes = [(0, m.call("subtract", w, m.call("multiply", velocity, m.number("lr")))), (1, velocity)]
    lines = check(m).splitlines()
    assert lines[0] == "def step(fc_weight, fc_weight_momentum, g, *, lr):"
    assert [line.strip() for line in lines[2:]] == [
        "fc_weight_momentum *= 0.9",
        "fc_weight_momentum += g",
        "step_of_fc_weight = fc_weight_momentum * lr",
        "fc_weight -= step_of_fc_weight",
    ]
    assert compile_program(m.program).arena_bytes <= 64


def test_inputs_of_any_layout():
    m = Maker()
    base = floats(6, 8)
    x, y, z = m.input(base.T[::2]), m.input(np.asfortranarray(base)[:4, ::-2]), m.input(base[::-1][:4, :4])
    m.program.outputs = [
        m.reduce("add", m.call("exp", x), (0,)),
        m.call("dot", y, z),
        m.reduce("add", m.call("multiply", y, z), (0, 1)),
    ]
    arrays = [in_layout_of(m.examples[v], m.examples[v]) for v in m.program.inputs]
    assert_source_runs(m.program, arrays)
    executable = compile_program(m.program)
    executable.bind(arrays, [])
    executable.run()
    assert_bitwise_equal(executable.outputs, [m.examples[v] for v in m.program.outputs])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), ()])
def test_empty_and_0d_arrays(shape):
    m = Maker()
    x, w = m.input(floats(*shape)), m.input(floats(*shape))
    y = m.call("exp", m.call("multiply", x, 0.5))
    m.program.outputs = [m.reduce("add", y, tuple(range(len(shape)))), m.transpose(y), m.reshape(y, *shape, 1)]
    m.program.writes, m.program.gradients = [(1, m.call("subtract", w, y))], [("w", y)]
    check(m)


def test_memory_is_used_again():
    m = Maker()
    x = m.input(floats(1000))
    y = x
    for _ in range(20):
        y = m.call("tanh", m.call("add", m.call("multiply", y, x), x))
    m.program.outputs = [m.reduce("add", y, (0,))]
    check(m)
    assert compile_program(m.program).arena_bytes < 3 * 4096


def random_program(seed):
    """Calls, views, changed copies and results drawn at random, on so few arrays that they get in each other's way."""
    rng = np.random.default_rng(seed)
    m = Maker()
    n = int(rng.integers(1, 4))
    values = [m.input(floats(n, n)) for _ in range(3)]

    def pick():
        return values[rng.integers(len(values))]

    for _ in range(rng.integers(3, 15)):
        x, y = pick(), pick()
        made = [
            lambda: m.call("add", x, y),
            lambda: m.call("multiply", x, 0.75),
            lambda: m.call("subtract", x, m.call("multiply", y, m.number("lr"))),
            lambda: m.transpose(x),
            lambda: m.slice(x, slice(None, None, -1)),
            lambda: m.reshape(m.reshape(x, n * n), n, n),
            lambda: m.call("broadcast_to", m.slice(x, 0), shape=(n, n)),
            lambda: m.call("where", m.call("greater", x, y), x, y),
            lambda: m.call("setitem", x, m.slice(y, 0), key=(0,)),
            lambda: m.call("dot", x, y),
            lambda: m.call("copy", x, layout="K"),
            lambda: m.call("bitcast", m.call("bitcast", x, dtype=np.int32), dtype=np.float32),
            lambda: m.call("maximum", x, m.reduce("add", y, (1,), True)),
            lambda: m.call("getitem", x, m.constant(np.arange(n)[::-1].copy()), key=(Slot(1),)),
        ]
        values.append(made[rng.integers(len(made))]())
    m.program.writes = [(place, pick()) for place in range(3) if rng.random() < 0.7]
    m.program.gradients = [(f"g{k}", pick()) for k in range(rng.integers(3))]
    m.program.outputs = [pick() for _ in range(rng.integers(3))]
    return m


@pytest.mark.parametrize("passes", [(), EXACT, NATIVE], ids=["as it is", "exact", "native"])
@pytest.mark.parametrize("block", range(8))
def test_random_programs(block, passes):
    for seed in range(25 * block, 25 * block + 25):
        m = random_program(seed)
        exact = passes is not NATIVE
        expected = evaluate(m.program, m.arrays, NUMBERS)
        m.program = run_passes(m.program, passes)
        if exact:
            assert_bitwise_equal(evaluate(m.program, m.arrays, NUMBERS).outputs, expected.outputs)
        arrays = [in_layout_of(m.examples[v], m.examples[v]) for v in m.program.inputs]
        assert_replays(m.program, arrays)
        assert_source_runs(m.program, arrays)


# ---- the executable


def small():
    m = Maker()
    x, w = m.input(floats(2, 3), kind="argument"), m.input(floats(2, 3))
    m.program.outputs = [m.call("exp", m.transpose(x))]
    m.program.writes = [(1, m.call("add", w, x))]
    m.program.gradients = [("w", m.call("multiply", x, 2))]
    return m, compile_program(m.program)


def test_another_array_can_be_bound():
    m, executable = small()
    x, w = m.arrays
    executable.bind([x, w], executable.empty_gradients())
    other = floats(2, 3)
    executable.rebind(0, other)
    before = w.copy()
    executable.run()
    assert_bitwise_equal([executable.outputs[0], w], [np.exp(other.T), before + other])
    moved = floats(2, 3)
    executable.rebind(1, moved)
    before, old = moved.copy(), w.copy()
    executable.run()
    assert_bitwise_equal([moved, w], [before + other, old])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2), np.float32), "shape"),
        (np.zeros((2, 3)), "float64"),
    ],
)
def test_another_kind_of_array_is_refused(array, message):
    m, executable = small()
    with pytest.raises(ValueError, match=message):
        executable.bind([array, m.arrays[1]], executable.empty_gradients())
    executable.bind(m.arrays, executable.empty_gradients())
    with pytest.raises(ValueError, match=message):
        executable.rebind(0, array)


def test_arrays_of_another_layout_are_copied():
    m, executable = small()
    x, w = (np.asfortranarray(array) for array in m.arrays)
    gradient, before = np.zeros((3, 2), np.float32).T, w.copy()
    executable.bind([x, w], [gradient])
    executable.run()
    assert_bitwise_equal([executable.outputs[0], w, gradient], [np.exp(x.T), before + x, x * 2])
    other, before = floats(3, 2).T, w.copy()
    executable.rebind(0, other)
    executable.run()
    assert_bitwise_equal([executable.outputs[0], w, gradient], [np.exp(other.T), before + other, other * 2])
    fitting, before = floats(2, 3), w.copy()
    executable.rebind(0, fitting)
    executable.run()
    assert_bitwise_equal([executable.outputs[0], w, gradient], [np.exp(fitting.T), before + fitting, fitting * 2])


def test_memory_that_is_changed_is_not_shared():
    m, executable = small()
    x, w = m.arrays
    memory = np.zeros((3, 3), np.float32)
    with pytest.raises(ValueError, match="x1 is changed by the program and shares memory with x0"):
        executable.bind([memory[:2], memory[1:]], executable.empty_gradients())
    with pytest.raises(ValueError, match="the gradient of w"):
        executable.bind([x, w], [w])
    executable.bind([x, w], executable.empty_gradients())
    for array in (w, w[:], w[::1, :], np.frombuffer(memoryview(w).cast("B"), np.float32).reshape(2, 3)):
        with pytest.raises(ValueError, match="shares memory"):
            executable.rebind(0, array)


def test_the_number_of_arrays_is_checked():
    m, executable = small()
    with pytest.raises(ValueError, match="2 inputs and 1 gradients, got 1 and 0"):
        executable.bind(m.arrays[:1], [])


def test_running_before_binding_says_so():
    _, executable = small()
    with pytest.raises(RuntimeError, match="bind"):
        executable.run()
    with pytest.raises(RuntimeError, match="bind"):
        executable.rebind(0, np.zeros((2, 3), np.float32))


def test_what_raises_comes_before_what_changes():
    m = Maker()
    w, labels = m.input(floats(3)), m.input(np.arange(3))
    new = m.call("multiply", w, 0.5)
    gradient = m.call("exp", w)
    m.program.checks = [m.call("ravel_multi_index", labels, dims=(3,))]
    m.program.writes, m.program.gradients = [(0, new)], [("w", gradient)]
    check(m)
    executable, (array, wrong) = compile_program(m.program), m.arrays
    gradients = [np.zeros(3, np.float32)]
    executable.bind([array, wrong], gradients)
    wrong[1], before = 3, array.copy()
    with pytest.raises(ValueError, match="invalid entry"):
        executable.run()
    assert_bitwise_equal([array, *gradients], [before, np.zeros(3, np.float32)])


def test_hyperparameters_are_read_at_every_run():
    m = Maker()
    m.program.outputs = [m.call("multiply", m.input(np.ones(2, np.float32)), m.number("lr"))]
    executable = compile_program(m.program)
    executable.bind(m.arrays, [])
    for lr in (0.1, 0.2):
        executable.numbers[executable.number_sources.index("lr")] = lr
        executable.run()
        assert_bitwise_equal(executable.outputs, [np.ones(2, np.float32) * lr])


def test_the_report_tells_calls_and_memory():
    _, executable = small()
    report = executable.report()
    assert report["calls"] == {"exp": 1, "add": 1, "multiply": 1}
    assert report["in_place"] == ["x1"]
    assert report["copied_at_the_end"] == report["allocated"] == []
    assert report["arena_bytes"] == executable.arena_bytes > 0


def test_an_executable_dies_without_the_garbage_collector():
    m, executable = small()
    arrays = m.arrays
    executable.bind(arrays, executable.empty_gradients())
    executable.run()
    memory = weakref.ref(executable.outputs[0])
    gc.collect()
    del executable
    assert memory() is None


# ---- names


def test_source_has_no_names_that_python_or_numpy_need():
    m = Maker()
    x, y = m.input(floats(2), "np"), m.input(floats(2), "lambda")
    z = m.input(floats(2), "lr")
    m.program.outputs = [m.call("multiply", m.call("add", m.call("exp", x), m.call("add", y, z)), m.number("lr"))]
    text = source(m.program)
    assert text.startswith("def step(np_, lambda_, lr_2, *, lr):")


# ---- whole steps


def captured(net, optimizer):
    training = Training(net, optimizer)
    for seed in (0, 1):
        training.step(*training.data(seed))

    def step(x, y):
        return training.step(x, y)

    found = capture(step, training.data(2), {}, Surroundings(step))
    assert not found.problems
    data = iter(training.data(3))
    arrays = [np.copy((next(data) if t is None else t).detach().numpy(), order="K") for t in found.tensors]
    return found.program, arrays


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_captured_steps_replay_bitwise(net, optimizer):
    program, arrays = captured(net, optimizer)
    executable = compile_program(run_passes(program, EXACT))
    numbers = {text: 0.01 + 0.1 * index for index, text in enumerate(executable.number_sources)}
    executable.numbers[:] = list(numbers.values())
    gradients = executable.empty_gradients()
    executable.bind(arrays, gradients)
    for _ in range(3):
        expected = evaluate(program, arrays, numbers)
        executable.run()
        assert_bitwise_equal(executable.outputs, expected.outputs)
        assert_bitwise_equal(gradients, expected.gradients)
        assert_bitwise_equal([arrays[place] for place in expected.writes], expected.writes.values())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_captured_steps_run_as_source(net, optimizer):
    program, arrays = captured(net, optimizer)
    program = run_passes(program, EXACT)
    program.names = [name.replace("training.net.", "") for name in program.names]
    namespace = {}
    exec(f"import numpy as np\n{source(program)}", namespace)
    step = namespace["step"]
    settings = {"lr": 0.01, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}
    numbers = {
        v.params["source"]: eval(v.params["source"], dict(settings)) for v in program.values() if v.op == "number"
    }
    expected = evaluate(program, arrays, numbers)
    by_name = dict(zip(map(identifier, program.names), arrays, strict=True))
    loss, gradients = step(**{name: {**settings, **by_name}[name] for name in inspect.signature(step).parameters})
    assert_bitwise_equal([np.asarray(loss), *gradients.values()], [*expected.outputs, *expected.gradients])
    assert_bitwise_equal([arrays[place] for place in expected.writes], expected.writes.values())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_algebra_changes_captured_steps_by_rounding_only(net, optimizer):
    program, arrays = captured(net, optimizer)
    simple = run_passes(program, NATIVE)
    numbers = {v.params["source"]: 0.05 for v in program.values() if v.op == "number"}
    assert len(simple.values()) < len(run_passes(program, EXACT).values())
    exact, found = evaluate(program, arrays, numbers), evaluate(simple, arrays, numbers)
    for ours, theirs in zip(everything(found), everything(exact), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert np.linalg.norm(np.ravel(ours - theirs)) <= 1e-5 * np.linalg.norm(np.ravel(theirs)) + 1e-7


def test_a_step_reads_like_backpropagation_by_hand():
    tl.manual_seed(0)
    program, _ = captured("004", "SGD")
    program.names = [name.replace("training.net.", "") for name in program.names]
    program.gradients = [(name.replace("training.net.", ""), value) for name, value in program.gradients]
    text = source(run_passes(program, EXACT))
    for line in [
        "def step(x, y, layer0_weight, layer0_bias, layer2_weight, layer2_bias, *, lr):",
        "# ---- forward",
        "layer0 = t1 + layer0_bias",
        "# ---- backward",
        "sigmoid1 = 1 / t4",
        "d_layer2_weight = np.dot(d_layer2.T, sigmoid1)",
        "d_layer2_bias = np.sum(d_layer2, axis=0)",
        "d_layer0_weight = np.dot(d_layer0.T, x)",
        "# ---- update",
        "step_of_layer0_weight = d_layer0_weight * lr",
        "layer0_weight -= step_of_layer0_weight",
        "return loss, {",
    ]:
        assert line in text


def test_a_loss_outside_of_modules_has_a_heading_and_says_what_it_checks():
    program, _ = captured("004", "SGD")
    lines = [line.strip() for line in source(run_passes(program, NATIVE)).splitlines()]
    after = lines[lines.index("# loss") + 1]
    assert after == "index1 = np.ravel_multi_index((y,), (10,))  # raises where one is out of range"
    assert lines[lines.index("# cross_entropy") + 1] == "mask1 = y[:, None] == np.arange(10)"


def test_a_long_update_has_a_heading_for_each_parameter():
    program, _ = captured("002", "Adam")
    program.names = [name.replace("training.net.", "") for name in program.names]
    lines = [line.strip() for line in source(run_passes(program, NATIVE)).splitlines()]
    headings = [number for number, line in enumerate(lines) if line.startswith("# Adam")]
    parameters = ["layer0_weight", "layer0_bias", "layer2_weight", "layer2_bias"]
    assert [lines[number] for number in headings] == [f"# Adam: {name}" for name in parameters]
    for number, name in zip([*headings[1:], len(lines)], parameters):
        assert f"{name} -= step_of_{name}" in lines[:number]
    short, _ = captured("002", "SGD")
    assert "    # SGD\n" in source(run_passes(short, NATIVE))


def test_views_that_are_results_have_lines_of_their_own():
    m = Maker()
    x = m.input(floats(1, 3))
    made = m.call("exp", x)
    m.program.gradients = [("b", m.reshape(made, 3))]
    m.program.outputs = [m.reshape(x, 3)]
    lines = [line.strip() for line in check(m).splitlines()]
    assert lines[2:] == [
        "t1 = np.exp(x0)",
        "d_b = np.reshape(t1, (3,))",
        "copy_of_output0 = np.copy(np.reshape(x0, (3,)))",
        'return copy_of_output0, {"b": d_b}',
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_written_with_the_digits_that_they_need(dtype):
    m = Maker()
    x = m.input(floats(2, dtype=dtype))
    number = Value("constant", dtype=dtype, data=np.float64(dtype(0.02)))
    m.program.outputs = [Value("multiply", (x, number), (2,), dtype, dtypes=(np.dtype(dtype),) * 3, forced=False)]
    assert "x0 * 0.02\n" in source(m.program)
