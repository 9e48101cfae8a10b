"""Document 001: what it gets wrong is caught; its losses are the library's."""

import numpy as np
import pytest

import tinygrad_lite as tl
from derivations import document_001 as document
from derivations.formulas import softmax
from derivations.records import check
from tinygrad_lite.autograd import GradcheckError

# ---- findings


def test_the_slope_of_relu_overwrites_its_input():
    assert "derived 1, autograd 3" in document.overwritten_input().verdict()
    Z = np.array([-2.0, 3.0])
    slope = document.slope_in_place(Z)
    np.testing.assert_array_equal(slope, document.SLOPE[document.relu](np.array([-2.0, 3.0])))  # right, once:
    assert slope is Z  # and Z is gone
    z = tl.tensor([-2.0, 3.0], requires_grad=True)
    loss = (z * z).sum()
    with tl.no_grad():
        z[z <= 0] = 0.0
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_the_softmax_derivative_is_no_jacobian():
    assert "3 of 3 elements differ" in document.no_jacobian().verdict()
    with pytest.raises(AttributeError, match="softmax"):
        document.Softmax.softmax_derivative(np.zeros((3, 1)))
    p = softmax(np.array([0.3, -0.2, 0.9]))
    jacobian = np.diag(p) - np.outer(p, p)
    for k in range(3):
        check(lambda z, k=k: z.softmax(dim=0)[k], [np.array([0.3, -0.2, 0.9])], [jacobian[k]])
    of_the_document = np.einsum("ij,ik->ij", p[:, None], np.eye(3) - p[:, None])
    np.testing.assert_allclose(document.softmax_derivative(p[:, None]), of_the_document, rtol=1e-14)
    assert not np.isclose(of_the_document[:, 0], np.diag(jacobian)).any()


def test_the_guarded_loss_leaves_its_gradient():
    dispute = document.guarded_logarithm()
    assert "3 of 3 elements differ" in dispute.verdict()
    p = 1 / (1 + np.exp(23.0) + np.exp(1.0))
    assert (dispute.right[0] / dispute.wrong[0])[0, 0] == pytest.approx(p / (p + 1e-10), rel=1e-12)
    assert 0.5 < p / (p + 1e-10) < 0.51


def test_the_guarded_slope_divides_by_zero():
    assert "derived nan" in document.division_by_zero().verdict()
    Z, Y = np.array([[20.0], [-20.0]]), np.array([[0.0], [1.0]])
    wrong = document.binary_head(Z, Y, document.GUARD)
    for guard in (0.0, document.GUARD):  # and where it divides by no zero, it belongs to no loss
        with pytest.raises(GradcheckError):
            check(lambda Z, g=guard: document.binary_cross_entropy(Z.sigmoid(), document.tensor(Y), g), [Z], [wrong])


def test_the_batch_that_does_not_fill_is_dropped():
    assert "12 of 12 elements differ" in document.dropped_batches().verdict()
    assert document.samples_seen(500, 64, drop_last=True) == 7 * 64
    assert document.samples_seen(500, 64, drop_last=False) == 500
    assert document.samples_seen(512, 64, drop_last=True) == 512


# ---- the library's losses, and more that is caught


def small_net():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=16)
    return rng.random((16, 6)), labels, np.eye(3)[labels], document.random_net(rng, (6, 5, 3))


def test_the_cross_entropy_of_indices_is_the_documents_loss():
    X, labels, Y, net = small_net()
    by_hand = document.backpropagate(*net, X, Y, document.relu, document.multi_class_head, l2=0.1)
    loss = document.objective(
        X, labels, document.relu, lambda Z, y: tl.nn.functional.cross_entropy(Z, y.long()), l2=0.1
    )
    inputs = document.named(net, by_hand)
    assert check(loss, [each.at for each in inputs], [each.by_hand for each in inputs]) <= 1e-10


def test_autograd_survives_a_probability_of_zero():
    Z, Y = np.array([[-800.0]]), tl.zeros(1, 1, dtype=tl.float64)
    from_logits = tl.nn.functional.binary_cross_entropy_with_logits
    assert check(lambda Z: document.binary_cross_entropy(Z.sigmoid(), Y, document.GUARD), [Z], [0 * Z]) == 0.0
    assert check(lambda Z: from_logits(Z, Y), [Z], [0 * Z]) == 0.0


@pytest.mark.parametrize("distance", [0.0, 5.0, 23.0, 40.0])
def test_the_guarded_loss_has_its_own_derivative(distance):
    Z, Y = np.array([[0.0, distance, 1.0], [0.5, 0.2, 0.1]]), np.eye(3)[[0, 1]]
    assert check(document.guarded_loss(Y), [Z], [document.guarded_head(Z, Y)]) <= 1e-10


def test_a_penalty_on_the_biases_is_caught():
    X, _, Y, net = small_net()
    by_hand = document.backpropagate(*net, X, Y, document.relu, document.multi_class_head, l2=0.1)
    inputs = document.named(net, by_hand)
    wrong = [each.by_hand + (0.1 / 16 * each.at if each.name == "db_l" else 0.0) for each in inputs]
    loss = document.objective(X, Y, document.relu, document.multi_class_loss, l2=0.1)
    with pytest.raises(GradcheckError, match="input 2"):
        check(loss, [each.at for each in inputs], wrong)
