"""LLVM IR becomes functions to call, which live as long as they are held and no longer."""

import ctypes
import gc
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from tinygrad_lite.compiler import jit

HALF = "define double @half(double %x) {\n  %y = fmul double %x, 0.5\n  ret double %y\n}\n"

native = pytest.mark.skipif(not jit.available(), reason="llvmlite is not installed")


def half_of(library):
    return library.function("half", ctypes.c_double, ctypes.c_double)


@native
def test_a_function_is_called_from_python():
    assert half_of(jit.build(HALF))(3.0) == 1.5


@native
def test_a_function_reads_and_writes_memory():
    library = jit.build("define void @put(ptr %p, i64 %v) {\n  store i64 %v, ptr %p\n  ret void\n}")
    cell = ctypes.c_int64(0)
    assert library.function("put", None, ctypes.c_void_p, ctypes.c_int64)(ctypes.addressof(cell), 7) is None
    assert cell.value == 7


@native
def test_the_stages_are_timed():
    seconds = jit.build(HALF).seconds
    assert list(seconds) == ["parse", "optimize", "generate"]
    assert all(second > 0 for second in seconds.values())


@native
def test_a_symbol_is_bound_to_its_address():
    @ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    def next_number(n):
        return n + 1

    source = """
    declare i64 @outside(i64)
    define i64 @twice(i64 %n) {
      %once = call i64 @outside(i64 %n)
      %twice = call i64 @outside(i64 %once)
      ret i64 %twice
    }"""
    address = ctypes.cast(next_number, ctypes.c_void_p).value
    library = jit.build(source, {"outside": address, "not_called": address})
    assert library.function("twice", ctypes.c_int64, ctypes.c_int64)(40) == 42


@native
@pytest.mark.parametrize("name", ["exp", "expm1", "log1p", "tanh", "cbrt", "atan", "erf"])
def test_the_mathematics_of_the_c_library_needs_no_address(name):
    import math

    source = f"""
    declare double @{name}(double)
    define double @call(double %x) {{
      %y = call double @{name}(double %x)
      ret double %y
    }}"""
    call = jit.build(source).function("call", ctypes.c_double, ctypes.c_double)
    assert call(0.3) == pytest.approx(getattr(math, name)(0.3), rel=1e-15)


@native
def test_a_declared_function_that_nobody_has_is_named():
    source = "declare void @nobody_has_this()\ndefine void @f() {\n  call void @nobody_has_this()\n  ret void\n}"
    with pytest.raises(ValueError, match="nobody_has_this"):
        jit.build(source)


@native
@pytest.mark.parametrize(
    "source",
    [
        "define double @half(double %x) {",
        "define double @half(double %x) {\n  ret double %missing\n}",
        "define i32 @half(double %x) {\n  ret double %x\n}",
        HALF + HALF,
    ],
)
def test_source_that_is_not_valid_is_refused(source):
    with pytest.raises(ValueError, match="not valid"):
        jit.build(source)


@native
@pytest.mark.parametrize("name", ["third", "exp", "hidden", "malloc"])
def test_only_functions_that_the_source_defines_for_others_are_given(name):
    library = jit.build(
        HALF
        + "declare ptr @malloc(i64)\n"
        + "define internal void @hidden(ptr %p) noinline {\n  store i8 1, ptr %p\n  ret void\n}\n"
        + "define ptr @user() {\n  %p = call ptr @malloc(i64 8)\n  call void @hidden(ptr %p)\n  ret ptr %p\n}\n"
    )
    with pytest.raises(KeyError, match="half, user"):
        library.function(name, None)


@native
def test_two_libraries_may_use_the_same_names():
    third = jit.build(HALF.replace("0.5", "0.25"))
    assert half_of(jit.build(HALF))(8.0) == 4.0
    assert half_of(third)(8.0) == 2.0


@native
def test_a_function_keeps_its_library_and_the_library_goes_with_it():
    library = jit.build(HALF)
    alive = weakref.ref(library)
    half = half_of(library)
    del library
    assert alive() is not None
    assert half(5.0) == 2.5
    del half
    assert alive() is None


@native
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_library_is_freed_with_it():
    source = """
    @data = internal global [4194304 x i8] zeroinitializer
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    define void @fill(i8 %value) {
      call void @llvm.memset.p0.i64(ptr @data, i8 %value, i64 4194304, i1 false)
      ret void
    }"""

    def megabytes():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    def build_and_use(times):
        for _ in range(times):
            jit.build(source).function("fill", None, ctypes.c_int8)(1)
        gc.collect()

    build_and_use(5)
    before = megabytes()
    build_and_use(50)  # 200 MB, if they stayed
    assert megabytes() - before < 40


@native
def test_the_gil_is_released_while_a_function_runs():
    source = """
    define void @wait_for(ptr %flag) {
    entry:
      br label %loop
    loop:
      %seen = load atomic volatile i32, ptr %flag seq_cst, align 4
      %set = icmp ne i32 %seen, 0
      br i1 %set, label %done, label %loop
    done:
      ret void
    }"""
    flag = ctypes.c_int32(0)
    wait_for = jit.build(source).function("wait_for", None, ctypes.c_void_p)
    waiting = threading.Thread(target=wait_for, args=(ctypes.addressof(flag),))
    waiting.start()
    time.sleep(0.01)
    assert waiting.is_alive()
    flag.value = 1
    waiting.join(timeout=10)
    assert not waiting.is_alive()


@native
def test_libraries_are_built_in_several_threads():
    results = {}

    def build(k):
        results[k] = half_of(jit.build(HALF.replace("0.5", f"{k}.0")))(2.0)

    threads = [threading.Thread(target=build, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: 2.0 * k for k in range(8)}


def test_without_llvmlite_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(jit, "available", lambda: False)
    jit._llvm.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "tinygrad_lite\[fast\]"'):
        jit.build(HALF)


@native
@pytest.mark.parametrize(("version", "enough"), [("0.44.0", False), ("0.45.0", True), ("0.50.1", True), ("1.0", True)])
def test_an_old_llvmlite_does_not_count_as_available(monkeypatch, version, enough):
    monkeypatch.setattr(jit.importlib.metadata, "version", lambda name: version)
    assert jit.available.__wrapped__() is enough


def test_an_absent_llvmlite_is_not_available(monkeypatch):
    monkeypatch.setattr(jit.importlib.util, "find_spec", lambda name: None)
    assert not jit.available.__wrapped__()


def test_llvmlite_is_imported_by_the_first_build_only():
    program = (
        "import sys; from tinygrad_lite.compiler import jit; jit.available(); assert 'llvmlite' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(jit.__file__).parents[2])


def test_a_library_in_a_cycle_is_freed_without_a_crash():
    pytest.importorskip("llvmlite")
    program = """
import gc
from tinygrad_lite.compiler import jit
for _ in range(20):
    library = jit.build("define double @half(double %x) { %y = fmul double %x, 0.5 ret double %y }")
    cycle = [library]
    cycle.append(cycle)
    del library, cycle
    gc.collect()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
