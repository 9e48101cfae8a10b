"""The one idea, proved: NumPy's dispatch protocols alone turn an eager training step into a NumPy program.

Arrays that compute along and write down every call to NumPy stand in for parameters, optimizer state and data during
one step. What they wrote down gives bitwise what eager steps give: ``tests/compiler/test_compile.py`` holds it against
a hundred steps of each net here with each optimizer.
"""

import re
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.reference import assert_bitwise_equal
from tests.compiler.replaying import arrays_of, record
from tinygrad_lite import nn, optim
from tinygrad_lite.compiler.numpy_emitter import source
from tinygrad_lite.compiler.passes import EXACT, run_passes
from tinygrad_lite.nn import functional as F

# ---- the documents' dense nets, as a user writes them


def dense(*widths, hidden):
    layers = [layer for d, n in pairwise(widths) for layer in (nn.Linear(d, n), hidden())]
    return nn.Sequential(*layers[:-1])


def binary(z, y, net):
    return F.binary_cross_entropy_with_logits(z, y)


def classes(z, y, net):
    return F.cross_entropy(z, y)


def classes_and_penalty(z, y, net):
    weights = [p for p in net.parameters() if p.ndim == 2]
    return F.cross_entropy(z, y) + 0.1 / (2 * len(y)) * sum((W**2).sum() for W in weights)


def squared_error(z, y, net):
    return 0.5 * F.mse_loss(z.sigmoid(), y, reduction="sum")


NETS = {
    "000 logistic": ((3, 1), nn.Sigmoid, 1, binary),
    "000 shallow": ((2, 10, 1), nn.Sigmoid, 1, binary),
    "000 softmax": ((784, 10, 5, 10), nn.Sigmoid, 1, classes),
    "001": ((784, 25, 10), nn.ReLU, 16, classes_and_penalty),
    "001 moons": ((5, 25, 25, 1), nn.ReLU, 16, binary),
    "002": ((784, 20, 10), nn.ReLU, 32, classes),
    "003": ((784, 50, 25, 1), nn.ReLU, 16, squared_error),
    "004": ((784, 100, 10), nn.Sigmoid, 16, classes),
}

OPTIMIZERS = {
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: optim.SGD(parameters, lr=0.01, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "Nesterov": lambda parameters: optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
    "Adam": lambda parameters: optim.Adam(parameters, lr=0.01),
    "AdamW": lambda parameters: optim.AdamW(parameters, lr=0.01),
}


class Training:
    """A net, its optimizer, and a step; every instance starts from the same weights."""

    def __init__(self, net, optimizer):
        widths, hidden, self.batch, self.loss = NETS[net]
        tl.manual_seed(0)
        self.net = dense(*widths, hidden=hidden)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.net(x), y, self.net)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        """Every tensor that a step changes, by name."""
        named = dict(self.net.named_parameters())
        state = {f"{n}.{key}": value for n, p in named.items() for key, value in self.optimizer.state[p].items()}
        return {n.replace(".", "_").join("__"): t for n, t in (named | state).items() if isinstance(t, tl.Tensor)}

    def data(self, seed):
        """A random batch with labels."""
        rng = np.random.default_rng(seed)
        widths = [p.shape for p in self.net.parameters() if p.ndim == 2]
        x = rng.random((self.batch, widths[0][1]), dtype=np.float32)
        if widths[-1][0] == 1:
            return tl.tensor(x), tl.tensor(rng.integers(2, size=(self.batch, 1)).astype(np.float32))
        return tl.tensor(x), tl.tensor(rng.integers(widths[-1][0], size=self.batch))


# ---- the proof


def test_the_program_is_flat_numpy():
    training = Training("002", "SGD")
    found = record(training.step, *training.data(seed=0))
    operations = [value.op for value in found.program.values()]
    assert "call" not in operations
    assert [value.op for value in found.program.checks] == ["ravel_multi_index"]
    products = [op for op in operations if op in ("dot", "matmul")]
    assert len(products) == 7  # as by hand: two forward, two weights, one hidden layer; and two biases, sums by ones
    first, *lines = source(run_passes(found.program, EXACT)).splitlines()
    assert first.startswith("def step(")
    assert not [line for line in lines if re.match(r"\s*(if|for|while|with|try|def|class|lambda|import)\b", line)]


@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_a_check_on_values_stays_in_the_program(backend):
    training = Training("002", "SGD")
    step = tl.compile(training.step, backend=backend)
    for seed in range(4):
        step(*training.data(seed))
    before = [np.copy(array) for array in arrays_of(training.state())]
    x, y = training.data(seed=1)
    y[0] = 10
    with pytest.raises(IndexError, match=r"cross_entropy: target class 10 is not in range\(10\)"):
        step(x, y)
    assert_bitwise_equal(arrays_of(training.state()), before)
