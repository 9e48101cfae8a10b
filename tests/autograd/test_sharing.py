"""A gradient is right or it raises: saved memory that NumPy code changes is noticed, as what tensors change is."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.autograd import sharing

CHANGED = "was changed in place since"


def ones(*shape, **options):
    return tl.ones(*shape, dtype=tl.float64, **options)


def from_numpy(w):
    array = np.ones(3)
    return (w * tl.from_numpy(array)).sum(), array


def as_tensor(w):
    array = np.ones(3)
    return (w * tl.as_tensor(array)).sum(), array


def operand(w):
    array = np.ones(3)
    return (array * w).sum(), array


def matrix_operand(w):
    array = np.ones((2, 3))
    return (tl.matmul(array, w)).sum(), array


def stacked(w):
    array = np.ones(3)
    product = w * w
    return (np.stack([product, array]) ** 2).sum() + (product * tl.from_numpy(array)).sum(), array


def numpy_before(w):
    x = ones(3)
    array = x.numpy()
    return (w * x).sum(), array


def numpy_after(w):
    x = ones(3)
    loss = (w * x).sum()
    return loss, x.numpy()


def asarray_after(w):
    x = ones(3)
    loss = (w * x).sum()
    return loss, np.asarray(x)


def of_the_leaf(w):
    loss = (w * w).sum()
    return loss, w.detach().numpy()


def of_the_output(w):
    out = w.exp()
    loss = out.sum()
    return loss, out.detach().numpy()


def of_a_view(w):
    x = ones(4)
    loss = (w * x[1:]).sum()
    return loss, x.numpy()[1:]


def of_what_it_is_a_view_of(w):
    x = ones(4)
    loss = (w * x[1:]).sum()
    return loss, x[1:].numpy()


def of_both(w):
    x = ones(4)
    x[1:].numpy()
    whole = x.numpy()
    return (w * x[:3]).sum(), whole


def a_slice_of_the_array(w):
    array = np.ones((2, 3))
    return (w * tl.from_numpy(array)).sum(), array[1, ::2]


def a_strided_array(w):
    array = np.ones(6)
    return (w * tl.from_numpy(array[::2])).sum(), array


def of_what_numpy_made_a_view_of(w):
    x = ones(2, 3)
    view = np.rollaxis(x, 1)
    return (w * x).sum(), view


def seen_through_a_diagonal(w):
    x = ones(3, 3)
    view = np.einsum("ii->i", x)
    return (w * x).sum(), view


def of_a_part_after_it_was_changed(w):
    array = np.ones(3)
    x = tl.from_numpy(array)
    loss = (w * x).sum()
    x[:2].numpy()
    return loss, array


SHARED = [
    from_numpy,
    as_tensor,
    operand,
    matrix_operand,
    stacked,
    numpy_before,
    numpy_after,
    asarray_after,
    of_the_leaf,
    of_the_output,
    of_a_view,
    of_what_it_is_a_view_of,
    of_both,
    a_slice_of_the_array,
    a_strided_array,
    of_what_numpy_made_a_view_of,
    seen_through_a_diagonal,
    of_a_part_after_it_was_changed,
]


@pytest.mark.parametrize("share", SHARED)
def test_a_change_behind_our_back_raises(share):
    loss, array = share(ones(3, requires_grad=True))
    array[(0,) * array.ndim] = 5.0
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()


@pytest.mark.parametrize("share", SHARED)
def test_the_same_without_a_change_gives_a_gradient(share):
    w = ones(3, requires_grad=True)
    loss, array = share(w)
    array[...] = array.copy()  # written, but with what was there
    loss.backward()
    assert w.grad.isfinite().all()


def test_a_look_does_not_hide_a_change_that_was_made_before_it():
    array, w = np.ones(4), ones(4, requires_grad=True)
    x = tl.from_numpy(array)
    loss = (w * x).sum()
    array[0] = 9.0
    x[:2].numpy()
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()


def test_only_what_is_saved_is_looked_at():
    array, w = np.ones((100, 3)), ones(3, requires_grad=True)
    rows = tl.from_numpy(array)
    loss = (w * rows[:10]).sum()
    array[10:] = 7.0
    loss.backward()
    assert w.grad.tolist() == [10.0] * 3


def test_memory_that_cannot_be_written_to_is_shared_for_nothing(monkeypatch):
    array, w = np.ones(3), ones(3, requires_grad=True)
    array.flags.writeable = False
    monkeypatch.setattr(sharing, "_checksum", lambda _: pytest.fail("looked at"))
    (w * tl.from_numpy(array)).sum().backward()
    assert w.grad.tolist() == [1.0] * 3


def test_tensors_made_around_a_tensor_share_its_version():
    x = tl.ones(3)
    for twin in (tl.Tensor(x), copy.copy(x), nn.Parameter(x)):
        loss = (twin.requires_grad_() * twin).sum()
        x.mul_(5)
        with pytest.raises(RuntimeError, match=CHANGED):
            loss.backward()


def test_a_copy_of_a_computed_tensor_is_a_view_of_it():
    x = ones(3, requires_grad=True)
    y = x * 2
    twin = copy.copy(y)
    y.mul_(10)
    with pytest.raises(RuntimeError, match="take the view anew"):
        twin.sum().backward()


def test_data_of_another_shape_or_kind_is_refused():
    x = ones(3, requires_grad=True)
    loss = (x * 2).sum()
    x.data = tl.ones(2, dtype=tl.float64)
    with pytest.raises(RuntimeError, match=r"\(3,\) does not fit the leaf.*\(2,\)"):
        loss.backward()
    with pytest.raises(RuntimeError, match="floating point"):
        x.data = tl.ones(3, dtype=tl.int64)


def test_a_permutation_is_a_change():
    array = np.array([1.0, 2.0, 3.0])
    loss = (ones(3, requires_grad=True) * array).sum()
    array.sort()
    array[::] = array[::-1].copy()
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()


def test_a_change_before_the_operation_is_no_mistake():
    array, w = np.ones(3), ones(3, requires_grad=True)
    x = tl.from_numpy(array)
    for value in (2.0, 3.0):
        array[:] = value
        (w * x).sum().backward()
        assert w.grad.tolist() == [value] * 3
        w.grad = None


def test_a_change_after_backward_is_no_mistake():
    array, w = np.ones(3), ones(3, requires_grad=True)
    loss = (w * tl.from_numpy(array)).sum()
    loss.backward()
    array[:] = 7.0
    assert w.grad.tolist() == [1.0] * 3


def test_a_change_of_memory_that_no_rule_needs_is_no_mistake():
    array, w = np.ones(3), ones(3, requires_grad=True)
    loss = (w + tl.from_numpy(array)).sum()
    array[:] = 7.0
    loss.backward()
    assert w.grad.tolist() == [1.0] * 3


def test_our_own_changes_of_shared_memory_count_as_before():
    array, w = np.ones(3), ones(3, requires_grad=True)
    x = tl.from_numpy(array)
    loss = (w * x).sum()
    x += 1
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()
    (w * x).sum().backward()
    assert w.grad.tolist() == [2.0] * 3


def test_a_copy_is_its_own_memory():
    array, w = np.ones(3), ones(3, requires_grad=True)
    loss = (w * tl.tensor(array)).sum() + (w * np.array(tl.ones(3))).sum()
    array[:] = 7.0
    loss.backward()
    assert w.grad.tolist() == [2.0] * 3


def test_with_create_graph_and_retain_graph_it_is_looked_at_each_time():
    array, w = np.ones(3), ones(3, requires_grad=True)
    loss = ((w * array) ** 2).sum()
    (first,) = tl.autograd.grad(loss, w, create_graph=True)
    loss.backward(retain_graph=True)
    array[1] = 2.0
    with pytest.raises(RuntimeError, match=CHANGED):
        first.sum().backward()
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.int8, np.bool_])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0)])
def test_every_dtype_and_shape_is_looked_at(dtype, shape):
    array = np.ones(shape, dtype)
    w = ones(shape, requires_grad=True)
    loss = (w * tl.from_numpy(array)).sum()
    array[...] = 0
    if array.size and array.dtype == np.float64:  # another dtype was converted, which is a copy
        with pytest.raises(RuntimeError, match=CHANGED):
            loss.backward()
    else:
        loss.backward()
        assert w.grad.shape == shape


def test_columns_first():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    loss = (ones(2, 3, requires_grad=True) * tl.from_numpy(array)).sum()
    array[0, 1] = 9.0
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()


def test_the_message_names_the_line_where_it_was_asked_for():
    array, w = np.ones(3), ones(3, requires_grad=True)
    with tl.autograd.detect_anomaly(check_nan=False):
        loss = (w * tl.from_numpy(array)).sum()  # this line
    array[0] = 5.0
    with pytest.raises(RuntimeError, match=r"mul saved.*test_sharing\.py:\d+: loss = .* # this line"):
        loss.backward()


def test_memory_comes_back_by_reference_counting():
    array = np.ones(3)
    alive = weakref.ref(array)
    gc.disable()
    try:
        w = ones(3, requires_grad=True)
        loss = (w * tl.from_numpy(array)).sum()
        del array
        loss.backward()
        assert alive() is None
    finally:
        gc.enable()


def test_pytorch_gives_a_wrong_gradient_where_we_raise():
    torch = pytest.importorskip("torch")
    array = np.ones(3)
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    loss = (w * torch.from_numpy(array)).sum()
    array[0] = 5.0
    loss.backward()
    assert w.grad.tolist() == [5.0, 1.0, 1.0]  # of a loss that was computed with [1, 1, 1]


def test_random_numbers_in_place_are_changes():
    x, w = tl.zeros(1000, dtype=tl.float64), ones(1000, requires_grad=True)
    loss = (w * x).sum()
    drawn = x.bernoulli_(0.25)
    assert drawn is x
    assert set(x.tolist()) == {0.0, 1.0}
    assert 0.15 < x.mean().item() < 0.35  # more than seven standard deviations on either side
    with pytest.raises(RuntimeError, match=CHANGED):
        loss.backward()
