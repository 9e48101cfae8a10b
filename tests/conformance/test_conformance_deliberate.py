"""Where we differ from PyTorch on purpose: what we do instead, and that PyTorch still does something else."""

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import DELIBERATE, attempt, difference  # noqa: E402


@pytest.mark.parametrize("case", DELIBERATE)
def test_what_we_do(case):
    _, call, expected = DELIBERATE[case]
    if isinstance(expected, type):
        with pytest.raises(expected):
            call(tl)
    else:
        np.testing.assert_array_equal(np.array(call(tl).tolist()), np.array(expected), strict=True)


@pytest.mark.parametrize("case", DELIBERATE)
def test_pytorch_does_something_else(case):
    call = DELIBERATE[case].call
    assert difference(attempt(call, tl), attempt(call, torch)) is not None
