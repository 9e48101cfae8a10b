"""Nested tuples, lists and dicts: taking their leaves out, and putting others in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["leaves", "rebuild", "same_structure"]


def leaves(tree: Any) -> list[Any]:
    """Everything in a nested tuple, list or dict that is none of these, in order.

    Examples
    --------
    >>> leaves((1, {"a": [2, 3]}))
    [1, 2, 3]
    """
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def rebuild(tree: Any, replacements: Iterable[Any]) -> Any:
    """The same structure with other leaves.

    Examples
    --------
    >>> rebuild((1, {"a": [2, 3]}), [10, 20, 30])
    (10, {'a': [20, 30]})
    """
    return _filled(tree, iter(replacements))


def _filled(tree: Any, replacements: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return type(tree)((key, _filled(value, replacements)) for key, value in tree.items())
    if isinstance(tree, (list, tuple)):
        values = [_filled(value, replacements) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)  # a namedtuple takes them apart
    return next(replacements)


def same_structure(one: Any, other: Any) -> bool:
    """Whether two nested structures differ in their leaves only.

    Examples
    --------
    >>> same_structure((1, [2]), (3, [4])), same_structure((1, 2), [1, 2])
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_structure(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(same_structure, one, other))
    return not isinstance(one, (dict, list, tuple)) and not isinstance(other, (dict, list, tuple))
