"""The messages for the mistakes that beginners make, word by word; the exceptions are those of PyTorch."""

import threading

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F
from tinygrad_lite.utils.data import DataLoader


def leaf(xp, *shape):
    return xp.ones(*shape, requires_grad=True)


def double(xp, *shape):
    return xp.ones(*shape, dtype=xp.float64)


def ints(xp, *shape):
    return xp.ones(*shape, dtype=xp.int64)


def module(xp, **attributes):
    return type("Net", (xp.nn.Module,), attributes)()


def twice(xp):
    loss = leaf(xp, 3).exp().sum()
    loss.backward()
    loss.backward()


def in_no_grad(xp):
    with xp.no_grad():
        leaf(xp, 2).sum().backward()


def used_up(xp):
    parameters = xp.nn.Linear(2, 2).parameters()
    xp.optim.SGD(parameters, lr=0.1)
    xp.optim.Adam(parameters)


NO_GRAD = (
    "backward: the tensor of shape () does not require grad: create the parameters with requires_grad=True, and "
    "compute outside no_grad() and without detach()"
)
ONLY_FLOATS = (
    "only floating-point tensors can require gradients, this one is int64: "
    "write 1.0 instead of 1, or convert with .float()"
)
EMPTY = "the optimizer got an empty parameter list: is the model without parameters, or the iterator used up?"
PROBABILITIES = (
    "binary_cross_entropy: all elements of the input must be probabilities, from 0 to 1: apply a sigmoid first, or use "
    "binary_cross_entropy_with_logits"
)

