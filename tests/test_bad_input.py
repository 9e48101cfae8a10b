"""What goes in wrong comes out as an error of PyTorch's type that names the operation and what was given."""

import re

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.nn import functional as F


def zeros(*shape, dtype=tl.float32, grad=False):
    return tl.zeros(*shape, dtype=dtype, requires_grad=grad)


def shows(*shapes):
    """A pattern that finds these words and shapes in this order."""
    return ".*".join(re.escape(str(shape)) for shape in shapes)


# ---- shapes that do not fit

MISMATCHES = {
    "add": (lambda: zeros(2, 3) + zeros(4), shows("add", (2, 3), (4,))),
    "sub": (lambda: zeros(2, 3) - zeros(2), shows("sub", (2, 3), (2,))),
    "mul": (lambda: zeros(3, 1, 2) * zeros(2, 3), shows("mul", (3, 1, 2), (2, 3))),
    "div": (lambda: zeros(2) / zeros(3), shows("div", (2,), (3,))),
    "pow": (lambda: zeros(2) ** zeros(3), shows("pow", (2,), (3,))),
    "remainder": (lambda: zeros(2) % zeros(3), shows("remainder", (2,), (3,))),
    "maximum": (lambda: tl.maximum(zeros(2), zeros(3)), shows("maximum", (2,), (3,))),
    "eq": (lambda: zeros(2) == zeros(3), shows("eq", (2,), (3,))),
    "lt": (lambda: zeros(2) < zeros(3), shows("lt", (2,), (3,))),
    "where": (lambda: tl.where(zeros(2) > 0, zeros(2), zeros(3)), shows("where", (2,), (2,), (3,))),
    "through numpy": (lambda: np.add(np.zeros(2), zeros(3)), shows("add", (2,), (3,))),
    "array and tensor": (lambda: np.zeros((2, 2)) * zeros(3), shows("mul", (2, 2), (3,))),
    "add_": (lambda: zeros(2).add_(zeros(3)), shows("add", (2,), (3,))),
    "add_ that would grow": (lambda: zeros(2).add_(zeros(3, 2)), shows("add_", (3, 2), (2,))),
    "copy_": (lambda: zeros(2).copy_(zeros(3)), shows((3,))),
    "setitem": (lambda: zeros(4).__setitem__(slice(2), zeros(3)), shows((3,))),
    "matmul": (lambda: zeros(2, 3) @ zeros(2, 3), shows("matmul", (2, 3), (2, 3))),
    "matmul of vectors": (lambda: zeros(2) @ zeros(3), shows("matmul", (2,), (3,))),
    "matmul of batches": (lambda: zeros(2, 1, 3) @ zeros(3, 3, 1), shows("matmul", (2, 1, 3), (3, 3, 1))),
    "matmul of a number": (lambda: zeros() @ zeros(3), shows("matmul", (), (3,))),
    "mm": (lambda: tl.mm(zeros(2), zeros(2, 2)), shows("mm", (2,), (2, 2))),
    "mv": (lambda: tl.mv(zeros(2, 3), zeros(2)), shows((2, 3), (2,))),
    "bmm": (lambda: tl.bmm(zeros(2, 3, 4), zeros(3, 4, 5)), shows("bmm", (2, 3, 4), (3, 4, 5))),
    "dot": (lambda: tl.dot(zeros(2), zeros(2, 2)), shows("dot", (2,), (2, 2))),
    "outer": (lambda: tl.outer(zeros(2), zeros(2, 2)), shows("outer", (2,), (2, 2))),
    "linear": (lambda: F.linear(zeros(2, 3), zeros(4, 5)), shows("linear", (2, 3), (4, 5))),
    "linear's bias": (lambda: F.linear(zeros(2, 5), zeros(4, 5), zeros(5)), shows("linear", "bias", (5,), (4, 5))),
    "reshape": (lambda: zeros(2, 3).reshape(4, 2), shows("reshape", (4, 2), (2, 3))),
    "reshape with -1": (lambda: zeros(2, 3).reshape(4, -1), shows("reshape", (4, -1), (2, 3))),
    "reshape with two -1": (lambda: zeros(2, 3).reshape(-1, -1), shows("reshape", (-1, -1), (2, 3))),
    "reshape of nothing with -1": (lambda: zeros(0).reshape(0, -1), shows("reshape", (0, -1), (0,))),
    "view": (lambda: zeros(2, 3).T.view(6), "view.*reshape"),
    "expand": (lambda: zeros(3).expand(2), shows("expand", (3,))),
    "expand to fewer": (lambda: zeros(2, 3).expand(3), shows("expand", (3,), (2, 3))),
    "permute": (lambda: zeros(2, 3).permute(0, 0), shows("permute", (0, 0))),
    "cat": (lambda: tl.cat([zeros(2, 3), zeros(2, 4)]), shows("cat", (2, 3), (2, 4))),
    "stack": (lambda: tl.stack([zeros(2), zeros(3)]), "stack: shapes.*equal"),
    "split": (lambda: zeros(5).split([2, 2]), shows("split", [2, 2], 5)),
    "gather": (lambda: tl.gather(zeros(2, 3), 1, zeros(3, 1, dtype=tl.int64)), shows("gather", (3, 1), (2, 3))),
    "backward": (lambda: zeros(2, grad=True).mul(2).backward(zeros(3)), shows((3,), (2,))),
    "copy of data into grad": (lambda: setattr(zeros(2), "grad", zeros(3)), shows("grad", (3,), (2,))),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_shapes_that_do_not_fit(name):
    call, message = MISMATCHES[name]
    with pytest.raises(RuntimeError, match=message):
        call()


LOSS_MISMATCHES = {
    "mse_loss": lambda: F.mse_loss(zeros(2, 1), zeros(2)),
    "l1_loss": lambda: F.l1_loss(zeros(3), zeros(2)),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(zeros(2, 1), zeros(2)),
    "binary_cross_entropy_with_logits": lambda: F.binary_cross_entropy_with_logits(zeros(2), zeros(2, 1)),
    "nll_loss": lambda: F.nll_loss(zeros(2, 3), zeros(3, dtype=tl.int64)),
    "cross_entropy": lambda: F.cross_entropy(zeros(2, 3), zeros(2, 1, dtype=tl.int64)),
}


@pytest.mark.parametrize("name", LOSS_MISMATCHES)
def test_losses_of_shapes_that_do_not_fit(name):
    with pytest.raises((ValueError, RuntimeError), match=rf"{name}.*\(\d.*\(\d"):
        LOSS_MISMATCHES[name]()


# ---- dimensions and indices out of range

OUT_OF_RANGE = {
    "sum": lambda x: x.sum(2),
    "mean": lambda x: x.mean(-3),
    "amax": lambda x: x.amax(5),
    "argmax": lambda x: x.argmax(2),
    "max": lambda x: x.max(2),
    "var": lambda x: x.var(2),
    "softmax": lambda x: x.softmax(2),
    "logsumexp": lambda x: x.logsumexp(2),
    "transpose": lambda x: x.transpose(0, 2),
    "squeeze": lambda x: x.squeeze(2),
    "unsqueeze": lambda x: x.unsqueeze(3),
    "flatten": lambda x: x.flatten(0, 2),
    "cat": lambda x: tl.cat([x, x], 2),
    "split": lambda x: x.split(1, 2),
    "gather": lambda x: x.gather(2, zeros(2, 3, dtype=tl.int64)),
    "permute": lambda x: x.permute(0, 2),
    "index": lambda x: x[2],
    "negative index": lambda x: x[0, -4],
    "too many indices": lambda x: x[0, 0, 0],
    "index array": lambda x: x[[0, 2]],
    "index tensor": lambda x: x[tl.tensor([0, -3])],
    "mask": lambda x: x[tl.tensor([True, False, True])],
    "float index": lambda x: x[1.0],
    "assigned index": lambda x: x.__setitem__(2, 0.0),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_out_of_range(name):
    with pytest.raises(IndexError):
        OUT_OF_RANGE[name](zeros(2, 3))


@pytest.mark.parametrize("key", ["a", object(), 1j], ids=lambda key: type(key).__name__)
def test_indices_of_no_kind_that_exists(key):
    with pytest.raises((TypeError, IndexError)):
        zeros(2, 3)[key]
    with pytest.raises((TypeError, IndexError)):
        zeros(2, 3)[key] = 1.0


@pytest.mark.parametrize("wrong", [3, -1, 10**12])
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_class_that_does_not_exist(loss, wrong):
    with pytest.raises(IndexError, match=rf"{wrong} .*range\(3\)"):
        loss(zeros(2, 3), tl.tensor([0, wrong]))


@pytest.mark.parametrize("wrong", [3, -1])
def test_one_hot_and_gather_of_a_class_that_does_not_exist(wrong):
    with pytest.raises(RuntimeError, match=rf"one_hot.*{wrong} .*range\(3\)"):
        tl.one_hot(tl.tensor([0, wrong]), 3)
    with pytest.raises(RuntimeError, match=rf"gather.*{wrong} .*range\(3\)"):
        tl.gather(zeros(2, 3), 1, tl.tensor([[0], [wrong]]))


# ---- dtypes

WRONG_DTYPES = {
    "labels as float": (lambda: F.nll_loss(zeros(2, 3), zeros(2)), "nll_loss.*int64.*float32"),
    "labels as int32": (lambda: F.cross_entropy(zeros(2, 3), zeros(2, dtype=tl.int32)), "cross_entropy.*int64.*int32"),
    "labels as bool": (lambda: F.cross_entropy(zeros(2, 3), zeros(2) > 0), "cross_entropy.*int64.*bool"),
    "one_hot of floats": (lambda: tl.one_hot(zeros(2), 3), "one_hot.*int64.*float32"),
    "gather by floats": (lambda: zeros(2).gather(0, zeros(2)), "gather.*int64.*float32"),
    "softmax of integers": (lambda: tl.softmax(zeros(2, dtype=tl.int64), 0), "softmax.*int64"),
    "mean of integers": (lambda: zeros(2, dtype=tl.int64).mean(), "mean.*int64"),
    "std of bools": (lambda: (zeros(2) > 0).std(), "std.*bool"),
    "matmul": (lambda: zeros(2, 2) @ zeros(2, 2, dtype=tl.float64), "matmul.*float32.*float64"),
    "linear": (lambda: F.linear(zeros(2, 2, dtype=tl.float64), zeros(2, 2)), "linear.*float64.*float32"),
    "condition": (lambda: tl.where(zeros(2), zeros(2), zeros(2)), "where.*bool"),
    "gradient": (lambda: zeros(2, grad=True).mul(1).backward(zeros(2, dtype=tl.float64)), "float64.*float32"),
    "in place": (lambda: zeros(2, dtype=tl.int64).add_(1.5), "add_.*float32.*int64"),
    "requires_grad of ints": (lambda: tl.tensor([1, 2], requires_grad=True), "floating-point.*int64"),
    "requires_grad of bools": (lambda: tl.tensor([True], requires_grad=True), "floating-point.*bool"),
    "zeros": (lambda: tl.zeros(2, dtype=tl.int32, requires_grad=True), "floating-point.*int32"),
    "requires_grad_": (lambda: tl.arange(3).requires_grad_(), "floating-point.*int64"),
    "random integers as floats": (lambda: tl.rand(2, dtype=tl.int64), "int64.*randint"),
    "integer to a negative power": (lambda: tl.tensor([2]) ** -1, "pow.*negative"),
}


@pytest.mark.parametrize("name", WRONG_DTYPES)
def test_wrong_dtypes(name):
    call, message = WRONG_DTYPES[name]
    with pytest.raises(RuntimeError, match=message):
        call()


# ---- what is no tensor of numbers

NO_NUMBERS = {
    "ragged": ([[1, 2], [3]], ValueError, "ragged.*same length"),
    "ragged deeper": ([[1, [2]], [3, 4]], ValueError, "ragged.*same length"),
    "ragged tensors": ([tl.zeros(2), tl.zeros(3)], (ValueError, RuntimeError), r"\(2,\).*\(3,\)|ragged"),
    "ragged arrays": ([np.zeros(2), np.zeros(3)], (ValueError, RuntimeError), r"\(2,\).*\(3,\)|ragged"),
    "object array": (np.array([object()]), TypeError, "object"),
    "object": (object(), RuntimeError, "object"),
    "None": (None, RuntimeError, "NoneType"),
    "None inside": ([1.0, None], RuntimeError, "expected numbers"),
    "string": ("1.0", (TypeError, ValueError), "expected numbers.*str"),
    "strings": (["1.0"], ValueError, "expected numbers"),
    "array of strings": (np.array(["1.0"]), TypeError, "not supported"),
    "complex": (1j, TypeError, "complex"),
    "complex list": ([1.0, 2j], TypeError, "complex"),
    "complex array": (np.zeros(2, complex), TypeError, "complex128.*not supported"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), TypeError, "datetime64"),
    "records": (np.zeros(2, [("a", float)]), TypeError, "not supported"),
    "uint16": (np.zeros(2, np.uint16), TypeError, "uint16 is not supported"),
    "long double": (np.zeros(2, np.longdouble), TypeError, "not supported"),
    "dict": ({"a": 1}, RuntimeError, "dict"),
    "set": ({1, 2}, RuntimeError, "set"),
    "generator": ((i for i in range(2)), RuntimeError, "generator"),
}


@pytest.mark.parametrize("make", [tl.tensor, tl.as_tensor], ids=["tensor", "as_tensor"])
@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_tensor(name, make):
    data, error, message = NO_NUMBERS[name]
    with pytest.raises(error, match=message):
        make(data)


@pytest.mark.parametrize("data", [2**63, -(2**63) - 1, [2**70], [1, 2**64]])
def test_integers_that_int64_cannot_hold(data):
    with pytest.raises(ValueError, match=r"(?i)int64|overflow|too large"):
        tl.tensor(data)


@pytest.mark.parametrize("other", ["a", None, [1.0, 2.0], object(), 1j, {1: 2}], ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("op", [lambda x, y: x + y, lambda x, y: y * x, lambda x, y: tl.maximum(x, y)])
def test_operands_that_are_no_numbers(op, other):
    with pytest.raises(TypeError):
        op(zeros(2), other)


def test_from_numpy_takes_arrays_only():
    with pytest.raises(TypeError, match="expected an ndarray, not list"):
        tl.from_numpy([1.0])
    with pytest.raises(TypeError, match="complex64"):
        tl.from_numpy(np.zeros(2, np.complex64))


def test_foreign_byte_order():
    """A tensor of another byte order either is refused, or computes and differentiates as any other."""
    array = np.array([1.0, 2.0], ">f8" if np.little_endian else "<f8")
    try:
        x = tl.from_numpy(array).requires_grad_()
    except (ValueError, TypeError):
        return
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_number_is_no_shape():
    with pytest.raises(TypeError, match=r"empty.*zeros"):
        tl.Tensor(3)
    with pytest.raises(RuntimeError, match="negative"):
        tl.zeros(2, -1)
    with pytest.raises(TypeError):
        tl.zeros(2.5)


# ---- gradients where there are none


@pytest.mark.parametrize("shape", [(2,), (1, 2), (0,), (3, 0)])
def test_backward_on_a_non_scalar(shape):
    x = zeros(*shape, grad=True)
    with pytest.raises(RuntimeError, match=rf"scalar.*{re.escape(str(shape))}.*sum"):
        (x * 2).backward()
    assert x.grad is None


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_backward_on_one_element(shape):
    x = zeros(*shape, grad=True)
    (x * 2).backward()
    assert x.grad.tolist() == np.full(shape, 2.0).tolist()


def test_backward_without_a_graph():
    for y in (zeros(), zeros(grad=True).detach(), zeros(grad=True).item() * zeros()):
        with pytest.raises(RuntimeError, match=r"does not require grad.*requires_grad=True"):
            y.backward()


def test_a_gradient_that_is_no_tensor():
    y = zeros(2, grad=True) * 2
    for gradient in (np.zeros(2), [0.0, 0.0], 1.0):
        with pytest.raises(TypeError, match="must be a Tensor"):
            y.backward(gradient)


def test_arrays_of_tensors_that_require_grad():
    x = zeros(2, grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(x)
    with pytest.raises(TypeError, match="detach"):
        np.exp(x, out=np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="detach"):
        np.linalg.det(zeros(2, 2, grad=True))
    with pytest.raises(TypeError, match=r"detach|copy_"):
        np.add.at(x, 0, 1.0)
    array = np.zeros(2, np.float32)
    with pytest.raises(TypeError, match="detach"):
        array += x
    assert array.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, 1, where=np.array([True, False])),
        lambda x: np.add(x, 1, dtype=np.float64),
        lambda x: np.exp(x, casting="no"),
        lambda x: np.sum(x, dtype=np.float64),
        lambda x: np.sum(x, initial=1.0),
        lambda x: np.mean(x, where=np.array([True, False])),
        lambda x: np.max(x, initial=3.0),
    ],
)
def test_keywords_of_numpy_that_are_not_supported(call):
    with pytest.raises(TypeError, match=r"where|dtype|casting|initial"):
        call(zeros(2))


