"""The operators and methods of Tensor: a table from PyTorch's names to the functions in ``ops/``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite import creation, dtypes, random
from tinygrad_lite._names import refuse_missing
from tinygrad_lite._printing import tensor_repr
from tinygrad_lite.autograd import engine
from tinygrad_lite.autograd.record import convert
from tinygrad_lite.autograd.tensor import NUMPY, Tensor
from tinygrad_lite.ops import (
    arithmetic,
    comparison,
    cumulative,
    diagonals,
    elementwise,
    exponential,
    indexing,
    inplace,
    joining,
    linear_algebra,
    rearrangement,
    reduction,
    shape,
    softmax,
    statistics,
    trigonometry,
)

__all__ = ["Tensor"]


def _reflected(function: Any) -> Any:
    """``other op tensor`` as a method of tensor."""
    return lambda tensor, other: function(other, tensor)


def _to(input: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False) -> Tensor:
    """The tensor in another dtype; itself if it has it already. The only device is "cpu".

    Parameters
    ----------
    *args : dtype, "cpu" or Tensor
        A Tensor stands for its dtype.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg.dtype
        elif isinstance(arg, str) and arg.split(":")[0] in ("cpu", "cuda", "mps", "meta", "xpu"):
            device = arg
        else:
            dtype = arg
    if device not in (None, "cpu"):
        raise RuntimeError(f"to: there is no device {device!r}, only 'cpu'")
    wanted = input.dtype if dtype is None else dtypes.as_dtype(dtype)
    if wanted == input.dtype:
        return arithmetic.clone(input) if copy else input
    converted: Tensor = convert(input, dtype=wanted)
    return converted


def _contiguous(input: Tensor) -> Tensor:
    """The tensor with its elements in memory in order; itself if they are."""
    return input if input._array.flags.c_contiguous else arithmetic.clone(input)


def _conversion(dtype: np.dtype[Any] | None) -> Any:
    def method(input: Tensor) -> Tensor:
        return _to(input, dtype=dtype)

    method.__doc__ = f"The tensor as {dtype or 'it is'}; itself if it has that dtype already."
    return method


