"""Names that do not exist: the error says which name was meant, or that PyTorch's is not here."""

import copy
import importlib
import pickle
import pkgutil
import re
import subprocess
import sys

import pytest

import tinygrad_lite as tl
from tests.compatibility import DIFFERS, INSTEAD, NAMES, NAMESPACES, PAGE, is_here, page, programs_use
from tinygrad_lite import nn
from tinygrad_lite._names import torch_names
from tinygrad_lite.nn import functional as F

ADVICE = "docs/compatibility.md lists what is, and what to use instead"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)

    @property
    def depth(self):
        return len(self.layers)


def message(owner, name):
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    assert type(caught.value) is AttributeError
    return str(caught.value)


MISSPELT = {
    "function of the package": (tl, "zeroes", "tinygrad_lite has no attribute 'zeroes'; did you mean 'zeros'?"),
    "layer at the top": (
        tl,
        "Linear",
        "tinygrad_lite has no attribute 'Linear'; did you mean tinygrad_lite.nn.Linear?",
    ),
    "layer": (nn, "Sequental", "tinygrad_lite.nn has no attribute 'Sequental'; did you mean 'Sequential'?"),
    "loss": (
        F,
        "crossentropy",
        "tinygrad_lite.nn.functional has no attribute 'crossentropy'; did you mean 'cross_entropy'?",
    ),
    "initialisation": (
        nn.init,
        "xavier_unifrom_",
        "tinygrad_lite.nn.init has no attribute 'xavier_unifrom_'; did you mean 'xavier_uniform_'?",
    ),
    "optimizer": (tl.optim, "Adamw", "tinygrad_lite.optim has no attribute 'Adamw'; did you mean 'AdamW'?"),
    "autograd": (
        tl.autograd,
        "gradchek",
        "tinygrad_lite.autograd has no attribute 'gradchek'; did you mean 'gradcheck'?",
    ),
    "utils": (tl.utils, "date", "tinygrad_lite.utils has no attribute 'date'; did you mean 'data'?"),
    "loader": (
        tl.utils.data,
        "Dataloader",
        "tinygrad_lite.utils.data has no attribute 'Dataloader'; did you mean 'DataLoader'?",
    ),
    "data set": (tl.datasets, "Mnist", "tinygrad_lite.datasets has no attribute 'Mnist'; did you mean 'MNIST'?"),
    "nothing like it": (tl, "qqqqqqqq", "tinygrad_lite has no attribute 'qqqqqqqq'"),
    "private": (tl, "_arrays", "tinygrad_lite has no attribute '_arrays'"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_a_misspelt_name_suggests_the_one_that_was_meant(case):
    owner, name, expected = MISSPELT[case]
    assert message(owner, name) == expected


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        ("tl.ones(2)", "trasnpose", "transpose"),
        ("tl.nn.Parameter(tl.ones(2))", "Shape", "shape"),
        ("tl.nn.Linear(2, 2)", "weigths", "weight"),
        ("tl.nn.Linear(2, 2)", "paramters", "parameters"),
    ],
)
def test_python_suggests_the_attribute_that_was_meant(owner, name, meant):
    code = f"import tinygrad_lite as tl; {owner}.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(f"has no attribute '{name}'. Did you mean: '{meant}'?")


OF_PYTORCH = {
    "tensor": (tl.ones(2), "pin_memory", "torch.Tensor.pin_memory is not part of tinygrad_lite.Tensor"),
    "net": (Net(), "share_memory", "torch.nn.Module.share_memory is not part of tinygrad_lite.nn.Module"),
    "package": (tl, "sparse_coo_tensor", "torch.sparse_coo_tensor is not part of tinygrad_lite"),
    "namespace": (tl, "distributed", "torch.distributed is not part of tinygrad_lite"),
    "layer": (nn, "SyncBatchNorm", "torch.nn.SyncBatchNorm is not part of tinygrad_lite.nn"),
    "another case": (nn, "LazyConv3D", "torch.nn.LazyConv3d is not part of tinygrad_lite.nn"),
    "function": (F, "grid_sample", "torch.nn.functional.grid_sample is not part of tinygrad_lite.nn.functional"),
    "initialisation": (nn.init, "dirac_", "torch.nn.init.dirac_ is not part of tinygrad_lite.nn.init"),
    "optimizer": (tl.optim, "SparseAdam", "torch.optim.SparseAdam is not part of tinygrad_lite.optim"),
    "autograd": (tl.autograd, "forward_ad", "torch.autograd.forward_ad is not part of tinygrad_lite.autograd"),
    "loader": (
        tl.utils.data,
        "DistributedSampler",
        "torch.utils.data.DistributedSampler is not part of tinygrad_lite.utils.data",
    ),
}


def test_a_subclass_may_have_what_is_not_here():
    class Pinned(tl.Tensor):
        def pin_memory(self):
            return "pinned"

    class Net2(Net):
        share_memory = 3

    net = Net()
    net.share_memory = 4
    assert (Pinned([1.0]).pin_memory(), Net2().share_memory, net.share_memory) == ("pinned", 3, 4)
    assert "pin_memory" in dir(Pinned([1.0]))
    assert "share_memory" in dir(net)


