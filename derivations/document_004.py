"""Document 004: a net of two layers, sigmoid and softmax, gradients averaged over the batch; samples as rows here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

import tinygrad_lite as tl
from derivations.formulas import batches, sigmoid, softmax
from derivations.records import Array, Derivation, Dispute, Finding, Problem, gradients, grid

__all__ = ["DERIVATIONS", "FINDINGS", "TITLE"]

TITLE = "Document 004: a net from scratch"
IMAGES = 60_000


# ---- the formulas


def backpropagate(W1: Array, b1: Array, W2: Array, b2: Array, X: Array, Y: Array) -> dict[str, Array]:
    """The gradients by name, averaged over the batch."""
    s = len(Y)
    Z1 = X @ W1.T + b1
    A1 = sigmoid(Z1)
    dZ2 = softmax(A1 @ W2.T + b2) - Y
    dZ1 = dZ2 @ W2 * sigmoid(Z1) * (1 - sigmoid(Z1))
    dW2 = dZ2.T @ A1 / s
    db2 = dZ2.sum(axis=0) / s
    dW1 = dZ1.T @ X / s
    db1 = dZ1.sum(axis=0) / s
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2, "dZ1 / s": dZ1 / s, "dZ2 / s": dZ2 / s}


# ---- the loss, for autograd


def objective(X: Array, Y: Array) -> Callable[..., tl.Tensor]:
    """The loss, of the parameters and of zeros added to Z1 and Z2: they get the gradients by Z1 and Z2."""

    def f(
        W1: tl.Tensor,
        b1: tl.Tensor,
        W2: tl.Tensor,
        b2: tl.Tensor,
        at_Z1: tl.Tensor | float = 0.0,
        at_Z2: tl.Tensor | float = 0.0,
    ) -> tl.Tensor:
        Z1 = tl.tensor(X) @ W1.T + b1 + at_Z1
        Z2 = Z1.sigmoid() @ W2.T + b2 + at_Z2
        return -(tl.tensor(Y) * Z2.softmax(dim=1).log()).sum(dim=1).mean()

    return f


# ---- problems to check them on


def backpropagation_problem(rng: np.random.Generator, sizes: Sequence[int]) -> Problem:
    """Random images, and the document's start."""
    X, Y, parameters = random_problem(rng, sizes)
    by_hand = backpropagate(*parameters, X, Y)
    zeros = [np.zeros(by_hand[name].shape) for name in ("dZ1 / s", "dZ2 / s")]
    return Problem(objective(X, Y), gradients(by_hand.keys(), [*parameters, *zeros], by_hand.values()))


def random_problem(rng: np.random.Generator, sizes: Sequence[int]) -> tuple[Array, Array, list[Array]]:
    """Images, one-hot labels and weights N(0, 1), biases zero, for sizes (inputs, hidden, outputs, samples)."""
    inputs, hidden, outputs, samples = sizes
    weights = rng.normal(size=(hidden, inputs)), rng.normal(size=(outputs, hidden))
    parameters = [weights[0], np.zeros(hidden), weights[1], np.zeros(outputs)]
    return rng.random((samples, inputs)), np.eye(outputs)[rng.integers(outputs, size=samples)], parameters


DERIVATIONS = (
    Derivation(
        model="784-100-10, sigmoid, softmax",
        loss="J = -1/s sum over samples and classes of y log p",
        formulas={
            "dZ2 / s": "(P - Y) / s",
            "dW2": "(P - Y)^T A1 / s",
            "db2": "sum over samples of (P - Y) / s",
            "dZ1 / s": "(P - Y) W2 * s(Z1) (1 - s(Z1)) / s",
            "dW1": "dZ1^T X / s",
            "db1": "sum over samples of dZ1 / s",
        },
        problem=backpropagation_problem,
        cases=grid(sizes=[(5, 4, 3, 7), (2, 1, 2, 1), (784, 100, 10, 50)]),
    ),
)


# ---- what the document gets wrong


def gradients_of(parameters: Sequence[Array], X: Array, Y: Array) -> list[Array]:
    """Those of W1, b1, W2, b2."""
    return list(backpropagate(*parameters, X, Y).values())[:4]


def one_sample_too_many(s: int = 50) -> Dispute:
    """The sum over ``s`` samples divided by ``s + 1``."""
    X, Y, parameters = random_problem(np.random.default_rng(0), (5, 4, 3, s))
    right = gradients_of(parameters, X, Y)
    return Dispute(objective(X, Y), parameters, wrong=[g * s / (s + 1) for g in right], right=right)


