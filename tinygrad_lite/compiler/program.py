"""A recorded step: values, each made by one NumPy call, in the order of the calls.

Nothing here is changed in place: a write to an array is a value of its own (``setitem``, ``add.at``), and what an
array outside the program holds in the end is listed in :attr:`Program.writes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CHECKS", "SOURCES", "VIEWS", "Origin", "Program", "Slot", "Value", "compute", "fill", "in_order"]

SOURCES = frozenset({"input", "constant", "number", "draw"})
"""Operations without inputs."""

VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "slice", "bitcast"})
"""Operations that only look at their input's memory in another way (``reshape`` where its layout allows)."""

CHECKS = frozenset({"ravel_multi_index", "take"})
"""Operations that raise for some values: they stay in a program even if nobody reads their result."""


class Origin(NamedTuple):
    """Where a call was made.

    Attributes
    ----------
    phase : str
        ``"forward"``, ``"backward"`` or ``"update"``.
    module : str
        The dotted path of the module; empty outside of modules.
    operation : str
        Of the forward, the module's class; of the backward, the primitive; of the update, the optimizer's class.
    line : str
        ``file:line`` of the user's code.
    """

    phase: str = "forward"
    module: str = ""
    operation: str = ""
    line: str = ""


class Slot(NamedTuple):
    """Stands for the input of that number in the arguments of a call."""

    number: int


class Value:
    """An array of a program, and the call that makes it.

    The operations (``op``), their ``inputs`` and ``params``:

    ================  =================================================================================================
    input             ``place`` (int): the number of the array outside: see :attr:`Program.inputs`
    constant          ``data``: an ndarray; or a Python number, which then has no dtype of its own (NEP 50), and
                      ``dtype`` is the one that its reader computes in
    number            ``source`` (str): a Python float that is read at every call, as ``lr`` or ``1 - lr * beta``
    draw              ``generator`` (its attribute ``numpy`` is the numpy.random.Generator of the moment), ``method``,
                      ``args``, ``kwargs``: random numbers, drawn anew at every call, in the order of their positions
    *ufunc name*      ``add``, ``exp``, ``greater`` ...: the operands; ``dtypes``: the dtypes of the loop, operands
                      first: an operand of another dtype is cast to it; ``forced``: whether ``dtype=`` was given
    *name*.reduce     ``add.reduce``, ``maximum.reduce`` ...: x; ``axis`` (sorted tuple of axes >= 0), ``keepdims``,
                      ``initial`` (None: the ufunc's own), ``computed_in`` (None, or the dtype given)
    reshape           x, to the value's shape: a view where the layout of x allows, else a copy
    transpose         x; ``axes``
    broadcast_to      x, to the value's shape
    slice             x; ``key``: a tuple of slices, integers, None and Ellipsis: a view
    bitcast           x: the same bytes as the value's dtype, which has the same size
    copy              x; ``layout``: "K" or "C"
    cast              x, to the value's dtype
    dot, matmul       x, y
    where             condition, x, y
    ravel_multi_index index; ``dims`` (of one element): a copy, or an error for an index out of range
    take              x (one dimension), index: ``x[index]``, or an error for an index out of range
    getitem           x, *index arrays; ``key``: a tuple with a :class:`Slot` for each index array (numbered from 1)
    setitem           x, value, *index arrays; ``key``, slots numbered from 2: a copy of x with ``x[key] = value``
    add.at            x, value, *index arrays; ``key``, slots numbered from 2: a copy of x after ``np.add.at``
    call              any; ``function``, ``args``, ``kwargs``: templates with slots; anything else that NumPy has
    pick              a ``call`` that returns several arrays; ``index``: which of them
    ================  =================================================================================================

    Attributes
    ----------
    op, inputs, params
        The call.
    shape, dtype
        Of the array.
    order : tuple of int
        The strides that the array had when it was recorded, in bytes: the layout decides in which order NumPy adds.
    origin : Origin
        Where the call was made.
    position : int
        Its place in the order of the calls; never below that of an input.
    """

    __slots__ = ("dtype", "inputs", "op", "order", "origin", "params", "position", "shape")

    def __init__(
        self,
        op: str,
        inputs: Sequence[Value] = (),
        shape: tuple[int, ...] = (),
        dtype: Any = np.float32,
        order: tuple[int, ...] | None = None,
        origin: Origin = Origin(),  # noqa: B008 - a constant
        position: int = 0,
        **params: Any,
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.params = params
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.order = _c_order(self.shape, self.dtype.itemsize) if order is None else order
        self.origin = origin
        self.position: int = max((position, *(x.position for x in self.inputs)))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        size: int = math.prod(self.shape)
        return size

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * int(self.dtype.itemsize)

    @property
    def is_literal(self) -> bool:
        """Whether it is a Python number written into the program."""
        return self.op == "constant" and not isinstance(self.params["data"], np.ndarray)

    def like(self, inputs: Sequence[Value]) -> Value:
        """The same call with other inputs; itself if they are the same."""
        if all(a is b for a, b in zip(inputs, self.inputs, strict=True)):
            return self
        return Value(self.op, inputs, self.shape, self.dtype, self.order, self.origin, self.position, **self.params)

    def __repr__(self) -> str:
        params = "".join(f" {key}={value!r}" for key, value in self.params.items() if key != "data")
        return f"<{self.op}{params}: {self.dtype}{list(self.shape)}>"


@dataclass
class Program:
    """A step without Python: what it reads, what it computes, what it leaves where.

    Attributes
    ----------
    inputs : list of Value
        The arrays from outside, in order; ``names[i]`` and ``kinds[i]`` ("argument", "state") belong to ``inputs[i]``.
    outputs : list of Value
        The arrays that the step returns, fresh at each call.
    writes : list of (int, Value)
        What the array ``inputs[i]`` holds after the step, for each that the step changes in place.
    gradients : list of (str, Value)
        What it leaves in ``.grad`` of a tensor, by that tensor's name: arrays that live on after the step.
    checks : list of Value
        Values that nobody may read, but that raise for bad input (a class label out of range).
    output_names : list of str
        What to call the outputs, where there is something to say.
    """

    inputs: list[Value] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    writes: list[tuple[int, Value]] = field(default_factory=list)
    gradients: list[tuple[str, Value]] = field(default_factory=list)
    checks: list[Value] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)

    def roots(self) -> Iterator[Value]:
        """Every value that is wanted for itself."""
        yield from self.checks
        yield from self.outputs
        yield from (value for _, value in self.gradients)
        yield from (value for _, value in self.writes)

    def values(self) -> list[Value]:
        """Every value that a root depends on, in the order of the calls."""
        return sorted(in_order(self.roots()), key=lambda value: value.position)

    def map(self, change: Callable[[Value, tuple[Value, ...]], Value]) -> Program:
        """The program in which each value became ``change(value, its inputs as they became)``."""
        new: dict[Value, Value] = {value: value for value in self.inputs}
        for value in self.values():
            if value not in new:
                new[value] = change(value, tuple(new[x] for x in value.inputs))
        return Program(
            self.inputs,
            self.names,
            self.kinds,
            [new[v] for v in self.outputs],
            [(i, new[v]) for i, v in self.writes],
            [(name, new[v]) for name, v in self.gradients],
            [new[v] for v in self.checks],
            self.output_names,
        )


