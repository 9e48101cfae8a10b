"""Making tensors: from data, and filled with numbers."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinygrad_lite import dtypes
from tinygrad_lite.autograd.modes import thread
from tinygrad_lite.autograd.primitive import implements
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import Array, Tensor, borrow, wrap
from tinygrad_lite.dtypes import DTypeLike
from tinygrad_lite.ops.shape import stack

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "is_tensor",
    "linspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]


# ---- from data


def tensor(data: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of the data.

    Parameters
    ----------
    data : number, (nested) list, ndarray or Tensor
        Python floats give float32, ints int64, bools bool; arrays keep their dtype.
    dtype : dtype, optional
        What to convert to.
    requires_grad : bool
        Whether gradients are wanted; floating point only.

    Raises
    ------
    ValueError
        For a ragged list, a list of strings, and integers beyond int64.
    TypeError
        For a string, complex numbers, and arrays of dtypes that are not supported.
    RuntimeError
        For None and other objects, for a number that does not fit the dtype, and if an integer or
        bool tensor shall require grad.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> tl.tensor([1.0, 2.0], requires_grad=True)
    tensor([1., 2.], requires_grad=True)
    """
    return _leaf(np.array(_array_of(data, dtype)), requires_grad)


def as_tensor(data: Any, dtype: DTypeLike = None) -> Tensor:
    """A tensor of the data, sharing memory with an array or tensor of that dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> array = np.zeros(2)
    >>> tl.as_tensor(array)[0] = 7
    >>> array
    array([7., 0.])
    """
    if isinstance(data, Tensor):
        return data if dtype is None else convert(data, dtype=dtypes.as_dtype(dtype))
    return borrow(_array_of(data, dtype))


def from_numpy(ndarray: Array) -> Tensor:
    """A tensor that shares the array's memory.

    Raises
    ------
    TypeError
        If it is no ndarray, or its dtype is not supported.
    ValueError
        If its byte order is not the machine's.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> tl.from_numpy(np.array([1, 2]))
    tensor([1, 2])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, not {type(ndarray).__name__}; use tensor() for other data")
    if dtypes.as_dtype(ndarray.dtype) != ndarray.dtype:
        raise ValueError(f"from_numpy: {ndarray.dtype} has a foreign byte order; use tensor(), which converts")
    return borrow(ndarray)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, by the DLPack protocol.

    Raises
    ------
    TypeError
        If the object does not have the protocol, or the dtype is not supported.
    BufferError
        If it does not give its memory away, as a tensor that requires grad.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_lite as tl
    >>> array = np.zeros(2)
    >>> tl.from_dlpack(array)[0] = 7
    >>> array
    array([7., 0.])
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack: {type(ext_tensor).__name__} has no __dlpack__(); use tensor() for other data")
    return from_numpy(np.from_dlpack(ext_tensor))


def to_dlpack(tensor: Tensor, *, stream: Any = None, **kwargs: Any) -> Any:
    """The tensor's memory as a DLPack capsule: what ``Tensor.__dlpack__`` runs.

    Raises
    ------
    BufferError
        If the tensor requires grad, or is a reversed view, which other libraries do not know.
    """
    if tensor.requires_grad:
        raise BufferError("__dlpack__ of a tensor that requires grad: use tensor.detach(), the graph ends there")
    if stream is not None:
        raise BufferError("__dlpack__: tensors are on the CPU, which has no streams: leave stream=")
    if any(step < 0 for step in tensor._array.strides):
        raise BufferError("__dlpack__ of a reversed view: other libraries do not know negative strides; clone() it")
    return tensor.numpy().__dlpack__(**kwargs)


def dlpack_device(tensor: Tensor) -> tuple[int, int]:
    """The CPU, as DLPack numbers devices: what ``Tensor.__dlpack_device__`` runs."""
    return tensor._array.__dlpack_device__()


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.is_tensor([1.0])
    False
    """
    return isinstance(obj, Tensor)


