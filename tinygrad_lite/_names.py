"""What an AttributeError says: the name that was meant, or that a name of PyTorch is not here."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

__all__ = ["explain_missing", "refuse_missing", "torch_names"]

PAGE = "docs/compatibility.md"


def explain_missing(module: str, lazy: Collection[str] = ()) -> None:
    """Let a namespace, which calls this for itself, say what a name that it does not have may have meant.

    ``lazy`` names its modules that are imported when somebody asks for them.
    """

    def missing(name: str) -> Any:
        if name in lazy:
            return importlib.import_module(f"{module}.{name}")
        message = _Message(sys.modules[module], f"torch{module.removeprefix('tinygrad_lite')}", name)
        raise AttributeError(message, name=name)  # obj= would let Python guess a name as well

    vars(sys.modules[module])["__getattr__"] = missing  # not defined, or mypy would let every name pass


def refuse_missing(kind: type, namespace: str) -> None:
    """Put a refusal in the place of each attribute that PyTorch's class has and this one has not.

    Python itself suggests the nearest name for a misspelt one. A ``__getattr__`` could say both, but a class that
    has one reads every attribute two to three times as slowly.
    """
    for name in torch_names()[namespace]:
        if not hasattr(kind, name):
            setattr(kind, name, _NotHere(namespace, name))
    every: Callable[[Any], Iterable[str]] = kind.__dir__  # type: ignore[assignment]

    def without_refusals(self: Any) -> list[str]:
        return [name for name in every(self) if not isinstance(inspect.getattr_static(self, name, None), _NotHere)]

    kind.__dir__ = without_refusals  # type: ignore[assignment, method-assign]


class _NotHere:
    """Stands for an attribute of PyTorch's: reading it raises AttributeError, setting it on an instance works."""

    def __init__(self, namespace: str, name: str) -> None:
        self._namespace, self._name = namespace, name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(_not_part(self._namespace, self._name))


def _not_part(namespace: str, name: str) -> str:
    here = namespace.replace("torch", "tinygrad_lite", 1)
    return f"{namespace}.{name} is not part of {here}; {PAGE} lists what is, and what to use instead"


def torch_names() -> dict[str, list[str]]:
    """The public names of PyTorch's namespaces."""
    blocks = Path(__file__).with_name("_torch_names.txt").read_text(encoding="utf-8").split("\n\n")
    return {namespace: names for namespace, *names in map(str.split, blocks)}


class _Message:
    """The text of the error, worked out when somebody reads it: ``hasattr`` and ``getattr`` with a default do not."""

    def __init__(self, owner: ModuleType, namespace: str, name: str) -> None:
        self._owner, self._namespace, self._name = owner, namespace, name

    def __str__(self) -> str:
        text = f"{self._owner.__name__} has no attribute {self._name!r}"
        if self._name.startswith("_"):
            return text
        namespaces = torch_names()
        theirs = namespaces.get(self._namespace, [])
        if self._name not in theirs:
            own = vars(self._owner)
            values = [known for known in own if not isinstance(own[known], ModuleType)]
            near = _nearest(self._name, values) or _nearest(self._name, own)
            if hint := _elsewhere(self._name, namespaces) or (near and repr(near)):
                return f"{text}; did you mean {hint}?"
        if known := _nearest(self._name, theirs, cutoff=0.8):
            return _not_part(self._namespace, known)
        return text

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


def _nearest(name: str, names: Collection[str], cutoff: float = 0.6) -> str | None:
    """The public name that is spelt most alike, in whatever case."""
    import difflib  # no import before an error

    if name in names:
        return name
    spelt = {candidate.lower(): candidate for candidate in names if not candidate.startswith("_")}
    found = difflib.get_close_matches(name.lower(), spelt, 1, cutoff)
    return spelt[found[0]] if found else None


def _elsewhere(name: str, namespaces: Iterable[str]) -> str | None:
    """The name in another namespace of this package, in full."""
    for namespace in namespaces:
        module = namespace.replace("torch", "tinygrad_lite", 1)
        if name in vars(sys.modules.get(module, object)):
            return f"{module}.{name}"
    return None
