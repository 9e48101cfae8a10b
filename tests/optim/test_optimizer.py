"""What all optimizers share: groups, closures, saving and loading, printing, wrong input."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn, optim

OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: optim.Adam(params, lr=0.1, amsgrad=True),
    "AdamW": lambda params: optim.AdamW(params, lr=0.1),
}
every_optimizer = pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS)


def parameter(*values):
    return nn.Parameter(tl.tensor(values))


def descend(optimizer, w, steps=1):
    """Steps down the bowl ``sum(w**2)``."""
    for _ in range(steps):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()


# ---- training


@every_optimizer
def test_optimizers_find_the_minimum(build):
    w = parameter(3.0, -2.0)
    descend(build([w]), w, steps=300)
    np.testing.assert_allclose(w.detach().numpy(), 0, atol=1e-3)


def test_groups_have_their_own_settings():
    a, b = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    (a + b).sum().backward()
    optimizer.step()
    assert a.item() == pytest.approx(0.9)
    assert b.item() == pytest.approx(0.5)
    optimizer.param_groups[0]["lr"] = 0.2
    optimizer.step()
    assert a.item() == pytest.approx(0.7)
    assert b.item() == pytest.approx(0.0)


def test_a_group_can_be_added_and_is_not_shared_with_the_caller():
    a, b = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([a], lr=0.1)
    group = {"params": [b], "momentum": 0.5}
    optimizer.add_param_group(group)
    assert group == {"params": [b], "momentum": 0.5}
    assert optimizer.param_groups[1]["lr"] == 0.1
    assert optimizer.param_groups[1]["momentum"] == 0.5
    (a + b).sum().backward()
    optimizer.step()
    assert b.item() == pytest.approx(0.9)


def test_named_parameters_keep_their_names():
    net = nn.Linear(2, 1)
    optimizer = optim.Adam(net.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"][0] is net.weight
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_the_closure_is_called_with_gradients_enabled():
    w = parameter(1.0)
    optimizer = optim.SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tl.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 1.0
    assert w.item() == pytest.approx(0.8)
    assert optimizer.step() is None


def test_zero_grad_drops_or_zeroes():
    w = parameter(1.0, 2.0)
    optimizer = optim.SGD([w])
    (w * w).sum().backward()
    gradient = w.grad.numpy()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.numpy() is gradient
    assert w.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert w.grad is None


def test_a_subclass_may_define_step_or_the_update():
    class Sign(optim.Optimizer):
        def _update(self, parameter, gradient, state, group):
            np.subtract(parameter, np.sign(gradient), out=parameter)

    class Own(optim.Optimizer):
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.sub_(group["lr"] * p.grad)

    w = parameter(5.0)
    w.grad = tl.tensor([0.3])
    Sign([w], {}).step()
    assert w.item() == 4.0
    Own([w], {"lr": 10.0}).step()
    assert w.item() == pytest.approx(1.0)
    with pytest.raises(NotImplementedError, match="Optimizer"):
        optim.Optimizer([w], {}).step()


@every_optimizer
def test_parameters_may_change_their_dtype_before_the_first_step(build):
    net = nn.Linear(2, 1)
    optimizer = build(net.parameters())
    net.double()
    net(tl.ones(3, 2, dtype=tl.float64)).sum().backward()
    optimizer.step()
    assert net.weight.dtype == tl.float64


# ---- saving and loading


@every_optimizer
def test_a_loaded_optimizer_goes_on_as_the_saved_one(build):
    a = parameter(3.0, -2.0)
    first = build([a])
    descend(first, a, steps=3)
    b = nn.Parameter(a.detach().clone())
    second = build([b])
    saved = first.state_dict()
    second.load_state_dict(saved)
    assert second.state_dict().keys() == {"state", "param_groups"}
    assert second.state_dict()["param_groups"] == saved["param_groups"]
    descend(first, a, steps=3)
    descend(second, b, steps=3)
    assert a.tolist() == b.tolist()


def test_loading_copies_and_takes_the_hyperparameters_and_dtype():
    a, b = parameter(1.0), nn.Parameter(tl.tensor([1.0], dtype=tl.float64))
    first, second = optim.Adam([a], lr=0.3, betas=(0.5, 0.6)), optim.Adam([b])
    descend(first, a)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == 0.3
    assert second.param_groups[0]["betas"] == (0.5, 0.6)
    assert second.param_groups[0]["params"] == [b]
    assert second.state[b]["step"].item() == 1
    assert second.state[b]["exp_avg"].dtype == tl.float64
    kept = second.state[b]["exp_avg"].item()
    descend(first, a)
    assert second.state[b]["exp_avg"].item() == kept


def test_loading_something_that_does_not_fit_changes_nothing():
    w = parameter(1.0)
    optimizer = optim.SGD([w], momentum=0.9)
    descend(optimizer, w)
    before = optimizer.state[w]["momentum_buffer"]
    for groups in ([], [{"params": [0, 1]}], [{"params": [0]}, {"params": [1]}]):
        with pytest.raises(ValueError, match="saved parameter groups"):
            optimizer.load_state_dict({"state": {}, "param_groups": groups})
    assert optimizer.state[w]["momentum_buffer"] is before


@every_optimizer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_train_on_independently(build, duplicate):
    w = parameter(3.0, -2.0)
    optimizer = build([w])
    descend(optimizer, w, steps=2)
    v, other = duplicate((w, optimizer))
    descend(other, v, steps=2)
    assert w.tolist() != v.tolist()
    descend(optimizer, w, steps=2)
    assert w.tolist() == v.tolist()


def test_an_optimizer_prints_its_groups():
    text = repr(optim.SGD([{"params": [parameter(1.0)]}, {"params": [parameter(1.0)], "lr": 0.5}], lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.1\n")
    assert "Parameter Group 1\n    dampening: 0\n    lr: 0.5\n" in text
    assert text.endswith("weight_decay: 0\n)")


# ---- wrong input


@every_optimizer
def test_wrong_parameters_are_refused(build):
    w, v = parameter(1.0), parameter(1.0)
    for params, error, message in [
        ([], ValueError, "empty parameter list"),
        (iter([]), ValueError, "empty parameter list"),
        (w, TypeError, r"write \[tensor\]"),
        ([w * 2], ValueError, "not a leaf"),
        ([w, v, w], ValueError, "more than once"),
        ([{"params": [w]}, {"params": [v, w]}], ValueError, "more than once"),
        ([3], TypeError, "trains Tensors, not int"),
        ([[w]], TypeError, "trains Tensors, not list"),
        ([{"params": {w, v}}], TypeError, "use a list"),
        ([{"params": [w]}, [v]], TypeError, "a parameter group is a dict"),
        ([("w", w), v], ValueError, "names or none"),
        ([{"params": [("w", w)]}, {"params": [v]}], ValueError, "names or none"),
    ]:
        with pytest.raises(error, match=message):
            build(params)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (optim.SGD, {"lr": -1.0}, "lr"),
        (optim.SGD, {"lr": math.nan}, "lr"),
        (optim.SGD, {"momentum": -1.0}, "momentum"),
        (optim.SGD, {"weight_decay": -1.0}, "weight_decay"),
        (optim.SGD, {"nesterov": True}, "Nesterov"),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov"),
        (optim.Adam, {"lr": -1.0}, "lr"),
        (optim.Adam, {"eps": -1.0}, "eps"),
        (optim.Adam, {"weight_decay": -1.0}, "weight_decay"),
        (optim.Adam, {"betas": (1.0, 0.9)}, r"betas\[0\]"),
        (optim.Adam, {"betas": (0.9, -0.1)}, r"betas\[1\]"),
        (optim.AdamW, {"betas": (0.9, 1.5)}, r"betas\[1\]"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind([parameter(1.0)], **options)
    with pytest.raises(ValueError, match=message):
        kind([{"params": [parameter(1.0)], **options}])


def test_a_refused_group_is_not_added():
    w = parameter(1.0)
    optimizer = optim.SGD([w])
    with pytest.raises(ValueError, match="lr"):
        optimizer.add_param_group({"params": [parameter(2.0)], "lr": -1})
    with pytest.raises(ValueError, match="more than once"):
        optimizer.add_param_group({"params": w})
    assert len(optimizer.param_groups) == 1
