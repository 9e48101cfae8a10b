"""The results as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.contestants import BY_HAND, COMPILED, JAX, LITE, REPLAYED, TORCH

COMPARED = [(COMPILED, BY_HAND), (COMPILED, TORCH), (COMPILED, JAX), (COMPILED, LITE), (REPLAYED, LITE)]
"""Who is compared with whom in the table of compiled steps."""


def markdown(results: dict[str, Any]) -> str:
    """The tables of a result of :func:`benchmarks.__main__.run`."""
    tables = _machine(results["machine"]), _times(results), _compiled(results), _eager(results), _memory(results)
    starts = [_first_calls(results["first calls"])] if results["first calls"] else []
    return "\n\n".join("\n".join(lines) for lines in (*tables, *starts, _import(results)))


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    yield f"{machine['processor']}, {machine['system']}"
    yield ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    for blas in machine["BLAS"]:
        yield f"- {blas['owner']} BLAS, {blas['library']}: {blas['kernels']} kernels, threads: {blas['threads']}"


def _times(results: dict[str, Any]) -> Iterator[str]:
    who = results["contestants"]
    yield f"Microseconds a step, float32, median of {results['rounds']} rounds in turns:"
    yield ""
    yield f"| step | document | | {' | '.join(who)} |"
    yield "|-|-|-|" + "-:|" * len(who)
    for step in results["steps"]:
        times = " | ".join(_number(step["microseconds"][name], ".1f") for name in who)
        yield f"| {step['name']} | {step['document']} | {step['description']} | {times} |"


def _compiled(results: dict[str, Any]) -> Iterator[str]:
    yield "Compiled, times faster than the others, with what is to be reached (**bold** where it is not):"
    yield ""
    yield "| step | " + " | ".join(f"{name}: than {other}" for name, other in COMPARED) + " |"
    yield "|-|" + "-:|" * len(COMPARED)
    for step in results["steps"]:
        faster, bars = step["times faster"], step["bars"]
        pairs = ((faster.get(name, {}).get(other), bars[name].get(other)) for name, other in COMPARED)
        yield f"| {step['name']} | {' | '.join(_at_least(value, bar) for value, bar in pairs)} |"


def _eager(results: dict[str, Any]) -> Iterator[str]:
    yield f"Eager, time of {LITE} as a multiple of the others':"
    yield ""
    yield f"| step | of {BY_HAND} | of {TORCH} | target |"
    yield "|-|-:|-:|-:|"
    for step in results["steps"]:
        ratios = " | ".join(_number(step["ratio"].get(who), ".2f") for who in (BY_HAND, TORCH))
        baseline = "NumPy" if step["baseline"] == BY_HAND else TORCH
        target = f"<= {step['target']} x {baseline}" if step["target"] else ""
        yield f"| {step['name']} | {ratios} | {target} |"


def _memory(results: dict[str, Any]) -> Iterator[str]:
    yield "Peak memory of a step in KiB, gradients and saved arrays, beside the parameters and the data;"
    yield "of compiled steps what a call allocates, at its peak, beyond what it found:"
    yield ""
    yield f"| step | {BY_HAND} | {LITE} | ratio | {COMPILED}, a call | {REPLAYED}, a call |"
    yield "|-|-:|-:|-:|-:|-:|"
    for step in results["steps"]:
        by_hand, lite = (step["peak_bytes"][who] for who in (BY_HAND, LITE))
        calls = " | ".join(_kibibytes(step["allocated_bytes"].get(who)) for who in (COMPILED, REPLAYED))
        yield f"| {step['name']} | {_kibibytes(by_hand)} | {_kibibytes(lite)} | {lite / by_hand:.2f} | {calls} |"


def _first_calls(starts: list[dict[str, Any]]) -> Iterator[str]:
    yield "First calls, in a fresh interpreter: milliseconds that the calls before the steady state, compilation and"
    yield "imports included, take above as many eager steps:"
    yield ""
    yield f"| step | {COMPILED} | at most | {REPLAYED} | at most |"
    yield "|-|-:|-:|-:|-:|"
    for start in starts:
        times = (f"{_number(start['milliseconds'].get(who), '.0f')} | {bar}" for who, bar in start["bars"].items())
        yield f"| {start['name']} | {' | '.join(times)} |"


def _import(results: dict[str, Any]) -> Iterator[str]:
    times = results["import"]
    milliseconds = ", ".join(f"{module} {time:.0f} ms" for module, time in times["milliseconds"].items())
    yield f"Import: {milliseconds}; ratio {times['ratio']:.2f}, target <= {times['target']} x NumPy"


def _at_least(value: float | None, bar: float | None) -> str:
    """The value and what it should be at least, where there is such a bar."""
    if value is None or bar is None:
        return _number(value, ".2f")
    return f"{value:.2f} (>= {bar})" if value >= bar else f"**{value:.2f}** (>= {bar})"


def _kibibytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1024:.1f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
