"""Batches from samples, as PyTorch makes them."""

from collections import namedtuple
from decimal import Decimal

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.utils.data import default_collate

Point = namedtuple("Point", "x y")

SAMPLES = {
    "int": [3, 4],
    "float": [0.1, 0.2],
    "bool": [True, False],
    "array": [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
    "float64 array": [np.ones(2), np.zeros(2)],
    "0-d array": [np.array(1, np.int16), np.array(2, np.int16)],
    "float32 scalar": [np.float32(1.5), np.float32(2.5)],
    "float64 scalar": [np.float64(1.5), np.float64(2.5)],
    "uint8 scalar": [np.uint8(1), np.uint8(255)],
    "text": ["a", "b"],
    "bytes": [b"a", b"b"],
    "tuple": [(1, 2.5), (3, 4.5)],
    "list": [[1, 2], [3, 4]],
    "named tuple": [Point(1, "a"), Point(2, "b")],
    "dict": [{"x": 1.5, "name": "a"}, {"name": "b", "x": 2.5}],
    "nested": [{"x": ([1, 2], {"y": np.ones(1)})}, {"x": ([3, 4], {"y": np.zeros(1)})}],
    "one sample": [(1, "a")],
}


def described(batch):
    """A batch of either library as plain Python, with the dtypes."""
    if isinstance(batch, dict):
        return {key: described(field) for key, field in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch).__name__, [described(field) for field in batch]
    if isinstance(batch, (str, bytes)):
        return batch
    return type(batch).__name__, str(batch.dtype).removeprefix("torch."), batch.tolist()


@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)
def test_the_batch_is_that_of_pytorch(samples):
    data = pytest.importorskip("torch").utils.data
    assert described(default_collate(samples)) == described(data.default_collate(samples))


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64, tl.int64, tl.uint8, tl.bool])
def test_tensors_are_stacked(dtype):
    samples = [tl.tensor([[0, 1]], dtype=dtype), tl.tensor([[1, 1]], dtype=dtype)]
    batch = default_collate(samples)
    assert (batch.shape, batch.dtype) == ((2, 1, 2), dtype)
    assert batch.tolist() == [samples[0].tolist(), samples[1].tolist()]
    batch.numpy()[...] = 1
    assert samples[0].tolist() == tl.tensor([[0, 1]], dtype=dtype).tolist()


def test_gradients_flow_through_stacked_tensors():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    default_collate([x, 3 * x]).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_foreign_byte_order_becomes_native():
    batch = default_collate([np.array([1, 2], ">i4"), np.array([3, 4], ">i4")])
    assert batch.dtype == tl.int32
    assert batch.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("kind", [np.zeros, tl.zeros])
def test_shapes_that_differ(kind):
    with pytest.raises(RuntimeError, match=r"sample 0 of the batch has shape \(2, 3\), sample 2 has \(2, 4\)"):
        default_collate([kind((2, 3)), kind((2, 3)), kind((2, 4))])


def test_tuples_of_unequal_length():
    with pytest.raises(RuntimeError, match="sample 0 of the batch has 2 fields, sample 1 has 3"):
        default_collate([(1, 2), (1, 2, 3)])


def test_a_key_that_is_missing():
    with pytest.raises(KeyError, match="'y'"):
        default_collate([{"x": 1, "y": 2}, {"x": 1}])


@pytest.mark.parametrize("sample", [None, object(), Decimal(1), {1, 2}, 1j])
def test_what_cannot_be_put_together(sample):
    with pytest.raises(TypeError, match=f"type {type(sample).__name__} cannot be put into a batch.*collate_fn"):
        default_collate([sample, sample])


def test_arrays_of_objects():
    with pytest.raises(TypeError, match="object"):
        default_collate([np.array([None]), np.array([None])])
