"""What cannot be recorded runs eagerly: the numbers are right, and one warning names the reason and the line."""

import inspect
import io
import itertools
import random
import secrets
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, counted, small_net
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F

STEPS = {}


def refused(match, line=True):
    """A maker of a world whose step must not be replayed; the line to be named is marked with ``# here``."""

    def register(make):
        STEPS[make.__name__] = make, match, line
        return make

    return register


def world_of(**things):
    world = SimpleNamespace(net=small_net(), **things)
    world.optimizer = optim.SGD(world.net.parameters(), lr=0.1)
    return world


def trained(world, x, y):
    world.optimizer.zero_grad()
    loss = F.cross_entropy(world.net(x), y)
    loss.backward()
    world.optimizer.step()
    return loss


# ---- looking at values


@refused("branches on the value")
def a_branch_on_a_value():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        if loss > 1:  # here
            loss = loss * 2
        return loss

    world.step = step
    return world


@refused("branches on the value")
def a_loop_until_a_value_is_small():
    world = SimpleNamespace()

    def step(x, y):
        norm = (x**2).sum()
        while norm > 1:  # here
            norm = norm / 2
        return norm

    world.step = step
    return world


@refused("item")
def item_used_to_compute():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        return loss * loss.item()  # here

    world.step = step
    return world


@refused("Python number|elements")
def float_of_the_loss():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        return loss * float(loss)  # here

    world.step = step
    return world


@refused("tolist")
def tolist_of_a_result():
    world = world_of()

    def step(x, y):
        values = x.tolist()  # here
        return trained(world, x, y) * values[0][0]

    world.step = step
    return world


@refused("item")
def the_step_returns_a_python_number():
    world = world_of()

    def step(x, y):
        return trained(world, x, y).item()  # here

    world.step = step
    return world


@refused("plain array|elements|array")
def a_numpy_function_of_the_values():
    world = world_of()

    def step(x, y):
        largest = np.float32(np.asarray(x.detach().numpy()).max())  # here
        return trained(world, x, y) * float(largest)

    world.step = step
    return world


@refused(r"x\[mask\]")
def indexing_by_a_mask():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        return loss + x[x > 0].sum()  # here

    world.step = step
    return world


@refused("Python")
def equality_as_a_bool():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        return loss * 2 if tl.equal(y, tl.zeros_like(y)) else loss  # here

    world.step = step
    return world


# ---- the world outside


@refused("print")
def printing():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        print("another step")  # here
        return loss

    world.step = step
    return world


@refused("print|elements|array")
def printing_the_loss():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        print(loss)  # here
        return loss

    world.step = step
    return world


@refused("write|open")
def writing_a_file(tmp=io.StringIO()):
    world = world_of()
    log = io.StringIO()

    def step(x, y):
        loss = trained(world, x, y)
        log.write("a step\n")  # here
        return loss

    world.step = step
    return world


@refused("random")
def a_python_random_number():
    world, generator = world_of(), random.Random(1)

    def step(x, y):
        return trained(world, x * generator.random(), y)  # here

    world.step = step
    return world


@refused("getrandbits|random")
def a_python_random_integer():
    world, generator = world_of(), random.Random(1)

    def step(x, y):
        if generator.randint(0, 10**6) == 0:  # here
            x = x * 2
        return trained(world, x, y)

    world.step = step
    return world


@refused("draws random numbers|another value", line=False)
def a_numpy_random_number():
    world, generator = world_of(), np.random.default_rng(1)

    def step(x, y):
        noise = tl.tensor(generator.normal(size=x.shape).astype(np.float32))  # here
        return trained(world, x + noise, y)

    world.step = step
    return world


@refused("draws random numbers", line=False)
def a_numpy_random_number_that_rarely_matters():
    world, generator = world_of(), np.random.default_rng(1)

    def step(x, y):
        if generator.random() < 1e-9:  # here
            x = x * 2
        return trained(world, x, y)

    world.step = step
    return world


@refused("draws random numbers", line=False)
def a_number_of_numpys_old_generator_that_rarely_matters():
    world, generator = world_of(), np.random.RandomState(1)

    def step(x, y):
        if generator.rand() < 1e-9:  # here
            x = x * 2
        return trained(world, x, y)

    world.step = step
    return world


# ---- hidden state


@refused("changes|another value", line=False)
def a_counter_in_the_closure():
    world, count = world_of(), 0

    def step(x, y):
        nonlocal count
        count += 1
        return trained(world, x * count, y)

    world.step = step
    return world


@refused("changes|another value", line=False)
def a_counter_in_an_attribute():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.count = small_net(), 0

        def forward(self, x):
            self.count += 1
            return self.inner(x) * self.count

    world = world_of()
    world.net = net = Net()
    world.optimizer = optim.SGD(net.parameters(), lr=0.1)
    world.step = lambda x, y: trained(world, x, y)
    return world


@refused("changes|another value", line=False)
def a_counter_in_a_class():
    class Counter:
        count = 0

    world = world_of()

    def step(x, y):
        Counter.count += 1
        return trained(world, x * Counter.count, y)

    world.step = step
    return world


