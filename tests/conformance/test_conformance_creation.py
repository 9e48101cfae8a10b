"""Making tensors: dtypes, values and shapes; random numbers by their moments and bounds."""

import itertools

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

from tests.conformance.compare import DTYPES, FLOATS, assert_none_differ, dtype_name  # noqa: E402

# ---- from data

DATA = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "negative": -7,
    "nan": float("nan"),
    "large int": 2**40,
    "list": [1, 2, 3],
    "floats": [1.0, 2.5],
    "mixed": [1, 2.5],
    "bools": [True, False],
    "bool and int": [True, 2],
    "bool and float": [True, 2.5],
    "nested": [[1, 2], [3, 4]],
    "tuple": ((1.0, 2.0),),
    "empty": [],
    "empty rows": [[], []],
    "empty tuple": (),
    "deep": [[[1.0]]],
    "numpy scalar": np.float64(2.5),
    "numpy float32": np.float32(2.5),
    "numpy int": np.int32(3),
    "numpy bool": np.bool_(True),
    "list of numpy scalars": [np.float64(1.5), np.float64(2.5)],
    "list of float32": [np.float32(1.5), np.float32(2.5)],
    "list of numpy ints": [np.int64(1), np.int64(2)],
    "range": range(3),
}
ARRAYS = {dtype: np.array([[0, 1], [2, 3]], dtype) for dtype in DTYPES}


@pytest.mark.parametrize("f", ["tensor", "as_tensor"])
def test_data(f):
    assert_none_differ((name, lambda xp, data=data: getattr(xp, f)(data)) for name, data in DATA.items())


@pytest.mark.parametrize("f", ["tensor", "as_tensor"])
def test_data_with_dtype(f):
    names = (
        "int",
        "float",
        "bool",
        "list",
        "mixed",
        "bools",
        "nested",
        "empty",
        "numpy scalar",
        "list of numpy scalars",
    )
    assert_none_differ(
        (f"{name}, {dtype}", lambda xp, name=name, dtype=dtype: getattr(xp, f)(DATA[name], dtype=getattr(xp, dtype)))
        for name in names
        for dtype in DTYPES
    )


@pytest.mark.parametrize("f", ["tensor", "as_tensor", "from_numpy"])
def test_arrays(f):
    assert_none_differ((dtype, lambda xp, array=array: getattr(xp, f)(array)) for dtype, array in ARRAYS.items())
    assert_none_differ([("strided", lambda xp: getattr(xp, f)(np.arange(12.0).reshape(3, 4)[::2, 1::2]))])
    assert_none_differ([("0-d", lambda xp: getattr(xp, f)(np.array(1.5)))])


@pytest.mark.parametrize("f", ["tensor", "as_tensor", "from_numpy"])
def test_what_shares_memory_with_an_array(f):
    def change(xp, dtype):
        array = np.zeros(3, dtype)
        tensor = getattr(xp, f)(array)
        array[0] = 1
        tensor[1] = 1
        return array.tolist(), tensor

    assert_none_differ((dtype, lambda xp, dtype=dtype: change(xp, dtype)) for dtype in DTYPES)


def test_tensors_of_tensors():
    assert_none_differ(
        [
            ("tensor", lambda xp: xp.tensor(xp.ones(2, requires_grad=True).detach().clone())),
            ("as_tensor", lambda xp: xp.as_tensor(xp.ones(2, requires_grad=True))),
            ("as_tensor of another dtype", lambda xp: xp.as_tensor(xp.ones(2), dtype=xp.int64)),
            ("list of 0-d tensors", lambda xp: xp.tensor([xp.tensor(1.0), xp.tensor(2.0)])),
            ("constructor of a list", lambda xp: xp.Tensor([1, 2])),
            ("constructor of an array", lambda xp: xp.Tensor(np.array([1.0, 2.0]))),
        ]
    )


