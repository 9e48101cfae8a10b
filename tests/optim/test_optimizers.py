"""The update rules: against PyTorch over 20 steps, in place, without allocation, through NumPy's protocols."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import optim
from tinygrad_lite.nn import Parameter

SHAPES = [(4, 3), (3,), (), (2, 3, 2), (0,)]
STEPS = 20

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.3, "maximize": True}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.01}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.9, 0.5)}),
    ("Adam", {"lr": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.3}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "maximize": True, "amsgrad": True, "betas": (0.9, 0.5)}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)


class Run:
    """An optimizer of random parameters that gets random gradients."""

    def __init__(self, name, options, dtype=np.float64, shapes=SHAPES):
        rng = np.random.default_rng(0)
        self.starts = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        self.gradients = [[rng.normal(size=shape).astype(dtype) for shape in shapes] for _ in range(STEPS)]
        self.parameters = [Parameter(tl.tensor(start)) for start in self.starts]
        self.optimizer = getattr(optim, name)(self.parameters, **options)

    def step(self, number):
        for parameter, gradient in zip(self.parameters, self.gradients[number], strict=True):
            parameter.grad = tl.tensor(gradient)
        self.optimizer.step()

    def values(self):
        return [parameter.detach().numpy().copy() for parameter in self.parameters]


# ---- against PyTorch


@every_case
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_updates_are_pytorchs(name, options, dtype):
    torch = pytest.importorskip("torch")
    run = Run(name, options, dtype)
    theirs = [torch.nn.Parameter(torch.tensor(start)) for start in run.starts]
    reference = getattr(torch.optim, name)(theirs, **options)
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if dtype == np.float64 else {"rtol": 2e-6, "atol": 1e-6}
    for number in range(STEPS):
        run.step(number)
        for parameter, gradient in zip(theirs, run.gradients[number], strict=True):
            parameter.grad = torch.tensor(gradient)
        reference.step()
        for ours, expected in zip(run.values(), theirs, strict=True):
            assert ours.dtype == dtype
            np.testing.assert_allclose(ours, expected.detach().numpy(), **tolerance)
    ours, expected = run.optimizer.state_dict(), reference.state_dict()
    assert ours["state"].keys() == expected["state"].keys()
    for number, state in expected["state"].items():
        assert ours["state"][number].keys() == state.keys()
        for key, value in state.items():
            np.testing.assert_allclose(ours["state"][number][key].numpy(), value.numpy(), **tolerance)
    for group, group_expected in zip(ours["param_groups"], expected["param_groups"], strict=True):
        assert group.items() <= group_expected.items()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_parameters_step_on_their_own_clock(name):
    torch = pytest.importorskip("torch")
    options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {"lr": 0.1}
    run = Run(name, options, shapes=[(2,), (3,)])
    theirs = [torch.nn.Parameter(torch.tensor(start)) for start in run.starts]
    reference = getattr(torch.optim, name)(theirs, **options)
    for number in range(STEPS):
        for index, gradient in enumerate(run.gradients[number]):
            skipped = (number + index) % 3 == 0
            run.parameters[index].grad = None if skipped else tl.tensor(gradient)
            theirs[index].grad = None if skipped else torch.tensor(gradient)
        run.optimizer.step()
        reference.step()
    for ours, expected in zip(run.values(), theirs, strict=True):
        np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-12)


# ---- in place


@every_case
def test_updates_are_in_place_and_bump_the_version(name, options):
    run = Run(name, options)
    arrays = [parameter.detach().numpy() for parameter in run.parameters]
    loss = sum((parameter * parameter).sum() for parameter in run.parameters)
    run.step(0)
    assert all(p.detach().numpy() is array for p, array in zip(run.parameters, arrays, strict=True))
    assert all(p.requires_grad and p.is_leaf for p in run.parameters)
    assert not np.array_equal(arrays[0], run.starts[0])
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


@every_case
def test_gradients_are_only_read(name, options):
    run = Run(name, options)
    for number in range(2):
        run.step(number)
        for parameter, gradient in zip(run.parameters, run.gradients[number], strict=True):
            np.testing.assert_array_equal(parameter.grad.numpy(), gradient)
    states = [t.numpy() for state in run.optimizer.state.values() for t in state.values()]
    memory = states + [p.grad.numpy() for p in run.parameters] + [p.detach().numpy() for p in run.parameters]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(memory) for b in memory[:i])


@every_case
def test_parameters_without_gradient_stay_as_they_are(name, options):
    run = Run(name, options)
    run.optimizer.step()
    for value, start in zip(run.values(), run.starts, strict=True):
        np.testing.assert_array_equal(value, start)
    assert run.optimizer.state_dict()["state"] == {}


@every_case
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_allocates_nothing_after_the_first(name, options, dtype):
    run = Run(name, options, dtype, shapes=[(250, 1000), (1000,), (10, 10)])
    run.step(0)
    tracemalloc.start()
    try:
        run.optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4096  # the smallest parameter has 400 bytes, the largest a megabyte or two


def test_scratch_memory_is_as_large_as_the_largest_parameter():
    run = Run("Adam", {"weight_decay": 0.1}, shapes=[(2,), (100, 1000), (5, 5)])
    tracemalloc.start()
    try:
        run.step(0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    state = 2 * sum(8 * p.numel() for p in run.parameters)
    gradients = sum(8 * p.numel() for p in run.parameters)
    assert held - state - gradients < 100 * 1000 * 8 + 20_000


def test_no_warning_where_numbers_overflow():
    w = Parameter(tl.tensor([1e38, 1.0]))
    w.grad = tl.tensor([1e38, float("inf")])
    for optimizer in (optim.SGD([w], lr=100.0, momentum=0.9), optim.Adam([w], lr=100.0)):
        optimizer.step()
    assert not np.isfinite(w.detach().numpy()).all()


def test_numpy_scalars_as_hyperparameters_do_not_promote():
    exact = Run("Adam", {"lr": 0.1, "betas": (0.9, 0.99)}, np.float32)
    scalars = Run("Adam", {"lr": np.float64(0.1), "betas": (np.float64(0.9), np.float64(0.99))}, np.float32)
    for number in range(3):
        exact.step(number)
        scalars.step(number)
    for a, b in zip(exact.values(), scalars.values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_tensor_is_a_learning_rate():
    plain, tensor = Run("SGD", {"lr": 0.5}), Run("SGD", {"lr": tl.tensor(0.5)})
    plain.step(0)
    tensor.step(0)
    for a, b in zip(plain.values(), tensor.values(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- through NumPy's protocols


class Guarded:
    """An array that can be reached through NumPy's protocols only."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        result = getattr(ufunc, method)(*map(_opened, inputs), out=tuple(map(_opened, out)) or None, **kwargs)
        return Guarded(result)

    def __array__(self, *args, **kwargs):
        raise TypeError("the optimizer reads values")


def _opened(value):
    return value.array if isinstance(value, Guarded) else value


@every_case
def test_updates_need_nothing_but_numpys_protocols(name, options):
    eager, guarded = Run(name, options), Run(name, options)
    for run in (eager, guarded):
        run.step(0)
    tensors = [*guarded.parameters, *(t for state in guarded.optimizer.state.values() for t in state.values())]
    arrays = [tensor._array for tensor in tensors]
    for number in (1, 2):
        eager.step(number)
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor._array = Guarded(array)
        for parameter, gradient in zip(guarded.parameters, guarded.gradients[number], strict=True):
            parameter._grad = tl.tensor(gradient)
            parameter._grad._array = Guarded(gradient)
        guarded.optimizer.step()
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor._array = array
    for a, b in zip(eager.values(), guarded.values(), strict=True):
        np.testing.assert_array_equal(a, b)
