"""The mathematical functions of native code, against NumPy in a wider type."""

import ctypes
import functools
import math
import re

import numpy as np
import pytest

from tinygrad_lite.compiler import jit, native_math

pytestmark = pytest.mark.skipif(not jit.available(), reason="llvmlite is not installed")

TYPES = {"float32": "float", "float64": "double"}
NEAR_ZERO_IS_X = ["arctan", "expm1", "log1p", "sin", "tanh"]

# Units in the last place, above what dense sweeps found, with and without fused multiplication and addition.
WORST = {"exp": 1.1, "exp2": 1.1, "expm1": 1.9, "log": 0.9, "log10": 3.0, "log1p": 1.6, "log2": 1.9, "tanh": 2.7}
WORST_RATIONAL_TANH = {
    True: 5.0,
    False: 6.2,
}  # of float32, with and without: a quotient of polynomials adds up roundings


@functools.cache
def library(name, dtype):
    """The library of a loop over arrays that calls the function for each element."""
    kind, operands = TYPES[dtype], range(getattr(np, name).nin)
    loads = "\n".join(
        f"  %p{k} = getelementptr inbounds {kind}, ptr %in{k}, i64 %i\n  %v{k} = load {kind}, ptr %p{k}"
        for k in operands
    )
    return jit.build(f"""
{native_math.declarations([(name, dtype)])}
define void @loop({", ".join(f"ptr noalias %in{k}" for k in operands)}, ptr noalias %out, i64 %size) {{
entry:
  br label %body
body:
  %i = phi i64 [0, %entry], [%next, %body]
{loads}
  %r = call {kind} {native_math.symbol(name, dtype)}({", ".join(f"{kind} %v{k}" for k in operands)})
  %q = getelementptr inbounds {kind}, ptr %out, i64 %i
  store {kind} %r, ptr %q
  %next = add nuw nsw i64 %i, 1
  %end = icmp eq i64 %next, %size
  br i1 %end, label %exit, label %body
exit:
  ret void
}}""")


def native(name, *operands):
    """The native function of arrays."""
    operands = [np.ascontiguousarray(operand) for operand in operands]
    out = np.empty_like(operands[0])
    loop = library(name, out.dtype.name).function(
        "loop", None, *[ctypes.c_void_p] * (len(operands) + 1), ctypes.c_int64
    )
    loop(*[array.ctypes.data for array in (*operands, out)], out.size)
    return out


def exact(name, *operands):
    """NumPy's function, computed in the next wider type."""
    wider = {"float32": np.float64, "float64": np.longdouble}[operands[0].dtype.name]
    with np.errstate(all="ignore"):
        return getattr(np, name)(*[operand.astype(wider) for operand in operands])


def ulps(got, want):
    """By how many units in the last place of ``got``'s type it differs from wider numbers; equal infinities by 0."""
    with np.errstate(all="ignore"):
        nearest = want.astype(got.dtype)
        distance = np.abs(got.astype(want.dtype) - want) / np.spacing(np.abs(nearest)).astype(want.dtype)
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    return np.where(np.isfinite(nearest) & np.isfinite(got), distance, np.where(same, 0.0, np.inf))


def numbers(dtype, count):
    """Every kind of number: bit patterns at even steps, which is evenly over signs, exponents and mantissas."""
    size = np.dtype(dtype).itemsize
    step = 2 ** (8 * size) // count
    return (np.arange(count, dtype=np.uint64) * np.uint64(step)).astype(f"u{size}").view(dtype)


