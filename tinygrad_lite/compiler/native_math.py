"""Mathematical functions as LLVM IR, to be inlined into loops.

The common ones are straight-line code (polynomials, selections, operations on the bits), so that a loop that calls them
is vectorized. The others call the C library.

Only ``contract`` may change the arithmetic here (a product and a sum become one fused operation): the sums cancel on
purpose, which ``reassoc`` would undo. The polynomials of float32 are near-minimax fits, made for this file by weighted
least squares with Lawson's reweighting, each coefficient rounded and the rest fitted again; those of float64 are
Taylor's.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

__all__ = ["FUNCTIONS", "declarations", "knows", "length", "symbol"]

TYPES = {"float32": ("float", "f32", "i32"), "float64": ("double", "f64", "i64")}
"""dtype: LLVM's name of the type, the suffix of functions of it, the type of its bits."""


class Code:
    """The lines of a function, and the functions that they call.

    Attributes
    ----------
    digits : int
        How many bits of a number follow the first one: 23 or 52.
    bias : int
        The largest exponent: 127 or 1023; the smallest is ``1 - bias``.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.type, self.suffix, self.integer = TYPES[self.dtype.name]
        self.digits = int(np.finfo(self.dtype).nmant)
        self.bias = int(np.finfo(self.dtype).maxexp) - 1
        self.lines: list[str] = []
        self.declared: set[str] = set()

    def emit(self, text: str) -> str:
        """Add a line that computes ``text``, and give the name of its result."""
        name = f"%t{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def real(self, value: Real | float) -> Real:
        """A constant of the function's type; what is no constant stays as it is."""
        if isinstance(value, Real):
            return value
        rounded = float(self.dtype.type(value))  # LLVM writes constants of both types with the bits of a double
        return Real(self, f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}")

    def bits(self, value: float) -> int:
        """The bits of a constant."""
        return int(self.dtype.type(value).view(f"i{self.dtype.itemsize}"))

    def intrinsic(self, name: str, *arguments: Real | float) -> Real:
        """The result of LLVM's intrinsic."""
        return self._call(f"llvm.{name}.{self.suffix}", "", arguments)

    def library(self, name: str, *arguments: Real | float) -> Real:
        """The result of the C library's function."""
        return self._call(name + "f" if self.type == "float" else name, " nounwind willreturn readnone", arguments)

    def _call(self, function: str, attributes: str, arguments: Sequence[Real | float]) -> Real:
        self.declared.add(f"declare {self.type} @{function}({', '.join([self.type] * len(arguments))}){attributes}")
        passed = ", ".join(f"{self.type} {self.real(argument)}" for argument in arguments)
        return Real(self, self.emit(f"call {self.type} @{function}({passed})"))


