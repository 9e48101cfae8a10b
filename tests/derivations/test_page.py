"""The committed page is what the program writes, and it names every finding with its test."""

import re
from pathlib import Path

import pytest

from derivations.__main__ import PAGE, main
from derivations.page import DOCUMENTS

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")
ERROR = re.compile(r"\| (\d\.\de[+-]\d+) \|$", re.MULTILINE)
FINDINGS = [
    pytest.param(document, finding, id=f"{document.__name__[-3:]}-{finding.name}")
    for document in DOCUMENTS
    for finding in document.FINDINGS
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "new"
    main(["--output", str(folder / "page.md")])
    assert [file.name for file in folder.iterdir()] == ["page.md"]
    return (folder / "page.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def committed():
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date(written, committed):
    assert NUMBER.split(written) == NUMBER.split(committed)
    numbers, expected = (list(map(float, NUMBER.findall(text))) for text in (written, committed))
    assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-10)  # the errors are below 1e-10: any digits will do


def test_the_errors_of_the_page_are_small(committed):
    formulas = sum(len(derivation.formulas) for document in DOCUMENTS for derivation in document.DERIVATIONS)
    errors = [float(error) for error in ERROR.findall(committed)]
    assert len(errors) == formulas
    assert max(errors) <= 1e-10


@pytest.mark.parametrize(("document", "finding"), FINDINGS)
def test_a_finding_is_shown_by_one_test_and_stands_on_the_page(document, finding, committed):
    number = document.__name__[-3:]
    test = f"test_document_{number}.py", f"test_{finding.name}"
    source = (Path(__file__).parent / test[0]).read_text(encoding="utf-8")
    assert source.count(f"def {test[1]}(") == 1
    assert committed.count("::".join(test) + "`") == 1
    assert finding.says in committed
    assert finding.right in committed
    assert finding.dispute or finding.measured
