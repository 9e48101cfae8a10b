"""Each document's net as ``tl.compile`` prints it, and the document's formula for what every line computes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import tinygrad_lite as tl
from benchmarks import by_hand
from derivations import document_000, document_001, document_002, document_003, document_004
from derivations.formulas import softmax
from derivations.records import Array, Derivation
from tinygrad_lite import nn

__all__ = ["NETS", "Net", "Problem", "Row", "Text", "training_step"]

F = nn.functional
CALLS_UNTIL_COMPILED = 6


# ---- records


@dataclass(frozen=True)
class Row:
    """A formula of a document, and the variable of the program that holds what it gives.

    Attributes
    ----------
    formula : str
        A key of the derivation's formulas.
    variable : str
        A name in the printed source; or what the variable is assigned, where that has no name but a number.
    layer : str
        Which one, if the formula is for any.
    """

    formula: str
    variable: str
    layer: str = ""


@dataclass(frozen=True)
class Problem:
    """Parameters (weights and biases in turn) and a batch, in float64."""

    parameters: Sequence[Array]
    x: Array
    y: Array

    @property
    def one_hot(self) -> Array:
        """The labels as a row of zeros and a one for each sample."""
        return np.eye(len(self.parameters[-1]))[self.y]


@dataclass(frozen=True, eq=False)
class Net:
    """A net of a document, its training step, and the document's formulas for that.

    Attributes
    ----------
    document, title : str
        Its number, and what the net is.
    widths, batch : tuple of int, int
        As in the document.
    hidden : type
        The activation module.
    loss : callable
        Of the net, samples and labels.
    derivation : Derivation
        Has the formulas.
    rows : sequence of Row
        One for each formula and layer.
    derived : callable
        From a problem to the arrays that the document's formulas give, by variable of the program.
    step_by_hand : callable
        The same step written in NumPy, of the parameters, samples and labels.
    remarks : sequence of str
        Where formulas and program differ.
    head : type, optional
        A module that ends the net.
    """

    document: str
    title: str
    widths: tuple[int, ...]
    batch: int
    hidden: type[nn.Module]
    loss: Callable[[nn.Module, tl.Tensor, tl.Tensor], tl.Tensor]
    derivation: Derivation
    rows: Sequence[Row]
    derived: Callable[[Problem], Mapping[str, Array]]
    step_by_hand: Callable[..., Any]
    remarks: Sequence[str]
    head: type[nn.Module] | None = None

    def problem(self, seed: int) -> Problem:
        """Random weights and a random batch."""
        rng = np.random.default_rng(seed)
        shapes = [shape for d, n in pairwise(self.widths) for shape in [(n, d), (n,)]]
        parameters = [rng.uniform(-1, 1, shape) / np.sqrt(shape[-1]) for shape in shapes]
        x, classes = rng.random((self.batch, self.widths[0])), self.widths[-1]
        y = (
            rng.integers(2, size=(self.batch, 1)).astype(float)
            if classes == 1
            else rng.integers(classes, size=self.batch)
        )
        return Problem(parameters, x, y)

    def text(self) -> Text:
        """What ``source()`` prints for the step, compiled in float64."""
        problem = self.problem(seed=0)
        step = tl.compile(training_step(self.model(problem), self.loss), backend="numpy", fullgraph=True)
        for _ in range(CALLS_UNTIL_COMPILED):
            step(tl.tensor(problem.x), tl.tensor(problem.y))
        return Text(step.source())

    def model(self, problem: Problem) -> nn.Sequential:
        """The net with the problem's parameters."""
        layers = [layer for d, n in pairwise(self.widths) for layer in (nn.Linear(d, n), self.hidden())]
        model = nn.Sequential(*layers[:-1], *([self.head()] if self.head else []))
        for parameter, array in zip(model.parameters(), problem.parameters, strict=True):
            parameter.data = tl.tensor(array)
        return model


