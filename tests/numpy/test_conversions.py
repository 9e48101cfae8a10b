"""From and to NumPy, Python and other libraries, held against PyTorch where it has the behaviour."""

import numpy as np
import pytest

import tinygrad_lite as tl

torch = pytest.importorskip("torch")

# ---- what both libraries do alike


def ones(xp, requires_grad=False):
    return xp.ones(2, requires_grad=requires_grad)


def attempt(call, xp):
    """The result in plain Python, or the class of the exception."""
    try:
        result = call(xp)
    except Exception as error:
        return type(error)
    return result.tolist() if hasattr(result, "tolist") else result


ALIKE = {
    "float": lambda xp: float(xp.tensor([2.5])),
    "int": lambda xp: int(xp.tensor(-2.7)),
    "bool": lambda xp: (bool(xp.tensor([0.5])), bool(xp.tensor(0))),
    "complex": lambda xp: complex(xp.tensor([2.5])),
    "bool of several": lambda xp: bool(ones(xp)),
    "bool of none": lambda xp: bool(xp.tensor([])),
    "index": lambda xp: [7, 8, 9][xp.tensor([1])],
    "index by a float": lambda xp: [7, 8, 9][xp.tensor([1.0])],
    "len": lambda xp: len(xp.zeros(3, 2)),
    "len of a number": lambda xp: len(xp.tensor(1.0)),
    "iteration": lambda xp: [row.tolist() for row in xp.tensor([[1, 2], [3, 4]])],
    "iteration over a number": lambda xp: list(xp.tensor(1.0)),
    "in": lambda xp: (2 in xp.tensor([1, 2]), 3.0 in xp.tensor([1, 2]), xp.tensor(1) in xp.tensor([1, 2])),
    "hash": lambda xp: len({(t := ones(xp)): 1, t: 2, ones(xp): 3}),
    "== array": lambda xp: xp.tensor([1.0, 2.0]) == np.array([1.0, 3.0]),
    "array ==": lambda xp: np.array([1.0, 3.0]) == xp.tensor([1.0, 2.0]),
    "== text": lambda xp: ones(xp) == "a",
    "!= None": lambda xp: ones(xp) != None,  # noqa: E711
    "< text": lambda xp: ones(xp) < "a",
    "asarray": lambda xp: np.asarray(ones(xp)),
    "asarray that needs a gradient": lambda xp: np.asarray(ones(xp, True)),
    "numpy that needs a gradient": lambda xp: ones(xp, True).numpy(),
    "__array__ of a dtype": lambda xp: str(ones(xp).__array__(np.float64).dtype),
    "from_numpy of a list": lambda xp: xp.from_numpy([1]),
    "dlpack that needs a gradient": lambda xp: ones(xp, True).__dlpack__(),
    "dlpack device": lambda xp: tuple(map(int, ones(xp).__dlpack_device__())),
}
KINDS = (TypeError, RuntimeError, BufferError)


@pytest.mark.parametrize("call", ALIKE.values(), ids=ALIKE)
def test_as_pytorch(call):
    ours, theirs = attempt(call, tl), attempt(call, torch)
    if isinstance(theirs, type):
        assert ours is theirs, (ours, theirs)
        assert ours in KINDS
    else:
        assert ours == theirs


# ---- arrays beside tensors


@pytest.mark.parametrize("name", "add sub mul truediv floordiv mod pow matmul lt le eq ne gt ge and or xor".split())
def test_operators_of_an_array_and_a_tensor_give_a_tensor(name):
    bits = name in ("and", "or", "xor")
    a, b = (np.array([1, 2]), np.array([3, 5])) if bits else (np.array([1.5, 2.0]), np.array([2.0, 0.5]))
    expected = getattr(a, f"__{name}__")(b)
    for found in (getattr(a, f"__{name}__")(tl.tensor(b)), getattr(tl.tensor(a), f"__{name}__")(b)):
        assert isinstance(found, tl.Tensor)
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_an_array_does_not_take_in_a_tensor(requires_grad):
    array = np.zeros(2)
    with pytest.raises(TypeError, match=r"into an array in place: .*detach"):
        array += tl.ones(2, requires_grad=requires_grad)
    assert array.tolist() == [0.0, 0.0]