def test_operations_that_need_one_element():
    for call in (lambda x: x.item(), bool, float, int):
        with pytest.raises(RuntimeError, match=r"\(2,\)"):
            call(zeros(2))
    with pytest.raises(TypeError):
        len(zeros())
    with pytest.raises(TypeError):
        iter(zeros())
    with pytest.raises(TypeError):
        range(3)[zeros()]


def test_misspelt_names_are_attribute_errors():
    for call in (lambda: zeros(2).summ(), lambda: setattr(zeros(2), "gradient", 1), lambda: tl.zeroes(2)):
        with pytest.raises(AttributeError):
            call()


def test_devices_that_are_not_there():
    with pytest.raises(RuntimeError, match="cuda"):
        zeros(2).to("cuda")


def test_an_error_leaves_everything_as_it_was():
    x, y = tl.tensor([1.0, 2.0]), tl.tensor([1.0, 2.0], requires_grad=True) * 2
    for tensor in (x, y):
        before = tensor.tolist(), tensor.grad_fn
        for change in (
            lambda t: t.add_(zeros(3)),
            lambda t: t.__setitem__(5, 1.0),
            lambda t: t.__setitem__(slice(None), zeros(3)),
            lambda t: t.copy_(zeros(3)),
            lambda t: t.mul_(zeros(4, 2)),
        ):
            with pytest.raises((RuntimeError, IndexError)):
                change(tensor)
        assert (tensor.tolist(), tensor.grad_fn) == before


