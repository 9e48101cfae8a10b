"""Losses against PyTorch, values and gradients; their behaviour at the limits; wrong input."""

import math

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.autograd import gradcheck, gradgradcheck
from tinygrad_lite.nn import functional as F

REDUCTIONS = ["none", "mean", "sum"]
PAIRED = {
    "MSELoss": F.mse_loss,
    "L1Loss": F.l1_loss,
    "BCELoss": F.binary_cross_entropy,
    "BCEWithLogitsLoss": F.binary_cross_entropy_with_logits,
}


def probabilities(rng, *shape):
    p = rng.random(shape)
    return p / p.sum(axis=1, keepdims=True)


def assert_as_in_pytorch(name, x, target, dtype=np.float64, **options):
    """Same loss and same gradient of the input, with array options as tensors; on a random cotangent."""
    torch = pytest.importorskip("torch")

    def run(nn, tensor, cotangent):
        keywords = {key: tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
        input = tensor(x).requires_grad_()
        loss = getattr(nn, name)(**keywords)(input, tensor(target))
        loss.backward(tensor(cotangent(loss.shape)))
        return loss.detach().numpy(), input.grad.numpy()

    def cotangent(shape):
        return np.random.default_rng(7).normal(size=tuple(shape)).astype(dtype)

    tolerance = {"rtol": 1e-12, "atol": 1e-14} if dtype == np.float64 else {"rtol": 5e-6, "atol": 1e-7}
    for ours, theirs in zip(run(nn, tl.tensor, cotangent), run(torch.nn, torch.tensor, cotangent), strict=True):
        assert ours.dtype == theirs.dtype == dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, **tolerance)


# ---- losses that compare element by element


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("name", PAIRED)
def test_paired_losses_are_pytorchs(name, shape, reduction, dtype):
    rng = np.random.default_rng(0)
    draw = rng.random if name == "BCELoss" else rng.normal
    target = rng.random(size=shape) if name.startswith("BCE") else rng.normal(size=shape)
    x, target = np.asarray(draw(size=shape), dtype), np.asarray(target, dtype)
    assert_as_in_pytorch(name, x, target, dtype, reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(4, 3), (3,), (4, 1)])
@pytest.mark.parametrize(
    ("name", "options"),
    [("BCELoss", ["weight"]), ("BCEWithLogitsLoss", ["weight"]), ("BCEWithLogitsLoss", ["weight", "pos_weight"])],
)
def test_weights_of_binary_losses_are_pytorchs(name, options, shape, reduction):
    rng = np.random.default_rng(1)
    weights = {option: rng.random(shape) for option in options}
    assert_as_in_pytorch(name, rng.random((4, 3)), rng.random((4, 3)), reduction=reduction, **weights)


@pytest.mark.parametrize("dtype", [tl.float64, tl.float32])
def test_binary_cross_entropy_of_certain_probabilities_is_finite(dtype):
    p = tl.tensor([0.0, 0.0, 1.0, 1.0, 1e-30], dtype=dtype, requires_grad=True)
    loss = F.binary_cross_entropy(p, tl.tensor([0.0, 1.0, 0.0, 1.0, 0.5], dtype=dtype), reduction="none")
    loss.sum().backward()
    rounding = 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(loss.tolist(), [0, 100, 100, 0, 15 * math.log(10)], rtol=rounding)
    np.testing.assert_allclose(p.grad.tolist(), [0, -1e12, 1e12, 0, -5e11], rtol=rounding)  # PyTorch's bound


def test_binary_cross_entropy_with_logits_is_exact_at_any_size():
    x = tl.tensor([1e4, -1e4, 1e4, -1e4, 40.0, -40.0, 0.0], dtype=tl.float64, requires_grad=True)
    y = tl.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5], dtype=tl.float64)
    loss = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    small = math.log1p(math.exp(-40))
    np.testing.assert_allclose(loss.tolist(), [0, 0, 1e4, 1e4, small, small, math.log(2)], rtol=1e-15)
    loss.sum().backward()
    tiny = math.exp(-40) / (1 + math.exp(-40))
    np.testing.assert_allclose(x.grad.tolist(), [0, 0, 1, -1, -tiny, tiny, 0], rtol=1e-15, atol=1e-16)


def test_pos_weight_keeps_the_small_losses_exact():
    x, y = tl.tensor([40.0, -40.0], dtype=tl.float64), tl.tensor([1.0, 0.0], dtype=tl.float64)
    loss = F.binary_cross_entropy_with_logits(x, y, pos_weight=tl.tensor(2.0, dtype=tl.float64), reduction="none")
    small = math.log1p(math.exp(-40))
    np.testing.assert_allclose(loss.tolist(), [2 * small, small], rtol=1e-15)


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
def test_binary_losses_differentiate_twice_and_in_the_target(loss):
    rng = np.random.default_rng(2)
    inputs = [tl.tensor(rng.uniform(0.1, 0.9, size=(3, 2)), requires_grad=True) for _ in range(2)]
    assert gradcheck(loss, inputs)
    assert gradgradcheck(loss, inputs)


