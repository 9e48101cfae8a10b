"""How many NumPy operations a function makes, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from derivations.records import Array

__all__ = ["KINDS", "operations"]

KINDS = ("matrix products", "exp, log", "sums, maxima", "elementwise", "indexing by arrays")
PRODUCTS, TRANSCENDENTAL, REDUCTIONS, ELEMENTWISE, INDEXING = KINDS
FUNCTIONS = {np.dot: PRODUCTS, np.where: ELEMENTWISE, np.ravel_multi_index: INDEXING}
UFUNCS = {np.matmul: PRODUCTS} | dict.fromkeys([np.exp, np.log, np.log1p, np.logaddexp], TRANSCENDENTAL)


def operations(function: Callable[..., Any], *arrays: Array) -> Counter[str]:
    """Run the function on copies of the arrays and count; what only looks at memory in another way is no operation.

    Examples
    --------
    >>> operations(lambda x, w: np.exp(x @ w.T).sum(), np.ones((2, 3)), np.ones((4, 3)))
    Counter({'matrix products': 1, 'exp, log': 1, 'sums, maxima': 1})
    """
    counts: Counter[str] = Counter()

    class Counting(_Counting):
        made = counts

    function(*(np.copy(array).view(Counting) for array in arrays))
    return counts


class _Counting(np.ndarray[Any, Any]):
    """An array that notes what is done with it."""

    made: Counter[str]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self.made[REDUCTIONS if method == "reduce" else UFUNCS.get(ufunc, ELEMENTWISE)] += 1
        out = kwargs.pop("out", None)
        if out is not None:
            kwargs["out"] = tuple(_plain(array) for array in out)
        result = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        return np.asarray(result).view(type(self)) if out is None else out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in FUNCTIONS:
            return super().__array_function__(function, types, args, kwargs)  # which may call ufuncs
        self.made[FUNCTIONS[function]] += 1
        return np.asarray(function(*map(_plain, args), **kwargs)).view(type(self))

    def __getitem__(self, key: Any) -> Any:
        self.made[INDEXING] += _has_arrays(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.made[INDEXING] += _has_arrays(key)
        np.asarray(self)[_plain(key)] = value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return np.asarray(value) if isinstance(value, np.ndarray) else value


def _has_arrays(key: Any) -> bool:
    return any(isinstance(part, np.ndarray) for part in (key if isinstance(key, tuple) else (key,)))