def test_read_only_memory_is_refused_and_nothing_changes():
    x = tl.from_numpy(np.broadcast_to(np.float32(1.0), (2,)))
    with pytest.raises((RuntimeError, ValueError), match=r"read-only|memory"):
        x.add_(zeros(2, grad=True))
    assert not x.requires_grad
    assert x.grad_fn is None


# ---- empty, 0-d, huge, nan: not bad at all


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_empty_arrays(shape):
    x = zeros(*shape, dtype=tl.float64, grad=True)
    y = ((x + 1).exp() * x).reshape(-1).sum()
    y.backward()
    assert y.item() == 0.0
    assert x.grad.shape == shape
    assert tl.cat([x, x]).shape == (2 * shape[0], *shape[1:])
    assert x.T.shape == shape[::-1]
    assert x.prod().item() == 1.0
    assert np.isnan(x.mean().item())
    assert (x == x).all().item()
    assert not (x == x).any().item()
    assert x.tolist() == np.zeros(shape).tolist()
    assert (
        eval(repr(x.detach()), {"tensor": lambda *a, size=None, dtype=None: size or np.shape(a[0]), "tl": tl}) == shape
    )


def test_reductions_of_nothing():
    x = zeros(2, 0, 3, dtype=tl.float64, grad=True)
    total = x.sum(1)
    assert total.tolist() == [[0.0] * 3] * 2
    total.sum().backward()
    assert x.grad.shape == (2, 0, 3)
    assert x.sum(0).shape == (0, 3)
    assert x.amax(0).shape == (0, 3)
    assert x.amax(2).shape == (2, 0)
    assert x.logsumexp(0).shape == (0, 3)
    assert np.isneginf(x.logsumexp(1).detach().numpy()).all()
    assert tl.softmax(x, 0).shape == x.shape
    assert tl.softmax(x, 1).shape == x.shape
    assert tl.log_softmax(x, 1).shape == x.shape


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "argmax", "argmin"])
def test_extremes_of_nothing_are_refused(name):
    with pytest.raises((RuntimeError, IndexError), match=r"\(0, 3\)"):
        getattr(tl, name)(zeros(0, 3))
    with pytest.raises((RuntimeError, IndexError), match=r"\(0, 3\)"):
        getattr(tl, name)(zeros(0, 3), 0)