class TensorMethods:
    """What :class:`Tensor` gets from ``ops/``."""

    __slots__ = ()

    # operators
    __add__, __radd__, __iadd__ = arithmetic.add, _reflected(arithmetic.add), inplace.add_
    __sub__, __rsub__, __isub__ = arithmetic.sub, _reflected(arithmetic.sub), inplace.sub_
    __mul__, __rmul__, __imul__ = arithmetic.mul, _reflected(arithmetic.mul), inplace.mul_
    __truediv__, __rtruediv__, __itruediv__ = arithmetic.div, _reflected(arithmetic.div), inplace.div_
    __floordiv__, __rfloordiv__ = arithmetic.floor_divide, _reflected(arithmetic.floor_divide)
    __ifloordiv__ = inplace.floor_divide_
    __mod__, __rmod__, __imod__ = arithmetic.remainder, _reflected(arithmetic.remainder), inplace.remainder_
    __pow__, __rpow__, __ipow__ = arithmetic.pow, _reflected(arithmetic.pow), inplace.pow_
    __matmul__, __rmatmul__ = linear_algebra.matmul, _reflected(linear_algebra.matmul)
    __neg__, __pos__, __abs__ = arithmetic.neg, arithmetic.clone, elementwise.abs
    __and__, __rand__ = comparison.bitwise_and, _reflected(comparison.bitwise_and)
    __or__, __ror__ = comparison.bitwise_or, _reflected(comparison.bitwise_or)
    __xor__, __rxor__ = comparison.bitwise_xor, _reflected(comparison.bitwise_xor)
    __invert__ = comparison.bitwise_not
    __eq__, __ne__ = comparison.same, comparison.different
    __hash__ = object.__hash__  # compared by value, found by identity
    __lt__, __le__, __gt__, __ge__ = comparison.lt, comparison.le, comparison.gt, comparison.ge
    __contains__ = comparison.contains
    __getitem__, __setitem__ = indexing.getitem, inplace.setitem
    __repr__ = tensor_repr
    __dlpack__, __dlpack_device__ = creation.to_dlpack, creation.dlpack_device

    # autograd
    backward = engine.backward

    # arithmetic
    add = arithmetic.add
    clone = arithmetic.clone
    div = arithmetic.div
    divide = arithmetic.divide
    floor_divide = arithmetic.floor_divide
    fmod = arithmetic.fmod
    mul = arithmetic.mul
    multiply = arithmetic.multiply
    neg = arithmetic.neg
    negative = arithmetic.negative
    pow = arithmetic.pow
    reciprocal = arithmetic.reciprocal
    remainder = arithmetic.remainder
    sqrt = arithmetic.sqrt
    square = arithmetic.square
    sub = arithmetic.sub
    subtract = arithmetic.subtract
    true_divide = arithmetic.true_divide

    # elementwise
    abs = elementwise.abs
    absolute = elementwise.absolute
    ceil = elementwise.ceil
    clamp = elementwise.clamp
    clip = elementwise.clip
    copysign = elementwise.copysign
    cos = elementwise.cos
    exp = elementwise.exp
    expm1 = elementwise.expm1
    fix = elementwise.fix
    floor = elementwise.floor
    fmax = elementwise.fmax
    fmin = elementwise.fmin
    log = elementwise.log
    log1p = elementwise.log1p
    maximum = elementwise.maximum
    minimum = elementwise.minimum
    nan_to_num = elementwise.nan_to_num
    relu = elementwise.relu
    round = elementwise.round
    sigmoid = elementwise.sigmoid
    sign = elementwise.sign
    sin = elementwise.sin
    tanh = elementwise.tanh
    trunc = elementwise.trunc

    # trigonometry
    acos = trigonometry.acos
    acosh = trigonometry.acosh
    arccos = trigonometry.arccos
    arccosh = trigonometry.arccosh
    arcsin = trigonometry.arcsin
    arcsinh = trigonometry.arcsinh
    arctan = trigonometry.arctan
    arctan2 = trigonometry.arctan2
    arctanh = trigonometry.arctanh
    asin = trigonometry.asin
    asinh = trigonometry.asinh
    atan = trigonometry.atan
    atan2 = trigonometry.atan2
    atanh = trigonometry.atanh
    cosh = trigonometry.cosh
    deg2rad = trigonometry.deg2rad
    hypot = trigonometry.hypot
    rad2deg = trigonometry.rad2deg
    sinc = trigonometry.sinc
    sinh = trigonometry.sinh
    tan = trigonometry.tan

    # exponential
    exp2 = exponential.exp2
    float_power = exponential.float_power
    log2 = exponential.log2
    log10 = exponential.log10
    logaddexp = exponential.logaddexp
    logaddexp2 = exponential.logaddexp2

    # rearrangement
    flip = rearrangement.flip
    fliplr = rearrangement.fliplr
    flipud = rearrangement.flipud
    repeat_interleave = rearrangement.repeat_interleave
    roll = rearrangement.roll
    rot90 = rearrangement.rot90
    tile = rearrangement.tile

    # diagonals
    diag = diagonals.diag
    diagflat = diagonals.diagflat
    diagonal = diagonals.diagonal
    trace = diagonals.trace
    tril = diagonals.tril
    triu = diagonals.triu

    # joining
    tensor_split = joining.tensor_split

    # cumulative
    argsort = cumulative.argsort
    cumprod = cumulative.cumprod
    cumsum = cumulative.cumsum
    diff = cumulative.diff
    sort = cumulative.sort

    # statistics
    nanmean = statistics.nanmean
    nansum = statistics.nansum

    # comparison
    allclose = comparison.allclose
    bitwise_and = comparison.bitwise_and
    bitwise_not = comparison.bitwise_not
    bitwise_or = comparison.bitwise_or
    bitwise_xor = comparison.bitwise_xor
    eq = comparison.eq
    equal = comparison.equal
    ge = comparison.ge
    gt = comparison.gt
    isclose = comparison.isclose
    isfinite = comparison.isfinite
    isinf = comparison.isinf
    isnan = comparison.isnan
    le = comparison.le
    logical_and = comparison.logical_and
    logical_not = comparison.logical_not
    logical_or = comparison.logical_or
    logical_xor = comparison.logical_xor
    lt = comparison.lt
    ne = comparison.ne

    # reduction
    all = reduction.all
    amax = reduction.amax
    amin = reduction.amin
    any = reduction.any
    argmax = reduction.argmax
    argmin = reduction.argmin
    count_nonzero = reduction.count_nonzero
    max = reduction.max
    mean = reduction.mean
    min = reduction.min
    prod = reduction.prod
    std = reduction.std
    sum = reduction.sum
    var = reduction.var

    # softmax
    log_softmax = softmax.log_softmax
    logsumexp = softmax.logsumexp
    softmax = softmax.softmax

    # linear_algebra
    bmm = linear_algebra.bmm
    dot = linear_algebra.dot
    inner = linear_algebra.inner
    kron = linear_algebra.kron
    matmul = linear_algebra.matmul
    mm = linear_algebra.mm
    mv = linear_algebra.mv
    outer = linear_algebra.outer
    vdot = linear_algebra.vdot

    # shape
    broadcast_to = shape.broadcast_to
    chunk = shape.chunk
    expand = shape.expand
    flatten = shape.flatten
    movedim = shape.movedim
    permute = shape.permute
    ravel = shape.ravel
    reshape = shape.reshape
    split = shape.split
    squeeze = shape.squeeze
    swapaxes = shape.swapaxes
    t = shape.t
    transpose = shape.transpose
    unbind = shape.unbind
    unsqueeze = shape.unsqueeze
    view = shape.view

    # indexing
    gather = indexing.gather
    index_select = indexing.index_select
    masked_fill = indexing.masked_fill

    # inplace
    abs_ = inplace.abs_
    add_ = inplace.add_
    ceil_ = inplace.ceil_
    clamp_ = inplace.clamp_
    copy_ = inplace.copy_
    div_ = inplace.div_
    exp_ = inplace.exp_
    fill_ = inplace.fill_
    floor_ = inplace.floor_
    floor_divide_ = inplace.floor_divide_
    log_ = inplace.log_
    masked_fill_ = inplace.masked_fill_
    mul_ = inplace.mul_
    neg_ = inplace.neg_
    pow_ = inplace.pow_
    reciprocal_ = inplace.reciprocal_
    relu_ = inplace.relu_
    remainder_ = inplace.remainder_
    round_ = inplace.round_
    sigmoid_ = inplace.sigmoid_
    sqrt_ = inplace.sqrt_
    square_ = inplace.square_
    sub_ = inplace.sub_
    tanh_ = inplace.tanh_
    zero_ = inplace.zero_

    # random
    normal_ = random.normal_
    uniform_ = random.uniform_
    bernoulli = random.bernoulli
    bernoulli_ = random.bernoulli_

    # dtypes and memory
    to = _to
    type_as = _to
    contiguous = _contiguous
    cpu = _conversion(None)
    bool = _conversion(dtypes.bool_)
    byte = _conversion(dtypes.uint8)
    short = _conversion(dtypes.int16)
    int = _conversion(dtypes.int32)
    long = _conversion(dtypes.int64)
    half = _conversion(dtypes.float16)
    float = _conversion(dtypes.float32)
    double = _conversion(dtypes.float64)
    T = property(shape.reversed_dims, doc="The dimensions in reverse order: a matrix transposed.")
    mT = property(shape.matrix_transpose, doc="The last two dimensions swapped.")  # noqa: N815


_OF_EVERY_CLASS = set(vars(type("_", (), {"__slots__": ()})))

for _name, _method in vars(TensorMethods).items():
    if _name not in _OF_EVERY_CLASS:
        setattr(Tensor, _name, _method)

NUMPY[np.shape] = lambda a: a.shape
NUMPY[np.ndim] = lambda a: a.ndim
NUMPY[np.size] = lambda a, axis=None: a.numel() if axis is None else a.shape[axis]

refuse_missing(Tensor, "torch.Tensor")
