"""What runs programs: native code where llvmlite is installed, NumPy everywhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinygrad_lite.compiler.program import Program

__all__ = ["Backend", "choose"]


@dataclass(frozen=True)
class Backend:
    """A way to run programs.

    Attributes
    ----------
    name : str
        ``"native"`` or ``"numpy"``.
    compile : callable
        ``compile(program, name)`` gives an executable.
    """

    name: str
    compile: Callable[[Program, str], Any]


def choose(name: str) -> Backend:
    """The backend of that name.

    Raises
    ------
    ValueError
        For an unknown name.
    ImportError
        For ``"native"`` without llvmlite.
    """
    if name not in ("auto", "native", "numpy"):
        raise ValueError(f"compile: {name!r} is no backend: use 'auto', 'native' or 'numpy'")
    installed = importlib.util.find_spec("llvmlite") is not None
    if name == "native" and not installed:
        raise ImportError('compile: the native backend needs llvmlite: pip install "tinygrad_lite[fast]"')
    return Backend("native", _native) if installed and name != "numpy" else Backend("numpy", _numpy)


def _native(program: Program, name: str) -> Any:
    from tinygrad_lite.compiler import native, passes

    return native.compile_program(passes.run_passes(program, passes.NATIVE), name)


def _numpy(program: Program, name: str) -> Any:
    from tinygrad_lite.compiler import numpy_emitter, passes

    return numpy_emitter.compile_program(passes.run_passes(program, passes.EXACT), name)
