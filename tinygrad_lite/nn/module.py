"""Module: what every layer and every net is made from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from tinygrad_lite._names import refuse_missing
from tinygrad_lite.autograd.anomaly import MODULE_CALLS, locate
from tinygrad_lite.autograd.hooks import Hook, RemovableHandle
from tinygrad_lite.autograd.tensor import Tensor, as_array
from tinygrad_lite.creation import empty
from tinygrad_lite.dtypes import float32, float64
from tinygrad_lite.nn import hooks
from tinygrad_lite.nn.hooks import ModuleHooks
from tinygrad_lite.nn.parameter import Parameter, zero_gradients

__all__ = ["Module"]

T = TypeVar("T")
Named = Iterator[tuple[str, T]]


class IncompatibleKeys(NamedTuple):
    """What :meth:`Module.load_state_dict` found on one side only."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A function with parameters: the base class of layers and nets.

    A subclass creates its parameters and submodules as plain attributes in ``__init__`` and says in
    ``forward`` what calling the module computes. The attributes are the whole registry: whatever
    Parameter or Module lies on ``self`` (not inside a list, see :class:`ModuleList`) is found.

    Attributes
    ----------
    training : bool
        True while training; :class:`Dropout` and its like read it. See :meth:`train` and :meth:`eval`.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> class Net(tl.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = tl.nn.Linear(784, 20)
    ...         self.output = tl.nn.Linear(20, 10)
    ...
    ...     def forward(self, x):
    ...         return self.output(self.hidden(x).relu())
    >>> net = Net()
    >>> net(tl.zeros(5, 784)).shape
    (5, 10)
    >>> [name for name, _ in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'output.weight', 'output.bias']
    >>> net
    Net(
      (hidden): Linear(in_features=784, out_features=20, bias=True)
      (output): Linear(in_features=20, out_features=10, bias=True)
    )
    """

    # Defaults on the class, so that a subclass that forgets super().__init__() works as well.
    training: bool = True
    _buffers: Mapping[str, bool] = MappingProxyType({})  # name: whether the buffer is in the state_dict
    _hooks: ModuleHooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module computes; every subclass defines it.

        Raises
        ------
        NotImplementedError
            If the subclass does not.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward(): define it, calling the module runs it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run :meth:`forward`; an error names the path of the module it arose in."""
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._hooks.call(self, args, kwargs)
        except Exception as error:
            locate(error)
            raise

    # ---- registration

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, (Parameter, Module)):
            self._check_replacement(name, value)
        object.__setattr__(self, name, value)

    def _check_replacement(self, name: str, value: Any) -> None:
        """Refuse a plain value in the place of a parameter, a module or a buffer."""
        held = vars(self).get(name)
        if isinstance(held, Parameter):
            role, expected, advice = "parameter", "nn.Parameter", f"; to change its values use {name}.data"
        elif isinstance(held, Module):
            role, expected, advice = "child module", "nn.Module", ""
        elif name in self._buffers and not isinstance(value, Tensor):
            role, expected, advice = "buffer", "Tensor", ""
        else:
            return
        raise TypeError(
            f"cannot assign {type(value).__name__!r} as {role} {name!r} ({expected} or None expected){advice}"
        )

    def _check_name(self, role: str, name: str, registered: bool) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {role} must be a string, not {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"{name!r} is no name for a {role}: it must not be empty nor contain a dot")
        if getattr(self, name, None) is not None and not registered:
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a computed name; ``self.name = param`` does the same.

        Raises
        ------
        KeyError
            If the name is empty, has a dot, or belongs to something else.
        TypeError
            If ``param`` is neither a Parameter nor None.
        """
        self._check_name("parameter", name, isinstance(vars(self).get(name), Parameter))
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} must be an nn.Parameter or None, not {type(param).__name__}")
        setattr(self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not trained.

        Parameters
        ----------
        name : str
            The attribute's name.
        tensor : Tensor or None
            Its value; it may be replaced later by assignment.
        persistent : bool
            Whether ``state_dict()`` holds it.

        Raises
        ------
        KeyError
            If the name is empty, has a dot, or belongs to something else.
        TypeError
            If ``tensor`` is neither a Tensor nor None.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> net = tl.nn.Module()
        >>> net.register_buffer("mean", tl.zeros(3))
        >>> list(net.state_dict()), list(net.parameters())
        (['mean'], [])
        """
        self._check_name("buffer", name, name in self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"buffer {name!r} must be a Tensor or None, not {type(tensor).__name__}")
        self._buffers = {**self._buffers, name: persistent}
        setattr(self, name, tensor)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a computed name; ``self.name = module`` does the same.

        Raises
        ------
        KeyError
            If the name is empty, has a dot, or belongs to something else.
        TypeError
            If ``module`` is neither a Module nor None.
        """
        self._check_name("module", name, isinstance(vars(self).get(name), Module))
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{module!r} is not a Module: submodules are instances of nn.Module")
        setattr(self, name, module)

    # ---- hooks

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Let ``hook(module, args)`` run before :meth:`forward`.

        Parameters
        ----------
        hook : callable
            Returns None, or the arguments to go on with: a tuple, or the only one.
        prepend : bool
            Before the hooks that are there already.
        with_kwargs : bool
            Call ``hook(module, args, kwargs)``, which returns None or ``(args, kwargs)``.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook away.
        """
        return hooks.add(self._own_hooks().forward_pre, hook if with_kwargs else hooks.pre_with_kwargs(hook), prepend)

    def register_forward_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Let ``hook(module, args, output)`` run after :meth:`forward`; it returns None or another output.

        Parameters
        ----------
        hook : callable
            With ``with_kwargs`` it is called as ``hook(module, args, kwargs, output)``.
        prepend : bool
            Before the hooks that are there already.
        with_kwargs : bool
            Whether the hook gets the keyword arguments too.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> net = tl.nn.Sequential(tl.nn.Linear(3, 2), tl.nn.ReLU())
        >>> shapes = []
        >>> handle = net[0].register_forward_hook(lambda module, args, output: shapes.append(output.shape))
        >>> net(tl.zeros(5, 3)).shape, shapes
        ((5, 2), [(5, 2)])
        >>> handle.remove()
        """
        return hooks.add(self._own_hooks().forward, hook if with_kwargs else hooks.with_kwargs(hook), prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Let ``hook(module, grad_output)`` run when the gradients of the outputs are known.

        It returns None or other gradients of the outputs, a tuple.
        """
        return hooks.add(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Let ``hook(module, grad_input, grad_output)`` run when the gradients of the inputs are known.

        ``grad_input`` and ``grad_output`` are tuples, with None where no gradient is needed. It returns None or
        other gradients of the (positional) inputs.
        """
        return hooks.add(self._own_hooks().backward, hook, prepend)

    def _own_hooks(self) -> ModuleHooks:
        if self._hooks is None:
            self._hooks = ModuleHooks()
        return self._hooks

    # ---- what lies where

    def _attributes(self, kind: type[T]) -> Named[T]:
        """The module's own attributes of a kind, in the order they were first set."""
        return ((name, value) for name, value in list(vars(self).items()) if isinstance(value, kind))

    def _own_parameters(self) -> Named[Parameter]:
        return self._attributes(Parameter)

    def _own_buffers(self) -> Named[Tensor]:
        return ((n, t) for n, t in self._attributes(Tensor) if n in self._buffers and not isinstance(t, Parameter))

    def _own_state(self) -> Named[Tensor]:
        persistent = ((name, buffer) for name, buffer in self._own_buffers() if self._buffers[name])
        return itertools.chain(self._own_parameters(), persistent)

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Named[Module]:
        """The module and all below it, with their dotted names, parents first.

        Parameters
        ----------
        memo : set of Module, optional
            Modules to leave out; those found are added.
        prefix : str
            The name of this module.
        remove_duplicate : bool
            Whether a module that is used in several places comes once.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._attributes(Module):
            yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """The module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Named[Module]:
        """The direct submodules and their names, each module once."""
        return _unique(self._attributes(Module))

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Named[Parameter]:
        """The parameters and their dotted names.

        Parameters
        ----------
        prefix : str
            The name of this module.
        recurse : bool
            Whether to include the submodules' parameters.
        remove_duplicate : bool
            Whether a parameter that is shared between places comes once.
        """
        return self._named_tensors(Module._own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Named[Tensor]:
        """The buffers and their dotted names; arguments as :meth:`named_parameters`."""
        return self._named_tensors(Module._own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named_tensors(
        self, own: Callable[[Module], Named[T]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Named[T]:
        places = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        named = ((_join(path, name), tensor) for path, module in places for name, tensor in own(module))
        return _unique(named) if remove_duplicate else named

    # ---- state

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The values of all parameters and persistent buffers, by dotted name.

        The tensors share memory with the module and need no gradient. A shared parameter is there
        under each of its names.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> {name: tensor.shape for name, tensor in tl.nn.Linear(3, 2).state_dict().items()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        return {name: tensor.detach() for name, tensor in self._named_tensors(Module._own_state, prefix, True, False)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers, in place.

        Everything is checked before anything is changed.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or ndarray
            As :meth:`state_dict` gives it; values are converted to each parameter's dtype.
        strict : bool
            Whether the names must be exactly this module's.

        Returns
        -------
        IncompatibleKeys
            Named tuple ``(missing_keys, unexpected_keys)``.

        Raises
        ------
        TypeError
            If ``state_dict`` is not a mapping.
        RuntimeError
            If shapes differ, or names while ``strict``; the message lists all of them.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> source, target = tl.nn.Linear(3, 2), tl.nn.Linear(3, 2)
        >>> target.load_state_dict(source.state_dict())
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a mapping of names to tensors, not {type(state_dict).__name__}")
        own = self.state_dict()
        found = {name: as_array(state_dict[name]) for name in own if name in state_dict}
        keys = IncompatibleKeys(
            missing_keys=[name for name in own if name not in found],
            unexpected_keys=[name for name in state_dict if name not in own],
        )
        problems = [_mismatch(name, own[name]._array, value) for name, value in found.items()]
        if strict:
            problems += [f"missing: {name}" for name in keys.missing_keys]
            problems += [f"unexpected: {name}" for name in keys.unexpected_keys]
        if any(problems):
            lines = [
                f"load_state_dict: the state does not fit {type(self).__name__}, nothing was loaded",
                *filter(None, problems),
            ]
            raise RuntimeError("\n    ".join(lines))
        for name, value in found.items():
            np.copyto(own[name]._array, value, casting="unsafe")
            own[name]._version[0] += 1
        return keys

    # ---- changing all at once

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every submodule and then on this module: for example to initialise.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> def zero_bias(module):
        ...     if isinstance(module, tl.nn.Linear):
        ...         tl.nn.init.zeros_(module.bias)
        >>> tl.nn.Sequential(tl.nn.Linear(3, 2)).apply(zero_bias)[0].bias
        Parameter containing:
        tensor([0., 0.], requires_grad=True)
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and in every submodule.

        Raises
        ------
        ValueError
            If ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"training mode must be True or False, not {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze or unfreeze every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to 0 in place."""
        zero_gradients(self.parameters(), set_to_none)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert every floating-point parameter and buffer, and the gradients, to a floating-point dtype.

        The Parameter objects stay the same, so that an optimizer keeps them; one that holds state
        already must be created anew.

        Parameters
        ----------
        *args, **kwargs
            As :meth:`Tensor.to`: a dtype, or "cpu".

        Raises
        ------
        TypeError
            If the dtype is not floating point.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> tl.nn.Linear(3, 2).to(tl.float64).weight.dtype
        dtype('float64')
        """
        dtype = empty(0).to(*args, **kwargs).dtype
        if dtype.kind != "f":
            raise TypeError(f"a module converts to floating-point dtypes only, not to {dtype}")
        for tensor in itertools.chain(self.parameters(), self.buffers()):
            if tensor.dtype.kind == "f":
                gradient, tensor.grad = tensor.grad, None
                tensor.data = tensor.detach().to(*args, **kwargs)
                tensor.grad = None if gradient is None else gradient.detach().to(*args, **kwargs)
        return self

    def float(self) -> Self:
        """``to(float32)``."""
        return self.to(float32)

    def double(self) -> Self:
        """``to(float64)``."""
        return self.to(float64)

    # ---- printing

    def extra_repr(self) -> str:
        """What the printed form shows between the parentheses; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {module!r}" for name, module in self._attributes(Module)]
        if not children and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        lines = "\n".join(filter(None, [extra, *children])).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _unique(named: Iterable[tuple[str, T]]) -> Named[T]:
    """The pairs whose second part did not come before."""
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _mismatch(name: str, own: Any, value: Any) -> str:
    """What keeps a value from being copied into an array of the module; empty if nothing does."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        return f"wrong type: {name} is {kind}, not a Tensor or an array of numbers"
    return (
        "" if value.shape == own.shape else f"size mismatch: {name} is {own.shape} here and {value.shape} in the state"
    )


MODULE_CALLS.add(Module.__call__.__code__)
refuse_missing(Module, "torch.nn.Module")
