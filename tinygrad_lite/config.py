"""What multiplies matrices here, what compiles, and why: ``tl.show_config()``."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from tinygrad_lite import _blas

__all__ = ["BLAS", "Config", "config", "show_config"]

INSTRUCTIONS = {"AVX2": "AVX2", "AVX512F": "AVX-512", "NEON": "NEON", "SVE": "SVE", "VSX": "VSX"}
"""Vector instructions worth naming, by NumPy's names."""


class BLAS(NamedTuple):
    """A library that multiplies matrices.

    Attributes
    ----------
    library : str
        Name and version.
    kernels : str or None
        What it chose for this processor, as it names it; None if it does not tell.
    threads : int or None
        How many a product may use at this moment; None if it does not tell.
    """

    library: str
    kernels: str | None
    threads: int | None

    def __str__(self) -> str:
        if self.kernels is None or self.threads is None:
            return f"{self.library}, kernels and threads unknown"
        return f"{self.library}, {self.kernels} kernels, {self.threads} thread{'s' * (self.threads != 1)}"


class Config(NamedTuple):
    """The facts that :func:`show_config` prints.

    Attributes
    ----------
    version, numpy : str
        Of tinygrad_lite and NumPy.
    processor : str
        Its kind and its vector instructions.
    numpy_blas : BLAS
    own_blas : BLAS or None
        None if the extra ``fast`` is not installed.
    eager : str
        What large products of matrices use in eager mode, and why.
    backend : str
        What ``compile`` takes by default, and why.
    """

    version: str
    numpy: str
    processor: str
    numpy_blas: BLAS
    own_blas: BLAS | None
    eager: str
    backend: str


def config() -> Config:
    """The versions, libraries and choices in this process; it loads the own BLAS, where it is installed.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lite.config import config
    >>> config().numpy == np.__version__
    True
    """
    import platform  # not when the package is imported: it takes milliseconds, and so does importlib.metadata

    features = _blas.processor_features()
    numpys, own = _blas.numpys(), _blas.own()
    return Config(
        version=_version(),
        numpy=np.__version__,
        processor=f"{platform.machine()} with {_instructions(features)}",
        numpy_blas=_blas_of(numpys) if numpys else BLAS(_name_of_numpys(), None, None),
        own_blas=_blas_of(own) if own else None,
        eager=_blas.choose(features, numpys.kernels if numpys else None, lambda: own, os.environ).reason,
        backend=_backend(),
    )


def show_config() -> None:
    """Print versions, the BLAS libraries with their kernels and threads, what uses which, and why.

    See Also
    --------
    numpy.show_config : how NumPy was built.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.show_config()  # doctest: +ELLIPSIS
    tinygrad_lite:    ...
    NumPy:            ...
    processor:        ...
    NumPy's BLAS:     ...
    own BLAS:         ...
    eager products:   ...
    compile:          ...
    """
    now = config()
    lines = {
        "tinygrad_lite": now.version,
        "NumPy": now.numpy,
        "processor": now.processor,
        "NumPy's BLAS": now.numpy_blas,
        "own BLAS": now.own_blas or f"not installed: {_blas.INSTALL}",
        "eager products": now.eager,
        "compile": now.backend,
    }
    for name, value in lines.items():
        print(f"{name + ':':<17} {value}")


def _version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("tinygrad_lite")
    except importlib.metadata.PackageNotFoundError:
        return "run from its source, not installed"


def _instructions(features: dict[str, bool]) -> str:
    found = [name for feature, name in INSTRUCTIONS.items() if features.get(feature)]
    return ", ".join(found) or "none of the vector instructions that are looked for"


def _blas_of(library: _blas.OpenBLAS) -> BLAS:
    return BLAS(f"OpenBLAS {library.version} ({library.file.name})", library.kernels, library.threads())


def _name_of_numpys() -> str:
    """What NumPy says that it was built with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key))


def _backend() -> str:
    from tinygrad_lite.compiler import backends  # not before somebody asks: it is for compiling only

    if backends.choose("auto").name == "native":
        return "native code: llvmlite is installed"
    return f"NumPy replay: native code needs llvmlite: {_blas.INSTALL}"
