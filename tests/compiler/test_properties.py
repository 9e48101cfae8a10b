"""Programs that Hypothesis draws do the same three times over: eagerly, replayed by NumPy, and as native code.

Each is a step over values of a few shapes: functions, views that share memory, changes in place of intermediate
results and state, a loss and its gradient. Two worlds start alike; one runs the step, the other its program.
"""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tinygrad_lite as tl
from tests.compiler.replaying import Replay, arrays_of, assert_agree, record
from tinygrad_lite.testing import ALONG_AN_AXIS, BINARY, OF_SHAPES, UNARY, Operation, broadcastable_shapes

LARGEST = 200  # elements of a value

VIEWS = {  # on tensors and on arrays alike
    "x.T": lambda x: x.T,
    "x.reshape(-1)": lambda x: x.reshape(-1),
    "x.reshape(-1, 1)": lambda x: x.reshape(-1, 1),
    "x[1:]": lambda x: x[1:],
    "x[::-2]": lambda x: x[::-2],
    "x[..., 0]": lambda x: x[..., 0],
    "x[-1]": lambda x: x[-1],
    "x[None]": lambda x: x[None],
    "x.swapaxes(0, -1)": lambda x: x.swapaxes(0, -1),
    "broadcast_to(x, (2, ...))": lambda x: np.broadcast_to(x, (2, *x.shape)),
}


def _set(y, v, key):
    y[key] = v.mean()


def _add(y, v, key):
    y[key] += v.mean()


def _scale(y, v, key):
    y[key] *= 0.5


def _blend(y, v, key):
    y[key] = 0.5 * y[key] + v.mean()


CHANGES = {
    "y.add_(mean of v)": lambda y, v, key: y.add_(v.mean()),
    "y.add_(v)": lambda y, v, key: y.add_(v),
    "y.copy_(v)": lambda y, v, key: y.copy_(v),
    "y.zero_()": lambda y, v, key: y.zero_(),
    "y.mul_(0.5)": lambda y, v, key: y.mul_(0.5),
    "y.clamp_(-0.5, 0.5)": lambda y, v, key: y.clamp_(-0.5, 0.5),
    "y[y > 0] = 0.25": lambda y, v, key: y.__setitem__(y > 0, 0.25),
    "y[key] = mean of v": _set,
    "y[key] += mean of v": _add,
    "y[key] *= 0.5": _scale,
    "y[key] = y[key] / 2 + mean of v": _blend,
}
KEYS = (0, -1, slice(1, None), slice(None, None, 2), (Ellipsis, 0), Ellipsis, [0, 0], (slice(None), None))


class Line(NamedTuple):
    """One line of a step: an operation, a view or a change of the values with these numbers."""

    what: str | Operation
    operands: tuple[int, ...]
    key: object = None  # of a change; the axis of an operation
    recorded: bool = True  # whether a change is part of the graph

    def run(self, values):
        chosen = [values[i] for i in self.operands]
        if isinstance(self.what, Operation):
            values.append(np.sin(self.what.on_tensors(*chosen, *(self.key or ()))))
        elif self.what in VIEWS:
            values.append(VIEWS[self.what](*chosen))
        else:
            with tl.set_grad_enabled(self.recorded):
                CHANGES[self.what](*chosen, self.key)


class World:
    """A parameter, a state tensor, and the step that works on them."""

    def __init__(self, drawn, dtype):
        shapes, lines, seed = drawn
        random = np.random.default_rng(seed)
        self.parameter = tl.tensor(random.uniform(-1, 1, shapes[2]), dtype=dtype, requires_grad=True)
        self.state = tl.tensor(random.uniform(-1, 1, shapes[3]), dtype=dtype)
        self.step = _step(lines, self.parameter, self.state)

    def kept(self):
        return arrays_of([self.parameter, self.state])


