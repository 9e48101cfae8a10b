"""The page: what each formula gives by hand and by autograd, and what a gradient check finds."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

import tinygrad_lite as tl
from derivations import document_000, document_001, document_002, document_003, document_004
from derivations.records import Array, Derivation, Finding, Problem

__all__ = ["DOCUMENTS", "page"]

DOCUMENTS = (document_000, document_001, document_002, document_003, document_004)
INTRODUCTION = """\
# The five documents, re-derived

`python -m derivations` writes this page: every gradient that the documents derive by hand, computed by their formula
in NumPy and by autograd from the loss alone, in float64, with samples as rows (so the formulas of documents 001 to 004
are transposed). The two values are those of the gradient's largest element in one small problem (of the first of
several such layers), the error is the largest one over all sizes and seeds, relative to the largest element of its
gradient; `*` is elementwise, `s` the sigmoid, `1[.]` the indicator. Below each table stands what its document gets
wrong: the same check refuses the wrong gradients and accepts the right ones, or the behaviour is re-enacted and
measured, and a test holds it."""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n\n".join([INTRODUCTION, *(section(document) for document in DOCUMENTS)]) + "\n"


def section(document: ModuleType) -> str:
    """One document: its losses, its table, its findings."""
    losses = [f"- {derivation.model}: `{derivation.loss}`" for derivation in document.DERIVATIONS]
    number = document.__name__[-3:]
    return "\n\n".join(
        [
            f"## {document.TITLE}",
            "\n".join(losses),
            "\n".join(table(document.DERIVATIONS)),
            f"### What the check finds in document {number}",
            *("\n".join(account(finding, number)) for finding in document.FINDINGS),
        ]
    )


def table(derivations: tuple[Derivation, ...]) -> Iterator[str]:
    """A row for every formula."""
    yield "| model | gradient | formula | by hand | autograd | largest error |"
    yield "|-|-|-|-:|-:|-:|"
    for derivation in derivations:
        problems, model = list(derivation.problems()), derivation.model
        for name, formula in derivation.formulas.items():
            by_hand, autograd = largest_element(problems[0], name)
            error = max(problem.largest_error(name) for problem in problems if name in problem.names())
            yield f"| {model} | `{name}` | `{formula}` | {by_hand:.12g} | {autograd:.12g} | {error:.1e} |"
            model = ""


def largest_element(problem: Problem, name: str) -> tuple[float, float]:
    """Of the first gradient of this name: by hand and by autograd."""
    index = problem.names().index(name)
    inputs = [tl.tensor(gradient.at, dtype=tl.float64).requires_grad_() for gradient in problem.gradients]
    (autograd,) = tl.autograd.grad(problem.loss(*inputs), [inputs[index]])
    by_hand: Array = np.asarray(problem.gradients[index].by_hand)
    at = np.unravel_index(np.argmax(np.abs(by_hand)), by_hand.shape)
    return float(by_hand[at]), float(autograd.numpy()[at])


def account(finding: Finding, number: str) -> Iterator[str]:
    """What a finding says, and what shows it."""
    yield f"**{finding.name[0].upper()}{finding.name[1:].replace('_', ' ')}.**"
    yield f"- Document: {finding.says}"
    yield f"- Right: {finding.right}"
    if finding.dispute:
        yield f"- Check of the document's: `{finding.dispute().verdict()}`. The right one passes."
    if finding.measured:
        yield f"- Measured: {finding.measured()}"
    yield f"- Test: `test_document_{number}.py::test_{finding.name}`"
