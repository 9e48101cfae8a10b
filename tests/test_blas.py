"""Which BLAS multiplies: the decision with processors that are not at hand, and the own library's products."""

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl

import tinygrad_lite as tl
from tinygrad_lite import _blas, nn
from tinygrad_lite.compiler import backends
from tinygrad_lite.config import BLAS, config

AVX2 = {"AVX2": True, "FMA3": True, **dict.fromkeys(_blas.AVX512, False)}
AVX512 = AVX2 | dict.fromkeys(_blas.AVX512, True)
KNIGHTS_LANDING = AVX2 | {"AVX512F": True, "AVX512CD": True}
ARM = {"NEON": True}

installed = pytest.mark.skipif(_blas._own_file() is None, reason="needs scipy-openblas32")
beside_openblas = pytest.mark.skipif(_blas.numpys() is None, reason="NumPy has another BLAS")


def library(kernels):
    return SimpleNamespace(kernels=kernels)


# ---- the decision


@pytest.mark.parametrize(
    ("features", "wide"), [(AVX512, True), (AVX2, False), (KNIGHTS_LANDING, False), (ARM, False), ({}, False)]
)
def test_avx512_is_all_that_the_kernels_need(features, wide):
    assert _blas.has_avx512(features) == wide


@pytest.mark.parametrize(
    ("features", "kernels", "environment", "expected"),
    [
        (AVX512, "Haswell", {}, "SkylakeX"),
        (AVX512, "Zen", {}, "SkylakeX"),
        (AVX512, "Zen", {"OPENBLAS_CORETYPE": ""}, "SkylakeX"),
        (AVX512, "Haswell", {"OPENBLAS_CORETYPE": "Haswell"}, None),
        (AVX512, "SkylakeX", {}, None),
        (AVX512, "SapphireRapids", {}, None),
        (AVX512, "a later one", {}, None),
        (AVX512, None, {}, None),
        (AVX2, "Haswell", {}, None),
        (AVX2, "Sandybridge", {}, None),
        (KNIGHTS_LANDING, "Haswell", {}, None),
        (ARM, "neoversen1", {}, None),
    ],
)
def test_the_core_type_is_set_only_where_the_librarys_choice_wastes_avx512(features, kernels, environment, expected):
    assert _blas.core_type(features, kernels, environment) == expected


CHOICES = {
    "gains": (
        AVX512,
        "Haswell",
        "SkylakeX",
        {},
        True,
        "own OpenBLAS with SkylakeX kernels.*NumPy's chose Haswell alth",
    ),
    "Zen": (AVX512, "Zen", "Cooperlake", {}, True, "own OpenBLAS with Cooperlake kernels.*NumPy's chose Zen alth"),
    "no extra": (AVX512, "Haswell", None, {}, False, r'extra is not installed: pip install "tinygrad_lite\[fast\]"'),
    "the user's": (AVX512, "Zen", "Zen", {"OPENBLAS_CORETYPE": "Zen"}, False, "OPENBLAS_CORETYPE=Zen asks for them"),
    "loaded before": (AVX512, "Haswell", "Haswell", {}, False, "loaded before by something else"),
}
DECIDED_WITHOUT_LOADING = {
    "AVX2 alone": (AVX2, "Haswell", r"kernels \(Haswell\) are the widest that this processor has"),
    "both wide": (AVX512, "SapphireRapids", r"kernels \(SapphireRapids\) are the widest that this processor has"),
    "a name of tomorrow": (AVX512, "a later one", r"kernels \(a later one\) are not known to lack AVX-512"),
    "narrow by order": (AVX2, "Nehalem", r"Nehalem kernels.*the processor has none"),
    "ARM": (ARM, "neoversen1", r"neoversen1 kernels.*the processor has none"),
    "another BLAS": (AVX512, None, "it is no OpenBLAS"),
}


@pytest.mark.parametrize(("features", "numpys", "own", "environment", "gains", "reason"), CHOICES.values(), ids=CHOICES)
def test_who_multiplies_and_why(features, numpys, own, environment, gains, reason):
    choice = _blas.choose(features, numpys, lambda: own and library(own), environment)
    assert choice.own == gains
    assert re.search(reason, choice.reason)


