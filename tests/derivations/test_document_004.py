"""Document 004: what it gets wrong is caught; its loss is the library's."""

import numpy as np
import pytest

import tinygrad_lite as tl
from derivations import document_004 as document
from derivations.formulas import softmax
from derivations.records import check

# ---- findings


@pytest.mark.parametrize("s", [1, 7, 50])
def test_the_gradients_are_divided_by_one_too_many(s):
    assert f"relative error {1 / (s + 1):.2g};" in document.one_sample_too_many(s).verdict()


def test_the_same_images_are_never_used():
    assert "20 of 20 elements differ" in document.skipped_samples().verdict()
    assert [(b.start, b.stop) for b in document.batches_with_gaps(11, 4)] == [(0, 4), (5, 9)]
    steps = 60_000 // 51
    assert document.images_never_used(60_000, 50, epochs=2) == 60_000 - steps * 50
    assert document.images_never_used(60_000, 50, epochs=20) == 60_000 - steps * 50
    share = 1 - steps * 50 / 60_000  # shuffled, an image is left out of both epochs with the square of this
    assert document.images_never_used_if_shuffled(60_000, 50, epochs=2) == pytest.approx(60_000 * share**2, rel=0.5)


def test_the_loss_of_a_sure_mistake_is_infinite():
    assert "derived -1, autograd 10" in document.falling_loss().verdict()
    *finite, sure = document.losses_of_a_sure_mistake()
    np.testing.assert_allclose(finite, np.log([10, 100, 1000]), rtol=1e-13)
    assert sure == np.inf
    y, p = tl.tensor(0.0), tl.tensor(1.0)
    assert (-(y * p.log() + (1 - y) * (1 - p).log())).item() == np.inf


def test_the_softmax_is_not_shifted():
    dispute = document.overflowing_softmax()
    assert "derived nan" in dispute.verdict()
    Z = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -1.0]])
    np.testing.assert_allclose(document.softmax_without_a_shift(Z), softmax(Z), rtol=1e-15)  # elsewhere they agree
    assert check(lambda Z: tl.nn.functional.cross_entropy(Z, tl.tensor([2])), dispute.inputs, dispute.right) <= 1e-10


def test_the_prose_has_another_batch_size_and_epoch_count():
    prose, code = document.steps_and_images(100, 1), document.steps_and_images(50, 2)
    assert prose == (60_000 // 101, 60_000 // 101 * 100)
    assert code == (2 * (60_000 // 51), 2 * (60_000 // 51) * 50)


# ---- the library's loss


def test_the_cross_entropy_of_probabilities_is_the_documents_loss():
    X, Y, parameters = document.random_problem(np.random.default_rng(0), (5, 4, 3, 7))

    def loss(W1, b1, W2, b2):
        Z2 = (tl.tensor(X) @ W1.T + b1).sigmoid() @ W2.T + b2
        return tl.nn.functional.cross_entropy(Z2, tl.tensor(Y))

    assert check(loss, parameters, document.gradients_of(parameters, X, Y)) <= 1e-10
