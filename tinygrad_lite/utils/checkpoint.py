"""Less memory for more time: what a part of a net saves for backward is computed again there."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.autograd.boundary import Boundary, pull_back
from tinygrad_lite.autograd.function import Function
from tinygrad_lite.autograd.graph import Node
from tinygrad_lite.autograd.modes import enable_grad, is_grad_enabled
from tinygrad_lite.autograd.sharing import changed, stamp
from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.autograd.tree import leaves, rebuild
from tinygrad_lite.random import default_generator

__all__ = ["checkpoint", "checkpoint_sequential"]

Place = Node | Tensor


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, without keeping what its operations save: backward calls it again.

    Gradients reach whatever the function uses: its arguments, and parameters and other tensors from around it.

    Parameters
    ----------
    function : callable
        Returns a Tensor or nested Tensors. Called a second time it must do the same: so it changes no tensor in place
        that was there before. It keeps no tensor that it computed elsewhere than in what it returns; ``detach()``
        what shall be kept.
    *args, **kwargs
        Its arguments.
    use_reentrant : bool, optional
        Accepted; there is one form here, which can do what both of PyTorch's can.
    preserve_rng_state : bool
        Whether the second call draws the same random numbers, as for the mask of dropout.

    Raises
    ------
    RuntimeError
        If the function changes an argument in place. In backward: if the second call used other tensors or returned
        other shapes than the first, or if an argument or parameter was changed in place between them.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> tl.utils.checkpoint.checkpoint(lambda x: x.exp().log(), x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    del use_reentrant
    if not is_grad_enabled():
        return function(*args, **kwargs)
    again = _Again(function, args, kwargs, default_generator.get_state() if preserve_rng_state else None)
    given = [leaf.detach() for leaf in leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    before = [(tensor._version, stamp(tensor._version, tensor._array)) for tensor in given]
    tree, outputs, sources = _first_call(again)
    if any(changed(*versions) for versions in before):
        raise RuntimeError(
            "checkpoint: the function changed an argument in place, and would change it again in backward: it must "
            "change a clone()"
        )
    results = iter(_Checkpoint.apply(again, outputs, len(sources), *sources, *given))
    return rebuild(tree, [next(results) if leaf is _A_TENSOR else leaf for leaf in leaves(tree)])


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    *,
    preserve_rng_state: bool = True,
) -> Any:
    """Functions called one after the other, in segments of which each is a :func:`checkpoint`.

    Parameters
    ----------
    functions : Sequential or sequence of callable
        Each takes what the one before returned.
    segments : int
        Into how many parts to divide them. The last part is computed as usual: backward starts there.
    input : Tensor
        What the first function takes.
    use_reentrant, preserve_rng_state
        As for :func:`checkpoint`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> net = tl.nn.Sequential(tl.nn.Linear(3, 3), tl.nn.ReLU(), tl.nn.Linear(3, 1))
    >>> tl.utils.checkpoint.checkpoint_sequential(net, 2, tl.ones(5, 3)).shape
    (5, 1)
    """
    functions = list(functions)
    if not 1 <= segments <= len(functions):
        raise ValueError(
            f"checkpoint_sequential: {len(functions)} functions cannot be divided into {segments} segments"
        )
    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size):
        part = _one_after_the_other(functions[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
    return _one_after_the_other(functions[size * (segments - 1) :])(input)


def _one_after_the_other(functions: Sequence[Callable[..., Any]]) -> Callable[[Any], Any]:
    def call(input: Any) -> Any:
        for function in functions:
            input = function(input)
        return input

    return call


class _Again(NamedTuple):
    """What it takes to call the function again."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random_state: dict[str, Any] | None

    def call(self) -> Any:
        """The first call's result, from the same random numbers; the generator goes on as if nothing had happened."""
        if self.random_state is None:
            return self.function(*self.args, **self.kwargs)
        current = default_generator.get_state()
        default_generator.set_state(self.random_state)
        try:
            return self.function(*self.args, **self.kwargs)
        finally:
            default_generator.set_state(current)