@pytest.mark.parametrize(
    ("features", "numpys", "reason"), DECIDED_WITHOUT_LOADING.values(), ids=DECIDED_WITHOUT_LOADING
)
def test_nothing_is_loaded_where_it_cannot_gain(features, numpys, reason):
    choice = _blas.choose(features, numpys, lambda: pytest.fail("loaded"), {})
    assert not choice.own
    assert re.search(reason, choice.reason)


@pytest.mark.parametrize(("features", "own", "gains"), [(AVX512, "SkylakeX", True), (AVX2, "Haswell", False)])
def test_the_first_product_decides_for_those_that_follow(monkeypatch, features, own, gains):
    fake = SimpleNamespace(kernels=own, gemm=lambda dtype: None, set_threads=lambda number: None)
    monkeypatch.setattr(_blas, "product", _blas._first)
    monkeypatch.setattr(_blas, "processor_features", lambda: features)
    monkeypatch.setattr(_blas, "numpys", lambda: SimpleNamespace(kernels="Haswell", threads=lambda: 1))
    monkeypatch.setattr(_blas, "own", lambda: fake)
    assert (_blas.product(np.ones((1, 2)), np.ones((2, 1))) == [[2]]).all()
    assert _blas.product is not _blas._first
    assert (_blas.product is np.dot) == (not gains)  # where nothing gains, a product costs what it cost before


# ---- loading


@pytest.fixture
def fresh(monkeypatch):
    """As if the own library had not been loaded yet."""
    monkeypatch.setattr(_blas, "_own", None)


class Loaded:
    """Stands for the library: notes what the environment was when it was loaded."""

    def __init__(self, file):
        self.core_type = os.environ.get("OPENBLAS_CORETYPE")

    def set_threads(self, number):
        self.number = number


class Broken:
    def __init__(self, file):
        raise OSError("wrong ELF class")


@pytest.mark.parametrize(
    ("features", "before", "during"),
    [(AVX512, None, "SkylakeX"), (AVX512, "", "SkylakeX"), (AVX512, "Zen", "Zen"), (AVX2, None, None)],
)
def test_the_environment_is_changed_around_the_load_only(monkeypatch, fresh, tmp_path, features, before, during):
    monkeypatch.setattr(_blas, "OpenBLAS", Loaded)
    monkeypatch.setattr(_blas, "_own_file", lambda: tmp_path)
    monkeypatch.setattr(_blas, "processor_features", lambda: features)
    monkeypatch.setattr(_blas, "numpys", lambda: SimpleNamespace(kernels="Haswell", threads=lambda: 3))
    if before is None:
        monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    else:
        monkeypatch.setenv("OPENBLAS_CORETYPE", before)
    own = _blas.own()
    assert own.core_type == during
    assert own.number == 3  # threads: as many as NumPy's
    assert os.environ.get("OPENBLAS_CORETYPE") == before
    assert _blas.own() is own


def test_a_library_that_does_not_load_is_an_error_and_leaves_the_environment(monkeypatch, fresh, tmp_path):
    monkeypatch.setattr(_blas, "OpenBLAS", Broken)
    monkeypatch.setattr(_blas, "_own_file", lambda: tmp_path)
    monkeypatch.setattr(_blas, "processor_features", lambda: AVX512)
    monkeypatch.setattr(_blas, "numpys", lambda: SimpleNamespace(kernels="Haswell", threads=lambda: 1))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    with pytest.raises(OSError, match="wrong ELF class"):
        _blas.own()
    assert "OPENBLAS_CORETYPE" not in os.environ