class Real:
    """A floating-point number of a function; arithmetic with it adds lines.

    A comparison gives a :class:`Condition`. It is false if a side is NaN.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Code, name: str) -> None:
        self.code = code
        self.name = name

    def __str__(self) -> str:
        return self.name

    def _arithmetic(self, operation: str, left: Real | float, right: Real | float) -> Real:
        code = self.code
        return Real(code, code.emit(f"{operation} contract {code.type} {code.real(left)}, {code.real(right)}"))

    def __add__(self, other: Real | float) -> Real:
        return self._arithmetic("fadd", self, other)

    def __radd__(self, other: float) -> Real:
        return self._arithmetic("fadd", other, self)

    def __sub__(self, other: Real | float) -> Real:
        return self._arithmetic("fsub", self, other)

    def __rsub__(self, other: float) -> Real:
        return self._arithmetic("fsub", other, self)

    def __mul__(self, other: Real | float) -> Real:
        return self._arithmetic("fmul", self, other)

    def __rmul__(self, other: float) -> Real:
        return self._arithmetic("fmul", other, self)

    def __truediv__(self, other: Real | float) -> Real:
        return self._arithmetic("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Real:
        return self._arithmetic("fdiv", other, self)

    def __neg__(self) -> Real:
        return Real(self.code, self.code.emit(f"fneg {self.code.type} {self}"))

    def __abs__(self) -> Real:
        return self.code.intrinsic("fabs", self)

    def _compare(self, relation: str, other: Real | float) -> Condition:
        code = self.code
        return Condition(code, code.emit(f"fcmp {relation} {code.type} {self}, {code.real(other)}"))

    def __lt__(self, other: Real | float) -> Condition:
        return self._compare("olt", other)

    def __gt__(self, other: Real | float) -> Condition:
        return self._compare("ogt", other)

    def __eq__(self, other: Real | float) -> Condition:  # type: ignore[override]
        return self._compare("oeq", other)

    def bits(self) -> Integer:
        """The same bits as an integer."""
        code = self.code
        return Integer(code, code.emit(f"bitcast {code.type} {self} to {code.integer}"))


class Condition:
    """True or false."""

    def __init__(self, code: Code, name: str) -> None:
        self.code = code
        self.name = name

    def select(self, yes: Real | float, no: Real | float) -> Real:
        """One of two numbers; both are computed."""
        code = self.code
        operands = f"{code.type} {code.real(yes)}, {code.type} {code.real(no)}"
        return Real(code, code.emit(f"select i1 {self.name}, {operands}"))


class Integer:
    """An integer as wide as the function's type; it wraps around."""

    def __init__(self, code: Code, name: str) -> None:
        self.code = code
        self.name = name

    def __str__(self) -> str:
        return self.name

    def _arithmetic(self, operation: str, left: Integer | int, right: Integer | int) -> Integer:
        return Integer(self.code, self.code.emit(f"{operation} {self.code.integer} {left}, {right}"))

    def __add__(self, other: Integer | int) -> Integer:
        return self._arithmetic("add", self, other)

    def __sub__(self, other: Integer | int) -> Integer:
        return self._arithmetic("sub", self, other)

    def __neg__(self) -> Integer:
        return self._arithmetic("sub", 0, self)

    def __lshift__(self, places: int) -> Integer:
        return self._arithmetic("shl", self, places)

    def __rshift__(self, places: int) -> Integer:
        """The shift that keeps the sign."""
        return self._arithmetic("ashr", self, places)

    def at_most(self, bound: int) -> Integer:
        """The smaller of the two."""
        kind = self.code.integer
        smaller = self.code.emit(f"icmp slt {kind} {self}, {bound}")
        return Integer(self.code, self.code.emit(f"select i1 {smaller}, {kind} {self}, {kind} {bound}"))

    def real(self) -> Real:
        """The same number in floating point, for the size of exponents: processors cannot convert all integers."""
        shifter = _shifter(self.code)
        return (self + self.code.bits(shifter)).float_bits() - shifter

    def float_bits(self) -> Real:
        """The floating-point number of these bits."""
        return Real(self.code, self.code.emit(f"bitcast {self.code.integer} {self} to {self.code.type}"))

    def power_of_two(self) -> Real:
        """2 to this power, from 1 - bias to bias."""
        return ((self + self.code.bias) << self.code.digits).float_bits()


def _shifter(code: Code) -> float:
    """A number so large that its last bit counts ones, in the middle of such numbers."""
    return 1.5 * 2.0**code.digits


Function: TypeAlias = Callable[..., Real]

LOG_2 = math.log(2)
LOG_2_HIGH = 355 / 512
"""Log 2 in 9 bits: its product with an exponent is exact."""
LOG_2_LOW = -2.121944400546905827679e-4
"""Log 2 - LOG_2_HIGH, to more digits than a subtraction would leave."""

EXPONENTIAL = {
    "f32": (0.4999999701976776, 0.1666654646396637, 0.04166744276881218, 0.008366253226995468, 0.0013869949616491795),
    "f64": tuple(1 / math.factorial(k) for k in range(2, 14)),
}
"""(e^r - 1 - r) / r^2 for abs(r) <= log(2) / 2: relative error of e^r - 1 below 2^-26 and 2^-56."""

LOGARITHM_32 = (
    0.3333333134651184,
    -0.250008225440979,
    0.20001249015331268,
    -0.16623324155807495,
    0.14201374351978302,
    -0.13160178065299988,
    0.1276368647813797,
    -0.07636669278144836,
)
"""(log(1 + f) - f + f^2 / 2) / f^3 for 1/sqrt(2) <= 1 + f <= sqrt(2): relative error of log(1 + f) below 2^-27."""

