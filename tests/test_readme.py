"""What the README shows runs, and leads somewhere."""

import re
from pathlib import Path

import pytest

import tinygrad_lite as tl

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "docs/design", "docs/benchmarks", "docs/compile")]


def test_the_net_in_ten_lines_learns_and_its_step_compiles(capsys):
    ten_lines, compiled = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(ten_lines, names)
    untrained = tl.nn.Sequential(tl.nn.Linear(784, 25), tl.nn.ReLU(), tl.nn.Linear(25, 10))
    eager = names["loss"].item()
    assert eager < 0.5 * tl.nn.functional.cross_entropy(untrained(names["x"]), names["y"]).item()
    exec(compiled, names)
    assert names["loss"].item() < eager
    assert "d_layer2_weight = np.dot(d_layer2.T, relu1)" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_backticks_exist(page):
    for name in re.findall(r"`((?:tinygrad_lite|tests|examples|benchmarks|docs)/[\w/.]*)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_make_targets_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "lint", "bench"} <= set(targets)
