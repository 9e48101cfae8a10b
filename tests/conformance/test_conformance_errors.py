"""Wrong calls raise what PyTorch raises, and our message names the operation and what does not fit."""

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import DELIBERATE, builtin  # noqa: E402


def leaf(xp, *shape):
    return xp.ones(shape, requires_grad=True)


def ints(xp, *shape):
    return xp.ones(shape, dtype=xp.int64)


def twice(xp):
    loss = leaf(xp, 3).exp().sum()
    loss.backward()
    loss.backward()


def changed_in_place(xp):
    x = leaf(xp, 3)
    y = x.exp()
    y += 1
    y.sum().backward()


def put(tensor, key, value):
    tensor[key] = value


SHAPES = {
    "add": (lambda xp: xp.ones(2) + xp.ones(3), ["add", "(2,)", "(3,)"]),
    "sub": (lambda xp: xp.ones(2, 3) - xp.ones(3, 2), ["sub", "(2, 3)", "(3, 2)"]),
    "mul": (lambda xp: xp.ones(2, 3) * xp.ones(2), ["mul", "(2, 3)", "(2,)"]),
    "div": (lambda xp: xp.ones(4) / xp.ones(3), ["div", "(4,)", "(3,)"]),
    "pow": (lambda xp: xp.ones(4) ** xp.ones(3), ["pow", "(4,)", "(3,)"]),
    "maximum": (lambda xp: xp.maximum(xp.ones(4), xp.ones(3)), ["maximum", "(4,)", "(3,)"]),
    "eq": (lambda xp: xp.ones(4) == xp.ones(3), ["eq", "(4,)", "(3,)"]),
    "where": (lambda xp: xp.where(xp.ones(2) > 0, xp.ones(3), xp.ones(3)), ["where", "(2,)", "(3,)"]),
    "matmul": (lambda xp: xp.ones(2, 3) @ xp.ones(2, 3), ["matmul", "(2, 3)"]),
    "matmul of vectors": (lambda xp: xp.ones(2) @ xp.ones(3), ["matmul", "(2,)", "(3,)"]),
    "matmul of batches": (lambda xp: xp.ones(2, 3, 4) @ xp.ones(3, 4, 5), ["matmul", "(2, 3, 4)", "(3, 4, 5)"]),
    "matmul of 0-d": (lambda xp: xp.tensor(1.0) @ xp.ones(3), ["matmul", "()", "(3,)"]),
    "mm of vectors": (lambda xp: xp.mm(xp.ones(3), xp.ones(3)), ["mm", "(3,)"]),
    "bmm": (lambda xp: xp.bmm(xp.ones(2, 3, 4), xp.ones(3, 4, 5)), ["bmm", "(2, 3, 4)", "(3, 4, 5)"]),
    "dot": (lambda xp: xp.dot(xp.ones(2), xp.ones(3)), ["dot", "(2,)", "(3,)"]),
    "dot of matrices": (lambda xp: xp.dot(xp.ones(2, 2), xp.ones(2, 2)), ["dot", "(2, 2)"]),
    "mv": (lambda xp: xp.mv(xp.ones(2, 3), xp.ones(2)), ["mv", "(2, 3)", "(2,)"]),
    "outer": (lambda xp: xp.outer(xp.ones(2, 3), xp.ones(2)), ["outer", "(2, 3)", "(2,)"]),
    "linear": (lambda xp: xp.nn.functional.linear(xp.ones(2, 3), xp.ones(5, 4)), ["linear", "(2, 3)", "(5, 4)"]),
    "linear bias": (
        lambda xp: xp.nn.functional.linear(xp.ones(2, 3), xp.ones(5, 3), xp.ones(4)),
        ["linear", "(4,)", "(5, 3)"],
    ),
    "cat": (lambda xp: xp.cat([xp.ones(2, 3), xp.ones(2, 4)]), ["cat", "(2, 3)", "(2, 4)"]),
    "cat of nothing": (lambda xp: xp.cat([]), ["cat"]),
    "stack": (lambda xp: xp.stack([xp.ones(2), xp.ones(3)]), ["stack", "(2,)", "(3,)"]),
    "stack of nothing": (lambda xp: xp.stack([]), ["stack"]),
    "reshape": (lambda xp: xp.ones(2, 3).reshape(4, 2), ["reshape", "(4, 2)", "(2, 3)"]),
    "reshape with two -1": (lambda xp: xp.ones(2, 3).reshape(-1, -1), ["reshape", "(-1, -1)"]),
    "reshape to -2": (lambda xp: xp.ones(2, 3).reshape(-2, -3), ["reshape", "(-2, -3)"]),
    "view": (lambda xp: xp.ones(2, 3).view(5), ["view", "(5,)", "(2, 3)"]),
    "view of a transposed": (lambda xp: xp.ones(2, 3).T.view(6), ["view", "(3, 2)"]),
    "expand": (lambda xp: xp.ones(2, 3).expand(4, 3), ["expand", "(4, 3)", "(2, 3)"]),
    "expand to fewer": (lambda xp: xp.ones(2, 3).expand(3), ["expand", "(3,)", "(2, 3)"]),
    "broadcast_to": (lambda xp: xp.broadcast_to(xp.ones(3), (2, 2)), ["(2, 2)", "(3,)"]),
    "split": (lambda xp: xp.ones(5).split([2, 2]), ["split", "[2, 2]", "5"]),
    "split of 0": (lambda xp: xp.ones(5).split(0), ["split", "0"]),
    "chunk": (lambda xp: xp.ones(5).chunk(0), ["chunk", "0"]),
    "t": (lambda xp: xp.ones(2, 3, 4).t(), ["t", "(2, 3, 4)"]),
    "gather dims": (lambda xp: xp.gather(xp.ones(2, 3), 1, ints(xp, 2)), ["gather", "(2,)", "(2, 3)"]),
    "gather size": (lambda xp: xp.gather(xp.ones(2, 3), 1, ints(xp, 3, 3)), ["gather", "(3, 3)", "(2, 3)"]),
    "masked_fill": (lambda xp: xp.ones(2, 3).masked_fill(xp.ones(2) > 0, 0), ["masked_fill", "(2, 3)", "(2,)"]),
    "in place": (lambda xp: xp.ones(3).add_(xp.ones(2, 3)), ["add_", "(2, 3)", "(3,)"]),
    "copy_": (lambda xp: xp.ones(3).copy_(xp.ones(2)), ["copy_", "(3,)", "(2,)"]),
    "setitem": (lambda xp: put(xp.ones(2, 3), 0, xp.ones(2)), ["(3,)", "(2,)"]),
    "cross_entropy batch": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(4, 3), ints(xp, 5)),
        ["cross_entropy", "(5,)", "(4, 3)"],
    ),
    "cross_entropy probabilities": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(4, 3), xp.ones(4, 2)),
        ["cross_entropy", "(4, 2)", "(4, 3)"],
    ),
    "cross_entropy weight": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(4, 3), ints(xp, 4), xp.ones(2)),
        ["cross_entropy", "(2,)", "3"],
    ),
}

