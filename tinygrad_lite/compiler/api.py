"""What ``tl.compile`` returns: a function like the one it was given, or a stand-in for a module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tinygrad_lite.compiler.compiled import Compiled
from tinygrad_lite.compiler.entry import MISS, REFUSED
from tinygrad_lite.nn.module import Module

__all__ = ["CompiledModule", "compile_anything"]

CALL = """
def call({parameters}):
    result = {latest}
    if result is MISS or result is REFUSED:
        return compiled.call_slowly(({positional}), {keywords}, result)
    return result
"""


def compile_anything(model: Callable[..., Any], fullgraph: bool, backend: str) -> Any:
    """A function or module, compiled."""
    if isinstance(model, Module):
        return compile_module(model, fullgraph, backend)
    return compile_function(model, fullgraph, backend)


def compile_function(function: Callable[..., Any], fullgraph: bool, backend: str) -> Any:
    """A function with the same parameters that runs the programs of ``function``."""
    compiled = Compiled(function, fullgraph, backend)
    call = functools.wraps(function)(_caller(function, compiled))
    call.source, call.explain = compiled.source, compiled.explain  # type: ignore[attr-defined]
    call.compiled = compiled  # type: ignore[attr-defined]
    return call


def compile_module(module: Module, fullgraph: bool, backend: str) -> CompiledModule:
    """A stand-in whose call runs the programs of the module's."""
    return CompiledModule(module, fullgraph, backend)


class CompiledModule:
    """A module whose forward and backward are compiled; everything else is the module's own.

    Its parameters, its mode, its ``state_dict()`` are those of the module, which can be called as before.
    """

    def __init__(self, module: Module, fullgraph: bool, backend: str) -> None:
        compiled = Compiled(module, fullgraph, backend)
        vars(self).update(module=module, compiled=compiled, source=compiled.source, explain=compiled.explain)
        vars(self)["__wrapped__"] = module
        vars(self).update(_call=_caller(module.forward, compiled), _options=(fullgraph, backend))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output."""
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["module"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.module, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled without its programs."""
        return CompiledModule, (self.module, *self._options)

    def __repr__(self) -> str:
        return f"compiled {self.module!r}"


def _caller(function: Callable[..., Any], compiled: Compiled) -> Callable[..., Any]:
    """A function with the parameters of ``function``; plain ones are written out, since that is faster to call."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a callable that does not say
        parameters = [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]
    names = {"compiled": compiled, "MISS": MISS, "REFUSED": REFUSED}
    plain = (
        all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) and not {p.name for p in parameters} & names.keys()
    )
    if plain:
        arguments = "".join(f"{p.name}, " for p in parameters)
        defaults = {f"default_{p.name}": p.default for p in parameters if p.default is not p.empty}
        given = ", ".join(p.name if p.default is p.empty else f"{p.name}=default_{p.name}" for p in parameters)
        latest = f"compiled.latest({arguments})"
        text = CALL.format(parameters=given, latest=latest, positional=arguments, keywords="{}")
        names |= defaults
    else:
        latest = "compiled.latest(*args, **kwargs) if compiled.form == (len(args), bool(kwargs)) else MISS"
        text = CALL.format(parameters="*args, **kwargs", latest=latest, positional="*args,", keywords="kwargs")
    exec(text, names)
    call: Callable[..., Any] = names["call"]  # type: ignore[assignment]
    return call
