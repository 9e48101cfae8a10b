"""Running one call here and in PyTorch, and holding the results together: values, dtypes, shapes, gradients, errors.

``DELIBERATE`` lists where they differ on purpose.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")
_X = torch.ones(1, requires_grad=True)
torch.autograd.grad(_X * 2, _X, torch.ones(1))  # now, not in a test, it imports the rest of itself

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
FLOATS = ("float16", "float32", "float64")


def attempt(function, xp):
    """What ``function(xp)`` returns, or the exception that it raises; PyTorch may warn, we may not."""
    try:
        with warnings.catch_warnings():
            if xp is torch:
                warnings.simplefilter("ignore")
            return function(xp)
    except Exception as error:
        return error


def difference(ours, theirs, ulps=0, scaled=False):
    """In words, how our result differs from PyTorch's; None if it does not.

    An element may be off by ``ulps`` roundings of itself, with ``scaled`` of the largest element or of 1.
    Results that are exceptions must be of related types.
    """
    if isinstance(theirs, NotImplementedError):  # PyTorch has no kernel for the dtype: no result to hold ours against
        return None
    if isinstance(ours, Exception) and isinstance(theirs, Exception):
        same = isinstance(ours, builtin(theirs)) or isinstance(theirs, builtin(ours))
        return None if same else f"ours {describe(ours)}, PyTorch's {describe(theirs)}"
    if isinstance(theirs, (tuple, list)):
        if not isinstance(ours, (tuple, list)) or len(ours) != len(theirs):
            return f"ours {describe(ours)}, PyTorch's {describe(theirs)}"
        found = [difference(o, t, ulps, scaled) for o, t in zip(ours, theirs, strict=True)]
        return next((f"result {i}: {text}" for i, text in enumerate(found) if text), None)
    if isinstance(ours, tl.Tensor) and isinstance(theirs, torch.Tensor):
        if ours.shape == tuple(theirs.shape) and dtype_name(ours) == dtype_name(theirs):
            return difference_of_arrays(ours.detach().numpy(), theirs.detach().numpy(force=True), ulps, scaled)
        return f"ours {describe(ours)}, PyTorch's {describe(theirs)}"
    same = type(ours) is type(theirs) and (ours == theirs or (ours != ours and theirs != theirs))
    return None if same else f"ours {describe(ours)}, PyTorch's {describe(theirs)}"


def difference_of_arrays(ours, theirs, ulps, scaled):
    """In words, how the arrays differ by more than the tolerance; nan and infinities must be in equal places."""
    same = ours == theirs
    if theirs.dtype.kind == "f":
        info = np.finfo(theirs.dtype)
        a, b, finite = ours.astype(np.float64), theirs.astype(np.float64), np.isfinite(theirs)
        size = np.max(np.abs(b), where=finite, initial=1.0) if scaled else np.abs(b)
        tolerance = ulps * np.where(finite, np.maximum(size * float(info.eps), float(info.smallest_subnormal)), 0.0)
        with np.errstate(invalid="ignore"):
            same = same | (np.abs(a - b) <= tolerance) | (np.isnan(a) & np.isnan(b))
    if np.all(same):
        return None
    at = tuple(map(int, np.argwhere(~np.asarray(same))[0]))
    return f"element {list(at)}: ours {ours[at]}, PyTorch's {theirs[at]} ({np.sum(~same)} of {theirs.size} differ)"


def builtin(value):
    """The most special class of an exception that Python itself defines."""
    return next(kind for kind in type(value).__mro__ if kind.__module__ == "builtins")


def dtype_name(value):
    """The name of a dtype, or of a tensor's dtype, without its namespace."""
    return str(getattr(value, "dtype", value)).removeprefix("torch.")


def describe(result):
    """A result on one line."""
    if isinstance(result, Exception):
        return f"raises {type(result).__name__}: {str(result)[:60]}"
    if isinstance(result, list):
        return f"[{', '.join(map(describe, result))}]"
    if isinstance(result, (tl.Tensor, torch.Tensor)):
        return f"{dtype_name(result)} {tuple(result.shape)} {result.tolist()}"
    return repr(result)


