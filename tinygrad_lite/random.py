"""Random tensors, reproducible by ``manual_seed``.

Numbers come from ``numpy.random.Generator``: the same seed gives the same numbers here, but not
PyTorch's.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap
from tinygrad_lite.creation import _float_by_default, _leaf, _shape
from tinygrad_lite.dtypes import DTypeLike

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "initial_seed",
    "manual_seed",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "seed",
]


class Generator:
    """A source of random numbers with a state of its own.

    Attributes
    ----------
    numpy : numpy.random.Generator
        What draws the numbers; seeded from the operating system until ``manual_seed``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> generator = tl.Generator().manual_seed(0)
    >>> tl.randperm(3, generator=generator).sum()
    tensor(3)
    """

    def __init__(self) -> None:
        self.seed()

    def manual_seed(self, seed: int) -> Self:
        """Start the sequence that belongs to ``seed``; negative seeds count from 2**64 down."""
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed % 2**64)
        return self

    def seed(self) -> int:
        """Start a sequence nobody can foresee, and return its seed."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the current sequence started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """The state, to be given to :meth:`set_state` later."""
        return dict(self.numpy.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where :meth:`get_state` was called."""
        self.numpy.bit_generator.state = state


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the generator that everything random here uses by default; returns it.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> a, b = (tl.manual_seed(0) and tl.rand(2) for _ in range(2))
    >>> tl.equal(a, b)
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with something nobody can foresee; returns the seed.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.seed() == tl.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> _ = tl.manual_seed(7)
    >>> tl.initial_seed()
    7
    """
    return default_generator.initial_seed()


def source_of(generator: Generator | None = None) -> Any:
    """What draws the numbers: of a generator, or of the default one; while a step is recorded, it writes draws down."""
    chosen = default_generator if generator is None else generator
    return chosen.numpy if thread.recorder is None else thread.recorder.source(chosen)


def _drawn(draw: Any, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Numbers of a floating-point dtype; only float32 and float64 are drawn directly."""
    wanted = _float_by_default(dtype)
    if wanted.kind != "f":
        raise RuntimeError(f"random floats cannot be {wanted}: use randint() for integers")
    direct = wanted if wanted != dtypes.float16 else dtypes.float32
    drawn: Array = draw(shape, dtype=direct)
    return drawn if direct == wanted else np.asarray(drawn, wanted, like=drawn)


def rand(
    *size: Any, generator: Generator | None = None, dtype: DTypeLike = None, requires_grad: bool = False
) -> Tensor:
    """Uniform numbers, 0 <= x < 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.rand(2, 3).shape
    (2, 3)
    """
    return _leaf(_drawn(source_of(generator).random, _shape(size), dtype), requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: DTypeLike = None, requires_grad: bool = False
) -> Tensor:
    """Normal numbers of mean 0 and variance 1.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.randn(2, 3).shape
    (2, 3)
    """
    return _leaf(_drawn(source_of(generator).standard_normal, _shape(size), dtype), requires_grad)


def rand_like(input: Tensor, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers of the input's shape and dtype: see :func:`rand`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.rand_like(tl.zeros(2, 3)).shape
    (2, 3)
    """
    return rand(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input: Tensor, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """Normal numbers of the input's shape and dtype: see :func:`randn`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.randn_like(tl.zeros(2, 3)).shape
    (2, 3)
    """
    return randn(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def normal(mean: float = 0.0, std: float = 1.0, size: Any = (), generator: Generator | None = None) -> Tensor:
    """Normal numbers of this mean and standard deviation, float32.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.normal(5.0, 0.1, (2, 3)).shape
    (2, 3)
    """
    if std < 0:
        raise RuntimeError(f"normal: the standard deviation cannot be negative: {std}")
    numbers: Tensor = randn(size, generator=generator) * std + mean
    return numbers


def randint(
    low: int, high: Any = None, size: Any = None, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Integers, low <= n < high: ``randint(high, size)`` or ``randint(low, high, size)``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if size is None:
        low, high, size = 0, low, high
    if high is None or low >= high:
        raise RuntimeError(f"randint: expected low < high, got {low} and {high}")
    wanted = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return wrap(source_of(generator).integers(low, high, _shape((size,))).astype(wanted))


def randperm(n: int, generator: Generator | None = None) -> Tensor:
    """The integers below n in random order, int64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> sorted(tl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    if n < 0:
        raise RuntimeError(f"randperm: n cannot be negative: {n}")
    return wrap(source_of(generator).permutation(n))


def bernoulli(input: Tensor, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element gives, else 0.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.bernoulli(tl.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    probabilities = input._array
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise RuntimeError("bernoulli: probabilities must be from 0 to 1")
    return wrap((source_of(generator).random(input.shape) < probabilities).astype(input.dtype))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform numbers, a <= x < b, in the tensor's own memory: ``tensor.uniform_(a, b)``."""
    return tensor.copy_(rand(tensor.shape, generator=generator, dtype=tensor.dtype) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers in the tensor's own memory: ``tensor.normal_(mean, std)``."""
    return tensor.copy_(randn(tensor.shape, generator=generator, dtype=tensor.dtype) * std + mean)


def bernoulli_(tensor: Tensor, p: float | Tensor = 0.5, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p`` (a number, or one per element), else 0, in the tensor's own memory."""
    probabilities = np.broadcast_to(p._array if isinstance(p, Tensor) else np.float64(p), tensor.shape)
    return tensor.copy_(bernoulli(wrap(probabilities), generator).to(tensor.dtype))
