"""Sequential, ModuleList, ModuleDict and ParameterList."""

from collections import OrderedDict

import pytest

import tinygrad_lite as tl
from tinygrad_lite import nn


class Add(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x + self.number


def numbers(container):
    return [module.number for module in container]


def names(container):
    return [name for name, _ in container.named_children()]


# ---- Sequential


def test_sequential_runs_its_modules_in_order():
    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    assert nn.Sequential(Add(1), Double())(tl.tensor([3.0])).tolist() == [8.0]
    assert nn.Sequential(Double(), Add(1))(tl.tensor([3.0])).tolist() == [7.0]
    x = tl.ones(2)
    assert nn.Sequential()(x) is x


def test_sequential_runs_a_shared_module_every_time():
    add = Add(1)
    assert nn.Sequential(add, add, add)(tl.tensor([0.0])).tolist() == [3.0]


def test_sequential_takes_names():
    net = nn.Sequential(OrderedDict(first=Add(1), second=Add(2)))
    assert names(net) == ["first", "second"]
    assert net.second.number == 2
    assert net[1].number == 2


@pytest.mark.parametrize("container", [nn.Sequential(Add(0), Add(1), Add(2)), nn.ModuleList([Add(0), Add(1), Add(2)])])
def test_rows_are_read_as_lists(container):
    assert len(container) == 3
    assert numbers(container) == [0, 1, 2]
    assert container[0].number == 0
    assert container[-1].number == 2
    assert container[tl.tensor(1)].number == 1
    assert type(container[1:]) is type(container)
    assert numbers(container[1:]) == [1, 2]
    assert container[1:][0] is container[1]
    assert numbers(container[::-1]) == [2, 1, 0]
    assert numbers(container) == [0, 1, 2]
    for index in (3, -4):
        with pytest.raises(IndexError, match="out of range"):
            container[index]
    with pytest.raises(TypeError):
        container["0"]


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_rows_are_changed_as_lists(kind):
    row = kind()
    assert row.append(Add(0)) is row
    assert numbers(row.extend([Add(1), Add(2)])) == [0, 1, 2]
    row[1] = Add(5)
    assert numbers(row) == [0, 5, 2]
    assert names(row) == ["0", "1", "2"]
    row.insert(1, Add(7))
    assert numbers(row) == [0, 7, 5, 2]
    assert names(row) == ["0", "1", "2", "3"]
    del row[0]
    assert numbers(row) == [7, 5, 2]
    assert names(row) == ["0", "1", "2"]
    del row[1:]
    assert numbers(row) == [7]
    assert names(row) == ["0"]


@pytest.mark.parametrize("wrong", [3, [nn.ReLU()], nn.ReLU, tl.ones(1)])
def test_rows_hold_modules_only(wrong):
    with pytest.raises(TypeError, match="Sequential holds Modules"):
        nn.Sequential(wrong)
    row = nn.ModuleList([nn.ReLU()])
    for change in (row.append, lambda m: row.insert(0, m), lambda m: row.__setitem__(0, m)):
        with pytest.raises(TypeError, match="ModuleList holds Modules"):
            change(wrong)
    assert len(row) == 1


def test_a_list_has_no_forward():
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        nn.ModuleList([nn.ReLU()])(tl.ones(1))


def test_slices_keep_the_mode():
    net = nn.Sequential(nn.Dropout(), nn.ReLU()).eval()
    assert not net[:1].training


# ---- ParameterList


def test_parameters_in_a_list_are_found_and_trained():
    row = nn.ParameterList([tl.ones(2), nn.Parameter(tl.zeros(1))])
    row.append(tl.ones(3))
    assert [name for name, _ in row.named_parameters()] == ["0", "1", "2"]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in row)
    assert row[2].shape == (3,)
    assert len(row[1:]) == 2
    row[0] = tl.zeros(4)
    assert isinstance(row[0], nn.Parameter)
    assert row[0].shape == (4,)
    with pytest.raises(TypeError, match="Parameters"):
        row.append([1.0])


def test_parameter_list_prints_its_shapes():
    assert repr(nn.ParameterList([tl.ones(2, 3)])) == "ParameterList((0): Parameter float32 of shape (2, 3))"


# ---- ModuleDict


def test_module_dict_is_a_dictionary():
    modules = nn.ModuleDict({"a": Add(1)})
    modules["b"] = Add(2)
    modules.update({"c": Add(3)})
    assert len(modules) == 3
    assert list(modules) == list(modules.keys()) == ["a", "b", "c"]
    assert [module.number for module in modules.values()] == [1, 2, 3]
    assert next((key, module.number) for key, module in modules.items()) == ("a", 1)
    assert "a" in modules
    assert "d" not in modules
    assert modules["b"].number == 2
    assert modules.pop("b").number == 2
    assert "b" not in modules
    del modules["a"]
    assert names(modules) == ["c"]
    with pytest.raises(KeyError):
        modules["a"]


def test_module_dict_refuses_names_of_methods_and_other_things():
    for key in ("keys", "forward", "training", "a.b", ""):
        with pytest.raises(KeyError):
            nn.ModuleDict({key: nn.ReLU()})
    with pytest.raises(TypeError, match="not a Module"):
        nn.ModuleDict({"a": 3})
