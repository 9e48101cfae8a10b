"""What a program means: its calls one after the other, each a fresh NumPy call."""

from dataclasses import dataclass

import numpy as np

from tinygrad_lite.compiler.program import compute


@dataclass
class Result:
    outputs: list
    gradients: list
    writes: dict


def evaluate(program, arrays, numbers=()):
    """Outputs, gradients and written inputs, as fresh arrays; the arrays given are not changed."""
    numbers, arrays = dict(numbers), [np.copy(a, order="K") for a in arrays]
    known = dict(zip(program.inputs, arrays, strict=True))
    for value in program.values():
        if value.op == "input":
            continue
        if value.op == "constant":
            known[value] = value.params["data"]
        elif value.op == "number":
            known[value] = float(numbers[value.params["source"]])
        elif value.op == "draw":
            method = getattr(value.params["generator"].numpy, value.params["method"])
            known[value] = method(*value.params["args"], **value.params["kwargs"])
        else:
            known[value] = compute(value, *(known[x] for x in value.inputs))

    def final(value):
        return np.asarray(known[value]).astype(value.dtype)

    return Result(
        [final(v) for v in program.outputs],
        [final(v) for _, v in program.gradients],
        {place: final(v) for place, v in program.writes},
    )


def assert_bitwise_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def assert_replays(executable, program, arrays, numbers=()):
    """Run a bound program on these inputs, and compare everything that it leaves with what it means."""
    expected = evaluate(program, arrays, numbers)
    numbers = dict(numbers)
    executable.numbers[:] = [numbers[source] for source in executable.number_sources]
    gradients = executable.empty_gradients()
    executable.bind(arrays, gradients)
    before = [np.copy(a) for a in arrays]
    executable.run()
    assert_bitwise_equal(executable.outputs, expected.outputs)
    assert_bitwise_equal(gradients, expected.gradients)
    for place, array in enumerate(arrays):
        assert_bitwise_equal([array], [expected.writes.get(place, before[place])])
