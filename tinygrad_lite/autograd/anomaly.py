"""Finding the first NaN or infinity: which operation made it, in which module, in which line of the user's code."""

from __future__ import annotations

import functools
import itertools
import linecache
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, Self

import numpy as np

from tinygrad_lite.autograd.graph import Node
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.tensor import Tensor, as_array

__all__ = [
    "MODULE_CALLS",
    "Origin",
    "called",
    "check_gradient",
    "detect_anomaly",
    "is_anomaly_enabled",
    "locate",
    "named",
    "new_non_finite",
    "path_of",
    "set_detect_anomaly",
]

State = tuple[Callable[..., Any], bool, bool]
MODULE_CALLS: set[CodeType] = set()  # the code that runs a module: nn.Module.__call__
PACKAGE = str(Path(__file__).parent.parent)
OPERATION = re.compile(r"^(\w+)(?=: | of )")


class Origin(NamedTuple):
    """Where an operation was called: the path of the module that ran, and the line of the user's code."""

    path: str
    line: str

    @classmethod
    def here(cls) -> Origin:
        """The innermost line that is not of this package."""
        frame: Any = sys._getframe(1)
        path = path_of(running_modules(frame))
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        file, number = frame.f_code.co_filename, frame.f_lineno
        return cls(path, f"{file}:{number}: {linecache.getline(file, number).strip()}")


def running_modules(frame: FrameType | None) -> list[Any]:
    """The modules whose forward is running, outermost first, as the stack shows from this frame on."""
    modules: list[Any] = []
    while frame is not None:
        if frame.f_code in MODULE_CALLS:
            modules.insert(0, frame.f_locals["self"])
        frame = frame.f_back
    return modules


def path_of(modules: Sequence[Any]) -> str:
    """The dotted path through modules that called each other, outermost first: ``Net.fc2``; "" for none."""
    names = [type(module).__name__ for module in modules[:1]]
    for outer, inner in itertools.pairwise(modules):
        children = (name for name, module in outer.named_modules() if module is inner and name)
        names.append(next(children, type(inner).__name__))
    return ".".join(names)


def locate(error: Exception) -> None:
    """Say in an error which module it arose in: ``linear (Net.fc2): ...`` where the message is ours, else in a note."""
    if hasattr(error, "module_path"):
        return  # an inner module was here before
    error.module_path = path = path_of(running_modules(sys._getframe(1)))  # type: ignore[attr-defined]
    message = error.args[0] if len(error.args) == 1 else None
    if isinstance(message, str) and _raised_here(error) and OPERATION.match(message):
        error.args = (OPERATION.sub(rf"\1 ({path})", message, count=1),)
    else:
        error.add_note(f"in the forward of {path}")


def _raised_here(error: Exception) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(PACKAGE)


class set_detect_anomaly:  # noqa: N801 - PyTorch's name
    """Turn the search for anomalies on or off in this thread: from this call on, or for a ``with`` block.

    Parameters
    ----------
    mode : bool
        Whether to search.
    check_nan : bool
        Whether a NaN or an infinity raises; if not, operations only note where they were called,
        for the messages of other errors.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._previous = _switch(mode, check_nan)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        _restore(self._previous)


class detect_anomaly:  # noqa: N801 - PyTorch's name
    """Inside the ``with`` block the first NaN or infinity, forward or backward, is an error that says where it arose.

    An operation is to blame if its result has one and its inputs had none: its name, the path of
    its module and the line of the caller's code are in the message. Every result is looked at, so
    training takes several times as long.

    Parameters
    ----------
    check_nan : bool
        False: raise nothing, but let other errors of backward name the line that made the operation.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.zeros(2, requires_grad=True)
    >>> with tl.autograd.detect_anomaly():
    ...     x.sqrt().sum().backward()
    Traceback (most recent call last):
        ...
    RuntimeError: backward of sqrt: the gradient of 'input' has inf at (0,), ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        self._previous: list[State] = []

    def __enter__(self) -> Self:
        self._previous.append(_switch(True, self._check_nan))
        return self

    def __exit__(self, *exception: object) -> None:
        _restore(self._previous.pop())


def _switch(mode: bool, check_nan: bool) -> State:
    """Turn the search on or off; returns what was before."""
    previous = thread.run, thread.noting, thread.checking
    plain = thread.run.args[0] if isinstance(thread.run, functools.partial) else thread.run
    thread.run = functools.partial(_watch, plain) if mode else plain
    thread.noting, thread.checking = bool(mode), mode and check_nan
    return previous


def _restore(previous: State) -> None:
    thread.run, thread.noting, thread.checking = previous
    thread.grad_enabled = bool(thread.grad_enabled)


def is_anomaly_enabled() -> bool:
    """Whether this thread searches for anomalies."""
    return thread.noting


def _watch(run: Callable[..., Any], function: Callable[..., Any], *arrays: Any, **params: Any) -> Any:
    """``run(function, ...)``; notes where it was called, and looks at the result."""
    result = run(function, *arrays, **params)
    origin = Origin.here()
    if thread.grad_enabled:
        thread.grad_enabled = origin  # what the node of this operation takes over
    found = new_non_finite(result, (*arrays, *params.values())) if thread.checking else ""
    if found:
        name = function.__name__.strip("_")
        raise RuntimeError(f"{name}: the result has {found}, which its inputs do not explain; called in {origin.line}")
    return result


def new_non_finite(result: Any, inputs: Iterable[Any]) -> str:
    """Where the result has a NaN or an infinity that no input explains: ``nan at (0, 3)``; "" if nowhere."""
    if not _is_float(result) or np.isfinite(result).all():
        return ""
    floats = [value for value in inputs if _is_float(value)]
    for kind, test, explained in (("nan", np.isnan, np.isnan), ("inf", np.isinf, lambda x: ~np.isfinite(x))):
        where = np.argwhere(test(result))
        if len(where) and not any(explained(value).any() for value in floats):
            return f"{kind} at {tuple(where[0].tolist())}"
    return ""


def check_gradient(cotangent: Any, g: Any, node: Node, edge: Node | Tensor) -> None:
    """Inside :func:`detect_anomaly`: a rule must not make a NaN or an infinity of finite numbers."""
    found = new_non_finite(as_array(cotangent), [as_array(g)])
    if found:
        name = node.primitive.input_name(node.edges.index(edge))
        raise RuntimeError(f"backward of {named(node)}: the gradient of '{name}' has {found}, {called(node)}")


def named(node: Node) -> str:
    """The operation's name, with the module that ran it where that is known."""
    path = node.origin.path if isinstance(node.origin, Origin) else ""
    return f"{node.primitive.title} ({path})" if path else node.primitive.title


def called(node: Node) -> str:
    """Where the operation was called, or how to find out."""
    if isinstance(node.origin, Origin):
        return f"the operation was called in {node.origin.line}"
    return "inside autograd.detect_anomaly() this message names the line that called the operation"


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f")
