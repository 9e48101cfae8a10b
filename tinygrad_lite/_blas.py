"""Which BLAS multiplies matrices: NumPy's, or an own OpenBLAS whose kernels are wider.

OpenBLAS picks its kernels by the model of the processor, and on some that have AVX-512 it picks AVX2 ones
("Haswell"). The wheel ``scipy-openblas32``, of the extra ``fast``, holds an OpenBLAS that can be told otherwise while
it is loaded. Nothing is loaded before the first product of matrices, and then only where it gains.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Choice",
    "OpenBLAS",
    "choose",
    "core_type",
    "gemm_address",
    "has_avx512",
    "numpys",
    "own",
    "processor_features",
    "product",
    "product_by",
    "set_threads",
]

WIDE = {"SkylakeX", "Cooperlake", "SapphireRapids"}
"""OpenBLAS's names of kernels that use AVX-512."""

NARROW = {"Prescott", "Core2", "Penryn", "Nehalem", "Barcelona", "Sandybridge", "Bulldozer", "Haswell", "Zen"}
"""OpenBLAS's names of x86 kernels that do not. A name in neither set is not judged."""

AVX512 = ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")
"""NumPy's names of what the SkylakeX kernels need."""

CORETYPE = "OPENBLAS_CORETYPE"
INSTALL = 'pip install "tinygrad_lite[fast]"'

LARGE = 1 << 21
"""Multiplications in the smallest product that the own library is asked for: below, its call through ctypes costs what
wider kernels save (docs/benchmarks.md)."""

THIN = 8
"""The smallest dimension of such a product: float64s in one AVX-512 register."""

INT_MAX = 2**31 - 1


# ---- an OpenBLAS


class OpenBLAS:
    """An OpenBLAS library in this process.

    Parameters
    ----------
    file : Path
        The library; it is loaded if it is not yet.
    suffix : str
        What its own functions' names end with.
    mode : int
        How to load it.

    Attributes
    ----------
    version : str
    kernels : str
        As OpenBLAS names them: ``"Haswell"``.
    threads : callable
        How many threads a product may use.
    """

    def __init__(self, file: Path, suffix: str = "", mode: int = ctypes.DEFAULT_MODE) -> None:
        library = ctypes.CDLL(str(file), mode)

        def function(name: str, returns: Any, *takes: Any) -> Any:
            found = getattr(library, f"scipy_openblas_{name}{suffix}")
            found.restype, found.argtypes = returns, takes
            return found

        configuration, core_name = function("get_config", ctypes.c_char_p), function("get_corename", ctypes.c_char_p)
        self.file = file
        self.version: str = configuration().decode().split()[1]
        self.kernels: str = core_name().decode()
        self.threads: Callable[[], int] = function("get_num_threads", ctypes.c_int)
        self.set_threads: Callable[[int], None] = function("set_num_threads", None, ctypes.c_int)
        self._library = library

    def gemm(self, dtype: np.dtype[Any]) -> Any:
        """``cblas_sgemm`` or ``cblas_dgemm``, of a library with 32-bit integers; float32 or float64."""
        name, real = {"f": ("scipy_cblas_sgemm", ctypes.c_float), "d": ("scipy_cblas_dgemm", ctypes.c_double)}[
            dtype.char
        ]
        integer, pointer = ctypes.c_int, ctypes.c_void_p
        function = self._library[name]  # a new function object: nobody else's argument types
        function.restype = None
        function.argtypes = [integer] * 6 + [real, pointer, integer, pointer, integer, real, pointer, integer]
        return function


# ---- the one that NumPy brings


def numpys() -> OpenBLAS | None:
    """The OpenBLAS in NumPy's wheel; None if NumPy was built with another BLAS, or the system's."""
    package = Path(np.__file__).parent
    loaded = ctypes.DEFAULT_MODE | getattr(os, "RTLD_NOLOAD", 0)  # Windows has no such mode
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for file in sorted(folder.glob("*scipy_openblas64_*")):
            with contextlib.suppress(OSError):  # a leftover of another release, which NumPy has not loaded
                return OpenBLAS(file, "64_", loaded)
    return None