def batches_with_gaps(count: int, s: int) -> Iterator[slice]:
    """An epoch as the code walks through it: ``s`` samples, one skipped, ``count // (s + 1)`` times."""
    for step in range(count // (s + 1)):
        start = step * (s + 1)
        yield slice(start, start + s)


def skipped_samples() -> Dispute:
    """The gradients of an epoch's batches of 4, added up at fixed weights, beside the loss of all 23 samples."""
    X, Y, parameters = random_problem(np.random.default_rng(0), (5, 4, 3, 23))

    def epoch(walk: Iterator[slice]) -> list[Array]:
        shares = [[len(X[batch]) / len(X) * g for g in gradients_of(parameters, X[batch], Y[batch])] for batch in walk]
        return [sum(share) for share in zip(*shares, strict=True)]

    return Dispute(
        objective(X, Y), parameters, wrong=epoch(batches_with_gaps(23, 4)), right=epoch(batches(23, 4, drop_last=False))
    )


def images_never_used(count: int, s: int, epochs: int) -> int:
    """How many images no step of any epoch sees."""
    used = np.zeros(count, dtype=bool)
    for _ in range(epochs):
        for batch in batches_with_gaps(count, s):
            used[batch] = True
    return int(count - used.sum())


def images_never_used_if_shuffled(count: int, s: int, epochs: int) -> int:
    """The same walk over an order that is drawn anew for each epoch."""
    rng, used = np.random.default_rng(0), np.zeros(count, dtype=bool)
    for _ in range(epochs):
        order = rng.permutation(count)
        for batch in batches_with_gaps(count, s):
            used[order[batch]] = True
    return int(count - used.sum())


def loss_of_class_0(p: tl.Tensor) -> tl.Tensor:
    """The binary cross-entropy for y = 0."""
    return -(1 - p).log()


def falling_loss() -> Dispute:
    """The slope that would lead from J(0, 0) = 0 to J(0, 1) = -1, and the one there is, at p = 0.9."""
    p = np.array(0.9)
    return Dispute(loss_of_class_0, [p], wrong=[np.array(-1.0)], right=[1 / (1 - p)])


def losses_of_a_sure_mistake() -> list[float]:
    """J(0, p) for p = 0.9, 0.99, 0.999 and 1."""
    return [loss_of_class_0(tl.tensor(p, dtype=tl.float64)).item() for p in (0.9, 0.99, 0.999, 1.0)]


def softmax_without_a_shift(Z: Array) -> Array:
    """As the document has it: above 709 the exponential is infinite."""
    return np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)


def overflowing_softmax() -> Dispute:
    """Outputs that weights of N(0, 1) and larger steps may well lead to."""
    Z, Y = np.array([[800.0, 0.0, 799.0]]), np.eye(3)[[2]]
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = softmax_without_a_shift(Z) - Y
    return Dispute(lambda Z: -tl.log_softmax(Z, dim=1)[0, 2], [Z], wrong=[wrong], right=[softmax(Z) - Y])


def steps_and_images(s: int, epochs: int) -> tuple[int, int]:
    """How many steps a run takes, and how many images go by in them."""
    sizes = [len(range(IMAGES)[batch]) for _ in range(epochs) for batch in batches_with_gaps(IMAGES, s)]
    return len(sizes), sum(sizes)


FINDINGS = (
    Finding(
        name="the_gradients_are_divided_by_one_too_many",
        says="The sums over the batch of s samples are divided by s + 1.",
        right="By s: every step is s / (s + 1) of what was derived (here s = 50).",
        dispute=one_sample_too_many,
    ),
    Finding(
        name="the_same_images_are_never_used",
        says="Each step moves on by s + 1 images and uses s; an epoch has `N // (s + 1)` steps, and no shuffling.",
        right="Move on by s, keep the smaller last batch: then the batches' gradients add up to the gradient of the "
        "loss; and shuffle.",
        dispute=skipped_samples,
        measured=lambda: (
            f"of {IMAGES} images with s = 50 the code leaves the same {images_never_used(IMAGES, 50, 2)} out of both "
            f"epochs; shuffled, its own walk would leave {images_never_used_if_shuffled(IMAGES, 50, 2)} unused."
        ),
    ),
    Finding(
        name="the_loss_of_a_sure_mistake_is_infinite",
        says="The loss for y = 0 and p = 1 is said to be -1.",
        right="`-log(1 - p)` is never negative, rises with p, and has no bound.",
        dispute=falling_loss,
        measured=lambda: "J(0, p) = {:.4f}, {:.4f}, {:.4f}, {} for p = 0.9, 0.99, 0.999, 1.".format(
            *losses_of_a_sure_mistake()
        ),
    ),
    Finding(
        name="the_softmax_is_not_shifted",
        says="Softmax is `e^z / sum e^z` of z as it comes.",
        right="Subtract the sample's maximum first: the same value, and no overflow (here z = 800, 0, 799).",
        dispute=overflowing_softmax,
    ),
    Finding(
        name="the_prose_has_another_batch_size_and_epoch_count",
        says="The prose tells of batches of 100 and one epoch; the code runs batches of 50 and two epochs.",
        right="What was reported is the code's run, about four times as many steps and twice as many images.",
        measured=lambda: "steps and images of the prose: {}, {}; of the code: {}, {}.".format(
            *steps_and_images(100, 1), *steps_and_images(50, 2)
        ),
    ),
)
