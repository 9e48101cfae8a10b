"""``compile``: a function that records the step it wraps, and then runs the program instead."""

from __future__ import annotations

import functools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.autograd.tree import leaves
from tinygrad_lite.compiler import backends
from tinygrad_lite.compiler.capture import Capture, capture
from tinygrad_lite.compiler.comparison import first_difference
from tinygrad_lite.compiler.differentiation import Replay
from tinygrad_lite.compiler.entry import MISS, REFUSED, Entry
from tinygrad_lite.compiler.surroundings import Surroundings
from tinygrad_lite.compiler.verification import verify

__all__ = ["Compiled"]

MOST_PROGRAMS = 8  # of one function; the one that was used longest ago makes way
MOST_RECORDINGS = 4  # until two that follow each other must agree
MOST_FRUITLESS = 16  # recordings of ever other calls, without one that was replayed


@dataclass
class Pending:
    """A kind of call that has no program yet."""

    recordings: int = 0
    last: Capture | None = None
    entry: Entry | None = None  # compiled, but not held against an eager step yet


class Compiled:
    """A step that is recorded and replayed: what :func:`tinygrad_lite.compile` returns.

    Parameters
    ----------
    function : callable
        The step.
    fullgraph : bool
        Raise where it would run eagerly.
    backend : {"auto", "native", "numpy"}
        What runs the programs.
    """

    def __init__(self, function: Callable[..., Any], fullgraph: bool, backend: str) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._fullgraph = fullgraph
        self._backend = backends.choose(backend)
        self._lock = threading.RLock()
        self._entries: OrderedDict[Any, list[Entry]] = OrderedDict()
        self._pending: dict[Any, Pending] = {}
        self._fruitless = 0
        self._eager = ""  # why it runs eagerly, if it does
        self._latest: Callable[..., Any] = _nothing

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step: by its program if there is one that fits."""
        with self._lock:
            result = self._latest(*args, **kwargs)
            if result is MISS or result is REFUSED:
                return self._call_slowly(args, kwargs, result)
            return result

    # ---- the ways of a call

    def _call_slowly(self, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Any:
        if self._eager or thread.noting or thread.recorder is not None:
            return self._function(*args, **kwargs)
        key = _kind(args, kwargs)
        if result is MISS:
            result = self._by_known_entry(key, args, kwargs)
        if result is REFUSED:
            return self._function(
                *args, **kwargs
            )  # raises what the program does not accept, in the words of eager mode
        if result is not MISS:
            return result
        pending = self._pending.setdefault(key, Pending())
        if pending.entry is not None and pending.entry.fits(*args, **kwargs):
            return self._verify(key, pending, args, kwargs)
        return self._record(key, pending, args, kwargs)

    def _by_known_entry(self, key: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result by another program of this kind of call, or by one that follows its tensors to other arrays."""
        for entry in self._entries.get(key, ()):
            result = entry.call(*args, **kwargs)
            if result is MISS and entry.follow():
                result = entry.call(*args, **kwargs)
            if result is not MISS:
                self._entries.move_to_end(key)
                self._latest = entry.call
                return result
        return MISS

    def _record(self, key: Any, pending: Pending, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run eagerly and record; compile what two runs in a row agree on."""
        around = Surroundings(self._function)
        found = capture(self._function, args, kwargs, around)
        pending.recordings += 1
        self._fruitless += 1
        previous, pending.last = pending.last, None if found.unsettled else found
        if found.problems:
            self._stay_eager(found.problems[0])
        elif not found.unsettled and previous is not None and not (difference := first_difference(previous, found)):
            pending.entry = self._compile(found, around, args, kwargs)
        elif pending.recordings >= MOST_RECORDINGS:
            changed = f"each call changes {found.unsettled[0]}" if found.unsettled else difference
            self._stay_eager(changed)
        elif self._fruitless > MOST_FRUITLESS:
            self._stay_eager(
                "almost every call is of another kind: other shapes, or other Python numbers; pass tensors"
            )
        return found.result

    def _compile(self, found: Capture, around: Surroundings, args: Sequence[Any], kwargs: dict[str, Any]) -> Entry:
        name = getattr(self._function, "__name__", "forward")
        replay = None
        if found.backward is not None:
            backward = self._backend.compile(found.backward.program, f"{name}_backward")
            replay = Replay(found.backward, backward, self._lock)
        return Entry(found, around, self._backend.compile(found.program, name), replay, args, kwargs)

    def _verify(self, key: Any, pending: Pending, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run eagerly and by the program, and let the program take over if they agree."""
        entry = pending.entry
        assert entry is not None
        del self._pending[key]
        try:
            result = verify(entry, self._function, args, kwargs)
        except BaseException:
            self._pending.pop(key, None)
            raise
        self._entries.setdefault(key, []).append(entry)
        self._entries.move_to_end(key)
        while sum(map(len, self._entries.values())) > MOST_PROGRAMS:
            self._entries.popitem(last=False)
        self._latest, self._fruitless = entry.call, 0
        return result

    def _stay_eager(self, reason: str) -> None:
        self._eager = reason
        self._latest = _nothing
        name = getattr(self._function, "__name__", type(self._function).__name__)
        message = f"compile: {name} runs eagerly: {reason}"
        if self._fullgraph:
            raise RuntimeError(message)
        warnings.warn(message, UserWarning, stacklevel=5)


def _nothing(*_: Any, **__: Any) -> Any:
    return MISS


def _kind(args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What calls have in common that one program may be for."""
    found = leaves((tuple(args), kwargs))
    described = (
        (leaf.shape, leaf.dtype, leaf._requires_grad) if isinstance(leaf, Tensor) else (type(leaf), _hashable(leaf))
        for leaf in found
    )
    return bool(thread.grad_enabled), len(args), tuple(kwargs), tuple(described)


def _hashable(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (bool, int, float, str, type(None))) else id(leaf)
