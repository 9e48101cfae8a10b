"""The first replay of a program, held against an eager step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.engine import grad
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild
from tinygrad_lite.compiler import numpy_emitter, passes
from tinygrad_lite.compiler.differentiation import Replay
from tinygrad_lite.compiler.entry import Entry

__all__ = ["TOLERANCE", "MismatchError", "verify"]

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
SMALLEST_NORM = 1e-3  # differences between smaller arrays are rounding of larger intermediate results
TINY = 1e-30
ENOUGH = 16  # roundings on the way, for one of each input


class MismatchError(RuntimeError):
    """A program that does something else than the step."""


def verify(entry: Entry, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, bool]:
    """Run the step by its program on copies, then for real in eager mode, and compare.

    Returns
    -------
    (object, bool)
        The real result; and whether there was something to compare: a program may refuse values.

    Raises
    ------
    MismatchError
        If loss, gradients or state differ by more than rounding: norm-wise 1e-4 in float32, 1e-10 in float64. The
        eager step has been done then.
    """
    trial = _Trial(entry, args, kwargs)
    replayed = trial.run(entry.executable)
    arrays = entry.arrays  # the step changes these, also where it drops a gradient in the end
    result = function(*args, **kwargs)
    entry.bind()
    outputs = [leaf for leaf in leaves(result) if isinstance(leaf, Tensor)]
    if replayed is None:
        return result, False
    real = dict(_real(entry, outputs, arrays))
    gradients = [name for name in replayed if name.startswith("the gradient of")]
    if entry.replay is not None:
        saved = [replayed.pop(f"output {place}") for place in range(len(outputs), len(entry.executable.outputs))]
        if not entry.capture.program.writes:  # else running the step again would change more
            args, kwargs = _as_leaves((tuple(args), kwargs))  # what lies behind the arguments is not the program's
            trial.rewind()
            apart = [leaf for leaf in leaves(function(*args, **kwargs)) if isinstance(leaf, Tensor)]
            _differentiate(entry, entry.replay, saved, apart, args, kwargs, replayed, real)
    tolerance = max((TOLERANCE.get(v.dtype.name, 0) for v in entry.capture.program.values()), default=0)
    for name, array in replayed.items():
        difference = _difference(array, real[name])
        if difference > tolerance and not trial.explains(name, array, real[name]):
            raise _mismatch(function, name, f"{difference:.2g} of its norm")
    if all(_difference(replayed[name], real[name], smallest=TINY) < 1e-3 for name in gradients):  # no noise
        for name, old in trial.before.items():
            if _moves_otherwise(replayed[name], real[name], old):
                raise _mismatch(function, name, "a tenth of its step or more")
    return result, True


def _mismatch(function: Callable[..., Any], name: str, difference: str) -> MismatchError:
    return MismatchError(
        f"compile: the program of {getattr(function, '__name__', function)} differs from the step itself: "
        f"{name} by {difference}; the step was run eagerly, and will be"
    )


@np.errstate(all="ignore")
def _moves_otherwise(found: Any, expected: Any, before: Any) -> bool:
    """Whether a change is another one: small as it may be beside the array, and rounding apart."""
    if expected.dtype.kind != "f":
        return False
    rounding = 8 * float(np.finfo(expected.dtype).eps) * _norm(expected)
    return _norm(found - expected) > 0.1 * _norm(expected - before) + rounding


class _Trial:
    """Runs of a program, on copies of what it changes, and on the same random numbers.

    Attributes
    ----------
    before : dict of str to ndarray
        What the program changes, as it was.
    """

    def __init__(self, entry: Entry, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.entry = entry
        program = entry.capture.program
        self.written = {place for place, _ in program.writes}
        arguments = [leaf._array for leaf in entry.own_arguments(args, kwargs)]
        self.arrays = [
            arguments.pop(0) if tensor is None else np.copy(array) if place in self.written else array
            for place, (array, tensor) in enumerate(zip(entry.arrays, entry.capture.tensors, strict=True))
        ]
        self.before = {program.names[place]: self.arrays[place] for place in self.written}
        self.generators = entry.generators()
        self.states = [generator.get_state() for generator in self.generators]
        entry.update_numbers()
        self._shaken: dict[str, Any] | None = None

    def run(self, executable: Any, shake: bool = False) -> dict[str, Any] | None:
        """What the program leaves, by name; None if it refuses the values. ``shake``: from inputs that are rounded."""
        program = self.entry.capture.program
        arrays = [np.copy(array) if place in self.written else array for place, array in enumerate(self.arrays)]
        arrays = [_shaken(array) for array in arrays] if shake else arrays
        gradients = [np.empty(value.shape, value.dtype) for _, value in program.gradients]
        executable.bind(arrays, gradients)
        states = [generator.get_state() for generator in self.generators]
        self._set(self.states)
        try:
            refused = executable.run()
        except (ValueError, IndexError):
            refused = True
        self._set(states)
        if refused:
            return None
        found = {f"output {i}": np.copy(array) for i, array in enumerate(executable.outputs)}
        found |= {program.names[place]: arrays[place] for place in self.written}
        found |= {f"the gradient of {name}": g for (name, _), g in zip(program.gradients, gradients, strict=True)}
        return found

    def rewind(self) -> None:
        """Let the generators draw the same numbers again."""
        self._set(self.states)

    def explains(self, name: str, found: Any, expected: Any) -> bool:
        """Whether rounding the inputs moves a result as far: where numbers cancel, the rest is rounding."""
        if expected.dtype.kind != "f" or found.shape != expected.shape:
            return False
        if self._shaken is None:
            exact = numpy_emitter.compile_program(passes.run_passes(self.entry.capture.program, passes.EXACT))
            exact.numbers[:] = [self.entry.number(source) for source in exact.number_sources]
            self._shaken = self.run(exact, shake=True) or {}
        shaken = self._shaken.get(name)
        return shaken is not None and _norm(found - expected) <= ENOUGH * _norm(shaken - expected)

    def _set(self, states: Sequence[Any]) -> None:
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


def _as_leaves(arguments: Any) -> Any:
    """The arguments without the graph behind them; the same leaf for the same tensor."""
    apart = {
        id(leaf): leaf.detach().requires_grad_()
        for leaf in leaves(arguments)
        if isinstance(leaf, Tensor) and leaf._node is not None and leaf._requires_grad
    }
    return rebuild(arguments, [apart.get(id(leaf), leaf) for leaf in leaves(arguments)])


def _shaken(array: Any) -> Any:
    """The array after another rounding."""
    if array.dtype.kind != "f":
        return array
    signs = np.where(np.arange(array.size) % 3 == 0, -1, 1).reshape(array.shape)
    return np.asarray(array + array * (signs * np.finfo(array.dtype).eps).astype(array.dtype))


def _differentiate(
    entry: Entry,
    replay: Replay,
    saved: Sequence[Any],
    outputs: Sequence[Tensor],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    replayed: dict[str, Any],
    real: dict[str, Any],
) -> None:
    """Add the gradients of both, for one and the same gradient of the outputs."""
    backward, names = replay.backward, entry.capture.program.names
    own = iter(entry.own_arguments(args, kwargs))
    inputs = [next(own) if tensor is None else tensor for tensor in entry.capture.tensors]
    results = [outputs[place] for place in backward.outputs]
    cotangents = [wrap(np.cos(np.arange(t.numel())).astype(t.dtype).reshape(t.shape)) for t in results]
    sources = [inputs[place] for place in backward.sources]
    found = replay([*(g._array for g in cotangents), *saved, *(inputs[place]._array for place in backward.inputs)])
    expected = grad(results, sources, cotangents, retain_graph=True, allow_unused=True)
    for place, ours, theirs in zip(backward.sources, found, expected, strict=True):
        if ours is not None and theirs is not None:
            name = f"the gradient of {names[place]}"
            replayed[name], real[name] = ours._array, theirs._array


def _real(entry: Entry, outputs: Sequence[Tensor], arrays: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The same, of the real step."""
    program = entry.capture.program
    for index, output in enumerate(outputs):
        yield f"output {index}", output._array
    for place, _ in program.writes:
        yield program.names[place], arrays[place]
    for tensor, number in entry.capture.gradients:
        if number is not None and tensor._grad is not None:
            yield f"the gradient of {program.gradients[number][0]}", tensor._grad._array


@np.errstate(all="ignore")
def _difference(found: Any, expected: Any, smallest: float = SMALLEST_NORM) -> float:
    """The norm of the difference, in norms of what is expected; infinite where shapes or NaNs differ."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(found, expected) else float("inf")
    error, norm = _norm(found - expected), _norm(expected)
    if not np.isfinite(error) or not np.isfinite(norm):  # a NaN somewhere, or too large to be squared
        a, b = found.astype(np.float64), expected.astype(np.float64)
        finite = np.isfinite(b)
        if not np.array_equal(finite, np.isfinite(a)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return float("inf")
        error, norm = _norm(a[finite] - b[finite]), _norm(b[finite])
    return error / max(norm, smallest)


def _norm(array: Any) -> float:
    flat = np.ravel(array)
    return float(np.sqrt(np.dot(flat, flat)))
