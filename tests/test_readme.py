"""What the README shows runs, and leads somewhere."""

import re
from pathlib import Path

import pytest

import tinygrad_lite as tl

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/design.md", "docs/benchmarks.md")]


def test_the_net_in_ten_lines_learns():
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(program, names)
    untrained = tl.nn.Sequential(tl.nn.Linear(784, 25), tl.nn.ReLU(), tl.nn.Linear(25, 10))
    assert names["loss"].item() < 0.5 * tl.nn.functional.cross_entropy(untrained(names["x"]), names["y"]).item()


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