def processor_features() -> dict[str, bool]:
    """The processor's vector instructions, by NumPy's names."""
    features: dict[str, bool] = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    return features


def has_avx512(features: Mapping[str, bool]) -> bool:
    """Whether the SkylakeX kernels run on a processor with these features."""
    return all(features.get(name, False) for name in AVX512)


# ---- the own one

_loading = threading.Lock()
_own: OpenBLAS | None = None


def own() -> OpenBLAS | None:
    """The OpenBLAS of the extra ``fast``, loaded by the first call; None if it is not installed.

    It starts with as many threads as NumPy's has at that time.
    """
    global _own
    with _loading:  # two threads would restore each other's environment
        if _own is None and (file := _own_file()) is not None:
            beside = numpys()
            kernels = beside.kernels if beside else None
            with _environment(core_type(processor_features(), kernels, os.environ)):
                _own = OpenBLAS(file)
            if beside:
                _own.set_threads(beside.threads())
    return _own


def _own_file() -> Path | None:
    """The library in the wheel, whose module is not imported: that would load it as it is."""
    import importlib.util  # not when the package is imported, which need not look for anything

    spec = importlib.util.find_spec("scipy_openblas32")
    folders = (spec.submodule_search_locations if spec else None) or []
    found = (file for folder in folders for file in sorted(Path(folder, "lib").glob("libscipy_openblas*")))
    return next((file for file in found if file.suffix in (".so", ".dylib", ".dll")), None)


def core_type(features: Mapping[str, bool], kernels: str | None, environment: Mapping[str, str]) -> str | None:
    """What to set OPENBLAS_CORETYPE to while the own library is loaded; None: leave it alone.

    Parameters
    ----------
    features : mapping of str to bool
        The processor's, by NumPy's names.
    kernels : str or None
        What NumPy's OpenBLAS chose on this processor: the own one would choose alike.
    environment : mapping
        A value that the user has set is never overridden.
    """
    return "SkylakeX" if has_avx512(features) and kernels in NARROW and not environment.get(CORETYPE) else None


@contextlib.contextmanager
def _environment(value: str | None) -> Iterator[None]:
    """OPENBLAS_CORETYPE with this value, unless it is None; afterwards as before."""
    if value is None:
        yield
        return
    before = os.environ.get(CORETYPE)
    os.environ[CORETYPE] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[CORETYPE]
        else:
            os.environ[CORETYPE] = before


def gemm_address(dtype: Any) -> int | None:
    """Where the own library's ``cblas_sgemm`` or ``cblas_dgemm``, with 32-bit integers, lies in memory.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Returns
    -------
    int or None
        None if the library is not installed. It is never unloaded.
    """
    library = own()
    return ctypes.cast(library.gemm(np.dtype(dtype)), ctypes.c_void_p).value if library else None


