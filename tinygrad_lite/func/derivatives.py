"""Derivatives of functions, of any order and in any direction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.autograd.boundary import Boundary, depends_on_leaves, pull_back, zeros_like
from tinygrad_lite.autograd.functional import stacked
from tinygrad_lite.autograd.modes import enable_grad, is_grad_enabled
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild, same_structure
from tinygrad_lite.func.mapping import check_randomness
from tinygrad_lite.ops.shape import movedim

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


# ---- gradients


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that computes the gradient of ``func``.

    Parameters
    ----------
    func : callable
        Returns a 0-d Tensor.
    argnums : int or tuple of int
        Which arguments to differentiate by; for a tuple the result is a tuple.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then the result is ``(gradient, aux)``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.grad(tl.func.grad(tl.sin))(tl.tensor(0.0))
    tensor(-0.)
    """

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that computes ``(gradient, output)`` of ``func``, or ``(gradient, (output, aux))``.

    Parameters
    ----------
    func, argnums, has_aux
        As for :func:`grad`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.grad_and_value(lambda x: (x * x).sum())(tl.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        chosen_func, chosen = _of_chosen("grad", func, args, kwargs, argnums)
        call = _Call("grad", chosen_func, chosen, has_aux)
        output = call.output
        if not isinstance(output, Tensor):
            raise RuntimeError(f"grad: the function must return a Tensor, not {type(output).__name__}")
        if output.ndim:
            raise RuntimeError(
                f"grad: the function must return a 0-d Tensor, not one of shape {output.shape}: use jacrev"
            )
        gradients = call.pull_back([wrap(np.ones((), output.dtype))])
        value = (call.released(output), call.aux) if has_aux else call.released(output)
        return _as_chosen(rebuild(chosen, gradients), argnums), value

    return gradient_and_value


def value_and_grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """:func:`grad_and_value` in JAX's order: ``(output, gradient)``, or ``((output, aux), gradient)``.

    Parameters
    ----------
    func, argnums, has_aux
        As for :func:`grad`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.value_and_grad(lambda x: (x * x).sum())(tl.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """

    @functools.wraps(func)
    def swapped(*args: Any, **kwargs: Any) -> Any:
        return grad_and_value(func, argnums, has_aux)(*args, **kwargs)[::-1]

    return swapped


# ---- products with Jacobians


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The output of ``func``, and the function from a cotangent of it to those of the inputs.

    Parameters
    ----------
    func : callable
        Returns Tensors.
    *primals
        Its arguments.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then the result is ``(output, vjp_fn, aux)``.

    Returns
    -------
    tuple
        ``(output, vjp_fn)``. ``vjp_fn`` takes a cotangent in the form of the output, and returns a tuple: one for
        each primal. It may be called several times.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> output, vjp_fn = tl.func.vjp(lambda x: x * x, tl.tensor([1.0, 2.0]))
    >>> vjp_fn(tl.ones(2))
    (tensor([2., 4.]),)
    """
    call = _Call("vjp", func, primals, has_aux)

    def vjp_fn(cotangents: Any) -> Any:
        if not same_structure(cotangents, call.output):
            raise RuntimeError("vjp: the cotangents must be nested as the output of the function is")
        for cotangent, output in zip(leaves(cotangents), call.outputs, strict=True):
            _check_partner("vjp: the cotangent", cotangent, "the output", output)
        return rebuild(primals, call.pull_back(leaves(cotangents)))

    output = call.released(call.output)
    return (output, vjp_fn, call.aux) if has_aux else (output, vjp_fn)


def jvp(
    func: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """The output of ``func``, and how it changes when the inputs move along tangents.

    There is no forward mode here: the product of a cotangent with the Jacobian is linear in the cotangent, and a
    second backward pass through it gives the product with the tangents.

    Parameters
    ----------
    func : callable
        Returns Tensors.
    primals, tangents : tuple
        Its arguments, and their directions, in the same form.
    strict : bool
        Raise if an output depends on no input, instead of returning zeros.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then the result is ``(output, tangent, aux)``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.jvp(lambda x: x * x, (tl.tensor([1.0, 2.0]),), (tl.ones(2),))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError("jvp: primals and tangents must be tuples, also for a single argument: (x,)")
    if not same_structure(primals, tangents):
        raise RuntimeError("jvp: primals and tangents must be nested in the same way")
    for primal, tangent in zip(leaves(primals), leaves(tangents), strict=True):
        _check_partner("jvp: the tangent", tangent, "the primal", primal)
    call = _Call("jvp", func, primals, has_aux)
    if strict and not all(output.requires_grad for output in call.outputs):
        raise RuntimeError("jvp: an output depends on no input, and strict=True")
    moved = rebuild(call.output, _Linear(call)(leaves(tangents)))
    output = call.released(call.output)
    return (output, moved, call.aux) if has_aux else (output, moved)


def jacrev(
    func: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,  # noqa: ARG001 - PyTorch's
) -> Function:
    """The function that computes the Jacobian of ``func`` row by row, with one backward pass for each output element.

    Parameters
    ----------
    func : callable
        Returns Tensors.
    argnums, has_aux
        As for :func:`grad`.
    chunk_size : int, optional
        Accepted; the passes run one by one.

    Returns
    -------
    callable
        Its result is nested as the output, and inside that as the argument: Tensors of shape
        ``output.shape + input.shape``.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.jacrev(lambda x: x * x)(tl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen_func, chosen = _of_chosen("jacrev", func, args, kwargs, argnums)
        call = _Call("jacrev", chosen_func, chosen, has_aux)
        blocks = []
        for number, output in enumerate(call.outputs):
            zeros = [zeros_like(y) for y in call.outputs]
            rows = [call.pull_back([*zeros[:number], unit, *zeros[number + 1 :]]) for unit in _units(output)]
            columns = [_side_by_side([row[i] for row in rows], output, x) for i, x in enumerate(call.inputs)]
            blocks.append(_as_chosen(rebuild(chosen, columns), argnums))
        found = rebuild(call.output, blocks)
        return (found, call.aux) if has_aux else found

    return jacobian


def jacfwd(func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> Function:
    """The function that computes the Jacobian of ``func`` column by column, one :func:`jvp` for each input element.

    Parameters
    ----------
    func, argnums, has_aux
        As for :func:`jacrev`.
    randomness : {"error", "different", "same"}
        Accepted; ``func`` is called once.

    Returns
    -------
    callable
        As for :func:`jacrev`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.jacfwd(lambda x: x * x)(tl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    check_randomness(randomness)

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen_func, chosen = _of_chosen("jacfwd", func, args, kwargs, argnums)
        call = _Call("jacfwd", chosen_func, chosen, has_aux)
        linear = _Linear(call)
        columns: list[list[Tensor]] = [[] for _ in call.outputs]
        for number, x in enumerate(call.inputs):
            zeros = [zeros_like(other) for other in call.inputs]
            moved = [linear([*zeros[:number], unit, *zeros[number + 1 :]]) for unit in _units(x)]
            for column, y, output in zip(columns, range(len(columns)), call.outputs, strict=True):
                block = _side_by_side([outputs[y] for outputs in moved], x, output)
                column.append(movedim(block, tuple(range(x.ndim)), tuple(range(-x.ndim, 0))) if x.ndim else block)
        found = rebuild(call.output, [_as_chosen(rebuild(chosen, column), argnums) for column in columns])
        return (found, call.aux) if has_aux else found

    return jacobian


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """The function that computes all second derivatives: ``jacfwd(jacrev(func))``.

    Parameters
    ----------
    func, argnums
        As for :func:`jacrev`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.func.hessian(lambda x: (x**3).sum())(tl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


class _Call:
    """A call of the user's function on inputs of its own."""

    def __init__(self, name: str, func: Function, args: tuple[Any, ...], has_aux: bool) -> None:
        tensors = leaves(args)
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise RuntimeError(
                    f"{name}: expected Tensors to differentiate by, not {type(tensor).__name__}: choose the others out "
                    "with argnums, or with a lambda"
                )
        self.recording = is_grad_enabled()
        with enable_grad():
            boundaries = [Boundary(tensor, linked=self.recording) for tensor in tensors]
            returned = func(*rebuild(args, [boundary.argument() for boundary in boundaries]))
        for boundary in boundaries:
            boundary.close()
        if has_aux and not (isinstance(returned, tuple) and len(returned) == 2):
            raise RuntimeError(f"{name}: with has_aux=True the function must return a tuple (output, aux)")
        self.output, aux = returned if has_aux else (returned, None)
        self.aux = self.released(aux)
        self.inputs = [boundary.place for boundary in boundaries]
        self.outputs = leaves(self.output)
        for output in self.outputs:
            if not isinstance(output, Tensor):
                raise RuntimeError(f"{name}: the function must return Tensors, not {type(output).__name__}")

    def released(self, tree: Any) -> Any:
        """What the function returned, outside the graph unless something else in it can be differentiated by."""
        return rebuild(tree, [self._released(leaf) for leaf in leaves(tree)])

    def _released(self, leaf: Any) -> Any:
        kept = not isinstance(leaf, Tensor) or (self.recording and depends_on_leaves([leaf]))
        return leaf if kept else leaf.detach()

    def pull_back(self, cotangents: Sequence[Tensor]) -> list[Tensor]:
        """The product of cotangents with the Jacobian, differentiable if it depends on anything to differentiate by."""
        create_graph = is_grad_enabled() and depends_on_leaves([*self.outputs, *cotangents])
        found = pull_back(self.outputs, self.inputs, cotangents, create_graph, retain_graph=True)
        return [zeros_like(x) if g is None else g for g, x in zip(found, self.inputs, strict=True)]


class _Linear:
    """The product of the Jacobian with tangents, any number of times."""

    def __init__(self, call: _Call) -> None:
        boundaries = [Boundary(zeros_like(output), linked=False) for output in call.outputs]
        for boundary in boundaries:
            boundary.close()
        self.outputs = call.outputs
        self.cotangents = [boundary.place for boundary in boundaries]
        self.rows = pull_back(call.outputs, call.inputs, self.cotangents, create_graph=True)

    def __call__(self, tangents: Sequence[Tensor]) -> list[Tensor]:
        pairs = [(row, tangent) for row, tangent in zip(self.rows, tangents, strict=True) if row is not None]
        rows, used = [row for row, _ in pairs], [tangent for _, tangent in pairs]
        create_graph = is_grad_enabled() and depends_on_leaves([*rows, *used])
        found = pull_back(rows, self.cotangents, used, create_graph, retain_graph=True)
        return [zeros_like(y) if g is None else g for g, y in zip(found, self.outputs, strict=True)]


def _of_chosen(
    name: str, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums
) -> tuple[Function, tuple[Any, ...]]:
    """``func`` as a function of the arguments to differentiate by, and these."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    for number in numbers:
        if not isinstance(number, int):
            raise RuntimeError(f"{name}: argnums must be an int or a tuple of int, not {argnums!r}")
        if not -len(args) <= number < len(args):
            raise RuntimeError(f"{name}: argnums={number}, but only {len(args)} positional arguments were given")
    positions = [number % len(args) for number in numbers]
    if len(set(positions)) != len(positions) or not positions:
        raise RuntimeError(f"{name}: argnums must name different arguments, not {argnums}")

    def of_chosen(*chosen: Any) -> Any:
        every = list(args)
        for position, value in zip(positions, chosen, strict=True):
            every[position] = value
        return func(*every, **kwargs)

    return of_chosen, tuple(args[position] for position in positions)


def _as_chosen(results: tuple[Any, ...], argnums: Argnums) -> Any:
    """A tuple if ``argnums`` is one."""
    return results if isinstance(argnums, tuple) else results[0]


def _check_partner(role: str, found: Any, partner_role: str, partner: Any) -> None:
    if not isinstance(found, Tensor) or not isinstance(partner, Tensor):
        raise RuntimeError(f"{role} of {partner_role} must be a Tensor, as that must be")
    if found.shape != partner.shape:
        raise RuntimeError(f"{role} has shape {found.shape}, but {partner_role} has {partner.shape}")


def _units(tensor: Tensor) -> list[Tensor]:
    """The tensors of this shape with a single 1."""
    units = np.eye(tensor.numel(), dtype=tensor.dtype)
    return [wrap(unit.reshape(tensor.shape)) for unit in units]


def _side_by_side(parts: Sequence[Tensor], outer: Tensor, inner: Tensor) -> Tensor:
    """One part for each element of ``outer``, each shaped as ``inner``."""
    if not parts:
        return wrap(np.zeros(outer.shape + inner.shape, inner.dtype))
    return stacked(parts, outer.shape)
