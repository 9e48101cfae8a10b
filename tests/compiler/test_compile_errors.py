"""Errors are those of eager mode, they leave everything usable, and a wrong program is found before it is used."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, small_net, state_of, training
from tinygrad_lite import nn, optim
from tinygrad_lite.compiler import backends
from tinygrad_lite.nn import functional as F
from tinygrad_lite.random import default_generator


def snapshot(world):
    return {name: tensor.detach().clone().numpy() for name, tensor in state_of(world).items()}


def assert_unchanged(world, before):
    after = snapshot(world)
    assert after.keys() == before.keys()
    for name, array in after.items():
        assert array.tobytes() == before[name].tobytes(), name


def raised(call, *args):
    with pytest.raises(Exception) as caught:
        call(*args)
    return type(caught.value), str(caught.value), getattr(caught.value, "module_path", None)


# ---- values that are refused


@pytest.mark.parametrize("calls_before", [0, 1, 2, 3, 6])
def test_a_label_out_of_range_raises_what_eager_mode_raises(calls_before, backend):
    twins = Twins(training(optimizer=lambda p: optim.SGD(p, lr=0.1, momentum=0.9)), backend)
    twins.call(calls_before, *batch())
    x, y = batch()
    wrong = y.clone()
    wrong[2] = 7
    for _ in range(2):
        before = snapshot(twins.compiled)
        found = raised(twins.fast, x, wrong)
        assert found == raised(twins.eager.step, x, wrong)
        assert found[0] is IndexError
        with_gradients = {name for name in before if name.endswith(".grad")}
        weights = {name: value for name, value in before.items() if name not in with_gradients}
        after = {name: value for name, value in snapshot(twins.compiled).items() if not name.endswith(".grad")}
        assert {k: v.tobytes() for k, v in after.items()} == {k: v.tobytes() for k, v in weights.items()}
    twins.call(5, *batch(1))
    assert twins.replays(*batch(2))


def test_random_numbers_go_on_as_in_eager_mode_after_an_error(backend):
    twins = Twins(training(lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))), backend)
    twins.call(6, *batch())
    x, y = batch()
    wrong = y.clone()
    wrong[0] = 3
    states = []
    for call in (twins.eager.step, twins.fast):
        tl.manual_seed(4)
        raised(call, x, wrong)
        states.append(default_generator.get_state())
    assert states[0] == states[1]
    twins(*batch(1))


def test_an_error_in_the_second_half_of_a_step_finds_the_first_half_done_once(backend):
    def make():
        world = SimpleNamespace(first=small_net(), second=small_net())
        world.one = one = optim.SGD(world.first.parameters(), lr=0.1)
        world.two = two = optim.SGD(world.second.parameters(), lr=0.1)
        first, second = world.first, world.second

        def step(x, y, z):
            one.zero_grad()
            loss = F.cross_entropy(first(x), y)
            loss.backward()
            one.step()
            two.zero_grad()
            other = F.cross_entropy(second(first(x)[:, :1] * x), z)
            other.backward()
            two.step()
            return loss, other

        world.step = step
        return world

    twins = Twins(make, backend)
    x, y = batch()
    twins.call(6, x, y, y)
    wrong = y.clone()
    wrong[0] = 9
    assert raised(twins.fast, x, y, wrong) == raised(twins.eager.step, x, y, wrong)
    twins.compare(None, None)
    twins(x, y, y)


def test_shapes_that_do_not_fit_raise_what_eager_mode_raises(backend):
    twins = Twins(training(), backend)
    wrong = tl.ones(6, 5), batch()[1]
    for calls in (0, 2, 5):
        twins.call(calls, *batch())
        assert raised(twins.fast, *wrong) == raised(twins.eager.step, *wrong)
    assert twins.replays(*batch())


def test_wrong_calls_raise_type_errors(backend):
    twins = Twins(training(), backend)
    twins.call(5, *batch())
    for args in [(), batch()[:1], (*batch(), 1), (None, None), ("x", "y")]:
        assert raised(twins.fast, *args)[0] is raised(twins.eager.step, *args)[0]
    assert twins.replays(*batch())


# ---- exceptions while it is recorded


class Interrupting(nn.Module):
    """Raises in the middle of the next forward or backward, if told to."""

    def __init__(self, where):
        super().__init__()
        self.inner, self.where = small_net(), where

    def forward(self, x):
        middle = self.inner(x)
        if "forward" in self.where:
            raise self.where["forward"]
        return Interrupted.apply(middle, self.where["backward"]) if "backward" in self.where else middle


class Interrupted(tl.autograd.Function):
    @staticmethod
    def forward(ctx, x, error):
        ctx.error = error
        return x * 1

    @staticmethod
    def backward(ctx, g):
        raise ctx.error


@pytest.mark.filterwarnings("ignore:compile")
@pytest.mark.parametrize("calls_before", [0, 1, 2, 5])
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("place", ["forward", "backward", "after the update"])
def test_an_exception_leaves_no_recording_behind(place, error, calls_before, backend):
    where = {}

    def make():
        world = SimpleNamespace(net=Interrupting(where))
        world.optimizer = optimizer = optim.Adam(world.net.parameters(), lr=0.01, eps=1e-4)
        net = world.net

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            if "after the update" in where:
                raise where["after the update"]
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    twins.call(calls_before, *batch())
    where[place] = error
    for call in (twins.eager.step, twins.fast):
        with pytest.raises(type(error)):
            call(*batch())
    where.clear()
    twins.compare(None, None)
    assert all(type(v) in (float, tuple, bool, list, int) for v in twins.compiled.optimizer.param_groups[0].values())
    assert all(type(p._array) is np.ndarray for p in twins.compiled.net.parameters())
    twins.call(6, *batch(1))


def test_a_gradient_of_an_interrupted_recording_is_a_plain_array(backend):
    w = tl.ones(3, requires_grad=True)

    def step(x):
        (w * x).sum().backward()
        raise KeyboardInterrupt

    fast = tl.compile(step, backend=backend)
    for number in range(1, 5):
        with pytest.raises(KeyboardInterrupt):
            fast(tl.ones(3))
        assert type(w.grad._array) is np.ndarray
        assert w.grad.tolist() == [number] * 3


# ---- wrong programs


class Wrong:
    """An executable that is off by one percent in one of its results."""

    def __init__(self, executable, spoil):
        self._executable, self._spoil = executable, spoil

    def __getattr__(self, name):
        return getattr(self._executable, name)

    def bind(self, inputs, gradients):
        self._inputs, self._gradients = inputs, gradients
        return self._executable.bind(inputs, gradients)

    def run(self):
        refused = self._executable.run()
        self._spoil(self)
        return refused


SPOILED = {
    "output 0": lambda wrong: np.multiply(o := wrong.outputs[0], np.float32(1.01), out=o),
    "the gradient of 0.weight": lambda wrong: np.multiply(g := wrong._gradients[0], np.float32(1.01), out=g),
    "0.weight": lambda wrong: np.multiply(w := largest(wrong._inputs), np.float32(1.01), out=w),
}


def largest(arrays):
    return next(array for array in arrays if array.shape == (8, 4))


@pytest.mark.parametrize("what", SPOILED)
def test_a_wrong_program_is_caught_before_it_is_used(what, monkeypatch):
    right = backends.choose("numpy")
    wrong = backends.Backend("numpy", lambda program, name: Wrong(right.compile(program, name), SPOILED[what]))
    monkeypatch.setattr(backends, "choose", lambda name: wrong)
    twins = Twins(training())
    x, y = batch()
    with pytest.raises(
        RuntimeError, match=f"the program of step differs from the step itself: {what} by 0.0"
    ) as caught:
        twins.call(8, x, y)
    assert "the step was run eagerly, and will be" in str(caught.value)
    assert twins.runs == 4
    twins.compare(None, None)  # the eager step was done
    twins.call(5, x, y)
    assert twins.runs == 9


def test_small_differences_pass():
    right = backends.choose("numpy")

    def spoil(wrong):
        wrong.outputs[0][...] *= 1 + 1e-6

    twins = Twins(training())
    twins.fast.compiled._backend = backends.Backend(
        "numpy", lambda program, name: Wrong(right.compile(program, name), spoil)
    )
    for _ in range(5):
        twins.fast(*batch())


def test_no_error_outlives_detect_anomaly(backend):
    twins = Twins(training(), backend)
    twins.call(2, *batch())
    assert not tl.autograd.anomaly.is_anomaly_enabled()
