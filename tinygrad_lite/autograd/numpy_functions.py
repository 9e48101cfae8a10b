"""NumPy functions without a counterpart in ``ops/``: what ``np.f(tensor)`` does for them.

Every function of NumPy that takes arrays is in one of three places: in ``tensor.NUMPY`` (it runs an
operation of ours), in ``NEEDS_NO_DERIVATIVE`` (it runs on plain arrays), or in ``INSTEAD`` (it runs on
plain arrays where no gradient is at stake, and else raises with the advice given here). ``CHANGING``
lists those that write into their first argument. A test walks NumPy's namespaces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CHANGING", "INSTEAD", "NEEDS_NO_DERIVATIVE"]

Function = Callable[..., Any]


def _named(names: str) -> list[Function]:
    """NumPy's functions of these names; what this version of NumPy does not have is left out."""
    places = ((np.linalg, name[7:]) if name.startswith("linalg.") else (np, name) for name in names.split())
    return [getattr(place, name) for place, name in places if hasattr(place, name)]


CHANGING = frozenset(_named("copyto fill_diagonal place put put_along_axis putmask"))
"""NumPy functions that change an argument, which would go unnoticed in a tensor."""

NEEDS_NO_DERIVATIVE = frozenset(
    _named(
        # questions
        "allclose array_equal array_equiv isclose iscomplex iscomplexobj isneginf isposinf isreal isrealobj signbit "
        "can_cast common_type min_scalar_type result_type may_share_memory shares_memory "
        # counts and positions
        "argpartition argwhere count_nonzero diag_indices_from digitize flatnonzero ix_ lexsort nanargmax nanargmin "
        "nonzero ravel_multi_index searchsorted tril_indices_from triu_indices_from unravel_index linalg.matrix_rank "
        # sets of values
        "in1d intersect1d isin setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse unique_values "
        # integers and bits
        "bitwise_count bitwise_left_shift bitwise_right_shift gcd lcm packbits unpackbits "
        # text and files
        "array2string array_repr array_str einsum_path save savetxt savez savez_compressed "
        # distances between floating-point numbers
        "nextafter spacing"
    )
)
"""NumPy functions whose results do not change with small changes of their arguments, or are no numbers."""

_ADVICE = {
    # what to use instead: for which functions
    "use tl.where(condition, a, b), or multiply by masks": "choose heaviside piecewise select",
    "use tl.where(tl.isnan(x), ..., x) and the function without nan": (
        "nancumprod nancumsum nanmax nanmedian nanmin nanpercentile nanprod nanquantile nanstd nanvar"
    ),
    "use np.sort(x) and index it": "partition percentile quantile sort_complex",
    "use tl.cat() or tl.stack() of the pieces": "block insert pad",
    "use tl.movedim(x, source, destination)": "rollaxis",
    "use np.diff(x) and slices": "gradient unwrap",
    "use @, np.tensordot() or sums of products": "convolve correlate einsum linalg.tensorinv linalg.tensorsolve",
    "use @ on the deviations from np.mean()": "corrcoef cov",
    "use x - tl.trunc(x), tl.trunc(x)": "modf",
    "use x * 2.0**n": "frexp ldexp",
    "use slices, and tl.stack() of the results": "apply_along_axis apply_over_axes",
    "use start + (stop - start) * tl.linspace(0, 1, n), and powers of that": "geomspace linspace logspace",
    "use sums of powers, as in Horner's rule": (
        "poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots vander"
    ),
    "use tl.where() and slices; steps have no derivative": (
        "bincount histogram histogram2d histogram_bin_edges histogramdd interp"
    ),
    "tensors are real: use the sign, or 0": "angle imag",
    "there is no such function here yet": "i0",
    "decompositions have no derivative here yet": (
        "linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv "
        "linalg.lstsq linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals"
    ),
    "tensors hold no dates": "busday_count busday_offset datetime_as_string is_busday isnat",
}

INSTEAD: dict[Function, str] = {function: advice for advice, names in _ADVICE.items() for function in _named(names)}
"""For NumPy functions that have a derivative but no counterpart here: what to use where a gradient is at stake."""