def test_products_over_nothing():
    a, b = zeros(2, 0, grad=True), zeros(0, 3, grad=True)
    out = a @ b
    assert out.tolist() == [[0.0] * 3] * 2
    out.sum().backward()
    assert a.grad.shape == (2, 0)
    assert b.grad.shape == (0, 3)
    assert (zeros(0, 2) @ zeros(2, 0)).shape == (0, 0)
    assert F.linear(zeros(0, 3), zeros(4, 3), zeros(4)).shape == (0, 4)


def test_0d_tensors_go_through_everything():
    x = tl.tensor(2.0, dtype=tl.float64, requires_grad=True)
    for f, slope in {
        (lambda x: x * x, 4.0),
        (lambda x: x.sum() + x.mean() + x.amax(), 3.0),
        (lambda x: x.max() + x.min(), 2.0),
        (lambda x: x.amin(0), 1.0),
        (lambda x: x.sum(-1), 1.0),
        (lambda x: x.reshape(1, 1).T.squeeze(), 1.0),
        (lambda x: x[None][0], 1.0),
        (lambda x: x[...], 1.0),
        (lambda x: x[()], 1.0),
        (lambda x: x.expand(2, 3).sum(), 6.0),
        (lambda x: x.softmax(0), 0.0),
        (lambda x: x.logsumexp(0), 1.0),
        (lambda x: x.prod(), 1.0),
        (lambda x: x.T + x.flatten()[0], 2.0),
        (lambda x: tl.where(x > 0, x, 0), 1.0),
        (lambda x: tl.stack([x, x]).sum(), 2.0),
        (lambda x: x.clamp(0, 1), 0.0),
        (lambda x: tl.maximum(x, tl.tensor(2.0, dtype=tl.float64)), 0.5),
    }:
        x.grad = None
        y = f(x)
        assert isinstance(y._array, np.ndarray)
        assert y.shape == ()
        y.backward()
        assert (x.grad.shape, x.grad.item()) == ((), slope)


