"""Reverse mode: cotangents flow from the outputs to the leaves, each node once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tinygrad_lite.autograd.anomaly import called, check_gradient, named
from tinygrad_lite.autograd.graph import Node, StandIn
from tinygrad_lite.autograd.hooks import Hooks
from tinygrad_lite.autograd.modes import enable_grad, set_grad_enabled, silently, thread
from tinygrad_lite.autograd.sharing import changed
from tinygrad_lite.autograd.summation import add_rows
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap

__all__ = ["backward", "grad"]

Root = tuple["Place", Any]
Gradients = dict["Place", Any]
Place = Node | Tensor  # where a cotangent arrives: a node's output, or a leaf


def backward(
    tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Add the gradient of this tensor to ``grad`` of every leaf that it was computed from.

    Parameters
    ----------
    tensor : Tensor
        What is differentiated: usually a loss.
    gradient : Tensor, optional
        The cotangent: d(objective)/d(this tensor), of this tensor's shape. Only a tensor of one
        element may go without; its cotangent is 1.
    retain_graph : bool, optional
        Keep the saved arrays for another backward; default: as ``create_graph``.
    create_graph : bool
        Record the derivative itself, so that it can be differentiated again.

    Raises
    ------
    RuntimeError
        If nothing here requires grad, if several elements come without ``gradient``, if the graph
        was freed by an earlier backward, or if a saved array was changed in place.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    roots = [(_place(tensor, "backward"), _first_cotangent(tensor, gradient, create_graph))]
    retain_graph = create_graph if retain_graph is None else retain_graph
    for leaf, found in silently(_propagate, roots, None, retain_graph, create_graph).items():
        _accumulate(leaf, found)
        if leaf._hooks is not None:
            for hook in list(leaf._hooks.after_accumulation.values()):
                hook(leaf)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs, leaving ``.grad`` of the leaves alone.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What is differentiated. Several outputs are summed, weighted by ``grad_outputs``.
    inputs : Tensor or sequence of Tensor
        Leaves or computed tensors that the outputs depend on.
    grad_outputs : sequence of Tensor or None, optional
        The cotangent of each output, of its shape; None is 1 for an output of one element.
    retain_graph : bool, optional
        Keep the saved arrays for another pass; default: as ``create_graph``.
    create_graph : bool
        Record the derivative itself, for second and higher orders.
    allow_unused : bool
        Return None for an input that no output depends on, instead of raising.

    Returns
    -------
    tuple of Tensor or None
        One gradient per input, of its shape and dtype.

    Raises
    ------
    RuntimeError
        As :meth:`Tensor.backward`; also for an input that requires no grad or is not used.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor(3.0, requires_grad=True)
    >>> (dx,) = tl.autograd.grad(x**3, x, create_graph=True)
    >>> (ddx,) = tl.autograd.grad(dx, x)
    >>> dx.item(), ddx.item()
    (27.0, 18.0)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    cotangents = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs or [None] * len(outputs))
    if len(cotangents) != len(outputs):
        raise RuntimeError(f"grad: {len(outputs)} outputs need as many grad_outputs, got {len(cotangents)}")
    roots = [
        (_place(output, "grad of an output"), _first_cotangent(output, cotangent, create_graph))
        for output, cotangent in zip(outputs, cotangents, strict=True)
    ]
    targets = [_place(tensor, "grad with respect to an input") for tensor in inputs]
    retain = create_graph if retain_graph is None else retain_graph
    found = silently(_propagate, roots, set(targets), retain, create_graph)
    unused = [number for number, target in enumerate(targets) if target not in found]
    if unused and not allow_unused:
        raise RuntimeError(
            f"grad: input {unused[0]} of shape {inputs[unused[0]].shape} was not used to compute the outputs; "
            "with allow_unused=True its gradient is None"
        )
    return tuple(_as_result(found[target]) if target in found else None for target in targets)


def _place(tensor: Tensor, purpose: str) -> Place:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{purpose}: expected a Tensor, not {type(tensor).__name__}")
    if not tensor._requires_grad:
        raise RuntimeError(
            f"{purpose}: the tensor of shape {tensor.shape} does not require grad: create the parameters with "
            "requires_grad=True, and compute outside no_grad() and without detach()"
        )
    return tensor._node or tensor


def _first_cotangent(output: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The cotangent that an output starts with: given, or 1 for a single element."""
    if gradient is None:
        if output._array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for a scalar, not for an output of shape {output.shape}: "
                "reduce it with .sum() or .mean(), or pass its gradient"
            )
        one = np.array(1, output._array.dtype, ndmin=output._array.ndim)
        return wrap(one) if create_graph else one
    if not isinstance(gradient, Tensor):
        raise TypeError(f"the gradient of an output must be a Tensor, not {type(gradient).__name__}")
    if gradient.shape != output.shape or gradient.dtype != output.dtype:
        raise RuntimeError(
            f"gradient of shape {gradient.shape}, {gradient.dtype} for an output of {output.shape}, {output.dtype}: "
            "they must be the same"
        )
    return gradient if create_graph else gradient._array