class _Checkpoint(Function):
    """The call as one operation on its sources: everything with a gradient that was there before."""

    @staticmethod
    def forward(ctx: Any, again: _Again, outputs: list[Tensor], sources: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.again, ctx.sources = again, sources
        ctx.shapes = [output.shape for output in outputs]
        ctx.save_for_backward(*tensors)  # the sources are computed on anew, so that they must not change
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        recorded = is_grad_enabled()
        with enable_grad():
            outputs = [leaf for leaf in leaves(ctx.again.call()) if isinstance(leaf, Tensor)]
        shapes = [output.shape for output in outputs]
        if shapes != ctx.shapes:
            raise RuntimeError(
                f"checkpoint: the function returned shapes {ctx.shapes}, called again in backward {shapes}"
            )
        boundaries = [Boundary(source, linked=False) for source in ctx.saved_tensors[: ctx.sources]]
        outputs = _cut_off(outputs, boundaries)
        gradients = pull_back(outputs, [boundary.place for boundary in boundaries], grad_outputs, create_graph=recorded)
        if recorded:
            for boundary in boundaries:
                boundary.link()
        rest = len(ctx.needs_input_grad) - 3 - ctx.sources
        return (None, None, None, *gradients, *[None] * rest)


# ---- what a call depends on

_A_TENSOR = object()


def _first_call(again: _Again) -> tuple[Any, list[Tensor], list[Tensor]]:
    """What the function returns, in its structure and outside the graph; and the sources of its gradients.

    The call is recorded, and the record dropped: the nodes and leaves that outlive it were there before.
    """
    result = again.function(*again.args, **again.kwargs)
    tree = rebuild(result, [_A_TENSOR if isinstance(leaf, Tensor) else leaf for leaf in leaves(result)])
    tensors = [leaf for leaf in leaves(result) if isinstance(leaf, Tensor)]
    outputs = [tensor.detach() for tensor in tensors]
    links = _links(tensors, {leaf._node for leaf in leaves((again.args, again.kwargs)) if isinstance(leaf, Tensor)})
    del result, tensors
    sources: dict[Place, Tensor] = {}
    for link in links:
        place = link.place()
        if place is not None and link.consumer() is None and place not in sources:
            sources[place] = link.source(place)
    return tree, outputs, list(sources.values())


class _Link(NamedTuple):
    """From an operation, or an output of the function (no consumer), to what it was computed from."""

    consumer: Callable[[], Node | None]
    place: Callable[[], Place | None]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def source(self, place: Place) -> Tensor:
        """The leaf, or a tensor with this place in the graph; its values do not matter."""
        if isinstance(place, Tensor):
            return place
        source = wrap(np.broadcast_to(np.zeros((), self.dtype), self.shape))
        source._node, source._requires_grad = place, True
        return source


def _links(tensors: Sequence[Tensor], known: set[Node | None]) -> list[_Link]:
    """Every link between the operations behind the tensors, down to known ones; it holds none of them."""
    links = []
    stack: list[Node] = []
    for tensor in tensors:
        if tensor._requires_grad:
            place = tensor._node or tensor
            links.append(_Link(lambda: None, weakref.ref(place), tensor.shape, tensor.dtype))
            stack += [place] if isinstance(place, Node) else []
    for node in _nodes(stack, known):
        for edge, shape in zip(node.edges, node.shapes, strict=True):
            if edge is not None:
                links.append(_Link(weakref.ref(node), weakref.ref(edge), shape, node.dtype))
    return links


def _nodes(roots: Sequence[Node], known: Collection[Node | None]) -> Iterator[Node]:
    """The nodes behind the roots, each once, down to known ones."""
    stack, seen = list(roots), set(known)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack += [edge for edge in node.edges if isinstance(edge, Node)]


def _cut_off(outputs: Sequence[Tensor], boundaries: Sequence[Boundary]) -> list[Tensor]:
    """The outputs, with a boundary in the place of each source."""
    gates: dict[Place, Any] = {boundary.tensor._node or boundary.tensor: boundary.place for boundary in boundaries}
    reached = {output._node or output for output in outputs if output._requires_grad}
    cut = [gates.get(output._node or output, output) for output in outputs]
    for node in _nodes(
        [output._node for output in cut if output._node is not None], {gate._node for gate in gates.values()}
    ):
        reached.update(edge for edge in node.edges if edge is not None)
        node.edges = tuple(gates[edge]._node if edge in gates else edge for edge in node.edges)
    if not reached.issuperset(gates):
        raise RuntimeError(
            "checkpoint: called again in backward, the function did not use all that it had used before. It must do "
            "the same each time, and keep no tensor that it computed: detach() what it keeps"
        )
    return cut