def test_huge_shapes_cost_nothing_as_long_as_nobody_fills_them():
    x = tl.ones(1, requires_grad=True)
    huge = x.expand(10**6, 10**6)
    assert huge.numel() == 10**12
    assert np.broadcast_to(x, (10**6, 10**6))[0, 0].item() == 1.0
    corner = huge[:2, -3:].sum()
    assert corner.item() == 6.0
    assert huge.T.shape == (10**6, 10**6)
    assert huge[::1000, 5].shape == (1000,)


def test_huge_views_as_operands():
    row = tl.from_numpy(np.broadcast_to(np.float32(2.0), (10**7,)))
    x = tl.tensor([1.0], requires_grad=True)
    (row[:: 10**6] * x).sum().backward()
    assert x.grad.item() == 20.0


@pytest.mark.parametrize("call", [lambda: tl.zeros(10**9, 10**9), lambda: tl.ones(1).expand(2**40, 2**40) + 1])
def test_shapes_beyond_memory(call):
    with pytest.raises((MemoryError, RuntimeError)):
        call()


def test_nan_goes_through():
    x = tl.tensor([1.0, np.nan, 3.0], requires_grad=True)
    y = (x * 2).relu()
    assert np.isnan(y.tolist()).tolist() == [False, True, False]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert np.isnan(x.amax(0).item())
    assert np.isnan(x.sum().item())
    assert x.argmax().item() == 1
    assert not (x == x)[1].item()
    assert np.isnan(tl.maximum(x.detach(), tl.zeros(3)).tolist()[1])
    assert tl.isnan(x).tolist() == [False, True, False]


