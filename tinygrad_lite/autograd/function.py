"""Operations with a derivative of the user's own, in PyTorch's form."""

from __future__ import annotations

import functools
import inspect
import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from tinygrad_lite.autograd.anomaly import Origin
from tinygrad_lite.autograd.graph import Node, Primitive, StandIn
from tinygrad_lite.autograd.modes import is_grad_enabled, no_grad, set_grad_enabled, thread
from tinygrad_lite.autograd.record import convert, record_node, recorder
from tinygrad_lite.autograd.sharing import changed, note_view, stamp
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: tensors to save, and any attribute.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of ``forward``, whether ``backward`` has to compute its gradient.
    """

    def __init__(self, name: str, args: Sequence[Any]) -> None:
        self.needs_input_grad = tuple(isinstance(arg, Tensor) and arg._requires_grad for arg in args)
        self._name = name
        self._tensors = tuple(isinstance(arg, Tensor) for arg in args)
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: tuple[_Saved | None, ...] = ()
        self._not_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._outputs: list[StandIn | None] = []
        self._differentiable: list[int] = []
        self._node: Callable[[], Node | None] = lambda: None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors until the backward pass; a change in place until then is an error there.

        Raises
        ------
        TypeError
            For anything but Tensors and None: that can be an attribute of ``ctx``.
        """
        for number, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self._name}: save_for_backward takes tensors, but argument {number} is of type "
                    f"{type(tensor).__name__}: set it as an attribute of ctx"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """In ``backward``: what ``forward`` saved. Inputs and outputs come with their place in the graph."""
        return tuple(None if saved is None else saved.tensor(self) for saved in self._saved)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that outputs have no gradient, as indices have none. Integer outputs never have one."""
        for output in outputs:
            if not isinstance(output, Tensor):
                raise RuntimeError(f"{self._name}: mark_non_differentiable takes tensors, not {type(output).__name__}")
        self._not_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros, or else None, for an output that no gradient came from."""
        self._materialize = bool(value)

    def mark_dirty(self, *_: Tensor) -> NoReturn:
        """PyTorch's way to say that an input was changed in place, which a Function cannot do here."""
        raise NotImplementedError(f"{self._name}: forward does not change its inputs here: it returns new tensors")

    def _note_outputs(self, outputs: Sequence[Any]) -> None:
        self._outputs = [StandIn(y.shape, y.dtype) if isinstance(y, Tensor) else None for y in outputs]
        self._differentiable = [
            number
            for number, y in enumerate(outputs)
            if isinstance(y, Tensor) and y.dtype.kind == "f" and not any(y is t for t in self._not_differentiable)
        ]

    def _keep(self, node: Node, outputs: Sequence[Any]) -> None:
        """Hold on to what is to be saved, but to no tensor that holds the node."""
        assert node.saved is not None
        self._node = weakref.ref(node)
        self._saved = tuple(None if t is None else _Saved(t, outputs) for t in self._to_save)
        self._to_save = self._not_differentiable = ()
        node.saved = (_Context(self), *node.saved[1:])
        kept = [saved for saved in self._saved if saved is not None]
        node.versions = tuple((saved.version, stamp(saved.version, saved.array)) for saved in kept)


class _Context(StandIn):
    """The context, in the place of the output that a rule gets: so it is freed as saved arrays are."""

    __slots__ = ("ctx",)

    def __init__(self, ctx: FunctionCtx) -> None:
        self.ctx = ctx


class _Saved:
    """A saved tensor: its array, and its place in the graph, or which output it is."""

    def __init__(self, tensor: Tensor, outputs: Sequence[Any]) -> None:
        self.array, self.version = tensor._array, tensor._version
        self.output = next((number for number, output in enumerate(outputs) if output is tensor), None)
        self.place = (tensor._node or tensor) if tensor._requires_grad else None

    def tensor(self, ctx: FunctionCtx) -> Tensor:
        if isinstance(self.place, Tensor):
            if self.place._array is not self.array:
                raise RuntimeError(f"{ctx._name}: the data of a saved leaf was replaced since")
            return self.place
        tensor = wrap(self.array, version=self.version)
        if self.place is not None:
            tensor._node, tensor._requires_grad = self.place, True
        elif self.output in ctx._differentiable and (node := ctx._node()) is not None:
            _become_output(tensor, node, self.output, ctx)
        return tensor


# ---- the graph: one node for the call; if several outputs have gradients, each has one that leads to it


class _Call(Primitive):
    """The calls of a Function, to the engine."""

    def __init__(self, function: type[Function]) -> None:
        super().__init__(_forward)
        self.name = self.title = function.__name__
        self.inputs = list(inspect.signature(function.forward).parameters)[function._takes_context() :] or ["args"]
        self.rules = _Rules(function)
        self.output = Primitive(_output)
        self.output.title = function.__name__
        self.output.vjp(0)(_output_vjp)

    def has_rule(self, index: int) -> bool:  # noqa: ARG002 - Primitive's signature
        """Every tensor may have a gradient."""
        return True


