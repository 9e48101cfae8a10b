"""LLVM IR text, compiled for this processor and called through ctypes.

llvmlite does the work. It is imported by the first :func:`build`, so that everything else works without it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib
import importlib.metadata
import importlib.util
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Library", "available", "build"]


OLDEST = (0, 45)
"""The first llvmlite that reads pointers written ``ptr``."""


@functools.cache
def available() -> bool:
    """Whether an llvmlite that is new enough is installed; it is not imported.

    Returns
    -------
    bool
    """
    if importlib.util.find_spec("llvmlite") is None:
        return False
    release = importlib.metadata.version("llvmlite").split(".")
    return (int(release[0]), int(release[1])) >= OLDEST


class Library:
    """Compiled functions; made by :func:`build`.

    The machine code is freed with the library, which lives as long as anything refers to it: the functions that it
    gave do.

    Attributes
    ----------
    seconds : dict of str to float
        What the stages took: ``"parse"``, ``"optimize"``, ``"generate"``.
    """

    def __init__(self, engine: Any, module: Any, seconds: dict[str, float]) -> None:
        self._engine = engine
        self._module = module
        self._names = {
            function.name
            for function in module.functions
            if not function.is_declaration and function.linkage.name == "external"
        }
        self.seconds = seconds
        # the engine goes first, also where the garbage collector takes a whole cycle: it would do that in any order
        weakref.finalize(self, _close, engine, module).atexit = False

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """A function of the library, to be called from Python.

        Parameters
        ----------
        name : str
            Its name in the source, without the ``@``.
        result, *arguments : ctypes types
            The type of its result (None: nothing) and of each argument. They are not compared with the source.

        Returns
        -------
        callable
            It releases the GIL while it runs, and keeps the library alive.

        Raises
        ------
        KeyError
            If the source does not define that function for others to call (``internal`` ones are not).
        """
        if name not in self._names:  # the engine would look for it in the whole process
            raise KeyError(f"No function {name!r} in the library, which has: {', '.join(sorted(self._names))}.")
        function: Any = ctypes.CFUNCTYPE(result, *arguments)(self._engine.get_function_address(name))
        function.library = self  # so that the code lives as long as what calls it
        return function  # type: ignore[no-any-return]

    def optimized(self) -> str:
        """The LLVM IR after optimization: to see what became of the source.

        Returns
        -------
        str
        """
        return str(self._module)


def _close(engine: Any, _module: Any) -> None:
    """Free the machine code, while the module and its context still live."""
    engine.close()


def build(source: str, symbols: Mapping[str, int] | None = None) -> Library:
    """Compile LLVM IR for this processor.

    Parameters
    ----------
    source : str
        The text of a module; pointers are written ``ptr``.
    symbols : mapping of str to int, optional
        Addresses of functions that the source declares and does not define. A name of the C library or of its
        mathematics needs none.

    Returns
    -------
    Library

    Raises
    ------
    ImportError
        If llvmlite is not installed, or too old.
    ValueError
        If the source is not valid, or declares a function that nobody has.

    Examples
    --------
    ::

        library = build("define double @half(double %x) { %y = fmul double %x, 0.5 ret double %y }")
        half = library.function("half", ctypes.c_double, ctypes.c_double)
        half(3.0)  # 1.5
    """
    llvm = _llvm()
    started = time.perf_counter()
    machine = _target_machine(llvm)
    try:
        module = llvm.parse_assembly(source, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise ValueError(f"The LLVM IR is not valid: {error}") from error
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    parsed = time.perf_counter()
    _optimize(llvm, module, machine)
    optimized = time.perf_counter()
    engine = _generate(llvm, module, machine, symbols or {})
    generated = time.perf_counter()
    seconds = {"parse": parsed - started, "optimize": optimized - parsed, "generate": generated - optimized}
    return Library(engine, module, seconds)


@functools.cache
def _llvm() -> Any:
    """``llvmlite.binding``, made ready for this processor."""
    if not available():
        oldest = ".".join(map(str, OLDEST))
        raise ImportError(f'Native code needs llvmlite {oldest} or newer: pip install "tinygrad_lite[fast]"')
    llvm = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    if llvm.address_of_symbol("expm1") is None:  # elsewhere Python itself, or the C library, brings the mathematics
        mathematics = ctypes.util.find_library("m")
        if mathematics is not None:
            llvm.load_library_permanently(mathematics)
    return llvm


def _target_machine(llvm: Any) -> Any:
    """The processor at hand with all that it can do; the engine that gets it owns it, so each needs one of its own."""
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, codemodel="jitdefault")


def _optimize(llvm: Any, module: Any, machine: Any) -> None:
    """Inline and vectorize; unrolled loops would take longer to compile and run no faster."""
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.loop_interleaving = True
    options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _generate(llvm: Any, module: Any, machine: Any, symbols: Mapping[str, int]) -> Any:
    """Machine code in memory, from the optimized module."""
    undefined = [function for function in module.functions if function.is_declaration]
    unknown = [
        function.name
        for function in undefined
        if not function.name.startswith("llvm.")
        and function.name not in symbols
        and llvm.address_of_symbol(function.name) is None
    ]
    if unknown:  # LLVM would end the process
        raise ValueError(f"The LLVM IR calls functions that nobody has: {', '.join(sorted(unknown))}.")
    engine = llvm.create_mcjit_compiler(module, machine)
    for function in undefined:
        if function.name in symbols:
            engine.add_global_mapping(function, symbols[function.name])
    engine.finalize_object()
    return engine