def test_requires_grad():
    for name in ("zeros", "ones", "rand", "randn", "empty"):
        assert getattr(tl, name)(2, requires_grad=True).requires_grad
    assert_none_differ(
        [
            ("tensor", lambda xp: xp.tensor([1.0], requires_grad=True).requires_grad),
            ("of int", lambda xp: xp.tensor([1], requires_grad=True)),
            ("ones of int", lambda xp: xp.ones(1, dtype=xp.int64, requires_grad=True)),
            ("arange of int", lambda xp: xp.arange(3, requires_grad=True)),
            ("as_tensor keeps it", lambda xp: xp.as_tensor(xp.ones(1, requires_grad=True)).requires_grad),
            ("like drops it", lambda xp: xp.ones_like(xp.ones(1, requires_grad=True)).requires_grad),
        ]
    )


def test_is_tensor():
    assert_none_differ(
        (name, lambda xp, f=f: xp.is_tensor(f(xp)))
        for name, f in (("tensor", lambda xp: xp.ones(1)), ("list", lambda xp: [1]), ("array", lambda xp: np.ones(1)))
    )


# ---- filled

SIZES = {"0": (0,), "3": (3,), "2, 3": (2, 3), "(2, 3)": ((2, 3),), "[2, 0]": ([2, 0],), "((),)": ((),)}
SIZES |= {"-1": (-1,), "2, -3": (2, -3), "float": (2.5,), "shape of a tensor": (np.zeros((2, 3)).shape,)}


@pytest.mark.parametrize("f", ["zeros", "ones"])
def test_filled(f):
    assert_none_differ((name, lambda xp, size=size: getattr(xp, f)(*size)) for name, size in SIZES.items())
    assert_none_differ((dtype, lambda xp, dtype=dtype: getattr(xp, f)(2, dtype=getattr(xp, dtype))) for dtype in DTYPES)


def test_empty():
    assert_none_differ((name, lambda xp, size=size: tuple(xp.empty(*size).shape)) for name, size in SIZES.items())
    for dtype in DTYPES:
        assert dtype_name(tl.empty(2, dtype=getattr(tl, dtype))) == dtype


def test_full():
    values = (0, 1.5, True, -2, float("inf"), float("nan"), np.float64(2.5))
    assert_none_differ((repr(v), lambda xp, v=v: xp.full((2, 2), v)) for v in values)
    assert_none_differ(
        (f"{v!r}, {dtype}", lambda xp, v=v, dtype=dtype: xp.full((2,), v, dtype=getattr(xp, dtype)))
        for v in (0, 1.5, True, 100)
        for dtype in DTYPES
    )
    assert_none_differ(
        [
            ("0-d", lambda xp: xp.full((), 2.0)),
            ("list", lambda xp: xp.full([2], 2)),
            ("-1", lambda xp: xp.full((-1,), 2)),
        ]
    )


@pytest.mark.parametrize("f", ["zeros_like", "ones_like", "full_like"])
def test_like(f):
    more = (7,) if f == "full_like" else ()
    assert_none_differ(
        (
            f"{a} as {b}",
            lambda xp, a=a, b=b: getattr(xp, f)(
                xp.tensor(ARRAYS[a]), *more, **({"dtype": getattr(xp, b)} if b else {})
            ),
        )
        for a in DTYPES
        for b in (None, *DTYPES)
    )
    assert tl.empty_like(tl.ones(2, 3, dtype=tl.float64)).shape == (2, 3)
    assert dtype_name(tl.empty_like(tl.ones(2, 3, dtype=tl.float64))) == "float64"


ARANGES = [
    (5,),
    (0,),
    (5.0,),
    (2.5,),
    (1, 5),
    (1, 5, 2),
    (5, 1, -2),
    (0, 1, 0.25),
    (0, 1, 0.1),
    (1, 4, 0.5),
    (1.0, 4),
    (-3,),
]
ARANGES += [
    (5, 1),
    (1, 5, 0),
    (1, 5, -1),
    (0, 10, 3),
    (0.5, 3),
    (-2, 2),
    (0, 0.3, 0.1),
    (0, 1e-3, 1e-4),
    (3, 3),
    (True, 3),
]


