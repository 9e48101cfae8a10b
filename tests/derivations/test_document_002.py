"""Document 002: what it gets wrong is caught; so is more that one might get wrong."""

import random

import numpy as np
import pytest

from derivations import document_002 as document
from derivations.formulas import chosen_and_reported, softmax
from derivations.records import check
from tinygrad_lite.autograd import GradcheckError

# ---- findings


def test_the_shift_by_the_whole_matrix_underflows():
    assert "derived nan" in document.shift_by_the_whole_matrix().verdict()
    Z = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -1.0]])
    np.testing.assert_allclose(document.softmax_shifted_by_the_whole_matrix(Z), softmax(Z), rtol=1e-14)
    Z[1] -= 740  # subnormal numbers: hardly a digit is left, some way before 0/0
    assert not np.allclose(document.softmax_shifted_by_the_whole_matrix(Z)[1], softmax(Z)[1], rtol=1e-3)


def test_the_seed_is_of_another_generator():
    assert "elements differ" in document.seed_of_another_generator().verdict()
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert document.distance_of_two_starts(random.seed) > 0.5
    assert document.distance_of_two_starts(np.random.seed) == 0.0
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_each_lambda_has_a_start_of_its_own():
    dispute = document.start_for_each_lambda()
    assert "20 of 20 elements differ" in dispute.verdict()
    W1, _, W2, _ = dispute.inputs
    for found, expected in zip(dispute.right, [0.4 / 7 * W1, 0.0, 0.4 / 7 * W2, 0.0], strict=True):
        np.testing.assert_allclose(found, expected + np.zeros(found.shape), atol=1e-15)


def test_lambda_is_chosen_on_the_set_that_is_reported():
    dev, unseen = document.best_of_the_sweep()
    standard_error = np.sqrt(1 / 3 * 2 / 3 / (40 * 100))  # of the mean of 40 accuracies on 100 images, by lot
    assert dev > 1 / 3 + 3 * standard_error
    assert abs(unseen - 1 / 3) < 3 * standard_error
    assert chosen_and_reported([(0.3, 0.9), (0.5, 0.2), (0.4, 0.8)]) == (0.5, 0.2)


# ---- more that is caught


def small_net():
    X, labels, parameters = document.random_problem(np.random.default_rng(0), (5, 4, 3, 7))
    return X, labels, parameters


def test_a_penalty_of_another_strength_is_caught():
    X, labels, parameters = small_net()
    with pytest.raises(GradcheckError):
        check(document.objective(X, labels, 0.5), parameters, document.gradients_of(parameters, X, labels, 0.5001))


def test_a_slope_of_one_below_zero_is_caught():
    X, labels, parameters = small_net()
    W1, b1, W2, b2 = parameters
    _, *others = document.gradients_of(parameters, X, labels, 0.0)
    dZ1 = (softmax(np.maximum(0, X @ W1.T + b1) @ W2.T + b2) - np.eye(3)[labels]) @ W2
    with pytest.raises(GradcheckError, match="input 0"):
        check(document.objective(X, labels, 0.0), parameters, [dZ1.T @ X / 7, *others])