def assert_same(ours, theirs, ulps=0, scaled=False):
    found = difference(ours, theirs, ulps, scaled)
    assert found is None, found


def assert_none_differ(cases, ulps=0, scaled=False):
    """``cases`` gives pairs of a title and a function of the namespace, ``tl`` or ``torch``."""
    fail_if_any({title: difference(attempt(f, tl), attempt(f, torch), ulps, scaled) for title, f in cases})


def fail_if_any(found):
    """``found`` maps what was compared to the difference, or None."""
    assert found, "nothing was compared"
    differences = [f"{title}: {text}" for title, text in found.items() if text]
    if differences:
        pytest.fail(
            "\n".join([f"{len(differences)} of {len(found)} differ from PyTorch:", *differences]), pytrace=False
        )


# ---- derivatives


class Call(NamedTuple):
    """The arguments of one call; arrays stand for tensors, floating-point ones for leaves that require grad."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self):
        words = [described(arg) for arg in self.args] + [f"{k}={described(arg)}" for k, arg in self.kwargs.items()]
        return f"({', '.join(words)})"


def described(argument):
    """An argument in a test's message: of an array the shape."""
    if isinstance(argument, list):
        return f"[{', '.join(map(described, argument))}]"
    return f"{argument.dtype}{list(argument.shape)}" if isinstance(argument, np.ndarray) else repr(argument)


def call(*args, **kwargs):
    return Call(args, kwargs)


class Derivatives(NamedTuple):
    """What a call returns, and the derivatives of a random combination of that, and of those again."""

    results: list[Any]
    first: list[Any]
    second: list[Any]


def derivatives(xp, function, arguments, dtype="float64", strided=False, order=2):
    """Run ``function(xp, *args, **kwargs)`` on tensors of a dtype; ``strided``: with gaps in memory, columns first."""
    leaves = []

    def argument(value):
        if isinstance(value, (list, tuple)):
            return type(value)(argument(item) for item in value)
        if not isinstance(value, np.ndarray):
            return value
        array = np.array(value, dtype if value.dtype.kind == "f" else None)
        tensor = xp.from_numpy(with_gaps(array) if strided else array)
        if array.dtype.kind == "f" and order:
            leaves.append(tensor.requires_grad_())
        return tensor

    args, kwargs = argument(arguments.args), {key: argument(value) for key, value in arguments.kwargs.items()}
    results = listed(function(xp, *args, **kwargs))
    first = gradients(xp, results, leaves) if order > 0 else []
    second = gradients(xp, first, leaves) if order > 1 else []
    return Derivatives(results, first, second)


def with_gaps(array):
    every_other = (slice(None, None, 2),) * array.ndim
    wide = np.full([2 * n for n in array.shape], 7, array.dtype, order="F")
    wide[every_other] = array
    return wide[every_other] if array.ndim else array


def listed(results):
    return list(results) if isinstance(results, (list, tuple)) else [results]