def test_the_gradient_with_logits_is_document_000s():
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=8), rng.integers(2, size=8).astype(float)
    x = tl.tensor(z, requires_grad=True)
    F.binary_cross_entropy_with_logits(x, tl.tensor(y), reduction="sum").backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 / (1 + np.exp(-z)) - y, rtol=1e-14)


# ---- losses over classes


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("shape", "samples"), [((6, 4), (6,)), ((4,), ()), ((3, 4, 2, 5), (3, 2, 5))])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss"])
def test_class_losses_are_pytorchs(name, shape, samples, reduction, dtype):
    rng = np.random.default_rng(4)
    x, target, weight = rng.normal(size=shape).astype(dtype), rng.integers(4, size=samples), rng.random(4).astype(dtype)
    assert_as_in_pytorch(name, x, target, dtype, reduction=reduction)
    assert_as_in_pytorch(name, x, target, dtype, reduction=reduction, weight=weight, ignore_index=0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_options_are_pytorchs(soft, reduction, smoothing, weighted):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6, 4))
    target = probabilities(rng, 6, 4) if soft else rng.integers(4, size=6)
    options = {"weight": rng.random(4)} if weighted else {}
    assert_as_in_pytorch("CrossEntropyLoss", x, target, reduction=reduction, label_smoothing=smoothing, **options)


@pytest.mark.parametrize("loss", PAIRED.values())
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_paired_losses_promote_like_pytorchs_operators(loss, reduction):
    """Targets that NumPy made are float64 easily."""
    x, y = [0.25, 0.5], [0.125, 1.0]
    mixed = tl.tensor(x, dtype=tl.float32, requires_grad=True)
    wide = tl.tensor(x, dtype=tl.float64, requires_grad=True)
    for input in (mixed, wide):
        out = loss(input, tl.tensor(y, dtype=tl.float64), reduction=reduction)
        assert out.dtype == tl.float64
        out.sum().backward()
    np.testing.assert_allclose(mixed.grad.numpy(), wide.grad.numpy(), rtol=2 * np.finfo(np.float32).eps)


def test_a_batch_without_counted_samples_gives_no_gradient():
    logits = tl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = F.cross_entropy(logits, tl.tensor([-100, -100]))
    loss.backward()
    assert math.isnan(loss.item())
    assert not logits.grad.numpy().any()


# ---- modules and wrong input


def test_weights_are_buffers_and_convert_with_the_module():
    criterion = nn.BCEWithLogitsLoss(weight=tl.ones(3), pos_weight=tl.ones(3)).double()
    assert list(criterion.state_dict()) == ["weight", "pos_weight"]
    assert criterion.weight.dtype == criterion.pos_weight.dtype == tl.float64
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize("loss", PAIRED.values())
@pytest.mark.parametrize(("input", "target"), [((5, 1), (5,)), ((5,), (5, 1)), ((5, 2), (5, 1)), ((2,), ())])
def test_paired_losses_do_not_broadcast(loss, input, target):
    with pytest.raises(ValueError, match="same shape") as caught:
        loss(tl.full(input, 0.5), tl.full(target, 0.5))
    assert str(input) in str(caught.value)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize("loss", PAIRED.values())
def test_paired_losses_take_tensors(loss):
    with pytest.raises(TypeError, match="target must be a Tensor, not list"):
        loss(tl.full((2,), 0.5), [0.0, 1.0])
    with pytest.raises(TypeError, match="input must be a Tensor, not float"):
        loss(0.5, tl.tensor(0.5))


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("dtype", [tl.int64, tl.bool])
def test_binary_losses_refuse_integer_labels(loss, dtype):
    with pytest.raises(RuntimeError, match=r"target\.float\(\)"):
        loss(tl.full((2,), 0.5), tl.ones(2, dtype=dtype))


@pytest.mark.parametrize("outside", [-1e-12, 1 + 1e-7, 3.0, -5.0, math.inf, math.nan])
def test_binary_cross_entropy_refuses_what_is_no_probability(outside):
    with pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
        F.binary_cross_entropy(tl.tensor([0.5, outside]), tl.tensor([0.0, 1.0]))


@pytest.mark.parametrize("name", [*PAIRED, "CrossEntropyLoss", "NLLLoss"])
def test_unknown_reductions_are_refused(name):
    with pytest.raises(ValueError, match="'average' is not a reduction"):
        getattr(nn, name)(reduction="average")


@pytest.mark.parametrize("loss", [*PAIRED.values()])
def test_unknown_reductions_are_refused_by_functions(loss):
    with pytest.raises(ValueError, match="'average' is not a reduction"):
        loss(tl.ones(2), tl.ones(2), reduction="average")


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), nn.NLLLoss()])
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 3], IndexError, "3"),
        ([0, -1], IndexError, "-1"),
        ([0.0, 1.0], RuntimeError, "int64"),
        ([0, 1, 2], ValueError, r"\(3,\)"),
        ([[0], [1]], RuntimeError, r"\(2, 1\)"),
    ],
)
def test_class_losses_refuse_wrong_labels(criterion, target, error, message):
    with pytest.raises(error, match=message):
        criterion(tl.zeros(2, 3), tl.tensor(target))
