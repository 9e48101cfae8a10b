"""What a module does around its forward and backward where hooks are registered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_lite.autograd.function import Function
from tinygrad_lite.autograd.hooks import Hook, RemovableHandle, check, register
from tinygrad_lite.autograd.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_lite.nn.module import Module

__all__ = ["ModuleHooks", "add", "pre_with_kwargs", "with_kwargs"]

Gradients = tuple[Tensor | None, ...]


class ModuleHooks:
    """The hooks of one module, by when they run.

    Attributes
    ----------
    forward_pre : dict of int to callable
        ``hook(module, args, kwargs)``; returns None, or new arguments ``(args, kwargs)``.
    forward : dict of int to callable
        ``hook(module, args, kwargs, output)``; returns None or another output.
    backward_pre : dict of int to callable
        ``hook(module, grad_output)``; returns None or other gradients of the outputs.
    backward : dict of int to callable
        ``hook(module, grad_input, grad_output)``; returns None or other gradients of the inputs.
    """

    def __init__(self) -> None:
        self.forward_pre: dict[int, Hook] = {}
        self.forward: dict[int, Hook] = {}
        self.backward_pre: dict[int, Hook] = {}
        self.backward: dict[int, Hook] = {}

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the module's forward with the hooks around it."""
        for hook in list(self.forward_pre.values()):
            args, kwargs = hook(module, args, kwargs) or (args, kwargs)
        if not self.backward_pre and not self.backward:
            return self._after(module, args, kwargs, module.forward(*args, **kwargs))
        passage = _Passage(module, self)
        inside = passage.enter(args)
        return passage.leave(self._after(module, args, kwargs, module.forward(*inside, **kwargs)))

    def _after(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        for hook in list(self.forward.values()):
            replaced = hook(module, args, kwargs, output)
            output = output if replaced is None else replaced
        return output


class _Passage:
    """One call of a module with backward hooks: what enters and leaves it in backward goes through here."""

    def __init__(self, module: Module, hooks: ModuleHooks) -> None:
        self.module = module
        self.hooks = hooks
        self.grad_output: Gradients | None = None
        self.without_grad_input: Gradients | None = None

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments; the gradients that leave the module through them go through the hooks."""
        if _require_grad(args):
            return _Watched.apply(self._on_grad_input, *args)  # type: ignore[no-any-return]
        self.without_grad_input = (None,) * len(args)
        return args

    def leave(self, output: Any) -> Any:
        """The output; the gradients that enter the module through it are kept for the hooks."""
        outputs = output if isinstance(output, tuple) else (output,)
        if _require_grad(outputs):
            outputs = _Watched.apply(self._on_grad_output, *outputs)
        return outputs if isinstance(output, tuple) else outputs[0]

    def _on_grad_output(self, gradients: Gradients) -> Gradients:
        for hook in list(self.hooks.backward_pre.values()):
            gradients = _replacement(hook(self.module, gradients), gradients)
        self.grad_output = gradients
        if self.without_grad_input is not None:
            self._on_grad_input(self.without_grad_input)
        return gradients

    def _on_grad_input(self, gradients: Gradients) -> Gradients:
        grad_output, self.grad_output = self.grad_output, None
        if grad_output is None:
            return gradients  # of a second derivative, which does not come through the outputs
        for hook in list(self.hooks.backward.values()):
            gradients = _replacement(hook(self.module, gradients, grad_output), gradients)
        return gradients


def _require_grad(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def _replacement(returned: Any, gradients: Gradients) -> Gradients:
    """What a backward hook returned instead of the gradients, if anything."""
    if returned is None:
        return gradients
    replaced = returned if isinstance(returned, tuple) else (returned,)
    if len(replaced) != len(gradients):
        raise RuntimeError(f"a backward hook returned {len(replaced)} gradients in the place of {len(gradients)}")
    return replaced


class _Watched(Function):
    """The same tensors; their gradients go through a function, all at once."""

    @staticmethod
    def forward(ctx: Any, change: Callable[[Gradients], Gradients], *tensors: Any) -> Any:
        ctx.change = change
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        return None, *ctx.change(gradients)


def with_kwargs(hook: Hook) -> Hook:
    """A forward hook that wants no keyword arguments, called with them."""
    return functools.partial(_call_without_kwargs, check(hook))


def _call_without_kwargs(
    hook: Hook, module: Module, args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any
) -> Any:
    return hook(module, args, output)


def pre_with_kwargs(hook: Hook) -> Hook:
    """A forward pre-hook that wants no keyword arguments, called with them; one returned value is one argument."""
    return functools.partial(_call_with_args, check(hook))


def _call_with_args(hook: Hook, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    returned = hook(module, args)
    if returned is None:
        return None
    return returned if isinstance(returned, tuple) else (returned,), kwargs


def add(hooks: dict[int, Hook], hook: Hook, prepend: bool) -> RemovableHandle:
    """Register a hook, behind the others or before them."""
    others = dict(hooks) if prepend else {}
    handle = register(hooks, hook)
    for number, other in others.items():
        del hooks[number]
        hooks[number] = other
    return handle
