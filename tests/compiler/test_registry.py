"""Every primitive, from its samples: recorded once, its program gives on other values what eager mode gives there.

Forward, gradients and gradients of gradients of all samples of a primitive are one step, with the samples' inputs as
its arguments, or as tensors that it finds around itself.
"""

import importlib.util
from unittest import mock

import numpy as np
import pytest

import tinygrad_lite as tl
from tests import samples
from tests.compiler.replaying import Replay, arrays_of, assert_agree, record
from tests.samples import SAMPLES
from tests.test_registry import smooth_inputs
from tinygrad_lite.autograd.primitive import PRIMITIVES

MASKED = {"_take", "_add_at", "put"}
"""Primitives that are not recorded for bool indices: the mask says how many elements there are."""


def _drawn_again():
    """The same samples, of other random numbers."""
    spec = importlib.util.spec_from_file_location("tests.samples_drawn_again", samples.__file__)
    module, draw = importlib.util.module_from_spec(spec), np.random.default_rng
    with mock.patch("numpy.random.default_rng", lambda seed: draw(seed + 1)):
        spec.loader.exec_module(module)
    return module.SAMPLES


OTHERS = _drawn_again()


def inputs_of(sample, dtype):
    return [None if x is None else np.array(x, dtype if x.dtype.kind == "f" else None) for x in sample.inputs]


def other_inputs_of(name, number, dtype):
    """Inputs of the same shapes and domains; what is written out in a sample comes in another order."""
    inputs = inputs_of(SAMPLES[name][number], dtype)
    others = inputs_of(OTHERS[name][number], dtype)
    return [
        np.array(np.flip(other)) if other is not None and np.array_equal(x, other, equal_nan=True) else other
        for x, other in zip(inputs, others, strict=True)
    ]


class Step:
    """Value, gradients and gradients of gradients of one sample."""

    def __init__(self, name, sample, seed):
        self.call, self.params = PRIMITIVES[name], sample.params
        self.needs = smooth_inputs(name, sample)
        self.random = np.random.default_rng(seed)

    def direction(self, tensor):
        return tl.tensor(self.random.uniform(-1, 1, tensor.shape), dtype=tensor.dtype)

    def prepare(self, tensors):
        """Draw the directions: constants of the step."""
        out = self.call(*tensors, **self.params)
        self.cotangent = self.direction(out) if self.needs else None
        self.weights = [self.direction(tensors[i]) for i in self.needs]

    def __call__(self, tensors):
        out = self.call(*tensors, **self.params)
        if not self.needs:
            return [out.clone()]
        chosen = [tensors[i] for i in self.needs]
        first = tl.autograd.grad(out, chosen, self.cotangent, create_graph=True)
        slope = sum((g * w).sum() for g, w in zip(first, self.weights, strict=True))
        second = [None]
        if slope.requires_grad:
            second = tl.autograd.grad(slope, chosen, retain_graph=True, allow_unused=True)
        return [t.detach().clone() for t in (out, *first, *second) if t is not None]


class Steps:
    """Samples of a primitive in one step: of arguments, or of leaves of its own."""

    def __init__(self, name, numbers, dtype, kind):
        self.name, self.numbers, self.dtype, self.kind = name, numbers, dtype, kind
        self.parts = [Step(name, SAMPLES[name][number], number) for number in numbers]
        self.leaves = self.tensors(inputs_of(SAMPLES[name][number], dtype) for number in numbers)
        for part, tensors in zip(self.parts, self.leaves, strict=True):
            part.prepare(tensors)

    def tensors(self, inputs):
        return [
            [None if x is None else tl.tensor(x, requires_grad=i in part.needs) for i, x in enumerate(arrays)]
            for part, arrays in zip(self.parts, inputs, strict=True)
        ]

    @property
    def step(self):
        parts, found = self.parts, self.leaves
        if self.kind == "arguments":
            return lambda inputs: [part(tensors) for part, tensors in zip(parts, inputs, strict=True)]
        return lambda: [part(tensors) for part, tensors in zip(parts, found, strict=True)]

    @property
    def arguments(self):
        return [self.leaves] if self.kind == "arguments" else []

    def change_values(self):
        """Put other values where the step finds its inputs."""
        others = self.tensors(other_inputs_of(self.name, number, self.dtype) for number in self.numbers)
        for mine, theirs in zip(arrays_of(self.leaves), arrays_of(others), strict=True):
            mine[...] = theirs


def is_masked(name, sample):
    return name in MASKED and any(x.dtype == np.bool_ for x in sample.inputs)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (tl.float32, "arguments"),
        (tl.float64, "leaves"),
        pytest.param(tl.float32, "leaves", marks=pytest.mark.slow),
        pytest.param(tl.float64, "arguments", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_recorded_primitive_gives_on_other_values_what_eager_mode_gives(name, dtype, kind, backend):
    numbers = [number for number, sample in enumerate(SAMPLES[name]) if not is_masked(name, sample)]
    steps = Steps(name, numbers, dtype, kind)
    replay = Replay(record(steps.step, *steps.arguments), backend)
    steps.change_values()
    expected = steps.step(*steps.arguments)
    assert_agree(backend, replay(*steps.arguments), arrays_of(expected))


@pytest.mark.parametrize("name", sorted(MASKED))
def test_a_mask_as_index_is_not_recorded(name):
    numbers = [number for number, sample in enumerate(SAMPLES[name]) if is_masked(name, sample)]
    assert numbers
    for number in numbers:
        steps = Steps(name, [number], tl.float32, "leaves")
        found = record(steps.step)
        assert "depends on the elements" in found.problems[0]
        assert_agree("numpy", arrays_of(found.result), arrays_of(steps.step()))