@pytest.mark.parametrize("owner", [tl.ones(2, 2), nn.Linear(2, 2)], ids=["tensor", "net"])
def test_what_is_not_here_is_not_listed(owner):
    assert all(hasattr(owner, name) for name in dir(owner))
    assert "pin_memory" not in dir(owner)
    assert "share_memory" not in dir(owner)


@pytest.mark.parametrize("kind", [tl.Tensor, nn.Module])
def test_attributes_are_read_at_full_speed(kind):
    """A ``__getattr__`` would make each of them two to three times as slow."""
    assert not any("__getattr__" in vars(base) or "__getattribute__" in vars(base) for base in kind.__mro__[:-1])


@pytest.mark.parametrize("case", OF_PYTORCH)
def test_a_name_of_pytorch_that_is_not_here_names_the_page(case):
    owner, name, expected = OF_PYTORCH[case]
    assert message(owner, name) == f"{expected}; {ADVICE}"


def test_python_does_not_suggest_a_second_name():
    done = subprocess.run(
        [sys.executable, "-c", "import tinygrad_lite as tl; tl.zeroes"], capture_output=True, text=True, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert last == "AttributeError: tinygrad_lite has no attribute 'zeroes'; did you mean 'zeros'?"


def test_from_import_raises_what_python_expects():
    with pytest.raises(ImportError, match=r"cannot import name 'nope' from 'tinygrad_lite'"):
        from tinygrad_lite import nope  # noqa: F401
    with pytest.raises(ImportError, match=r"cannot import name 'Lineer' from 'tinygrad_lite.nn'"):
        from tinygrad_lite.nn import Lineer  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"tinygrad_lite\.nope"):
        importlib.import_module("tinygrad_lite.nope")


@pytest.mark.parametrize("owner", [tl, nn, F, nn.init, tl.optim, tl.utils.data, tl.ones(2), Net()], ids=str)
def test_hasattr_and_defaults(owner):
    assert not hasattr(owner, "nope")
    assert getattr(owner, "nope", 1) == 1
    assert "nope" not in dir(owner)


def test_nothing_is_looked_up_before_the_message_is_read(monkeypatch):
    monkeypatch.setattr("tinygrad_lite._names.torch_names", lambda: pytest.fail("looked up"))
    assert not hasattr(tl.ones(2), "nope")
    assert not hasattr(Net(), "nope")
    assert not hasattr(tl, "nope")


def test_the_error_of_a_property_is_its_own():
    assert message(Net(), "depth") == "'Net' object has no attribute 'layers'"

    class Special(tl.Tensor):
        @property
        def first(self):
            return self[0].nothing_like_it

    assert message(Special([1.0]), "first") == "'Tensor' object has no attribute 'nothing_like_it'"


def test_a_net_that_forgot_super_init():
    class Forgot(nn.Module):
        def __init__(self):
            self.first = nn.Linear(3, 2)

        def forward(self, x):
            return self.frist(x)

    net = Forgot()
    assert [name for name, _ in net.named_parameters()] == ["first.weight", "first.bias"]
    with pytest.raises(AttributeError, match="'Forgot' object has no attribute 'frist'") as caught:
        net(tl.ones(3))
    assert caught.value.__notes__ == ["in the forward of Forgot"]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(make):
    net, x = Net(), tl.tensor([1.0, 2.0], requires_grad=True)
    assert make(net).fc2.weight.tolist() == net.fc2.weight.tolist()
    assert make(x).tolist() == [1.0, 2.0]


def test_the_error_itself_is_pickled_as_text():
    with pytest.raises(AttributeError) as caught:
        _ = tl.zeroes
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_every_public_namespace_explains():
    """What PyTorch has as a package, and its functions and initialisers, say what was meant."""
    packages = [m.name for m in pkgutil.walk_packages(tl.__path__, "tinygrad_lite.") if m.ispkg]
    internal = {"tinygrad_lite.ops", "tinygrad_lite.compiler"}
    named = {n.replace("torch", "tinygrad_lite", 1) for n in NAMESPACES} | {"tinygrad_lite.datasets"}
    assert set(packages) - internal <= named
    for name in named & set(sys.modules):
        assert "__getattr__" in vars(sys.modules[name]), name


def test_the_list_of_names_holds_the_namespaces():
    names = torch_names()
    assert list(names) == NAMESPACES
    assert all(names.values())


def test_the_list_is_that_of_pytorch():
    pytest.importorskip("torch")
    code = "from tests.compatibility import names_of_torch; print(names_of_torch(), end='')"
    fresh = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout == NAMES.read_text(encoding="utf-8"), "run python -m tests.compatibility"


def test_the_page_is_up_to_date():
    assert page() == PAGE.read_text(encoding="utf-8"), "run python -m tests.compatibility"


def test_the_page_speaks_of_names_that_there_are():
    absent = [name for name in programs_use() if not is_here(name)]
    assert [name for name in DIFFERS if name not in programs_use() or not is_here(name)] == []
    assert [pattern for pattern in INSTEAD if not any(re.fullmatch(pattern, name) for name in absent)] == []
