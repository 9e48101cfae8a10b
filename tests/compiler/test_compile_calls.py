"""Arguments and results of every kind, and how ``tl.compile`` itself is called."""

import inspect
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, counted, small_net, training
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F


class Forward:
    """A function compiled under ``no_grad``, and the same function eagerly."""

    def __init__(self, function, backend):
        self.ticks = iter(range(10**6))
        self.backend = backend
        self.function = tl.no_grad(function)
        self.fast = tl.compile(counted(self.function, self.ticks), backend=backend)
        self.twins = Twins(lambda: SimpleNamespace(step=None), backend)

    def __call__(self, *args, **kwargs):
        result = self.fast(*args, **kwargs)
        self.twins.compare(result, self.function(*args, **kwargs))
        return result

    def settled(self, *args, **kwargs):
        """Whether calls with these arguments are replayed after some."""
        for _ in range(5):
            self(*args, **kwargs)
        runs = next(self.ticks)
        self(*args, **kwargs)
        return next(self.ticks) == runs + 1


@pytest.fixture
def forward(backend):
    return lambda function: Forward(function, backend)


# ---- shapes and dtypes


def test_a_last_smaller_batch_just_works(backend):
    twins = Twins(training(), backend)
    for seed in range(20):
        twins(*batch(seed, size=2 if seed % 5 == 4 else 6))
    assert twins.replays(*batch(size=2))
    assert twins.replays(*batch(size=6))


def test_a_batch_of_none_and_of_one(backend):
    twins = Twins(training(loss=lambda z, y: F.cross_entropy(z, y, reduction="sum")), backend)
    for size in (6, 1, 0, 6):
        twins.call(4, *batch(size=size))
        assert twins.replays(*batch(size=size))


def test_dtypes_are_programs_of_their_own(forward):
    double = forward(lambda x: x * 2 + x.sum())
    for dtype in (tl.float32, tl.float64, tl.int64, tl.float16, tl.int32, tl.uint8):
        assert double.settled(tl.ones(3, dtype=dtype))


def test_more_kinds_of_calls_than_programs_are_kept(backend):
    twins = Twins(training(), backend)
    for size in range(1, 13):
        twins.call(4, *batch(size=size))
    assert twins.replays(*batch(size=12))
    twins.call(4, *batch(size=1))
    assert twins.replays(*batch(size=1))


def test_kinds_that_take_turns_from_the_first_call_on(backend):
    twins = Twins(training(), backend)
    for seed in range(16):
        twins.both(lambda world: world.net.train(seed % 2 == 0))
        twins(*batch(seed))
    assert twins.replays(*batch())


# ---- layouts and memory

