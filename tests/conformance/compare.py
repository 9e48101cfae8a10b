"""Holding a result against PyTorch's: values, dtypes, shapes, errors."""

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
FLOATS = ("float16", "float32", "float64")


def attempt(function):
    """What the function returns, or the exception that it raises."""
    try:
        return function()
    except Exception as error:
        return error


def difference(ours, theirs, ulps=0, scaled=False):
    """In words, how our result differs from PyTorch's; None if it does not.

    An element may be off by ``ulps`` roundings of itself, with ``scaled`` of the largest element.
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
        same = ours.shape == tuple(theirs.shape) and dtype_name(ours) == dtype_name(theirs)
        same = same and close(ours.detach().numpy(), theirs.detach().numpy(), ulps, scaled)
        return None if same else f"ours {describe(ours)}, PyTorch's {describe(theirs)}"
    same = type(ours) is type(theirs) and (ours == theirs or ours != ours and theirs != theirs)
    return None if same else f"ours {describe(ours)}, PyTorch's {describe(theirs)}"


def close(ours, theirs, ulps, scaled):
    """Whether the arrays are equal within the tolerance, with nan and infinities in equal places."""
    if not ulps or theirs.dtype.kind != "f" or not theirs.size:
        return np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f")
    info = np.finfo(theirs.dtype)
    finite = np.isfinite(theirs)
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    size = np.max(np.abs(b), where=finite, initial=0.0) if scaled else np.abs(b)
    tolerance = ulps * np.where(finite, np.maximum(size * float(info.eps), float(info.smallest_subnormal)), 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.all((a == b) | (np.abs(a - b) <= tolerance) | (np.isnan(a) & np.isnan(b))))


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
    if isinstance(result, (tl.Tensor, torch.Tensor)):
        return f"{dtype_name(result)} {tuple(result.shape)} {result.tolist()}"
    return repr(result)


def assert_same(ours, theirs, ulps=0, scaled=False):
    found = difference(ours, theirs, ulps, scaled)
    assert found is None, found


def assert_none_differ(cases, ulps=0, scaled=False, may_be_empty=False):
    """``cases`` gives pairs of a title and a function of the namespace, ``tl`` or ``torch``."""
    found = {title: difference(attempt(lambda: f(tl)), attempt(lambda: f(torch)), ulps, scaled) for title, f in cases}
    assert found or may_be_empty, "nothing was compared"
    differences = [f"{title}: {text}" for title, text in found.items() if text]
    assert not differences, f"{len(differences)} of {len(found)} differ:\n" + "\n".join(differences)
