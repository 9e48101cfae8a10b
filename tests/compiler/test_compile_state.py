"""Weights, gradients and the optimizer's state live where they did, for whoever changes or holds them."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, sgd, small_net, training
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F


def momentum(parameters):
    return optim.SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters):
    return optim.Adam(parameters, lr=0.01, eps=1e-4)


@pytest.fixture
def twins(backend):
    """Two worlds, the compiled one with a program already."""
    twins = Twins(training(optimizer=momentum), backend)
    twins.call(5, *batch())
    assert twins.replays(*batch())
    return twins


# ---- gradients


def test_the_gradient_is_there_after_the_call(twins):
    twins(*batch(1))
    for p in twins.compiled.net.parameters():
        assert isinstance(p.grad, tl.Tensor)
        assert p.grad.shape == p.shape
        assert not p.grad.requires_grad


HOLDING = {
    "the tensor": lambda p: p.grad,
    "its array": lambda p: p.grad.numpy(),
    "a detached tensor": lambda p: p.grad.detach(),
    "a view": lambda p: p.grad.detach().reshape(-1),
    "a slice of the array": lambda p: p.grad.numpy()[:1],
    "a transposed view of a view": lambda p: p.grad.T[..., :1].T,
    "a memoryview": lambda p: memoryview(p.grad.numpy()),
    "a list": lambda p: [p.grad],
}


@pytest.mark.parametrize("way", HOLDING)
def test_a_gradient_that_somebody_holds_is_not_overwritten(way, twins):
    p = twins.compiled.net[0].weight
    held, values = [], []
    for seed in range(5):
        twins(*batch(seed))
        held.append(HOLDING[way](p))
        values.append(as_array(held[-1]))
    for thing, value in zip(held, values, strict=True):
        assert np.array_equal(as_array(thing), value)
    assert len({v.tobytes() for v in values}) > 1


def as_array(thing):
    thing = thing[0] if isinstance(thing, list) else thing
    return np.array(thing.detach().numpy() if isinstance(thing, tl.Tensor) else thing)


def test_gradients_held_once_do_not_cost_forever(twins):
    p = twins.compiled.net[0].weight
    held = p.grad
    twins.fast(*batch(1))
    del held
    memory = []
    for seed in range(4):
        twins.fast(*batch(seed))
        memory.append(id(p.grad._array))
    assert memory == memory[:1] * 4


CHANGES_OF_GRADIENTS = {
    "set to None": lambda p: setattr(p, "grad", None),
    "replaced": lambda p: setattr(p, "grad", tl.ones_like(p.detach())),
    "changed in place": lambda p: p.grad.mul_(100),
    "zeroed": lambda p: p.grad.zero_(),
}


@pytest.mark.filterwarnings("ignore:compile")
@pytest.mark.parametrize("zero_at_the_end", [False, True])
@pytest.mark.parametrize("change", CHANGES_OF_GRADIENTS)
def test_gradients_are_changed_between_calls(change, zero_at_the_end, backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optimizer = momentum(world.net.parameters())
        net = world.net

        def step(x, y):
            if not zero_at_the_end:
                optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            if zero_at_the_end:
                optimizer.zero_grad()
            return loss

        world.step = step
        return world

    if zero_at_the_end and change in ("changed in place", "zeroed"):
        return  # there are no gradients then
    twins = Twins(make, backend)
    twins.call(5, *batch())
    for seed in range(4):
        twins.both(lambda world: CHANGES_OF_GRADIENTS[change](world.net[0].weight))
        twins.call(2, *batch(seed))


def test_a_gradient_of_a_parameter_that_is_not_used_is_zeroed_too(backend):
    def make():
        world = SimpleNamespace(net=small_net(), spare=nn.Linear(2, 2))
        world.optimizer = momentum([*world.net.parameters(), *world.spare.parameters()])
        net, optimizer = world.net, world.optimizer

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    twins.call(5, *batch())
    for _ in range(3):
        twins.both(lambda world: setattr(world.spare.weight, "grad", tl.ones(2, 2)))
        twins(*batch())
        assert twins.compiled.spare.weight.grad is None
    twins.call(5, *batch())


def test_the_gradient_of_a_frozen_parameter_set_by_hand_is_used(backend):
    def net():
        net = small_net()
        net[0].requires_grad_(False)
        return net

    def make():
        world = SimpleNamespace(net=net())
        world.optimizer = optimizer = sgd(world.net.parameters())
        inner = world.net

        def step(x, y):
            loss = F.cross_entropy(inner(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    twins.call(5, *batch())
    twins.both(lambda world: setattr(world.net[0].weight, "grad", tl.ones(8, 4)))
    twins.call(5, *batch())


# ---- weights


def test_weights_changed_in_place_are_read_at_once(twins):
    def shrink(world):
        with tl.no_grad():
            world.net[0].weight.mul_(0.5)
            world.net[2].bias[0] = 3.0

    twins.both(shrink)
    assert twins.replays(*batch())


def test_weights_changed_through_numpy_are_read_at_once(twins):
    twins.both(lambda world: np.multiply(w := world.net[0].weight.detach().numpy(), 0.5, out=w))
    assert twins.replays(*batch())


def test_data_that_is_replaced_is_followed(twins):
    runs = twins.runs
    for _ in range(3):
        twins.both(lambda world: setattr(world.net[0].weight, "data", world.net[0].weight.detach() * 0.5))
        twins.call(2, *batch())
    assert twins.runs == runs


def test_data_replaced_by_another_dtype_is_another_program(backend):
    twins = Twins(training(optimizer=momentum), backend)
    twins.both(lambda world: world.net.double())
    twins.both(lambda world: world.optimizer.state.clear())
    twins.call(5, *batch(dtype=np.float64))
    assert twins.replays(*batch(dtype=np.float64))


def test_data_replaced_by_another_layout(twins):
    def transpose(world):
        w = world.net[0].weight
        w.data = tl.from_numpy(np.asfortranarray(w.detach().numpy()))

    twins.both(transpose)
    twins.call(5, *batch())
    assert twins.replays(*batch())


def test_data_of_two_parameters_becomes_one_memory(backend):
    twins = Twins(training(lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3))), backend)
    twins.call(5, *batch())
    twins.both(lambda world: setattr(world.net[1].weight, "data", world.net[0].weight.data))
    with pytest.warns(UserWarning, match="shares memory"):
        twins.call(5, *batch())


def test_load_state_dict_of_the_model(twins):
    other = small_net()
    twins.both(lambda world: world.net.load_state_dict(other.state_dict()))
    assert twins.replays(*batch())


@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_load_state_dict_of_the_optimizer(optimizer, backend):
    twins = Twins(training(optimizer=optimizer), backend)
    twins.call(5, *batch())
    saved = [copy.deepcopy(world.optimizer.state_dict()) for world in twins.worlds]
    twins.call(3, *batch(1))
    for world, state in zip(twins.worlds, saved, strict=True):
        world.optimizer.load_state_dict(state)
    twins.call(5, *batch(2))
    assert twins.replays(*batch())


def test_state_cleared_between_calls(twins):
    twins.both(lambda world: world.optimizer.state.clear())
    twins.call(5, *batch())
    assert twins.replays(*batch())


def test_an_optimizer_gets_another_group(backend):
    def make():
        world = SimpleNamespace(net=nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
        world.optimizer = optim.SGD(world.net[0].parameters(), lr=0.1)
        net, optimizer = world.net, world.optimizer

        def step(x, y):
            net.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    twins.call(5, *batch())
    twins.both(lambda world: world.optimizer.add_param_group({"params": list(world.net[2].parameters()), "lr": 0.5}))
    twins.call(5, *batch())
    assert twins.replays(*batch())


def test_a_module_is_replaced(twins):
    twins.both(lambda world: setattr(world.net, "1", nn.Tanh()))
    twins.call(4, *batch())
    assert twins.replays(*batch())


def test_a_module_is_appended(twins):
    twins.both(lambda world: world.net.append(nn.Tanh()))
    twins.call(4, *batch())
    assert twins.replays(*batch())


def test_a_bias_is_taken_away(twins):
    twins.both(lambda world: setattr(world.net[0], "bias", None))
    twins.call(4, *batch())
    assert twins.replays(*batch())


def test_a_buffer_is_replaced(backend):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small_net()
            self.register_buffer("scale", tl.ones(3))

        def forward(self, x):
            return self.inner(x) * self.scale

    twins = Twins(training(Scaled), backend)
    twins.call(5, *batch())
    twins.both(lambda world: setattr(world.net, "scale", tl.full((3,), 2.0)))
    twins.call(4, *batch())
    twins.both(lambda world: world.net.scale.mul_(2))
    assert twins.replays(*batch())


def test_hooks_added_later_run(twins):
    seen = []

    def hook(module, args, output):
        seen.append(1)

    handle = twins.compiled.net[0].register_forward_hook(hook)
    with pytest.warns(UserWarning, match="hooks"):
        twins(*batch())
    assert seen == [1]
    handle.remove()
    twins(*batch())


def test_a_hook_on_a_gradient_added_later_runs(twins):
    for world in twins.worlds:
        world.net[0].weight.register_hook(lambda g: g * 2)
    with pytest.warns(UserWarning, match="hooks"):
        twins.call(3, *batch())


# ---- versions: what is saved for a backward outside


def test_a_graph_from_before_the_call_notices_that_weights_have_changed(twins):
    x, y = batch()
    output = twins.compiled.net(x)
    twins.fast(x, y)
    with pytest.raises(RuntimeError, match=r"changed|modified"):
        output.sum().backward()


def test_a_graph_from_before_a_recorded_call_notices_it_too(backend):
    world = training()()
    fast = tl.compile(world.step, backend=backend)
    x, y = batch()
    for _ in range(5):
        output = world.net(x)
        fast(x, y)
        with pytest.raises(RuntimeError, match=r"changed|modified"):
            output.sum().backward()


def test_backward_through_a_loss_that_was_done_already(backend):
    world = training()()
    fast = tl.compile(world.step, backend=backend)
    for _ in range(6):
        loss = fast(*batch())
        with pytest.raises(RuntimeError, match=r"freed|second time"):
            loss.backward()


def test_a_returned_loss_is_not_overwritten(twins):
    losses = [twins.fast(*batch(seed)) for seed in range(6)]
    values = [loss.item() for loss in losses]
    assert len(set(values)) == 6
    twins.fast(*batch(9))
    assert [loss.item() for loss in losses] == values


# ---- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_a_model_and_its_optimizer_can_be_copied(copied, backend):
    world = training(optimizer=adam)()
    fast = tl.compile(world.step, backend=backend)
    for seed in range(6):
        fast(*batch(seed))
    net, optimizer = copied((world.net, world.optimizer))
    for ours, theirs in zip(net.parameters(), world.net.parameters(), strict=True):
        assert ours is not theirs
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
        assert not np.shares_memory(ours.detach().numpy(), theirs.detach().numpy())
        assert type(ours._array) is np.ndarray
    before = [p.detach().clone() for p in net.parameters()]
    fast(*batch(7))
    for p, old in zip(net.parameters(), before, strict=True):
        assert np.array_equal(p.detach().numpy(), old.numpy())
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_hyperparameters_are_plain_numbers_after_every_call(twins):
    for value in twins.compiled.optimizer.param_groups[0].values():
        assert type(value) in (float, int, bool, list)