LOGARITHM_64 = tuple(2 / (2 * k + 1) for k in range(1, 11))
"""(2 artanh(s) - 2 s) / s^3, a series in s^2, for the s = f / (2 + f) of the same f: relative error below 2^-60."""


TANH_BOUND_32 = 8.9
TANH_NUMERATOR_32 = (
    0.13387520611286163,
    0.003503310726955533,
    2.0736742953886278e-05,
    1.3533146159261378e-08,
)
TANH_DENOMINATOR_32 = (
    1.0,
    0.4672083854675293,
    0.025906335562467575,
    0.0003298286464996636,
    7.84924168328871e-07,
)
"""The quotient (x + x^3 P(x^2)) / Q(x^2) is tanh(x) for abs(x) <= 8.9: relative error below 2^-25. Found in float64,
by least squares of x + x^3 P - tanh(x) Q at 500 Chebyshev points, with Lawson's reweighting of the quotient's relative
error. Rounding makes it up to 5 units in the last place, 6.1 where products and sums are not fused."""


def _polynomial(x: Real, coefficients: Sequence[float]) -> Real:
    """Horner's rule; the constant comes first."""
    value = x.code.real(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _nearest(x: Real) -> tuple[Real, Integer]:
    """The nearest integer, for the size of exponents, in both forms."""
    shifter = _shifter(x.code)
    shifted = x + shifter
    return shifted - shifter, shifted.bits() - x.code.bits(shifter)


def _bounded(x: Real, low: float, high: float) -> Real:
    """The number in the interval that is nearest to x; NaN stays."""
    x = (x > high).select(high, x)
    return (x < low).select(low, x)


def _exponential_minus_one(r: Real) -> Real:
    """The value of e^r - 1 for abs(r) <= log(2) / 2."""
    return r * r * _polynomial(r, EXPONENTIAL[r.code.suffix]) + r


def _exponential_parts(x: Real) -> tuple[Real, Integer]:
    """(e^r - 1, n) with x = n log 2 + r, abs(r) <= log(2) / 2."""
    n, power = _nearest(x * (1 / LOG_2))
    return _exponential_minus_one(x - n * LOG_2_HIGH - n * LOG_2_LOW), power


def _exponents(code: Code) -> tuple[float, float]:
    """Powers of two from which on the result is 0, and infinite."""
    return -(code.bias + code.digits + 2.0), code.bias + 1.4


def _scaled(x: Real, power: Integer) -> Real:
    """The product x * 2^power in two steps: one factor cannot be denormal, or larger than the largest number."""
    half = power >> 1
    return x * half.power_of_two() * (power - half).power_of_two()


def _exp(x: Real) -> Real:
    """e^x = 2^n e^r."""
    low, high = _exponents(x.code)
    part, power = _exponential_parts(_bounded(x, low * LOG_2, high * LOG_2))
    return _scaled(part + 1.0, power)


def _exp2(x: Real) -> Real:
    """2^x = 2^n e^(r log 2)."""
    x = _bounded(x, *_exponents(x.code))
    n, power = _nearest(x)
    return _scaled(_exponential_minus_one((x - n) * LOG_2) + 1.0, power)


def _expm1(x: Real) -> Real:
    """e^x - 1 = 2 (u (e^r - 1) + u - 1/2) with u = 2^(n - 1), which is finite; -1 where e^x < 2^-(digits + 2)."""
    _, high = _exponents(x.code)
    part, power = _exponential_parts(_bounded(x, -(x.code.digits + 2) * LOG_2, high * LOG_2))
    u = (power - 1).power_of_two()
    return _identity_near_zero(x, (u * part + (u - 0.5)) * 2.0)


def _identity_near_zero(x: Real, y: Real) -> Real:
    """X where that is f(x) to the last bit: keeps the sign of zero, and what is left of a denormal number."""
    return (abs(x) < 2.0 ** -(x.code.digits + 2)).select(x, y)


def _tanh(x: Real) -> Real:
    return _rational_tanh(x) if x.code.suffix == "f32" else _exponential_tanh(x)


def _rational_tanh(x: Real) -> Real:
    """(x + x^3 P(x^2)) / Q(x^2) up to where it is 1, and never more than 1."""
    x = _bounded(x, -TANH_BOUND_32, TANH_BOUND_32)
    square = x * x
    numerator = x * square * _polynomial(square, TANH_NUMERATOR_32) + x
    denominator = _polynomial(square, TANH_DENOMINATOR_32)
    size = abs(numerator)
    return numerator / (size > denominator).select(size, denominator)


def _exponential_tanh(x: Real) -> Real:
    """Tanh abs(x) = -m / (2 + m) with m = e^(-2 abs(x)) - 1; where that is below 2^-(digits + 3), 1."""
    size = abs(x)
    bound = (x.code.digits + 5) * LOG_2 / 2
    size = (size > bound).select(bound, size)
    n, power = _nearest(size * (-2 / LOG_2))
    s = size + n * (LOG_2 / 2)  # in one step: the larger n, the less r = -2 s weighs
    double_decay = [coefficient * (-2.0) ** k for k, coefficient in enumerate(EXPONENTIAL[x.code.suffix], 2)]
    part = s * s * _polynomial(s, double_decay) - 2.0 * s  # e^r - 1
    u = power.power_of_two()
    m = u * part + (u - 1.0)
    return x.code.intrinsic("copysign", m / (m + 2.0), x)


def _mantissa(x: Real) -> tuple[Real, Integer]:
    """(m, e) with x = m 2^e, 1/sqrt(2) <= m < sqrt(2), for normal numbers."""
    bits = x.bits()
    exponent = (bits - x.code.bits(math.sqrt(0.5))) >> x.code.digits
    return (bits - (exponent << x.code.digits)).float_bits(), exponent


def _normal_mantissa(x: Real) -> tuple[Real, Real]:
    """(m - 1, e) for any positive number, also a denormal one."""
    denormal = x < 2.0 ** (1 - x.code.bias)
    mantissa, exponent = _mantissa(denormal.select(x * 2.0**x.code.digits, x))
    return mantissa - 1.0, exponent.real() - denormal.select(float(x.code.digits), 0.0)


def _log_of_one_plus(f: Real) -> Real:
    """Log(1 + f) - f."""
    square = f * f
    if f.code.suffix == "f32":
        return f * square * _polynomial(f, LOGARITHM_32) - square * 0.5
    s = f / (f + 2.0)  # log(1 + f) = 2 artanh(s), and 2 s = f - s f
    z = s * s
    half = square * 0.5
    return s * (half + z * _polynomial(z, LOGARITHM_64)) - half


def _log_limits(x: Real, y: Real) -> Real:
    """y, and what the logarithm is where x is infinite, NaN, zero or negative."""
    y = (x < math.inf).select(y, x)
    return (x < 0.0).select(math.nan, (x == 0.0).select(-math.inf, y))


def _log_parts(f: Real, exponent: Real) -> Real:
    """Log(1 + f) + e log 2, small terms first."""
    return f + (_log_of_one_plus(f) + exponent * LOG_2_LOW) + exponent * LOG_2_HIGH


def _log(x: Real) -> Real:
    return _log_limits(x, _log_parts(*_normal_mantissa(x)))


def _log_to_base(x: Real, base: float) -> Real:
    """Log x / log base."""
    f, exponent = _normal_mantissa(x)
    scale = 1 / math.log(base)
    return _log_limits(x, (f + _log_of_one_plus(f)) * scale + exponent * (LOG_2 * scale))


def _log2(x: Real) -> Real:
    return _log_to_base(x, 2.0)


def _log10(x: Real) -> Real:
    return _log_to_base(x, 10.0)


def _log1p(x: Real) -> Real:
    """Log u with u = 1 + x, and what was lost by rounding u added to its mantissa."""
    u = x + 1.0
    lost = x - (u - 1.0)
    mantissa, exponent = _mantissa(u)
    f = mantissa - 1.0 + lost * (-exponent.at_most(64)).power_of_two()  # beyond 2^64 the loss is too small to count
    return _identity_near_zero(x, _log_limits(u, _log_parts(f, exponent.real())))


def _sign(x: Real) -> Real:
    """1, -1, 0, NaN."""
    return (x > 0.0).select(1.0, (x < 0.0).select(-1.0, (x == 0.0).select(0.0, x)))


def _reciprocal(x: Real) -> Real:
    return 1.0 / x


def _square(x: Real) -> Real:
    return x * x


def _logaddexp(x: Real, y: Real) -> Real:
    """Log(e^x + e^y): the larger, and log(1 + e^-d) for the distance d; of equal infinities there is none."""
    larger = (x > y).select(x, y)
    return (x == y).select(x + LOG_2, larger + _value("log1p", [_value("exp", [-abs(x - y)])]))


INTRINSICS = {
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "cos": "cos",
    "floor": "floor",
    "power": "pow",
    "rint": "rint",
    "sin": "sin",
    "sqrt": "sqrt",
    "trunc": "trunc",
}
"""Ufuncs that are LLVM intrinsics: a loop is vectorized around one even if the C library computes it."""

LIBRARY = {
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "cbrt": "cbrt",
    "cosh": "cosh",
    "fmod": "fmod",
    "hypot": "hypot",
    "sinh": "sinh",
    "tan": "tan",
}
"""Ufuncs that are functions of the C library."""

FORMULAS: dict[str, Function] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log10": _log10,
    "log1p": _log1p,
    "log2": _log2,
    "logaddexp": _logaddexp,
    "reciprocal": _reciprocal,
    "sign": _sign,
    "square": _square,
    "tanh": _tanh,
}
"""Ufuncs that are written out here."""

