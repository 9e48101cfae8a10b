"""Where a call was made, as the stack shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lite.autograd import anomaly, engine
from tinygrad_lite.autograd.anomaly import PACKAGE, path_of, running_modules
from tinygrad_lite.compiler.program import Origin

__all__ = ["origin_of", "place_of", "users_frame"]

NUMPY = str(Path(np.__file__).parent)


def origin_of(frame: Any) -> Origin:
    """Where a call was made, as the stack shows: of which pass, which module and which line."""
    phase, operation, node = "forward", "", None
    inner = frame
    while inner is not None:
        code = inner.f_code
        if code is engine._propagate.__code__:
            phase, node = "backward", inner.f_locals.get("node")
            break
        if code.co_name == "_update_all":
            phase, operation = "update", type(inner.f_locals["self"]).__name__
            break
        inner = inner.f_back
    if node is not None:
        origin = node.origin if isinstance(node.origin, anomaly.Origin) else anomaly.Origin("", "")
        return Origin(phase, origin.path, node.primitive.title, origin.line)
    modules = running_modules(frame)
    operation = operation or (type(modules[-1]).__name__ if modules else "")
    return Origin(phase, path_of(modules), operation, place_of(users_frame(frame)))


def users_frame(frame: Any) -> Any:
    """The innermost frame that is neither of this package nor of NumPy."""
    while frame.f_back is not None and frame.f_code.co_filename.startswith((PACKAGE, NUMPY)):
        frame = frame.f_back
    return frame


def place_of(frame: Any) -> str:
    """The line that a frame is at: ``file:line``."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
