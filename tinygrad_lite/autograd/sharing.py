"""Who can change a tensor's memory: other tensors that are views of it, and NumPy code that holds its array.

A tensor's ``_version`` is a list ``[changes, sharing]`` that all tensors on the same memory have in common: how
often it was changed in place, and a :class:`Sharing`, or None while the tensor is alone with its memory.
"""

from __future__ import annotations

import weakref
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tinygrad_lite.autograd.tensor import Tensor

__all__ = ["Sharing", "Stamp", "Version", "changed", "expose", "note_view", "others_on_memory", "reachable", "stamp"]

Version = list[Any]


class Sharing:
    """The living ``tensors`` on the memory, the ``array`` that NumPy code got of it, and its ``checksum`` then."""

    __slots__ = ("array", "checksum", "tensors")

    def __init__(self, array: NDArray[Any] | None = None) -> None:
        self.tensors: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()
        self.array = array
        self.checksum: int | None = None


class Snapshot(NamedTuple):
    """A saved array that NumPy code can reach: what ``changes`` stood at, and what was in it."""

    changes: int
    array: NDArray[Any]
    checksum: int


Stamp = int | Snapshot


def stamp(version: Version, array: NDArray[Any]) -> Stamp:
    """What a node keeps of an array that it saves, to find out later whether it was :func:`changed`.

    Memory that cannot be written to needs no look: ``array.flags.writeable = False`` saves that time.
    """
    sharing = version[1]
    if sharing is None or sharing.array is None or not _owner(array).flags.writeable:
        return version[0]  # type: ignore[no-any-return]
    return Snapshot(version[0], array, _checksum(array))


def changed(version: Version, at_save: Stamp) -> bool:
    """Whether an array was changed since it was saved, by an operation or through NumPy."""
    if isinstance(at_save, Snapshot):
        return version[0] != at_save.changes or _checksum(at_save.array) != at_save.checksum
    sharing = version[1]
    exposed_since = sharing is not None and sharing.checksum is not None
    return version[0] != at_save or (exposed_since and _checksum(sharing.array) != sharing.checksum)


def reachable(array: NDArray[Any]) -> Version:
    """The version of a tensor that is made around the user's own array."""
    return [0, Sharing(array)]


def expose(tensor: Tensor) -> None:
    """Note that NumPy code gets hold of the tensor's memory; what was saved of it so far is as it is now."""
    sharing = _sharing(tensor._version)
    if sharing.array is None:
        sharing.array = _owner(tensor._array)
        sharing.checksum = _checksum(sharing.array)


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
