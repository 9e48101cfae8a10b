"""Who can change a tensor's memory: other tensors that are views of it, and NumPy code that holds its array.

A tensor's ``_version`` is a list ``[changes, sharing]`` that all tensors on the same memory have in common: how
often it was changed in place, and a :class:`Sharing`, or None while the tensor is alone with its memory.
"""

from __future__ import annotations

import weakref
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tinygrad_lite.autograd.tensor import Tensor

__all__ = ["Sharing", "Version", "changes", "expose", "note_view", "others_on_memory", "reachable"]

Version = list[Any]


class Sharing:
    """Attributes: the living ``tensors`` on the memory, and the ``array`` that NumPy code holds, as it last looked."""

    __slots__ = ("array", "look", "tensors")

    def __init__(self, array: NDArray[Any] | None = None) -> None:
        self.tensors: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()
        self.array = array
        self.look: int | None = None


def changes(version: Version) -> int:
    """How often the memory was changed so far; where NumPy code can reach it, it is looked at."""
    sharing = version[1]
    if sharing is not None and sharing.array is not None:
        look = _checksum(sharing.array)
        if look != sharing.look:
            version[0] += sharing.look is not None
            sharing.look = look
    return version[0]  # type: ignore[no-any-return]


def reachable(array: NDArray[Any]) -> Version:
    """The version of a tensor that is made around the user's own array."""
    return [0, Sharing(array)]


def expose(tensor: Tensor) -> None:
    """Note that NumPy code gets hold of the tensor's array."""
    sharing = _sharing(tensor._version)
    if sharing.array is not tensor._array:
        sharing.array = tensor._array if sharing.array is None else _owner(tensor._array)
        sharing.look = _checksum(sharing.array)


def note_view(tensor: Tensor, view: Tensor) -> Version:
    """Note that both are on the same memory; returns their version."""
    tensors = _sharing(tensor._version).tensors
    tensors[id(tensor)] = tensor
    tensors[id(view)] = view
    return tensor._version


def others_on_memory(tensor: Tensor) -> list[Tensor]:
    """The living tensors that are views of this one, or that it is a view of."""
    sharing = tensor._version[1]
    return [] if sharing is None else [other for other in sharing.tensors.values() if other is not tensor]


def _sharing(version: Version) -> Sharing:
    if version[1] is None:
        version[1] = Sharing()
    return version[1]  # type: ignore[no-any-return]


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """The array that the memory belongs to, if it is one."""
    return array.base if isinstance(array.base, np.ndarray) else array


def _checksum(array: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)
