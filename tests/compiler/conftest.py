"""What the tests of compile share."""

import pytest


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    """Every backend that can run here."""
    if request.param == "native":
        pytest.importorskip("llvmlite")
        pytest.importorskip("tinygrad_lite.compiler.native")
    return request.param
