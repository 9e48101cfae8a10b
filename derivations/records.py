"""What a document's module offers: derivations, each with problems to check them on, and findings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation

__all__ = [
    "SEEDS",
    "Array",
    "Case",
    "Derivation",
    "Dispute",
    "Finding",
    "Gradient",
    "Problem",
    "check",
    "gradients",
    "grid",
]

Array = np.ndarray
Loss = Callable[..., tl.Tensor]
Case = dict[str, Any]
SEEDS = range(3)


class Gradient(NamedTuple):
    """One input of a loss, and the gradient with respect to it.

    Attributes
    ----------
    name : str
        The formula that gave it: a key of :attr:`Derivation.formulas`.
    at : Array
        The input.
    by_hand : Array
        The gradient, as the document derives it.
    """

    name: str
    at: Array
    by_hand: Array


class Problem(NamedTuple):
    """A loss, a function of Tensors, and what the document derives for each of them."""

    loss: Loss
    gradients: Sequence[Gradient]

    def names(self) -> list[str]:
        """The formula of each gradient."""
        return [gradient.name for gradient in self.gradients]

    def largest_error(self, name: str | None = None) -> float:
        """Check the gradients, or those of one formula; raises GradcheckError if one is wrong."""
        by_hand = [gradient.by_hand if name in (None, gradient.name) else None for gradient in self.gradients]
        return check(self.loss, [gradient.at for gradient in self.gradients], by_hand)


@dataclass(frozen=True)
class Derivation:
    """A model and its loss, as a document derives their gradients.

    Attributes
    ----------
    model, loss : str
        In words and formulas.
    formulas : mapping of str to str
        The gradients' names and what the document says they are, with samples as rows.
    problem : callable
        From a NumPy generator and the keywords of a case to a problem.
    cases : sequence of Case
        Where to check; the first is the one that the page shows.
    """

    model: str
    loss: str
    formulas: Mapping[str, str]
    problem: Callable[..., Problem]
    cases: Sequence[Case]

    def problems(self) -> Iterator[Problem]:
        """Every case with every seed."""
        for case, seed in itertools.product(self.cases, SEEDS):
            yield self.problem(np.random.default_rng(seed), **case)


class Dispute(NamedTuple):
    """A loss, its inputs, and two opinions about its gradients: the document's wrong one and the right one."""

    loss: Loss
    inputs: Sequence[Array]
    wrong: Sequence[Array]
    right: Sequence[Array]

    def verdict(self) -> str:
        """What the check says of the wrong gradients; the right ones have to pass."""
        check(self.loss, self.inputs, self.right)
        try:
            check(self.loss, self.inputs, self.wrong)
        except GradcheckError as error:
            return str(error)
        raise ValueError("the check finds nothing wrong with the wrong gradients")


@dataclass(frozen=True)
class Finding:
    """Something that a document gets wrong.

    Attributes
    ----------
    name : str
        As in the name of the test that shows it.
    says : str
        What the document says or does.
    right : str
        What is right.
    dispute : callable, optional
        Gives the dispute that the gradient check decides.
    measured : callable, optional
        Re-enacts the behaviour and tells what came out, wrong and right.
    """

    name: str
    says: str
    right: str
    dispute: Callable[[], Dispute] | None = None
    measured: Callable[[], str] | None = None


def check(loss: Loss, inputs: Sequence[Array], by_hand: Sequence[Array | None]) -> float:
    """Hold gradients against autograd, in float64."""
    return check_derivation(loss, [tl.tensor(array, dtype=tl.float64) for array in inputs], by_hand)


def gradients(names: Iterable[str], inputs: Iterable[Array], by_hand: Iterable[Array]) -> list[Gradient]:
    """The gradients of a loss, in the order of its inputs."""
    return [Gradient(*each) for each in zip(names, inputs, by_hand, strict=True)]


def grid(**axes: Sequence[Any]) -> tuple[Case, ...]:
    """Every combination of the axes' values; the first combines the first values."""
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