@refused("another value")
def an_iterator_that_moves_on():
    world, numbers = world_of(), itertools.count(1)

    def step(x, y):
        return trained(world, x * next(numbers), y)  # here

    world.step = step
    return world


@refused("changes", line=False)
def a_list_that_grows():
    world, log = world_of(), []

    def step(x, y):
        log.append("step")
        return trained(world, x, y)

    world.step = step
    return world


@refused("changes", line=False)
def a_set_that_grows():
    world, seen, numbers = world_of(), set(), itertools.count()

    def step(x, y):
        seen.add(next(numbers))
        return trained(world, x, y)

    world.step = step
    return world


@refused("keeps a tensor|changes", line=False)
def a_list_of_losses():
    world = world_of(losses=[])

    def step(x, y):
        loss = trained(world, x, y)
        world.losses.append(loss.detach())
        return loss

    world.step = step
    return world


@refused("keeps a tensor|changes", line=False)
def an_attribute_that_keeps_the_loss():
    world = world_of(last=None)

    def step(x, y):
        loss = trained(world, x, y)
        world.last = loss.detach()
        return loss

    world.step = step
    return world


@refused("changes", line=False)
def a_counter_in_a_numpy_array():
    world, counts = world_of(), np.zeros(2)

    def step(x, y):
        counts[0] += 1
        return trained(world, x, y)

    world.step = step
    return world


@refused("the optimizer's 'lr'", line=False)
def a_schedule_inside_of_the_step():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        world.optimizer.param_groups[0]["lr"] *= 0.9
        return loss

    world.step = step
    return world


@refused("replaces the data", line=False)
def the_data_of_a_parameter_is_replaced():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        for p in world.net.parameters():
            p.data = p.data * 0.99
        return loss

    world.step = step
    return world


@refused("keeps a tensor|changes", line=False)
def a_new_parameter_at_every_call():
    world = world_of()

    def step(x, y):
        loss = trained(world, x, y)
        world.net[0].bias = nn.Parameter(world.net[0].bias.detach() * 0.9)
        return loss

    world.step = step
    return world


# ---- hooks, graphs and memory


@refused("hooks", line=False)
def a_hook_on_a_module():
    world = world_of()
    world.net[0].register_forward_hook(lambda module, args, output: output * 2)
    world.step = lambda x, y: trained(world, x, y)
    return world


@refused("hooks", line=False)
def a_hook_on_a_parameter():
    world = world_of()
    world.net[0].weight.register_hook(lambda g: g * 2)
    world.step = lambda x, y: trained(world, x, y)
    return world


@refused("outside", line=False)
def a_tensor_with_a_graph_from_outside():
    world = SimpleNamespace(w=tl.ones(4, requires_grad=True))
    doubled = world.w * 2

    def step(x, y):
        loss = ((x * doubled) ** 2).sum()
        loss.backward(retain_graph=True)
        return loss.detach()

    world.step = step
    return world


@refused("returns a tensor from outside", line=False)
def a_tensor_from_outside_is_returned():
    world = world_of()

    def step(x, y):
        trained(world, x, y)
        return world.net[0].weight

    world.step = step
    return world


@refused("returns a tensor from outside", line=False)
def an_argument_is_returned():
    world = world_of()

    def step(x, y):
        trained(world, x, y)
        return x

    world.step = step
    return world


@refused("hidden", line=False)
def a_tensor_that_is_hidden():
    world = world_of()
    hidden = iter(itertools.repeat(tl.full((4,), 2.0)))

    def step(x, y):
        return trained(world, x * next(hidden), y)

    world.step = step
    return world


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_cannot_be_replayed_runs_eagerly_with_one_warning(name, backend, capsys):
    make, match, names_line = STEPS[name]
    twins = Twins(make, backend)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(8):
            twins(*batch(seed))
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 1, messages
    assert "runs eagerly" in messages[0]
    assert any(word in messages[0] for word in match.replace("\\", "").split("|")), messages[0]
    assert caught[0].filename == __file__.replace("test_stays_eager", "twins")  # the line of the call
    if names_line:
        lines, start = inspect.getsourcelines(make)
        (here,) = (start + i for i, line in enumerate(lines) if "# here" in line)
        assert f"{__file__}:{here}" in messages[0], messages[0]
    assert twins.runs == 8


@pytest.mark.parametrize("name", STEPS)
def test_fullgraph_raises_instead(name, capsys):
    make, _, _ = STEPS[name]
    twins = Twins(make, fullgraph=True)
    with pytest.raises(RuntimeError, match="runs eagerly"):
        for seed in range(8):
            twins.fast(*batch(seed))


# ---- what the arguments are


