"""inference_mode: no_grad under PyTorch's other name."""

import threading

import pytest

import tinygrad_lite as tl


def needs_grad():
    return (tl.ones(2, requires_grad=True) * 2).requires_grad


@tl.inference_mode
def bare():
    return needs_grad()


@tl.inference_mode()
def called():
    return needs_grad()


@tl.inference_mode(False)
def switched_off():
    return needs_grad()


@tl.inference_mode()
def steps():
    yield needs_grad()
    yield needs_grad()


def test_as_a_block_and_back():
    with tl.inference_mode():
        assert not needs_grad()
        with tl.inference_mode(False):
            assert needs_grad()
        assert not needs_grad()
    assert needs_grad()


def test_as_a_decorator():
    assert (bare(), called(), switched_off()) == (False, False, True)
    with tl.no_grad():
        assert switched_off()


def test_inside_a_generator_only():
    seen = []
    for inside in steps():
        seen.append((inside, needs_grad()))
    assert seen == [(False, True)] * 2


def test_an_exception_leaves_it():
    with pytest.raises(ZeroDivisionError), tl.inference_mode():
        raise ZeroDivisionError
    assert tl.is_grad_enabled()


def test_another_thread_records():
    seen = []
    with tl.inference_mode():
        thread = threading.Thread(target=lambda: seen.append(needs_grad()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_what_was_computed_inside_is_an_ordinary_tensor():
    with tl.inference_mode():
        x = tl.ones(2) * 3
    (x.requires_grad_() * x).sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]
