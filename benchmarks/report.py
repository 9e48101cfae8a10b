"""The results as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.steps import BY_HAND, LITE, TORCH


def markdown(results: dict[str, Any]) -> str:
    """The tables of a result of :func:`benchmarks.__main__.run`."""
    parts = _machine(results["machine"]), _steps(results), _memory(results), _import(results)
    return "\n\n".join("\n".join(lines) for lines in parts)


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    yield f"{machine['processor']}, {machine['system']}"
    yield ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    for blas in machine["BLAS"]:
        yield f"- {blas['library']}: {blas['kernels']} kernels, threads: {blas['threads']}"


def _steps(results: dict[str, Any]) -> Iterator[str]:
    yield f"Microseconds a step, float32, median of {results['rounds']} rounds in turns; ratios of {LITE}:"
    yield ""
    yield f"| step | document | | {BY_HAND} | {LITE} | {TORCH} | to NumPy | to {TORCH} | target |"
    yield "|-|-|-|-:|-:|-:|-:|-:|-:|"
    for step in results["steps"]:
        times = " | ".join(_number(step["microseconds"].get(who), ".1f") for who in (BY_HAND, LITE, TORCH))
        ratios = " | ".join(_number(step["ratio"].get(who), ".2f") for who in (BY_HAND, TORCH))
        baseline = "NumPy" if step["baseline"] == BY_HAND else TORCH
        target = f"<= {step['target']} x {baseline}" if step["target"] else ""
        yield f"| {step['name']} | {step['document']} | {step['description']} | {times} | {ratios} | {target} |"


def _memory(results: dict[str, Any]) -> Iterator[str]:
    yield "Peak memory of a step in KiB, gradients and saved arrays, beside the parameters and the data:"
    yield ""
    yield f"| step | {BY_HAND} | {LITE} | ratio |"
    yield "|-|-:|-:|-:|"
    for step in results["steps"]:
        by_hand, lite = (step["peak_bytes"][who] for who in (BY_HAND, LITE))
        yield f"| {step['name']} | {by_hand / 1024:.1f} | {lite / 1024:.1f} | {lite / by_hand:.2f} |"


def _import(results: dict[str, Any]) -> Iterator[str]:
    times = results["import"]
    milliseconds = ", ".join(f"{module} {time:.0f} ms" for module, time in times["milliseconds"].items())
    yield f"Import: {milliseconds}; ratio {times['ratio']:.2f}, target <= {times['target']} x NumPy"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
