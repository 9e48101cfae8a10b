"""What ``explain()`` tells: what a program is made of, what it holds, and when it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lite.compiler.entry import Entry
from tinygrad_lite.compiler.program import Program

__all__ = ["explanation"]


def explanation(name: str, backend: str, entries: list[Entry], eager: str) -> str:
    """The programs of a compiled function, in words."""
    lines = [f"{name}: {backend} backend, {_counted(len(entries), 'program')}"]
    if eager:
        lines += [f"runs eagerly: {eager}"]
    elif not entries:
        lines += ["no program yet: two calls that agree are recorded, the next one is held against an eager step"]
    for number, entry in enumerate(entries, start=1):
        lines += ["", f"program {number}", *(f"  {line}" for line in _entry(entry))]
    return "\n".join(lines)


def _entry(entry: Entry) -> Iterator[str]:
    program = entry.capture.program
    arguments = [i for i, kind in enumerate(program.kinds) if kind == "argument"]
    yield "for " + (", ".join(_array(program, i) for i in arguments) or "calls without tensors")
    yield f"changes {', '.join(program.names[place] for place, _ in program.writes) or 'nothing in place'}"
    if program.gradients:
        yield f"leaves gradients of {', '.join(name for name, _ in program.gradients)}"
    yield from _executable(entry.executable)
    if entry.replay is not None:
        yield "backward"
        yield from (f"  {line}" for line in _executable(entry.replay.executable))
    held = entry.executable.arena_bytes + sum(gradient._array.nbytes for gradient in entry.gradients)
    yield f"holds {held:,} bytes: {entry.executable.arena_bytes:,} for results on the way, the rest gradients"
    yield f"reads at each call: {', '.join(entry.executable.number_sources) or 'no hyperparameters'}"
    found = [*entry.capture.conditions.items()]
    yield f"holds while {_counted(len(entry.conditions), 'thing')} in reach stay as they are" + "".join(
        f"; {source} is {value}" for source, value in found
    )
    yield from _baked(program)


def _executable(executable: Any) -> Iterator[str]:
    report = executable.report()
    if isinstance(report, dict):  # NumPy
        yield "NumPy calls: " + ", ".join(f"{count} {name}" for name, count in report["calls"].items())
        if report["allocated"]:
            yield f"allocated anew at each call: {', '.join(report['allocated'])}"
        return
    yield f"fused loops: {len(report.groups)}"
    yield from (f"  {group}" for group in report.groups)
    yield f"matrix products: {len(report.products)}"
    yield from (f"  {product}" for product in report.products)
    yield f"calls of NumPy: {len(report.calls)}"
    yield from (f"  {call}" for call in report.calls)
    stages = ", ".join(f"{stage} {time:.0f} ms" for stage, time in report.milliseconds.items())
    yield f"compiled in {sum(report.milliseconds.values()):.0f} ms: {stages}"


def _baked(program: Program) -> Iterator[str]:
    """Arrays that the step makes, with the same content at each call, and that are now part of the program."""
    baked = [v for v in program.values() if v.op == "constant" and isinstance(v.params["data"], np.ndarray)]
    counted = Counter(f"{v.dtype}{list(v.shape)} of {v.origin.line}" for v in baked)
    if counted:
        yield "baked in:"
        yield from (f"  {count} x {text}" if count > 1 else f"  {text}" for text, count in counted.items())


def _array(program: Program, place: int) -> str:
    value = program.inputs[place]
    return f"{program.names[place]} {value.dtype}{list(value.shape)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