def in_order(roots: Iterable[Value], stop: Container[Value] = ()) -> list[Value]:
    """The roots and all that they depend on: a call after its inputs, otherwise as the roots come.

    What those in ``stop`` depend on is left out.
    """
    order: list[Value] = []
    done: set[Value] = set()
    for root in roots:
        stack: list[tuple[Value, Iterator[Value]]] = [(root, iter(root.inputs))] if root not in done else []
        while stack:
            value, rest = stack[-1]
            following = None if value in stop else next((x for x in rest if x not in done), None)
            if following is not None:
                stack.append((following, iter(following.inputs)))
                continue
            stack.pop()
            if value not in done:
                done.add(value)
                order.append(value)
    return order


def compute(value: Value, *arrays: Any) -> Any:
    """What NumPy gives for the call, on these inputs: the meaning of every operation that has inputs."""
    params, op = value.params, value.op
    if op in _MEANING:
        return _MEANING[op](value, *arrays)
    if op.endswith(".reduce"):
        initial = {} if params["initial"] is None else {"initial": params["initial"]}
        return getattr(np, op.removesuffix(".reduce")).reduce(
            arrays[0], axis=params["axis"], keepdims=params["keepdims"], dtype=params["computed_in"], **initial
        )
    return getattr(np, op)(*arrays, **({"dtype": params["dtypes"][-1]} if params.get("forced") else {}))


def fill(template: Any, arrays: Sequence[Any]) -> Any:
    """The template with the arrays in its slots."""
    if isinstance(template, Slot):
        return arrays[template.number]
    if isinstance(template, dict):
        return {key: fill(item, arrays) for key, item in template.items()}
    if isinstance(template, (tuple, list)):
        return type(template)(fill(item, arrays) for item in template)
    return template


def _setitem(value: Value, *arrays: Any) -> Any:
    out = np.copy(arrays[0], order="K")
    out[fill(value.params["key"], arrays)] = arrays[1]
    return out


def _add_at(value: Value, *arrays: Any) -> Any:
    out = np.copy(arrays[0], order="K")
    np.add.at(out, fill(value.params["key"], arrays), arrays[1])
    return out


def _call(value: Value, *arrays: Any) -> Any:
    return value.params["function"](*fill(value.params["args"], arrays), **fill(value.params["kwargs"], arrays))


_MEANING: dict[str, Callable[..., Any]] = {
    "reshape": lambda value, x: np.reshape(x, value.shape),
    "transpose": lambda value, x: np.transpose(x, value.params["axes"]),
    "broadcast_to": lambda value, x: np.broadcast_to(x, value.shape),
    "slice": lambda value, x: x[value.params["key"]],
    "bitcast": lambda value, x: x.view(value.dtype),
    "copy": lambda value, x: np.array(x, order=value.params["layout"]),
    "cast": lambda value, x: np.asarray(x, dtype=value.dtype),
    "dot": lambda _, x, y: np.dot(x, y),
    "matmul": lambda _, x, y: np.matmul(x, y),
    "where": lambda _, condition, x, y: np.where(condition, x, y),
    "ravel_multi_index": lambda value, index: np.ravel_multi_index((index,), value.params["dims"]),
    "take": lambda _, x, index: np.take(x, index),
    "getitem": lambda value, *arrays: arrays[0][fill(value.params["key"], arrays)],
    "setitem": _setitem,
    "add.at": _add_at,
    "call": _call,
    "pick": lambda value, results: results[value.params["index"]],
}


def _c_order(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= n
    return tuple(reversed(strides))
