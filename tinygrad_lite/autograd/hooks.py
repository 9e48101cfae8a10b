"""What users want done with a gradient on its way: hooks, and their handles."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tinygrad_lite.autograd.tensor import Tensor

__all__ = ["Hook", "Hooks", "RemovableHandle", "check", "register"]

Hook = Callable[..., Any]
_numbers = itertools.count()


class Hooks:
    """What is done with the gradient of one tensor.

    Attributes
    ----------
    on_gradient : dict of int to callable
        ``hook(gradient) -> gradient or None``, in the order of registration.
    after_accumulation : dict of int to callable
        ``hook(leaf)``, once ``leaf.grad`` is complete.
    retained : weakref or None
        The computed tensor that wants its gradient in ``grad`` too.
    """

    __slots__ = ("after_accumulation", "on_gradient", "retained")

    def __init__(self) -> None:
        self.on_gradient: dict[int, Hook] = {}
        self.after_accumulation: dict[int, Hook] = {}
        self.retained: weakref.ref[Tensor] | None = None


class RemovableHandle:
    """Takes a hook away again: by ``remove()``, or at the end of a ``with`` block.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.ones(2, requires_grad=True)
    >>> with x.register_hook(lambda gradient: 10 * gradient):
    ...     x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """

    def __init__(self, hooks: dict[int, Hook]) -> None:
        self.id = next(_numbers)
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register(hooks: dict[int, Hook], hook: Hook) -> RemovableHandle:
    """Add a hook; the handle removes it."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = check(hook)
    return handle


def check(hook: Any) -> Hook:
    """The hook; raises TypeError if it cannot be called."""
    if not callable(hook):
        raise TypeError(f"a hook must be callable, not {type(hook).__name__}")
    return hook  # type: ignore[no-any-return]