DIMENSIONS = {
    "sum": (lambda xp: xp.ones(2, 3).sum(2), ["sum", "2"]),
    "mean": (lambda xp: xp.ones(2, 3).mean(-3), ["mean", "-3"]),
    "prod": (lambda xp: xp.ones(2, 3).prod(2), ["prod", "2"]),
    "amax": (lambda xp: xp.ones(2, 3).amax(2), ["amax", "2"]),
    "max": (lambda xp: xp.ones(2, 3).max(2), ["max", "2"]),
    "argmax": (lambda xp: xp.ones(2, 3).argmax(2), ["argmax", "2"]),
    "var": (lambda xp: xp.ones(2, 3).var(2), ["var", "2"]),
    "all": (lambda xp: (xp.ones(2, 3) > 0).all(2), ["all", "2"]),
    "softmax": (lambda xp: xp.ones(2, 3).softmax(2), ["softmax", "2"]),
    "log_softmax": (lambda xp: xp.log_softmax(xp.ones(2, 3), -3), ["log_softmax", "-3"]),
    "logsumexp": (lambda xp: xp.logsumexp(xp.ones(2, 3), 2), ["logsumexp", "2"]),
    "sum of a repeated dim": (lambda xp: xp.ones(2, 3).sum((0, 0)), ["sum", "(2, 3)", "duplicate"]),
    "var of a repeated dim": (lambda xp: xp.ones(2, 3).var((0, 0)), ["var", "(0, 0)", "twice"]),
    "transpose": (lambda xp: xp.ones(2, 3).transpose(0, 2), ["transpose", "2"]),
    "permute": (lambda xp: xp.ones(2, 3).permute(0, 2), ["permute", "2"]),
    "permute of too few": (lambda xp: xp.ones(2, 3).permute(0), ["permute", "2"]),
    "permute repeated": (lambda xp: xp.ones(2, 3).permute(0, 0), ["permute", "(0, 0)"]),
    "squeeze": (lambda xp: xp.ones(2, 3).squeeze(2), ["squeeze", "2"]),
    "unsqueeze": (lambda xp: xp.ones(2, 3).unsqueeze(4), ["unsqueeze", "4"]),
    "flatten": (lambda xp: xp.ones(2, 3).flatten(1, 0), ["flatten", "1", "0"]),
    "cat": (lambda xp: xp.cat([xp.ones(2), xp.ones(2)], 1), ["cat", "1"]),
    "cat of 0-d": (lambda xp: xp.cat([xp.tensor(1.0), xp.tensor(2.0)]), ["cat", "0"]),
    "stack": (lambda xp: xp.stack([xp.ones(2), xp.ones(2)], 2), ["stack", "2"]),
    "unbind": (lambda xp: xp.ones(2).unbind(1), ["unbind", "1"]),
    "gather": (lambda xp: xp.gather(xp.ones(2, 3), 2, ints(xp, 2, 3)), ["gather", "2"]),
    "index_select": (lambda xp: xp.index_select(xp.ones(2, 3), 2, ints(xp, 2)), ["index_select", "2"]),
    "amax of nothing": (lambda xp: xp.ones(0, 3).amax(0), ["amax", "(0, 3)"]),
    "max of nothing": (lambda xp: xp.ones(0).max(), ["max", "(0,)"]),
    "argmax of nothing": (lambda xp: xp.ones(0).argmax(), ["argmax", "(0,)"]),
}