FUNCTIONS = frozenset({*INTRINSICS, *LIBRARY, *FORMULAS})
"""The names of the ufuncs; each has float32 and float64."""


def knows(name: str, dtype: Any) -> bool:
    """Whether there is a function for that ufunc.

    Parameters
    ----------
    name : str
        NumPy's name of the ufunc.
    dtype : dtype-like
        Of its operands and its result.

    Returns
    -------
    bool
    """
    return name in FUNCTIONS and np.dtype(dtype).name in TYPES


@functools.cache
def length(name: str, dtype: Any) -> int:
    """How many operations a function is written out in.

    Parameters
    ----------
    name, dtype
        As :func:`symbol` takes them.

    Returns
    -------
    int
    """
    code = Code(dtype)
    _value(name, _operands(name, code))
    return len(code.lines)


def symbol(name: str, dtype: Any) -> str:
    """The function's name in LLVM IR.

    Examples
    --------
    >>> symbol("exp", "float32")
    '@tl_exp_f32'
    """
    if not knows(name, dtype):
        raise ValueError(f"No native function for {name} of {np.dtype(dtype)}.")
    return f"@tl_{name}_{TYPES[np.dtype(dtype).name][1]}"


def declarations(functions: Iterable[tuple[str, Any]], others: Iterable[str] = ()) -> str:
    """The LLVM IR of functions, to stand beside the code that calls them.

    The intrinsics and C functions that they use are declared with them. LLVM refuses a second declaration: what the
    code itself needs is given here.

    Parameters
    ----------
    functions : iterable of (name, dtype)
        As :func:`symbol` takes them; a pair may come more than once.
    others : iterable of str, optional
        Declarations to add, as ``declare float @llvm.fabs.f32(float)``.

    Returns
    -------
    str
    """
    declared = set(others)
    definitions: dict[str, str] = {}
    for name, dtype in functions:
        function = symbol(name, dtype)
        if function not in definitions:
            code = Code(dtype)
            definitions[function] = _definition(function, code, name)
            declared |= code.declared
    return "\n".join([*sorted(declared), *definitions.values()]) + "\n"


def _definition(function: str, code: Code, name: str) -> str:
    operands = _operands(name, code)
    result = _value(name, operands)
    parameters = ", ".join(f"{code.type} {operand}" for operand in operands)
    lines = "\n".join(code.lines)
    return (
        f"define internal {code.type} {function}({parameters}) alwaysinline {{\n{lines}\n  ret {code.type} {result}\n}}"
    )


def _operands(name: str, code: Code) -> list[Real]:
    return [Real(code, f"%x{k}") for k in range(getattr(np, name).nin)]


def _value(name: str, operands: Sequence[Real]) -> Real:
    code = operands[0].code
    if name in FORMULAS:
        return FORMULAS[name](*operands)
    if name in INTRINSICS:
        return code.intrinsic(INTRINSICS[name], *operands)
    return code.library(LIBRARY[name], *operands)
