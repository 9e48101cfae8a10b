"""Every gradient that the documents derive by hand is what autograd makes of the loss, in float64."""

import numpy as np
import pytest

from derivations.page import DOCUMENTS
from derivations.records import SEEDS, Dispute, Problem, gradients
from tinygrad_lite.autograd import GradcheckError

DERIVATIONS = [
    pytest.param(derivation, id=f"{document.__name__[-3:]}-{number}")
    for document in DOCUMENTS
    for number, derivation in enumerate(document.DERIVATIONS)
]
CASES = [
    pytest.param(*parameter.values, case, id=f"{parameter.id}-{number}")
    for parameter in DERIVATIONS
    for number, case in enumerate(parameter.values[0].cases)
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("derivation", "case"), CASES)
def test_the_formulas_give_the_gradients(derivation, case, seed):
    problem = derivation.problem(np.random.default_rng(seed), **case)
    assert problem.largest_error() <= 1e-10


@pytest.mark.parametrize("derivation", DERIVATIONS)
def test_every_formula_is_checked(derivation):
    assert {name for problem in derivation.problems() for name in problem.names()} == set(derivation.formulas)
    first = next(derivation.problems())
    assert set(first.names()) == set(derivation.formulas)  # the page shows them all in one problem


@pytest.mark.parametrize("derivation", DERIVATIONS)
def test_a_formula_that_is_wrong_by_a_billionth_is_caught(derivation):
    for problem in derivation.problems():
        for index, gradient in enumerate(problem.gradients):
            changed = list(problem.gradients)
            changed[index] = gradient._replace(by_hand=gradient.by_hand * (1 + 1e-9))
            if np.abs(gradient.by_hand).max() > 0.01:  # the check also grants 1e-12 whatever the scale
                with pytest.raises(GradcheckError, match=f"input {index}"):
                    Problem(problem.loss, changed).largest_error(gradient.name)


def test_a_formula_can_be_checked_alone():
    problem = Problem(lambda x, y: x * y, gradients(["dx", "dy"], [np.array(2.0), np.array(3.0)], [3.0, 99.0]))
    assert problem.largest_error("dx") == 0.0
    with pytest.raises(GradcheckError):
        problem.largest_error("dy")
    with pytest.raises(GradcheckError):
        problem.largest_error()


def test_a_dispute_needs_one_wrong_and_one_right_opinion():
    x, two, three = [np.array(1.0)], [np.array(2.0)], [np.array(3.0)]

    def square(x):
        return x * x

    assert "derived 3, autograd 2" in Dispute(square, x, wrong=three, right=two).verdict()
    with pytest.raises(ValueError, match="nothing wrong"):
        Dispute(square, x, wrong=two, right=two).verdict()
    with pytest.raises(GradcheckError, match="derived 3, autograd 2"):
        Dispute(square, x, wrong=three, right=three).verdict()


def test_gradients_without_a_name_or_an_input_are_refused():
    with pytest.raises(ValueError, match="zip"):
        gradients(["dx"], [np.ones(1), np.ones(1)], [np.ones(1), np.ones(1)])
