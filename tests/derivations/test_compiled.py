"""The printed programs of the documents' nets are their hand-written backpropagation, line by line; and the page."""

import ast
import importlib.util
import itertools
import re

import numpy as np
import pytest

import tinygrad_lite as tl
from benchmarks.by_hand import RATE
from derivations.compiled import PAGE, main
from derivations.counts import operations
from derivations.programs import NETS, Row, Text, training_step

NEEDS_LLVM = pytest.mark.skipif(importlib.util.find_spec("llvmlite") is None, reason="native code needs llvmlite")
CASES = [pytest.param(net, id=f"{net.document} {net.title}") for net in NETS]
FORMULAS = [
    pytest.param(net, row, id=f"{net.document} {net.title}: {row.formula} {row.layer}")
    for net in NETS
    for row in net.rows
]


@pytest.fixture(scope="module")
def texts():
    return {net: net.text() for net in NETS}


@pytest.fixture(scope="module")
def values(texts):
    """For each net: the problem, what every variable of the printed program holds, and what the document derives."""
    found = {}
    for net, text in texts.items():
        problem = net.problem(seed=1)  # others than the program was recorded with
        arrays = [np.copy(array) for array in (problem.x, problem.y, *problem.parameters)]
        found[net] = problem, text.run(*arrays, lr=0.1), net.derived(problem)
    return found


# ---- the proof


@pytest.mark.parametrize(("net", "row"), FORMULAS)
def test_a_variable_of_the_program_is_what_the_documents_formula_gives(net, row, texts, values):
    _, variables, derived = values[net]
    ours, by_hand = variables[texts[net].name_of(row)], derived[row.variable]
    assert ours.dtype == np.float64
    assert ours.size == by_hand.size
    error = np.abs(ours.reshape(by_hand.shape) - by_hand).max()
    assert error <= 1e-10 * np.abs(by_hand).max()
    assert np.abs(by_hand).max() > 0


@pytest.mark.parametrize("net", CASES)
def test_every_line_of_the_backward_pass_belongs_to_one_formula(net, texts):
    text = texts[net]
    lines = list(itertools.chain.from_iterable(text.behind([text.name_of(row) for row in net.rows])))
    assert len(lines) == len(set(lines))
    assert set(text.in_phase("backward")) <= set(lines)
    assert {row.formula for row in net.rows} == set(net.derivation.formulas)


@pytest.mark.parametrize("net", CASES)
def test_the_update_descends_along_the_derived_gradients(net, values):
    problem, variables, derived = values[net]
    for number, before in enumerate(problem.parameters):
        name = f"layer{number // 2 * 2}_{('weight', 'bias')[number % 2]}"
        expected = before - 0.1 * derived[f"d_{name}"].reshape(before.shape)
        np.testing.assert_allclose(variables[name], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("net", CASES)
def test_the_program_and_the_step_by_hand_have_the_same_loss_and_parameters(net, texts):
    problem = net.problem(seed=2)
    ours, by_hand = ([np.copy(array) for array in problem.parameters] for _ in range(2))
    variables = texts[net].run(problem.x, problem.y, *ours, lr=RATE)
    assert net.step_by_hand(*by_hand, problem.x, problem.y) == pytest.approx(float(variables["loss"]), rel=1e-12)
    for a, b in zip(ours, by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("net", CASES)
def test_the_program_makes_no_product_more_than_the_step_by_hand(net, texts):
    problem = net.problem(seed=0)
    hand = operations(net.step_by_hand, *problem.parameters, problem.x, problem.y)
    derived = operations(texts[net].run, problem.x, problem.y, *problem.parameters)
    layers = len(net.widths) - 1
    assert derived["matrix products"] == hand["matrix products"] == 3 * layers - 1  # no gradient of the samples


# ---- what takes the source apart


def test_a_wrong_line_is_noticed(texts):
    net = NETS[4]
    wrong = texts[net].source.replace("np.dot(d_layer2.T, relu1)", "np.dot(d_layer2.T, relu1) * 2")
    assert wrong != texts[net].source
    problem = net.problem(seed=1)
    variables = Text(wrong).run(problem.x, problem.y, *problem.parameters, lr=0.1)
    derived = net.derived(net.problem(seed=1))["d_layer2_weight"]
    assert not np.allclose(variables["d_layer2_weight"], derived)


def test_a_variable_that_is_not_there_is_named(texts):
    with pytest.raises(ValueError, match="no variable 'd_layer9'"):
        texts[NETS[0]].name_of(Row("db", "d_layer9"))


def test_operations_are_counted_by_kind():
    def function(x, labels):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        p[np.arange(2), labels] -= 1
        return np.where(p > 0, p, 0).mean() + np.dot(p.T, x)

    counts = operations(function, np.ones((2, 3)), np.array([0, 1]))
    assert counts == {
        "matrix products": 1,
        "exp, log": 1,
        "sums, maxima": 2,
        "elementwise": 6,  # two subtractions, the comparison, where, the division of the mean, the addition
        "indexing by arrays": 2,
    }


# ---- the page


def test_the_page_is_up_to_date(tmp_path):
    main(["--output", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("backend", ["numpy", pytest.param("native", marks=NEEDS_LLVM)])
def test_the_lines_of_explain_that_the_page_tells_about_are_there(backend):
    net = NETS[4]
    problem = net.problem(seed=0)
    step = tl.compile(training_step(net.model(problem), net.loss), backend=backend)
    for _ in range(6):
        step(tl.tensor(problem.x), tl.tensor(problem.y))
    table = PAGE.read_text(encoding="utf-8").partition("**`explain()`**")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    told = [label for cell in first_cells for label in re.findall("`(.*?)`", cell)]
    explained = step.explain()
    of_the_other = {"numpy": {"fused loops", "matrix products", "calls of NumPy"}, "native": {"NumPy calls"}}[backend]
    assert of_the_other < set(told)
    for label in set(told) - of_the_other:
        first, _, last = label.replace("float32", "float64").partition("...")
        assert first.strip(" ,") in explained
        assert last in explained


def test_the_programs_on_the_page_are_python(texts):
    committed = PAGE.read_text(encoding="utf-8")
    for text in texts.values():
        ast.parse(text.source)
        assert committed.count(f"```python\n{text.source}\n```") == 1
