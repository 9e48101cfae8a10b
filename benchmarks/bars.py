"""What compiled steps are to reach: so many times faster than the others, and how soon."""

from benchmarks.contestants import BY_HAND, COMPILED, JAX, REPLAYED, TORCH

FIRST_CALLS = {COMPILED: 400, REPLAYED: 100}
"""Milliseconds that the calls before the steady state may take, at most."""

REPLAY = 1.2
"""How many times faster than eager mode NumPy replay is to be, of every step."""

_OF_A_SAMPLE = {BY_HAND: 6, TORCH: 25, JAX: 6}
_OF_A_SMALL_BATCH = {BY_HAND: 1.25, TORCH: 1.7, JAX: 1}

NATIVE: dict[str, dict[str, float]] = {
    "L1": _OF_A_SAMPLE,
    "L2": _OF_A_SAMPLE,
    "L3": {BY_HAND: 12, TORCH: 30, JAX: 12},
    "B1": _OF_A_SMALL_BATCH,
    "B2": {BY_HAND: 1.1, TORCH: 1.4},
    "B3": {BY_HAND: 1.05, TORCH: 1},
    "B4": _OF_A_SMALL_BATCH,
    "B5": {BY_HAND: 1.6, TORCH: 1.8},
    "E1": {BY_HAND: 20, TORCH: 80, JAX: 5},
    "E2": {BY_HAND: 3, TORCH: 4, JAX: 3},
}
"""How many times faster than each of the others native code is to be."""

WITH_IDLE_AVX512: dict[str, dict[str, float]] = {
    "B1": {BY_HAND: 1.5},
    "B2": {BY_HAND: 1.8, JAX: 0.95},
    "B3": {BY_HAND: 1.7, TORCH: 1.7, JAX: 0.95},
    "B4": {BY_HAND: 1.5},
    "B5": {BY_HAND: 2, TORCH: 2.5, JAX: 0.95},
}
"""In place of those above where the processor has AVX-512 and NumPy's BLAS does not use it."""


def of_step(name: str, idle_avx512: bool) -> dict[str, float]:
    """The bars of a step by contestant; empty if it has none."""
    return {**NATIVE.get(name, {}), **(WITH_IDLE_AVX512.get(name, {}) if idle_avx512 else {})}