def test_functions_that_change_an_array_take_values_from_a_tensor():
    array = np.zeros(2)
    np.copyto(array, tl.tensor([1.0, 2.0]))
    np.add.at(array, [0, 0], tl.tensor([10.0, 20.0]))
    assert array.tolist() == [31.0, 2.0]
    with pytest.raises(TypeError, match="detach"):
        np.copyto(array, tl.ones(2, requires_grad=True))


def test_a_tensor_takes_in_an_array():
    x = tl.ones(2)
    before = x
    x += np.array([1.0, 2.0])
    assert x is before
    assert x.tolist() == [2.0, 3.0]
    assert x.dtype == tl.float32


# ---- memory


def test_memory_is_shared_both_ways():
    array = np.zeros(2)
    x = tl.from_numpy(array)
    array[0] = 1
    x[1] = 2
    assert x.tolist() == array.tolist() == [1.0, 2.0]
    np.asarray(x)[0] = 3
    x.numpy()[1] = 4
    assert x.tolist() == array.tolist() == [3.0, 4.0]


def test_copies_are_copies():
    x = tl.zeros(2)
    for copy in (np.array(x), x.__array__(copy=True), np.asarray(x, dtype=np.float64)):
        copy[0] = 1
    assert x.tolist() == [0.0, 0.0]
    assert np.shares_memory(np.array(x, copy=False), x.numpy())
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float64, copy=False)


def test_asarray_shares_memory():
    x = tl.zeros(2)
    assert np.shares_memory(np.asarray(x), x.numpy())


# ---- DLPack

DTYPES = "bool uint8 int8 int16 int32 int64 float16 float32 float64".split()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("importer", "exporter"), [(torch, tl), (np, tl), (tl, torch), (tl, np), (tl, tl)])
def test_dlpack_shares_memory(importer, exporter, dtype):
    values = [[0, 1, 1], [1, 0, 1]]
    source = np.array(values, dtype) if exporter is np else exporter.tensor(values, dtype=getattr(exporter, dtype))
    found = importer.from_dlpack(source)
    assert isinstance(found, np.ndarray if importer is np else importer.Tensor)
    assert str(found.dtype).removeprefix("torch.") == dtype
    assert found.tolist() == source.tolist()
    source[0, 1] = 0
    assert found.tolist() == source.tolist() == np.array([[0, 0, 1], [1, 0, 1]], dtype).tolist()


@pytest.mark.parametrize(
    "view", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[1], lambda x: x[0, 0], lambda x: x[:0]]
)
def test_dlpack_of_views(view):
    x = tl.arange(6).reshape(2, 3)
    assert torch.from_dlpack(view(x)).tolist() == np.from_dlpack(view(x)).tolist() == view(x).tolist()
    theirs = torch.arange(6).reshape(2, 3)
    assert tl.from_dlpack(view(theirs)).tolist() == view(theirs).tolist()


def test_dlpack_of_a_reversed_view_is_refused():
    with pytest.raises(BufferError, match="clone"):
        torch.from_dlpack(tl.arange(3)[::-1])
    assert torch.from_dlpack(tl.arange(3)[::-1].clone()).tolist() == [2, 1, 0]


@pytest.mark.parametrize("importer", [torch, np, tl])
def test_dlpack_of_what_needs_a_gradient_is_refused(importer):
    x = tl.ones(2, requires_grad=True)
    for tensor in (x, x * 2):
        with pytest.raises(BufferError, match="detach"):
            importer.from_dlpack(tensor)
    assert importer.from_dlpack(x.detach()).tolist() == [1.0, 1.0]


def test_dlpack_does_not_know_streams():
    with pytest.raises(BufferError, match="stream"):
        tl.ones(2).__dlpack__(stream=1)


def test_from_dlpack_needs_the_protocol():
    with pytest.raises(TypeError, match="__dlpack__"):
        tl.from_dlpack([1.0])
    with pytest.raises(TypeError, match="complex"):
        tl.from_dlpack(np.ones(2, np.complex128))


@pytest.mark.parametrize("export", [lambda x: torch.from_dlpack(x), np.from_dlpack])
def test_a_change_from_outside_is_noticed(export):
    """The rule of the product reads ``x``, which the other library has changed meanwhile."""
    w, x = tl.ones(2, requires_grad=True), tl.ones(2)
    outside = export(x)
    y = (w * x).sum()
    outside += 1
    with pytest.raises(RuntimeError, match="changed"):
        y.backward()
