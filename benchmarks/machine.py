"""One thread on one core, and a record of what the figures were measured on."""

import contextlib
import importlib
import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

AVX512_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}
"""OpenBLAS's names of them."""

OWNERS = {"numpy.libs": "NumPy's", "scipy.libs": "SciPy's", "scipy_openblas32": "tinygrad_lite's own"}
"""Whose a BLAS is, by a folder on its path."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit the BLAS libraries and PyTorch to one thread, and this process to one core where the system offers it.

    JAX knows no such limit, and a BLAS that is loaded later has been given none. Both make a thread for each core that
    they may use: one, where the process has one core.
    """
    torch, threadpoolctl = installed_torch(), _threadpoolctl()
    threads = torch.get_num_threads() if torch else None
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        if cores:
            os.sched_setaffinity(0, {max(cores)})
        if torch:
            torch.set_num_threads(1)
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        if cores:
            os.sched_setaffinity(0, cores)


def installed_torch() -> Any:
    """The module ``torch``, or None."""
    return importlib.import_module("torch") if importlib.util.find_spec("torch") else None


def describe(*packages: str) -> dict[str, Any]:
    """Processor, versions, and the libraries that multiply matrices, with their kernels and threads.

    Parameters
    ----------
    *packages : str
        What else to give the version of, where it is installed.
    """
    return {
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "versions": {"Python": platform.python_version(), **_versions("numpy", "tinygrad_lite", "torch", *packages)},
        "BLAS": [*_loaded(), *_linked_into_torch()],
    }


def idle_avx512() -> bool:
    """Whether the processor has AVX-512 and NumPy's BLAS does not use it; False where the system does not tell."""
    kernels = {blas["kernels"] for blas in _loaded() if blas["owner"] == "NumPy's"} - {"unnamed"}
    return "avx512f" in _cpuinfo("flags").split() and bool(kernels) and kernels.isdisjoint(AVX512_KERNELS)


def _loaded() -> Iterator[dict[str, Any]]:
    for pool in _threadpoolctl().threadpool_info():
        if pool["user_api"] == "blas":
            file = Path(pool["filepath"])
            yield {
                "owner": next((owner for folder, owner in OWNERS.items() if folder in file.parts), "NumPy's"),
                "library": f"{pool['internal_api']} {pool['version']} ({file.name})",
                "kernels": pool.get("architecture", "unnamed"),
                "threads": pool["num_threads"],
            }


def _linked_into_torch() -> Iterator[dict[str, Any]]:
    torch = installed_torch()
    if torch:
        yield {
            "owner": "PyTorch's",
            "library": "MKL" if torch.backends.mkl.is_available() else "its own",
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        }


def _threadpoolctl() -> Any:
    try:
        return importlib.import_module("threadpoolctl")
    except ImportError:
        raise ImportError('the benchmarks name and limit BLAS threads: pip install "tinygrad_lite[bench]"') from None


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """What Linux says of the first core; empty elsewhere."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith(field):
                return line.split(":", 1)[1].strip()
    return ""


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