MISTAKES = {
    # dtypes
    "float64 data": (
        lambda xp: xp.nn.Linear(3, 2)(xp.from_numpy(np.ones((4, 3)))),
        "linear (Linear): input float64 and weight float32 must be the same dtype: convert the input with "
        ".to(tl.float32), or the module with .to(tl.float64)",
    ),
    "bytes as data": (
        lambda xp: xp.nn.Linear(3, 2)(xp.ones(4, 3, dtype=xp.uint8)),
        "linear (Linear): input uint8 and weight float32 must be the same dtype: convert the input with "
        ".to(tl.float32)",
    ),
    "an array as data": (
        lambda xp: xp.nn.Linear(3, 2)(np.ones((4, 3), np.float32)),
        "linear (Linear): the input must be a Tensor, not ndarray; use tl.tensor(input)",
    ),
    "float64 in matmul": (
        lambda xp: xp.ones(2, 3) @ double(xp, 3, 2),
        "matmul: float32 and float64 must be the same dtype: convert one with .to(tl.float64)",
    ),
    "integers in matmul": (
        lambda xp: xp.ones(2, 3) @ ints(xp, 3, 2),
        "matmul: float32 and int64 must be the same dtype: convert one with .to(tl.float32)",
    ),
    "int32 labels": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), xp.ones(2, dtype=xp.int32)),
        "cross_entropy: class indices must be int64, not int32; convert with .long()",
    ),
    "float labels": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), xp.ones(2)),
        "cross_entropy: target probabilities (2,) need the shape of the logits (2, 3); class indices are int64, "
        "convert them with .long()",
    ),
    "labels in a list": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), [0, 1]),
        "cross_entropy: the target must be a Tensor, not list; use tl.tensor(target)",
    ),
    "integers as 0 and 1": (
        lambda xp: xp.nn.functional.binary_cross_entropy(xp.ones(2) / 2, ints(xp, 2)),
        "binary_cross_entropy: the target must be floating point, not int64: use target.float()",
    ),
    "integers that require grad": (lambda xp: xp.tensor([1, 2], requires_grad=True), ONLY_FLOATS),
    "a parameter of integers": (lambda xp: xp.nn.Parameter(xp.tensor([1, 2])), ONLY_FLOATS),
    "mean of integers": (
        lambda xp: xp.tensor([1, 2]).mean(),
        "mean of int64: only floating point has one; convert with .float() first",
    ),
    # losses
    "one-hot labels": (
        lambda xp: xp.nn.functional.nll_loss(xp.ones(2, 3), xp.eye(3, dtype=xp.int64)[:2]),
        "nll_loss: target of shape (2, 3) for an input of shape (2, 3): expected (2,), one class index per sample; "
        "if the target is one-hot, use target.argmax(1)",
    ),
    "labels as a column": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), ints(xp, 2, 1)),
        "cross_entropy: target of shape (2, 1) for an input of shape (2, 3): expected (2,), one class index per "
        "sample; use target.reshape(2,)",
    ),
    "too many labels": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(4, 3), ints(xp, 5)),
        "cross_entropy: target of shape (5,) for an input of shape (4, 3): expected (4,), one class index per sample",
    ),
    "a label out of range": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), xp.tensor([0, 3])),
        "cross_entropy: target class 3 is not in range(3)",
    ),
    "a column against a vector": (
        lambda xp: xp.nn.functional.binary_cross_entropy_with_logits(xp.ones(2, 1), xp.ones(2)),
        "binary_cross_entropy_with_logits: input of shape (2, 1) and target of shape (2,) must have the same shape: "
        "use target.reshape(input.shape), or squeeze() the input",
    ),
    "logits as probabilities": (
        lambda xp: xp.nn.functional.binary_cross_entropy(xp.tensor([0.5, 3.0]), xp.ones(2)),
        PROBABILITIES,
    ),
    "an unknown reduction": (
        lambda xp: xp.nn.functional.mse_loss(xp.ones(2), xp.ones(2), reduction="average"),
        "'average' is not a reduction: use 'mean', 'sum' or 'none'",
    ),
    # gradients
    "a forgotten requires_grad": (lambda xp: xp.ones(2).sum().backward(), NO_GRAD),
    "frozen": (lambda xp: xp.nn.Linear(3, 2).requires_grad_(False)(xp.ones(3)).sum().backward(), NO_GRAD),
    "inside no_grad": (in_no_grad, NO_GRAD),
    "no scalar": (
        lambda xp: leaf(xp, 3).exp().backward(),
        "grad can be implicitly created only for a scalar, not for an output of shape (3,): reduce it with .sum() or "
        ".mean(), or pass its gradient",
    ),
    "a second backward": (
        twice,
        "backward through exp a second time: the arrays saved for it were freed by the first backward; pass "
        "retain_graph=True to the first one; inside autograd.detect_anomaly() this message names the line that called "
        "the operation",
    ),
    "a leaf in place": (
        lambda xp: leaf(xp, 3).__iadd__(1),
        "add_ changes a leaf that requires grad in place: do it under no_grad(), or write x = x + ... instead",
    ),
    "numpy": (lambda xp: leaf(xp, 3).numpy(), "numpy() on a tensor that requires grad: use tensor.detach().numpy()"),
    # shapes
    "linear": (
        lambda xp: xp.nn.functional.linear(xp.ones(32, 128), xp.ones(10, 256)),
        "linear: input (32, 128) does not match weight (10, 256): the last dimension must be 256",
    ),
    "images into a linear layer": (
        lambda xp: xp.nn.Linear(784, 10)(xp.ones(32, 1, 28, 28)),
        "linear (Linear): input (32, 1, 28, 28) does not match weight (10, 784): the last dimension must be 784, use "
        "input.flatten(1)",
    ),
    "matmul": (
        lambda xp: xp.ones(2, 3) @ xp.ones(2, 3),
        "matmul: (2, 3) @ (2, 3): the last dimension of the first, 3, must equal the second to last dimension of the "
        "second, 2",
    ),
    "cat of nothing": (lambda xp: xp.cat([]), "cat: expected at least one Tensor"),
    "cat without a list": (lambda xp: xp.cat(xp.ones(2)), "cat: expected a list or tuple of Tensors"),
    "stack": (lambda xp: xp.stack([xp.ones(2), xp.ones(3)]), "stack: shapes (2,), (3,) must be equal"),
    "reshape": (
        lambda xp: xp.ones(2, 3).reshape(4, 2),
        "reshape: shape (4, 2) does not hold the 6 elements of (2, 3)",
    ),
    "view": (
        lambda xp: xp.ones(2, 3).T.view(6),
        "view: the memory of this (3, 2) has another order; use reshape(), which copies",
    ),
    "expand": (
        lambda xp: xp.ones(2, 3).expand(4, 3),
        "expand: (4, 3) does not fit shape (2, 3): only new dimensions and those of 1 can grow",
    ),
    "a shape of floats": (lambda xp: xp.zeros(28 / 2, 3), "a shape is made of integers, not of 14.0, 3"),
    "a layer of floats": (lambda xp: xp.nn.Linear(28 / 2, 2), "a shape is made of integers, not of 2, 14.0"),
    # optimizers
    "no parameters": (lambda xp: xp.optim.SGD([], lr=0.1), EMPTY),
    "a generator used twice": (used_up, EMPTY),
    "a computed parameter": (
        lambda xp: xp.optim.SGD([leaf(xp, 2) * 2], lr=0.1),
        "the tensor of shape (2,) is computed, not a leaf: changing it would train nothing; give the tensors that it "
        "was computed from",
    ),
    "a single tensor": (
        lambda xp: xp.optim.SGD(leaf(xp, 2), lr=0.1),
        "an optimizer takes an iterable of Tensors, not a single one: write [tensor]",
    ),
    "the model itself": (
        lambda xp: xp.optim.SGD(xp.nn.Linear(2, 2), lr=0.1),
        "an optimizer takes an iterable of Tensors, not a Linear: write model.parameters()",
    ),
    "parameters not called": (
        lambda xp: xp.optim.SGD(xp.nn.Linear(2, 2).parameters, lr=0.1),
        "an optimizer takes an iterable of Tensors, not a method: write model.parameters()",
    ),
    # modules
    "no forward": (
        lambda xp: module(xp)(xp.ones(2)),
        "Net has no forward(): define it, calling the module runs it",
    ),
    "a class in Sequential": (
        lambda xp: xp.nn.Sequential(xp.nn.Linear(2, 2), xp.nn.ReLU),
        "Sequential holds Modules, not classes: write ReLU(...)",
    ),
    "a list in Sequential": (
        lambda xp: xp.nn.Sequential([xp.nn.Linear(2, 2)]),
        "Sequential holds Modules, not list: Sequential(*list) for a list",
    ),
    "a tensor as weight": (
        lambda xp: setattr(xp.nn.Linear(2, 2), "weight", xp.ones(2, 2)),
        "cannot assign 'Tensor' as parameter 'weight' (nn.Parameter or None expected); to change its values use "
        "weight.data",
    ),
    # data
    "tensors of several lengths": (
        lambda xp: xp.utils.data.TensorDataset(xp.ones(2), xp.ones(3)),
        "TensorDataset: tensors of shapes (2,), (3,) differ in their first dimension, the number of samples",
    ),
    "a batch of 0": (
        lambda xp: xp.utils.data.DataLoader([1], batch_size=0),
        "DataLoader: batch_size must be a positive integer, or None, not 0",
    ),
    "a misspelt option": (
        lambda xp: xp.utils.data.DataLoader([1], batchsize=1),
        "DataLoader: got an unexpected keyword argument 'batchsize'",
    ),
    "samples of several shapes": (
        lambda xp: list(xp.utils.data.DataLoader([xp.ones(2), xp.ones(3)], batch_size=2)),
        "default_collate: sample 0 of the batch has shape (2,), sample 1 has (3,): bring them to one shape, or give "
        "the DataLoader a collate_fn",
    ),
    "no __getitem__": (
        lambda xp: list(xp.utils.data.DataLoader(type("Data", (xp.utils.data.Dataset,), {"__len__": lambda d: 2})())),
        "Data must define __getitem__(index)",
    ),
    "parts that are not the whole": (
        lambda xp: xp.utils.data.random_split([1, 2, 3], [1, 1]),
        "random_split: lengths [1, 1] add up to 2: expected integers that add up to the 3 samples, or fractions that "
        "add up to 1",
    ),
}