def set_threads(number: int) -> int:
    """Let the own library use so many threads; how many it used before.

    Eager products set it to NumPy's number, where they use this library.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    library = own()
    if library is None:
        raise ImportError(f"there is no BLAS of our own to set threads of: {INSTALL}")
    if number < 1:
        raise ValueError(f"a BLAS needs at least one thread, not {number}")
    before = library.threads()
    library.set_threads(number)
    return before


# ---- which one multiplies in eager mode


class Choice(NamedTuple):
    """Whether large products go to the own library, and why."""

    own: bool
    reason: str


def choose(
    features: Mapping[str, bool],
    kernels: str | None,
    load: Callable[[], OpenBLAS | None],
    environment: Mapping[str, str],
) -> Choice:
    """Whether the own library gains over NumPy's: it has AVX-512 kernels, and NumPy's has not.

    Parameters
    ----------
    features : mapping of str to bool
        The processor's, by NumPy's names.
    kernels : str or None
        Those of NumPy's OpenBLAS; None for another BLAS.
    load : callable
        Gives the own library, or None; called only if its kernels decide.
    environment : mapping
        Where OPENBLAS_CORETYPE may be.
    """
    if kernels is None:
        return Choice(False, "NumPy's: it is no OpenBLAS of NumPy's wheels, so its kernels are not known")
    if not has_avx512(features):
        if kernels in ("Haswell", "Zen"):
            return Choice(False, f"NumPy's: its kernels ({kernels}) are the widest that this processor has")
        return Choice(
            False, f"NumPy's ({kernels} kernels): only AVX-512 kernels could gain, and the processor has none"
        )
    if kernels not in NARROW:
        sure = "are the widest that this processor has" if kernels in WIDE else "are not known to lack AVX-512"
        return Choice(False, f"NumPy's: its kernels ({kernels}) {sure}")
    library = load()
    if library is None:
        return Choice(
            False, f"NumPy's, with {kernels} kernels in spite of AVX-512: the extra is not installed: {INSTALL}"
        )
    if library.kernels in WIDE:
        wasted = f"NumPy's chose {kernels} although the processor has AVX-512"
        return Choice(True, f"own OpenBLAS with {library.kernels} kernels, where large: {wasted}")
    asked = environment.get(CORETYPE)
    why = f"{CORETYPE}={asked} asks for them" if asked else "it was loaded before by something else"
    return Choice(False, f"NumPy's: the own OpenBLAS has no wider kernels ({library.kernels}): {why}")


def _first(x: Any, y: Any) -> Any:
    """The first product of all: it decides who computes those that follow."""
    global product
    beside = numpys()
    choice = choose(processor_features(), beside.kernels if beside else None, own, os.environ)
    library = own() if choice.own else None
    product = product_by(library, beside.threads) if library and beside else np.dot
    return product(x, y)


product: Callable[[Any, Any], Any] = _first
"""``np.dot``, and where it gains the own library for large matrices. It is rebound: call it as ``_blas.product``."""


def product_by(library: OpenBLAS, threads: Callable[[], int]) -> Callable[[Any, Any], Any]:
    """``np.dot`` that gives products of large matrices, float32 or float64, to a library.

    NumPy's floating-point warnings, which every operation runs without, do not come with these.

    Parameters
    ----------
    library : OpenBLAS
        With 32-bit integers.
    threads : callable
        How many it is to use, asked at every product.
    """
    row_major, plain, transposed = 101, 111, 112  # CBLAS's numbers
    gemms = {dtype: (library.gemm(dtype), dtype) for dtype in (np.dtype(np.float32), np.dtype(np.float64))}

    def multiply(x: Any, y: Any) -> Any:
        # Tensors and recording arrays find their own way from np.dot; so does what is wrong find its error.
        if x.__class__ is not np.ndarray or y.__class__ is not np.ndarray or not x.ndim == y.ndim == 2:
            return np.dot(x, y)
        (m, k), (rows, n) = x.shape, y.shape
        if m * k * n < LARGE or k != rows or min(m, k, n) < THIN or x.dtype != y.dtype or x.dtype not in gemms:
            return np.dot(x, y)
        (a, x_step, x_plain), (b, y_step, y_plain) = _layout(x), _layout(y)
        readable = 0 < x_step <= INT_MAX and 0 < y_step <= INT_MAX and max(m, k, n) <= INT_MAX
        if not readable or a == b:  # perhaps x @ x.T, of which NumPy computes half
            return np.dot(x, y)
        gemm, dtype = gemms[x.dtype]
        out = np.empty((m, n), dtype)
        c = out.__array_interface__["data"][0]
        library.set_threads(threads())
        x_flag, y_flag = plain if x_plain else transposed, plain if y_plain else transposed
        gemm(row_major, x_flag, y_flag, m, n, k, 1.0, a, x_step, b, y_step, 0.0, c, n)
        return out

    return multiply


def _layout(x: np.ndarray[Any, Any]) -> tuple[int, int, bool]:
    """A matrix as BLAS sees it: its address, elements from one row to the next, and whether these are rows or columns.

    The step is 0 where BLAS cannot read it.
    """
    size = x.itemsize
    down, right = x.strides
    rows, columns = x.shape
    address = x.__array_interface__["data"][0]
    step = down if right == size and down >= size * columns else right if down == size and right >= size * rows else 0
    return address, 0 if step % size or address % size else step // size, right == size