def _propagate(roots: Sequence[Root], targets: set[Place] | None, retain_graph: bool, create_graph: bool) -> Gradients:
    """Run the rules from the roots down; the gradients of the targets, or of every leaf.

    They are arrays that nobody else holds, or with ``create_graph`` Tensors, on which the rules
    recorded themselves.
    """
    if create_graph and not thread.grad_enabled:
        with enable_grad():
            return _propagate(roots, targets, retain_graph, create_graph)
    order = _consumers_first([place for place, _ in roots if place.__class__ is Node])
    needed = None if targets is None else _leading_to(targets, order)
    checking = thread.checking
    found: Gradients = {}
    cotangents: Gradients = {}
    for place, cotangent in roots:
        if place in cotangents:
            cotangents[place] = cotangents[place] + cotangent
        else:
            cotangents[place] = cotangent if isinstance(place, Node) else _owned(cotangent, cotangent, ())
    for node in order:
        g = cotangents.pop(node, None)
        if g is None:
            continue
        if isinstance(g, np.generic):
            g = np.asarray(g)  # NumPy turns 0-d arrays into scalars, which know no protocols
        if node.hooks is not None:
            g = _through(node.hooks, g)
        if targets is not None and node in targets:
            found[node] = _owned(g, g, ())
        saved, params, dtype = node.saved, node.params, node.dtype
        if saved is None:
            raise _freed(node)
        for version, at_save in node.versions:
            if version[0] != at_save if version[1] is None else changed(version, at_save):
                raise _changed(node)
        if create_graph:
            saved = _as_tensors(node, saved)
        for edge, rule, shape in zip(node.edges, node.primitive.rules, node.shapes):  # noqa: B905 - strict= costs 5 %
            if edge is None or (needed is not None and edge not in needed):
                continue
            cotangent = rule(g, *saved, **params) if params else rule(g, *saved)
            if cotangent is None:  # a Function that has no gradient for this input
                continue
            if checking:
                check_gradient(cotangent, g, node, edge)
            if cotangent.shape != shape or cotangent.dtype is not dtype:
                cotangent = _fit(cotangent, node, shape)
            known = cotangents.get(edge)
            if known is not None:
                cotangents[edge] = known + cotangent
            elif edge.__class__ is Node:
                cotangents[edge] = cotangent
            else:
                cotangents[edge] = _owned(cotangent, g, saved)
        if not retain_graph and node.versions:
            node.saved, node.versions = None, ()
    leaf: Any  # the nodes have been taken out
    for leaf in cotangents:
        if leaf._hooks is not None:
            cotangents[leaf] = _through(leaf._hooks, cotangents[leaf])
    return found | cotangents