def test_nan_elsewhere_stays_elsewhere():
    x = tl.tensor([1.0, np.nan], requires_grad=True)
    (x**2).backward(tl.tensor([1.0, 0.0]))
    assert x.grad.tolist()[0] == 2.0
    clean = tl.where(tl.isnan(x), 0.0, x).sum()
    x.grad = None
    clean.backward()
    assert (clean.item(), x.grad.tolist()) == (1.0, [1.0, 0.0])


def test_an_index_of_uint8_is_neither_positions_nor_mask():
    with pytest.raises(IndexError, match=r"long\(\).*bool\(\)"):
        tl.tensor([10, 20, 30])[tl.tensor([1, 0, 1], dtype=tl.uint8)]


@pytest.mark.parametrize("target", [[0, 1], np.array([0, 1])], ids=["list", "array"])
def test_class_indices_are_a_tensor(target):
    with pytest.raises(TypeError, match=r"tl\.tensor\(target\)"):
        tl.nn.functional.cross_entropy(tl.zeros(2, 3), target)


def test_the_optimizer_state_of_another_model_is_refused():
    def optimizer(size):
        layer = tl.nn.Linear(size, size)
        made = tl.optim.Adam(layer.parameters())
        layer(tl.ones(1, size)).sum().backward()
        made.step()
        return made

    small, large = optimizer(2), optimizer(3)
    before = large.state_dict()["state"][0]["exp_avg"].tolist()
    with pytest.raises(ValueError, match="another model"):
        large.load_state_dict(small.state_dict())
    assert large.state_dict()["state"][0]["exp_avg"].tolist() == before
