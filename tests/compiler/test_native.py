"""Native programs leave what NumPy leaves."""

import gc
import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from tests.compiler.reference import Maker, evaluate
from tinygrad_lite.compiler import jit
from tinygrad_lite.compiler.program import Slot

if not jit.available():
    pytest.skip("native code needs llvmlite", allow_module_level=True)

from tinygrad_lite.compiler import native, scalars

RTOL = {"float32": 2e-6, "float64": 1e-12}


def run(maker, numbers=(), arrays=None):
    """What the program leaves natively: outputs, gradients, and the inputs that it changes; and the executable."""
    program = maker.program
    arrays = maker.arrays if arrays is None else arrays
    gradients = [np.full(value.shape, 99, value.dtype) for _, value in program.gradients]
    executable = native.compile_program(program)
    executable.bind(arrays, gradients)
    for place, source in enumerate(executable.number_sources):
        executable.numbers[place] = dict(numbers)[source]
    with np.errstate(all="ignore"):
        assert not executable.run()
    return executable, [*executable.outputs, *gradients, *(arrays[place] for place, _ in program.writes)]


def check(maker, numbers=(), rtol=None, calls=0):
    """Hold the native program against NumPy; the executable."""
    expected = evaluate(maker.program, maker.arrays, numbers)
    executable, found = run(maker, numbers)
    for ours, theirs in zip(found, [*expected.outputs, *expected.gradients, *expected.writes.values()], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol or RTOL.get(str(ours.dtype), 0), atol=1e-30)
    assert len(executable.report().calls) == calls
    return executable


def outputs(maker, *values):
    maker.program.outputs = list(values)
    return maker


