"""Whether operations are recorded: a switch per thread, always restored.

The same per-thread state holds the context in which NumPy computes without floating-point
warnings: ``thread.run(f, *arrays)`` costs a few nanoseconds, ``with np.errstate()`` a microsecond.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np

__all__ = ["enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]

F = TypeVar("F", bound=Callable[..., Any])


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.grad_enabled: Any = True  # while anomalies are searched: the Origin of the last operation, for its node
        self.noting = self.checking = False
        self.recorder: Any = None  # while a step is recorded: what writes it down
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.run: Callable[..., Any] = context.run


thread = _ThreadState()


def silently(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The function's result, computed without floating-point warnings, whatever it calls inside."""
    run = thread.run
    thread.run = _just_call  # the context is entered here, and cannot be entered twice
    try:
        return run(function, *args, **kwargs)
    finally:
        thread.run = run


def _just_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def is_grad_enabled() -> bool:
    """Whether this thread records operations for differentiation.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.is_grad_enabled()
    True
    """
    return bool(thread.grad_enabled)


class set_grad_enabled:  # noqa: N801 - PyTorch's name
    """Turn recording on or off: from this call on, for a ``with`` block, or for a function.

    Parameters
    ----------
    mode : bool
        Whether to record.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.ones(2, requires_grad=True)
    >>> with tl.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self._mode = bool(mode)
        self._previous = [thread.grad_enabled]
        self._entered = False  # the constructor has switched already; a first with block only switches back
        thread.grad_enabled = self._mode

    def __enter__(self) -> Self:
        if self._entered:
            self._previous.append(thread.grad_enabled)
            thread.grad_enabled = self._mode
        self._entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        thread.grad_enabled = self._previous.pop()

    def __call__(self, function: F) -> F:
        """The function with this mode inside."""
        thread.grad_enabled = self._previous.pop()  # it decorates: the switch was not meant for here
        return _inside(lambda: set_grad_enabled(self._mode), function)


class _Mode:
    """A mode for a ``with`` block and a decorator for functions and generators."""

    _enabled: bool

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """The mode, or with a function (``@no_grad`` without parentheses) the function inside it."""
        return super().__new__(cls) if function is None else _inside(cls, function)

    def __init__(self) -> None:
        self._previous: list[bool] = []

    def __enter__(self) -> Self:
        self._previous.append(thread.grad_enabled)
        thread.grad_enabled = self._enabled
        return self

    def __exit__(self, *exception: object) -> None:
        thread.grad_enabled = self._previous.pop()

    def __call__(self, function: F) -> F:
        """The function with this mode inside."""
        return _inside(type(self), function)


def _inside(mode: Callable[[], Any], function: F) -> F:
    """The function, each call of it, or each step of a generator, inside a fresh ``mode()``."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with mode():
            return function(*args, **kwargs)

    @functools.wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        resume = functools.partial(next, generator)
        while True:
            with mode():
                try:
                    value = resume()
                except StopIteration as stop:
                    return stop.value
            try:
                resume = functools.partial(generator.send, (yield value))
            except GeneratorExit:
                with mode():
                    generator.close()
                raise
            except BaseException as error:  # what the consumer throws in belongs to the generator
                resume = functools.partial(generator.throw, error)

    return steps if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record nothing: results need no gradient and keep no graph alive.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.ones(2, requires_grad=True)
    >>> with tl.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _enabled = False


class enable_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record again, inside a ``no_grad`` block.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.ones(2, requires_grad=True)
    >>> with tl.no_grad(), tl.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    _enabled = True


class inference_mode(_Mode):  # noqa: N801 - PyTorch's name
    """``no_grad`` under the name that says why: nothing computed inside is for training.

    PyTorch's tensors from inside refuse to enter a graph later; these are ordinary tensors.

    Parameters
    ----------
    mode : bool
        False: record, inside another ``inference_mode`` block.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.ones(2, requires_grad=True)
    >>> with tl.inference_mode():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        """The mode, or with a function (``@inference_mode`` without parentheses) the function inside it."""
        return super().__new__(cls, None if isinstance(mode, bool) else mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._enabled = not mode

    def __call__(self, function: F) -> F:
        """The function with this mode inside."""
        return _inside(lambda: inference_mode(not self._enabled), function)
