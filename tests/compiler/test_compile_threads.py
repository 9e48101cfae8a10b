"""Threads, memory, and what a compiled step holds on to."""

import gc
import sys
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import Twins, batch, sgd, small_net, step_of, training
from tinygrad_lite.nn import functional as F


def in_threads(count, work):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_every_thread_trains_a_model_of_its_own(backend):
    def train(number):
        tl.manual_seed(0)  # of all threads
        net = nets[number]
        step = tl.compile(step_of(net, sgd(net.parameters()), F.cross_entropy), backend=backend)
        return [step(*batch(seed)).item() for seed in range(40)]

    nets = [small_net() for _ in range(4)]
    for net in nets:
        net.load_state_dict(nets[0].state_dict())
    losses = in_threads(4, train)
    assert losses == [losses[0]] * 4
    assert len({net[0].weight.detach().numpy().tobytes() for net in nets}) == 1


def test_threads_call_one_compiled_forward(backend):
    net = small_net()
    forward = tl.compile(tl.no_grad(lambda x: net(x)), backend=backend)
    with tl.no_grad():
        expected = [net(batch(seed)[0]).numpy() for seed in range(20)]

    def work(number):
        return all(
            np.allclose(forward(batch(seed)[0]).numpy(), expected[seed], rtol=1e-5, atol=1e-6)
            for _ in range(20)
            for seed in range(20)
        )

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert all(in_threads(4, work))
    finally:
        sys.setswitchinterval(interval)


def test_threads_call_one_compiled_step_in_turn(backend):
    twins = Twins(training(), backend)
    lock, x, y = threading.Lock(), *batch()

    def work(number):
        for _ in range(10):
            with lock:
                twins(x, y)

    in_threads(3, work)
    assert all(type(p._array) is np.ndarray for p in twins.compiled.net.parameters())


def test_threads_share_an_argument(backend):
    x, y = batch()

    def work(number):
        net = small_net()
        step = tl.compile(step_of(net, sgd(net.parameters()), F.cross_entropy), backend=backend)
        for _ in range(10):
            step(x, y)
        return type(x._array) is np.ndarray

    assert all(in_threads(4, work))
    assert type(x._array) is np.ndarray


def test_another_thread_evaluates_while_a_step_is_recorded(backend):
    net = small_net()
    x, _ = batch()
    entered, go_on, results = threading.Event(), threading.Event(), []

    def step(x):
        entered.set()
        go_on.wait(10)
        return net(x)

    def evaluate():
        entered.wait(10)
        with tl.no_grad():
            results.append(net(x))
        go_on.set()

    other = threading.Thread(target=evaluate)
    other.start()
    expected = tl.compile(tl.no_grad(step), backend=backend)(x)
    other.join()
    assert type(results[0]._array) is np.ndarray
    assert np.array_equal(results[0].numpy(), expected.numpy())


def test_grad_mode_is_that_of_the_calling_thread(backend):
    net = small_net()
    fast = tl.compile(lambda x: net(x), backend=backend)
    x, _ = batch()
    for _ in range(5):
        fast(x)

    def work(number):
        with tl.no_grad():
            return [fast(x).requires_grad for _ in range(5)]

    assert in_threads(1, work) == [[False] * 5]
    assert fast(x).requires_grad


# ---- memory


def test_a_thousand_calls_keep_nothing(backend):
    twins = Twins(training(optimizer=lambda p: tl.optim.Adam(p, lr=0.01)), backend)
    for seed in range(20):
        twins.fast(*batch(seed % 3))
    tracemalloc.start()
    try:
        for seed in range(100):
            twins.fast(*batch(seed % 3))
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for seed in range(1000):
            twins.fast(*batch(seed % 3))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 5000


def test_a_hundred_kinds_of_calls_keep_a_bounded_number_of_programs():
    fast = tl.compile(tl.no_grad(lambda x: x * 2 + 1), backend="numpy")
    for size in range(1, 40):
        for _ in range(4):
            fast(tl.ones(size))
    assert len(fast.compiled._entries) <= 8
    assert len(fast.compiled._pending) <= 8


def test_a_model_dies_with_its_step(backend):
    world = training()()
    fast = tl.compile(world.step, backend=backend)
    for _ in range(6):
        fast(*batch())
    net = weakref.ref(world.net)
    del world, fast
    gc.collect()
    assert net() is None


def test_arguments_and_results_are_not_kept_longer_than_needed(backend):
    twins = Twins(training(), backend)
    twins.call(6, *batch())
    x, y = batch()
    references = [weakref.ref(x), weakref.ref(y), weakref.ref(twins.fast(x, y))]
    del x, y
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_nothing_is_left_of_a_function_that_runs_eagerly():
    twins = Twins(training())
    twins.compiled.net[0].register_forward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="hooks"):
        twins.call(3, *batch())
    assert not twins.fast.compiled._entries
