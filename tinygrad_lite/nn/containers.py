"""Modules that hold other modules or parameters: in a row, in a list, in a dictionary."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, overload

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterList", "Sequential"]

Member = TypeVar("Member", Module, Parameter)


class _Row(Module, Generic[Member]):
    """What a numbered container can do: its members are the attributes "0", "1", ..."""

    _kind: type[Member]

    def _members(self) -> list[tuple[str, Member]]:
        return list(self._attributes(self._kind))

    def _check_member(self, member: Any) -> Member:
        if not isinstance(member, self._kind):
            name, kind = type(self).__name__, f"{self._kind.__name__}s"
            if isinstance(member, type):
                raise TypeError(f"{name} holds {kind}, not classes: write {member.__name__}(...)")
            raise TypeError(f"{name} holds {kind}, not {type(member).__name__}: {name}(*list) for a list")
        return member

    def _name_at(self, index: int) -> str:
        members = self._members()
        position = operator.index(index)
        if not -len(members) <= position < len(members):
            raise IndexError(f"index {position} is out of range for {type(self).__name__} of {len(members)}")
        return members[position][0]

    def _renumber(self, members: Iterable[Member]) -> None:
        members = list(members)
        for name, _ in self._members():
            delattr(self, name)
        for number, member in enumerate(members):
            setattr(self, str(number), member)

    def __len__(self) -> int:
        return len(self._members())

    def __iter__(self) -> Iterator[Member]:
        return iter([member for _, member in self._members()])

    @overload
    def __getitem__(self, index: int) -> Member: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Member | Self:
        if isinstance(index, slice):
            part = type(self).__new__(type(self))
            part.training = self.training
            part._renumber(member for _, member in self._members()[index])
            return part
        member: Member = getattr(self, self._name_at(index))
        return member

    def __setitem__(self, index: int, member: Member) -> None:
        setattr(self, self._name_at(index), self._check_member(member))

    def __delitem__(self, index: int | slice) -> None:
        members = list(self)
        del members[index]
        self._renumber(members)

    def append(self, member: Member) -> Self:
        """Add one at the end; returns the container."""
        setattr(self, str(len(self)), self._check_member(member))
        return self

    def extend(self, members: Iterable[Member]) -> Self:
        """Add several at the end; returns the container."""
        for member in members:
            self.append(member)
        return self

    def insert(self, index: int, member: Member) -> Self:
        """Add one before the given position; returns the container."""
        members = list(self)
        members.insert(index, self._check_member(member))
        self._renumber(members)
        return self


class Sequential(_Row[Module]):
    """Modules in a row: each one's output is the next one's input.

    Parameters
    ----------
    *modules : Module, or one dictionary of names to Modules
        The steps, in order.

    Raises
    ------
    TypeError
        If something is not a Module.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> from tinygrad_lite import nn
    >>> net = nn.Sequential(nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
    >>> net(tl.zeros(5, 784)).shape
    (5, 10)
    >>> net[:2]
    Sequential(
      (0): Linear(in_features=784, out_features=20, bias=True)
      (1): ReLU()
    )
    """

    _kind = Module

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        """The last module's output."""
        for module in vars(self).values():
            if isinstance(module, Module):
                input = module(input)
        return input


class ModuleList(_Row[Module]):
    """A list of modules that registers them; it has no ``forward``.

    Parameters
    ----------
    modules : iterable of Module, optional
        The first members.

    Examples
    --------
    >>> from tinygrad_lite import nn
    >>> layers = nn.ModuleList(nn.Linear(10, 10) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    _kind = Module

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)


class ParameterList(_Row[Parameter]):
    """A list of parameters that registers them.

    Parameters
    ----------
    values : iterable of Parameter or Tensor, optional
        The first members; a Tensor becomes a Parameter.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> weights = tl.nn.ParameterList([tl.ones(2, 3), tl.ones(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    _kind = Parameter

    def __init__(self, values: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.extend(values)  # type: ignore[arg-type]

    def _check_member(self, member: Any) -> Parameter:
        plain = isinstance(member, Tensor) and not isinstance(member, Parameter)
        return super()._check_member(Parameter(member) if plain else member)

    def extra_repr(self) -> str:
        """One line for each parameter: its dtype and shape."""
        return "\n".join(f"({name}): Parameter {p.dtype} of shape {p.shape}" for name, p in self._members())


class ModuleDict(Module):
    """A dictionary of modules that registers them; it has no ``forward``.

    Parameters
    ----------
    modules : mapping of str to Module, optional
        The first members.

    Raises
    ------
    KeyError
        For a key that is empty, has a dot, or is the name of a method.

    Examples
    --------
    >>> from tinygrad_lite import nn
    >>> heads = nn.ModuleDict({"digits": nn.Linear(20, 10), "fashion": nn.Linear(20, 10)})
    >>> list(heads), heads["digits"]
    (['digits', 'fashion'], Linear(in_features=20, out_features=10, bias=True))
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def _members(self) -> dict[str, Module]:
        return dict(self._attributes(Module))

    def __len__(self) -> int:
        return len(self._members())

    def __iter__(self) -> Iterator[str]:
        return iter(self._members())

    def __contains__(self, key: str) -> bool:
        return key in self._members()

    def __getitem__(self, key: str) -> Module:
        return self._members()[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._members().keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._members().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names and modules."""
        return self._members().items()

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace several modules."""
        for key, module in modules.items():
            self.add_module(key, module)

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        module = self[key]
        delattr(self, key)
        return module
