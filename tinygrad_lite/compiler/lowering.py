"""A program in canonical form: operations over index spaces, on elements of buffers.

Views are gone: an operand is a buffer, an offset and a stride for each axis of the space. Axes of size 1 are gone too,
so that arrays of shape ``(1, n)``, ``(n, 1)`` and ``(n,)`` are the same to what follows. What native code does not
know is an operation ``call``, which NumPy carries out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.compiler import scalars
from tinygrad_lite.compiler.loops import Buffer, Literal
from tinygrad_lite.compiler.program import VIEWS, Program, Slot, Value, compute

__all__ = ["Access", "Lowered", "Node", "Operand", "contiguous", "lower"]

Array: TypeAlias = NDArray[Any]
Space: TypeAlias = tuple[int, ...]

SMALL_MATRIX = 1 << 20
"""Up to so many elements a product of a matrix and a vector is a loop, which fuses with others; beyond it is BLAS's."""

SMALL_PRODUCT = 1 << 9
"""Up to so many multiplications a product of two matrices is a loop."""

FEW_COLUMNS = 64
"""Up to so many, picking an element of each row is a masked sum, which fuses with others."""


@dataclass(frozen=True)
class Access:
    """Elements of a buffer: ``buffer[offset + sum(strides * index)]``, the bytes read as ``dtype``."""

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    def is_identity(self, space: Space) -> bool:
        """Whether it reads the buffer from its beginning, in order."""
        return self.offset == 0 and self.strides == contiguous(space) and self.buffer.dtype == self.dtype


Operand: TypeAlias = Access | Literal


@dataclass(eq=False)
class Node:
    """An operation of the canonical form.

    Attributes
    ----------
    op : str
        A ufunc's name, ``"where"``, ``"cast"``, ``"copy"``; ``"store"``: a copy to its place outside;
        ``"gemm"``; ``"guard"``: ends the run if an operand is true; ``"call"``: NumPy's.
    operands : list of Access or Literal
        Read at each index of the space. Of ``gemm`` the two matrices, of a ``call`` the whole arrays.
    space : tuple of int
        What is looped over, without axes of size 1.
    result : Buffer
        Contiguous over the axes of the space that are not ``reduced``.
    dtypes : tuple of dtype
        Of the ufunc's loop: operands, then result.
    reduced : tuple of int
        The axes that a reduction runs over; empty for everything else.
    initial : Literal or None
        What a reduction starts from.
    after : set of Node
        What must have run before, beside what made the operands.
    value : Value or None
        What it computes, for those who read reports; what a ``call`` calls.
    arrays : list of Window
        The operands of a ``call``, and its result.
    """

    op: str
    operands: list[Operand]
    space: Space
    result: Buffer
    dtypes: tuple[np.dtype[Any], ...] = ()
    reduced: tuple[int, ...] = ()
    initial: Literal | None = None
    after: set[Node] = field(default_factory=set)
    value: Value | None = None
    arrays: list[Window | Array] = field(default_factory=list)
    position: int = -1

    @property
    def is_loop(self) -> bool:
        """Whether it can share a loop with others."""
        return self.op not in ("gemm", "call", "guard")

    @property
    def gives_value(self) -> bool:
        """Whether others read its result: nobody reads what is left outside, but for the old values of inputs."""
        return self.op != "store" and self.result.kind != "input"

    @property
    def accesses(self) -> list[Access]:
        """The operands that lie in memory."""
        return [operand for operand in self.operands if isinstance(operand, Access)]

    @property
    def result_strides(self) -> tuple[int, ...]:
        """The strides of the result over the space."""
        kept = iter(contiguous(tuple(n for axis, n in enumerate(self.space) if axis not in self.reduced)))
        return tuple(0 if axis in self.reduced else next(kept) for axis in range(len(self.space)))

    def __repr__(self) -> str:
        over = f" over {list(self.reduced)}" if self.reduced else ""
        return f"<{self.op}{list(self.space)}{over}: {self.operands} -> {self.result}>"