def _consumers_first(roots: Sequence[Node]) -> list[Node]:
    """The nodes behind the roots, each after every node that consumes its output."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Any] = list(roots)
    while stack:
        node = stack.pop()
        if node is None:  # what the node below the None depends on is done
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack.append(node)
            stack.append(None)
            for edge in node.edges:
                if edge.__class__ is Node and edge not in seen:
                    stack.append(edge)
    order.reverse()
    return order


def _leading_to(targets: set[Place], order: Sequence[Node]) -> set[Place]:
    """The targets, and the nodes whose rules are needed to reach them."""
    needed = set(targets)
    for node in reversed(order):
        if any(edge in needed for edge in node.edges):
            needed.add(node)
    return needed


def _freed(node: Node) -> RuntimeError:
    return RuntimeError(
        f"backward through {named(node)} a second time: the arrays saved for it were freed by the first "
        f"backward; pass retain_graph=True to the first one; {called(node)}"
    )


def _changed(node: Node) -> RuntimeError:
    return RuntimeError(
        f"an array that {named(node)} saved for its gradient was changed in place since, by an operation on a tensor "
        "or through a NumPy array on the same memory: change a clone() instead, or compute the gradient before; "
        f"{called(node)}"
    )


def _as_tensors(node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """The saved arrays as the Tensors they were, so that rules record themselves on them; the rest as it is."""
    places = (node, *node.edges)
    versions = (version for version, _ in node.versions)  # as many as there are saved arrays, in the same order
    return tuple(
        s if s is None or isinstance(s, StandIn) else _as_tensor(s, place, next(versions))
        for s, place in zip(saved, places, strict=True)
    )


def _as_tensor(array: Array, place: Place | None, version: list[Any]) -> Tensor:
    if isinstance(place, Tensor):
        if place._array is not array:
            raise RuntimeError("the data of a leaf was replaced since it was used: it cannot be differentiated again")
        return place
    tensor = wrap(array, version=version)
    if place is not None:
        tensor._node, tensor._requires_grad = place, True
    return tensor


def _fit(cotangent: Any, node: Node, shape: tuple[int, ...]) -> Any:
    """The cotangent of an input that was broadcast, summed down to the input's shape."""
    found = cotangent.shape
    extra = len(found) - len(shape)
    if cotangent.dtype == node.dtype and extra > 0 and found[extra:] == shape:
        return add_rows(cotangent) if extra == 1 else np.add.reduce(cotangent, axis=tuple(range(extra)))
    pairs = list(zip(shape, found[max(extra, 0) :], strict=False))
    if extra < 0 or cotangent.dtype != node.dtype or any(n not in (1, m) for n, m in pairs):
        raise RuntimeError(
            f"a derivative rule of {node.primitive.name} returned shape {found}, {cotangent.dtype} "
            f"for an input of shape {shape}, {node.dtype}"
        )
    if extra:
        cotangent = np.add.reduce(cotangent, axis=tuple(range(extra)))
    stretched = tuple(axis for axis, (n, m) in enumerate(pairs) if n != m)
    return np.add.reduce(cotangent, axis=stretched, keepdims=True) if stretched else cotangent


def _owned(cotangent: Any, g: Any, saved: Sequence[Any]) -> Any:
    """A gradient in memory that nothing else holds: a copy, if the rule may have returned what it got."""
    if isinstance(cotangent, Tensor):
        return cotangent
    if cotangent is g or isinstance(cotangent, np.generic) or cotangent.base is not None:
        return np.copy(cotangent)
    for array in saved:
        if cotangent is array:
            return np.copy(cotangent)
    return cotangent


def _accumulate(leaf: Tensor, gradient: Any) -> None:
    """Add to ``leaf.grad``, in place where it exists already."""
    if thread.recorder is not None and not isinstance(gradient, Tensor):
        gradient = thread.recorder.constant(gradient)  # one without data in it, as of a sum, is part of the step too
    if gradient.shape != leaf._array.shape:
        raise RuntimeError(
            f"the gradient of shape {gradient.shape} does not fit the leaf: its data was replaced by shape {leaf.shape}"
        )
    if isinstance(gradient, Tensor):
        with enable_grad():
            leaf._grad = cast(Tensor, np.copy(gradient)) if leaf._grad is None else leaf._grad + gradient
    elif leaf._grad is None:
        leaf._grad = _as_result(gradient)
    else:
        thread.run(np.add, leaf._grad._array, gradient, out=leaf._grad._array)
        leaf._grad._version[0] += 1


def _through(hooks: Hooks, g: Any) -> Any:
    """The gradient after the hooks on it; a computed tensor that asked for it gets it, if it still lives."""
    for hook in list(hooks.on_gradient.values()):
        gradient = g if isinstance(g, Tensor) else wrap(np.copy(g))
        with set_grad_enabled(isinstance(g, Tensor)):
            given = hook(gradient)
        if given is None:
            continue
        if not isinstance(given, Tensor):
            raise TypeError(f"a gradient hook returned {type(given).__name__}: it returns a Tensor or None")
        if given.shape != gradient.shape or given.dtype != gradient.dtype:
            raise RuntimeError(
                f"a gradient hook returned shape {given.shape}, {given.dtype} "
                f"for a gradient of shape {gradient.shape}, {gradient.dtype}"
            )
        g = given if isinstance(g, Tensor) else np.copy(given._array)
    tensor = None if hooks.retained is None else hooks.retained()
    if tensor is not None:
        _accumulate(tensor, g if isinstance(g, Tensor) else np.copy(g))
    return g


def _as_result(gradient: Any) -> Tensor:
    if isinstance(gradient, Tensor):
        return gradient
    return wrap(np.asarray(gradient) if isinstance(gradient, np.generic) else gradient)
