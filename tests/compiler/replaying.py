"""Recording a step for a test, and running its program on other values by one of the backends."""

import numpy as np

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.autograd.tree import leaves
from tinygrad_lite.compiler.capture import capture
from tinygrad_lite.compiler.passes import EXACT, NATIVE, run_passes
from tinygrad_lite.compiler.surroundings import Surroundings

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}  # of a norm, for native code
SMALLEST_NORM = 1e-3


def compile_by(backend, program):
    """The program after the backend's passes, compiled."""
    if backend == "numpy":
        from tinygrad_lite.compiler.numpy_emitter import compile_program

        return compile_program(run_passes(program, EXACT))
    from tinygrad_lite.compiler.native import compile_program

    return compile_program(run_passes(program, NATIVE))


def record(step, *args):
    """One recorded run of a step with these arguments."""
    return capture(step, args, {}, Surroundings(step))


class Replay:
    """The program of a recorded step without an optimizer, bound to the step's own tensors.

    ``replay(*args)`` runs it in the step's place, and returns copies of the outputs; what the step leaves in
    gradients is found under the tensors' names in ``gradients``.
    """

    def __init__(self, found, backend):
        assert not found.problems, found.problems
        self._places = [place for place, tensor in enumerate(found.tensors) if tensor is None]
        self._arrays = [
            np.empty(value.shape, value.dtype) if tensor is None else getattr(tensor, "_array", tensor)
            for value, tensor in zip(found.program.inputs, found.tensors, strict=True)
        ]
        self._executable = compile_by(backend, found.program)
        assert not self._executable.number_sources, "a step with hyperparameters needs tl.compile"
        arrays = [np.empty(value.shape, value.dtype) for _, value in found.program.gradients]
        self.gradients = {name: array for (name, _), array in zip(found.program.gradients, arrays, strict=True)}

    def __call__(self, *args):
        given = {id(leaf): leaf._array for leaf in leaves(args) if isinstance(leaf, Tensor)}
        for place, array in zip(self._places, given.values(), strict=True):
            self._arrays[place] = array
        self._executable.bind(self._arrays, list(self.gradients.values()))
        with np.errstate(all="ignore"):
            assert not self._executable.run()
        return [np.copy(array) for array in self._executable.outputs]


def arrays_of(tree):
    """The arrays of all tensors in nested tuples, lists and dicts."""
    return [leaf._array for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def assert_agree(backend, ours, theirs):
    """Bit for bit by NumPy; within rounding, in units of the norm, by native code."""
    for number, (found, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), number
        if backend == "numpy" or expected.dtype.kind != "f":
            np.testing.assert_array_equal(found, expected, strict=True, err_msg=f"number {number}")
            assert backend != "numpy" or found.tobytes() == expected.tobytes(), (number, found, expected)
        else:
            assert relative_error(found, expected) <= TOLERANCE[expected.dtype.name], (number, found, expected)


def relative_error(found, expected):
    """The norm of the difference over the norm; what is not finite must be the same."""
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    difference = found[finite].astype(np.float64) - expected[finite].astype(np.float64)
    return np.linalg.norm(difference) / max(np.linalg.norm(expected[finite].astype(np.float64)), SMALLEST_NORM)