def training_step(
    net: nn.Module, loss_of: Callable[[nn.Module, tl.Tensor, tl.Tensor], tl.Tensor], lr: float = 0.1
) -> Callable[[tl.Tensor, tl.Tensor], tl.Tensor]:
    """The step that all of them share."""
    optimizer = tl.optim.SGD(net.parameters(), lr=lr)

    def step(x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
        optimizer.zero_grad()
        loss = loss_of(net, x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


# ---- the printed source


class Text:
    """A printed program, taken apart.

    Attributes
    ----------
    source : str
        As it was printed.
    lines : dict of str to str
        What each variable is assigned, in order.
    phase : dict of str to str
        Whether that happens in the forward, the backward or the update.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        (function,) = ast.parse(source).body
        self.lines, self.phase = {}, {}
        headings = [(number, line) for number, line in enumerate(source.splitlines(), 1) if "# ----" in line]
        for statement in function.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                self.lines[name] = ast.unparse(statement.value)
                self.phase[name] = [line.split()[-1] for number, line in headings if number < statement.lineno][-1]

    def in_phase(self, phase: str) -> list[str]:
        """The variables that are assigned there."""
        return [name for name, where in self.phase.items() if where == phase]

    def name_of(self, row: Row) -> str:
        """The variable that a row means."""
        if row.variable in self.lines:
            return row.variable
        names = [name for name, assigned in self.lines.items() if assigned == row.variable]
        if len(names) != 1:
            raise ValueError(f"the program has no variable {row.variable!r}")
        return names[0]

    def behind(self, names: Sequence[str]) -> list[list[str]]:
        """For each of the names: it, and before it what only leads to it, within the backward pass."""
        shown, found = set(names), []
        for name in names:
            needed, waiting = {name}, [name]
            while waiting:
                for used in _names_in(self.lines[waiting.pop()]):
                    if used not in shown and self.phase.get(used) == "backward":
                        shown.add(used)
                        needed.add(used)
                        waiting.append(used)
            found.append([name for name in self.lines if name in needed])
        return found

    def run(self, *arrays: Array, lr: float = 0.1) -> dict[str, Array]:
        """Run the source on the arrays; every variable's value at the end."""
        body, _, _ = self.source.rpartition("\n    return ")
        namespace: dict[str, Any] = {"np": np}
        exec(f"{body}\n    return locals()", namespace)
        values: dict[str, Array] = namespace["step"](*arrays, lr=lr)
        return values


def _names_in(expression: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}


# ---- losses


def binary(net: nn.Module, x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
    """Documents 000 and 001, two classes."""
    return F.binary_cross_entropy_with_logits(net(x), y)


def classes(net: nn.Module, x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
    """Documents 000, 002 and 004, many classes."""
    return F.cross_entropy(net(x), y)


def classes_and_penalty(net: nn.Module, x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
    """Document 001."""
    loss = F.cross_entropy(net(x), y)
    return loss + L2 / (2 * len(y)) * sum((weight**2).sum() for weight in net.parameters() if weight.ndim == 2)


def squared_error(net: nn.Module, x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
    """Document 003."""
    return 0.5 * F.mse_loss(net(x), y, reduction="sum")


L2 = 0.1


# ---- the documents' formulas on a problem


def by_variable(net: Sequence[Array]) -> dict[str, Array]:
    """Gradients of weights and biases in turn, under the names that the program has for them."""
    kinds = ("weight", "bias")
    return {f"d_layer{number // 2 * 2}_{kinds[number % 2]}": array for number, array in enumerate(net)}


def logistic(problem: Problem) -> dict[str, Array]:
    """Document 000; its formulas take a vector of weights and one sample."""
    (w,), b = problem.parameters
    return by_variable(document_000.logistic(w, b, problem.x[0], problem.y[0]))


def shallow(problem: Problem) -> dict[str, Array]:
    """Document 000."""
    return by_variable(document_000.shallow(*problem.parameters, problem.x[0], problem.y[0]))


def deep(problem: Problem) -> dict[str, Array]:
    """Document 000, many classes."""
    return by_variable(document_000.deep(*problem.parameters, x=problem.x[0], y=problem.one_hot[0], head=softmax))


def layers(problem: Problem) -> dict[str, Array]:
    """Document 001."""
    weights, biases = problem.parameters[::2], problem.parameters[1::2]
    head = document_001.multi_class_head
    found = document_001.backpropagate(weights, biases, problem.x, problem.one_hot, document_001.relu, head, L2)
    parameters = [array for pair in zip(found.W, found.b, strict=True) for array in pair]
    return {**by_variable(parameters), "d_layer0": found.Z[0], "d_layer2": found.Z[1], "d_relu1": found.A[0]}


def full_batch(problem: Problem) -> dict[str, Array]:
    """Document 002, without a penalty."""
    found = document_002.backward_prop(*problem.parameters, problem.x, problem.one_hot, lambda_=0.0)
    parameters = by_variable([found[name] for name in ("dW1", "db1", "dW2", "db2")])
    return {**parameters, "d_layer0": found["1/m dZ1"], "d_layer2": found["1/m dZ2"]}


def summed_error(problem: Problem) -> dict[str, Array]:
    """Document 003; its weights have the biases as a last column."""
    weights, biases = problem.parameters[::2], problem.parameters[1::2]
    joined = [np.column_stack(pair) for pair in zip(weights, biases, strict=True)]
    found = document_003.backpropagate(joined, problem.x, problem.y)
    parameters = by_variable([part for W in found.W for part in (W[:, :-1], W[:, -1])])
    cotangents = {f"d_layer{2 * number}": Z for number, Z in enumerate(found.Z)}
    outputs = {"d_relu1": found.Y[0], "d_relu3": found.Y[1], "sigmoid5 - y": found.Y[2]}
    return {**parameters, **cotangents, **outputs}


def from_scratch(problem: Problem) -> dict[str, Array]:
    """Document 004."""
    found = document_004.backpropagate(*problem.parameters, problem.x, problem.one_hot)
    parameters = by_variable([found[name] for name in ("dW1", "db1", "dW2", "db2")])
    return {**parameters, "d_layer0": found["dZ1 / s"], "d_layer2": found["dZ2 / s"]}


# ---- the nets

ONE_SAMPLE = (
    "The document has one sample as a vector `x`; here it is a batch of one, a row: `dz x^T` is the row "
    "scaled by each element of `dz`."
)
CHAIN = "`s'(z)` is `s (1 - s)`, of the output that the forward pass kept: two products, and no sigmoid again."
GATE = "`1[Z > 0]` is asked of the output, `A <= 0`, and `np.where` puts zeros there: the same gate, without a product."
HEAD = (
    "`P` is the quotient of the exponentials and their sums that the loss has already computed, `Y` a comparison "
    "of the labels with 0 ... 9: no array of one-hot rows comes in from outside."
)
MEAN = "The division by the number of samples stands in `d_layer2`, once, and not in each of the four gradients."

NETS = (
    Net(
        document="000",
        title="logistic, 3-1, one sample",
        widths=(3, 1),
        batch=1,
        hidden=nn.Sigmoid,
        loss=binary,
        derivation=document_000.DERIVATIONS[0],
        rows=[Row("db", "d_layer0_bias"), Row("dw", "d_layer0_weight")],
        derived=logistic,
        step_by_hand=by_hand.logistic,
        remarks=[
            ONE_SAMPLE,
            "The loss is computed from `z` in a form that neither overflows nor needs the document's 1e-8 in the "
            "logarithm, so its derivative is `p - y` everywhere.",
            "The document's prose has `(y - p) x` and subtracts it, which climbs; its code subtracts the step of the "
            "bias once per feature. The derived program does neither.",
        ],
    ),
    Net(
        document="000",
        title="shallow, 2-10-1, one sample",
        widths=(2, 10, 1),
        batch=1,
        hidden=nn.Sigmoid,
        loss=binary,
        derivation=document_000.DERIVATIONS[1],
        rows=[
            Row("db2", "d_layer2_bias"),
            Row("dW2", "d_layer2_weight"),
            Row("db1", "d_layer0_bias"),
            Row("dW1", "d_layer0_weight"),
        ],
        derived=shallow,
        step_by_hand=by_hand.shallow,
        remarks=[ONE_SAMPLE, CHAIN],
    ),
    Net(
        document="000",
        title="deep, many classes, 784-10-5-10, one sample",
        widths=(784, 10, 5, 10),
        batch=1,
        hidden=nn.Sigmoid,
        loss=classes,
        derivation=document_000.DERIVATIONS[3],
        rows=[
            Row("db_L", "d_layer4_bias", "L = 3"),
            Row("dW_L", "d_layer4_weight", "L = 3"),
            Row("db_l", "d_layer2_bias", "l = 2"),
            Row("dW_l", "d_layer2_weight", "l = 2"),
            Row("db_l", "d_layer0_bias", "l = 1"),
            Row("dW_l", "d_layer0_weight", "l = 1"),
        ],
        derived=deep,
        step_by_hand=by_hand.deep,
        remarks=[
            ONE_SAMPLE,
            CHAIN,
            HEAD,
            "The maximum is subtracted before the exponential; the document's softmax overflows without it.",
        ],
    ),
    Net(
        document="001",
        title="784-25-10, ReLU, L2 penalty, batch 128",
        widths=(784, 25, 10),
        batch=128,
        hidden=nn.ReLU,
        loss=classes_and_penalty,
        derivation=document_001.DERIVATIONS[0],
        rows=[
            Row("dZ_L", "d_layer2", "L = 2"),
            Row("dW_l", "d_layer2_weight", "l = 2"),
            Row("db_l", "d_layer2_bias", "l = 2"),
            Row("dA_l", "d_relu1", "l = 1"),
            Row("dZ_l", "d_layer0", "l = 1"),
            Row("dW_l", "d_layer0_weight", "l = 1"),
            Row("db_l", "d_layer0_bias", "l = 1"),
        ],
        derived=layers,
        step_by_hand=partial(
            by_hand.layers, l2=L2, activation=by_hand.relu, slope=by_hand.relu_slope, head=by_hand.softmax_head
        ),
        remarks=[
            HEAD,
            GATE,
            "The penalty's `l2/m` is one number (0.1 / 128); the 2 of the square and the 2 below the line cancel.",
        ],
    ),
    Net(
        document="002",
        title="784-20-10, ReLU, all 1,600 samples",
        widths=(784, 20, 10),
        batch=1600,
        hidden=nn.ReLU,
        loss=classes,
        derivation=document_002.DERIVATIONS[0],
        rows=[
            Row("1/m dZ2", "d_layer2"),
            Row("dW2", "d_layer2_weight"),
            Row("db2", "d_layer2_bias"),
            Row("1/m dZ1", "d_layer0"),
            Row("dW1", "d_layer0_weight"),
            Row("db1", "d_layer0_bias"),
        ],
        derived=full_batch,
        step_by_hand=by_hand.relu_classifier,
        remarks=[
            HEAD,
            MEAN,
            GATE,
            "`lambda` is 0 here; with a penalty there is one more line for each weight, as in document 001.",
            "The maximum is subtracted row by row; the document subtracts that of the whole matrix.",
        ],
    ),
    Net(
        document="003",
        title="784-500-250-1, ReLU, sigmoid, summed squared error, batch 1,000",
        widths=(784, 500, 250, 1),
        batch=1000,
        hidden=nn.ReLU,
        head=nn.Sigmoid,
        loss=squared_error,
        derivation=document_003.DERIVATIONS[0],
        rows=[
            Row("dC/dY_L", "sigmoid5 - y", "L = 3"),
            Row("dC/dZ_l", "d_layer4", "l = 3"),
            Row("dC/dW_l", "d_layer4_weight", "l = 3, without the column of biases"),
            Row("dC/dW_l", "d_layer4_bias", "l = 3, the column of biases"),
            Row("dC/dY_(l-1)", "d_relu3", "l = 3"),
            Row("dC/dZ_l", "d_layer2", "l = 2"),
            Row("dC/dW_l", "d_layer2_weight", "l = 2, without the column of biases"),
            Row("dC/dW_l", "d_layer2_bias", "l = 2, the column of biases"),
            Row("dC/dY_(l-1)", "d_relu1", "l = 2"),
            Row("dC/dZ_l", "d_layer0", "l = 1"),
            Row("dC/dW_l", "d_layer0_weight", "l = 1, without the column of biases"),
            Row("dC/dW_l", "d_layer0_bias", "l = 1, the column of biases"),
        ],
        derived=summed_error,
        step_by_hand=by_hand.squared_error,
        remarks=[
            "`y_hat - y` was computed for the loss; the 2 of the square and the 1/2 before the sum cancel.",
            "A column of ones times `dC/dZ` is its sum over the samples: the bias has a line of its own.",
            "Each layer multiplies by the gradient of its own output, and weights go back without their biases: the "
            "document's printed formulas 1 and 3 have neither.",
            GATE,
        ],
    ),
    Net(
        document="004",
        title="784-100-10, sigmoid, batch 50",
        widths=(784, 100, 10),
        batch=50,
        hidden=nn.Sigmoid,
        loss=classes,
        derivation=document_004.DERIVATIONS[0],
        rows=[
            Row("dZ2 / s", "d_layer2"),
            Row("dW2", "d_layer2_weight"),
            Row("db2", "d_layer2_bias"),
            Row("dZ1 / s", "d_layer0"),
            Row("dW1", "d_layer0_weight"),
            Row("db1", "d_layer0_bias"),
        ],
        derived=from_scratch,
        step_by_hand=by_hand.sigmoid_classifier,
        remarks=[HEAD, MEAN + " It is by `s`; the document's code divides by `s + 1`.", CHAIN],
    ),
)
"""The documents' dense nets, at their sizes."""
