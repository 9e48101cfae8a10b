"""Document 003: what it gets wrong is caught; its layers and its cost are the library's."""

import numpy as np
import pytest

import tinygrad_lite as tl
from derivations import document_003 as document
from derivations.records import check

# ---- findings


def test_formula_1_multiplies_by_the_gradient_of_the_last_layer():
    assert "input 0" in document.gradient_of_the_output_in_every_layer().verdict()


def test_formula_3_keeps_the_bias_column():
    verdict = document.weights_with_their_bias_column().verdict()
    assert verdict == "input 0: derived has shape (12, 5), autograd (12, 4)"


def test_the_slope_of_relu_is_given_twice():
    assert "derived 5, autograd 3" in document.two_slopes_at_zero().verdict()
    Z = np.zeros(3)
    assert check(lambda Z: Z.relu().sum(), [Z], [document.relu_slope(document.relu(Z))]) == 0.0


def test_the_summed_loss_scales_with_the_batch():
    assert "relative error 11;" in document.summed_loss().verdict()  # twelve samples: twelve times too much
    assert document.growth_with_the_batch() == pytest.approx(2, rel=1e-14)
    X, labels, weights = document.small_problem()
    twice = np.vstack([X, X]), np.vstack([labels, labels])
    doubled = [2 * g for g in document.backpropagate(weights, X, labels).W]
    assert check(document.objective(*twice), weights, doubled) <= 1e-10


def test_the_grid_is_chosen_on_test_data():
    test, others = document.best_of_the_grid()
    standard_error = np.sqrt(0.25 / (20 * 100))  # of the mean of 20 accuracies on 100 samples, by lot
    assert test > 0.5 + 3 * standard_error
    assert abs(others - 0.5) < 3 * standard_error
    assert len(list(document.grid_search(np.random.default_rng(0)))) == 24


def test_the_batch_that_does_not_fill_is_left_out():
    assert "elements differ" in document.dropped_batches().verdict()
    assert document.samples_left_out(document.ONE_OR_FIVE, 1000) == document.ONE_OR_FIVE - 12 * 1000
    assert document.samples_left_out(3000, 1000) == 0


@pytest.mark.data
def test_the_number_of_images_of_1_and_5():
    digits = tl.datasets.MNIST(train=True).targets.numpy()
    assert np.isin(digits, [1, 5]).sum() == document.ONE_OR_FIVE


# ---- the library's layers and cost


def test_the_linear_layers_and_the_summed_loss_of_the_library_agree():
    X, labels, weights = document.random_problem(np.random.default_rng(0), (6, 5, 4, 1))

    def loss(*weights):
        Y = tl.tensor(X)
        for W in weights:
            Z = tl.nn.functional.linear(Y, W[:, :-1], W[:, -1])
            Y = Z.sigmoid() if W is weights[-1] else Z.relu()
        return 0.5 * tl.nn.functional.mse_loss(Y, tl.tensor(labels), reduction="sum")

    assert check(loss, weights, document.backpropagate(weights, X, labels).W) <= 1e-10
