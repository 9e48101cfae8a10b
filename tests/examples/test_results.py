"""The page of results, from rows of several seeds."""

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from examples import results
from examples.lesson import Expected, Lesson, Row


def lesson(document, seed, *rows):
    return Lesson(document, data=None, effort="full", seed=seed, out=None, rows=list(rows))


def blobs(value, expected=(), **others):
    return Row("000", "blobs", "0.990", expected=expected, scores={"test": value, "epochs": 10 + others.pop("more", 0)})


@pytest.mark.parametrize(
    ("expected", "reached"),
    [
        (Expected("test", "median", low=0.95), True),
        (Expected("test", "median", low=0.951), False),
        (Expected("test", "best", low=0.97), True),
        (Expected("test", "best", high=0.969), False),
        (Expected("test", "worst", low=0.9), True),
        (Expected("test", "worst", low=0.91), False),
    ],
)
def test_an_expectation_is_held_against_the_seeds(expected, reached):
    assert results.holds(expected, [0.97, 0.9, 0.95]) is reached


@pytest.mark.parametrize(
    ("expected", "form", "words"),
    [
        (Expected("test", "median", low=0.97), ".3f", "test: median >= 0.970"),
        (Expected("val", "best", high=0.6), ".3f", "val: best <= 0.600"),
        (Expected("dev", "median", 0.75, 0.84), ".2f", "dev: median >= 0.75 and <= 0.84"),
        (Expected("test", "median", 0.5599, 0.559949), ".2%", "test: median = 55.99%"),
    ],
)
def test_an_expectation_is_said_in_words(expected, form, words):
    assert results.in_words(expected, Row("000", "net", "0.9", form)) == words


def test_the_page_has_medians_ranges_and_what_was_reached(tmp_path):
    expected = [Expected("test", "median", low=0.97), Expected("test", "worst", low=0.97)]
    seeds = [lesson("000", seed, blobs(value, expected, more=seed)) for seed, value in enumerate([0.99, 0.96, 0.98])]
    page = results.update(seeds, tmp_path).read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("| blobs")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "blobs",
        "0.990",
        "test 0.980 (0.960 to 0.990)<br>epochs 11 (10 to 12)",
        "3",
        "test: median >= 0.970<br>test: worst >= 0.970",
        "yes<br>**no**",
        "0",
    ]


def test_an_open_model_and_a_note_are_shown(tmp_path):
    noted = Row("004", "net", "0.995", scores={"AUC": 0.996}, note="three curves cross")
    page = results.update([lesson("004", 0, noted, Row("004", "CNN", "0.986"))], tmp_path).read_text()
    assert "| CNN | 0.986 | open |" in page
    assert "- net, seed 0: three curves cross" in page
    assert "| net | 0.995 | AUC 0.996 |" in page


def test_a_run_of_one_document_leaves_the_others(tmp_path):
    results.update([lesson("000", 0, blobs(0.9)), lesson("001", 0, Row("001", "moons", "0.936"))], tmp_path)
    page = results.update([lesson("000", 0, blobs(0.8))], tmp_path).read_text()
    assert "test 0.800" in page
    assert "0.900" not in page
    assert page.index("Document 000") < page.index("Document 001")
    assert "moons" in page
    kept = results.kept(tmp_path)
    assert list(kept) == ["000", "001"]
    assert kept["000"]["models"]["blobs"]["runs"][0]["scores"] == {"test": 0.8, "epochs": 10}


def test_the_committed_page_is_the_one_of_the_committed_scores():
    documents = results.kept(results.FOLDER)
    assert (results.FOLDER / "results.md").read_text() == results.render(documents)
    assert list(documents) == ["000", "001", "002", "003", "004"]
