"""Document 002: a net of two layers, full-batch gradient descent with an L2 penalty; samples as rows here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np

import tinygrad_lite as tl
from derivations.formulas import chosen_and_reported, softmax
from derivations.records import Array, Derivation, Dispute, Finding, Problem, gradients, grid

__all__ = ["DERIVATIONS", "FINDINGS", "TITLE"]

TITLE = "Document 002: two layers, full batch"
LAMBDAS = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0]


# ---- the formulas


def backward_prop(
    W1: Array,
    b1: Array,
    W2: Array,
    b2: Array,
    X: Array,
    Y: Array,
    lambda_: float,
    softmax: Callable[[Array], Array] = softmax,
) -> dict[str, Array]:
    """The gradients by name."""
    m = len(Y)
    Z1 = X @ W1.T + b1
    A1 = np.maximum(0, Z1)
    P = softmax(A1 @ W2.T + b2)
    dZ2 = P - Y
    dW2 = 1 / m * dZ2.T @ A1 + lambda_ / m * W2
    db2 = 1 / m * dZ2.sum(axis=0)
    dZ1 = dZ2 @ W2 * (Z1 > 0)
    dW1 = 1 / m * dZ1.T @ X + lambda_ / m * W1
    db1 = 1 / m * dZ1.sum(axis=0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2, "1/m dZ1": 1 / m * dZ1, "1/m dZ2": 1 / m * dZ2}


# ---- the loss that these gradients belong to, for autograd: the document defines none


def objective(X: Array, labels: Array, lambda_: float) -> Callable[..., tl.Tensor]:
    """The penalised loss, of the parameters and of zeros added to Z1 and Z2: they get the gradients by Z1 and Z2."""

    def f(
        W1: tl.Tensor,
        b1: tl.Tensor,
        W2: tl.Tensor,
        b2: tl.Tensor,
        at_Z1: tl.Tensor | float = 0.0,
        at_Z2: tl.Tensor | float = 0.0,
    ) -> tl.Tensor:
        Z1 = tl.tensor(X) @ W1.T + b1 + at_Z1
        Z2 = Z1.relu() @ W2.T + b2 + at_Z2
        penalty = lambda_ / (2 * len(X)) * ((W1**2).sum() + (W2**2).sum())
        return tl.nn.functional.cross_entropy(Z2, tl.tensor(labels)) + penalty

    return f


# ---- problems to check them on


def backward_prop_problem(rng: np.random.Generator, sizes: Sequence[int], lambda_: float) -> Problem:
    """Random pixels and labels, and the document's start."""
    X, labels, parameters = random_problem(rng, sizes)
    by_hand = backward_prop(*parameters, X, np.eye(sizes[2])[labels], lambda_)
    zeros = [np.zeros(by_hand[name].shape) for name in ("1/m dZ1", "1/m dZ2")]
    return Problem(objective(X, labels, lambda_), gradients(by_hand.keys(), [*parameters, *zeros], by_hand.values()))


def random_problem(rng: np.random.Generator, sizes: Sequence[int]) -> tuple[Array, Array, list[Array]]:
    """Pixels, labels and weights for sizes (inputs, hidden, classes, samples)."""
    inputs, hidden, classes, samples = sizes
    parameters = init_params(rng.random, inputs, hidden, classes)
    return rng.random((samples, inputs)), rng.integers(classes, size=samples), parameters


def init_params(rand: Callable[[tuple[int, ...]], Array], inputs: int, hidden: int, classes: int) -> list[Array]:
    """The document's start, uniform(-0.5, 0.5), from a source of uniform(0, 1)."""
    return [rand(shape) - 0.5 for shape in [(hidden, inputs), (hidden,), (classes, hidden), (classes,)]]


DERIVATIONS = (
    Derivation(
        model="784-20-10, ReLU, softmax",
        loss="J = -1/m sum Y log P + lambda / (2m) (||W1||^2 + ||W2||^2)",
        formulas={
            "1/m dZ2": "1/m (P - Y)",
            "dW2": "1/m dZ2^T A1 + lambda/m W2",
            "db2": "1/m sum over samples of dZ2",
            "1/m dZ1": "1/m (dZ2 W2 * 1[Z1 > 0])",
            "dW1": "1/m dZ1^T X + lambda/m W1",
            "db1": "1/m sum over samples of dZ1",
        },
        problem=backward_prop_problem,
        cases=grid(sizes=[(5, 4, 3, 7), (2, 1, 2, 1), (784, 20, 10, 32)], lambda_=[0.5, 0.0, 0.001, 1.0]),
    ),
)


# ---- what the document gets wrong


def gradients_of(
    parameters: Sequence[Array],
    X: Array,
    labels: Array,
    lambda_: float,
    softmax: Callable[[Array], Array] = softmax,
) -> list[Array]:
    """Those of W1, b1, W2, b2, for three classes."""
    return list(backward_prop(*parameters, X, np.eye(3)[labels], lambda_, softmax).values())[:4]


def softmax_shifted_by_the_whole_matrix(Z: Array) -> Array:
    """As the document has it: one maximum for all samples."""
    e = np.exp(Z - Z.max())
    return e / e.sum(axis=1, keepdims=True)


