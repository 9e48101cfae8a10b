"""What a step reads besides its arguments is found wherever it lies, and what changes there takes effect at once."""

import argparse
import collections
import dataclasses
import enum
import functools
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lite as tl
from tests.compiler.twins import counted
from tinygrad_lite import nn
from tinygrad_lite.compiler.surroundings import Surroundings

FACTOR = 2.0
TENSOR = tl.tensor([2.0])
LONG = [2.0] * 1500


class Settings:
    factor = 2.0
    tensor = tl.tensor([2.0])

    @classmethod
    def read(cls):
        return cls.factor

    @property
    def doubled(self):
        return helper(self.factor)


def helper(value):
    return value * FACTOR


class Slotted:
    __slots__ = ("__private", "factor")

    def __init__(self, factor):
        self.factor = self.__private = factor

    def set(self, factor):
        self.factor = self.__private = factor

    def get(self):
        return self.__private


@dataclasses.dataclass(slots=True)
class Data:
    factor: float


class Kind(enum.Enum):
    DOUBLE, TRIPLE = 2, 3


def with_global():
    def change(value):
        global FACTOR
        FACTOR = value

    return (lambda x: x * FACTOR), change


def with_function_that_reads_a_global():
    _, change = with_global()
    return (lambda x: x * helper(1.0)), change


def with_closure():
    factor = 2.0

    def change(value):
        nonlocal factor
        factor = value

    return (lambda x: x * factor), change


def with_object_of(make, key="factor"):
    def with_object():
        thing = make()
        return (lambda x: x * getattr(thing, key)), lambda value: setattr(thing, key, value)

    return with_object


def with_items_of(make, key):
    def with_items():
        things = make()
        return (lambda x: x * things[key]), lambda value: things.__setitem__(key, value)

    return with_items


def with_class():
    return (lambda x: x * Settings.factor), lambda value: setattr(Settings, "factor", value)


def with_class_method():
    return (lambda x: x * Settings.read()), lambda value: setattr(Settings, "factor", value)


def with_attribute_of_the_class():
    settings = Settings()
    return (lambda x: x * settings.factor), lambda value: setattr(Settings, "factor", value)


def with_attribute_that_hides_one_of_the_class():
    settings = Settings()
    return (lambda x: x * settings.factor), lambda value: setattr(settings, "factor", value)


def with_a_method_that_is_replaced():
    class Multiplier:
        def run(self, x):
            return x * 2.0

    multiplier = Multiplier()
    return (lambda x: multiplier.run(x)), lambda value: setattr(Multiplier, "run", lambda self, x: x * value)


def with_a_forward_that_is_replaced():
    net = nn.Identity() if hasattr(nn, "Identity") else nn.Sequential()
    net.forward = lambda x: x * 2.0
    return (lambda x: net(x)), lambda value: setattr(net, "forward", lambda x: x * value)


def with_a_private_slot():
    slotted = Slotted(2.0)
    return (lambda x: x * slotted.get()), slotted.set


def with_partial():
    settings = {"factor": 2.0}
    multiply = functools.partial(lambda x, settings: x * settings["factor"], settings=settings)
    return (lambda x: multiply(x)), lambda value: settings.update(factor=value)


def with_cached_function():
    settings = SimpleNamespace(factor=tl.tensor([2.0]))

    @functools.lru_cache
    def tensor():
        return settings.factor

    def change(value):
        settings.factor = tl.tensor([value])
        tensor.cache_clear()

    return (lambda x: x * tensor()), change


def with_decorated_function():
    settings = [2.0]

    @tl.no_grad
    def multiply(x):
        return x * settings[0]

    return (lambda x: multiply(x)), lambda value: settings.__setitem__(0, value)


def with_default():
    def multiply(x, settings=[2.0]):
        return x * settings[0]

    return multiply, lambda value: multiply.__defaults__[0].__setitem__(0, value)


def with_keyword_default():
    def multiply(x, *, settings=[2.0]):
        return x * settings[0]

    return multiply, lambda value: multiply.__kwdefaults__["settings"].__setitem__(0, value)


def with_module_of_settings():
    module = types.ModuleType("settings_of_the_user")
    module.factor = 2.0
    sys.modules["settings_of_the_user"] = module
    namespace = {"settings": module}
    exec("def multiply(x): return x * settings.factor", namespace | {"__name__": "user"}, namespace)
    namespace["multiply"].__globals__["settings"] = module
    return namespace["multiply"], lambda value: setattr(module, "factor", value)