class _Rules:
    """One rule for each input; the first that is asked runs ``backward`` for all."""

    def __init__(self, function: type[Function]) -> None:
        self.function = function

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        found: list[Any] = []

        def rule(number: int, g: Any, context: _Context, *inputs: Any) -> Any:
            if not found:
                found.extend(_run_backward(self.function, context.ctx, g, inputs))
            return found[number]

        return (functools.partial(rule, number) for number in itertools.count())


class _Gradients:
    """The cotangents of several outputs on their way to the call: the engine adds them up like arrays."""

    shape: tuple[int, ...] = ()
    dtype = None

    def __init__(self, of_output: dict[int, Any]) -> None:
        self.of_output = of_output

    def __add__(self, other: _Gradients) -> _Gradients:
        added = dict(self.of_output)
        for number, g in other.of_output.items():
            added[number] = added[number] + g if number in added else g
        return _Gradients(added)


def _forward(*inputs: Any) -> Any:
    return inputs


def _output(call: Any, *, number: int) -> Any:  # noqa: ARG001 - the engine never runs it, only its rule
    return call


def _output_vjp(g: Any, _out: Any, _call: Any, *, number: int) -> Any:
    return _Gradients({number: g})


def _become_output(tensor: Tensor, node: Node, number: int, ctx: FunctionCtx) -> None:
    """Give a tensor the place of an output of the call in the graph."""
    if len(ctx._differentiable) == 1:
        tensor._node, tensor._requires_grad = node, True
        return
    call = wrap(np.empty(()))
    call._node, call._requires_grad = node, True
    assert isinstance(node.primitive, _Call)
    record_node(node.primitive.output, {"number": number}, tensor, [call], (False, False))
    assert tensor._node is not None
    tensor._node.dtype = _Gradients.dtype  # type: ignore[assignment]


def _record_call(primitive: Primitive, ctx: FunctionCtx, args: Sequence[Any], raw: Sequence[Any]) -> list[Any]:
    """The outputs of ``forward``, with the call behind those that have a gradient."""
    if thread.noting:
        thread.grad_enabled = Origin.here()
    inputs = [arg if needed else None for arg, needed in zip(args, ctx.needs_input_grad, strict=True)]
    dtype = np.result_type(*[t.dtype for t in inputs if t is not None])
    inputs = [None if t is None else convert(t, dtype=dtype) for t in inputs]
    call = wrap(np.empty((), dtype))
    record_node(primitive, {}, call, inputs, (False,) * (len(inputs) + 1))
    assert call._node is not None
    ctx._keep(call._node, raw)
    results = [_renewed(output) for output in raw]
    for number in ctx._differentiable:
        _become_output(results[number], call._node, number, ctx)
    return results


def _renewed(output: Any) -> Any:
    """An output of ``forward`` as a tensor that only the caller has: so ``ctx`` may keep the other one."""
    if not isinstance(output, Tensor):
        return output
    result = wrap(output._array)
    result._version = note_view(output, result)
    return result


# ---- running the user's backward


def _run_backward(function: type[Function], ctx: FunctionCtx, g: Any, inputs: Sequence[Any]) -> list[Any]:
    """The gradients of all inputs, in the form that ``g`` has: arrays, or Tensors that are being recorded."""
    of_output = g.of_output if isinstance(g, _Gradients) else {ctx._differentiable[0]: g}
    recorded = any(isinstance(gradient, Tensor) for gradient in of_output.values())
    incoming = [_incoming(ctx, number, of_output.get(number)) for number in range(len(ctx._outputs))]
    with set_grad_enabled(recorded):
        returned = function.backward(ctx, *incoming)
        gradients = _checked(ctx, returned if isinstance(returned, tuple) else (returned,), inputs)
    if recorded:
        return gradients
    return [None if t is None else t._array[...] for t in gradients]  # views, so that the engine copies what it keeps


def _incoming(ctx: FunctionCtx, number: int, g: Any) -> Tensor | None:
    """What ``backward`` gets for an output: others see the same array, so it cannot be written to."""
    if isinstance(g, Tensor):
        return g
    output = ctx._outputs[number]
    if g is None:
        return wrap(np.zeros(output.shape, output.dtype)) if ctx._materialize and output is not None else None
    array: Array = np.asarray(g)[...]
    array.flags.writeable = False
    return wrap(array)


def _checked(ctx: FunctionCtx, returned: Sequence[Any], inputs: Sequence[Any]) -> list[Tensor | None]:
    """The gradients of all inputs, in their dtype; None where none is needed."""
    expected = len(inputs)
    if len(returned) < expected or any(g is not None for g in returned[expected:]):
        raise RuntimeError(
            f"{ctx._name}.backward returned {len(returned)} gradients, but forward has {expected} arguments: "
            "return one for each, None for what has no gradient"
        )
    return [
        _checked_one(ctx, number, g, input) for number, (g, input) in enumerate(zip(returned, inputs, strict=False))
    ]


