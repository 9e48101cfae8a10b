"""A compiled step does what the step does: every document's net, every optimizer, every setting changed on the way."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, counted, small_net, step_of, training
from tests.test_protocols import NETS, OPTIMIZERS, Training
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F

# ---- the documents' nets


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_a_documents_net_trains_bitwise_alike_for_100_steps(net, optimizer):
    eager, compiled = Training(net, optimizer), Training(net, optimizer)
    ticks = iter(range(1000))
    step = tl.compile(counted(compiled.step, ticks), backend="numpy")
    for seed in range(100):
        x, y = eager.data(seed)
        assert step(x, y)._array.tobytes() == eager.step(x, y)._array.tobytes()
    for name, tensor in eager.state().items():
        assert compiled.state()[name]._array.tobytes() == tensor._array.tobytes(), name
    assert next(ticks) <= 5


@pytest.mark.parametrize(("dtype", "tolerance"), [(tl.float32, 1e-5), (tl.float64, 1e-11)])
@pytest.mark.parametrize("net", NETS)
def test_a_documents_net_trains_natively_as_eagerly_for_100_steps(net, dtype, tolerance):
    pytest.importorskip("llvmlite")
    eager, compiled = Training(net, "SGD"), Training(net, "SGD")
    for world in (eager, compiled):
        world.net.to(dtype)
    ticks = iter(range(1000))
    step = tl.compile(counted(compiled.step, ticks), backend="native")
    for seed in range(100):
        x, y = eager.data(seed)
        x, y = x.to(dtype), y.to(dtype) if y.dtype.kind == "f" else y
        assert relative(step(x, y), eager.step(x, y)) <= tolerance
    for name, tensor in eager.state().items():
        assert relative(compiled.state()[name], tensor) <= tolerance, name
    assert next(ticks) <= 5


def relative(found, expected):
    a, b = (t.detach().numpy().astype(np.float64) for t in (found, expected))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# ---- optimizers

SETTINGS = {
    "weight decay": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "momentum with dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD that maximizes": lambda p: optim.SGD(p, lr=0.01, maximize=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01, eps=1e-4),
    "Adam with weight decay": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, eps=1e-4),
    "Adam that maximizes": lambda p: optim.Adam(p, lr=0.001, maximize=True, eps=1e-4),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, eps=1e-4),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, eps=1e-4),
    "AdamW with amsgrad": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True, eps=1e-4),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_optimizer_trains_as_it_does_eagerly(setting, backend):
    twins = Twins(training(optimizer=SETTINGS[setting]), backend)
    for seed in range(12):
        twins(*batch(seed))
    assert twins.replays(*batch(12))


@pytest.mark.parametrize("setting", SETTINGS)
def test_in_float64_too(setting, backend):
    twins = Twins(training(lambda: small_net().double(), SETTINGS[setting]), backend)
    for seed in range(12):
        twins(*batch(seed, dtype=np.float64))
    assert twins.replays(*batch(12, dtype=np.float64))


def test_two_parameter_groups_have_hyperparameters_of_their_own(backend):
    def optimizer(parameters):
        first, second, *rest = parameters
        return optim.SGD(
            [{"params": [first, second], "lr": 0.5, "weight_decay": 0.1}, {"params": rest}], lr=0.1, momentum=0.5
        )

    twins = Twins(training(optimizer=optimizer), backend)
    twins.call(5, *batch())
    twins.both(lambda world: world.optimizer.param_groups[0].update(lr=0.05))
    assert twins.replays(*batch(1))
    twins.both(lambda world: world.optimizer.param_groups[1].update(lr=0.2))
    assert twins.replays(*batch(2))


def test_two_optimizers_work_in_one_step(backend):
    def make():
        world = SimpleNamespace(first=nn.Linear(4, 5), second=nn.Linear(5, 3))
        world.adam = adam = optim.Adam(world.first.parameters(), lr=0.01, eps=1e-4)
        world.sgd = sgd = optim.SGD(world.second.parameters(), lr=0.1, momentum=0.9)
        first, second = world.first, world.second

        def step(x, y):
            adam.zero_grad()
            sgd.zero_grad()
            loss = F.cross_entropy(second(first(x).relu()), y)
            loss.backward()
            adam.step()
            sgd.step()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(10):
        if seed == 6:
            twins.both(lambda world: world.adam.param_groups[0].update(lr=0.02))
        twins(*batch(seed))
    assert twins.replays(*batch())


# ---- hyperparameters that change between calls


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_learning_rate_schedule_takes_effect_at_once_and_records_nothing(setting, backend):
    twins = Twins(training(optimizer=SETTINGS[setting]), backend)
    twins.call(5, *batch())
    runs = twins.runs
    for seed in range(10):
        if seed % 2:
            twins.both(lambda world: world.optimizer.param_groups[0].update(lr=0.1 / (1 + seed)))
        else:
            for world in twins.worlds:
                world.optimizer.param_groups[0]["lr"] *= 0.9
        twins(*batch(seed))
    assert twins.runs == runs


def test_a_learning_rate_from_the_first_call_on_settles():
    twins = Twins(training())
    for seed in range(10):
        for world in twins.worlds:
            world.optimizer.param_groups[0]["lr"] *= 0.9
        twins(*batch(seed))
    assert twins.runs <= 4


@pytest.mark.parametrize("lr", [0, 1, 0.0, np.float32(0.25), np.float64(0.3), True, float("inf"), float("nan")])
def test_a_learning_rate_may_be_any_number(lr, backend):
    twins = Twins(training(), backend)
    twins.call(4, *batch())
    twins.both(lambda world: world.optimizer.param_groups[0].update(lr=lr))
    twins.call(5, *batch(1))


@pytest.mark.parametrize("name", ["weight_decay", "momentum", "dampening"])
def test_a_hyperparameter_switched_on_and_off_is_another_program(name, backend):
    twins = Twins(training(optimizer=lambda p: optim.SGD(p, lr=0.1, momentum=0.5)), backend)
    twins.call(5, *batch())
    for value in (0.1, 0.2, 0, 0.1, 0, 0.9, 0.0):
        twins.both(lambda world: world.optimizer.param_groups[0].update({name: value}))
        twins.call(2, *batch())
    twins.call(3, *batch())
    assert twins.replays(*batch())


@pytest.mark.parametrize(("name", "value"), [("betas", (0.8, 0.99)), ("eps", 1e-3), ("weight_decay", 0.5)])
def test_hyperparameters_of_adam_are_read_at_every_call(name, value, backend):
    twins = Twins(training(optimizer=lambda p: optim.Adam(p, lr=0.01, eps=1e-4, weight_decay=0.1)), backend)
    twins.call(5, *batch())
    twins.both(lambda world: world.optimizer.param_groups[0].update({name: value}))
    assert twins.replays(*batch())


@pytest.mark.parametrize("name", ["maximize", "nesterov"])
def test_a_switch_of_the_optimizer_takes_effect(name, backend):
    twins = Twins(training(optimizer=lambda p: optim.SGD(p, lr=0.01, momentum=0.9)), backend)
    for value in (False, True, False):
        twins.both(lambda world: world.optimizer.param_groups[0].update({name: value}))
        twins.call(4, *batch())
        assert twins.replays(*batch())


# ---- what a step may do


def clipped(net, optimizer, limit, in_place):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        with tl.no_grad():
            norm = sum((p.grad**2).sum() for p in net.parameters()).sqrt()
            factor = (limit / (norm + 1e-6)).clamp(max=1.0)
            for p in net.parameters():
                if in_place:
                    p.grad.mul_(factor)
                else:
                    p.grad = p.grad * factor
        optimizer.step()
        return loss, norm

    return step


@pytest.mark.parametrize("in_place", [True, False])
def test_gradients_are_clipped_to_a_global_norm(in_place, backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optim.SGD(world.net.parameters(), lr=0.1, momentum=0.9)
        world.step = clipped(world.net, world.optimizer, 0.3, in_place)
        return world

    twins = Twins(make, backend)
    for seed in range(10):
        twins(*batch(seed))
    assert twins.replays(*batch())


@pytest.mark.filterwarnings("ignore:compile")
def test_gradients_are_added_up_over_several_calls(backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optim.SGD(world.net.parameters(), lr=0.1)
        net = world.net

        def step(x, y):
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(24):
        if seed % 3 == 0:
            twins.both(lambda world: world.optimizer.step())
            twins.both(lambda world: world.optimizer.zero_grad())
        twins(*batch(seed))


@pytest.mark.filterwarnings("ignore:compile")
@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("at_the_end", [True, False])
def test_gradients_are_zeroed_in_every_way(set_to_none, at_the_end, backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optimizer = optim.SGD(world.net.parameters(), lr=0.1, momentum=0.9)
        net = world.net

        def step(x, y):
            if not at_the_end:
                optimizer.zero_grad(set_to_none)
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            if at_the_end:
                net.zero_grad(set_to_none)
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(10):
        twins(*batch(seed))
    assert twins.replays(*batch()) or not set_to_none


def test_an_update_written_by_hand(backend):
    def make():
        world = SimpleNamespace(net=small_net())
        net = world.net

        def step(x, y):
            loss = F.cross_entropy(net(x), y)
            net.zero_grad()
            loss.backward()
            with tl.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(8):
        twins(*batch(seed))
    assert twins.replays(*batch())


def test_gradients_by_grad_instead_of_backward(backend):
    def make():
        world = SimpleNamespace(net=small_net())
        net = world.net

        def step(x, y):
            loss = F.cross_entropy(net(x), y)
            parameters = list(net.parameters())
            gradients = tl.autograd.grad(loss, parameters, create_graph=True)
            penalty = sum((g**2).sum() for g in gradients)
            second = tl.autograd.grad(loss + 0.1 * penalty, parameters)
            with tl.no_grad():
                for p, g in zip(parameters, second, strict=True):
                    p -= 0.1 * g
            return loss.detach(), penalty.detach()

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(8):
        twins(*batch(seed))
    assert twins.replays(*batch())


def test_a_closure_given_to_the_optimizer(backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optimizer = optim.SGD(world.net.parameters(), lr=0.1)
        net = world.net

        def step(x, y):
            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                return loss

            return optimizer.step(closure)

        world.step = step
        return world

    twins = Twins(make, backend)
    for seed in range(8):
        twins(*batch(seed))
    assert twins.replays(*batch())


def test_a_running_mean_in_a_buffer_is_kept_up_to_date(backend):
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.register_buffer("mean", tl.zeros(4))

        def forward(self, x):
            if self.training:
                with tl.no_grad():
                    self.mean.mul_(0.9).add_(0.1 * x.mean(0))
            return self.linear(x - self.mean)

    twins = Twins(training(Centred), backend)
    for seed in range(8):
        twins(*batch(seed))
    assert twins.replays(*batch())


def test_a_parameter_in_two_layers(backend):
    def net():
        net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
        net[2].weight = net[0].weight
        return net

    twins = Twins(training(net, lambda p: optim.SGD(p, lr=0.1, momentum=0.9)), backend)
    for seed in range(8):
        twins(*batch(seed))
    assert twins.replays(*batch())
    twins.both(lambda world: world.net[2].__setattr__("weight", nn.Parameter(world.net[0].weight.detach().clone())))
    twins.call(4, *batch())  # not shared any more, and not trained: the optimizer does not have it
    assert twins.replays(*batch())


def test_layers_are_frozen_and_unfrozen_between_calls(backend):
    twins = Twins(training(), backend)
    for frozen in (False, True, False, True):
        twins.both(lambda world: world.net[0].requires_grad_(not frozen))
        twins.call(5, *batch())
        assert twins.replays(*batch())


def test_a_layer_frozen_from_the_start_gets_no_gradient(backend):
    def net():
        net = small_net()
        net[0].requires_grad_(False)
        return net

    twins = Twins(training(net), backend)
    twins.call(5, *batch())
    assert twins.replays(*batch())
    assert twins.compiled.net[0].weight.grad is None


# ---- modes and random numbers


def with_dropout():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def test_dropout_draws_anew_at_every_call_and_follows_the_seed(backend):
    twins = Twins(training(with_dropout), backend)
    losses = []
    for seed in range(12):
        if seed in (4, 8):
            tl.manual_seed(5)
        losses.append(twins(*batch()).item())
    assert twins.replays(*batch())
    assert len(set(losses)) == len(losses)


def test_a_seed_gives_the_same_numbers_again(backend):
    world = training(with_dropout)()
    forward = tl.compile(tl.no_grad(lambda x: world.net(x)), backend=backend)
    x, _ = batch()
    for _ in range(4):
        forward(x)
    drawn = []
    for _ in range(2):
        tl.manual_seed(3)
        drawn.append([forward(x).tolist() for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]


def test_a_generator_of_its_own(backend):
    def make():
        world = SimpleNamespace(w=tl.ones(3, requires_grad=True))
        generator = tl.Generator().manual_seed(7)
        w = world.w

        def step(x):
            w.grad = None
            loss = ((w * x + tl.randn(3, generator=generator)) ** 2).sum()
            loss.backward()
            return loss

        world.step = step
        return world

    twins = Twins(make, backend)
    for _ in range(8):
        twins(tl.ones(3))
    assert twins.replays(tl.ones(3))


@pytest.mark.parametrize("net", [small_net, with_dropout])
def test_train_and_eval_are_different_programs(net, backend):
    twins = Twins(training(net), backend)
    for mode in (True, False, True, False):
        twins.both(lambda world: world.net.train(mode))
        twins.call(4, *batch())
        assert twins.replays(*batch())


def test_the_probability_of_dropout_is_read_at_every_call(backend):
    twins = Twins(training(with_dropout), backend)
    twins.call(5, *batch())
    twins.both(lambda world: setattr(world.net[2], "p", 0.1))
    twins.call(5, *batch())
    assert twins.replays(*batch())


# ---- several steps on one model


def test_two_compiled_steps_share_a_model_and_an_optimizer(backend):
    def make():
        world = SimpleNamespace(net=small_net())
        world.optimizer = optim.SGD(world.net.parameters(), lr=0.1, momentum=0.9)
        world.step = step_of(world.net, world.optimizer, F.cross_entropy)
        world.other = step_of(world.net, world.optimizer, lambda z, y: (z**2).mean())
        return world

    twins = Twins(make, backend)
    other = tl.compile(twins.compiled.other, backend=backend)
    for seed in range(10):
        twins(*batch(seed))
        twins.compare(other(*batch(seed)), twins.eager.other(*batch(seed)))
    assert twins.replays(*batch())


def test_compiled_and_eager_steps_alternate(backend):
    twins = Twins(training(optimizer=lambda p: optim.Adam(p, lr=0.01, eps=1e-4)), backend)
    for seed in range(14):
        twins(*batch(seed))
        if seed % 2:
            results = [world.step(*batch(seed + 50)) for world in twins.worlds]
            twins.compare(*results[::-1])
    assert twins.replays(*batch())


def test_a_compiled_forward_sees_what_a_compiled_step_trains(backend):
    twins = Twins(training(), backend)
    forward = tl.compile(tl.no_grad(lambda x: twins.compiled.net(x)), backend=backend)
    x, y = batch()
    for _ in range(8):
        twins(x, y)
        with tl.no_grad():
            twins.compare(forward(x), twins.eager.net(x))


def test_a_compiled_step_called_by_another_one_becomes_part_of_it(backend):
    world = training()()
    inner = tl.compile(tl.no_grad(lambda x: world.net(x)), backend=backend)
    outer = tl.compile(tl.no_grad(lambda x: inner(x) * 2), backend=backend)
    x, _ = batch()
    for factor in (1.0, 3.0, 0.5):
        with tl.no_grad():
            world.net[0].weight.mul_(factor)
            expected = world.net(x) * 2
        for _ in range(4):
            assert np.allclose(outer(x).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_loss_without_data_in_its_gradient(backend):
    """The gradient of a sum is made of ones: a constant, and still part of the program."""
    eager, compiled = nn.Linear(2, 1), nn.Linear(2, 1)
    compiled.load_state_dict(eager.state_dict())

    def training(net):
        optimizer = optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = net(x).sum()
            loss.backward()
            optimizer.step()
            return loss

        return step

    step, fast = training(eager), tl.compile(training(compiled), backend=backend, fullgraph=True)
    for seed in range(6):
        x = tl.randn(4, 2, generator=tl.Generator().manual_seed(seed))
        np.testing.assert_allclose(fast(x).item(), step(x).item(), rtol=1e-5)
    assert "1 program" in fast.explain()


def test_two_steps_share_gradients_and_still_settle(backend):
    """As in a GAN: one step leaves gradients in a module that the other zeroes and trains."""
    g, d = nn.Linear(2, 2), nn.Linear(2, 1)
    g_optimizer, d_optimizer = optim.SGD(g.parameters(), lr=0.1), optim.SGD(d.parameters(), lr=0.1)

    @tl.compile(backend=backend, fullgraph=True)
    def d_step(x):
        d_optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(d(x), tl.ones(4, 1))
        loss.backward()
        d_optimizer.step()
        return loss

    @tl.compile(backend=backend, fullgraph=True)
    def g_step(z):
        g_optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(d(g(z)), tl.ones(4, 1))
        loss.backward()
        g_optimizer.step()
        return loss

    for _ in range(8):
        x = tl.randn(4, 2)
        d_step(x), g_step(x)
    assert "1 program" in d_step.explain()
    assert "1 program" in g_step.explain()
