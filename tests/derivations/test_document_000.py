"""Document 000: what it gets wrong is caught; its losses are the library's."""

import numpy as np
import pytest

import tinygrad_lite as tl
from derivations import document_000 as document
from derivations.formulas import softmax
from derivations.records import check

# ---- findings


def test_the_prose_climbs_the_loss():
    assert "relative error 2; 3 of 3 elements" in document.sign_of_the_prose().verdict()
    before, after_the_prose, after_the_right_step = document.losses_after_a_step()
    assert after_the_right_step < before < after_the_prose


def test_the_bias_moves_once_per_feature():
    dispute = document.bias_step_per_feature()
    assert "input 1, element (): " in dispute.verdict()
    features = len(dispute.inputs[0])
    assert dispute.wrong[1] / dispute.right[1] == pytest.approx(features, rel=1e-15)


def test_the_guarded_loss_has_another_gradient():
    dispute = document.guarded_logarithm()
    assert "relative error" in dispute.verdict()
    p = 1 / (1 + np.exp(18.0))
    assert dispute.right[0] / dispute.wrong[0] == pytest.approx(p / (p + 1e-8), rel=1e-12)


def test_the_softmax_overflows():
    dispute = document.overflowing_softmax()
    assert "derived nan" in dispute.verdict()
    z = np.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(document.softmax_without_a_shift(z), softmax(z), rtol=1e-15)  # elsewhere they agree


# ---- the library's losses


def test_the_cross_entropy_of_indices_is_the_documents_loss():
    rng = np.random.default_rng(0)
    x, parameters = rng.random(784), document.random_net(rng, [784, 10, 5, 10], sigma=0.1)
    loss = document.deep_loss(x, lambda z: tl.nn.functional.cross_entropy(z, tl.tensor(7)))
    assert check(loss, parameters, document.deep(*parameters, x=x, y=np.eye(10)[7], head=softmax)) <= 1e-10


def test_the_cross_entropy_of_a_sure_net_does_not_overflow():
    _, inputs, _, right = document.overflowing_softmax()
    assert check(lambda z: tl.nn.functional.cross_entropy(z, tl.tensor(2)), inputs, right) <= 1e-10