INDICES = {
    "int": (lambda xp: xp.ones(2, 3)[2], ["2"]),
    "negative": (lambda xp: xp.ones(2, 3)[-3], ["-3", "2"]),
    "too many": (lambda xp: xp.ones(2, 3)[0, 0, 0], ["2", "3"]),
    "array": (lambda xp: xp.ones(2, 3)[[0, 5]], ["5", "2"]),
    "float": (lambda xp: xp.ones(2, 3)[1.5], ["index"]),
    "float tensor": (lambda xp: xp.ones(2, 3)[xp.ones(2)], ["float32"]),
    "string": (lambda xp: xp.ones(2, 3)["a"], []),
    "mask": (lambda xp: xp.ones(2, 3)[xp.ones(3) > 0], ["3", "2"]),
    "step of 0": (lambda xp: xp.ones(3)[::0], ["step"]),
    "of a 0-d tensor": (lambda xp: xp.tensor(1.0)[0], ["0"]),
    "arrays that do not broadcast": (lambda xp: xp.ones(4, 4)[[0, 1], [0, 1, 2]], ["(2,)", "(3,)"]),
    "setitem": (lambda xp: put(xp.ones(2), 2, 1.0), ["2"]),
    "gather": (lambda xp: xp.gather(xp.ones(2, 3), 1, ints(xp, 2, 3) * 3), ["gather", "3"]),
    "index_select": (lambda xp: xp.index_select(xp.ones(2, 3), 1, ints(xp, 2) * 3), ["3"]),
    "one_hot": (lambda xp: (tl if xp is tl else xp.nn.functional).one_hot(ints(xp, 2) * 3, 3), ["one_hot", "3"]),
    "cross_entropy": (lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), ints(xp, 2) * 3), ["3"]),
    "nll_loss": (lambda xp: xp.nn.functional.nll_loss(xp.ones(2, 3), ints(xp, 2) * -1), ["-1"]),
}

