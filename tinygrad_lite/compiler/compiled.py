"""``compile``: a function that records the step it wraps, and then runs the program instead."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lite.autograd.anomaly import PACKAGE
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.autograd.tree import leaves
from tinygrad_lite.compiler import backends, numpy_emitter, passes
from tinygrad_lite.compiler.capture import Capture, capture
from tinygrad_lite.compiler.comparison import circumstances, first_difference
from tinygrad_lite.compiler.differentiation import Replay
from tinygrad_lite.compiler.entry import MISS, REFUSED, Entry
from tinygrad_lite.compiler.explanation import explanation
from tinygrad_lite.compiler.surroundings import Surroundings
from tinygrad_lite.compiler.verification import MismatchError, verify
from tinygrad_lite.nn.module import Module

__all__ = ["Compiled"]

MOST_PROGRAMS = 8  # of one function; the one that was used longest ago makes way
MOST_RECORDINGS = 4  # until two that follow each other must agree
MOST_CONDITIONS = 2000  # each is looked at in every call
MOST_FRUITLESS = 16  # recordings of ever other calls, without one that was replayed


@dataclass
class Pending:
    """A kind of call that has no program yet."""

    changing: int = 0  # recordings that changed what they read
    recordings: dict[Hashable, tuple[int, Capture]] = field(default_factory=dict)  # of others: how many, and the last
    entries: list[Entry] = field(default_factory=list)  # compiled, but not held against an eager step yet


class Compiled:
    """The programs of a step, and the way from a call to one of them.

    Each thread has programs of its own, so that they need no lock while they run.

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
        self._function = function
        self._fullgraph = fullgraph
        self._backend = backends.choose(backend)
        self._lock = threading.RLock()
        self._entries: list[tuple[Hashable, Entry]] = []
        self._pending: dict[Any, Pending] = {}
        self._fruitless = 0
        self._eager = ""  # why it runs eagerly, if it does
        self.latest: Callable[..., Any] = _nothing
        self.form = (0, False)  # how many positional arguments ``latest`` takes, and whether keywords

    @property
    def name(self) -> str:
        """The name of what was compiled."""
        name: str = getattr(self._function, "__name__", type(self._function).__name__)
        return name

    def source(self, exact: bool = False) -> str:
        """The latest program as Python: NumPy functions of the arrays that it reads, to be read and to be run.

        It is the backpropagation that one would write by hand: forward, backward, update, a line for each operation.

        Parameters
        ----------
        exact : bool
            The very calls that were recorded, whose numbers are bit for bit those of eager mode; by default what is
            left of them after algebra.

        Raises
        ------
        RuntimeError
            If there is no program (yet): it takes a few calls.
        """
        if not self._entries:
            reason = f"it runs eagerly: {self._eager}" if self._eager else "call it a few times first"
            raise RuntimeError(f"compile: {self.name} has no program: {reason}")
        _, entry = self._entries[-1]
        chosen = passes.EXACT if exact else passes.NATIVE
        name = self._program_name()
        text = numpy_emitter.source(passes.run_passes(entry.capture.program, chosen), name)
        if entry.replay is not None:
            backward = passes.run_passes(entry.replay.backward.program, chosen)
            text += "\n\n" + numpy_emitter.source(backward, f"{name}_backward")
        return text

    def explain(self) -> str:
        """What the programs are made of, what they hold and what they are for; or why there is none."""
        entries = [entry for _, entry in self._entries]
        return explanation(self.name, self._backend.name, entries, self._eager)

    # ---- the ways of a call

    def call_slowly(self, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Any:
        """What the step returns, where the latest program did not fit (``result`` is MISS) or refused the values."""
        if self._eager and self._fullgraph:
            raise RuntimeError(f"compile: {self.name} runs eagerly: {self._eager}")
        if self._eager or thread.noting or thread.recorder is not None:
            return self._function(*args, **kwargs)
        with self._lock:
            return self._call_in_turn(args, kwargs, result)

    def _call_in_turn(self, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Any:
        key = _kind(args, kwargs)
        if result is MISS:
            result = self._by_known_entry(key, args, kwargs)
        if result is REFUSED:  # eager mode says in its own words what is wrong
            return self._function(*args, **kwargs)
        if result is not MISS:
            return result
        pending = self._pending.setdefault(key, Pending())
        while len(self._pending) > MOST_PROGRAMS:
            del self._pending[next(iter(self._pending))]
        for entry in pending.entries:
            if entry.fits(*args, **kwargs) or (entry.follow() and entry.fits(*args, **kwargs)):
                return self._verify(key, entry, args, kwargs)
        return self._record(pending, args, kwargs)

    def _by_known_entry(self, key: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result by another program of this kind of call, or by one that follows its tensors to other arrays."""
        for known in [known for known in self._entries if known[0] == key]:
            entry = known[1]
            result = entry.call(*args, **kwargs)
            if result is MISS and entry.follow():
                result = entry.call(*args, **kwargs)
            if result is not MISS:
                self._entries.remove(known)
                self._entries.append(known)  # the one that was used longest ago comes first
                self._prefer(entry, args, kwargs)
                return result
        return MISS

    def _record(self, pending: Pending, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run eagerly and record; compile what two runs in a row agree on."""
        around = Surroundings(self._function, leaves((tuple(args), kwargs)))
        found = capture(self._function, args, kwargs, around)
        self._fruitless += 1
        pending.changing += bool(found.unsettled)
        reason, agreed = "", False
        if found.problems:
            reason = found.problems[0]
        elif len(around.conditions) > MOST_CONDITIONS:
            reason = f"it can reach {len(around.conditions)} things, too many to look at in every call"
        elif found.unsettled:
            reason = f"each call changes {found.unsettled[0]}" if pending.changing >= MOST_RECORDINGS else ""
        else:
            reason, agreed = _compared(pending, found, around)
        if agreed and len(pending.entries) < MOST_RECORDINGS:
            pending.entries.append(self._compile(found, around, args, kwargs))
        elif agreed:
            reason = "what it reads is replaced between all calls"
        elif not reason and self._fruitless > MOST_FRUITLESS:
            reason = "almost every call is of another kind: other shapes, numbers or objects in reach; pass tensors"
        if reason:
            self._stay_eager(reason)
        return found.result

    def _compile(self, found: Capture, around: Surroundings, args: Sequence[Any], kwargs: dict[str, Any]) -> Entry:
        name = self._program_name()
        replay = None
        if found.backward is not None:
            backward = self._backend.compile(found.backward.program, f"{name}_backward")
            replay = Replay(found.backward, backward, self._lock)
        return Entry(found, around, self._backend.compile(found.program, name), replay, args, kwargs)

    def _program_name(self) -> str:
        if isinstance(self._function, Module):
            return "forward"
        return self.name if self.name.isidentifier() else "step"  # of a lambda

    def _verify(self, key: Any, entry: Entry, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run eagerly and by the program, and let the program take over if they agree."""
        self._pending[key].entries.remove(entry)
        try:
            result, compared = verify(entry, self._function, args, kwargs)
        except MismatchError as difference:
            self._eager = str(difference)
            self.latest = _nothing
            raise
        if not compared:
            return result
        self._entries.append((key, entry))
        del self._entries[:-MOST_PROGRAMS]
        self._prefer(entry, args, kwargs)
        self._fruitless = 0
        return result

    def _prefer(self, entry: Entry, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Try this program first at the next call."""
        self.latest, self.form = entry.call, (len(args), bool(kwargs))

    def _stay_eager(self, reason: str) -> None:
        self._eager = reason
        self.latest = _nothing
        message = f"compile: {self.name} runs eagerly: {reason}"
        if self._fullgraph:
            raise RuntimeError(message)
        warnings.warn(message, UserWarning, stacklevel=_frames_inside() + 1)


def _nothing(*_: Any, **__: Any) -> Any:
    return MISS


def _frames_inside() -> int:
    """How many frames, this function's caller the first, are not the user's."""
    frame: Any = sys._getframe(1)
    count = 0
    while frame is not None and frame.f_code.co_filename.startswith((PACKAGE, "<")):
        frame, count = frame.f_back, count + 1
    return count


def _compared(pending: Pending, found: Capture, around: Surroundings) -> tuple[str, bool]:
    """Why there will be no program, if so; and whether this recording agrees with the last one that was alike."""
    kind = circumstances(found, around)
    count, previous = pending.recordings.get(kind, (0, None))
    pending.recordings[kind] = count + 1, found
    difference = "" if previous is None else first_difference(previous, found)
    if difference and count + 1 >= MOST_RECORDINGS:
        return difference, False
    return "", previous is not None and not difference


def _kind(args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What calls have in common that one program may be for."""
    found = leaves((tuple(args), kwargs))
    described = (
        (leaf.shape, leaf.dtype, leaf._requires_grad) if isinstance(leaf, Tensor) else (type(leaf), _hashable(leaf))
        for leaf in found
    )
    return threading.get_ident(), bool(thread.grad_enabled), len(args), tuple(kwargs), tuple(described)


def _hashable(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (bool, int, float, str, type(None))) else id(leaf)
