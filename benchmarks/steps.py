"""The training steps that are measured, each by several contestants that start from the same weights.

tinygrad_lite, eager and compiled, and PyTorch run the very same lines, with another module behind ``framework``.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import by_hand
from benchmarks.by_hand import RATE
from benchmarks.contestants import BY_HAND, JAX, TORCH, Contestant, as_run_by, framework_of


@dataclass
class Net:
    """A whole training step of a dense net: zero the gradients, forward, backward, descend in place."""

    name: str
    widths: tuple[int, ...]
    batch: int
    hidden: str
    loss: str
    by_hand: Callable[..., Any]
    target: float | None
    document: str
    l2: float = 0.0
    baseline: str = field(default=BY_HAND, init=False)

    @property
    def description(self) -> str:
        samples = "one sample" if self.batch == 1 else f"batch {self.batch}"
        hidden = [self.hidden] if len(self.widths) > 2 else []
        penalty = [f"L2 {self.l2}"] if self.l2 else []
        return ", ".join(["-".join(map(str, self.widths)), samples, *hidden, self.loss, *penalty])

    def comparable(self) -> "Net":
        """The step as the contestants are held against each other: no larger than is worth the time."""
        d, *others = self.widths
        return replace(self, widths=(d, *(min(n, 100) for n in others)), batch=min(self.batch, 100))

    def contestant(self, who: str, dtype: np.dtype[Any]) -> Contestant:
        """The implementation named ``who``, on the same weights and data as the others."""
        parameters, x, y = self._problem(dtype)
        if who == BY_HAND:
            return Contestant(functools.partial(self._by_hand(), *parameters, x, y), lambda: parameters)
        if who == JAX:
            return self._in_jax(parameters, x, y)
        framework = framework_of(who)
        step, model = self._with(framework, parameters)
        return Contestant(
            functools.partial(as_run_by(who, step), framework.tensor(x), framework.tensor(y)),
            lambda: [parameter.detach().numpy() for parameter in model.parameters()],
        )

    def _problem(self, dtype: np.dtype[Any]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        shapes = [shape for d, n in pairwise(self.widths) for shape in [(n, d), (n,)]]
        parameters = [(rng.uniform(-1, 1, shape) / np.sqrt(shape[-1])).astype(dtype) for shape in shapes]
        x = rng.random((self.batch, self.widths[0])).astype(dtype)
        if self.loss == "cross-entropy":
            y = rng.integers(self.widths[-1], size=self.batch)
        else:
            y = rng.integers(2, size=(self.batch, 1)).astype(dtype)
        return parameters, x, y

    def _by_hand(self) -> Callable[..., Any]:
        return self.by_hand

    def _in_jax(self, *problem: Any, **more: Any) -> Contestant:
        from benchmarks import in_jax  # imports JAX, which may be absent

        return in_jax.net(*problem, hidden=self.hidden, loss=self.loss, l2=self.l2, **more)

    def _with(self, framework: Any, parameters: list[np.ndarray]) -> tuple[Callable[[Any, Any], Any], Any]:
        """The step, a function of a batch, and the model that it trains."""
        nn, loss_of = framework.nn, LOSSES[self.loss]
        model = nn.Sequential(*self._layers(nn))
        for parameter, array in zip(model.parameters(), parameters, strict=True):
            parameter.data = framework.tensor(array)
        optimizer = self._optimizer(framework.optim, model.parameters())
        weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
        penalty = self.l2 / (2 * self.batch)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(nn.functional, model(x), y)
            if penalty:
                loss = loss + penalty * sum(weight.square().sum() for weight in weights)
            loss.backward()
            optimizer.step()
            return loss

        return step, model

    def _layers(self, nn: Any) -> list[Any]:
        layers = [layer for d, n in pairwise(self.widths) for layer in (nn.Linear(d, n), getattr(nn, self.hidden)())]
        return layers[:-1]

    def _optimizer(self, optim: Any, parameters: Any) -> Any:
        return optim.SGD(parameters, lr=RATE)


@dataclass
class DropoutNet(Net):
    """The step of a net with dropout after the first hidden layer, trained by Adam; ``by_hand`` makes the step."""

    dropout: float = 0.4
    eps: float = 1e-8

    @property
    def description(self) -> str:
        return f"{super().description}, dropout {self.dropout}, Adam"

    def comparable(self) -> "DropoutNet":
        """The step without dropout, since everybody draws other random numbers, and with a larger ``eps``.

        Adam divides by the size of the gradient: with a small ``eps`` it blows rounding in a gradient that
        should be 0 up to a whole step.
        """
        return replace(super().comparable(), dropout=0.0, eps=1e-4)

    def _by_hand(self) -> Callable[..., Any]:
        return self.by_hand(self.dropout, self.eps)

    def _in_jax(self, *problem: Any, **more: Any) -> Contestant:
        return super()._in_jax(*problem, dropout=self.dropout, eps=self.eps, **more)

    def _layers(self, nn: Any) -> list[Any]:
        linear, activation, *others = super()._layers(nn)
        return [linear, activation, nn.Dropout(self.dropout), *others]

    def _optimizer(self, optim: Any, parameters: Any) -> Any:
        return optim.Adam(parameters, lr=RATE, eps=self.eps)


LOSSES: dict[str, Callable[..., Any]] = {
    "binary cross-entropy": lambda functional, z, y: functional.binary_cross_entropy_with_logits(z, y),
    "cross-entropy": lambda functional, z, y: functional.cross_entropy(z, y),
    "squared error": lambda functional, z, y: 0.5 * functional.mse_loss(z.sigmoid(), y, reduction="sum"),
}


@dataclass
class TanhChain:
    """Forward and backward of many operations: small, what an operation costs apart from its arithmetic; large, what
    it costs that each one writes its result to memory."""

    name: str
    size: int
    target: float | None
    repeats: int = 10
    document: str = field(default="", init=False)
    baseline: str = field(default=TORCH, init=False)

    @property
    def description(self) -> str:
        return f"{self.repeats} x `x = tanh(x*b + a) - b`, {self.size}x{self.size}"

    def comparable(self) -> "TanhChain":
        """The step as the contestants are held against each other: no larger than is worth the time."""
        return replace(self, size=min(self.size, 300))

    def contestant(self, who: str, dtype: np.dtype[Any]) -> Contestant:
        """The implementation named ``who``, on the same data as the others."""
        rng = np.random.default_rng(0)
        a = rng.random((self.size, self.size)).astype(dtype)
        b = (0.5 * rng.random((self.size, self.size))).astype(dtype)
        if who == BY_HAND:
            return Contestant(
                lambda: by_hand.tanh_chain(a, b, self.repeats)[0],
                lambda: list(by_hand.tanh_chain(a, b, self.repeats)[1:]),
            )
        if who == JAX:
            from benchmarks import in_jax  # imports JAX, which may be absent

            return in_jax.tanh_chain(a, b, self.repeats)
        framework = framework_of(who)
        return self._with(who, *(framework.tensor(array, requires_grad=True) for array in (a, b)))

    def _with(self, who: str, a: Any, b: Any) -> Contestant:
        repeats = self.repeats

        def step() -> Any:
            a.grad = b.grad = None
            x = a
            for _ in range(repeats):
                x = (x * b + a).tanh() - b
            loss = x.sum()
            loss.backward()
            return loss

        return Contestant(as_run_by(who, step), lambda: [a.grad.numpy(), b.grad.numpy()])


Step = Net | TanhChain

SIGMOID = {"activation": by_hand.sigmoid, "slope": by_hand.sigmoid_slope}
RELU = {"activation": by_hand.relu, "slope": by_hand.relu_slope}


def layers(l2: float = 0.0, **functions: Any) -> Callable[..., Any]:
    """The hand-written step for any number of layers, with these activations and this head."""
    return functools.partial(by_hand.layers, l2=l2, **functions)


BINARY, SOFTMAX, SQUARES = "binary cross-entropy", "cross-entropy", "squared error"

STEPS: list[Step] = [
    Net("L1", (3, 1), 1, "Sigmoid", BINARY, by_hand.logistic, 3.0, "000"),
    Net("L2", (2, 10, 1), 1, "Sigmoid", BINARY, by_hand.shallow, 3.0, "000"),
    Net("L3", (784, 10, 5, 10), 1, "Sigmoid", SOFTMAX, by_hand.deep, 3.0, "000"),
    Net("L4", (784, 10, 1), 1, "Sigmoid", BINARY, by_hand.shallow, None, "000"),
    Net("L5", (784, 10, 5, 1), 1, "Sigmoid", BINARY, layers(**SIGMOID, head=by_hand.sigmoid_head), None, "000"),
    Net("B1", (784, 25, 10), 128, "ReLU", SOFTMAX, by_hand.relu_classifier, 1.15, "001"),
    Net("B6", (784, 25, 10), 128, "ReLU", SOFTMAX, layers(0.1, **RELU, head=by_hand.softmax_head), None, "001", 0.1),
    Net(
        "B7",
        (784, 25, 10),
        128,
        "Sigmoid",
        SOFTMAX,
        layers(0.1, **SIGMOID, head=by_hand.softmax_head),
        None,
        "001",
        0.1,
    ),
    Net("B8", (5, 25, 25, 1), 64, "ReLU", BINARY, layers(0.1, **RELU, head=by_hand.sigmoid_head), None, "001", 0.1),
    Net("B2", (784, 20, 10), 1600, "ReLU", SOFTMAX, by_hand.relu_classifier, 1.15, "002"),
    Net("B9", (784, 20, 10), 1600, "ReLU", SOFTMAX, layers(0.5, **RELU, head=by_hand.softmax_head), None, "002", 0.5),
    Net("B3", (784, 500, 250, 1), 1000, "ReLU", SQUARES, by_hand.squared_error, 1.15, "003"),
    Net(
        "B10",
        (784, 500, 250, 50, 1),
        1000,
        "ReLU",
        SQUARES,
        layers(**RELU, head=by_hand.squared_error_head),
        None,
        "003",
    ),
    Net("B4", (784, 100, 10), 50, "Sigmoid", SOFTMAX, by_hand.sigmoid_classifier, 1.15, "004"),
    DropoutNet("B5", (784, 1200, 1200, 10), 62, "ReLU", SOFTMAX, by_hand.DropoutClassifier, None, "004"),
    TanhChain("E1", 8, 0.75),
    TanhChain("E2", 1000, None),
]


def check(step: Step, who: list[str], runs: int = 6) -> None:
    """Hold the implementations against each other in float64, over as many steps as bring all to their steady state.

    The steps are smaller for that, and without randomness: see their ``comparable``.

    Raises
    ------
    AssertionError
        If losses, parameters or gradients differ by more than rounding.
    """
    step = step.comparable()
    reference, *others = [step.contestant(name, np.dtype(np.float64)) for name in who]
    messages = [f"{step.name}: {name} and {who[0]} differ" for name in who[1:]]
    for _ in range(runs):
        loss = reference.step().item()
        for message, other in zip(messages, others, strict=True):
            np.testing.assert_allclose(other.step().item(), loss, rtol=1e-9, err_msg=message)
    expected = reference.state()
    for message, other in zip(messages, others, strict=True):
        for ours, theirs in zip(other.state(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=message)
