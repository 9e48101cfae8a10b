"""detect_anomaly names the operation, the module and the line of the first NaN or infinity."""

import threading

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn
from tinygrad_lite.autograd.anomaly import is_anomaly_enabled, new_non_finite

detect = tl.autograd.detect_anomaly


class Logarithm(nn.Module):
    def forward(self, x):
        return x.log()  # the line


def net():
    return nn.Sequential(nn.ReLU(), nn.Sequential(Logarithm()))


def test_forward_names_operation_module_and_line():
    with detect(), pytest.raises(RuntimeError) as caught:
        net()(tl.tensor([1.0, -1.0], requires_grad=True))
    message = str(caught.value)
    assert message.startswith(
        "log (Sequential.1.0): the result has inf at (1,), which its inputs do not explain; called in "
    )
    assert message.endswith("return x.log()  # the line")
    assert "test_anomaly.py:" in message


def test_it_needs_no_gradient():
    with detect(), tl.no_grad(), pytest.raises(RuntimeError, match="log: the result has nan"):
        tl.tensor(-1.0).log()


def test_backward_names_operation_module_and_line():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()  # the root

    x = tl.zeros(2, requires_grad=True)
    with detect():
        loss = nn.Sequential(Root())(x).sum()
        with pytest.raises(RuntimeError) as caught:
            loss.backward()
    message = str(caught.value)
    assert message.startswith("backward of sqrt (Sequential.0): the gradient of 'input' has inf at (0,)")
    assert message.endswith("return x.sqrt()  # the root")
    assert x.grad is None


def test_backward_may_be_outside_of_the_block_that_recorded():
    x = tl.zeros(2, requires_grad=True)
    with detect(check_nan=False):
        loss = x.sqrt().sum()
    with detect(), pytest.raises(RuntimeError, match=r"backward of sqrt: .*loss = x"):
        loss.backward()


def test_without_it_nothing_raises():
    x = tl.zeros(2, requires_grad=True)
    x.sqrt().sum().backward()
    assert x.grad.tolist() == [np.inf, np.inf]
    assert tl.tensor(-1.0).log().isnan()


def test_check_nan_false_raises_nothing():
    x = tl.zeros(2, requires_grad=True)
    with detect(check_nan=False):
        x.sqrt().log().sum().backward()
    assert not x.grad.isfinite().any()


def test_infinities_that_were_given_are_no_anomaly():
    mask = tl.tensor([True, False, False])
    scores = tl.randn(2, 3, requires_grad=True)
    with detect():
        weights = scores.masked_fill(mask, -float("inf")).softmax(dim=1)
        (weights * weights).sum().backward()
    assert weights[:, 0].tolist() == [0.0, 0.0]
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize(
    ("result", "inputs", "found"),
    [
        ([1.0, np.nan], [[1.0, 2.0]], "nan at (1,)"),
        ([[1.0], [np.inf]], [[1.0]], "inf at (1, 0)"),
        ([np.inf], [[np.inf]], ""),
        ([np.nan], [[np.inf]], "nan at (0,)"),
        ([np.nan, np.inf], [[np.nan]], ""),
        ([np.nan], [[np.nan]], ""),
        ([1.0], [[np.nan]], ""),
        ([], [[1.0]], ""),
    ],
)
def test_an_operation_is_to_blame_for_what_its_inputs_do_not_explain(result, inputs, found):
    assert new_non_finite(np.array(result), [np.array(array) for array in inputs]) == found


def test_integers_are_finite():
    assert new_non_finite(np.array([1, 2]), [0.5, "text", None]) == ""


def test_results_and_gradients_are_the_same_inside():
    x, model = tl.randn(8, 4), nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    gradients = []
    for search in (False, True):
        model.zero_grad()
        with tl.autograd.set_detect_anomaly(search):
            (model(x) ** 2).mean().backward()
        gradients.append([parameter.grad.tolist() for parameter in model.parameters()])
    assert gradients[0] == gradients[1]


def test_second_derivatives_are_searched_too():
    x = tl.zeros(1, requires_grad=True)
    with detect():
        (first,) = tl.autograd.grad((x**1.5).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="backward of"):
            first.sum().backward()


def test_the_state_is_restored():
    assert not is_anomaly_enabled()
    with pytest.raises(ZeroDivisionError), detect():
        assert is_anomaly_enabled()
        with tl.autograd.set_detect_anomaly(False):
            assert not is_anomaly_enabled()
            tl.tensor(-1.0).log()
        assert is_anomaly_enabled()
        with detect():
            pass
        with pytest.raises(RuntimeError, match="log"):
            tl.tensor(-1.0).log()
        raise ZeroDivisionError
    assert not is_anomaly_enabled()
    tl.tensor(-1.0).log()


def test_one_object_serves_twice():
    search = detect()
    assert not is_anomaly_enabled()
    for _ in range(2):
        with search, pytest.raises(RuntimeError, match="log"), search:
            tl.tensor(-1.0).log()
        assert not is_anomaly_enabled()


def test_as_a_switch():
    switch = tl.autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="log"):
            tl.tensor(-1.0).log()
    finally:
        tl.autograd.set_detect_anomaly(False)
    tl.tensor(-1.0).log()
    assert not is_anomaly_enabled()
    del switch


def test_another_thread_does_not_notice():
    seen = []
    with detect():
        thread = threading.Thread(target=lambda: seen.append(tl.tensor(-1.0).log().item()))
        thread.start()
        thread.join()
    assert np.isnan(seen).all()
    assert len(seen) == 1


def test_grad_modes_nest():
    x = tl.ones(2, requires_grad=True)
    with detect():
        y = x * 2
        with tl.no_grad():
            assert not tl.is_grad_enabled()
            assert not (x * 2).requires_grad
        assert (x * 3).requires_grad
        y.sum().backward()
    assert tl.is_grad_enabled() is True
    assert x.grad.tolist() == [2.0, 2.0]


def test_an_error_in_a_module_names_its_path_once():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(5, 2)

        def forward(self, x):
            return self.second(self.first(x))

    with pytest.raises(RuntimeError, match=r"^linear \(Sequential\.0\.second\): input \(2, 3\) does not match"):
        nn.Sequential(Block())(tl.ones(2, 4))