KINDS = {
    "mean": (lambda xp: ints(xp, 2).mean(), ["mean", "int64"]),
    "var": (lambda xp: ints(xp, 2).var(), ["var", "int64"]),
    "std": (lambda xp: (ints(xp, 2) > 0).std(), ["std", "bool"]),
    "matmul": (lambda xp: xp.ones(2, 2) @ ints(xp, 2, 2), ["matmul", "float32", "int64"]),
    "linear": (
        lambda xp: xp.nn.functional.linear(xp.ones(2, 3), xp.ones(5, 3, dtype=xp.float64)),
        ["linear", "float32", "float64"],
    ),
    "requires_grad of int": (lambda xp: xp.tensor([1], requires_grad=True), ["int64"]),
    "requires_grad_ of bool": (lambda xp: (xp.ones(2) > 0).requires_grad_(), ["bool"]),
    "in place, int += float": (lambda xp: ints(xp, 2).add_(1.5), ["add_", "float32", "int64"]),
    "in place, int /= int": (lambda xp: ints(xp, 2).div_(2), ["div_", "float32", "int64"]),
    "in place, bool += int": (lambda xp: (xp.ones(2) > 0).add_(1), ["add_", "bool"]),
    "where condition": (lambda xp: xp.where(ints(xp, 2), xp.ones(2), xp.ones(2)), ["where", "bool"]),
    "masked_fill": (lambda xp: xp.ones(2).masked_fill(ints(xp, 2), 0), ["masked_fill", "bool"]),
    "gather": (lambda xp: xp.gather(xp.ones(2), 0, xp.ones(2)), ["gather", "int64"]),
    "one_hot": (lambda xp: (tl if xp is tl else xp.nn.functional).one_hot(xp.ones(2), 3), ["one_hot", "int64"]),
    "cross_entropy": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), xp.ones(2, dtype=xp.int32)),
        ["cross_entropy", "int32", "int64"],
    ),
    "reduction": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), ints(xp, 2), reduction="average"),
        ["average", "mean"],
    ),
    "label_smoothing": (
        lambda xp: xp.nn.functional.cross_entropy(xp.ones(2, 3), ints(xp, 2), label_smoothing=1.5),
        ["label_smoothing", "1.5"],
    ),
    "add a string": (lambda xp: xp.ones(2) + "a", []),
    "add None": (lambda xp: xp.ones(2) + None, []),
    "multiply by a list": (lambda xp: xp.ones(2) * [1, 2], []),
    "matmul a number": (lambda xp: xp.ones(2) @ 2, []),
    "compare with a string": (lambda xp: xp.ones(2) < "a", []),
    "clamp without bounds": (lambda xp: xp.ones(2).clamp(), ["clamp", "min", "max"]),
    "pow": (lambda xp: ints(xp, 2) ** -1, ["pow"]),
    "bool - bool": (lambda xp: (xp.ones(2) > 0) - (xp.ones(2) > 0), ["sub", "bool"]),
    "-bool": (lambda xp: -(xp.ones(2) > 0), ["neg", "bool"]),
    "~float": (lambda xp: ~xp.ones(2), ["bitwise_not", "float32"]),
    "float & float": (lambda xp: xp.ones(2) & xp.ones(2), ["bitwise_and", "float32"]),
    "cat of arrays": (lambda xp: xp.cat([np.ones(2), np.ones(2)]), ["cat"]),
    "stack of numbers": (lambda xp: xp.stack([1.0, 2.0]), ["stack"]),
    "an unknown keyword": (lambda xp: xp.ones(2).sum(dims=0), ["dims"]),
    "an unknown method": (lambda xp: xp.ones(2).summ(), ["summ"]),
    "an unknown device": (lambda xp: xp.ones(2).to("quantum"), ["quantum"]),
}