def test_arange():
    assert_none_differ((f"arange{args}", lambda xp, args=args: xp.arange(*args)) for args in ARANGES)
    assert_none_differ(
        (f"arange{args}, {dtype}", lambda xp, args=args, dtype=dtype: xp.arange(*args, dtype=getattr(xp, dtype)))
        for args in ((5,), (1, 5, 2), (0.5, 3.5))
        for dtype in DTYPES[1:]
    )
    assert_none_differ(
        [
            ("end=", lambda xp: xp.arange(end=3)),
            ("start=, end=", lambda xp: xp.arange(start=1, end=4)),
            ("step=", lambda xp: xp.arange(0, 6, step=2)),
        ]
    )


LINSPACES = list(
    itertools.product([(0, 1), (-1.0, 1.0), (1, 0), (3, 3), (0, 10), (0.1, 0.7)], [0, 1, 2, 3, 5, 11, 100])
)


def test_linspace():
    assert_none_differ(
        ((f"linspace{ends}, {n}", lambda xp, ends=ends, n=n: xp.linspace(*ends, n)) for ends, n in LINSPACES),
        ulps=2,
        scaled=True,
    )
    assert_none_differ(
        (
            (f"linspace{ends}, {n}", lambda xp, ends=ends, n=n: xp.linspace(*ends, n, dtype=xp.float64))
            for ends, n in LINSPACES
        ),
        ulps=2,
        scaled=True,
    )
    assert_none_differ(
        [("int", lambda xp: xp.linspace(0, 10, 5, dtype=xp.int64)), ("-1", lambda xp: xp.linspace(0, 1, -1))]
    )


def test_eye():
    for args in ((3,), (2, 3), (3, 2), (0,), (1, 0), (-1,)):
        assert_none_differ([(f"eye{args}", lambda xp: xp.eye(*args))])
    assert_none_differ((dtype, lambda xp, dtype=dtype: xp.eye(2, dtype=getattr(xp, dtype))) for dtype in DTYPES)


# ---- random


def sample(xp, name, *args, **kwargs):
    xp.manual_seed(0)
    return getattr(xp, name)(*args, **kwargs)


SHAPES = [(2, 3), ((2, 3),), ((),), (0,), (3,), ([1, 2],)]


@pytest.mark.parametrize("name", ["rand", "randn"])
def test_random_shapes_and_dtypes(name):
    for xp in (tl, torch):
        assert [tuple(sample(xp, name, *size).shape) for size in SHAPES] == [(2, 3), (2, 3), (), (0,), (3,), (1, 2)]
        assert [dtype_name(sample(xp, name, 2, dtype=getattr(xp, dtype))) for dtype in FLOATS] == list(FLOATS)
        assert dtype_name(sample(xp, name, 2)) == "float32"
        assert dtype_name(sample(xp, f"{name}_like", xp.ones(2, dtype=xp.float64))) == "float64"
        assert sample(xp, f"{name}_like", xp.ones(2, 3)).shape == (2, 3)
    assert_none_differ(
        [("int64", lambda xp: sample(xp, name, 2, dtype=xp.int64)), ("-1", lambda xp: sample(xp, name, -1))]
    )