def raised(call, xp):
    with pytest.raises(Exception) as caught:  # which one is the question
        call(xp)
    return caught.value


@pytest.mark.parametrize("case", MISTAKES)
def test_the_message(case):
    call, message = MISTAKES[case]
    assert str(raised(call, tl)) == message


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", MISTAKES)
def test_the_exception_is_that_of_pytorch(case):
    torch = pytest.importorskip("torch")
    call, _ = MISTAKES[case]
    assert type(raised(call, tl)) is type(raised(call, torch))


@pytest.mark.parametrize("loss", ["mse_loss", "l1_loss"])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1))])
def test_a_loss_never_compares_all_pairs(loss, shapes):
    """PyTorch broadcasts, computes the loss of every pair, and warns."""
    x, y = (tl.ones(*shape) for shape in shapes)
    with pytest.raises(ValueError) as caught:
        getattr(F, loss)(x, y)
    assert str(caught.value) == (
        f"{loss}: input of shape {shapes[0]} and target of shape {shapes[1]} must have the same shape: "
        "use target.reshape(input.shape), or squeeze() the input"
    )
    torch = pytest.importorskip("torch")
    with pytest.warns(UserWarning, match="broadcasting"):
        getattr(torch.nn.functional, loss)(*(torch.ones(*shape) for shape in shapes))


def test_what_is_no_mistake():
    loss = (tl.ones(2, requires_grad=True) * 2).sum()
    with tl.no_grad():
        loss.backward()  # as in PyTorch: what was recorded outside is differentiated
    assert nn.Linear(3, 2)(tl.ones(0, 3)).shape == (0, 2)
    assert list(DataLoader([])) == []
    hidden = nn.Module()
    hidden.layers = [nn.Linear(2, 2)]
    assert list(hidden.parameters()) == []  # as in PyTorch; the docstring of Module names ModuleList


