"""One thread on one core, and a record of what the figures were measured on."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit the BLAS libraries and PyTorch to one thread, and this process to one core where the system offers it."""
    threadpoolctl = _threadpoolctl()
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        if torch:
            torch.set_num_threads(1)
        if cores:
            os.sched_setaffinity(0, {max(cores)})
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        if cores:
            os.sched_setaffinity(0, cores)


def describe() -> dict[str, Any]:
    """Processor, versions, and the BLAS libraries that are loaded, with their kernels and threads."""
    return {
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "versions": {"Python": platform.python_version(), **_versions("numpy", "tinygrad_lite", "torch")},
        "BLAS": [
            {
                "library": f"{pool['internal_api']} {pool.get('version') or ''}".strip(),
                "kernels": pool.get("architecture", "not named"),
                "threads": pool["num_threads"],
                "file": Path(pool["filepath"]).name,
            }
            for pool in _threadpoolctl().threadpool_info()
        ],
    }


def _threadpoolctl() -> Any:
    try:
        import threadpoolctl
    except ImportError:
        raise ImportError('the benchmarks name and limit BLAS threads: pip install "tinygrad_lite[dev]"') from None
    return threadpoolctl


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
