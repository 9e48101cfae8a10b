"""Compiled modules in hand-written loops, and what a first user of ``tl.compile`` ran into."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import small_net
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F


def test_a_weight_changed_between_forward_and_backward_is_an_error_from_the_first_call(backend):
    net = nn.Linear(4, 2)
    fast = tl.compile(net, backend=backend)
    for _ in range(6):
        output = fast(tl.randn(3, 4).requires_grad_())
        with tl.no_grad():
            net.weight.mul_(2)
        with pytest.raises(RuntimeError, match="changed in place"):
            (output**2).sum().backward()


def test_an_input_changed_between_forward_and_backward_is_an_error_from_the_first_call(backend):
    fast = tl.compile(nn.Linear(4, 2), backend=backend)
    for _ in range(6):
        x = tl.randn(3, 4)
        output = fast(x)
        x.mul_(2)
        with pytest.raises(RuntimeError, match="changed in place"):
            (output**2).sum().backward()


def test_a_module_that_is_applied_to_its_own_output(backend):
    net = nn.Linear(4, 4)
    eager, fast = copy.deepcopy(net), tl.compile(net, backend=backend, fullgraph=True)
    for _ in range(8):
        x = tl.randn(3, 4)
        for model, tensor in ((net, fast(fast(fast(x)))), (eager, eager(eager(eager(x))))):
            model.zero_grad()
            (tensor**2).mean().backward()
        np.testing.assert_allclose(net.weight.grad.numpy(), eager.weight.grad.numpy(), rtol=1e-3, atol=1e-6)
    assert "2 programs" in fast.explain()  # of an input without graph, and of one with


def test_gradients_that_are_rounding_alone_are_no_mismatch(backend):
    """A bias before the mean is taken off has no gradient, and Adam makes a step of what rounding leaves."""
    hidden, output = nn.Linear(5, 6), nn.Linear(6, 1)
    optimizer = optim.Adam([*hidden.parameters(), *output.parameters()], lr=0.01)

    @tl.compile(backend=backend, fullgraph=True)
    def step(x):
        optimizer.zero_grad()
        h = hidden(x)
        loss = ((tl.tanh(output(F.relu(h - h.mean(0)))) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(tl.randn(16, 5)).item() for _ in range(8)]
    assert np.isfinite(losses).all()
    assert "1 program" in step.explain()


def test_attributes_that_the_step_does_not_read_may_change(backend):
    class Trainer:
        def __init__(self):
            self.net = small_net()
            self.optimizer = optim.SGD(self.net.parameters(), lr=0.1)
            self.epoch, self.log = 0, []

        def step(self, x, y):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(x), y)
            loss.backward()
            self.optimizer.step()
            return loss

    trainer = Trainer()
    fast = tl.compile(trainer.step, backend=backend, fullgraph=True)
    features = next(trainer.net.parameters()).shape[1]
    for _ in range(8):
        trainer.log.append(fast(tl.randn(5, features), tl.zeros(5).long()).item())
        trainer.epoch += 1
    assert "1 program" in fast.explain()


def test_a_compiled_module_is_copied_and_pickled_without_its_programs(backend):
    fast = tl.compile(nn.Linear(2, 2), backend=backend)
    x = tl.randn(1, 2)
    for _ in range(5):
        expected = fast(x).detach().numpy()
    for other in (copy.deepcopy(fast), copy.copy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(other(x).detach().numpy(), expected)


def test_fullgraph_raises_at_every_call(backend):
    fast = tl.compile(lambda x: x * x.sum().item(), fullgraph=True, backend=backend)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="runs eagerly"):
            fast(tl.ones(2))


def test_a_module_that_changes_a_buffer(backend):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.register_buffer("calls", tl.zeros(1))

        def forward(self, x):
            with tl.no_grad():
                self.calls.add_(1)
            return self.linear(x)

    eager = Counting()
    net = copy.deepcopy(eager)
    fast = tl.compile(net, backend=backend, fullgraph=True)
    for call in range(8):
        x = tl.randn(4, 3)
        for model, output in ((net, fast(x)), (eager, eager(x))):
            model.zero_grad()
            (output**2).sum().backward()
        assert net.calls.item() == call + 1
        np.testing.assert_allclose(net.linear.weight.grad.numpy(), eager.linear.weight.grad.numpy(), rtol=1e-4)
