"""Jacobians, Hessians and their products with vectors, in PyTorch's spelling.

Everything is built from reverse mode. A Jacobian is computed row by row; a product with a vector from the right is
the derivative of the product from the left, which is linear in its vector.

Common parameters: ``func`` takes Tensors and returns a Tensor or a tuple; ``inputs`` is a Tensor or a tuple.
``create_graph=True`` gives results that can be differentiated again, with respect to inputs that require grad.
``strict=True`` raises where an output does not depend on an input, instead of returning zeros. ``vectorize``
and ``strategy`` are accepted, and change neither the results nor how they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from tinygrad_lite import _names
from tinygrad_lite.autograd.boundary import Boundary, pull_back, zeros_like
from tinygrad_lite.autograd.modes import enable_grad
from tinygrad_lite.autograd.tensor import Tensor, wrap

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Tensor | tuple[Tensor, ...]


@enable_grad()
def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and the product of a vector with the Jacobian: ``v^T J``.

    Parameters
    ----------
    func, inputs, create_graph, strict
        See :mod:`tinygrad_lite.autograd.functional`.
    v : Tensor or tuple of Tensor, optional
        Of the outputs' shapes; may be left out for a single output of one element.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([1.0, 2.0])
    >>> tl.autograd.functional.vjp(lambda x: x * x, x, tl.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    call = _Call("vjp", func, inputs, create_graph, strict)
    products = call.pull_back(call.vectors(v, call.outputs, "output"), create_graph)
    return call.outputs_as_returned(), call.like_inputs(call.filled(products))


@enable_grad()
def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and the product of the Jacobian with a vector: ``J v``.

    ``v^T J`` is linear in ``v``; its derivative is the Jacobian again, so two backward passes do what forward mode
    does.

    Parameters
    ----------
    func, inputs, create_graph, strict
        See :mod:`tinygrad_lite.autograd.functional`.
    v : Tensor or tuple of Tensor, optional
        Of the inputs' shapes; may be left out for a single input of one element.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([1.0, 2.0])
    >>> tl.autograd.functional.jvp(lambda x: x * x, x, tl.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    call = _Call("jvp", func, inputs, create_graph, strict)
    vectors = call.vectors(v, call.inputs, "input")
    dual = [Boundary(zeros_like(output), linked=False).place for output in call.outputs]
    rows = call.pull_back(dual, create_graph=True)
    used = [(row, vector) for row, vector in zip(rows, vectors, strict=True) if row is not None]
    found = pull_back([row for row, _ in used], dual, [vector for _, vector in used], create_graph)
    products = [zeros_like(y) if g is None else g for g, y in zip(found, call.outputs, strict=True)]
    return call.outputs_as_returned(), call.like_outputs(products)


@enable_grad()
def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of the outputs with respect to the inputs.

    Parameters
    ----------
    func, inputs, create_graph, strict, vectorize, strategy
        See :mod:`tinygrad_lite.autograd.functional`.

    Returns
    -------
    Tensor or tuple
        Of shape ``output.shape + input.shape``; for several inputs a tuple, for several outputs a tuple of these.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.autograd.functional.jacobian(lambda x: x * x, tl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(strategy, strict, vectorize)
    call = _Call("jacobian", func, inputs, create_graph, strict)
    return call.like_outputs([call.like_inputs(_rows(call, y, create_graph)) for y in range(len(call.outputs))])


def _rows(call: _Call, number: int, create_graph: bool) -> list[Tensor]:
    """The Jacobian of one output with respect to each input."""
    output = call.outputs[number]
    rows = []
    for element in range(output.numel()):
        unit = np.zeros(output.shape, output.dtype)
        unit.reshape(-1)[element] = 1
        vectors = [wrap(unit) if n == number else None for n in range(len(call.outputs))]
        rows.append(call.filled(call.pull_back(vectors, create_graph)))
    if not rows:
        return [wrap(np.zeros(output.shape + x.shape, x.dtype)) for x in call.inputs]
    return [stacked(column, output.shape) for column in zip(*rows, strict=True)]


def stacked(tensors: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Tensors of one shape side by side, along new dimensions in front."""
    return cast(Tensor, np.stack(tensors)).reshape(shape + tensors[0].shape)


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of a single output of one element.

    Parameters
    ----------
    func, inputs, create_graph, strict, vectorize
        See :mod:`tinygrad_lite.autograd.functional`; ``outer_jacobian_strategy`` as ``strategy`` there.

    Returns
    -------
    Tensor or tuple of tuple of Tensor
        Of shape ``input.shape + input.shape``; for several inputs element ``[i][j]`` is by input i, then j.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.autograd.functional.hessian(lambda x: (x**3).sum(), tl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _check_strategy(outer_jacobian_strategy, strict, vectorize)

    def single(*xs: Tensor) -> Tensor:
        return _single("hessian", func(*xs)).reshape(())

    def first(*xs: Tensor) -> Any:
        return jacobian(single, xs if isinstance(inputs, tuple) else xs[0], create_graph=True, strict=strict)

    return jacobian(first, inputs, create_graph, strict)


@enable_grad()
def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, and the product of a vector with the Hessian: ``v^T H``.

    Parameters
    ----------
    func, inputs, create_graph, strict
        See :mod:`tinygrad_lite.autograd.functional`; ``func`` has a single output of one element.
    v : Tensor or tuple of Tensor, optional
        Of the inputs' shapes; may be left out for a single input of one element.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.autograd.functional.vhp(lambda x: (x**3).sum(), tl.tensor([1.0, 2.0]), tl.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


@enable_grad()
def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, and the product of the Hessian with a vector: ``H v``, computed as :func:`vhp`: H is symmetric.

    Parameters
    ----------
    func, inputs, v, create_graph, strict
        As for :func:`vhp`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.autograd.functional.hvp(lambda x: (x**3).sum(), tl.tensor([1.0, 2.0]), tl.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Tensors, v: Tensors | None, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    call = _Call(name, func, inputs, create_graph, strict)
    output = _single(name, call.returned)
    vectors = call.vectors(v, call.inputs, "input")
    one = wrap(np.ones(output.shape, output.dtype))
    first = call.filled(call.pull_back([one], create_graph=True))
    second = pull_back(first, call.inputs, vectors, create_graph)
    return call.outputs_as_returned(), call.like_inputs(call.filled(second, "the gradient"))


def _single(name: str, output: Any) -> Tensor:
    if isinstance(output, tuple) and len(output) == 1:
        (output,) = output
    if not isinstance(output, Tensor) or output.numel() != 1:
        found = f"shape {output.shape}" if isinstance(output, Tensor) else type(output).__name__
        raise RuntimeError(f"{name}: the function must return a single Tensor with a single element, not {found}")
    return output


def _check_strategy(strategy: str, strict: bool, vectorize: bool) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f'jacobian: strategy must be "reverse-mode" or "forward-mode", not {strategy!r}')
    if strict and vectorize:
        raise RuntimeError("jacobian: strict=True and vectorize=True cannot be combined")
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError("jacobian: the forward-mode strategy needs vectorize=True")


class _Call:
    """A call of the user's function on inputs of its own, and how to bring results into the form it has."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool) -> None:
        self.name, self.strict, self.create_graph = name, strict, create_graph
        self.several_inputs = isinstance(inputs, tuple)
        boundaries = [Boundary(x, linked=create_graph) for x in self._tensors(inputs, "inputs")]
        self.inputs = [boundary.place for boundary in boundaries]
        self.returned = func(*[boundary.argument() for boundary in boundaries])
        for boundary in boundaries:
            boundary.close()
        self.outputs = self._tensors(self.returned, "outputs of the function")
        for number, output in enumerate(self.outputs):
            if strict and not output._requires_grad:
                raise RuntimeError(f"{name}: output {number} does not depend on any input, and strict=True")

    def _tensors(self, values: Any, role: str) -> list[Tensor]:
        tensors = list(values) if isinstance(values, tuple) else [values]
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"{self.name}: the {role} must be a Tensor or a tuple of Tensors, not {type(tensor)}")
        return tensors

    def vectors(self, v: Any, partners: Sequence[Tensor], role: str) -> list[Tensor]:
        """The vector of a product: ``v``, or 1."""
        if v is None:
            if len(partners) != 1 or partners[0].numel() != 1:
                raise RuntimeError(f"{self.name}: v can be left out only for a single {role} with a single element")
            return [wrap(np.ones(partners[0].shape, partners[0].dtype))]
        vectors = self._tensors(v, "vector v")
        if len(vectors) != len(partners):
            raise RuntimeError(f"{self.name}: v has {len(vectors)} tensors for {len(partners)} {role}s")
        for number, (vector, partner) in enumerate(zip(vectors, partners, strict=True)):
            if vector.shape != partner.shape:
                raise RuntimeError(
                    f"{self.name}: v for {role} {number} has shape {vector.shape}, but must have {partner.shape}"
                )
        return vectors

    def pull_back(self, vectors: Sequence[Tensor | None], create_graph: bool) -> list[Tensor | None]:
        """``v^T J`` by each input; None where it does not matter. An output without a vector counts as zero."""
        pairs = [(y, v) for y, v in zip(self.outputs, vectors, strict=True) if v is not None]
        return pull_back([y for y, _ in pairs], self.inputs, [v for _, v in pairs], create_graph, retain_graph=True)

    def filled(self, gradients: Sequence[Tensor | None], role: str = "the output") -> list[Tensor]:
        """The gradients, with zeros for None."""
        for number, gradient in enumerate(gradients):
            if gradient is None and self.strict:
                raise RuntimeError(f"{self.name}: {role} does not depend on input {number}, and strict=True")
        return [zeros_like(x) if g is None else g for g, x in zip(gradients, self.inputs, strict=True)]

    def like_inputs(self, results: Sequence[Any]) -> Any:
        """A tuple if the inputs were one."""
        return tuple(results) if self.several_inputs else results[0]

    def like_outputs(self, results: Sequence[Any]) -> Any:
        """A tuple if the function returned one."""
        return tuple(results) if isinstance(self.returned, tuple) else results[0]

    def outputs_as_returned(self) -> Any:
        """What the function returned, outside the graph unless that was asked for."""
        return self.like_outputs([y if self.create_graph else y.detach() for y in self.outputs])


_names.explain_missing(__name__)