def samples(name):
    """Numbers that the function is defined for, of every magnitude where it has a meaning."""
    x = np.random.default_rng(0).normal(size=2000) * np.logspace(-3, 1, 2000)
    if name in {"arccos", "arcsin", "arctanh"}:
        x = np.sin(x)
    elif name == "arccosh":
        x = 1 + np.abs(x)
    elif name in {"log", "log2", "log10", "log1p", "sqrt", "power"}:
        x = np.abs(x) + 1e-3
    return x


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", sorted(WORST))
def test_a_formula_is_close_for_every_kind_of_number(name, dtype):
    if dtype == "float64" and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("the platform has no type wider than float64")
    ordinary = np.random.default_rng(1).normal(size=500_000) * np.logspace(-3, 1, 500_000)
    x = np.concatenate([numbers(dtype, 2_000_003), ordinary.astype(dtype), (1 + ordinary / 100).astype(dtype)])
    error = ulps(native(name, x), exact(name, x))
    worst = error.argmax()
    bound = WORST_RATIONAL_TANH[has("fma")] if (name, dtype) == ("tanh", "float32") else WORST[name]
    assert error[worst] <= bound, f"{name}({x[worst]!r})"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", sorted(native_math.FUNCTIONS))
def test_a_function_agrees_with_numpy(name, dtype):
    x = samples(name).astype(dtype)
    operands = [x, np.random.default_rng(2).normal(size=x.size).astype(dtype)][: getattr(np, name).nin]
    got, want = native(name, *operands), getattr(np, name)(*operands)
    eps = np.finfo(dtype).eps
    cancels = 2 * eps if name == "logaddexp" else 0  # where the sum of its two parts is near 0
    np.testing.assert_allclose(got, want, rtol=8 * eps, atol=cancels)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", sorted(native_math.FUNCTIONS))
