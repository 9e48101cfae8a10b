"""Hyperparameters while a step is recorded: Python floats that know how they were computed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Self

import numpy as np

__all__ = ["Number"]

Conditions = dict[str, Any]


class Number(float):
    """A float of the program that is read anew at every call: a learning rate, or what is computed from it.

    Arithmetic gives Numbers. Whatever turns one into something else (a comparison, ``if``, ``float()``, rounding) is a
    condition of the program: it holds only while that comes out the same.

    Attributes
    ----------
    source : str
        The expression, in Python.
    conditions : dict of str to object
        What was found out about numbers of this recording: expressions and what they gave.

    Examples
    --------
    >>> conditions = {}
    >>> lr = Number.named(0.1, "lr", conditions)
    >>> (1 - lr * 2).source
    '(1 - (lr * 2))'
    >>> lr > 0, conditions
    (True, {'(lr > 0)': True})
    """

    source: str
    conditions: Conditions

    @classmethod
    def named(cls, value: float, source: str, conditions: Conditions) -> Self:
        """The number that the expression ``source`` gives."""
        number = cls(value)
        number.source, number.conditions = source, conditions
        return number

    @property
    def pinned(self) -> float:
        """The plain float; what is done with it is up to the caller."""
        return float.__float__(self)

    def _find_out(self, expression: str, result: Any) -> Any:
        self.conditions[expression] = result
        return result

    def __float__(self) -> float:
        result: float = self._find_out(f"float({self.source})", self.pinned)
        return result

    def __bool__(self) -> bool:
        return bool(self._find_out(f"bool({self.source})", self.pinned != 0))

    def __int__(self) -> int:
        return int(self._find_out(f"int({self.source})", int(self.pinned)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """A NumPy function of numbers alone needs the floats; one of recorded arrays is theirs to write down."""
        if any(
            hasattr(type(x), "__array_ufunc__") and not isinstance(x, (Number, np.ndarray, np.generic)) for x in inputs
        ):
            return NotImplemented
        return getattr(ufunc, method)(*(float(x) if isinstance(x, Number) else x for x in inputs), **kwargs)

    __hash__ = float.__hash__


def _source(x: Any) -> str:
    if isinstance(x, Number):
        return x.source
    return repr(x) if math.isfinite(x) else f"float({str(x)!r})"


def _pinned(x: Any) -> Any:
    return x.pinned if isinstance(x, Number) else x


def _arithmetic(compute: Callable[[Any, Any], Any], sign: str, *, swapped: bool) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        x, y = (other, self) if swapped else (self, other)
        if isinstance(other, complex) and not isinstance(other, np.generic):
            return compute(other, float(self)) if swapped else compute(float(self), other)
        if not isinstance(other, (int, float)) or isinstance(other, np.generic):
            return NotImplemented  # NumPy's numbers have dtypes, so do their results
        return Number.named(compute(_pinned(x), _pinned(y)), f"({_source(x)} {sign} {_source(y)})", self.conditions)

    return method


def _comparison(compute: Callable[[Any, Any], bool], sign: str) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        return self._find_out(f"({_source(self)} {sign} {_source(other)})", compute(self.pinned, _pinned(other)))

    return method


def _unary(compute: Callable[[Any], Any], sign: str) -> Callable[[Number], Any]:
    return lambda self: Number.named(compute(self.pinned), f"({sign}{self.source})", self.conditions)


for _name, _sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "mod": "%"}.items():
    setattr(Number, f"__{_name}__", _arithmetic(getattr(operator, _name), _sign, swapped=False))
    setattr(Number, f"__r{_name}__", _arithmetic(getattr(operator, _name), _sign, swapped=True))
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(Number, f"__{_name}__", _comparison(getattr(operator, _name), _sign))
setattr(Number, "__neg__", _unary(operator.neg, "-"))  # noqa: B010 - as the others, which mypy knows nothing of
Number.__pos__ = _unary(operator.pos, "+")  # type: ignore[method-assign, assignment]


def _of_the_float(name: str) -> Callable[..., Any]:
    return lambda self, *args: getattr(float(self), name)(*args)


for _name in ("abs", "floordiv", "rfloordiv", "divmod", "rdivmod", "round", "trunc", "floor", "ceil", "format", "repr"):
    setattr(Number, f"__{_name}__", _of_the_float(f"__{_name}__"))
for _name in ("is_integer", "as_integer_ratio", "hex", "conjugate"):
    setattr(Number, _name, _of_the_float(_name))
