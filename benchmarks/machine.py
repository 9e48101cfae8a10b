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


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit the BLAS libraries and PyTorch to one thread, and this process to one core where the system offers it."""
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


def describe() -> dict[str, Any]:
    """Processor, versions, and the libraries that multiply matrices, with their kernels and threads."""
    return {
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "versions": {"Python": platform.python_version(), **_versions("numpy", "tinygrad_lite", "torch")},
        "BLAS": [*_loaded(), *_linked_into_torch()],
    }


def _loaded() -> Iterator[dict[str, Any]]:
    for pool in _threadpoolctl().threadpool_info():
        if pool["user_api"] == "blas":
            yield {
                "library": f"{pool['internal_api']} {pool['version']} ({Path(pool['filepath']).name})",
                "kernels": pool.get("architecture", "unnamed"),
                "threads": pool["num_threads"],
            }


def _linked_into_torch() -> Iterator[dict[str, Any]]:
    torch = installed_torch()
    if torch:
        yield {
            "library": "PyTorch's own" + (", MKL" if torch.backends.mkl.is_available() else ""),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        }


def _threadpoolctl() -> Any:
    try:
        return importlib.import_module("threadpoolctl")
    except ImportError:
        raise ImportError('the benchmarks name and limit BLAS threads: pip install "tinygrad_lite[bench]"') from None


def _processor() -> str:
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