def test_limits_and_nan_are_numpys(name, dtype):
    x = np.array([0.0, -0.0, 1.0, -1.0, -2.0, np.inf, -np.inf, np.nan], dtype)
    operands = [x] if getattr(np, name).nin == 1 else [np.repeat(x, x.size), np.tile(x, x.size)]
    with np.errstate(all="ignore"):
        want = getattr(np, name)(*operands)
    got = native(name, *operands)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", 88.72283, np.exp(np.float64(np.float32(88.72283)))),
        ("exp", 88.72284, np.inf),
        ("exp", 89.0, np.inf),
        ("exp", 3e38, np.inf),
        ("exp", -87.5, np.exp(-87.5)),
        ("exp", -103.0, 2.0**-149),
        ("exp", -105.0, 0.0),
        ("exp", -3e38, 0.0),
        ("exp2", 127.0, 2.0**127),
        ("exp2", 128.0, np.inf),
        ("exp2", -149.0, 2.0**-149),
        ("exp2", -151.0, 0.0),
        ("expm1", 89.0, np.inf),
        ("expm1", -100.0, -1.0),
        ("log", 2.0**-149, np.log(2.0**-149)),
        ("log", 3.4028235e38, np.log(3.4028235e38)),
        ("log2", 2.0**-149, -149.0),
        ("log2", 2.0**127, 127.0),
        ("log1p", -1.0, -np.inf),
        ("log1p", -1.0000001, np.nan),
        ("log1p", 3.4028235e38, np.log(3.4028235e38)),
        ("log1p", 1e-30, 1e-30),
        ("tanh", 9.1, 1.0),
        ("tanh", -3e38, -1.0),
        ("tanh", 1e-30, 1e-30),
    ],
)
def test_a_float32_formula_is_right_at_its_edges(name, x, y):
    got = native(name, np.array([x], np.float32))
    assert ulps(got, np.array([y], np.float64))[0] <= 2


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", 709.78, math.exp(709.78)),
        ("exp", 709.79, np.inf),
        ("exp", 1e300, np.inf),
        ("exp", -745.0, 2.0**-1074),
        ("exp", -746.0, 0.0),
        ("exp2", 1023.0, 2.0**1023),
        ("exp2", 1024.0, np.inf),
        ("exp2", -1074.0, 2.0**-1074),
        ("exp2", -1076.0, 0.0),
        ("expm1", 710.0, np.inf),
        ("expm1", -1e300, -1.0),
        ("log", 2.0**-1074, math.log(2.0**-1074)),
        ("log", 1.7e308, math.log(1.7e308)),
        ("log2", 2.0**-1074, -1074.0),
        ("log1p", -1.0, -np.inf),
        ("log1p", 1.7e308, math.log(1.7e308)),
        ("log1p", 1e-300, 1e-300),
        ("tanh", 19.1, 1.0),
        ("tanh", -1e300, -1.0),
        ("tanh", 1e-300, 1e-300),
    ],
)
def test_a_float64_formula_is_right_at_its_edges(name, x, y):
    got = native(name, np.array([x]))
    assert ulps(got, np.array([y]))[0] <= 2


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", NEAR_ZERO_IS_X)
def test_tiny_and_denormal_numbers_come_back_as_they_are(name, dtype):
    x = numbers(dtype, 100_003)
    x = x[np.abs(x) < 1e-20]
    want = exact(name, x).astype(dtype)
    got = native(name, x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("dtype", TYPES)
def test_tanh_never_exceeds_one(dtype):
    assert np.abs(native("tanh", np.linspace(-24, 24, 1_000_001, dtype=dtype))).max() == 1


@pytest.mark.parametrize("name", sorted(WORST))
def test_nan_and_its_sign_do_not_disturb_the_neighbours(name):
    x = np.linspace(0.1, 3.0, 64, dtype=np.float32)
    want = native(name, x)
    x[::3] = -np.nan
    got = native(name, x)
    assert np.isnan(got[::3]).all()
    np.testing.assert_array_equal(np.delete(got, np.s_[::3]), np.delete(want, np.s_[::3]))


def has(feature):
    """Whether the processor has it; on others than x86, fused operations have no name and are always there."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get(feature, "sse" not in features and feature == "fma"))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", sorted({*WORST, "absolute", "floor", "reciprocal", "rint", "sign", "sqrt", "square"}))
def test_a_loop_is_vectorized(name, dtype):
    if not has("avx2"):
        pytest.skip("the processor has no AVX2")
    optimized = library(name, dtype).optimized()
    lanes = {"float32": "(8|16) x float", "float64": "(4|8) x double"}[dtype]
    assert re.search(f"store <{lanes}>", optimized)
    assert not re.search(r"call (float|double) @(?!llvm\.)", optimized)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", sorted(WORST))
def test_no_operation_may_be_reassociated(name, dtype):
    flags = re.findall(rf"= f(?:add|sub|mul|div) ([a-z ]*){TYPES[dtype]}", native_math.declarations([(name, dtype)]))
    assert set(flags) == {"contract "}


def test_each_function_is_declared_once():
    pairs = [(name, dtype) for name in sorted(native_math.FUNCTIONS) for dtype in TYPES]
    text = native_math.declarations(pairs * 2)
    defined = re.findall(r"(?:define internal|declare) \w+ (@[\w.]+)", text)
    assert len(defined) == len(set(defined))
    assert {native_math.symbol(*pair) for pair in pairs} <= set(defined)
    assert jit.build(text).seconds


def test_what_the_caller_declares_is_not_declared_twice():
    fabs = "declare float @llvm.fabs.f32(float)"
    text = native_math.declarations([("absolute", "float32")], [fabs, "declare void @other()"])
    assert text.count(fabs) == 1
    assert text.count("declare void @other()") == 1


def test_no_functions_need_no_declarations():
    assert native_math.declarations([]).strip() == ""


@pytest.mark.parametrize(
    ("name", "dtype", "known"),
    [
        ("exp", "float32", True),
        ("arctan2", np.float64, True),
        ("exp", "float16", False),
        ("exp", "int64", False),
        ("frexp", "float32", False),
    ],
)
def test_it_says_what_it_knows(name, dtype, known):
    assert native_math.knows(name, dtype) is known


def test_an_unknown_function_has_no_symbol():
    with pytest.raises(ValueError, match="frexp of float32"):
        native_math.symbol("frexp", "float32")