def numbers_like(shape, dtype, seed=0):
    """Numbers of both signs, each dtype with what is special about it."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return rng.normal(0, 2, shape).astype(dtype)


SPECIAL_FLOATS = np.array([0.0, -0.0, 1.0, -2.5, 3e30, np.inf, -np.inf, np.nan])


# ---- elementwise


FLOAT_UNARY = ["negative", "absolute", "fabs", "square", "reciprocal", "sqrt", "exp", "log", "log1p", "expm1", "tanh"]
FLOAT_UNARY += ["sin", "cos", "floor", "ceil", "trunc", "rint", "sign", "isnan", "isinf", "isfinite", "signbit"]
FLOAT_UNARY += ["positive", "logical_not"]
FLOAT_BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "equal",
    "not_equal",
    "less",
    "less_equal",
]
FLOAT_BINARY += [
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logaddexp",
    "power",
    "copysign",
]
INTEGER_BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "equal", "less", "greater_equal"]
INTEGER_BINARY += ["bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", FLOAT_UNARY)
def test_functions_of_one_float(op, dtype):
    m = Maker()
    x = m.input(np.concatenate([SPECIAL_FLOATS, numbers_like(50, dtype)]).astype(dtype))
    check(outputs(m, m.call(op, x)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", FLOAT_BINARY)
def test_functions_of_two_floats_with_every_pair_of_special_ones(op, dtype):
    m = Maker()
    pairs = np.array(list(itertools.product(SPECIAL_FLOATS, SPECIAL_FLOATS)), dtype)
    x = m.input(np.concatenate([pairs[:, 0], numbers_like(30, dtype)]).astype(dtype))
    y = m.input(np.concatenate([pairs[:, 1], numbers_like(30, dtype, 1)]).astype(dtype))
    check(outputs(m, m.call(op, x, y)))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op", INTEGER_BINARY)
def test_integers_wrap_around(op, dtype):
    m = Maker()
    x, y = m.input(numbers_like(40, dtype)), m.input(numbers_like(40, dtype, 1))
    check(outputs(m, m.call(op, x, y), m.call(op, x, x)))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint32"])
@pytest.mark.parametrize("op", ["negative", "absolute", "square", "invert", "logical_not", "positive"])
def test_functions_of_one_integer(op, dtype):
    m = Maker()
    check(outputs(m, m.call(op, m.input(numbers_like(40, dtype)))))


@pytest.mark.parametrize(
    "op", ["logical_and", "logical_or", "logical_xor", "bitwise_xor", "add", "multiply", "equal", "less"]
)
def test_functions_of_truth_values(op):
    m = Maker()
    check(outputs(m, m.call(op, m.input(numbers_like(20, "bool")), m.input(numbers_like(20, "bool", 1)))))


@pytest.mark.parametrize("old", ["bool", "int8", "int64", "uint8", "uint64", "float32", "float64"])
@pytest.mark.parametrize("new", ["bool", "int8", "int32", "int64", "uint8", "float32", "float64"])
def test_casts_are_those_of_numpy_or_left_to_it(old, new):
    m = Maker()
    x = m.input(numbers_like(30, old))
    if np.dtype(old).kind == "f":
        x = m.call("absolute", x)  # what C says about negative floats as unsigned integers is nothing
    value = m.call("cast", x, dtype=new)
    calls = int(not scalars.knows("cast", (np.dtype(old), np.dtype(new))))
    check(outputs(m, value), calls=calls)


def test_operands_are_cast_to_the_dtypes_of_the_loop():
    m = Maker()
    x, truth, whole = m.input(numbers_like(9, "float32")), m.input(numbers_like(9, "bool")), m.input(np.arange(9))
    check(outputs(m, m.call("multiply", x, truth), m.call("add", x, whole), m.call("add", whole, 1.5)))


def test_python_numbers_take_the_dtype_of_the_loop():
    m = Maker()
    x = m.input(numbers_like(9, "float32"))
    rate = m.number("lr * 2", 0.1)
    executable = check(outputs(m, m.call("multiply", x, 0.1), m.call("multiply", rate, x)), {"lr * 2": 0.1})
    assert executable.number_sources == ["lr * 2"]
    executable.numbers[0] = 7
    executable.run()
    np.testing.assert_array_equal(executable.outputs[1], m.arrays[0] * np.float32(7))


@pytest.mark.parametrize("exponent", [0.5, 2, 3.0, 4, -1, 2.5, 0])
def test_powers_with_a_number(exponent):
    m = Maker()
    x = m.input(np.concatenate([SPECIAL_FLOATS, numbers_like(20, "float64")]))
    check(outputs(m, m.call("power", x, exponent)))


def test_where_selects_and_spreads_no_nan():
    m = Maker()
    x = m.input(np.array([1.0, np.nan, np.inf, -2.0]))
    positive = m.call("greater", x, 0.0)
    check(outputs(m, m.call("where", positive, x, m.constant(np.zeros(4)))))


def test_what_native_code_does_not_know_is_called():
    m = Maker()
    x, whole = m.input(numbers_like(5, "float32")), m.input(np.arange(1, 6))
    half = m.input(np.arange(5, dtype=np.float16))
    values = [m.call("heaviside", x, x), m.call("floor_divide", whole, whole), m.call("add", half, half)]
    check(outputs(m, *values), calls=4)  # one copies the float16 result


# ---- layouts


def views(m):
    """Views of inputs and of what is computed."""
    x = m.input(numbers_like((4, 6), "float32"))
    y = m.call("exp", x)
    for z in (x, y):
        yield m.transpose(z)
        yield m.slice(z, slice(1, 3))
        yield m.slice(z, slice(None), slice(None, None, -2))
        yield m.slice(z, 2)
        yield m.slice(z, slice(None), None, 3)
        yield m.reshape(z, 2, 2, 6)
        yield m.reshape(m.transpose(z), 8, 3)
        yield m.call("broadcast_to", m.slice(z, 1), shape=(3, 6))
        yield m.call("copy", m.transpose(z), layout="C")


def test_views_of_inputs_and_results():
    m = Maker()
    values = list(views(m))
    twice = [m.call("add", value, value) for value in values]
    sums = [m.reduce("add", value, tuple(range(value.ndim))) for value in values]
    check(outputs(m, *values, *twice, *sums))


def test_the_bytes_as_another_dtype():
    m = Maker()
    x = m.call("negative", m.input(numbers_like(7, "float32")))
    bits = m.call("bitcast", x, dtype=np.dtype("u4"))
    check(outputs(m, bits, m.call("bitwise_xor", bits, bits)))


@pytest.mark.parametrize(
    "shapes", [((3, 1), (1, 4)), ((4,), (3, 4)), ((), (2, 3)), ((2, 1, 3), (5, 1)), ((1, 1), (1,))]
)
def test_operands_are_broadcast(shapes):
    m = Maker()
    x, y = (m.input(numbers_like(shape, "float64", i)) for i, shape in enumerate(shapes))
    z = m.call("subtract", x, y)
    check(outputs(m, z, m.call("multiply", m.call("exp", x), z)))


def test_arrays_without_elements_and_without_axes():
    m = Maker()
    empty, number = m.input(np.zeros((0, 3), np.float32)), m.input(np.array(2.5, np.float32))
    sums = m.reduce("add", empty, (0,))
    check(outputs(m, m.call("exp", empty), sums, m.call("add", sums, number), m.call("exp", number)), calls=2)


def test_constants_of_every_kind():
    m = Maker()
    x = m.input(numbers_like((3, 4), "float64"))
    constants = [np.ones((3, 4)), np.arange(4), np.arange(5, -3, -2), np.random.default_rng(0).random((3, 4))]
    check(outputs(m, *(m.call("add", x, m.constant(data)) for data in constants), *map(m.constant, constants)))


# ---- reductions


AXES = [axes for n in range(1, 4) for axes in itertools.combinations(range(3), n)]


@pytest.mark.parametrize("op", ["add", "multiply", "maximum", "minimum", "logical_and", "logical_or"])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_over_every_set_of_axes(op, axis, keepdims):
    m = Maker()
    x = m.input(numbers_like((3, 4, 5), "float64"))
    y = m.call("cos", x)
    check(outputs(m, *(m.reduce(op, z, axis, keepdims) for z in (x, y, m.transpose(y)))), rtol=1e-11)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64", "uint8", "float32"])
@pytest.mark.parametrize("op", ["add", "maximum", "minimum", "logical_or"])
def test_reductions_of_every_dtype(op, dtype):
    m = Maker()
    x = m.input(numbers_like((4, 7), dtype))
    check(outputs(m, m.reduce(op, x, (0,)), m.reduce(op, x, (1,)), m.reduce(op, x, (0, 1))))


def test_reductions_with_a_first_value_and_of_one_element():
    m = Maker()
    x = m.input(numbers_like((1, 5), "float64"))
    values = [
        m.reduce("maximum", x, (1,), initial=0.7),
        m.reduce("add", x, (0,), initial=2.0),
        m.reduce("add", x, (0,)),
    ]
    check(outputs(m, *values))


@pytest.mark.parametrize("op", ["maximum", "minimum"])
def test_the_largest_of_some_with_a_nan_is_nan(op):
    m = Maker()
    x = numbers_like((20, 33), "float32")
    x[3, 5] = x[7, 32] = np.nan
    x = m.input(x)
    check(outputs(m, m.reduce(op, x, (0,)), m.reduce(op, x, (1,)), m.reduce(op, x, (0, 1))))


@pytest.mark.parametrize("shape", [(1_000_000,), (1000, 1000), (10, 100_000)])
def test_sums_of_a_million_float32_lose_no_digits(shape):
    m = Maker()
    x = (np.random.default_rng(0).random(shape) + 100).astype(np.float32)
    outputs(m, m.reduce("add", m.input(x), tuple(range(len(shape)))))
    executable, _ = run(m)
    np.testing.assert_allclose(executable.outputs[0], x.sum(dtype=np.float64), rtol=1e-7)


# ---- products


def operand(m, rows, columns, how, seed):
    """A matrix: in order, transposed, cut out of a larger one, or with a stride along both axes."""
    if how == "transposed":
        return m.transpose(m.input(numbers_like((columns, rows), "float64", seed)))
    if how == "cut":
        x = m.input(numbers_like((rows + 2, columns + 3), "float64", seed))
        return m.slice(x, slice(1, rows + 1), slice(2, columns + 2))
    if how == "strided":
        return m.slice(m.input(numbers_like((rows, 2 * columns), "float64", seed)), slice(None), slice(None, None, 2))
    if how == "computed":
        return m.call("sin", m.input(numbers_like((rows, columns), "float64", seed)))
    return m.input(numbers_like((rows, columns), "float64", seed))


LAYOUTS = ["plain", "transposed", "cut", "strided", "computed"]


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("sizes", [(30, 20, 10), (3, 4, 5), (1, 20, 30), (30, 20, 1), (9, 1, 8), (1, 5, 1)])
def test_products_of_matrices_in_every_layout(left, right, sizes):
    m = Maker()
    a, b = operand(m, sizes[0], sizes[1], left, 0), operand(m, sizes[1], sizes[2], right, 1)
    check(outputs(m, m.call("dot", a, b), m.transpose(m.call("matmul", a, b))), rtol=1e-11)


@pytest.mark.parametrize(
    "shapes", [((5,), (5,)), ((5,), (5, 4)), ((3, 5), (5,)), ((2000,), (2000, 700)), ((1,), (1, 3))]
)
def test_products_with_vectors(shapes):
    m = Maker()
    x, y = (m.input(numbers_like(shape, "float32", i)) for i, shape in enumerate(shapes))
    expected = evaluate(outputs(m, m.call("dot", x, y)).program, m.arrays).outputs[0]
    executable, _ = run(m)
    np.testing.assert_allclose(executable.outputs[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [1.0, 0.5])
def test_products_with_equal_numbers_are_sums(number):
    m = Maker()
    x = m.input(numbers_like((6, 4), "float64"))
    row, column = m.constant(np.full(6, number)), m.constant(np.full((4, 1), number))
    values = [m.call("dot", row, x), m.call("dot", x, column), m.call("dot", x, m.constant(np.full((4, 3), number)))]
    executable = check(outputs(m, *values), rtol=1e-12)
    assert executable.report().products == ()


def test_products_of_more_axes_and_of_integers_are_called():
    m = Maker()
    x, whole = m.input(numbers_like((2, 3, 3), "float32")), m.input(np.arange(9).reshape(3, 3))
    check(outputs(m, m.call("matmul", x, x), m.call("dot", whole, whole)), calls=2)


def test_a_product_is_computed_where_the_gradient_lies():
    m = Maker()
    x, y = m.input(numbers_like((30, 20), "float64")), m.input(numbers_like((20, 10), "float64"))
    product = m.call("dot", x, y)
    m.program.gradients = [("w", product)]
    outputs(m, m.reduce("add", product, (0, 1)))
    executable = check(m, rtol=1e-11)
    assert executable.arena_bytes == 0


# ---- writes


def test_what_is_written_is_updated_in_place_without_memory_of_its_own():
    m = Maker()
    w, g = m.input(numbers_like((5, 6), "float64")), m.input(numbers_like((5, 6), "float64", 1))
    m.program.writes = [(0, m.call("subtract", w, m.call("multiply", g, 0.1)))]
    executable = check(m)
    assert executable.arena_bytes == 0
    assert len(executable.report().groups) == 1


def test_two_arrays_change_places():
    m = Maker()
    x, y = m.input(numbers_like(5, "float64")), m.input(numbers_like(5, "float64", 1))
    m.program.writes = [(0, y), (1, x)]
    check(m)


def test_an_array_becomes_its_transpose():
    m = Maker()
    x = m.input(numbers_like((4, 4), "float64"))
    m.program.writes = [(0, m.transpose(x))]
    check(m)


def test_an_old_value_is_read_before_it_is_written_over():
    m = Maker()
    x, y = m.input(numbers_like((4, 4), "float64")), m.input(numbers_like((4, 4), "float64", 1))
    new = m.call("add", x, 1.0)
    late = m.call("multiply", m.reduce("add", new, (0,)), x)  # needs the new value, and the old one
    turned = m.call("add", m.transpose(x), new)
    m.program.writes = [(0, new), (1, m.call("add", late, m.call("dot", x, y)))]
    check(outputs(m, late, turned, x), rtol=1e-11)


def test_a_new_value_is_used_after_it_was_written():
    m = Maker()
    x = m.input(numbers_like((4, 6), "float64"))
    new = m.call("exp", x)
    total = m.reduce("add", new, (1,), keepdims=True)
    m.program.writes = [(0, new)]
    check(outputs(m, m.call("divide", new, total), m.transpose(new)))


def test_an_array_that_is_left_as_it_is_and_one_value_for_several():
    m = Maker()
    x, y = m.input(numbers_like(4, "float64")), m.input(numbers_like(4, "float64", 1))
    z = m.call("exp", x)
    m.program.writes = [(0, x), (1, z)]
    m.program.gradients = [("a", z), ("b", z), ("c", x)]
    check(outputs(m, z, z, x, y))


def test_states_that_are_not_contiguous_are_updated():
    m = Maker()
    m.input(np.asfortranarray(numbers_like((4, 5), "float64")))
    m.program.writes = [(0, m.call("multiply", m.program.inputs[0], 2.0))]
    check(m)


# ---- arguments


def arguments(*arrays):
    m = Maker()
    values = [m.input(array, kind="argument") for array in arrays]
    return outputs(m, *(m.call("add", value, 1.0) for value in values))


@pytest.mark.parametrize("n", [3, 3000])
@pytest.mark.parametrize(
    "how", [np.asarray, np.asfortranarray, lambda x: x[::-1], lambda x: np.broadcast_to(x[:1], x.shape)]
)
def test_arguments_in_any_layout_bound_anew(n, how):
    m = arguments(np.zeros((n, 2)))
    executable, _ = run(m)
    for seed in range(3):
        x = how(numbers_like((n, 2), "float64", seed))
        executable.rebind(0, x)
        executable.run()
        np.testing.assert_array_equal(executable.outputs[0], x + 1)


@pytest.mark.parametrize("n", [3, 3000])
def test_an_argument_that_overlaps_what_is_written_is_read_before(n):
    m = Maker()
    w, x = m.input(np.zeros(n)), m.input(np.zeros(n), kind="argument")
    m.program.writes = [(0, m.call("add", w, x))]
    executable = native.compile_program(m.program)
    memory = np.arange(n + 1.0)
    state, argument = memory[1:], memory[:-1]
    expected = state + argument
    executable.bind([state, argument], [])
    executable.run()
    np.testing.assert_array_equal(state, expected)


def test_arrays_that_do_not_fit_are_refused():
    m = Maker()
    x = m.input(np.zeros((3, 4)), kind="state")
    y = m.input(np.zeros((3, 4)), kind="argument")
    m.program.writes = [(0, m.call("add", x, y))]
    executable = native.compile_program(m.program)
    good = np.zeros((3, 4))
    for bad in (np.zeros((4, 3)), np.zeros((3, 4), np.float32), np.zeros((4, 3)).T):
        with pytest.raises(ValueError, match="input x0"):
            executable.bind([bad, good], [])
    with pytest.raises(ValueError, match="input x1"):
        executable.bind([good, np.zeros(3)], [])


def test_states_that_overlap_are_refused():
    m = Maker()
    x, y = m.input(np.zeros(3)), m.input(np.zeros(3))
    m.program.writes = [(0, m.call("add", x, y))]
    memory = np.zeros(4)
    with pytest.raises(ValueError, match="shares memory with input x1"):
        native.compile_program(m.program).bind([memory[1:], memory[:-1]], [])


# ---- checks


def labelled(rows=6, classes=4, columns=None):
    """A program that picks an element of each row, changes a state, and leaves a gradient."""
    m = Maker()
    x = m.input(numbers_like((rows, columns or classes), "float64"))
    labels = m.input(np.arange(rows) % classes, kind="argument")
    w = m.input(np.zeros(rows))
    checked = m.call("ravel_multi_index", labels, dims=(classes,), shape=(rows,), dtype=np.int64)
    m.program.checks = [checked]
    picked = m.call("getitem", x, m.constant(np.arange(rows)), checked, key=(Slot(1), Slot(2)))
    m.program.writes = [(2, m.call("add", w, picked))]
    m.program.gradients = [("g", m.call("multiply", picked, 2.0))]
    return outputs(m, picked)


@pytest.mark.parametrize(("rows", "classes"), [(6, 4), (1, 3), (200, 10)])
def test_an_element_of_each_row(rows, classes):
    check(labelled(rows, classes))


def test_an_element_of_each_of_many_columns_is_called():
    check(labelled(6, 4, 500), calls=1)


@pytest.mark.parametrize("bad", [-1, 4, 2**40])
def test_a_label_out_of_range_is_refused_before_anything_is_written(bad):
    m = labelled()
    executable = native.compile_program(m.program)
    arrays, gradient = m.arrays, np.full(6, 99.0)
    executable.bind(arrays, [gradient])
    labels = arrays[1].copy()
    labels[-1] = bad
    executable.rebind(1, labels)
    assert executable.run()
    np.testing.assert_array_equal(arrays[2], np.zeros(6))
    np.testing.assert_array_equal(gradient, np.full(6, 99.0))
    executable.rebind(1, m.arrays[1])
    assert not executable.run()
    assert arrays[2].any()


def test_a_look_up_that_fails_is_refused():
    m = Maker()
    x, w = m.input(np.zeros(3), kind="argument"), m.input(np.zeros(3))
    index = m.call("cast", m.call("ceil", x), dtype=np.int64)
    zero = m.call("take", m.constant(np.zeros(1)), index)
    m.program.checks = [zero]
    m.program.writes = [(1, m.call("add", m.call("add", w, zero), 1.0))]
    check(m)
    executable = native.compile_program(m.program)
    state = np.zeros(3)
    executable.bind([np.array([0, 0.5, 0]), state], [])
    assert executable.run()
    assert not state.any()


def test_a_check_that_numpy_makes_raises_before_anything_is_written():
    m = Maker()
    index, table, w = m.input(np.zeros(3, np.int64), kind="argument"), m.input(np.arange(4.0)), m.input(np.zeros(3))
    found = m.call("take", table, index)
    m.program.checks = [found]
    m.program.writes = [(2, m.call("add", w, found))]
    check(m, calls=1)
    executable = native.compile_program(m.program)
    state = np.zeros(3)
    executable.bind([np.array([0, 9, 0]), np.ones(4), state], [])
    with pytest.raises(IndexError):
        executable.run()
    assert not state.any()


# ---- NumPy in between


def test_calls_between_loops():
    m = Maker()
    x = m.input(numbers_like((5, 6), "float64"))
    y = m.call("exp", x)
    ordered = m.call("call", m.transpose(y), function=np.sort, args=(Slot(0),), kwargs={"axis": 0})
    parts = m.call("call", ordered, function=np.linalg.qr, args=(Slot(0),), kwargs={})
    q = m.call("pick", parts, index=0)
    whole = m.call("setitem", x, 7.0, key=(slice(1, 3),))
    check(outputs(m, m.call("add", ordered, 1.0), m.call("multiply", q, 2.0), whole), rtol=1e-9, calls=3)


def test_a_call_of_a_number_and_of_an_argument_bound_anew():
    m = Maker()
    x = m.input(numbers_like(2000, "float64"), kind="argument")
    rate = m.number("rate", 0.5)
    executable = check(outputs(m, m.call("heaviside", x, rate)), {"rate": 0.5}, calls=1)
    executable.numbers[0] = 3.0
    for seed in range(3):
        again = np.round(numbers_like(2000, "float64", seed))
        executable.rebind(0, again)
        executable.run()
        np.testing.assert_array_equal(executable.outputs[0], np.heaviside(again, 3.0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_numbers_are_drawn_in_order(dtype):
    source = SimpleNamespace(numpy=np.random.default_rng(3))
    m = Maker()
    first = m.draw(source, "random", (3, 4), dtype=np.dtype(dtype))
    second = m.draw(source, "integers", 0, 10, (3, 4))
    third = m.draw(source, "standard_normal", (3, 4), dtype=np.dtype(dtype))
    m.program.gradients = [("g", third)]
    outputs(m, m.call("add", m.call("exp", third), second), m.call("add", first, 1.0))
    executable, found = run(m)
    source.numpy = np.random.default_rng(3)
    expected = evaluate(m.program, [])
    for ours, theirs in zip(found, [*expected.outputs, *expected.gradients], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    before = executable.outputs[1].copy()
    executable.run()
    assert (executable.outputs[1] != before).any()


# ---- the executable


def test_functions_outlive_the_executable_and_cycles_are_freed():
    m = arguments(np.zeros(3))
    executable, _ = run(m)
    out, function = executable.outputs[0], executable.run
    executable.rebind(0, np.ones(3))
    del executable
    assert not function()
    np.testing.assert_array_equal(out, np.full(3, 2.0))
    for _ in range(5):
        executable, _ = run(m)
        executable.me = executable
        dead = weakref.ref(executable)
        del executable
        gc.collect()
        assert dead() is None


def test_a_report_says_what_became_of_the_program():
    m = Maker()
    x = m.input(numbers_like((30, 20), "float32"))
    product = m.call("dot", m.transpose(x), x)
    outputs(m, m.call("call", m.call("exp", product), function=np.sort, args=(Slot(0),), kwargs={}))
    report = run(m)[0].report()
    assert report.groups == ("[20, 20]: exp",)
    assert report.products == ("20x30 @ 30x20 float32",)
    assert report.calls == ("sort float32[20, 20]",)
    assert report.arena_bytes >= 2 * 20 * 20 * 4
    assert set(report.milliseconds) == {"lower", "fuse", "write", "compile"}


def test_dtypes_that_native_code_does_not_know_are_copied_by_numpy():
    m = Maker()
    x = m.input(numbers_like((4, 6), "float64").astype(np.float16))
    y = m.input(np.zeros((4, 6), np.float16))
    m.program.writes = [(0, y), (1, m.call("add", x, x))]
    check(outputs(m, x, m.transpose(x), m.reshape(m.transpose(x), 24)), calls=8)


@pytest.mark.parametrize("columns", [3, 10, 15, 20])
def test_softmax_and_its_gradient_by_rows(columns):
    m = Maker()
    x = m.input(numbers_like((100, columns), "float64"))
    shifted = m.call("subtract", x, m.reduce("maximum", x, (1,), keepdims=True))
    e = m.call("exp", shifted)
    p = m.call("divide", e, m.reduce("add", e, (1,), keepdims=True))
    means = m.call("multiply", m.reduce("add", p, (0,)), 0.01)
    m.program.gradients = [("x", m.call("subtract", p, means))]
    check(outputs(m, m.reduce("add", m.call("log", p), (0, 1))))


def random_program(seed):
    """Many operations on arrays of few shapes, whose elements stay small; some results are written over inputs."""
    rng = np.random.default_rng(seed)
    m = Maker()
    shapes = [(6, 6), (6, 1), (1, 6), (6,), (40, 6), (40, 1), ()]
    pool = [m.input(rng.uniform(-1, 1, shapes[i % len(shapes)])) for i in range(9)]

    def pick(*shape):
        return like(shape) if shape else pool[rng.integers(len(pool))]

    def like(shape):
        return pool[rng.choice([i for i, x in enumerate(pool) if x.shape == shape])]

    def step():
        kind, x = rng.integers(8), pick()
        if kind == 0:
            return m.call(str(rng.choice(["tanh", "sin", "negative", "absolute"])), x)
        if kind == 1:
            return m.call(str(rng.choice(["multiply", "maximum", "minimum"])), x, like(x.shape))
        if kind == 2:
            y = pick(6, 6)
            return m.call("tanh", m.call("add", x, y) if x.shape != (40, 6) and x.shape != (40, 1) else x)
        if kind == 3 and x.ndim:
            axis = (int(rng.integers(x.ndim)),)
            total = m.reduce(str(rng.choice(["add", "maximum"])), x, axis, keepdims=bool(x.ndim == 2))
            return m.call("multiply", total, 0.1)
        if kind == 4:
            return m.call("multiply", m.call("dot", pick(40, 6), pick(6, 6)), 0.1)
        if kind == 5:
            y = pick(6, 6)
            return m.transpose(y) if rng.random() < 0.5 else m.slice(y, slice(None, None, -1), slice(None))
        if kind == 6:
            return m.call("where", m.call("greater", x, 0.1), x, m.call("multiply", x, 0.5))
        return m.call("call", pick(6, 6), function=np.sort, args=(Slot(0),), kwargs={}) if rng.random() < 0.2 else x

    for _ in range(40):
        pool.append(step())
    for place, value in enumerate(m.program.inputs):
        if rng.random() < 0.7:
            m.program.writes.append((place, like(value.shape)))
    m.program.gradients = [(str(i), pick()) for i in range(3)]
    return outputs(m, *(pick() for _ in range(4)))


@pytest.mark.parametrize("seed", range(60))
def test_programs_of_many_operations_that_write_over_what_they_read(seed):
    m = random_program(seed)
    expected = evaluate(m.program, m.arrays)
    _, found = run(m)
    for ours, theirs in zip(found, [*expected.outputs, *expected.gradients, *expected.writes.values()], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