LAYOUTS = {
    "contiguous": lambda a: tl.tensor(a),
    "transposed": lambda a: tl.tensor(a.T.copy()).T,
    "every other row": lambda a: tl.tensor(np.repeat(a, 2, axis=0))[::2],
    "backwards": lambda a: tl.from_numpy(a.copy()[::-1])[:],
    "broadcast": lambda a: tl.tensor(a[:1].copy()).expand(6, 4),
    "from_numpy": lambda a: tl.from_numpy(a.copy()),
    "from_numpy in Fortran's order": lambda a: tl.from_numpy(np.asfortranarray(a)),
    "a slice of a larger one": lambda a: tl.tensor(np.pad(a, 3))[3:-3, 3:-3],
    "read-only": lambda a: tl.from_numpy(read_only(a)),
    "not aligned": lambda a: tl.from_numpy(unaligned(a)),
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    memory = memory.view(array.dtype).reshape(array.shape)
    memory[...] = array
    return memory


@pytest.mark.parametrize("first", LAYOUTS)
def test_arguments_of_any_layout(first, backend):
    twins = Twins(training(), backend)
    x, y = batch()
    for layout in [first, *LAYOUTS, first]:
        for seed in range(3):
            array = batch(seed)[0].numpy()
            try:
                argument = LAYOUTS[layout](array)
            except (ValueError, RuntimeError):
                continue
            twins(argument, y)
    twins.call(4, LAYOUTS[first](x.numpy()), y)
    assert twins.replays(LAYOUTS[first](x.numpy()), y)


def test_an_argument_changed_through_numpy_between_calls(forward):
    array = np.ones((3, 4), np.float32)
    x = tl.from_numpy(array)
    total = forward(lambda x: x.sum())
    assert total.settled(x)
    array[0, 0] = 100
    assert total(x).item() == 111


def test_the_same_tensor_twice(forward):
    product = forward(lambda a, b: a @ b + a)
    x, z = tl.rand(3, 3), tl.rand(3, 3)
    assert product.settled(x, x)
    assert product.settled(x, z)
    assert product.settled(x, x)
    assert product.settled(z, z)


def test_arguments_that_overlap(forward):
    add = forward(lambda a, b: a * 2 + b)
    x = tl.rand(8)
    assert add.settled(x[:4], x[4:])
    assert add.settled(x[:4], x[2:6])


@pytest.mark.filterwarnings("ignore:compile")
@pytest.mark.parametrize("alias", [lambda w: w.detach(), lambda w: w.detach()[:], lambda w: w.data, lambda w: w])
@pytest.mark.parametrize("when", ["from the start", "later"])
def test_an_argument_that_aliases_a_parameter_that_changes(alias, when, backend):
    def make():
        world = SimpleNamespace(w=nn.Parameter(tl.linspace(0, 1, 4)))
        world.optimizer = optimizer = optim.SGD([world.w], lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = (world.w * x.detach()).sum()
            loss.backward()
            optimizer.step()
            return (loss + (x.detach() ** 2).sum()).detach()

        world.step = step
        return world

    twins = Twins(make, backend)
    if when == "later":
        twins.call(5, tl.rand(4))
    for _ in range(6):
        arguments = [alias(world.w) for world in twins.worlds]
        expected = twins.eager.step(arguments[0])
        twins.compare(twins.fast(arguments[1]), expected)
    twins.call(3, tl.rand(4))


def test_two_tensors_of_one_array_may_have_others_later(forward):
    add = forward(lambda a, b: a * 2 + b)
    x, z = tl.rand(3), tl.rand(3)
    assert add.settled(x, x.detach())
    assert add.settled(x, z)
    assert add.settled(z, x)


def test_an_argument_with_the_array_of_a_weight_may_have_another_one_later(forward):
    w, z = tl.rand(3), tl.rand(3)
    add = forward(lambda a: a * 2 + w)
    assert add.settled(w.detach())
    assert add.settled(z)


def test_two_weights_of_one_array_may_have_others_later(forward):
    v = tl.rand(3)
    w = v.detach()
    add = forward(lambda a: a * v + w)
    assert add.settled(tl.ones(3))
    w.data = tl.rand(3)
    assert add.settled(tl.ones(3))


def test_a_buffer_given_as_an_argument(forward):
    buffer = tl.ones(3)
    add = forward(lambda x: x + buffer)
    assert add.settled(tl.zeros(3))
    assert add.settled(buffer)
    assert add(tl.full((3,), 5.0)).tolist() == [6, 6, 6]


# ---- kinds of arguments


def test_keyword_arguments(forward):
    scaled = forward(lambda x, *, scale, shift=0.0: x * scale + shift)
    x, s = tl.rand(3), tl.tensor(2.0)
    assert scaled.settled(x, scale=s)
    assert scaled.settled(x, scale=s, shift=1.0)
    assert scaled.settled(x, shift=1.0, scale=s)
    with pytest.raises(TypeError, match="scale"):
        scaled.fast(x)
    with pytest.raises(TypeError, match="unexpected"):
        scaled.fast(x, scale=s, wrong=1)


def test_defaults_and_names_of_parameters(forward):
    power = forward(lambda x, exponent=2, other=None: x**exponent)
    x = tl.rand(3)
    for _ in range(4):
        power(x)
        power(x, 3)
        power(x, exponent=3)
        power(exponent=4, x=x)
    assert power.settled(x)


Pair = namedtuple("Pair", "a b")


def test_nested_arguments(forward):
    total = forward(lambda data: data["x"][0] * data["x"][1][0] + data["y"].a - data["y"].b)

    def made(seed):
        x, y, z = (tl.rand(3) for _ in range(3))
        return {"x": (x, [y]), "y": Pair(z, x)}

    assert total.settled(made(0))
    for seed in range(5):
        total(made(seed))
    other = made(1)
    other["y"] = Pair(tl.rand(3), tl.rand(3))
    assert total.settled(other)
    longer = made(2)
    longer["x"] = (*longer["x"], tl.rand(3))
    assert total.settled(longer)


def test_python_values_as_arguments(forward):
    step = forward(lambda x, factor, name, flag, nothing: x * factor if flag else x + len(name))
    x = tl.ones(2)
    for args in [(2, "a", True, None), (2.0, "a", True, None), (2, "abc", False, None), (True, "a", True, None)]:
        assert step.settled(x, *args)
    assert step(x, 2, "a", True, None).tolist() == [2, 2]


def test_python_numbers_of_equal_value_and_other_type_are_told_apart(forward):
    add = forward(lambda x, n: x + n)
    x = tl.ones(2, dtype=tl.int64)
    assert add.settled(x, 1)
    assert add(x, 1.0).dtype == tl.float32
    assert add.settled(x, 1.0)
    assert add.settled(x, True)
    assert add(x, 1).dtype == tl.int64


def test_a_negative_zero_is_no_zero(forward):
    times = forward(lambda x, n: x * n)
    assert times.settled(tl.ones(1), 0.0)
    assert np.signbit(times(tl.ones(1), -0.0).numpy()[0])


def test_an_object_as_an_argument_is_compared_by_identity(forward):
    class Config:
        def __init__(self, factor):
            self.factor = factor

    one, other = Config(2.0), Config(3.0)
    times = forward(lambda x, config: x * config.factor)
    for config in (one, other, one, other):
        assert times.settled(tl.ones(2), config)
    one.factor = 5.0
    assert times(tl.ones(2), one).tolist() == [5, 5]


def test_a_module_as_an_argument(forward):
    run = forward(lambda net, x: net(x))
    first, second = nn.Linear(4, 3), nn.Linear(4, 3)
    x, _ = batch()
    for net in (first, second, first):
        assert run.settled(net, x)
    with tl.no_grad():
        first.weight.mul_(2)
    run(first, x)
    first.load_state_dict(second.state_dict())
    run(first, x)


def test_scalars(forward):
    square = forward(lambda x: x * x)
    assert square.settled(tl.tensor(3.0))
    assert square(tl.tensor(4.0)).item() == 16
    assert square(tl.tensor(4.0)).shape == ()


# ---- not finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, 1e-45])
@pytest.mark.parametrize("loss", [F.cross_entropy, lambda z, y: ((z.sigmoid() - 0.5) ** 2).mean()])
def test_numbers_that_are_not_finite(value, loss, backend):
    twins = Twins(training(loss=loss), backend)
    twins.call(5, *batch())
    x, y = batch()
    x._array[1, 2] = value
    assert twins.replays(x, y)


def test_nan_from_the_first_call_on(backend):
    twins = Twins(training(), backend)
    x, y = batch()
    x._array[1, 2] = np.nan
    twins.call(6, x, y)
    assert twins.replays(x, y)


# ---- results


def test_results_of_every_form(forward):
    w = tl.rand(3)
    forms = {
        "nothing": lambda x: None,
        "a tuple": lambda x: (x + w, x * w),
        "a list": lambda x: [x + w],
        "an empty tuple": lambda x: (),
        "a dict": lambda x: {"sum": x + w, "parts": (x * 2, [x * 3])},
        "a namedtuple": lambda x: Pair(x + w, x - w),
        "Python values beside tensors": lambda x: (x + w, 5, "name", None, 2.5),
        "a Python value": lambda x: 7,
        "a constant tensor": lambda x: tl.ones(3),
        "a tensor without elements": lambda x: x[:0] * 2,
        "the same tensor twice": lambda x: (lambda y: (y, y))(x + w),
        "two views of one tensor": lambda x: (lambda y: (y[:1], y[1:]))(x + w),
        "a bool": lambda x: x > w,
        "an integer": lambda x: x.argmax(),
        "a transposed result": lambda x: (x.reshape(1, 3) + tl.zeros(2, 3)).T,
    }
    for name, form in forms.items():
        run = forward(form)
        assert run.settled(tl.rand(3)), name
        kept = [run(tl.rand(3)) for _ in range(3)]
        values = [[leaf.tolist() for leaf in tl_leaves(result)] for result in kept]
        run(tl.rand(3))
        assert [[leaf.tolist() for leaf in tl_leaves(result)] for result in kept] == values, name


def tl_leaves(result):
    from tinygrad_lite.autograd.tree import leaves

    return [leaf for leaf in leaves(result) if isinstance(leaf, tl.Tensor)]


def test_a_result_can_be_changed_without_harm(forward):
    double = forward(lambda x: x * 2)
    assert double.settled(tl.ones(3))
    double(tl.ones(3)).mul_(100)
    assert double(tl.ones(3)).tolist() == [2, 2, 2]


def test_a_result_that_is_changed_counts_its_changes(backend):
    double = tl.compile(tl.no_grad(lambda x: x * 2), backend=backend)
    w = tl.ones(3, requires_grad=True)
    for _ in range(6):
        y = double(tl.ones(3))
        product = (w * y).sum()
        y.mul_(2)
        with pytest.raises(RuntimeError, match=r"changed|modified"):
            product.backward()


# ---- graphs


def test_a_forward_in_grad_mode_can_be_differentiated(backend):
    twins = Twins(lambda: SimpleNamespace(net=small_net(), step=None), backend)
    fast = tl.compile(lambda x: twins.compiled.net(x), backend=backend)
    for seed in range(7):
        x, y = batch(seed)
        twins.both(lambda world: world.net.zero_grad())
        losses = [F.cross_entropy(call(x), y) for call in (fast, twins.eager.net)]
        for loss in losses:
            loss.backward()
        twins.compare(*losses)


def test_gradients_flow_through_a_compiled_forward_to_its_argument(backend):
    net = small_net()
    fast = tl.compile(lambda x: net(x), backend=backend)
    for seed in range(7):
        gradients = []
        for call in (fast, net):
            leaf = batch(seed)[0].requires_grad_()
            call(leaf * 2).sum().backward()
            gradients.append(leaf.grad.numpy())
        assert np.allclose(*gradients, rtol=1e-5, atol=1e-6)


def test_grad_mode_is_part_of_the_call(backend):
    net = small_net()
    fast = tl.compile(lambda x: net(x), backend=backend)
    x, _ = batch()
    for mode in (True, False, True, False):
        for _ in range(4):
            with tl.set_grad_enabled(mode):
                assert fast(x).requires_grad is mode


def test_inside_vmap_and_grad_it_is_the_function_itself(backend):
    fast = tl.compile(lambda x: (x**3).sum(), backend=backend)
    for _ in range(5):
        assert tl.func.grad(fast)(tl.tensor([1.0, 2.0])).tolist() == [3, 12]
        assert tl.func.vmap(fast)(tl.tensor([[1.0], [2.0]])).tolist() == [1, 8]


# ---- tl.compile


def test_it_is_a_decorator_with_and_without_arguments():
    @tl.compile
    def double(x):
        """Twice."""
        return x * 2

    @tl.compile(backend="numpy", fullgraph=True)
    def triple(x):
        return x * 3

    for _ in range(4):
        assert double(tl.ones(2)).tolist() == [2, 2]
        assert triple(tl.ones(2)).tolist() == [3, 3]
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert list(inspect.signature(double).parameters) == ["x"]


def test_a_method_can_be_decorated():
    class Trainer:
        def __init__(self, factor):
            self.factor = tl.tensor(factor)

        @tl.compile(backend="numpy")
        def scaled(self, x):
            return x * self.factor

    first, second = Trainer(2.0), Trainer(3.0)
    for _ in range(5):
        assert first.scaled(tl.ones(2)).tolist() == [2, 2]
        assert second.scaled(tl.ones(2)).tolist() == [3, 3]
    first.factor = tl.tensor(7.0)
    assert first.scaled(tl.ones(2)).tolist() == [7, 7]


def test_a_bound_method_can_be_compiled():
    class Trainer:
        def __init__(self, factor):
            self.factor = factor

        def scaled(self, x):
            return x * self.factor

    trainer = Trainer(2.0)
    fast = tl.compile(trainer.scaled, backend="numpy")
    for factor in (2.0, 3.0):
        trainer.factor = factor
        for _ in range(4):
            assert fast(tl.ones(2)).tolist() == [factor, factor]


def test_a_wrong_backend_is_refused_with_the_right_ones():
    with pytest.raises(ValueError, match="'cuda' is no backend: use 'auto', 'native' or 'numpy'"):
        tl.compile(lambda x: x, backend="cuda")


def test_fullgraph_has_nothing_against_a_good_step():
    twins = Twins(training(), fullgraph=True)
    twins.call(6, *batch())
    assert twins.replays(*batch())


def test_compiling_something_that_is_compiled_already(backend):
    fast = tl.compile(tl.compile(tl.no_grad(lambda x: x * 2), backend=backend), backend=backend)
    for value in range(6):
        assert fast(tl.full((2,), float(value))).tolist() == [2 * value, 2 * value]
