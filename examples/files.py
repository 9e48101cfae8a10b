"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole"]


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it replaces ``path`` when the block ends, and leaves nothing behind if the block fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with open(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)  # mkstemp's files are for their owner alone
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