def _array_of(data: Any, dtype: DTypeLike) -> Array:
    """The data as an array of a supported dtype; without copying an array that has it."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(data, Tensor):
        array = data._array
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        return _array_of_python(data, wanted)
    converted: Array = thread.run(np.asarray, array, wanted or dtypes.as_dtype(array.dtype))
    return converted


def _array_of_python(data: Any, wanted: np.dtype[Any] | None) -> Array:
    """Numbers and nested lists as an array: Python floats are the default float32."""
    if _holds_arrays(data):
        rows: Tensor = stack([as_tensor(item, wanted) for item in data])
        return rows._array
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"tensor: a ragged list: every row must have the same length ({error})") from None
    if array.dtype == np.uint64 or (array.dtype == object and all(isinstance(n, int) for n in array.flat)):
        raise ValueError("tensor: an integer is too large for int64")
    if array.dtype.kind not in "buif":
        text, alone = array.dtype.kind in "US", not isinstance(data, (list, tuple))
        kind = TypeError if array.dtype.kind == "c" or (text and alone) else ValueError if text else RuntimeError
        raise kind(f"tensor: expected numbers, got {type(data).__name__} with dtype {array.dtype}")
    if wanted is None and array.dtype.kind == "f" and not isinstance(_first(data), np.generic):
        wanted = dtypes.float32
    if wanted is not None and array.size:
        for extreme in (array.min(), array.max()):
            dtypes.check_number("tensor", extreme.item(), wanted)
    converted: Array = thread.run(np.asarray, array, wanted or dtypes.as_dtype(array.dtype))
    return converted


def _first(data: Any) -> Any:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _holds_arrays(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and any(
        isinstance(i, (Tensor, np.ndarray)) or _holds_arrays(i) for i in data
    )


def _leaf(array: Array, requires_grad: bool) -> Tensor:
    out = wrap(array if thread.recorder is None else thread.recorder.constant(array))
    return out.requires_grad_() if requires_grad else out


# ---- filled


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    """``zeros(2, 3)`` and ``zeros((2, 3))`` are the same."""
    try:
        sizes = tuple(map(operator.index, size[0] if len(size) == 1 and not hasattr(size[0], "__index__") else size))
    except TypeError:
        raise TypeError(f"a shape is made of integers, not of {', '.join(map(repr, size))}") from None
    if any(n < 0 for n in sizes):
        raise RuntimeError(f"a size cannot be negative: {sizes}")
    return sizes


def _float_by_default(dtype: DTypeLike) -> np.dtype[Any]:
    return dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)


def zeros(*size: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros; float32 unless told.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    return _leaf(np.zeros(_shape(size), _float_by_default(dtype)), requires_grad)


def ones(*size: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones; float32 unless told.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.ones(3)
    tensor([1., 1., 1.])
    """
    return _leaf(np.ones(_shape(size), _float_by_default(dtype)), requires_grad)


def empty(*size: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of whatever was in memory; float32 unless told.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.empty(2, 3).shape
    (2, 3)
    """
    return _leaf(np.empty(_shape(size), _float_by_default(dtype)), requires_grad)


def full(size: Any, fill_value: float, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows the value unless told.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.full((2,), 7)
    tensor([7, 7])
    """
    wanted = dtypes.scalar_dtype(fill_value) if dtype is None else dtypes.as_dtype(dtype)
    dtypes.check_number("full", fill_value, wanted)
    return _leaf(thread.run(np.full, _shape((size,)), fill_value, wanted), requires_grad)


def arange(
    start: float = 0, end: float | None = None, step: float = 1, dtype: DTypeLike = None, requires_grad: bool = False
) -> Tensor:
    """``start``, ``start + step``, ... below ``end``; ``arange(end)`` starts at 0. int64 of ints, else float32.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])
    """
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"arange: from {start} to {end} in steps of {step}: the step must lead from start to end")
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    wanted = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64 if whole else dtypes.float32
    length = math.ceil((end - start) / step)
    return _leaf((start + step * np.arange(length)).astype(wanted), requires_grad)


def linspace(start: float, end: float, steps: int, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``, both included.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise RuntimeError(f"linspace: the number of steps cannot be negative: {steps}")
    return _leaf(np.linspace(start, end, steps).astype(_float_by_default(dtype)), requires_grad)


def eye(n: int, m: int | None = None, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix of n rows (and m columns).

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if min(n, n if m is None else m) < 0:
        raise RuntimeError(f"eye: a size cannot be negative: {n}, {m}")
    return _leaf(np.eye(n, m, dtype=_float_by_default(dtype)), requires_grad)


# ---- like another


@implements(np.zeros_like)
def zeros_like(input: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the input's shape and dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.zeros_like(tl.tensor([1, 2]))
    tensor([0, 0])
    """
    return zeros(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


@implements(np.ones_like)
def ones_like(input: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """Ones of the input's shape and dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.ones_like(tl.tensor([2.0]))
    tensor([1.])
    """
    return ones(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


@implements(np.empty_like)
def empty_like(input: Any, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """Whatever is in memory, of the input's shape and dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.empty_like(tl.ones(2)).shape
    (2,)
    """
    return empty(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


@implements(np.full_like)
def full_like(input: Any, fill_value: float, dtype: DTypeLike = None, requires_grad: bool = False) -> Tensor:
    """One value, of the input's shape and dtype.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> tl.full_like(tl.ones(2), 7)
    tensor([7., 7.])
    """
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)