@pytest.fixture
def without_extra(monkeypatch, fresh):
    find = importlib.util.find_spec
    missing = ("scipy_openblas32", "llvmlite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else find(name, *rest))


def test_without_the_extra(without_extra, monkeypatch):
    assert _blas.own() is None
    assert _blas.gemm_address(np.float32) is None
    with pytest.raises(ImportError, match=r"pip install .tinygrad_lite\[fast\]"):
        _blas.set_threads(1)
    monkeypatch.setattr(_blas, "processor_features", lambda: AVX512)
    monkeypatch.setattr(_blas, "numpys", lambda: SimpleNamespace(kernels="Haswell", threads=lambda: 1))
    monkeypatch.setattr(_blas, "product", _blas._first)
    assert tl.matmul(tl.ones(200, 200), tl.ones(200, 200))[0, 0] == 200
    assert _blas.product is np.dot


def test_a_module_that_was_blocked_is_not_installed(monkeypatch, fresh):
    monkeypatch.setitem(sys.modules, "scipy_openblas32", None)
    assert _blas.own() is None


def run(code, **environment):
    """What a new process prints."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | environment
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


LIBRARIES = "[pool['filepath'] for pool in threadpoolctl.threadpool_info() if 'scipy_openblas32' in pool['filepath']]"


@installed
def test_import_loads_nothing_and_a_load_is_seen_by_threadpoolctl():
    code = f"""
import threadpoolctl, tinygrad_lite as tl
print(len({LIBRARIES}))
tl._blas.own()
print(len({LIBRARIES}))"""
    assert run(code).split() == ["0", "1"]


@installed
@beside_openblas
def test_the_users_core_type_is_kept():
    if not _blas.processor_features().get("SSE42"):
        pytest.skip("the name is one of x86")
    code = "from tinygrad_lite import _blas; import os; print(_blas.own().kernels, os.environ['OPENBLAS_CORETYPE'])"
    assert run(code, OPENBLAS_CORETYPE="Nehalem") == "Nehalem Nehalem"


# ---- the library

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@installed
@both_dtypes
def test_the_address_is_that_of_a_product(dtype):
    real = ctypes.c_float if dtype is np.float32 else ctypes.c_double
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    gemm = ctypes.CFUNCTYPE(None, *[integer] * 6, real, pointer, integer, pointer, integer, real, pointer, integer)(
        _blas.gemm_address(dtype)
    )
    x, y, out = (
        np.arange(6, dtype=dtype).reshape(2, 3),
        np.arange(12, dtype=dtype).reshape(3, 4),
        np.ones((2, 4), dtype),
    )
    expected = out - 0.5 * (x @ y)
    gemm(101, 111, 111, 2, 4, 3, -0.5, x.ctypes.data, 3, y.ctypes.data, 4, 1.0, out.ctypes.data, 4)
    assert np.array_equal(out, expected)  # small integers: exact
    assert _blas.gemm_address(dtype) == _blas.gemm_address(np.dtype(dtype))


@pytest.fixture
def own():
    """The library; its number of threads is as before afterwards."""
    library = _blas.own()
    before = library.threads()
    yield library
    library.set_threads(before)


@installed
def test_threads_can_be_set(own):
    before = own.threads()
    assert _blas.set_threads(2) == before
    assert _blas.set_threads(1) == 2
    assert own.threads() == 1
    with pytest.raises(ValueError, match="at least one thread, not 0"):
        _blas.set_threads(0)
    assert own.threads() == 1


@installed
def test_threadpoolctl_limits_it_too(own):
    _blas.set_threads(2)
    with threadpoolctl.threadpool_limits(1):
        assert own.threads() == 1
    assert own.threads() == 2


# ---- products by the own library, whether it gains or not


class Counting:
    """The library, and how many products it was asked for."""

    def __init__(self, library):
        self.library, self.products, self.threads = library, 0, []

    def gemm(self, dtype):
        gemm = self.library.gemm(dtype)

        def counted(*args):
            self.products += 1
            gemm(*args)

        return counted

    def set_threads(self, number):
        self.threads.append(number)


@pytest.fixture
def counting(monkeypatch, own):
    """Products of any size go to the own library."""
    library = Counting(own)
    monkeypatch.setattr(_blas, "LARGE", 1)
    monkeypatch.setattr(_blas, "product", _blas.product_by(library, lambda: 7))
    return library


def matrix(shape, dtype, layout, seed=0):
    """Random numbers of this shape, in memory as the layout says."""
    rows, columns = shape
    rng = np.random.default_rng(seed)
    return LAYOUTS[layout](lambda *shape: rng.standard_normal(shape).astype(dtype), rows, columns)


LAYOUTS = {
    "rows": lambda draw, m, n: draw(m, n),
    "columns": lambda draw, m, n: draw(n, m).T,
    "some columns of wider rows": lambda draw, m, n: draw(m, n + 5)[:, 2 : n + 2],
    "some rows of longer columns": lambda draw, m, n: draw(n, m + 5).T[3 : m + 3],
    "every second row": lambda draw, m, n: draw(2 * m, n)[::2],
}
NOT_FOR_BLAS = {
    "every second column": lambda draw, m, n: draw(m, 2 * n)[:, ::2],
    "upside down": lambda draw, m, n: draw(m, n)[::-1],
    "mirrored": lambda draw, m, n: draw(m, n)[:, ::-1],
    "one row repeated": lambda draw, m, n: np.broadcast_to(draw(n), (m, n)),
    "one column repeated": lambda draw, m, n: np.broadcast_to(draw(m, 1), (m, n)),
    "a sliding window": lambda draw, m, n: np.lib.stride_tricks.sliding_window_view(draw(m + n - 1), n),
    "not aligned": lambda draw, m, n: unaligned(draw(m, n)),
    "the other byte order": lambda draw, m, n: (x := draw(m, n)).astype(x.dtype.newbyteorder()),
    "a subclass": lambda draw, m, n: draw(m, n).view(np.matrix),
}


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    out = memory[1:].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def assert_a_product(product, x, y):
    """It is what ``np.dot`` gives up to the rounding of either, as an array of its own."""
    k, eps = x.shape[1], np.finfo(x.dtype).eps
    bound = 2 * k * eps * (np.abs(x).astype(np.float64) @ np.abs(y).astype(np.float64)) if k else np.zeros(1)
    expected = np.dot(x, y)
    assert type(product) is np.ndarray
    assert (product.shape, product.dtype, product.flags.c_contiguous) == (expected.shape, expected.dtype, True)
    assert product.flags.owndata
    assert product.flags.writeable
    assert (np.abs(product.astype(np.float64) - expected) <= bound).all()


SHAPES = [(8, 8, 8), (9, 17, 33), (100, 8, 64), (33, 129, 8), (64, 64, 64), (128, 784, 25)]


@installed
@both_dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("y_layout", LAYOUTS)
@pytest.mark.parametrize("x_layout", LAYOUTS)
def test_products_are_those_of_numpy(counting, x_layout, y_layout, shape, dtype):
    m, k, n = shape
    x, y = matrix((m, k), dtype, x_layout), matrix((k, n), dtype, y_layout, seed=1)
    assert_a_product(_blas.product(x, y), x, y)
    assert counting.products == 1
    assert counting.threads == [7]  # as many as NumPy's at this moment


@installed
@both_dtypes
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("layout", NOT_FOR_BLAS)
def test_what_blas_cannot_read_goes_to_numpy(counting, layout, swapped, dtype):
    rng = np.random.default_rng(0)
    x = NOT_FOR_BLAS[layout](lambda *shape: rng.standard_normal(shape).astype(dtype), 16, 16)
    y = matrix((16, 16), dtype, "rows")
    x, y = (y, x) if swapped else (x, y)
    product, expected = _blas.product(x, y), np.dot(x, y)
    assert counting.products == 0
    assert type(product) is type(expected)
    assert (product.dtype, product.tobytes()) == (expected.dtype, expected.tobytes())


@installed
@pytest.mark.parametrize("dtypes", [("f2", "f2"), ("i4", "i4"), ("f4", "f8"), ("c8", "c8"), ("?", "?")], ids=str)
def test_other_dtypes_go_to_numpy(counting, dtypes):
    x, y = (np.ones((16, 16), dtype) for dtype in dtypes)
    assert _blas.product(x, y).dtype == np.dot(x, y).dtype
    assert counting.products == 0


@installed
@pytest.mark.parametrize(
    "shapes",
    [((0, 16), (16, 16)), ((16, 0), (0, 16)), ((7, 99), (99, 99)), ((99, 99), (99, 1)), ((16,), (16, 16))],
    ids=str,
)
def test_empty_and_thin_ones_and_vectors_go_to_numpy(counting, shapes):
    x, y = (np.ones(shape, np.float32) for shape in shapes)
    assert np.array_equal(_blas.product(x, y), np.dot(x, y))
    assert counting.products == 0


@installed
def test_small_ones_go_to_numpy(counting, monkeypatch):
    monkeypatch.setattr(_blas, "LARGE", 16 * 16 * 16)
    _blas.product(np.ones((16, 16)), np.ones((16, 15)))
    assert counting.products == 0
    _blas.product(np.ones((16, 16)), np.ones((16, 16)))
    assert counting.products == 1


@installed
@both_dtypes
def test_a_matrix_by_its_own_transpose_goes_to_numpy_which_computes_half(counting, dtype):
    x = matrix((20, 30), dtype, "rows")
    product = _blas.product(x, x.T)
    assert np.array_equal(product, product.T)
    assert counting.products == 0


@installed
@pytest.mark.parametrize("shapes", [((16, 16), (17, 16)), ((16, 16), (16,) * 3), ((16, 16), (9,))], ids=str)
def test_shapes_that_do_not_fit_get_numpys_error(counting, shapes):
    x, y = (np.ones(shape) for shape in shapes)
    if np.ndim(y) == 3:
        assert _blas.product(x, y).shape == np.dot(x, y).shape
    else:
        with pytest.raises(ValueError, match="not aligned"):
            _blas.product(x, y)
    assert counting.products == 0


@installed
@both_dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("zeros", [False, True])
def test_nan_and_infinities_spread_as_in_numpy(counting, value, zeros, dtype):
    x, y = matrix((40, 30), dtype, "rows"), matrix((30, 50), dtype, "columns", seed=1)
    x[3, 4] = y[7, 8] = value
    if zeros:
        x[:, 7] = y[4, :] = 0
    product = _blas.product(x, y)
    with np.errstate(invalid="ignore"):
        expected = np.dot(x, y)
    assert counting.products == 1
    assert np.array_equal(np.isnan(product), np.isnan(expected))
    assert np.array_equal(np.isinf(product), np.isinf(expected))
    assert np.array_equal(np.signbit(product[np.isinf(product)]), np.signbit(expected[np.isinf(expected)]))
    assert np.isnan(product[3]).all() == bool(np.isnan(value) or zeros)


# ---- on tensors


def gradients(dtype, penalty=False):
    """Loss and gradients of a net; with a penalty on the gradient's norm, so of the second order."""
    tl.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 10)).to(dtype)
    x = tl.randn(40, 30, dtype=dtype).requires_grad_()
    loss = nn.functional.cross_entropy(net(x) @ tl.randn(10, 10, dtype=dtype), tl.arange(40) % 10)
    if penalty:
        (of_x,) = tl.autograd.grad(loss, x, create_graph=True)
        loss = loss + (of_x * of_x).sum()
    loss.backward()
    return [tensor.detach().numpy() for tensor in (loss, x.grad, *(p.grad for p in net.parameters()))]


