"""Primitives: a forward function in plain NumPy and one derivative rule per input.

::

    @primitive(np.tanh, saves="out", casts="float")     # also what np.tanh(tensor) runs
    def tanh(input):
        return np.tanh(input)

    @tanh.vjp(0)
    def _(g, out, x):                                   # cotangent, output, inputs
        return g * (1 - out * out)

A primitive is called like a ufunc: arrays in, array out; as soon as one argument is a Tensor, the
result is a Tensor and the call is recorded. Positional parameters of the forward function are
arrays, keyword-only parameters are static and reach the rules as keywords. Rules do not undo
broadcasting: the engine sums a cotangent down to its input's shape.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from tinygrad_lite.autograd.graph import Primitive, Rule
from tinygrad_lite.autograd.record import recorder
from tinygrad_lite.autograd.tensor import NUMPY

__all__ = ["PRIMITIVES", "implements", "primitive"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)

PRIMITIVES: dict[str, Any] = {}
"""Every primitive function, by name."""


class PrimitiveFunction(Protocol, Generic[P, R_co]):
    """How a primitive looks to a type checker: a function that is also a method of Tensor."""

    primitive: Primitive

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def vjp(self, index: int) -> Callable[[Rule], Rule]: ...

    @overload
    def __get__(self, instance: None, owner: object) -> PrimitiveFunction[P, R_co]: ...

    @overload
    def __get__(
        self: PrimitiveFunction[Concatenate[Any, Q], R_co], instance: object, owner: object
    ) -> Callable[Q, R_co]: ...


def primitive(
    *numpy_functions: Any, saves: str = "", casts: Literal["", "common", "float"] = "", view: bool = False
) -> Callable[[Callable[P, R_co]], PrimitiveFunction[P, R_co]]:
    """Make a primitive of a forward function.

    Parameters
    ----------
    *numpy_functions : callable
        The NumPy functions that run it when they meet a Tensor.
    saves : str
        The arrays that its rules read, separated by spaces: parameter names and ``out``. For any
        other a rule gets a stand-in with shape, ndim and dtype.
    casts : {"", "common", "float"}
        Bring the one or two inputs to PyTorch's result type, or to at least the default float.
    view : bool
        Whether the result may share the input's memory.
    """

    def decorate(forward: Callable[P, R_co]) -> PrimitiveFunction[P, R_co]:
        this = Primitive(forward, saves, casts, view)
        call: Any = functools.update_wrapper(recorder(this), forward)
        call.primitive, call.vjp = this, this.vjp
        PRIMITIVES[this.name] = call
        for function in numpy_functions:
            NUMPY[function] = call if isinstance(function, np.ufunc) else _numpy_spelling(function, call)
        return cast("PrimitiveFunction[P, R_co]", call)

    return decorate


def implements(*numpy_functions: Any) -> Callable[[Callable[P, R_co]], Callable[P, R_co]]:
    """Let these NumPy functions, when they meet a Tensor, run the decorated one (in NumPy's signature)."""

    def decorate(function: Callable[P, R_co]) -> Callable[P, R_co]:
        for numpy_function in numpy_functions:
            NUMPY[numpy_function] = function
        return function

    return decorate


def _numpy_spelling(function: Callable[..., Any], call: Any) -> Callable[..., Any]:
    """``call`` with NumPy's positional parameters: ``np.sum(t, 0)`` runs ``sum(t, axis=0)``."""
    arrays = len(call.primitive.inputs)

    @functools.cache
    def names() -> tuple[str, ...]:
        return tuple(inspect.signature(function).parameters)[arrays:]

    def spelled(*args: Any, **kwargs: Any) -> Any:
        kwargs.update(zip(names(), args[arrays:], strict=False))
        return call(*args[:arrays], **kwargs)

    return spelled
