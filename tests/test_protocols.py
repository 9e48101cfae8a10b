"""The one idea, proved: NumPy's dispatch protocols alone turn an eager training step into a NumPy program.

An array that computes along and writes down every call to NumPy stands in for parameters, optimizer
state and data during one step. The lines it wrote, replayed on further batches, give bitwise what the
eager step gives.
"""

import operator
import re
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F

# ---- the recording array


class Recording(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array: knows its value, and the name it has in the program."""

    def __init__(self, value, name, program):
        self.value, self.name, self.program = value, name, program

    shape, ndim, size, dtype, base = (
        property(operator.attrgetter(f"value.{name}")) for name in ("shape", "ndim", "size", "dtype", "base")
    )
    mT = property(lambda self: np.matrix_transpose(self))

    def __array__(self, *args, **kwargs):
        raise TypeError("a recording array became plain numbers: what depends on them would not be in the program")

    __bool__ = __int__ = __float__ = __index__ = __array__

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return self.program.call(f"np.{name}", getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return self.program.call(f"np.{function.__name__}", function, args, kwargs)

    def view(self, dtype):
        return self.program.call("np.ndarray.view", np.ndarray.view, (self, dtype), {})

    def __getitem__(self, key):
        return self.program.call("getitem", operator.getitem, (self, key), {})


class Program:
    """Lines of NumPy source, and the constants that they name."""

    def __init__(self):
        self.lines, self.names = [], {"np": np, "getitem": operator.getitem, "inf": np.inf}

    def call(self, name, function, args, kwargs):
        """Run a function on the values, and write the call down if it made or changed an array."""
        result = function(*_values(args), **_values(kwargs))
        if result is not None and not isinstance(result, (np.ndarray, np.generic)):
            return result  # a shape, a number of dimensions
        arguments = [self.source(arg) for arg in args] + [f"{k}={self.source(arg)}" for k, arg in kwargs.items()]
        target = self.source(kwargs["out"][0]) if "out" in kwargs else f"v{len(self.lines)}"
        assigned = "" if result is None or "out" in kwargs else f"{target} = "
        self.lines.append(f"{assigned}{name}({', '.join(arguments)})")
        return None if result is None else Recording(np.asarray(result), target, self)

    def source(self, value):
        if isinstance(value, Recording):
            return value.name
        if isinstance(value, (tuple, list)):
            return f"({''.join(self.source(item) + ', ' for item in value)})"
        if value is None or value is Ellipsis or type(value) in (bool, int, float, str, slice):
            return repr(value)
        name = next((name for name, known in self.names.items() if known is value), f"c{len(self.names)}")
        self.names[name] = value
        return name

    def function(self, parameters, result):
        """The program as a Python function of the named arrays."""
        body = "\n    ".join([*self.lines, f"return {result.name}"])
        exec(f"def replay({', '.join(parameters)}):\n    {body}", self.names)
        return self.names["replay"]


def _values(value):
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_values(item) for item in value)
    return value.value if isinstance(value, Recording) else value


def capture(step, tensors):
    """Run ``step()`` once while recording arrays stand behind the named tensors; the program and the loss in it."""
    program, arrays = Program(), {name: tensor._array for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        tensor._array = Recording(arrays[name], name, program)
    try:
        return program, step()._array
    finally:
        for name, tensor in tensors.items():
            tensor._array = arrays[name]


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

    def capture(self, seed):
        """Do a step on a batch; the program, and it as a function of the state's arrays, ``x`` and ``y``."""
        x, y = self.data(seed)
        tensors = {**self.state(), "x": x, "y": y}
        program, loss = capture(lambda: self.step(x, y), tensors)
        return program, program.function(tensors, loss)


def arrays(tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def assert_bitwise_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


# ---- the proof


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_a_captured_step_replays_bitwise(net, optimizer):
    eager, captured = Training(net, optimizer), Training(net, optimizer)
    for training in (eager, captured):
        training.step(*training.data(seed=0))  # from here on the optimizer has its state
    _, replay = captured.capture(seed=1)
    eager.step(*eager.data(seed=1))
    assert_bitwise_equal(arrays(captured.state().values()), arrays(eager.state().values()))

    before = captured.net[0].weight.detach().clone().numpy()
    for seed in range(2, 6):
        loss = eager.step(*eager.data(seed))
        replayed = replay(*arrays(captured.state().values()), *arrays(captured.data(seed)))
        assert_bitwise_equal([np.asarray(replayed)], arrays([loss]))
        assert_bitwise_equal(arrays(captured.state().values()), arrays(eager.state().values()))
    assert not np.array_equal(before, captured.net[0].weight.detach().numpy())


def test_the_program_is_flat_numpy():
    program, _ = Training("002", "SGD").capture(seed=0)
    assert all(re.fullmatch(r"(v\d+ = )?(np\.[\w.]+|getitem)\(.*\)", line) for line in program.lines)
    products = [line for line in program.lines if "np.dot" in line or "np.matmul" in line]
    assert len(products) == 7  # as by hand: two forward, two weights, one hidden layer; and two biases, sums by ones


def test_a_check_on_values_stays_in_the_program():
    training = Training("002", "SGD")
    _, replay = training.capture(seed=0)
    x, y = arrays(training.data(seed=1))
    y[0] = 10
    with pytest.raises((IndexError, ValueError)):
        replay(*arrays(training.state().values()), x, y)


def test_a_recording_array_never_becomes_plain_numbers():
    recording = Recording(np.ones(2), "x", Program())
    for escape in (np.asarray, bool, int, float):
        with pytest.raises(TypeError, match="recording"):
            escape(recording)