class Window:
    """An array without elements: where those of a value lie in a buffer."""

    def __init__(self, buffer: Buffer, layout: Array, start: int) -> None:
        self.buffer, self.layout, self.start = buffer, layout, start

    @staticmethod
    def of(buffer: Buffer, shape: tuple[int, ...]) -> Window:
        """All of a buffer."""
        layout = np.empty(shape, buffer.dtype)  # memory that nobody touches takes none
        return Window(buffer, layout, _address(layout))

    def view(self, layout: Array) -> Window:
        """Another view of the same memory."""
        return Window(self.buffer, layout, self.start)

    def moved(self, buffer: Buffer) -> Window:
        """The same elements of another buffer."""
        return Window(buffer, self.layout, self.start)

    @property
    def offset(self) -> int:
        """The bytes before its first element."""
        return _address(self.layout) - self.start if self.layout.size else 0

    def access(self, shape: tuple[int, ...], axes: Sequence[int]) -> Access:
        """Its elements, broadcast to the shape, along these axes of it."""
        layout = self.layout if self.layout.shape == shape else np.broadcast_to(self.layout, shape)
        itemsize = layout.itemsize
        strides = tuple(layout.strides[axis] // itemsize for axis in axes)
        return Access(self.buffer, self.offset // itemsize, strides, layout.dtype)


Source: TypeAlias = Window | Literal


@dataclass
class Lowered:
    """A program's nodes, each after what it needs, and its memory outside."""

    nodes: list[Node]
    inputs: list[Buffer]
    gradients: list[Buffer]
    outputs: list[Buffer]
    number_sources: list[str]


def contiguous(shape: Space) -> tuple[int, ...]:
    """The strides of an array whose elements lie in order."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def lower(program: Program, has_gemm: Callable[[Any], bool] = lambda _: True) -> Lowered:
    """The canonical form.

    Parameters
    ----------
    program : Program
        Any.
    has_gemm : callable
        Whether there is a matrix product of a dtype; where there is none, NumPy is called.

    Returns
    -------
    Lowered
        Nothing is written outside before every check has passed, and nothing over what is still to be read.
    """
    return _Lowering(program, has_gemm).run()


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


class _Lowering:
    def __init__(self, program: Program, has_gemm: Callable[[Any], bool]) -> None:
        self.program = program
        self.has_gemm = has_gemm
        self.nodes: list[Node] = []
        self.sources: dict[Value, Source] = {}
        self.flags: list[Buffer] = []
        self.checks: list[Node] = []
        self.numbers: dict[str, int] = {}
        self.numbers_buffer = Buffer("numbers", np.dtype(np.float64), 0)
        self.inputs = [Buffer("input", v.dtype, v.size, i) for i, v in enumerate(program.inputs)]
        self.gradients = [Buffer("gradient", v.dtype, v.size, i) for i, (_, v) in enumerate(program.gradients)]
        self.outputs = [Buffer("output", v.dtype, v.size, i) for i, v in enumerate(program.outputs)]
        self.readers: dict[Value, list[Value]] = {}

    def run(self) -> Lowered:
        values = self.program.values()
        for value in values:
            for x in value.inputs:
                self.readers.setdefault(x, []).append(value)
        for i, value in enumerate(self.program.inputs):
            self.sources[value] = Window.of(self.inputs[i], value.shape)
        for value in values:
            if value not in self.sources and not self._gives_several(value):
                self.sources[value] = self._source(value)
        self._guard()
        stores = self._stores()
        self._order_writes(stores)
        self._order_draws()
        self._store_at_once(stores)
        return Lowered(self.nodes, self.inputs, self.gradients, self.outputs, list(self.numbers))

    def _gives_several(self, value: Value) -> bool:
        return any(reader.op == "pick" for reader in self.readers.get(value, ()))

    # ---- values

    def _source(self, value: Value) -> Source:
        """Where the elements of a value lie; nodes are added for what must be computed."""
        op = value.op
        if op == "constant":
            return self._constant(value)
        if op == "number":
            place = self.numbers.setdefault(value.params["source"], len(self.numbers))
            whole = np.empty(place + 1)
            return Window(self.numbers_buffer, whole[place : place + 1].reshape(()), _address(whole))
        if op == "draw":
            return self._call(value)
        if op == "copy" or op in VIEWS:
            return self._view(value)
        if value.size == 0 or any(x.size == 0 for x in value.inputs):
            return self._call(value)
        lowering = SPECIAL.get(op)
        if lowering is None and op.endswith(".reduce"):
            lowering = _Lowering._reduction
        elif lowering is None and "dtypes" in value.params:
            lowering = _Lowering._ufunc
        source = None if lowering is None else lowering(self, value)
        return self._call(value) if source is None else source

    def _constant(self, value: Value) -> Source:
        data = value.params["data"]
        if not isinstance(data, np.ndarray):
            return Literal(np.asarray(data, value.dtype)[()])
        if data.size and value.dtype in scalars.DTYPES and (data == data.flat[0]).all():
            return Literal(data.flat[0])
        if data.ndim == 1 and data.size > 1 and value.dtype.kind == "i":
            start, step = int(data[0]), int(data[1]) - int(data[0])
            if (data == start + step * np.arange(data.size)).all():
                return Window.of(Buffer("ramp", value.dtype, data.size, data=(start, step)), value.shape)
        return Window.of(Buffer("constant", value.dtype, data.size, data=np.ascontiguousarray(data)), value.shape)

    def _view(self, value: Value) -> Source:
        source = self.sources[value.inputs[0]]
        if isinstance(source, Literal):
            return Literal(source.value.view(value.dtype)) if value.op == "bitcast" else source
        if value.op == "copy":
            return source  # values do not change
        if value.op != "reshape":
            return source.view(compute(value, source.layout))
        try:
            return source.view(np.reshape(source.layout, value.shape, copy=False))
        except ValueError:
            copied = self._copied(source)
            return copied.view(np.reshape(copied.layout, value.shape))

    def _copied(self, source: Source, shape: tuple[int, ...] | None = None) -> Window:
        """The same elements in memory of their own, in order."""
        shape = source.layout.shape if isinstance(source, Window) else shape or ()
        dtype = source.layout.dtype if isinstance(source, Window) else source.dtype
        if isinstance(source, Window) and dtype not in scalars.DTYPES:
            result = Window.of(Buffer("arena", dtype, source.layout.size), shape)
            self._copy_by_numpy(source, result)
            return result
        return self._elementwise("copy", [source], shape, (dtype, dtype), keep_order=True)

    def _ufunc(self, value: Value) -> Source | None:
        dtypes = tuple(np.dtype(dtype) for dtype in value.params["dtypes"])
        if not scalars.knows(value.op, dtypes) or value.dtype != dtypes[-1]:
            return None
        return self._computed(value, value.op, dtypes)

    def _where(self, value: Value) -> Source | None:
        dtypes = (np.dtype(np.bool_), value.dtype, value.dtype, value.dtype)
        return self._computed(value, "where", dtypes) if value.dtype in scalars.DTYPES else None

    def _cast(self, value: Value) -> Source | None:
        dtypes = (value.inputs[0].dtype, value.dtype)
        return self._computed(value, "cast", dtypes) if scalars.knows("cast", dtypes) else None

    def _computed(self, value: Value, op: str, dtypes: tuple[Any, ...]) -> Source | None:
        if not all(x.dtype in scalars.DTYPES for x in value.inputs):
            return None
        return self._elementwise(op, [self.sources[x] for x in value.inputs], value.shape, dtypes, value)

    def _elementwise(
        self,
        op: str,
        sources: Sequence[Source],
        shape: tuple[int, ...],
        dtypes: tuple[Any, ...],
        value: Value | None = None,
        keep_order: bool = False,
    ) -> Window:
        """A node that computes each element; the result lies in the order of the operands."""
        axes = [axis for axis, n in enumerate(shape) if n != 1]
        if not keep_order:
            axes = _order(axes, shape, sources)
        operands = [self._operand(x, dtype, shape, axes) for x, dtype in zip(sources, dtypes[:-1], strict=True)]
        space = tuple(shape[axis] for axis in axes)
        node = self._node(op, operands, space, Buffer("arena", dtypes[-1], math.prod(space)), dtypes, value=value)
        return _arranged(node.result, shape, axes)

    def _operand(self, source: Source, dtype: Any, shape: tuple[int, ...], axes: Sequence[int]) -> Operand:
        if isinstance(source, Literal):
            with np.errstate(over="ignore", invalid="ignore"):
                return Literal(source.value.astype(dtype))
        return source.access(shape, axes)

    def _node(self, *args: Any, **kwargs: Any) -> Node:
        node = Node(*args, **kwargs)
        node.position = len(self.nodes)
        self.nodes.append(node)
        return node

    # ---- reductions

    def _reduction(self, value: Value) -> Source | None:
        op = value.op.removesuffix(".reduce")
        x, accumulated = value.inputs[0], value.dtype
        if op.startswith("logical"):
            accumulated = np.dtype(np.bool_)
        if op not in scalars.REDUCTIONS or not {x.dtype, value.dtype, accumulated} <= scalars.DTYPES.keys():
            return None
        if accumulated != value.dtype or value.params["computed_in"] not in (None, value.dtype):
            return None
        initial = value.params["initial"]
        start = scalars.identity_of(op, accumulated) if initial is None else np.asarray(initial, accumulated)[()]
        return self._reduce(op, self.sources[x], x.shape, value.params["axis"], Literal(start), value)

    def _reduce(
        self, op: str, source: Source, shape: tuple[int, ...], axis: Sequence[int], initial: Literal, value: Value
    ) -> Window:
        """A node that reduces the axes; the result has the shape of ``value``."""
        if isinstance(source, Literal):
            source = self._copied(source, shape)
        axes = _order([a for a, n in enumerate(shape) if n != 1], shape, [source])
        kept = [a for a in axes if a not in axis]
        dtype = initial.dtype
        if source.layout.dtype != dtype:
            source = self._elementwise("cast", [source], shape, (source.layout.dtype, dtype), value)
            axes = _order([a for a, n in enumerate(shape) if n != 1], shape, [source])
        reduced = tuple(i for i, a in enumerate(axes) if a in axis)
        if not reduced and initial.value == scalars.identity_of(op, dtype):
            return source.view(source.layout.reshape(value.shape))
        if not reduced:
            window = self._elementwise(op, [source, initial], shape, (dtype,) * 3, value)
            return window.view(window.layout.reshape(value.shape))
        operand = source.access(shape, axes)
        space = tuple(shape[a] for a in axes)
        result = Buffer("arena", dtype, math.prod(shape[a] for a in kept))
        self._node(op, [operand], space, result, (dtype, dtype), reduced, initial, value=value)
        window = _arranged(result, tuple(1 if a in axis else n for a, n in enumerate(shape)), kept)
        return window.view(window.layout.reshape(value.shape))

    # ---- products

    def _product(self, value: Value) -> Source | None:
        """``dot`` and ``matmul`` of one or two dimensions."""
        x, y = value.inputs
        if not (x.dtype == y.dtype == value.dtype and value.dtype.kind == "f" and value.dtype in scalars.DTYPES):
            return None
        if not (1 <= x.ndim <= 2 and 1 <= y.ndim <= 2):
            return None
        a, b = self.sources[x], self.sources[y]
        rows, inner, columns = x.shape[0] if x.ndim == 2 else 1, x.shape[-1], y.shape[1] if y.ndim == 2 else 1
        if isinstance(a, Literal) and isinstance(b, Literal):
            return None
        for_blas = not isinstance(a, Literal) and not isinstance(b, Literal) and not _is_small(rows, inner, columns)
        if for_blas and not self.has_gemm(value.dtype):
            return None
        if isinstance(a, Literal) or isinstance(b, Literal):
            window = self._product_with_constant(a, b, (rows, inner, columns), value)
        else:
            left = a.view(a.layout[None, :]) if x.ndim == 1 else a
            right = b.view(b.layout[:, None]) if y.ndim == 1 else b
            window = self._product_of_matrices(left, right, (rows, inner, columns), value)
        return window.view(np.reshape(window.layout, value.shape, copy=False))

    def _product_with_constant(self, a: Source, b: Source, sizes: tuple[int, int, int], value: Value) -> Window:
        """A product with a matrix of equal elements: sums of rows or columns, times that number."""
        rows, inner, columns = sizes
        factor = a.value if isinstance(a, Literal) else b.value if isinstance(b, Literal) else None
        zero = Literal(value.dtype.type(0))
        if isinstance(b, Window):
            matrix = b.view(b.layout.reshape(inner, columns, copy=False))
            sums = self._reduce("add", matrix, (inner, columns), (0,), zero, _shaped(value, (1, columns)))
        else:
            assert isinstance(a, Window)
            matrix = a.view(a.layout.reshape(rows, inner, copy=False))
            sums = self._reduce("add", matrix, (rows, inner), (1,), zero, _shaped(value, (rows, 1)))
        if factor != 1:
            dtypes = (value.dtype,) * 3
            sums = self._elementwise("multiply", [sums, Literal(factor)], sums.layout.shape, dtypes, value)
        if sums.layout.size == rows * columns:
            return sums
        return self._copied(sums.view(np.broadcast_to(sums.layout, (rows, columns))))

    def _product_of_matrices(self, a: Window, b: Window, sizes: tuple[int, int, int], value: Value) -> Window:
        rows, inner, columns = sizes
        readers = self.readers.get(value, [])
        if rows > 1 and columns > 1 and readers and all(r.op == "transpose" for r in readers):
            window = self._product_in_order(b.view(b.layout.T), a.view(a.layout.T), (columns, inner, rows), value)
            return window.view(window.layout.T)
        return self._product_in_order(a, b, sizes, value)

    def _product_in_order(self, a: Window, b: Window, sizes: tuple[int, int, int], value: Value) -> Window:
        rows, inner, columns = sizes
        if inner == 1:
            return self._elementwise("multiply", [a, b], (rows, columns), (value.dtype,) * 3, value)
        if _is_small(rows, inner, columns):
            shape = (rows, columns, inner)
            factors: list[Source] = [a.view(a.layout[:, None, :]), b.view(b.layout.T[None, :, :])]
            product = self._elementwise("multiply", factors, shape, (value.dtype,) * 3, value)
            return self._reduce(
                "add", product, shape, (2,), Literal(value.dtype.type(0)), _shaped(value, (rows, columns))
            )
        operands = [self._matrix(x) for x in (a, b)]
        node = self._node(
            "gemm",
            [x.access(x.layout.shape, (0, 1)) for x in operands],
            (rows, inner, columns),
            Buffer("arena", value.dtype, rows * columns),
            (value.dtype,) * 3,
            value=value,
        )
        return Window.of(node.result, (rows, columns))

    def _matrix(self, x: Window) -> Window:
        """An operand that BLAS takes: its rows or its columns lie in order."""
        access = x.access(x.layout.shape, (0, 1))
        (rows, columns), (down, across) = x.layout.shape, access.strides
        in_rows = across == 1 and down >= columns
        in_columns = down == 1 and across >= rows
        in_memory = access.buffer.kind != "ramp"
        return x if in_memory and (in_rows or in_columns) else self._copied(x)

    # ---- labels

    def _getitem(self, value: Value) -> Source | None:
        """``x[arange(n), labels]`` of labels that were checked."""
        x, *indices = value.inputs
        source = self.sources[x]
        if value.params["key"] != (Slot(1), Slot(2)) or x.ndim != 2 or not isinstance(source, Window):
            return None
        if x.dtype not in scalars.DTYPES or value.shape != x.shape[:1] or x.shape[1] > FEW_COLUMNS:
            return None
        if not self._counts_rows(indices[0], x.shape[0]) or not _in_range(indices[1], x.shape[1]):
            return None
        n, k = x.shape
        labels = self.sources[indices[1]]
        integer, truth = np.dtype(np.int64), np.dtype(np.bool_)
        columns = Window.of(Buffer("ramp", integer, k, data=(0, 1)), (k,))
        if isinstance(labels, Window):
            labels = labels.view(labels.layout[:, None])
        chosen = self._elementwise("equal", [labels, columns], (n, k), (integer, integer, truth), value)
        zero = Literal(x.dtype.type(0))
        masked = self._elementwise("where", [chosen, source, zero], (n, k), (truth, x.dtype, x.dtype, x.dtype), value)
        op = "logical_or" if x.dtype == truth else "add"
        return self._reduce(op, masked, (n, k), (1,), zero, value)

    def _counts_rows(self, index: Value, rows: int) -> bool:
        source = self.sources[index]
        if isinstance(source, Literal):
            return rows == 1 and index.shape == (1,) and source.value == 0
        return index.shape == (rows,) and source.buffer.kind == "ramp" and source.buffer.data == (0, 1)

    # ---- checks

    def _ravel_multi_index(self, value: Value) -> Source | None:
        x, size = value.inputs[0], value.params["dims"][0]
        return self._checked(value, x, 0, size) if x.dtype.kind == "i" else None

    def _take(self, value: Value) -> Source | None:
        x, index = value.inputs
        source = self.sources[x]
        if x.ndim != 1 or index.dtype.kind != "i" or not isinstance(source, Literal):
            return None
        self._checked(value, index, -x.size, x.size)
        return source

    def _checked(self, value: Value, x: Value, low: int, high: int) -> Source | None:
        """The same integers; a flag says whether one is below ``low`` or not below ``high``."""
        integer, truth = np.dtype(np.int64), np.dtype(np.bool_)
        source: Source = self.sources[x]
        if x.dtype != integer:
            source = self._elementwise("cast", [source], x.shape, (x.dtype, integer), value)
        bounds = [("less", Literal(np.int64(low))), ("greater_equal", Literal(np.int64(high)))]
        bad = [self._elementwise(op, [source, k], x.shape, (integer, integer, truth), value) for op, k in bounds]
        either = self._elementwise("logical_or", bad, x.shape, (truth,) * 3, value)
        axes = tuple(range(x.ndim))
        flag = self._reduce("logical_or", either, x.shape, axes, Literal(np.bool_(False)), _shaped(value, ()))
        self.flags.append(flag.buffer)
        return source

    def _guard(self) -> None:
        """One node that ends the run if a flag is up."""
        if self.flags:
            truth = np.dtype(np.bool_)
            operands: list[Operand] = [Access(flag, 0, (), truth) for flag in self.flags]
            guard = self._node("guard", operands, (), Buffer("arena", truth, 0))
            guard.after.update(self.checks)
            self.checks.append(guard)

    # ---- NumPy's own

    def _call(self, value: Value) -> Window:
        inputs = value.inputs
        if value.op == "pick":
            inputs = inputs[0].inputs
        result = Window.of(Buffer("arena", value.dtype, value.size), value.shape)
        arrays: list[Window | Array] = []
        for x in inputs:
            source = self.sources[x]
            if isinstance(source, Window) and source.buffer.kind == "ramp":
                start, step = source.buffer.data
                whole = start + step * np.arange(source.buffer.size, dtype=source.buffer.dtype)
                arrays.append(np.lib.stride_tricks.as_strided(whole, source.layout.shape, source.layout.strides))
            elif isinstance(source, Window):
                arrays.append(source)
            else:
                arrays.append(np.full(x.shape, source.value, x.dtype) if not x.is_literal else x.params["data"])
        operands: list[Operand] = [Access(x.buffer, 0, (), x.buffer.dtype) for x in arrays if isinstance(x, Window)]
        node = self._node("call", operands, (), result.buffer, value=value, arrays=[*arrays, result])
        if value.op in ("ravel_multi_index", "take"):
            self.checks.append(node)
        return result

    def _copy_by_numpy(self, source: Window, target: Window) -> Node:
        """A copy of elements of which native code knows nothing."""
        like = Value("input", (), target.layout.shape, target.layout.dtype)
        value = Value("copy", (like,), like.shape, like.dtype, layout="K")
        operands = [Access(source.buffer, 0, (), source.buffer.dtype)]
        return self._node("call", operands, (), target.buffer, value=value, arrays=[source, target])

    # ---- the world outside

    def _stores(self) -> list[Node]:
        """What is left in memory outside: a copy each, which mostly joins the loop that computes it."""
        written = {self.inputs[i] for i, _ in self.program.writes}
        targets = [*zip(self.outputs, self.program.outputs, strict=True)]
        targets += zip(self.gradients, (value for _, value in self.program.gradients), strict=True)
        targets += [(self.inputs[i], value) for i, value in self.program.writes]
        stores = []
        for target, value in targets:
            source = self.sources[value]
            if value.size != target.size:
                raise ValueError(f"{target} has {target.size} elements, what is written to it {value.size}")
            if value.size == 0:
                continue
            axes = [axis for axis, n in enumerate(value.shape) if n != 1]
            if isinstance(source, Window) and source.buffer in written and target.kind == "input":
                if source.buffer is target and source.access(value.shape, axes).is_identity(_squeezed(value.shape)):
                    continue
                source = self._copied(source)  # it may be written before this store reads it
            if value.dtype not in scalars.DTYPES:
                assert isinstance(source, Window)
                stores.append(self._copy_by_numpy(source, Window.of(target, value.shape)))
                continue
            operand = self._operand(source, value.dtype, value.shape, axes)
            dtypes = (value.dtype, target.dtype)
            stores.append(self._node("store", [operand], _squeezed(value.shape), target, dtypes, value=value))
        return stores

    def _order_writes(self, stores: Sequence[Node]) -> None:
        """Checks come before what others see; whoever reads an old value before what replaces it."""
        for store in stores:
            if store.result.is_outside:
                store.after.update(self.checks)
            if store.result.kind == "input":
                readers = (
                    n for n in self.nodes if n is not store and any(a.buffer is store.result for a in n.accesses)
                )
                store.after.update(readers)

    def _order_draws(self) -> None:
        """Random numbers are drawn in the order of the calls, and after the checks that do not depend on them."""
        needed = needed_by(self.checks, self.nodes)
        previous: Node | None = None
        for node in self.nodes:
            if node.op == "call" and node.value is not None and node.value.op == "draw":
                if previous is not None:
                    node.after.add(previous)
                if node not in needed:
                    node.after.update(self.checks)
                previous = node

    def _store_at_once(self, stores: Sequence[Node]) -> None:
        """What no loop can write in two places is computed where it belongs: products, calls and reductions."""
        makers = {node.result: node for node in self.nodes if node.gives_value}
        needed = needed_by(self.checks, self.nodes)
        for store in stores:
            (operand,) = store.operands
            if (
                store.op != "store"
                or store.result.kind == "input"
                or not isinstance(operand, Access)
                or operand.buffer.kind != "arena"
            ):
                continue
            maker = makers[operand.buffer]
            whole = operand.is_identity(store.space) and operand.buffer.size == store.result.size
            if whole and maker not in needed and (not maker.is_loop or maker.reduced):
                operand.buffer.kind, operand.buffer.place = store.result.kind, store.result.place
                maker.after.update(store.after)
                self.nodes.remove(store)


SPECIAL: dict[str, Callable[[_Lowering, Value], Source | None]] = {
    "where": _Lowering._where,
    "cast": _Lowering._cast,
    "dot": _Lowering._product,
    "matmul": _Lowering._product,
    "getitem": _Lowering._getitem,
    "ravel_multi_index": _Lowering._ravel_multi_index,
    "take": _Lowering._take,
}


def needed_by(roots: Iterable[Node], nodes: Sequence[Node]) -> set[Node]:
    """The nodes that others depend on, and these."""
    makers = {node.result: node for node in nodes if node.gives_value}
    found: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += node.after
            stack += [makers[access.buffer] for access in node.accesses if access.buffer in makers]
    return found


def _is_small(rows: int, inner: int, columns: int) -> bool:
    """Whether a product is better done by loops, which fuse with others, than by BLAS."""
    with_vector = min(rows, inner, columns) == 1 and rows * inner * columns <= SMALL_MATRIX
    return with_vector or inner == 1 or rows * inner * columns <= SMALL_PRODUCT


def _order(axes: list[int], shape: tuple[int, ...], sources: Sequence[Source]) -> list[int]:
    """The axes as the operand with the most elements lies in memory."""
    layouts = [np.broadcast_to(x.layout, shape) for x in sources if isinstance(x, Window) and x.layout.size > 1]
    if len(axes) < 2 or not layouts:
        return axes
    strides = max(
        (layout.strides for layout in layouts), key=lambda s: math.prod(n for n, t in zip(shape, s, strict=True) if t)
    )
    moving = iter(sorted((a for a in axes if strides[a]), key=lambda a: -abs(strides[a])))
    return [next(moving) if strides[a] else a for a in axes]


def _arranged(buffer: Buffer, shape: tuple[int, ...], axes: Sequence[int]) -> Window:
    """The window on a buffer that holds the axes in this order."""
    layout = np.empty([shape[a] for a in axes], buffer.dtype)
    start = _address(layout)
    layout = np.transpose(layout, [axes.index(a) for a in sorted(axes)])
    return Window(buffer, layout.reshape(shape), start)


def _shaped(value: Value, shape: tuple[int, ...]) -> Value:
    """The value under another shape: for the result of a part of its computation."""
    return Value(value.op, value.inputs, shape, value.dtype, None, value.origin, value.position, **value.params)


def _squeezed(shape: tuple[int, ...]) -> Space:
    return tuple(n for n in shape if n != 1)


def _in_range(labels: Value, size: int) -> bool:
    """Whether a check has found the labels to be indices below ``size``."""
    while labels.op in ("copy", "reshape") or (labels.op == "cast" and labels.dtype.kind == "i"):
        (labels,) = labels.inputs
    return labels.op == "ravel_multi_index" and labels.params["dims"][0] <= size
