"""``python -m tests.compatibility``: list PyTorch's names, and write docs/compatibility.md."""

import csv
import importlib
import re
import textwrap
import types
from collections import defaultdict
from pathlib import Path

import tinygrad_lite as tl
from examples.files import whole

ROOT = Path(__file__).parent.parent
NAMES = ROOT / "tinygrad_lite" / "_torch_names.txt"
PROGRAMS = ROOT / "tests" / "torch_names.csv"
PAGE = ROOT / "docs" / "compatibility.md"

NAMESPACES = """
    torch torch.Tensor torch.nn torch.nn.Module torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn
    torch.optim torch.optim.lr_scheduler torch.autograd torch.autograd.functional torch.utils torch.utils.data
    torch.linalg torch.func torch.testing
""".split()


def found(dotted):
    """The module, or the class in it, of this name."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


def names_of_torch():
    """What tinygrad_lite/_torch_names.txt holds: each namespace and its public names in the installed PyTorch."""
    blocks = [" ".join([namespace, *public_names(found(namespace))]) for namespace in NAMESPACES]
    return "\n\n".join(textwrap.fill(block, 120, subsequent_indent="  ") for block in blocks) + "\n"


def public_names(namespace):
    """The names that a module or class of PyTorch has for others: without what it imports for itself."""
    return [name for name in dir(namespace) if not name.startswith("_") and belongs(namespace, name)]


def belongs(namespace, name):
    value = getattr(namespace, name, None)
    home = getattr(value, "__module__", None) or "torch"
    if isinstance(value, (bool, str, dict)):
        return False
    if isinstance(value, types.ModuleType):
        return value.__name__ == f"{namespace.__name__}.{name}"
    if isinstance(value, type) and home == "torch._C":
        return name == "Generator"  # the others are parts of the compiler
    return isinstance(namespace, type) or home.startswith("torch") or name in getattr(namespace, "__all__", ())


# ---- the page

LATER = "not yet"

DIFFERS = {
    ".dtype": "a NumPy dtype; `tl.float32` and its like are NumPy's",
    ".size": "a tuple, not a `torch.Size`",
    ".shape": "a tuple, not a `torch.Size`",
    ".to": 'the only device is "cpu"',
    "torch.utils.data.DataLoader": "batches are made in this process: `num_workers=0` only",
    "torch.nn.functional.mse_loss": "input and target of unequal shapes raise; PyTorch broadcasts them and warns",
    "torch.nn.functional.l1_loss": "input and target of unequal shapes raise; PyTorch broadcasts them and warns",
    "torch.nn.MSELoss": "input and target of unequal shapes raise; PyTorch broadcasts them and warns",
    "torch.nn.L1Loss": "input and target of unequal shapes raise; PyTorch broadcasts them and warns",
    "torch.nn.functional.cross_entropy": "class indices are int64; PyTorch also takes uint8",
    "torch.nn.functional.nll_loss": "class indices are int64; PyTorch also takes uint8",
    "torch.inference_mode": "the tensors from inside may enter a graph later",
}
"""What a name that is here does otherwise."""

INSTEAD = {
    r"torch\.device|\.device|torch\.set_default_device|\.cuda": "leave it out: everything is on the CPU",
    r"torch\.(Long|Float|Byte)Tensor": "`tl.tensor(data, dtype=...)`",
    r"torch\.autograd\.Variable": "`tl.tensor(data, requires_grad=True)`",
    r"torch\.autograd\.backward": "`tensor.backward()`",
    r"torch\.(save|load)": "`pickle` of `state_dict()`, or `np.savez`",
    r"\.type": "`.to(dtype)` and `.dtype`",
    r"torch\.dtype": "`np.dtype`",
    r"torch\.finfo": "`np.finfo(tensor.dtype)`",
    r"torch\.Size": "a tuple",
    r"torch\.numel|\.nelement": "`tensor.numel()`",
    r"\.(view_as|expand_as)": "`.view(other.shape)`, `.expand(other.shape)`",
    r"\.new(_\w+)?": "`tl.tensor`, `tl.zeros`, `tl.ones` or `tl.full` with `dtype=`",
    r"torch\.range": "`tl.arange`",
    r"(torch)?\.rsqrt": "`1 / tensor.sqrt()`",
    r"torch\.clamp_min": "`tl.clamp(input, min=...)`",
    r"torch\.nn\.init\.(constant|normal|kaiming_normal)": "the name with `_` at its end",
    r"torch\.nn\.functional\.silu|torch\.nn\.SiLU": "`x * x.sigmoid()`",
    r"torch\.nn\.functional\.upsample": "deprecated in PyTorch too",
    r"torch\.testing\.assert_allclose": "`tl.testing.assert_close`",
    r"torch\.nn\.modules\..*": "the same class in `tl.nn`, where it is here",
    r"torch\.bfloat16|\.bfloat16": "`tl.float32`; NumPy has no bfloat16",
    r"\.detach_": "`x = x.detach()`",
    r"\.lerp": "`x + weight * (end - x)`",
    r"\.(addcmul_|addcdiv_)": "`x.add_(value * a * b)`, `x.add_(value * a / b)`",
    r"\.is_contiguous|\.stride|\.storage_offset|\.data_ptr|\.nbytes|\.element_size": (
        "`tensor.detach().numpy()` has `flags`, `strides`, `ctypes.data`, `nbytes` and `itemsize`"
    ),
    r"torch\.(view_as_\w+|polar|real)|torch\.fft\..*": "no complex numbers: NumPy, on detached arrays",
    r"torch\.(sparse_coo_tensor|spmm)": "no sparse tensors: dense ones, or scipy.sparse on detached arrays",
    r"torch\.autograd\.profiler\..*": "`cProfile`: all of it is Python",
    r"torch\.utils\._pytree\..*": "private in PyTorch",
}
"""By patterns of names that are not here: what to use instead."""


def programs_use():
    """The names that programs use, the most used first."""
    with PROGRAMS.open(encoding="utf-8", newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


def is_here(name):
    if name.startswith("."):
        parameter = tl.nn.Parameter(tl.ones(1, 1))
        owners = parameter, tl.nn.Linear(1, 1), tl.optim.SGD([parameter], lr=0.1)
        return any(hasattr(owner, name[1:]) for owner in owners)
    owner = tl
    for part in name.split(".")[1:]:
        owner = getattr(owner, part, None)
    return owner is not None


def instead_of(name):
    return next((advice for pattern, advice in INSTEAD.items() if re.fullmatch(pattern, name)), LATER)


def page():
    """The text of docs/compatibility.md."""
    sections = defaultdict(list)
    for name in programs_use():
        sections[name.rpartition(".")[0]].append(name)
    here = sum(map(is_here, programs_use()))
    intro = [
        "# Compatibility with PyTorch",
        "",
        f"Of the {len(programs_use())} names of PyTorch in `tests/torch_names.csv`, those that programs use most, "
        f"{here} are here, under the same name: `torch.x` is `tl.x`. Written by `python -m tests.compatibility`.",
        "",
        "Results are PyTorch's, which `tests/conformance/` compares; where they differ on purpose, the table "
        "`DELIBERATE` in `tests/conformance/compare.py` says why. What holds for everything:",
        "",
        "- shapes are tuples, dtypes are NumPy's, the only device is the CPU;",
        "- a parameter or module in a plain list or dict is not found, and no error can say so: use `nn.ModuleList`, "
        "`nn.ModuleDict` or `nn.ParameterList`;",
        "- log probabilities cannot be told from logits: `nll_loss` of logits is a wrong number, use `cross_entropy`.",
    ]
    return "\n".join(intro + [line for title in sorted(sections) for line in section(title, sections[title])]) + "\n"


def section(title, names):
    """The lines about one namespace; that of attributes is empty."""
    short = {name: f"`{name[len(title) + bool(title) :]}`" for name in names}
    present, absent = [n for n in names if is_here(n)], [n for n in names if not is_here(n)]
    lines = ["", f"## {f'`{title}`' if title else 'Attributes and methods of tensors, modules and optimizers'}"]
    if present:
        lines += ["", textwrap.fill(f"Here: {', '.join(short[n] for n in present)}.", 120, break_on_hyphens=False)]
    if different := [n for n in present if DIFFERS.get(n)]:
        lines += ["", "| differs | how |", "|---|---|", *(f"| {short[n]} | {DIFFERS[n]} |" for n in different)]
    if advised := [n for n in absent if instead_of(n) != LATER]:
        lines += [
            "",
            "| not here | use instead |",
            "|---|---|",
            *(f"| {short[n]} | {instead_of(n)} |" for n in advised),
        ]
    if later := [n for n in absent if instead_of(n) == LATER]:
        lines += ["", textwrap.fill(f"Not here: {', '.join(short[n] for n in later)}.", 120, break_on_hyphens=False)]
    return lines


if __name__ == "__main__":
    for path, text in ((NAMES, names_of_torch()), (PAGE, page())):
        with whole(path) as file:
            file.write(text.encode())
