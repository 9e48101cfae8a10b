"""Linear, Flatten, Identity, Dropout and the activations: values, gradients, wrong input."""

import math

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F

RNG = np.random.default_rng(0)


# ---- Linear


def test_linear_starts_within_pytorchs_bounds():
    tl.manual_seed(0)
    layer = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for parameter in (layer.weight, layer.bias):
        drawn = parameter.detach().numpy()
        assert np.abs(drawn).max() <= bound
        # of a uniform distribution: mean 0 and standard deviation bound / sqrt(3), to 5 standard errors
        assert abs(drawn.mean()) < 5 * bound / math.sqrt(3 * drawn.size)
        assert abs(drawn.std() - bound / math.sqrt(3)) < 5 * bound / math.sqrt(drawn.size)


def test_linear_has_pytorchs_shapes_dtype_and_options():
    layer = nn.Linear(3, 2, bias=False, dtype=tl.float64)
    assert layer.weight.shape == (2, 3)
    assert layer.weight.dtype == tl.float64
    assert layer.bias is None
    assert (layer.in_features, layer.out_features) == (3, 2)
    assert nn.Linear(0, 2).bias.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_computes_as_pytorch(shape, bias):
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=shape)
    ours, theirs = nn.Linear(3, 2, bias=bias, dtype=tl.float64), torch.nn.Linear(3, 2, bias=bias, dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(tensor.numpy()) for name, tensor in ours.state_dict().items()})
    out, expected = ours(tl.tensor(x)), theirs(torch.tensor(x))
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-13, atol=1e-14)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-13, atol=1e-13)


def test_linear_names_shapes_and_dtypes_that_do_not_fit():
    layer = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match=r"linear.*\(5, 4\).*\(2, 3\)"):
        layer(tl.ones(5, 4))
    with pytest.raises(RuntimeError, match="float64"):
        layer(tl.ones(5, 3, dtype=tl.float64))


# ---- Flatten and Identity


@pytest.mark.parametrize(
    ("arguments", "shape"), [((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((-2,), (2, 3, 20))]
)
def test_flatten_merges_a_range_of_dimensions(arguments, shape):
    x = tl.arange(120).reshape(2, 3, 4, 5)
    out = nn.Flatten(*arguments)(x)
    assert out.shape == shape
    assert tl.equal(out.reshape(120), tl.arange(120))


def test_identity_ignores_what_it_is_built_with():
    x = tl.ones(2)
    assert nn.Identity(54, unused=True)(x) is x


# ---- Dropout


def test_dropout_zeroes_and_scales():
    tl.manual_seed(0)
    x = tl.tensor(RNG.normal(size=(200, 300)), requires_grad=True)
    out = nn.Dropout(0.3)(x)
    kept = out.detach().numpy() != 0
    np.testing.assert_allclose(out.detach().numpy(), np.where(kept, x.detach().numpy() / 0.7, 0), rtol=1e-15)
    assert abs(kept.mean() - 0.7) < 5 * math.sqrt(0.3 * 0.7 / kept.size)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.where(kept, 1 / 0.7, 0), rtol=1e-15)


def test_dropout_draws_anew_and_reproducibly():
    x = tl.ones(100)
    tl.manual_seed(1)
    first, second = F.dropout(x), F.dropout(x)
    tl.manual_seed(1)
    assert tl.equal(F.dropout(x), first)
    assert not tl.equal(first, second)


@pytest.mark.parametrize("dtype", [tl.float16, tl.float32, tl.float64])
def test_dropout_keeps_the_dtype(dtype):
    assert F.dropout(tl.ones(4, dtype=dtype), 0.5).dtype == dtype


def test_dropout_of_everything_and_of_nothing():
    x = tl.tensor([1.0, -2.0], requires_grad=True)
    out = F.dropout(x, 1.0)
    out.sum().backward()
    assert not out.detach().numpy().any()
    assert x.grad.tolist() == [0.0, 0.0]
    assert F.dropout(x, 0.0).tolist() == x.tolist()


def test_dropout_in_evaluation_is_the_identity():
    x = tl.ones(3)
    assert nn.Dropout(0.9).eval()(x) is x
    assert F.dropout(x, training=False) is x


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_dropout_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(p)
    with pytest.raises(ValueError, match="probability"):
        F.dropout(tl.ones(1), p, training=False)


# ---- activations

POINTS = [-1e4, -30.0, -3.5, -1.0, -1e-8, 0.0, 1e-8, 0.5, 2.0, 19.0, 1e4]


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh", "Hardsigmoid", "Softplus", "Softmax", "LogSoftmax"])
def test_activations_compute_as_pytorch(name):
    torch = pytest.importorskip("torch")
    x = np.array(POINTS).reshape(1, -1)
    arguments = {"dim": 1} if name.endswith("Softmax") else {}
    ours, theirs = tl.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = getattr(nn, name)(**arguments)(ours), getattr(torch.nn, name)(**arguments)(theirs)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-14, atol=1e-300)
    out.backward(tl.tensor(np.cos(x)))
    expected.backward(torch.tensor(np.cos(x)))
    sixth = 1e-7 if name == "Hardsigmoid" else 0  # PyTorch's derivative is 1 / 6 in float32 always
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-13 + sixth, atol=1e-15)


def test_hardsigmoid_has_slope_one_sixth():
    x = tl.tensor([-3.1, -2.9, 0.0, 2.9, 3.1], dtype=tl.float64, requires_grad=True)
    nn.Hardsigmoid()(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1 / 6, 1 / 6, 1 / 6, 0.0]


def test_softmax_needs_its_dimension():
    for layer in (nn.Softmax, nn.LogSoftmax):
        with pytest.raises(TypeError, match="dim"):
            layer()


def test_functional_holds_what_the_modules_call():
    assert F.one_hot(tl.tensor([1]), 2).tolist() == [[0, 1]]
    assert all(hasattr(F, name) for name in F.__all__)


def test_relu_in_place():
    x = tl.tensor([-1.0, 2.0])
    relu = nn.ReLU(inplace=True)
    assert relu(x) is x
    assert x.tolist() == [0.0, 2.0]
    assert repr(nn.Sequential(relu)) == "Sequential(\n  (0): ReLU(inplace=True)\n)"
    y = tl.tensor([-1.0, 2.0], requires_grad=True)
    (relu(y * 3) * tl.tensor([5.0, 7.0])).sum().backward()
    assert y.grad.tolist() == [0.0, 21.0]
    with pytest.raises(RuntimeError, match="leaf"):
        relu(y)