def with_set():
    names = {"double"}

    def change(value):
        names.clear()
        names.add(str(value))

    return (lambda x: x * 2.0 if "double" in names else x * float(*names)), change


def with_long_list():
    numbers = [2.0] * 1500
    return (lambda x: x * numbers[1200]), lambda value: numbers.__setitem__(1200, value)


def with_tuple_keys():
    table = {(0, 1): 2.0}
    return (lambda x: x * table[0, 1]), lambda value: table.update({(0, 1): value})


def with_enum():
    state = SimpleNamespace(kind=Kind.DOUBLE)
    return (lambda x: x * float(state.kind.value)), lambda value: setattr(
        state, "kind", Kind.TRIPLE if value == 3 else Kind.DOUBLE
    )


def with_element_of_numpy_array():
    table = np.array([2.0, 2.0])
    return (lambda x: x * float(table[0])), lambda value: table.__setitem__(0, value)


def with_numpy_array_as_an_operand():
    table = np.array([2.0], np.float32)
    return (lambda x: x * tl.from_numpy(table)), lambda value: table.__setitem__(0, value)


def with_tensor():
    settings = SimpleNamespace(tensor=tl.tensor([2.0]))
    return (lambda x: x * settings.tensor), lambda value: setattr(settings, "tensor", tl.tensor([value]))


def with_tensor_changed_in_place():
    tensor = tl.tensor([2.0])
    return (lambda x: x * tensor), lambda value: tensor.fill_(value)


def with_tensor_of_a_class():
    return (lambda x: x * Settings.tensor), lambda value: setattr(Settings, "tensor", tl.tensor([value]))


def with_property():
    settings = Settings()
    return (lambda x: x * settings.doubled / FACTOR), lambda value: setattr(settings, "factor", value)


READERS = {
    **{k: v for k, v in globals().items() if k.startswith("with_") and k not in ("with_object_of", "with_items_of")},
    "SimpleNamespace": with_object_of(lambda: SimpleNamespace(factor=2.0)),
    "argparse.Namespace": with_object_of(lambda: argparse.Namespace(factor=2.0)),
    "slots": with_object_of(lambda: Slotted(2.0)),
    "dataclass with slots": with_object_of(lambda: Data(2.0)),
    "list": with_items_of(lambda: [1.0, 2.0], 1),
    "dict": with_items_of(lambda: {"factor": 2.0}, "factor"),
    "defaultdict": with_items_of(lambda: collections.defaultdict(float, factor=2.0), "factor"),
    "deque": with_items_of(lambda: collections.deque([2.0]), 0),
}


@pytest.fixture(autouse=True)
def _as_before():
    yield
    globals()["FACTOR"] = 2.0
    Settings.factor, Settings.tensor = 2.0, tl.tensor([2.0])


@pytest.mark.parametrize("reader", READERS)
def test_what_a_step_reads_may_change_between_calls(reader):
    function, change = READERS[reader]()
    ticks = iter(range(1000))
    fast = tl.compile(tl.no_grad(counted(function, ticks)), backend="numpy")
    x = tl.ones(3)
    for value in (2.0, 3.0, 2.0):
        change(value)
        for _ in range(5):
            assert fast(x).tolist() == [value] * 3
    runs = next(ticks)
    fast(x)
    assert next(ticks) == runs + 1


def test_names_are_those_of_the_only_module():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    assert list(Surroundings(lambda x: net(x)).tensors) == ["0.weight", "0.bias"]


def test_names_tell_two_modules_apart():
    one, other = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    assert set(Surroundings(lambda x: other(one(x))).tensors) == {"one.weight", "other.weight"}


def test_a_global_that_is_only_an_attributes_name_is_no_condition():
    net = nn.Linear(2, 2)
    names = {condition.name for condition in Surroundings(lambda x: net(x).LONG).conditions}
    assert "LONG" not in names


def test_libraries_are_not_looked_into():
    names = {condition.name for condition in Surroundings(lambda x: np.exp(nn.functional.relu(x))).conditions}
    assert not {name for name in names if name.startswith(("np", "nn"))}
