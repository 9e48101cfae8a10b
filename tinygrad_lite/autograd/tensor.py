"""The Tensor itself: an array, and its place in the graph.

Operators and methods that compute come from ``ops/``; ``_tensor.py`` attaches them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.autograd.hooks import Hook, Hooks, RemovableHandle, register
from tinygrad_lite.autograd.modes import silently, thread
from tinygrad_lite.autograd.numpy_functions import CHANGING, INSTEAD, NEEDS_NO_DERIVATIVE
from tinygrad_lite.autograd.sharing import Version, expose, note_view, reachable

if TYPE_CHECKING:
    from tinygrad_lite._tensor import TensorMethods
    from tinygrad_lite.autograd.graph import Node
else:
    TensorMethods = object

__all__ = ["Tensor"]

Array = NDArray[Any]

NUMPY: dict[Any, Callable[..., Any]] = {}
"""What ``np.f(tensor)`` runs: by NumPy function, ufunc, or ``(ufunc, method name)``."""


class Tensor(TensorMethods):
    """An n-dimensional array that remembers how it was computed.

    Create one with :func:`tinygrad_lite.tensor`; the constructor is for data that is already an
    array or a list and gives the default dtype float32, as ``torch.Tensor(data)`` does.

    Parameters
    ----------
    data : array_like
        Numbers of any shape.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_hooks", "_node", "_requires_grad", "_version")

    _array: Array
    _grad: Tensor | None
    _hooks: Hooks | None  # of a leaf
    _node: Node | None
    _requires_grad: bool
    _version: Version

    def __init__(self, data: Any) -> None:
        if isinstance(data, (int, float)):
            raise TypeError("Tensor(data) takes a list or an array: for a shape, use empty(), zeros() or randn()")
        self._array = data._array if isinstance(data, Tensor) else np.array(data, dtype=np.float32)
        self._grad = self._hooks = self._node = None
        self._requires_grad = False
        self._version = data._version if isinstance(data, Tensor) else [0, None]

    # ---- the array

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type: one of ``tl.bool``, ``tl.uint8``, ``tl.int8`` ... ``tl.float64``."""
        return self._array.dtype

    @property
    def data(self) -> Tensor:
        """A tensor that shares this one's memory and is outside the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, not {type(value).__name__}")
        if self._requires_grad and value.dtype.kind != "f":
            raise RuntimeError(f"data of a tensor that requires grad must be floating point, not {value.dtype}")
        self._array, self._version = value._array, value._version

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        shape = self._array.shape
        if dim is None:
            return shape
        if not -len(shape) <= dim < len(shape):
            raise IndexError(f"size: dim {dim} is out of range for shape {shape}")
        return shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return int(self._array.size)

    def item(self) -> Any:
        """The only element, as a Python number.

        Raises
        ------
        RuntimeError
            If there is not exactly one element.
        """
        if self._array.size != 1:
            raise RuntimeError(f"item() needs a tensor of one element, not of shape {self.shape}")
        return self._array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number for a 0-d tensor."""
        return self._array.tolist()

    def numpy(self) -> Array:
        """The array itself, sharing memory.

        Raises
        ------
        RuntimeError
            If the tensor requires grad: ``detach()`` it first, to say that the graph ends here.
        """
        if self._requires_grad:
            raise RuntimeError("numpy() on a tensor that requires grad: use tensor.detach().numpy()")
        expose(self)
        return self._array

    def detach(self) -> Tensor:
        """A tensor that shares this one's memory and needs no gradient."""
        return wrap(self._array, version=self._version)

    # ---- the graph

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say whether this leaf gets a gradient, in place.

        Raises
        ------
        RuntimeError
            For an integer or bool tensor, and for switching off a tensor that is no leaf.
        """
        if requires_grad and self._array.dtype.kind != "f":
            raise RuntimeError(
                f"only floating-point tensors can require gradients, this one is {self.dtype}: "
                "write 1.0 instead of 1, or convert with .float()"
            )
        if not requires_grad and self._node is not None:
            raise RuntimeError(
                "requires_grad of a computed tensor cannot be switched off: use detach() to cut it from the graph"
            )
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor; None for a leaf."""
        return self._node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` accumulated here, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise RuntimeError(
                    f"grad of shape {value.shape}, {value.dtype} does not fit "
                    f"the tensor of shape {self.shape}, {self.dtype}"
                )
        self._grad = value

    def retain_grad(self) -> None:
        """Let ``backward()`` fill ``grad`` of this computed tensor too, as it does for leaves."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad() on a tensor that does not require grad")
        if self._node is not None:
            self._own_hooks().retained = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether ``backward()`` fills ``grad`` of this computed tensor."""
        return self._node is not None and self._node.hooks is not None and self._node.hooks.retained is not None

    def register_hook(self, hook: Hook) -> RemovableHandle:
        """Let ``hook(gradient)`` see this tensor's gradient as soon as it is known.

        Parameters
        ----------
        hook : callable
            Gets the whole gradient, and may return another one to go on with; it runs once per
            backward, after the hooks registered before it.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook away.

        Raises
        ------
        RuntimeError
            If the tensor does not require grad.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook() on a tensor that does not require grad")
        return register(self._own_hooks().on_gradient, hook)

    def register_post_accumulate_grad_hook(self, hook: Hook) -> RemovableHandle:
        """Let ``hook(leaf)`` run whenever ``backward()`` has added to ``leaf.grad``.

        Raises
        ------
        RuntimeError
            If the tensor is no leaf, or does not require grad.
        """
        if not self._requires_grad or self._node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook() is for leaves that require grad")
        return register(self._own_hooks().after_accumulation, hook)

    def _own_hooks(self) -> Hooks:
        """The hooks on this tensor's gradient; a leaf's are kept with it, those of a computed tensor with its node."""
        if self._node is not None:
            self._node.hooks = self._node.hooks or Hooks()
            return self._node.hooks
        self._hooks = self._hooks or Hooks()
        return self._hooks

    # ---- Python

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._array.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self._array.shape[0]))

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: use .any() or .all(), or compare shapes"
            )
        return bool(self._array)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._array.size != 1 or self._array.dtype.kind == "f":
            raise TypeError(f"only an integer tensor of one element is an index, not {self.dtype} {self.shape}")
        return int(self._array.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._array.ndim == 0 else format(str(self), spec)

    def __copy__(self) -> Tensor:
        copy = wrap(self._array, type(self), self._version)
        copy._requires_grad, copy._node, copy._grad = self._requires_grad, self._node, self._grad
        note_view(self, copy)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("deepcopy of a computed tensor: only leaves can be copied; use detach().clone()")
        copy = wrap(self._array.copy(), type(self))
        copy._requires_grad = self._requires_grad
        copy._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        if self._node is not None:
            raise RuntimeError("pickling a computed tensor: only leaves can be saved; use detach()")
        return _rebuild, (type(self), self._array, self._requires_grad)

    # ---- NumPy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._requires_grad:
            raise RuntimeError("a tensor that requires grad does not turn into an array: use tensor.detach().numpy()")
        array = np.array(self._array, dtype=dtype, copy=copy)
        if array is self._array:
            expose(self)
        return array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if method == "at" and isinstance(inputs[0], Tensor):
            raise _changes(f"{ufunc.__name__}.at")
        if out is not None and out[0] is inputs[0] and not isinstance(out[0], Tensor):
            raise TypeError(
                f"np.{ufunc.__name__} would put a tensor's values into an array in place: write a = a + tensor, "
                "or use tensor.detach().numpy()"
            )
        call = NUMPY.get(ufunc if method == "__call__" else (ufunc, method))
        result = call(*inputs, **kwargs) if call else _plain(function, inputs, kwargs)
        if out is None:
            return result
        if len(out) != 1:
            raise TypeError(f"np.{ufunc.__name__} of tensors: out= is not supported for several results")
        return _into(out[0], result)

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        out = kwargs.pop("out", None)
        if function in CHANGING and isinstance(args[0] if args else None, Tensor):
            raise _changes(function.__name__)
        call = NUMPY.get(function)
        result = call(*args, **kwargs) if call else _plain(function, args, kwargs)
        return result if out is None else _into(out, result)


def wrap(array: Array, kind: type[Tensor] = Tensor, version: Version | None = None) -> Tensor:
    """A leaf of class ``kind`` around this very array; it needs no gradient."""
    tensor = kind.__new__(kind)
    tensor._array = array
    tensor._grad = tensor._hooks = tensor._node = None
    tensor._requires_grad = False
    tensor._version = [0, None] if version is None else version
    return tensor


def borrow(array: Array) -> Tensor:
    """A leaf around the user's own array; if a gradient needs it after the user changed it, backward raises."""
    return wrap(array, version=reachable(array))


def _rebuild(kind: type[Tensor], array: Array, requires_grad: bool) -> Tensor:
    tensor = wrap(array, kind)
    tensor._requires_grad = requires_grad
    return tensor


def as_array(value: Any) -> Any:
    """The array behind a tensor, also inside lists and tuples; anything else as it is."""
    if isinstance(value, Tensor):
        return value._array
    if isinstance(value, (list, tuple)):
        return type(value)(as_array(item) for item in value)
    return value


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _plain(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A NumPy function that has no counterpart here: on plain arrays, where no gradient is at stake."""
    tensors = list(_tensors([*args, *kwargs.values()]))
    at_stake = thread.grad_enabled and function not in NEEDS_NO_DERIVATIVE
    if at_stake and any(tensor._requires_grad for tensor in tensors):
        module = getattr(function, "__module__", None) or "np"
        raise TypeError(
            f"{module.replace('numpy', 'np')}.{function.__name__} has no derivative here: "
            f"{INSTEAD.get(function, 'write it with operations of tl')}; or call it on tensor.detach()"
        )
    result = silently(function, *as_array(tuple(args)), **{key: as_array(value) for key, value in kwargs.items()})
    for tensor in tensors:
        if isinstance(result, np.ndarray) and np.may_share_memory(result, tensor._array):
            expose(tensor)
    return result


def _changes(name: str) -> TypeError:
    return TypeError(f"np.{name} would change a tensor unnoticed: use tensor[index] = value, copy_() or fill_()")


def _into(out: Any, result: Tensor) -> Any:
    """The result of ``np.f(..., out=out)``."""
    if isinstance(out, Tensor):
        return out.copy_(result)
    if isinstance(result, Tensor) and result._requires_grad:
        raise TypeError("out= is an ndarray, which cannot be part of the graph: leave out=, or detach() the inputs")
    np.copyto(out, as_array(result))
    return out