def shift_by_the_whole_matrix() -> Dispute:
    """A batch with one sample whose outputs are far above the others'."""
    X, labels, parameters = random_problem(np.random.default_rng(0), (5, 4, 3, 7))
    X[0] *= 10_000
    with np.errstate(invalid="ignore"):
        wrong = gradients_of(parameters, X, labels, 0.0, softmax_shifted_by_the_whole_matrix)
    return Dispute(objective(X, labels, 0.0), parameters, wrong, right=gradients_of(parameters, X, labels, 0.0))


def start_of_a_run(process: int, seed: Callable[[int], None]) -> list[Array]:
    """The document's start in a process of its own, after ``random.seed(42)`` or ``numpy.random.seed(42)``."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        np.random.seed(process)  # stands for the entropy that NumPy takes from the operating system
        seed(42)
        return init_params(np.random.random_sample, 5, 4, 3)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def seed_of_another_generator() -> Dispute:
    """The loss of one run, the gradients of its repetition in another process, seeded in either way."""
    X, labels, _ = random_problem(np.random.default_rng(0), (5, 4, 3, 7))
    loss, first = objective(X, labels, 0.0), start_of_a_run(1, np.random.seed)
    wrong, right = (gradients_of(start_of_a_run(2, seed), X, labels, 0.0) for seed in (random.seed, np.random.seed))
    return Dispute(loss, first, wrong, right)


def distance_of_two_starts(seed: Callable[[int], None]) -> float:
    """The largest difference of a weight between two processes."""
    first, second = start_of_a_run(1, seed), start_of_a_run(2, seed)
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


def start_for_each_lambda() -> Dispute:
    """What changes when only lambda does, from 0.1 to 0.5: with a start of its own, and with the same."""
    X, labels, _ = random_problem(np.random.default_rng(0), (5, 4, 3, 7))
    rng = np.random.default_rng(1)
    first, second = (init_params(rng.random, 5, 4, 3) for _ in range(2))  # one stream, as in the sweep

    def change(start: list[Array]) -> list[Array]:
        after, before = gradients_of(start, X, labels, 0.5), gradients_of(first, X, labels, 0.1)
        return [a - b for a, b in zip(after, before, strict=True)]

    def loss(*parameters: tl.Tensor) -> tl.Tensor:
        return objective(X, labels, 0.5)(*parameters) - objective(X, labels, 0.1)(*parameters)

    return Dispute(loss, first, wrong=change(second), right=change(first))


def sweep(rng: np.random.Generator, iterations: int = 30) -> Iterator[tuple[float, float]]:
    """Train on labels drawn by lot, once for each lambda: accuracy on 100 dev images, and on 100 that nobody saw."""
    X, labels = rng.random((3, 100, 5)), rng.integers(3, size=(3, 100))
    for lambda_ in LAMBDAS:
        parameters = init_params(rng.random, 5, 4, 3)
        for _ in range(iterations):
            found = gradients_of(parameters, X[0], labels[0], lambda_)
            parameters = [p - 0.1 * g for p, g in zip(parameters, found, strict=True)]
        dev, unseen = (accuracy(parameters, X[i], labels[i]) for i in (1, 2))
        yield dev, unseen


def accuracy(parameters: list[Array], X: Array, labels: Array) -> float:
    """The share of samples whose class has the largest output."""
    W1, b1, W2, b2 = parameters
    return float(np.mean((np.maximum(0, X @ W1.T + b1) @ W2.T + b2).argmax(axis=1) == labels))


def best_of_the_sweep(repetitions: int = 40) -> tuple[float, float]:
    """Of the lambda that is best on the dev set: mean accuracy there, and on images that did not choose it."""
    rng = np.random.default_rng(0)
    dev, unseen = np.mean([chosen_and_reported(list(sweep(rng))) for _ in range(repetitions)], axis=0)
    return float(dev), float(unseen)


FINDINGS = (
    Finding(
        name="the_shift_by_the_whole_matrix_underflows",
        says="`softmax` subtracts one maximum, that of the whole matrix.",
        right="Each sample's own maximum: samples far below the largest become 0/0 (here one of 7 is far above).",
        dispute=shift_by_the_whole_matrix,
    ),
    Finding(
        name="the_seed_is_of_another_generator",
        says="`random.seed(42)` stands at the top, and the weights come from `numpy.random.rand`.",
        right="Seed the generator that draws: in another process the same program starts, and ends, elsewhere.",
        dispute=seed_of_another_generator,
        measured=lambda: (
            "largest difference of a weight between two processes: {:.3f} after `random.seed(42)`, {} "
            "after `numpy.random.seed(42)`.".format(*map(distance_of_two_starts, (random.seed, np.random.seed)))
        ),
    ),
    Finding(
        name="each_lambda_has_a_start_of_its_own",
        says="The sweep draws new weights for every lambda.",
        right="One start for all: then only lambda differs, and the gradients differ by `(0.5 - 0.1)/m W` alone.",
        dispute=start_for_each_lambda,
    ),
    Finding(
        name="lambda_is_chosen_on_the_set_that_is_reported",
        says="The best of six lambdas on the dev set is reported with its accuracy on the dev set.",
        right="Report it on images that chose nothing. With labels drawn by lot, where nothing can be learnt, the best "
        "of six still looks better than chance.",
        measured=lambda: (
            "three classes by lot, 40 sweeps: the chosen lambda has {:.1%} on the dev set that chose it, "
            "{:.1%} on others; chance is 33.3%.".format(*best_of_the_sweep())
        ),
    ),
)