def test_randint():
    for xp in (tl, torch):
        drawn = sample(xp, "randint", -3, 4, (10_000,))
        assert dtype_name(drawn) == "int64"
        assert sorted(set(drawn.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
        assert sorted(set(sample(xp, "randint", 3, (1000,)).tolist())) == [0, 1, 2]
        assert dtype_name(sample(xp, "randint", 0, 9, (2, 2), dtype=xp.int32)) == "int32"
        counts = np.bincount(drawn.numpy() + 3)
        assert np.all(np.abs(counts - 10_000 / 7) < 5 * np.sqrt(10_000 / 7 * 6 / 7))  # five standard deviations
    assert_none_differ(
        [("empty range", lambda xp: xp.randint(3, 3, (2,))), ("reversed", lambda xp: xp.randint(3, 1, (2,)))]
    )


N = 40_000
MOMENTS = {  # mean, variance, smallest and largest possible
    "rand": (lambda xp: xp.rand(N), 1 / 2, 1 / 12, 0.0, 1.0),
    "rand float64": (lambda xp: xp.rand(N, dtype=xp.float64), 1 / 2, 1 / 12, 0.0, 1.0),
    "randn": (lambda xp: xp.randn(N), 0.0, 1.0, -np.inf, np.inf),
    "randn float64": (lambda xp: xp.randn(N, dtype=xp.float64), 0.0, 1.0, -np.inf, np.inf),
    "normal": (lambda xp: xp.normal(3.0, 2.0, (N,)), 3.0, 4.0, -np.inf, np.inf),
    "normal_": (lambda xp: xp.empty(N).normal_(1.0, 0.5), 1.0, 0.25, -np.inf, np.inf),
    "uniform_": (lambda xp: xp.empty(N).uniform_(-1.0, 3.0), 1.0, 16 / 12, -1.0, 3.0),
    "bernoulli": (lambda xp: xp.bernoulli(xp.full((N,), 0.3)), 0.3, 0.21, 0.0, 1.0),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name):
    draw, mean, variance, lowest, highest = MOMENTS[name]
    for xp in (tl, torch):
        xp.manual_seed(0)
        numbers = draw(xp).numpy().astype(np.float64)
        assert lowest <= numbers.min()
        assert numbers.max() <= highest
        assert abs(numbers.mean() - mean) < 5 * np.sqrt(variance / N)
        assert abs(numbers.var() - variance) < 5 * variance * np.sqrt(2 / N) + 0.01 * variance


@pytest.mark.parametrize("name", MOMENTS)
def test_a_seed_gives_a_sequence(name):
    draw = MOMENTS[name][0]
    for xp in (tl, torch):
        xp.manual_seed(7)
        first, second = draw(xp), draw(xp)
        xp.manual_seed(7)
        again = draw(xp)
        assert xp.equal(first, again)
        assert not xp.equal(first, second)
        xp.manual_seed(8)
        assert not xp.equal(draw(xp), first)


def test_generators():
    for xp in (tl, torch):
        one, other = xp.Generator().manual_seed(3), xp.Generator().manual_seed(3)
        assert xp.equal(xp.randn(5, generator=one), xp.randn(5, generator=other))
        assert xp.equal(xp.randint(0, 100, (5,), generator=one), xp.randint(0, 100, (5,), generator=other))
        state = one.get_state()
        numbers = xp.rand(5, generator=one)
        one.set_state(state)
        assert xp.equal(xp.rand(5, generator=one), numbers)
        assert one.initial_seed() == 3
        assert xp.manual_seed(5).initial_seed() == xp.initial_seed() == 5
        assert isinstance(xp.seed(), int)


def test_randperm():
    for xp in (tl, torch):
        drawn = sample(xp, "randperm", 50)
        assert dtype_name(drawn) == "int64"
        assert sorted(drawn.tolist()) == list(range(50))
        assert drawn.tolist() != list(range(50))
        assert tuple(xp.randperm(0).shape) == (0,)
    firsts = [tl.randperm(4)[0].item() for _ in range(4000)]
    assert np.all(np.abs(np.bincount(firsts) - 1000) < 5 * np.sqrt(4000 * 1 / 4 * 3 / 4))
    assert_none_differ([("-1", lambda xp: xp.randperm(-1))])


def test_bernoulli():
    assert_none_differ(
        [
            ("certain", lambda xp: xp.bernoulli(xp.tensor([0.0, 1.0, 1.0, 0.0]))),
            ("method", lambda xp: xp.tensor([0.0, 1.0]).bernoulli()),
            ("float64", lambda xp: xp.bernoulli(xp.tensor([0.0, 1.0], dtype=xp.float64))),
            ("1.5", lambda xp: xp.bernoulli(xp.tensor([1.5]))),
            ("-0.5", lambda xp: xp.bernoulli(xp.tensor([-0.5]))),
            ("nan", lambda xp: xp.bernoulli(xp.tensor([float("nan")]))),
        ]
    )