DATA = {
    "ragged": (lambda xp: xp.tensor([[1, 2], [3]]), ["ragged"]),
    "ragged and deep": (lambda xp: xp.tensor([[1, 2], 3]), []),
    "string": (lambda xp: xp.tensor("abc"), []),
    "list of strings": (lambda xp: xp.tensor(["a", "b"]), []),
    "None": (lambda xp: xp.tensor(None), []),
    "list of None": (lambda xp: xp.tensor([None]), []),
    "object": (lambda xp: xp.tensor(object()), []),
    "object array": (lambda xp: xp.tensor(np.array([1, None])), ["object"]),
    "dict": (lambda xp: xp.tensor({"a": 1}), []),
    "string array": (lambda xp: xp.tensor(np.array(["a"])), []),
    "from_numpy of a list": (lambda xp: xp.from_numpy([1, 2]), ["from_numpy", "list"]),
    "from_numpy of objects": (lambda xp: xp.from_numpy(np.array([object()])), ["object"]),
    "unknown dtype": (lambda xp: xp.tensor([1], dtype="nope"), ["nope"]),
    "int that does not fit": (lambda xp: xp.tensor([2**70]), []),
    "arange without end": (lambda xp: xp.arange(0, 5, -1), ["arange", "0", "5", "-1"]),
    "arange with step 0": (lambda xp: xp.arange(0, 5, 0), ["arange", "0"]),
    "linspace": (lambda xp: xp.linspace(0, 1, -2), ["linspace", "-2"]),
    "zeros of -1": (lambda xp: xp.zeros(2, -1), ["-1"]),
    "zeros of a float": (lambda xp: xp.zeros(2.5), []),
    "full of a string": (lambda xp: xp.full((2,), "a"), []),
    "eye of -1": (lambda xp: xp.eye(-1), ["eye", "-1"]),
    "randint": (lambda xp: xp.randint(5, 3, (2,)), ["randint", "5", "3"]),
    "randn of ints": (lambda xp: xp.randn(2, dtype=xp.int64), ["int64"]),
    "randperm": (lambda xp: xp.randperm(-1), ["randperm", "-1"]),
    "normal": (lambda xp: xp.normal(0.0, -1.0, (2,)), ["normal", "-1.0"]),
    "bernoulli": (lambda xp: xp.bernoulli(xp.tensor([2.0])), ["bernoulli"]),
}