def _checked_one(ctx: FunctionCtx, number: int, g: Any, input: StandIn | None) -> Tensor | None:
    """The gradient of one input."""
    title = f"{ctx._name}.backward, gradient {number}"
    if g is not None and not isinstance(g, Tensor):
        raise RuntimeError(f"{title}: expected a Tensor or None, not {type(g).__name__}")
    if g is not None and not ctx._tensors[number]:
        raise RuntimeError(f"{title}: argument {number} of forward is not a tensor, so it must be None")
    if input is None or g is None:
        return None
    if g.dtype.kind != "f":
        raise RuntimeError(f"{title}: it is {g.dtype}, and must be floating point as the input, {input.dtype}")
    if not _sums_to(g.shape, input.shape):
        raise RuntimeError(f"{title}: it has shape {g.shape}, which does not fit the input of shape {input.shape}")
    return convert(g, dtype=input.dtype)  # type: ignore[no-any-return]


def _sums_to(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a shape is another one broadcast."""
    inner = found[len(found) - len(shape) :]
    return len(found) >= len(shape) and all(n in (1, m) for n, m in zip(shape, inner, strict=True))


# ---- what users write


class Function:
    """An operation with a derivative of one's own: ``forward`` computes, ``backward`` is its derivative rule.

    Both are static methods, and ``apply`` calls the operation. ``forward`` takes a context first, which it
    leaves to ``backward`` what that needs in; or it takes none, and ``setup_context`` does this.
    Nothing inside ``forward`` is recorded, so it may use NumPy. ``backward`` gets the gradient of each output and
    returns one for each argument; None is no gradient. With ``create_graph`` it is recorded itself: written
    with operations on tensors, it can be differentiated again.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> class Cube(tl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return grad_output * 3 * x**2
    >>> x = tl.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _call: _Call

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._call = _Call(cls)

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute: ``forward(ctx, *args)``, or ``forward(*args)`` where there is a :meth:`setup_context`.

        Returns
        -------
        Tensor or tuple
            The output or outputs; those that are not tensors are passed on.
        """
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Leave in ``ctx`` what ``backward`` needs, if ``forward`` takes no context."""
        raise NotImplementedError("a Function whose forward takes no ctx needs a static method setup_context")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """From the gradient of each output, that of each argument: a Tensor or None, or a tuple of them."""
        raise NotImplementedError(
            "a Function that is differentiated needs a static method backward(ctx, *grad_outputs)"
        )

    @classmethod
    def _takes_context(cls) -> bool:
        return cls.setup_context is Function.setup_context

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the operation.

        Raises
        ------
        RuntimeError
            If ``forward`` changes an input that requires grad in place; in backward, if a saved tensor was
            changed, or ``backward`` returns gradients of a wrong number, shape or dtype.
        TypeError
            If ``forward`` returns tensors in a list.
        """
        if kwargs:
            args = cls._positional(args, kwargs)
        ctx = FunctionCtx(cls.__name__, args)
        inputs = [arg for arg in args if isinstance(arg, Tensor) and arg._requires_grad]
        before = [(arg._version, stamp(arg._version, arg._array)) for arg in inputs]
        with no_grad():
            if cls._takes_context():
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        if any(changed(*versions) for versions in before):
            raise RuntimeError(
                f"{cls.__name__}.forward changed an input that requires grad in place: change a clone() instead"
            )
        outputs = output if isinstance(output, tuple) else (output,)
        if any(isinstance(y, list) and any(isinstance(t, Tensor) for t in y) for y in outputs):
            raise TypeError(f"{cls.__name__}.forward returned tensors in a list: return a tuple")
        ctx._note_outputs(outputs)
        if is_grad_enabled() and inputs and ctx._differentiable:
            outputs = tuple(_record_call(cls._call, ctx, args, outputs))
        return tuple(outputs) if isinstance(output, tuple) else outputs[0]

    @classmethod
    def _positional(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        context = (None,) if cls._takes_context() else ()
        return inspect.signature(cls.forward).bind(*context, *args, **kwargs).args[len(context) :]


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a ``backward`` that does not compute with recorded operations: a second derivative raises.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> class Cube(tl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.x = x.detach().numpy()
    ...         return tl.from_numpy(ctx.x**3)
    ...
    ...     @staticmethod
    ...     @tl.autograd.function.once_differentiable
    ...     def backward(ctx, grad_output):
    ...         return tl.from_numpy(grad_output.numpy() * 3 * ctx.x**2)
    """

    @functools.wraps(fn)
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        with no_grad():
            found = fn(ctx, *grad_outputs)
        arguments = (*grad_outputs, *ctx.saved_tensors)
        causes = [t for t in arguments if isinstance(t, Tensor) and t._requires_grad]
        gradients = found if isinstance(found, tuple) else (found,)
        return tuple(_differentiate_once(g, *causes) if isinstance(g, Tensor) else g for g in gradients)

    return backward


def _once(gradient: Any, *_causes: Any) -> Any:
    return gradient


def _once_vjp(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(
        "trying to differentiate twice a Function whose backward is marked with @once_differentiable: write backward "
        "with operations on tensors, without the mark"
    )


_ONCE = Primitive(_once)
_ONCE.vjp(-1)(_once_vjp)
_differentiate_once = recorder(_ONCE)
