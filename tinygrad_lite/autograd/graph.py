"""What the recorded graph is made of: primitives, and one Node for each of their calls."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.autograd.hooks import Hooks
from tinygrad_lite.autograd.tensor import Tensor

__all__ = ["NOT_SAVED", "Node", "Primitive", "StandIn"]

Rule = Callable[..., Any]


class Primitive:
    """What the engine knows of an operation.

    Attributes
    ----------
    name : str
        The forward function's name, and ``title`` without underscores, for messages.
    forward : callable
        ``forward(*arrays, **params) -> array``.
    inputs : list of str
        The names of forward's positional parameters, the last of which may be variadic.
    rules : sequence of callable or None
        ``rule(g, out, *arrays, **params)``, by input: the vector-Jacobian product of ``g``. None for
        an input without derivative (an index, a condition).
    saves : set of str
        Which arrays the rules read: names of the forward's parameters, and ``out``.
    casts : {"", "common", "float"}
        For elementwise functions, what the inputs are brought to before forward: PyTorch's result
        type, or that and at least the default float.
    view : bool
        Whether forward may return a view of its input.
    elementwise : bool
        Whether it is an elementwise function, whose rules need no shapes.
    """

    def __init__(self, forward: Callable[..., Any], saves: str = "", casts: str = "", view: bool = False) -> None:
        parameters = inspect.signature(forward).parameters.values()
        self.name = forward.__name__
        self.title = self.name.strip("_")
        self.forward = forward
        self.inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.rules: Any = []
        self.saves = set(saves.split())
        self.casts = casts
        self.view = view
        self.elementwise = casts != ""
        unknown = self.saves - {*self.inputs, "out"}
        if unknown:
            raise ValueError(f"{self.name} saves {sorted(unknown)}, which it does not have")

    def vjp(self, index: int) -> Callable[[Rule], Rule]:
        """Register the derivative rule of one input; -1: of each input, with its index as keyword ``index``."""

        def register(rule: Rule) -> Rule:
            if index == -1:
                self.rules = _RuleOfEach(rule)
            else:
                self.rules = self.rules or [None] * len(self.inputs)
                self.rules[index] = rule
            return rule

        return register

    def input_name(self, index: int) -> str:
        """The name of an input; the last one stands for every further one."""
        return self.inputs[min(index, len(self.inputs) - 1)]

    def keeps(self, inputs: int) -> tuple[bool, ...]:
        """Which of ``(out, *inputs)`` a call with so many inputs saves."""
        return ("out" in self.saves, *(self.input_name(i) in self.saves for i in range(inputs)))

    def has_rule(self, index: int) -> bool:
        """Whether the input of that number can be differentiated."""
        rules = self.rules
        return rules.__class__ is _RuleOfEach or (index < len(rules) and rules[index] is not None)

    def explain(self, error: ValueError, arrays: tuple[Any, ...]) -> Exception:
        """NumPy's complaint with the operation and the shapes in it, of the type PyTorch raises."""
        shapes = " and ".join(str(np.shape(array)) for array in arrays if array is not None)
        reason = "they cannot be broadcast together" if "broadcast" in str(error) else str(error)
        kind = IndexError if isinstance(error, IndexError) else RuntimeError
        return kind(f"{self.title} of {shapes}: {reason}")


class _RuleOfEach:
    """One rule for any number of inputs, told which one it is asked for."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Rule]:
        return (functools.partial(self.rule, index=index) for index in itertools.count())


class Node:
    """One recorded operation: what the engine needs to run its derivative rules.

    Attributes
    ----------
    primitive : Primitive
        The operation.
    params : dict
        Its static keyword arguments.
    edges : tuple
        Per input: the node that made it, the leaf itself, or None where no gradient is needed.
    shapes : tuple of tuple
        Per input: its shape.
    dtype : dtype
        What the inputs with an edge have in common.
    saved : tuple or None
        ``(out, *inputs)`` for the rules: arrays, and stand-ins for what is not saved. None once freed.
    versions : tuple of tuple
        For each saved array its tensor's change counter, and what it stood at.
    hooks : Hooks or None
        What is done with the gradient of the tensor made here, if anything.
    origin : bool or Origin
        Where the operation was called, if that was recorded (inside :func:`detect_anomaly`).
    """

    __slots__ = (
        "__weakref__",
        "dtype",
        "edges",
        "hooks",
        "origin",
        "params",
        "primitive",
        "saved",
        "shapes",
        "versions",
    )

    primitive: Primitive
    params: dict[str, Any]
    edges: tuple[Node | Tensor | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]
    saved: tuple[Any, ...] | None
    versions: tuple[Any, ...]
    hooks: Hooks | None
    origin: Any

    def name(self) -> str:
        """The operation's name, in PyTorch's form: ``TanhBackward0``."""
        words = self.primitive.title.split("_")
        return "".join(word[:1].upper() + word[1:] for word in words) + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[Node | Tensor | None, int], ...]:
        """The edges, in PyTorch's form; a leaf stands for its own accumulation."""
        return tuple((edge, 0) for edge in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class StandIn:
    """What a rule gets for an array that its primitive does not save: shape, ndim and dtype only."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a derivative rule reads an array that its primitive does not save: name it in saves=")

    __array__ = __array_ufunc__ = __array_function__ = __bool__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class _NotSaved(StandIn):
    """The stand-in for every output (a rule has ``g`` for its shape) and every elementwise input."""

    __slots__ = ()

    def __init__(self) -> None:
        pass


NOT_SAVED = _NotSaved()