def test_an_argument_that_requires_grad_in_a_training_step(backend):
    twins = Twins(trained_world, backend)
    x, y = batch()
    for _ in range(5):
        inputs = [x.detach().clone().requires_grad_() for _ in range(2)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results = [call(i, y) for call, i in zip((twins.fast, twins.eager.step), inputs, strict=True)]
        twins.compare(*results)
        twins.assert_same("the argument's gradient", inputs[0].grad, inputs[1].grad)


def trained_world():
    world = world_of()
    world.step = lambda x, y: trained(world, x, y)
    return world


def test_an_argument_that_is_changed_in_place(backend):
    def step(x):
        x.mul_(2)
        return (x**2).sum()

    fast = tl.compile(step, backend=backend)
    for seed in range(6):
        mine, theirs = batch(seed)[0], batch(seed)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = fast(mine)
        assert np.allclose(result.item(), step(theirs).item(), rtol=1e-6)
        assert mine._array.tobytes() == theirs._array.tobytes()


def test_an_argument_changed_in_place_counts_as_changed(backend):
    w = tl.ones(3, requires_grad=True)

    @tl.no_grad
    def double(x):
        x.mul_(2)

    fast = tl.compile(double, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(6):
            x = tl.ones(3)
            product = (w * x).sum()
            fast(x)
            with pytest.raises(RuntimeError, match=r"changed|modified"):
                product.backward()


@pytest.mark.filterwarnings("ignore:compile")
def test_numpy_arrays_as_arguments(backend):
    w = tl.ones(4)
    fast = tl.compile(tl.no_grad(lambda x: (w * tl.tensor(x)).sum()), backend=backend)
    for seed in range(6):
        x = batch(seed)[0].numpy()
        assert np.allclose(fast(x).item(), x.sum(), rtol=1e-4, atol=1e-5)


def test_tensors_that_share_memory_where_one_is_written(backend):
    base = tl.zeros(8)
    first, second = base[:4], base[2:6]

    def step(x):
        first.add_(x)
        return second.sum()

    fast = tl.compile(tl.no_grad(step), backend=backend)
    with pytest.warns(UserWarning, match="shares memory"):
        sums = [fast(tl.ones(4)).item() for _ in range(6)]
    assert sums == [2 * n for n in range(1, 7)]


def test_inside_detect_anomaly_it_runs_eagerly_without_a_warning(backend):
    twins = Twins(trained_world, backend)
    twins.call(5, *batch())
    runs = twins.runs
    with tl.autograd.detect_anomaly():
        twins(*batch(1))
    assert twins.runs == runs + 1
    assert twins.replays(*batch(2))


def test_anomalies_are_found_inside_detect_anomaly(backend):
    twins = Twins(trained_world, backend)
    twins.call(5, *batch())
    x, y = batch()
    x._array[0, 0] = np.inf
    with tl.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan"):
        twins.fast(x, y)


def test_the_clock_used_to_compute(backend):
    fast = tl.compile(tl.no_grad(lambda x: x * 0 + time.perf_counter()), backend=backend)
    x = tl.zeros(2, dtype=tl.float64)
    with pytest.warns(UserWarning, match="another value"):
        times = [fast(x)[0].item() for _ in range(6)]
    assert times == sorted(set(times))


def test_time_measured_and_not_used_is_no_obstacle(backend):
    ticks = iter(range(100))

    def step(x):
        started = time.perf_counter()
        result = x * 2
        assert time.perf_counter() >= started
        return result

    fast = tl.compile(tl.no_grad(counted(step, ticks)), backend=backend)
    for _ in range(8):
        assert fast(tl.ones(2)).tolist() == [2, 2]
    assert next(ticks) <= 4


def test_secrets_are_random_numbers_too(backend):
    def step(x):
        return x * 2 if secrets.randbelow(10**9) else x

    fast = tl.compile(tl.no_grad(step), backend=backend)
    with pytest.warns(UserWarning, match="recording only"):
        found = [fast(tl.ones(2)).tolist() for _ in range(4)]
    assert found == [[2, 2]] * 4


def test_data_that_the_step_fetches_itself_is_not_replayed(backend):
    batches = itertools.cycle([batch(0), batch(1)])
    world = world_of()
    fast = tl.compile(tl.no_grad(lambda: F.cross_entropy(world.net(next(batches)[0]), tl.zeros(6, dtype=tl.int64))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = [fast().item() for _ in range(8)]
    with tl.no_grad():
        expected = [F.cross_entropy(world.net(batch(i % 2)[0]), tl.zeros(6, dtype=tl.int64)).item() for i in range(8)]
    assert np.allclose(found, expected, rtol=1e-6)


def test_many_kinds_of_calls_run_eagerly_after_a_while():
    fast = tl.compile(tl.no_grad(lambda x, factor: x * factor), backend="numpy")
    with pytest.warns(UserWarning, match="almost every call is of another kind"):
        found = [fast(tl.ones(2), float(number)).tolist() for number in range(40)]
    assert found == [[number, number] for number in range(40)]


def test_the_warning_comes_once_however_many_calls():
    twins = Twins(STEPS["a_branch_on_a_value"][0])
    with pytest.warns(UserWarning, match="runs eagerly") as caught:
        twins.call(30, *batch())
    assert len(caught) == 1
