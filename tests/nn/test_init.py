"""Initial values: bounds, moments, exact matrices, gains, wrong input."""

import math

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.nn import Parameter, init

SHAPE = (300, 200)  # fan_in 200, fan_out 300
KERNEL = (30, 20, 5, 3)  # fan_in 300, fan_out 450


def assert_uniform(tensor, bound, mean=0.0):
    """Within the bounds, and mean and deviation of the uniform distribution to 5 standard errors."""
    drawn = tensor.detach().numpy().astype(np.float64) - mean
    assert np.abs(drawn).max() <= bound * (1 + 1e-6)  # rounded to float32
    assert abs(drawn.mean()) < 5 * bound / math.sqrt(3 * drawn.size)
    assert abs(drawn.std() - bound / math.sqrt(3)) < 5 * bound / math.sqrt(drawn.size)


def assert_normal(tensor, std, mean=0.0):
    """Mean and deviation to 5 standard errors, and tails that a uniform distribution does not have."""
    drawn = tensor.detach().numpy().astype(np.float64) - mean
    assert abs(drawn.mean()) < 5 * std / math.sqrt(drawn.size)
    assert abs(drawn.std() - std) < 5 * std / math.sqrt(2 * drawn.size)
    assert np.abs(drawn).max() > 3 * std


@pytest.fixture(autouse=True)
def _seed():
    tl.manual_seed(0)


def test_uniform_and_normal_have_their_moments():
    assert_uniform(init.uniform_(tl.empty(SHAPE), 1.0, 3.0), 1.0, mean=2.0)
    assert_normal(init.normal_(tl.empty(SHAPE), 5.0, 0.1), 0.1, mean=5.0)


@pytest.mark.parametrize(("shape", "fans"), [(SHAPE, (200, 300)), (KERNEL, (300, 450))])
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier_has_glorots_deviation(shape, fans, gain):
    std = gain * math.sqrt(2 / sum(fans))
    assert_uniform(init.xavier_uniform_(tl.empty(shape), gain), math.sqrt(3) * std)
    assert_normal(init.xavier_normal_(tl.empty(shape), gain), std)


@pytest.mark.parametrize(("shape", "fans"), [(SHAPE, (200, 300)), (KERNEL, (300, 450))])
@pytest.mark.parametrize(
    ("options", "gain"),
    [
        ({}, math.sqrt(2)),
        ({"a": math.sqrt(5)}, math.sqrt(1 / 3)),
        ({"nonlinearity": "relu"}, math.sqrt(2)),
        ({"nonlinearity": "tanh"}, 5 / 3),
    ],
)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_kaiming_has_hes_deviation(shape, fans, options, gain, mode):
    std = gain / math.sqrt(fans[mode == "fan_out"])
    assert_uniform(init.kaiming_uniform_(tl.empty(shape), mode=mode, **options), math.sqrt(3) * std)
    assert_normal(init.kaiming_normal_(tl.empty(shape), mode=mode, **options), std)


def test_constants():
    assert init.constant_(tl.empty(2, 3), 0.25).tolist() == [[0.25] * 3] * 2
    assert init.zeros_(tl.ones(2)).tolist() == [0.0, 0.0]
    assert init.ones_(tl.zeros(2)).tolist() == [1.0, 1.0]
    assert init.eye_(tl.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 2, 3), (4, 4)])
def test_orthogonal_matrices_are_orthogonal(shape):
    w = init.orthogonal_(tl.empty(shape, dtype=tl.float64), gain=2.0).numpy().reshape(shape[0], -1)
    gram = w @ w.T if shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-14)


def test_orthogonal_matrices_prefer_no_direction():
    mean = np.mean([init.orthogonal_(tl.empty(2, 2)).numpy() for _ in range(2000)], axis=0)
    assert np.abs(mean).max() < 5 * math.sqrt(0.5 / 2000)


@pytest.mark.parametrize(
    "fill",
    [
        init.uniform_,
        init.normal_,
        init.zeros_,
        init.ones_,
        init.eye_,
        init.xavier_uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        lambda tensor: init.constant_(tensor, 3.0),
    ],
)
def test_parameters_are_filled_in_place_and_stay_leaves(fill):
    parameter = Parameter(tl.full((3, 3), 7.0, dtype=tl.float64))
    array = parameter.detach().numpy()
    loss = (parameter * parameter).sum()
    assert fill(parameter) is parameter
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert parameter.dtype == tl.float64
    assert parameter.detach().numpy() is array
    assert not (array == 7.0).any()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


@pytest.mark.parametrize(
    "draw", [init.uniform_, init.normal_, init.kaiming_normal_, init.xavier_uniform_, init.orthogonal_]
)
def test_draws_follow_the_seed_or_a_given_generator(draw):
    tl.manual_seed(1)
    first = draw(tl.empty(3, 3))
    tl.manual_seed(1)
    assert tl.equal(draw(tl.empty(3, 3)), first)
    own = draw(tl.empty(3, 3), generator=tl.Generator().manual_seed(1))
    assert tl.equal(own, first)
    assert not tl.equal(draw(tl.empty(3, 3)), first)


def test_empty_tensors_are_left_alone():
    for fill in (init.kaiming_uniform_, init.kaiming_normal_, init.xavier_normal_, init.xavier_uniform_):
        assert fill(tl.empty(0, 0)).shape == (0, 0)


CONVOLUTIONS = [f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)]


@pytest.mark.parametrize("name", [*CONVOLUTIONS, "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    if name == "leaky_relu":
        assert init.calculate_gain(name, 0.3) == pytest.approx(torch.nn.init.calculate_gain(name, 0.3), rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.uniform_(tl.empty(2), 1.0, 0.0), "a <= b"),
        (lambda: init.normal_(tl.empty(2), 0.0, -1.0), "negative"),
        (lambda: init.eye_(tl.empty(2)), r"\(2,\)"),
        (lambda: init.orthogonal_(tl.empty(2)), r"\(2,\)"),
        (lambda: init.xavier_uniform_(tl.empty(2)), r"\(2,\)"),
        (lambda: init.kaiming_normal_(tl.empty(())), r"\(\)"),
        (lambda: init.kaiming_uniform_(tl.empty(2, 2), mode="fan"), "'fan_in' or 'fan_out'"),
        (lambda: init.calculate_gain("rellu"), "relu"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
