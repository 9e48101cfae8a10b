"""Initial values for parameters: each function fills a tensor in place and returns it.

They are not recorded, so a parameter that requires grad can be filled directly.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from tinygrad_lite import _names
from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.random import Generator, default_generator

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Mode = Literal["fan_in", "fan_out"]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from the uniform distribution on ``[a, b)``.

    Raises
    ------
    ValueError
        If ``a > b``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.init.uniform_(tl.empty(1000), -1, 1)
    >>> (w.abs() <= 1).all().item()
    True
    """
    if not a <= b:
        raise ValueError(f"uniform_: the bounds must satisfy a <= b, got a={a}, b={b}")
    return _fill(tensor, _rng(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from the normal distribution.

    Raises
    ------
    ValueError
        If ``std`` is negative.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.init.normal_(tl.empty(3, 2), std=0.1).shape
    (3, 2)
    """
    if not std >= 0:
        raise ValueError(f"normal_: the standard deviation must not be negative, got std={std}")
    return _fill(tensor, _rng(generator).normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to ``val``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.init.constant_(tl.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return _fill(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity, with ones on the main diagonal.

    Raises
    ------
    ValueError
        If the tensor is no matrix.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.init.eye_(tl.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_ fills a matrix, not a tensor of shape {tensor.shape}")
    rows, columns = tensor.shape
    return _fill(tensor, np.eye(rows, columns))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw uniformly from ``(-k, k)``, ``k = gain * sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010).

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.init.xavier_uniform_(tl.empty(20, 30))
    >>> (w.abs() <= (6 / 50) ** 0.5).all().item()
    True
    """
    bound = math.sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw normally with ``std = gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio 2010).

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw uniformly from ``(-k, k)``, ``k = gain * sqrt(3 / fan)`` (He et al. 2015).

    Parameters
    ----------
    tensor : Tensor
        ``(fan_out, fan_in)``, or with further dimensions the kernel of a convolution.
    a : float
        The negative slope of the leaky ReLU that follows.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the forward or of the backward pass.
    nonlinearity : str
        What follows the layer: see :func:`calculate_gain`.
    generator : Generator, optional
        The source of randomness; default: the one that ``tl.manual_seed`` sets.

    Raises
    ------
    ValueError
        For fewer than two dimensions, an unknown mode or an unknown nonlinearity.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.init.kaiming_uniform_(tl.empty(20, 600), nonlinearity="relu")
    >>> (w.abs() <= 0.1).all().item()
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw normally with ``std = gain / sqrt(fan)`` (He et al. 2015); arguments as :func:`kaiming_uniform_`.

    Raises
    ------
    ValueError
        For fewer than two dimensions, an unknown mode or an unknown nonlinearity.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Make a matrix random and orthogonal, times ``gain`` (Saxe et al. 2013).

    Dimensions after the first count as one. The rows are orthonormal, or the columns, whichever are fewer.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> w = tl.nn.init.orthogonal_(tl.empty(2, 5))
    >>> tl.allclose(w @ w.T, tl.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs two or more dimensions, not a tensor of shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_rng(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform over the orthogonal matrices
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """How much a nonlinearity shrinks the standard deviation, inverted.

    Parameters
    ----------
    nonlinearity : str
        "linear", "sigmoid" or the name of a convolution: 1; "tanh": 5/3; "relu": sqrt(2);
        "leaky_relu": ``sqrt(2 / (1 + slope**2))``; "selu": 3/4.
    param : float, optional
        The negative slope of "leaky_relu"; default 0.01.

    Raises
    ------
    ValueError
        For any other name.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    gains |= {f"conv{transpose}{n}d": 1.0 for transpose in ("", "_transpose") for n in (1, 2, 3)}
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}: use one of {', '.join(sorted(gains))}, leaky_relu")
    return gains[nonlinearity]


def _fill(tensor: Tensor, values: Any) -> Tensor:
    np.copyto(tensor._array, values, casting="same_kind")
    tensor._version[0] += 1
    return tensor


def _rng(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy


def _fans(tensor: Tensor) -> tuple[int, int]:
    """The number of inputs that each output sees, and of outputs that each input reaches."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need two or more dimensions, not a tensor of shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _fans(tensor)
    return gain * math.sqrt(2 / max(fan_in + fan_out, 1))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"unknown mode {mode!r}: use 'fan_in' or 'fan_out'")
    fan_in, fan_out = _fans(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


_names.explain_missing(__name__)