def gradients(xp, outputs, leaves):
    """The gradients of the outputs, weighted by random numbers that depend on position and shape alone."""
    if not leaves:
        return []
    pairs = [
        (y, np.random.default_rng(i).standard_normal(tuple(y.shape)))
        for i, y in enumerate(outputs)
        if isinstance(y, xp.Tensor) and y.requires_grad
    ]
    weights = [xp.from_numpy(np.asarray(w)).to(y.dtype) for y, w in pairs]
    found = xp.autograd.grad([y for y, _ in pairs], leaves, weights, create_graph=True, allow_unused=True)
    return [xp.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def difference_of_derivatives(
    function, arguments, dtype="float64", strided=False, order=2, ulps=(4, 16, 64), elementwise=False
):
    """In words, how results or derivatives differ.

    ``ulps`` says by how many roundings of the largest element each may be off; ``elementwise``: each
    element of the results by so many of itself.
    """
    ours, theirs = (
        attempt(lambda xp: derivatives(xp, function, arguments, dtype, strided, order), xp) for xp in (tl, torch)
    )
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        return difference(*(value if isinstance(value, Exception) else value.results for value in (ours, theirs)))
    for title, o, t, roundings in zip(Derivatives._fields, ours, theirs, ulps, strict=True):
        found = difference(o, t, roundings, scaled=title != "results" or not elementwise)
        if found:
            return f"{title}: {found}"
        if title == "first" and not all(bool(torch.isfinite(g).all()) for g in t):
            break  # there is no second derivative where the first is infinite
    needs = [[getattr(y, "requires_grad", False) for y in side.results] for side in (ours, theirs)]
    return None if needs[0] == needs[1] else f"requires_grad: ours {needs[0]}, PyTorch's {needs[1]}"


# ---- where we differ on purpose


class Deliberate(NamedTuple):
    """Why we differ from PyTorch, a call in which we do, and what that gives here."""

    reason: str
    call: Callable[[Any], Any]
    ours: Any  # as plain lists, or the class of the exception


NAN, INF = float("nan"), float("inf")


def gradient(f, *values):
    """Of the sum of ``f(xp, x)``, as a function of the namespace."""

    def call(xp):
        x = xp.tensor(values, dtype=xp.float64, requires_grad=True)
        return xp.autograd.grad(f(xp, x).sum(), x)[0]

    return call


def of_dtype(dtype, *values):
    """A tensor as a function of the namespace."""
    return lambda xp: xp.tensor(values, dtype=getattr(xp, dtype))


def in_place(change):
    """What a change leaves in a tensor of uint8."""

    def call(xp):
        x = xp.tensor([1, 2], dtype=xp.uint8)
        change(xp, x)
        return x

    return call


def stale_base(xp):
    """The gradient through a tensor after a change of its view that was recorded."""
    x = xp.ones(2, requires_grad=True)
    base = x * 1
    view = base[:1]
    view.add_(1)
    return xp.autograd.grad((base * 2).sum(), x)[0]


MASK, BYTES = of_dtype("bool", True, False), of_dtype("uint8", 1, 2)

DELIBERATE = {
    # integers and bools
    "uint8 += int8": Deliberate(
        "a result with signs does not fit into uint8; PyTorch wraps it silently",
        in_place(lambda xp, x: x.add_(xp.tensor([-3, -3], dtype=xp.int8))),
        RuntimeError,
    ),
    "uint8 filled with -1": Deliberate(
        "a number that does not fit the dtype is an error, also below 0, where PyTorch wraps it",
        in_place(lambda xp, x: x.fill_(-1)),
        RuntimeError,
    ),
    "tensor of -1 as uint8": Deliberate(
        "a number that does not fit the dtype is an error, also below 0, where PyTorch wraps it",
        of_dtype("uint8", -1),
        RuntimeError,
    ),
    "integer to negative integers": Deliberate(
        "the powers are fractions; PyTorch gives 0 silently where the exponent is a tensor",
        lambda xp: xp.tensor([2, 3]) ** xp.tensor([-1, -2]),
        RuntimeError,
    ),
    "number - mask": Deliberate(
        "beside a number a bool counts as 0 or 1, as in + and *; only two bools have no difference",
        lambda xp: 1 - MASK(xp),
        [0, 1],
    ),
    "float - mask": Deliberate(
        "beside a number a bool counts as 0 or 1, as in + and *; only two bools have no difference",
        lambda xp: xp.tensor([0.5, 0.5]) - MASK(xp),
        [-0.5, 0.5],
    ),
    "mask - float": Deliberate(
        "beside a number a bool counts as 0 or 1, as in + and *; only two bools have no difference",
        lambda xp: MASK(xp) - xp.tensor([0.5, 0.5]),
        [0.5, -0.5],
    ),
    "any of uint8": Deliberate("whether is a bool, for each dtype", lambda xp: xp.any(BYTES(xp)), True),
    "all of uint8": Deliberate("whether is a bool, for each dtype", lambda xp: xp.all(BYTES(xp)), True),
    "argmax of bools": Deliberate("the index of the first True is well defined", lambda xp: xp.argmax(MASK(xp)), 0),
    "argmin of bools": Deliberate("the index of the first False is well defined", lambda xp: xp.argmin(MASK(xp)), 1),
    # nan
    "sign of nan": Deliberate("nan goes through; PyTorch gives 0", lambda xp: xp.tensor([NAN]).sign(), [NAN]),
    "abs' at nan": Deliberate("as the sign there, nan", gradient(lambda xp, x: x.abs(), NAN, 2.0), [NAN, 1.0]),
    "clamp' at nan": Deliberate(
        "nan lies beyond no bound: the gradient passes with the value",
        gradient(lambda xp, x: x.clamp(0, 1), NAN, 0.5, 2.0),
        [1.0, 1.0, 0.0],
    ),
    "clamp' at a bound of nan": Deliberate(
        "nothing lies beyond a bound of nan", gradient(lambda xp, x: x.clamp(min=NAN), -1.0, 1.0), [1.0, 1.0]
    ),
    "clamp' at nan between tensors": Deliberate(
        "nan lies beyond no bound: the gradient passes with the value",
        gradient(lambda xp, x: x.clamp(xp.zeros_like(x), xp.ones_like(x)), NAN, 0.5, 2.0),
        [1.0, 1.0, 0.0],
    ),
    "prod' at nan": Deliberate(
        "the derivative by a factor is the product of the others, exactly",
        gradient(lambda xp, x: x.prod(), 1.0, NAN, 3.0),
        [NAN, 3.0, NAN],
    ),
    # infinities and signed zeros
    "prod' at inf": Deliberate(
        "the derivative by a factor is the product of the others, exactly",
        gradient(lambda xp, x: x.prod(), INF, 2.0, 1.0),
        [2.0, INF, INF],
    ),
    "var' at inf": Deliberate(
        "the variance is nan there, and so is its gradient",
        gradient(lambda xp, x: x.var(), INF, 2.0, 1.0),
        [NAN, NAN, NAN],
    ),
    "1 / relu(-0.0)": Deliberate("the larger of -0.0 and 0 is 0.0", lambda xp: 1 / xp.tensor([-0.0]).relu(), [INF]),
    "-0.0 ** -0.5": Deliberate(
        "C's pow gives inf; PyTorch takes the reciprocal of a root",
        lambda xp: xp.tensor([-0.0]) ** -0.5,
        [INF],
    ),
    "(-inf) ** -0.5": Deliberate(
        "C's pow gives 0; PyTorch takes the reciprocal of a root", lambda xp: xp.tensor([-INF]) ** -0.5, [0.0]
    ),
    "(x ** 0.5)' at -0.0": Deliberate(
        "it is 0.5 * x ** -0.5, by C's pow", gradient(lambda xp, x: x**0.5, -0.0, 4.0), [INF, 0.25]
    ),
    "logsumexp' at -inf everywhere": Deliberate(
        "0 instead of nan: a masked row must not spoil the gradients of all others",
        gradient(lambda xp, x: x.logsumexp(0), -INF, -INF),
        [0.0, 0.0],
    ),
    # indices
    "a base after the recorded change of a view": Deliberate(
        "no replay of views: the gradient of what has another value than its place in the graph is refused",
        stale_base,
        RuntimeError,
    ),
    "negative step": Deliberate("a reversed view, as in NumPy", lambda xp: xp.tensor([1, 2, 3])[::-1], [3, 2, 1]),
    # types of exceptions, by their names in test_conformance_errors
    "indices: index_select": Deliberate(
        "IndexError, as for every index; PyTorch's depends on the dimension",
        lambda xp: xp.index_select(xp.ones(2, 3), 1, xp.tensor([3])),
        IndexError,
    ),
    "kinds: an unknown device": Deliberate(
        "a string may name a dtype, and an unknown one is a TypeError",
        lambda xp: xp.ones(2).to("quantum"),
        TypeError,
    ),
    "data: ragged and deep": Deliberate(
        "one exception for every ragged list", lambda xp: xp.tensor([[1, 2], 3]), ValueError
    ),
    "python: float": Deliberate("the exception of item()", lambda xp: float(xp.ones(2)), RuntimeError),
    "python: int": Deliberate("the exception of item()", lambda xp: int(xp.ones(2)), RuntimeError),
    "python: format": Deliberate(
        "Python's own for a format that is not one of text", lambda xp: f"{xp.ones(2):.2f}", ValueError
    ),
}