@installed
@both_dtypes
@pytest.mark.parametrize("penalty", [False, True])
def test_gradients_of_both_orders(monkeypatch, own, penalty, dtype):
    monkeypatch.setattr(_blas, "product", np.dot)
    by_numpy = gradients(dtype, penalty)
    counting = Counting(own)
    monkeypatch.setattr(_blas, "LARGE", 1)
    monkeypatch.setattr(_blas, "product", _blas.product_by(counting, lambda: 1))
    by_own = gradients(dtype, penalty)
    assert counting.products >= 8 * (
        1 + penalty
    )  # three forward, three to their inputs, two to weights; their own rules
    for a, b in zip(by_own, by_numpy, strict=True):
        np.testing.assert_allclose(a, b, rtol=200 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


@installed
def test_gradcheck_through_the_own_library(counting):
    tl.autograd.gradcheck(
        tl.matmul, (tl.randn(8, 9, dtype=tl.float64).requires_grad_(), tl.randn(9, 8, dtype=tl.float64))
    )
    assert counting.products > 0


@installed
def test_the_whole_way_from_features_to_product():
    """NumPy's library with narrower kernels by order, and the own one told to take those that this processor has."""
    if _blas.numpys() is None or not _blas.processor_features().get("AVX2"):
        pytest.skip("needs AVX2, and an OpenBLAS in NumPy")
    code = """
import os
import numpy as np
del os.environ["OPENBLAS_CORETYPE"]
import tinygrad_lite as tl
from tinygrad_lite import _blas
_blas.has_avx512 = lambda features: True
_blas.core_type = lambda features, kernels, environment: "Haswell" if kernels == "Sandybridge" else None
_blas.WIDE = {"Haswell"}
x, y = tl.randn(256, 128), tl.randn(128, 128)
z = (x @ y).numpy()
assert _blas.product.__qualname__.startswith("product_by"), _blas.product
np.testing.assert_allclose(z, x.numpy().astype(float) @ y.numpy(), atol=1e-4)
print(_blas.numpys().kernels, _blas._own.kernels, os.environ.get("OPENBLAS_CORETYPE"), _blas._own.threads())
tl.show_config()
"""
    first, *_, eager, _ = run(code, OPENBLAS_CORETYPE="Sandybridge").splitlines()
    assert first == "Sandybridge Haswell None 1"
    assert eager.endswith(
        "own OpenBLAS with Haswell kernels, where large: NumPy's chose Sandybridge although the processor has AVX-512"
    )


# ---- what show_config says


def test_the_configuration_is_that_of_this_process():
    now = config()
    assert now.numpy == np.__version__
    pools = {pool["filepath"]: pool for pool in threadpoolctl.threadpool_info()}
    for blas, loaded in ((now.numpy_blas, _blas.numpys()), (now.own_blas, _blas.own())):
        if loaded is not None:
            pool = pools[os.path.realpath(loaded.file)]
            assert (blas.kernels, blas.threads) == (pool["architecture"], pool["num_threads"])
            assert pool["version"] in blas.library
    assert now.backend.startswith({"native": "native", "numpy": "NumPy"}[backends.choose("auto").name])


def test_show_config_prints_every_fact_and_returns_nothing(capsys):
    assert tl.show_config() is None
    printed = capsys.readouterr().out
    now = config()
    for fact in (now.version, now.numpy, now.processor, now.numpy_blas, now.eager, now.backend):
        assert str(fact) in printed
    assert len(printed.splitlines()) == 7


def test_show_config_without_the_extra(without_extra, capsys):
    tl.show_config()
    *_, own, _, backend = capsys.readouterr().out.splitlines()
    assert own.split(maxsplit=2) == ["own", "BLAS:", 'not installed: pip install "tinygrad_lite[fast]"']
    assert backend.endswith('NumPy replay: native code needs llvmlite: pip install "tinygrad_lite[fast]"')


def test_show_config_beside_another_blas(monkeypatch, capsys):
    monkeypatch.setattr(_blas, "numpys", lambda: None)
    built = {"Build Dependencies": {"blas": {"name": "mkl-sdl", "version": "2025.1"}}}
    monkeypatch.setattr(np, "show_config", lambda mode: built)
    assert config().numpy_blas == BLAS("mkl-sdl 2025.1", None, None)
    tl.show_config()
    printed = capsys.readouterr().out
    assert "mkl-sdl 2025.1, kernels and threads unknown" in printed
    assert "it is no OpenBLAS of NumPy's wheels" in printed


def test_one_thread_and_several_are_spelt():
    assert str(BLAS("OpenBLAS 1", "Zen", 1)) == "OpenBLAS 1, Zen kernels, 1 thread"
    assert str(BLAS("OpenBLAS 1", "Zen", 2)) == "OpenBLAS 1, Zen kernels, 2 threads"