GRADIENTS = {
    "backward of a vector": (lambda xp: leaf(xp, 3).exp().backward(), ["(3,)"]),
    "backward without grad": (lambda xp: xp.ones(1).sum().backward(), ["requires_grad"]),
    "backward twice": (twice, ["retain_graph=True"]),
    "backward with a wrong shape": (lambda xp: leaf(xp, 3).exp().backward(xp.ones(2)), ["(2,)", "(3,)"]),
    "grad of an unused input": (lambda xp: xp.autograd.grad(leaf(xp, 1).sum(), leaf(xp, 2)), ["allow_unused"]),
    "grad of no input": (lambda xp: xp.autograd.grad(leaf(xp, 1).sum(), xp.ones(2)), ["require"]),
    "too few grad_outputs": (
        lambda xp: xp.autograd.grad([leaf(xp, 1).sum(), leaf(xp, 1).sum()], leaf(xp, 1), [xp.tensor(1.0)]),
        ["grad_outputs", "2", "1"],
    ),
    "changed since saved": (changed_in_place, ["exp", "in place"]),
    "leaf in place": (lambda xp: leaf(xp, 2).add_(1), ["add_", "leaf"]),
    "leaf += 1": (lambda xp: leaf(xp, 2).__iadd__(1), ["leaf"]),
    "setitem of a leaf": (lambda xp: put(leaf(xp, 2), 0, 1.0), ["leaf"]),
    "numpy": (lambda xp: leaf(xp, 2).numpy(), ["detach()"]),
    "array": (lambda xp: np.asarray(leaf(xp, 2)), ["detach()"]),
    "switch off": (lambda xp: leaf(xp, 2).exp().requires_grad_(False), ["detach()"]),
    "retain_grad": (lambda xp: xp.ones(2).retain_grad(), ["retain_grad"]),
    "grad of another shape": (lambda xp: setattr(leaf(xp, 2), "grad", xp.ones(3)), ["(3,)", "(2,)"]),
    "grad of another dtype": (
        lambda xp: setattr(leaf(xp, 2), "grad", xp.ones(2, dtype=xp.float64)),
        ["float64", "float32"],
    ),
    "grad of another type": (lambda xp: setattr(leaf(xp, 2), "grad", 1.0), ["float"]),
    "data of another type": (lambda xp: setattr(xp.ones(2), "data", 1.0), ["float"]),
    "deepcopy": (lambda xp: __import__("copy").deepcopy(leaf(xp, 2).exp()), ["detach()"]),
}

PYTHON = {
    "item": (lambda xp: xp.ones(2).item(), ["item", "(2,)"]),
    "bool": (lambda xp: bool(xp.ones(2)), ["(2,)"]),
    "bool of nothing": (lambda xp: bool(xp.ones(0)), ["(0,)"]),
    "float": (lambda xp: float(xp.ones(2)), ["(2,)"]),
    "int": (lambda xp: int(xp.ones(2)), ["(2,)"]),
    "len": (lambda xp: len(xp.tensor(1.0)), ["0-d"]),
    "iter": (lambda xp: list(xp.tensor(1.0)), ["0-d"]),
    "index": (lambda xp: [1, 2][xp.tensor(1.0)], ["float32"]),
    "index of many": (lambda xp: [1, 2][ints(xp, 2)], ["(2,)"]),
    "format": (lambda xp: f"{xp.ones(2):.2f}", []),
    "attribute": (lambda xp: xp.ones(2).nothing, ["nothing"]),
    "size": (lambda xp: xp.ones(2).size(1), ["1"]),
    "assigned shape": (lambda xp: setattr(xp.ones(2), "ndim", 3), []),
}

CALLS = {
    f"{title}: {name}": call
    for title, calls in {
        "shapes": SHAPES, "dimensions": DIMENSIONS, "indices": INDICES, "kinds": KINDS, "data": DATA,
        "gradients": GRADIENTS, "python": PYTHON,
    }.items()
    for name, call in calls.items()
}  # fmt: skip


def raised(call, xp):
    with pytest.raises(Exception) as caught:  # which one is the question
        call(xp)
    return caught.value


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in CALLS if name not in DELIBERATE])
def test_the_exception_is_that_of_pytorch(name):
    call, _ = CALLS[name]
    ours, theirs = raised(call, tl), raised(call, torch)
    related = isinstance(ours, builtin(theirs)) or isinstance(theirs, builtin(ours))
    assert related, f"{type(ours).__name__}({ours}), PyTorch: {type(theirs).__name__}({theirs})"


@pytest.mark.parametrize("name", CALLS)
def test_the_message_says_what_does_not_fit(name):
    call, words = CALLS[name]
    message = str(raised(call, tl))
    assert message
    assert [word for word in words if word not in message] == [], message