def test_logits_where_log_probabilities_are_due_cannot_be_told():
    assert F.nll_loss(tl.ones(2, 3), tl.tensor([0, 1])).item() == -1.0


# ---- where in a net


class Block(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 128), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc2(self.fc1(x))


MISMATCH = "input (2, 5) does not match weight (4, 3): the last dimension must be 3"


def test_the_issue():
    with pytest.raises(RuntimeError) as caught:
        Net()(tl.ones(32, 784))
    assert str(caught.value) == (
        "linear (Net.fc2): input (32, 128) does not match weight (10, 256): the last dimension must be 256"
    )


PATHS = {
    "alone": (lambda bad: bad, "Linear"),
    "nested": (lambda bad: Block(Block(bad)), "Block.inner.inner"),
    "Sequential": (lambda bad: nn.Sequential(nn.Identity(), nn.ReLU(), bad), "Sequential.2"),
    "Sequential in a block": (lambda bad: Block(nn.Sequential(nn.ReLU(), bad)), "Block.inner.1"),
}


@pytest.mark.parametrize("case", PATHS)
def test_the_path(case):
    make, path = PATHS[case]
    with pytest.raises(RuntimeError) as caught:
        make(nn.Linear(3, 4))(tl.ones(2, 5))
    assert str(caught.value) == f"linear ({path}): {MISMATCH}"


def test_a_shared_module_goes_by_its_first_name():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Linear(3, 4)
            self.decode = self.encode

        def forward(self, x):
            return self.decode(x)

    with pytest.raises(RuntimeError) as caught:
        Shared()(tl.ones(2, 5))
    assert str(caught.value) == f"linear (Shared.encode): {MISMATCH}"


def test_a_module_called_twice_fails_at_the_second_call_alone():
    layer = nn.Linear(5, 4)
    with pytest.raises(RuntimeError) as caught:
        nn.Sequential(layer, layer)(tl.ones(2, 5))
    assert str(caught.value) == (
        "linear (Sequential.0): input (2, 4) does not match weight (4, 5): the last dimension must be 5"
    )
    assert layer(tl.ones(2, 5)).shape == (2, 4)


def test_errors_after_an_error_have_their_own_path():
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^linear \(Block\.inner\): "):
            Block(nn.Linear(3, 4))(tl.ones(2, 5))
    with pytest.raises(RuntimeError) as caught:
        F.linear(tl.ones(2, 5), tl.ones(4, 3))
    assert str(caught.value) == f"linear: {MISMATCH}"


class Failing(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("mine: wrong"), KeyError("key"), ValueError(), ValueError("a", 1)])
def test_the_users_exception_stays_and_gets_a_note(error):
    args = error.args
    with pytest.raises(type(error)) as caught:
        Block(nn.Sequential(Failing(error)))(tl.ones(2))
    assert caught.value is error
    assert error.args == args
    assert error.__notes__ == ["in the forward of Block.inner.0"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes_untouched(kind):
    error = kind()
    with pytest.raises(kind) as caught:
        Block(Failing(error))(tl.ones(2))
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    with pytest.raises(RuntimeError, match=r"^linear \(Linear\): "):
        nn.Linear(3, 4)(tl.ones(2, 5))


def test_a_caught_error_leaves_no_path():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.worse = nn.Linear(3, 4), nn.Linear(6, 4)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return self.worse(x)

    with pytest.raises(
        RuntimeError, match=r"^linear \(Careful\.worse\): input \(2, 5\) does not match weight \(4, 6\)"
    ):
        Careful()(tl.ones(2, 5))


def test_threads_have_paths_of_their_own():
    entered, failed, messages = threading.Event(), threading.Event(), []

    class Waiting(nn.Module):
        def forward(self, x):
            entered.set()
            assert failed.wait(10)
            return F.linear(x, tl.ones(4, 3))

    def run():
        with pytest.raises(RuntimeError) as caught:
            Block(Waiting())(tl.ones(2, 5))
        messages.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(RuntimeError) as caught:
        nn.Sequential(nn.Linear(3, 4))(tl.ones(2, 5))
    failed.set()
    thread.join(10)
    assert [str(caught.value), *messages] == [
        f"linear (Sequential.0): {MISMATCH}",
        f"linear (Block.inner): {MISMATCH}",
    ]


def test_a_generator_runs_where_it_is_resumed():
    class Steps(nn.Module):
        def forward(self, x):
            def steps():
                yield 1
                yield F.linear(x, tl.ones(4, 3))

            return steps()

    steps = Block(Steps())(tl.ones(2, 5))
    assert next(steps) == 1
    with pytest.raises(RuntimeError) as caught:
        next(steps)
    assert str(caught.value) == f"linear: {MISMATCH}"
