"""Checking derivatives: against finite differences, and against a derivation made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.engine import grad
from tinygrad_lite.autograd.modes import set_grad_enabled
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap

__all__ = ["GradcheckError", "check_derivation", "gradcheck", "gradgradcheck"]

Function = Callable[..., Any]
Tensors = Tensor | Sequence[Tensor]


class GradcheckError(RuntimeError):
    """A derivative differs from what it was held against."""


def gradcheck(
    func: Function,
    inputs: Tensors,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Hold the gradients of a function against central differences, ``(f(x + eps) - f(x - eps)) / 2 eps``.

    Parameters
    ----------
    func : callable
        From Tensors to a Tensor or a tuple of Tensors of any shape; without randomness.
    inputs : Tensor or sequence of Tensor
        Where to check. Those that require grad are checked, and must be float64.
    eps : float
        The step.
    atol, rtol : float
        An element passes if ``|autograd - difference| <= atol + rtol * |difference|``.
    raise_exception : bool
        Raise what was found; otherwise return False.

    Returns
    -------
    bool
        Whether every element of every Jacobian passes.

    Raises
    ------
    GradcheckError
        With the output, the input, the element, both values and the relative error.
    ValueError
        If no input requires grad, or one of them is not float64.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([0.5, 2.0], dtype=tl.float64, requires_grad=True)
    >>> tl.autograd.gradcheck(tl.log, x)
    True
    """
    inputs = _tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input requires grad, so there is nothing to check")
    wrong = [i for i in checked if inputs[i].dtype != np.float64]
    if wrong:
        raise ValueError(f"gradcheck: input {wrong[0]} is {inputs[wrong[0]].dtype}: differences need float64")
    try:
        for i in checked:
            differences = _jacobians_by_differences(func, inputs, i, eps)
            for o, (analytic, numeric) in enumerate(zip(_jacobians(func, inputs, i), differences, strict=True)):
                title = f"output {o} by input {i}"
                _compare(title, analytic, numeric, atol, rtol, ("autograd", "central difference"))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Hold second derivatives against differences of first ones: see :func:`gradcheck`.

    Parameters
    ----------
    func, inputs, eps, atol, rtol, raise_exception
        As for :func:`gradcheck`.
    grad_outputs : Tensor or sequence of Tensor, optional
        The cotangents of the outputs, float64; by default drawn from a fixed seed. Those that
        require grad are checked too.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([0.5, 2.0], dtype=tl.float64, requires_grad=True)
    >>> tl.autograd.gradgradcheck(tl.log, x)
    True
    """
    inputs = _tuple(inputs)
    if grad_outputs is None:
        random = np.random.default_rng(0)
        outputs = _tuple(func(*inputs))
        grad_outputs = [wrap(random.standard_normal(y.shape)).requires_grad_() for y in outputs]
    cotangents = _tuple(grad_outputs)

    def first_derivatives(*arguments: Any) -> tuple[Tensor, ...]:
        xs, gs = arguments[: len(inputs)], arguments[len(inputs) :]
        wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        found = grad(_tuple(func(*xs)), wanted, gs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(first_derivatives, [*inputs, *cotangents], eps, atol, rtol, raise_exception)


def check_derivation(
    f: Function,
    inputs: Tensors,
    derived: Sequence[Any] | Callable[..., Sequence[Any]],
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> float:
    """Hold gradients derived by hand against autograd.

    Parameters
    ----------
    f : callable
        From Tensors to a Tensor of one element: the loss.
    inputs : Tensor or sequence of Tensor
        Where to check; float64 for the default tolerances.
    derived : sequence of array, or callable
        The gradient with respect to each input, or a function that computes them from the inputs as
        arrays. None for an input that is not checked.
    rtol, atol : float
        An element passes if ``|derived - autograd| <= atol + rtol * largest |autograd| of that input``.

    Returns
    -------
    float
        The largest error found, relative to the largest element of its gradient.

    Raises
    ------
    GradcheckError
        With the input, the element, both values and the relative error.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([0.5, 2.0], dtype=tl.float64)
    >>> tl.autograd.check_derivation(lambda x: (x * x).sum(), x, lambda x: [2 * x])
    0.0
    """
    leaves = [wrap(np.array(x._array)).requires_grad_(x.dtype.kind == "f") for x in _tuple(inputs)]
    formulas = _tuple(derived(*[np.array(leaf._array) for leaf in leaves]) if callable(derived) else derived)
    if len(formulas) != len(leaves):
        raise ValueError(f"check_derivation: {len(leaves)} inputs, but {len(formulas)} derived gradients")
    checked = [i for i, formula in enumerate(formulas) if formula is not None]
    with set_grad_enabled(True):
        gradients = grad(f(*leaves), [leaves[i] for i in checked])
    worst = 0.0
    for i, gradient in zip(checked, gradients, strict=True):
        assert gradient is not None  # grad() raises for an unused input
        expected, formula = gradient._array, np.asarray(formulas[i])
        scale = float(np.max(np.abs(expected), initial=0.0))
        _compare(f"input {i}", formula, expected, atol + rtol * scale, 0.0, ("derived", "autograd"))
        worst = max(worst, float(np.max(np.abs(formula - expected), initial=0.0)) / (scale or 1.0))
    return worst


def _tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (list, tuple)) else (values,)


def _jacobians(func: Function, inputs: Sequence[Any], i: int) -> list[Array]:
    """By backward passes, one for each element of each output: arrays of shape (output, input) elements."""
    outputs = _tuple(func(*inputs))
    jacobians = []
    for output in outputs:
        rows = np.zeros((output.numel(), inputs[i].numel()))
        if output.requires_grad:
            for row in range(output.numel()):
                seed = np.zeros(output.shape)
                seed.reshape(-1)[row] = 1.0
                (gradient,) = grad(output, inputs[i], wrap(seed), retain_graph=True, allow_unused=True)
                rows[row] = 0.0 if gradient is None else gradient._array.reshape(-1)
        jacobians.append(rows)
    return jacobians


def _jacobians_by_differences(func: Function, inputs: Sequence[Any], i: int, eps: float) -> list[Array]:
    """By moving one element of input ``i`` at a time: arrays of shape (output, input) elements."""
    base = inputs[i]._array
    columns = []
    for element in np.ndindex(base.shape):
        moved = [_values(func, inputs, i, base, element, step) for step in (eps, -eps)]
        columns.append([(above - below) / (2 * eps) for above, below in zip(*moved, strict=True)])
    sizes = [output.numel() for output in _tuple(func(*inputs))]
    return [
        np.stack([column[o] for column in columns], axis=1) if columns else np.zeros((size, 0))
        for o, size in enumerate(sizes)
    ]


def _values(func: Function, inputs: Sequence[Any], i: int, base: Array, element: Any, step: float) -> list[Array]:
    array = base.copy()
    array[element] += step
    moved = wrap(array).requires_grad_()
    return [np.array(y._array).reshape(-1) for y in _tuple(func(*inputs[:i], moved, *inputs[i + 1 :]))]


def _compare(title: str, found: Array, expected: Array, atol: float, rtol: float, names: tuple[str, str]) -> None:
    """Raise for the element that differs most, if any differs by more than the tolerance."""
    if found.shape != expected.shape:
        raise GradcheckError(f"{title}: {names[0]} has shape {found.shape}, {names[1]} {expected.shape}")
    error = np.abs(found - expected)
    failed = ~(error <= atol + rtol * np.abs(expected)) & (found != expected)
    if not failed.any():
        return
    at = np.unravel_index(np.argmax(np.where(failed, np.nan_to_num(error, nan=np.inf), -1.0)), error.shape)
    relative = error[at] / max(abs(float(expected[at])), np.finfo(np.float64).tiny)
    raise GradcheckError(
        f"{title}, element {tuple(map(int, at))}: {names[0]} {found[at]:.10g}, {names[1]} {expected[at]:.10g}, "
        f"relative error {relative:.2g}; {int(failed.sum())} of {failed.size} elements differ"
    )
