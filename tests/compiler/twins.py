"""Two worlds that start alike: one runs a step eagerly, the other compiled, and both must stay alike."""

import functools
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_lite as tl
from tinygrad_lite import nn, optim
from tinygrad_lite.autograd.tree import leaves
from tinygrad_lite.random import default_generator

MANY = 10**9
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


class Twins:
    """Runs every call in both worlds, and compares results, gradients, weights and the optimizers' states.

    ``make()`` gives a namespace: ``step``, and under any names the modules, optimizers and tensors that it works on.
    In ``eager`` and ``compiled`` a test changes the worlds between calls.
    """

    def __init__(self, make: Callable[[], Any], backend: str = "numpy", **options: Any) -> None:
        tl.manual_seed(0)
        self.eager = make()
        tl.manual_seed(0)
        self.compiled = make()
        self.backend = backend
        self._ticks = iter(range(MANY))
        self.fast = tl.compile(counted(self.compiled.step, self._ticks), backend=backend, **options)

    @property
    def worlds(self) -> tuple[Any, Any]:
        return self.eager, self.compiled

    @property
    def runs(self) -> int:
        """How often the compiled step was run as Python so far."""
        return MANY - operator.length_hint(self._ticks)

    def both(self, change: Callable[[Any], Any]) -> None:
        """Change both worlds in the same way, with the same random numbers."""
        state = default_generator.get_state()
        change(self.eager)
        default_generator.set_state(state)
        change(self.compiled)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the step in both worlds; what the compiled one returned."""
        state = default_generator.get_state()
        expected = self.eager.step(*args, **kwargs)
        after = default_generator.get_state()
        default_generator.set_state(state)
        result = self.fast(*args, **kwargs)
        assert default_generator.get_state() == after
        self.compare(result, expected)
        return result

    def call(self, times: int, *args: Any) -> None:
        """Call the step several times with the same arguments."""
        for _ in range(times):
            self(*args)

    def replays(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the next call runs no Python; it is compared as every call is."""
        before = self.runs
        self(*args, **kwargs)
        return self.runs == before

    def compare(self, result: Any, expected: Any) -> None:
        found, wanted = leaves(result), leaves(expected)
        assert [type(leaf) for leaf in found] == [type(leaf) for leaf in wanted]
        for a, b in zip(found, wanted, strict=True):
            if isinstance(a, tl.Tensor):
                assert a.requires_grad == b.requires_grad
                self.assert_same("result", a, b)
            else:
                assert a == b
        found, wanted = state_of(self.compiled), state_of(self.eager)
        assert found.keys() == wanted.keys()
        for name in found:
            self.assert_same(name, found[name], wanted[name])

    def assert_same(self, name: str, a: Any, b: Any) -> None:
        a, b = (x.detach().numpy() for x in (a, b))
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        if self.backend == "numpy" or a.dtype.kind != "f":
            assert a.tobytes() == b.tobytes(), f"{name}: {np.abs(a - b).max()}"
            return
        a, b = a.astype(np.float64), b.astype(np.float64)
        finite = np.isfinite(b)
        np.testing.assert_array_equal(a[~finite], b[~finite])
        scale = max(np.linalg.norm(b[finite]), 1e-3)
        difference = np.linalg.norm(a[finite] - b[finite]) / scale
        assert difference <= TOLERANCE[found_dtype(name, self)], f"{name}: {difference}"


def found_dtype(name: str, twins: Twins) -> str:
    """The precision that a world computes in."""
    dtypes = {t.dtype.name for t in state_of(twins.compiled).values() if t.ndim and t.dtype.kind == "f"}
    return "float32" if "float32" in dtypes or not dtypes else "float64"


def counted(step: Callable[..., Any], ticks: Any) -> Callable[..., Any]:
    """The step, which takes one from ``ticks`` whenever Python runs it."""

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> Any:
        next(ticks)
        return step(*args, **kwargs)

    return run


def state_of(world: Any) -> dict[str, Any]:
    """Every tensor of a world, gradients included, by name."""
    found: dict[str, Any] = {}
    for name, thing in vars(world).items():
        if isinstance(thing, nn.Module):
            found |= {f"{name}.{n}": t for n, t in thing.named_parameters()}
            found |= {f"{name}.{n}": t for n, t in thing.named_buffers()}
        elif isinstance(thing, tl.Tensor):
            found[name] = thing
    for name, tensor in list(found.items()):
        for place, thing in vars(world).items():
            if isinstance(thing, optim.Optimizer) and tensor in thing.state:
                state = thing.state[tensor].items()
                found |= {f"{place}.{name}.{key}": value for key, value in state if isinstance(value, tl.Tensor)}
        if tensor.grad is not None:
            found[f"{name}.grad"] = tensor.grad
    for name, tensor in found.items():
        assert type(tensor._array) is np.ndarray, f"{name} is left with a recording"
    return found


# ---- a small world, which most tests use


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def sgd(parameters: Any) -> optim.Optimizer:
    return optim.SGD(parameters, lr=0.1)


def training(
    net: Callable[[], nn.Module] = small_net,
    optimizer: Callable[[Any], optim.Optimizer] = sgd,
    loss: Callable[..., tl.Tensor] = nn.functional.cross_entropy,
) -> Callable[[], Any]:
    """How to make a world with the usual step."""

    def make() -> Any:
        world = SimpleNamespace(net=net())
        world.optimizer = optimizer(world.net.parameters())
        world.step = step_of(world.net, world.optimizer, loss)
        return world

    return make


def step_of(net: nn.Module, optimizer: optim.Optimizer, loss: Callable[..., tl.Tensor]) -> Callable[..., tl.Tensor]:
    def step(x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
        optimizer.zero_grad()
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


def batch(seed: int = 0, size: int = 6, dtype: Any = np.float32) -> tuple[tl.Tensor, tl.Tensor]:
    """Samples for the small net, and labels."""
    rng = np.random.default_rng(seed)
    return tl.tensor(rng.standard_normal((size, 4)).astype(dtype)), tl.tensor(rng.integers(3, size=size))
