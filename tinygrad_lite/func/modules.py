"""A module as a function of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lite.autograd.tensor import Tensor
from tinygrad_lite.nn.module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in the place of its parameters and buffers, which stay as they are.

    Parameters
    ----------
    module : Module
        What is called.
    parameter_and_buffer_dicts : dict, or sequence of dict
        Tensors by dotted name; those not named are the module's own.
    args, kwargs
        The arguments; one that is not a tuple is the only one.
    tie_weights : bool
        Whether a tensor that is shared between places is replaced in all of them.
    strict : bool
        Whether every parameter and buffer must be named.

    Raises
    ------
    RuntimeError
        For a name that the module does not have; while ``strict``, for one that is missing.

    Examples
    --------
    >>> import tinygrad_lite as tl
    >>> layer = tl.nn.Linear(2, 1)
    >>> zeros = {name: tl.zeros_like(tensor) for name, tensor in layer.named_parameters()}
    >>> tl.func.functional_call(layer, zeros, tl.ones(2))
    tensor([0.])
    """
    dicts = (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else parameter_and_buffer_dicts
    )
    given = {name: tensor for one in dicts for name, tensor in one.items()}
    places = _tensor_places(module)
    _check_names(given, places, strict)
    own = {place: vars(place[0])[place[1]] for place in places.values()}
    replaced = {id(own[places[name]]): tensor for name, tensor in given.items()} if tie_weights else {}
    new = {place: replaced[id(tensor)] for place, tensor in own.items() if id(tensor) in replaced}
    new |= {places[name]: tensor for name, tensor in given.items()}
    try:
        for (owner, name), tensor in new.items():
            vars(owner)[name] = tensor
        return module(*(() if args is None else args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for (owner, name), tensor in own.items():
            vars(owner)[name] = tensor


def _tensor_places(module: Module) -> dict[str, tuple[Module, str]]:
    """The module and attribute that hold each parameter and buffer, by dotted name."""
    return {
        f"{path}.{name}" if path else name: (owner, name)
        for path, owner in module.named_modules(remove_duplicate=False)
        for named in (owner.named_parameters(recurse=False), owner.named_buffers(recurse=False))
        for name, _ in named
    }


def _check_names(given: Mapping[str, Tensor], places: Mapping[str, Any], strict: bool) -> None:
    unknown = sorted(given.keys() - places.keys())
    missing = sorted(places.keys() - given.keys()) if strict else []
    if unknown or missing:
        problem = f"unknown: {unknown}" if unknown else f"missing, and strict=True: {missing}"
        raise RuntimeError(f"functional_call: names of parameters and buffers {problem}; there are {sorted(places)}")