def _step(lines, parameter, state):
    def step(x, y):
        parameter.grad = None
        values = [x + y.mean(), y * 2, parameter, state]
        for line in lines:
            line.run(values)
        loss = sum(np.sin(value).sum() for value in values) + parameter.sum()
        loss.backward()
        with tl.no_grad():
            parameter.sub_(0.1 * parameter.grad)
            state.mul_(0.5).add_(values[-1].mean())
        return loss.detach(), values[-1].detach().clone()

    return step


@st.composite
def programs(draw, most_lines=8):
    """The shapes of two arguments, the parameter and the state; the lines; and what numbers to begin with."""
    given = list(draw(broadcastable_shapes(4, max_side=3)))
    shapes, lines = list(given), []
    for _ in range(draw(st.integers(1, most_lines))):
        line, shape = draw(_lines(shapes))
        lines.append(line)
        shapes += [] if shape is None else [shape]
    return given, tuple(lines), draw(st.integers(0, 10**6))


@st.composite
def _lines(draw, shapes):
    """A line that fits values of these shapes, and the shape of the value that it makes."""
    places = st.integers(0, len(shapes) - 1)
    kind = draw(st.sampled_from(["function", "view", "change"]))
    if kind == "function":
        operation = draw(st.sampled_from(UNARY + BINARY + ALONG_AN_AXIS + OF_SHAPES))
        operands = tuple(draw(places) for _ in range(operation.arity))
        fitting = operation.parameters(shapes[operands[0]])
        assume(fitting)
        parameters = draw(st.sampled_from(fitting))
        shape = operation.shape([shapes[i] for i in operands], parameters)
        assume(shape is not None)
        return Line(operation, operands, parameters), shape
    if kind == "view":
        name, place = draw(st.sampled_from(sorted(VIEWS))), draw(places)
        try:
            shape = VIEWS[name](np.zeros(shapes[place])).shape
        except (IndexError, ValueError):
            assume(False)
        assume(0 < np.prod(shape) <= LARGEST and len(shape) < 6)
        return Line(name, (place,)), shape
    name = draw(st.sampled_from(sorted(CHANGES)))
    return Line(name, (draw(places), draw(places)), draw(st.sampled_from(KEYS)), draw(st.booleans())), None


def check(drawn, dtype, backend):
    """The step and its program, three times each, on changing data."""
    eager, replayed = World(drawn, dtype), World(drawn, dtype)
    try:
        expected = eager.step(*_arguments(drawn, dtype, 0))
    except (RuntimeError, IndexError, ValueError):  # a change that autograd or NumPy refuses
        assume(False)
    assume(eager.state.is_leaf)  # else the next step would differentiate through this one
    found = record(replayed.step, *_arguments(drawn, dtype, 0))
    assert_agree("numpy", [*arrays_of(found.result), *replayed.kept()], [*arrays_of(expected), *eager.kept()])
    replay = Replay(found, backend)
    for call in (1, 2, 3):
        data, same = _arguments(drawn, dtype, call), _arguments(drawn, dtype, call)
        results, expected = replay(*data), eager.step(*same)
        gradients = [*replay.gradients.values()]
        assert_agree(
            backend,
            [*results, *gradients, *replayed.kept(), *arrays_of(data)],
            [*arrays_of(expected), *arrays_of([eager.parameter.grad]), *eager.kept(), *arrays_of(same)],
        )


def _arguments(drawn, dtype, call):
    shapes, _, seed = drawn
    random = np.random.default_rng([seed, call])
    return [tl.tensor(random.uniform(-1, 1, shape), dtype=dtype) for shape in shapes[:2]]


def for_any(examples):
    chosen = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )
    return lambda test: chosen(given(programs(), st.sampled_from([tl.float32, tl.float64]))(test))


@for_any(examples=60)
def test_a_program_does_what_the_step_does(backend, drawn, dtype):
    check(drawn, dtype, backend)


@pytest.mark.slow
@for_any(examples=100)
def test_many_programs_do_what_the_steps_do(backend, drawn, dtype):
    check(drawn, dtype, backend)
