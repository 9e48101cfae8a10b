"""What every primitive does at its edges, as a table; ``python -m tests.edges`` writes it to docs/edges.md.

``test_edges.py`` holds each row against us and against PyTorch, and the page against this table. A new primitive
needs a row in ``EDGES`` or, if nothing can go wrong with it, a word in ``NO_EDGE``.
"""

import math
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PAGE = Path(__file__).parent.parent / "docs" / "edges.md"

NAN, INF = math.nan, math.inf
FLOAT32_1E12 = float(np.float32(1e-12))


class Result(NamedTuple):
    """A value, or the exception raised instead, and for each input the gradient of the sum of the value."""

    value: Any
    gradients: tuple[Any, ...] = ()


class Edge(NamedTuple):
    """One row: ``code``, for inputs named x, y, z, gives ``ours`` here and ``theirs`` in PyTorch."""

    primitives: str  # those whose edge it shows, separated by spaces
    edge: str
    code: str
    inputs: tuple[Any, ...]
    ours: Result
    theirs: Result
    why: str


def row(primitives, edge, code, inputs, value, gradients=(), why="", *, torch=None):
    """A row; an input whose gradient is None, or not given, requires none. ``torch`` if PyTorch's result is another."""
    ours = Result(value, gradients)
    return Edge(primitives, edge, code, inputs, ours, Result(*torch) if torch else ours, why)


def run(edge, xp):
    """The result in a namespace, ``tinygrad_lite`` or ``torch``, as arrays; floats are float64."""
    inputs = [tensor(x, xp, wanted(edge, i)) for i, x in enumerate(edge.inputs)]
    names = {**vars(xp), "F": xp.nn.functional, "np": np, **dict(zip("xyz", inputs, strict=False))}
    try:
        out = eval(edge.code, names)
    except Exception as error:
        return Result(type(error))
    leaves = [x for x in inputs if x.requires_grad]
    found = iter(xp.autograd.grad(out.sum(), leaves, allow_unused=True) if leaves else ())
    gradients = tuple(array(next(found)) if x.requires_grad else None for x in inputs)
    return Result(array(out), gradients)


def tensor(values, xp, requires_grad):
    values = np.asarray(values)
    return xp.tensor(values, dtype=getattr(xp, values.dtype.name), requires_grad=requires_grad)


def array(result):
    return None if result is None else result.detach().numpy()


def wanted(edge, i):
    """Whether the row states a gradient with respect to this input."""
    return i < len(edge.ours.gradients) and edge.ours.gradients[i] is not None


def empty(*shape, dtype="float64"):
    return np.zeros(shape, dtype)


FIRST = "autograd.grad(x.prod(), x, create_graph=True)[0]"

# fmt: off
EDGES = {
    "Kinks: which subgradient": [
        row("relu", "at 0", "relu(x)", ([0.0],), [0.0], ([0.0],), "0 of [0, 1]: a closed gate passes nothing"),
        row("relu", "a hinge at its corner", "relu(1 - x)", ([1.0],), [0.0], ([0.0],),
            "a margin just met costs nothing"),
        row("_gated relu", "inf behind a closed gate", "sqrt(relu(x))", ([-1.0],), [0.0], ([0.0],),
            "the gate chooses, it does not multiply: 0 * inf would be nan"),
        row("abs", "at 0", "abs(x)", ([0.0],), [0.0], ([0.0],), "the middle of [-1, 1], where a minimum has it"),
        row("abs", "L1 loss of what is met", "F.l1_loss(x, y)", ([1.0, 2.0], [1.0, 4.0]), 1.0, ([0.0, -0.5], None),
            "the subgradient of abs at 0, over n"),
        row("_clip", "at its bounds", "clamp(x, -1, 1)", ([-1.0, 1.0],), [-1.0, 1.0], ([1.0, 1.0],),
            "a bound belongs to the inside: a weight that was clipped to it can still move"),
        row("_clip", "a hinge at its corner", "clamp(1 - x, min=0)", ([1.0],), [0.0], ([-1.0],),
            "as above; relu is 0 there"),
        row("_clip", "bounds that cross", "clamp(x, 1, -1)", ([0.0],), [-1.0], ([0.0],),
            "the upper bound is applied last"),
        row("_clip", "hardsigmoid at its corners", "F.hardsigmoid(x)", ([-3.0, 3.0],), [0.0, 1.0], ([1 / 6, 1 / 6],),
            "it is a clamp, whose bounds belong to the inside", torch=([0.0, 1.0], ([0.0, 0.0],))),
        row("sign", "at 0", "sign(x)", ([0.0, -0.0],), [0.0, 0.0], ([0.0, 0.0],), "constant almost everywhere"),
        row("round", "halves", "round(x)", ([0.5, 1.5, 2.5, -0.5],), [0.0, 2.0, 2.0, 0.0], ([0.0, 0.0, 0.0, 0.0],),
            "to the even neighbour, which is unbiased"),
        row("trunc", "at a jump", "trunc(x)", ([1.0, -1.5],), [1.0, -1.0], ([0.0, 0.0],), "constant almost everywhere"),
        row("floor", "at a jump", "floor(x)", ([1.0, -1.5],), [1.0, -2.0], ([0.0, 0.0],), "constant almost everywhere"),
        row("ceil", "at a jump", "ceil(x)", ([1.0, -1.5],), [1.0, -1.0], ([0.0, 0.0],), "constant almost everywhere"),
    ],
    "Ties: who gets the gradient": [
        row("fmax", "equal operands", "fmax(x, y)", ([1.0], [1.0]), [1.0], ([1.0], [0.0]),
            "all to the first, as PyTorch has it, though it halves for maximum"),
        row("fmin", "equal operands", "fmin(x, y)", ([1.0], [1.0]), [1.0], ([1.0], [0.0]), "as fmax"),
        row("_argsort", "equal elements", "argsort(x, stable=True)", ([2.0, 1.0, 2.0],), [1, 0, 2], (),
            "their order stays"),
        row("maximum", "equal operands", "maximum(x, y)", ([1.0], [1.0]), [1.0], ([0.5], [0.5]),
            "half each, so that the two add up to 1"),
        row("minimum", "equal operands", "minimum(x, y)", ([1.0], [1.0]), [1.0], ([0.5], [0.5]), "half each"),
        row("_amax", "equal maxima", "x.amax(0)", ([2.0, 1.0, 2.0],), 2.0, ([0.5, 0.0, 0.5],), "shared evenly"),
        row("_amin", "equal minima", "x.amin(0)", ([1.0, 1.0, 2.0],), 1.0, ([0.5, 0.5, 0.0],), "shared evenly"),
        row("_amax", "of everything", "x.max()", ([2.0, 1.0, 2.0],), 2.0, ([0.5, 0.0, 0.5],), "shared evenly"),
        row("_amin", "of everything", "x.min()", ([1.0, 1.0, 2.0],), 1.0, ([0.5, 0.5, 0.0],), "shared evenly"),
        row("_argmax take_along", "along a dimension", "x.max(0).values", ([2.0, 1.0, 2.0],), 2.0, ([1.0, 0.0, 0.0],),
            "to the element whose index is returned beside it: the first"),
        row("_argmax", "equal maxima", "argmax(x)", ([2.0, 1.0, 2.0],), 0, (), "the first"),
        row("_argmin", "equal minima", "argmin(x)", ([2.0, 1.0, 1.0],), 1, (), "the first"),
    ],
    "Powers, roots, logarithms, quotients at 0": [
        row("log2", "at 0", "log2(x)", ([0.0],), [-INF], ([INF],), "the limits"),
        row("log10", "at 0", "log10(x)", ([0.0],), [-INF], ([INF],), "the limits"),
        row("_cbrt", "at 0", "np.cbrt(x)", ([0.0],), [0.0], ([INF],), "the tangent is vertical; PyTorch has none",
            torch=(RuntimeError,)),
        row("asin", "at 1 and beyond", "asin(x)", ([1.0, 2.0],), [math.pi / 2, NAN], ([INF, NAN],),
            "a vertical tangent; no angle"),
        row("acos", "at 1 and beyond", "acos(x)", ([1.0, 2.0],), [0.0, NAN], ([-INF, NAN],),
            "a vertical tangent; no angle"),
        row("acosh", "at 1 and below", "acosh(x)", ([1.0, 0.5],), [0.0, NAN], ([INF, NAN],),
            "a vertical tangent; no number"),
        row("atanh", "at 1", "atanh(x)", ([1.0],), [INF], ([INF],), "the limits"),
        row("sinc", "at 0", "sinc(x)", ([0.0],), [1.0], ([0.0],), "the limit of sin(pi x) / (pi x)"),
        row("hypot", "at 0", "hypot(x, y)", ([0.0], [0.0]), [0.0], ([NAN], [NAN]), "the tip of a cone: 0 / 0"),
        row("atan2", "at 0", "atan2(x, y)", ([0.0], [0.0]), [0.0], ([0.0], [0.0]),
            "no direction is more right than another: 0, which does no harm"),
        row("copysign", "of 0", "copysign(x, y)", ([0.0], [-1.0]), [0.0], ([0.0], [0.0]), "the subgradient of abs"),
        row("sqrt", "at 0", "sqrt(x)", ([0.0],), [0.0], ([INF],), "the tangent is vertical"),
        row("sqrt", "below 0", "sqrt(x)", ([-1.0],), [NAN], ([NAN],), "no real number"),
        row("log", "at 0", "log(x)", ([0.0],), [-INF], ([INF],), "the limits"),
        row("log", "below 0", "log(x)", ([-1.0],), [NAN], ([-1.0],), "the rule 1 / x; the value is nan already"),
        row("log1p", "at -1", "log1p(x)", ([-1.0],), [-INF], ([INF],), "the limits"),
        row("log1p expm1", "near 0", "log1p(x) + expm1(x)", ([1e-20],), [2e-20], ([2.0],), "no digit is lost"),
        row("reciprocal", "at 0", "reciprocal(x)", ([0.0],), [INF], ([-INF],), "the limits from the right"),
        row("div", "1 / 0", "x / y", ([1.0], [0.0]), [INF], ([INF], [-INF]), "IEEE 754, as are the next ones"),
        row("div", "0 / 0", "x / y", ([0.0], [0.0]), [NAN], ([INF], [NAN]), "the rules 1 / y and -(x / y) / y"),
        row("_power", "0 ** 0", "x ** y", ([0.0], [0.0]), [1.0], ([0.0], [0.0]),
            "x ** 0 is 1 for every x: constant; 0 ** y is 0 for every y above 0"),
        row("_power", "x ** 0", "x ** 0", ([0.0, NAN],), [1.0, 1.0], ([0.0, 0.0],), "constant, even at nan"),
        row("_power", "0 ** 2, both move", "x ** y", ([0.0], [2.0]), [0.0], ([0.0], [0.0]),
            "0 ** y does not move with y: 0 instead of 0 * log(0)"),
        row("_power", "0 ** 0.5", "x ** 0.5", ([0.0],), [0.0], ([INF],), "the root's"),
        row("_power", "0 ** -1", "x ** -1", ([0.0],), [INF], ([-INF],), "as 1 / x"),
        row("_power", "negative ** fraction", "x ** 0.5", ([-1.0],), [NAN], ([NAN],), "no real number"),
        row("_power", "negative ** whole, both move", "x ** y", ([-2.0], [2.0]), [4.0], ([-4.0], [NAN]),
            "between whole exponents there is no real power, so no derivative by y"),
        row("_power", "integer ** negative integer", "x ** y", ([2], [-1]), RuntimeError, (),
            "the power is a fraction: convert first", torch=([0],)),
    ],
    "A branch that is not taken": [
        row("_where", "a root at 0", "where(x > 0, sqrt(x), 0 * x)", ([0.0],), [0.0], ([NAN],),
            "the untaken branch gets the cotangent 0, and 0 * inf is nan, as by the chain rule: guard its input"),
        row("_where", "its input guarded", "where(x > 0, sqrt(where(x > 0, x, 1 + 0 * x)), 0 * x)", ([0.0],), [0.0],
            ([0.0],), "the root sees 1 where it is not taken"),
        row("_where", "nan that is not taken", "where(x > 0, x, 2 * y)", ([NAN], [1.0]), [2.0], ([0.0], [2.0]),
            "it is chosen, not multiplied by 0"),
    ],
    "Products with zeros": [
        row("mul", "one zero", "x.prod()", ([0.0, 2.0, 3.0],), 0.0, ([6.0, 0.0, 0.0],),
            "the product of the others, exactly: nothing is divided by a factor"),
        row("mul", "two zeros", "x.prod()", ([0.0, 0.0, 3.0],), 0.0, ([0.0, 0.0, 0.0],),
            "each factor has a zero beside it"),
        row("mul", "three zeros", "x.prod()", ([0.0, 0.0, 0.0],), 0.0, ([0.0, 0.0, 0.0],), "as above"),
        row("mul", "one zero, second order", FIRST, ([0.0, 2.0, 3.0],), [6.0, 0.0, 0.0], ([5.0, 3.0, 2.0],),
            "column sums of the matrix of products without two factors"),
        row("mul", "two zeros, second order", FIRST, ([0.0, 0.0, 3.0],), [0.0, 0.0, 0.0], ([3.0, 3.0, 0.0],),
            "what both zeros leave is 3"),
        row("mul", "three zeros, second order", FIRST, ([0.0, 0.0, 0.0],), [0.0, 0.0, 0.0], ([0.0, 0.0, 0.0],),
            "two factors gone, one zero remains"),
        row("mul", "0 * inf", "x * y", ([0.0], [INF]), [NAN], ([INF], [0.0]), "IEEE 754"),
    ],
    "Equal values, one value, none": [
        row("_root_of_variance", "equal values", "x.std()", ([2.0, 2.0, 2.0],), 0.0, ([0.0, 0.0, 0.0],),
            "the deviation is at its minimum: 0 instead of 0 / 0"),
        row("_root_of_variance", "one value", "x.std()", ([2.0],), NAN, ([NAN],), "0 / 0: nothing is left to vary"),
        row("_mean", "variance of equal values", "x.var()", ([2.0, 2.0],), 0.0, ([0.0, 0.0],), "its minimum"),
        row("_mean", "variance of one value", "x.var()", ([2.0],), NAN, ([NAN],), "0 / 0"),
        row("_mean", "variance of none", "x.var()", (empty(0),), NAN, (empty(0),), "0 / 0"),
        row("_sum", "of none", "x.sum()", (empty(0),), 0.0, (empty(0),), "the neutral element"),
        row("_sum", "prod of none", "x.prod()", (empty(0),), 1.0, (empty(0),), "the neutral element"),
        row("_mean", "of none", "x.mean()", (empty(0),), NAN, (empty(0),), "0 / 0"),
        row("_mean", "of none, by rows", "x.mean(1)", (empty(2, 0),), [NAN, NAN], (empty(2, 0),), "0 / 0"),
        row("_amax", "of none", "x.max()", (empty(0),), RuntimeError, (), "there is no largest element"),
        row("_amax", "of none along a dimension", "x.amax(1)", (empty(2, 0),), IndexError, (),
            "there is no largest element"),
        row("_argmax", "of none", "argmax(x)", (empty(0),), IndexError, (), "there is nothing to choose"),
        row("_any", "of none", "any(x)", (empty(0, dtype="bool"),), False, (), "the neutral element"),
        row("_all", "of none", "all(x)", (empty(0, dtype="bool"),), True, (), "the neutral element"),
        row("_matmul", "no inner dimension", "x @ y", (empty(2, 0), empty(0, 1)), [[0.0], [0.0]],
            (empty(2, 0), empty(0, 1)), "sums of nothing"),
        row("_softmax", "of none", "softmax(x, 0)", (empty(0),), empty(0), (empty(0),), "nothing"),
        row("_softmax", "of one", "softmax(x, 0)", ([5.0],), [1.0], ([0.0],), "certain, whatever the logit"),
        row("_log_softmax", "of none", "log_softmax(x, 0)", (empty(0),), empty(0), (empty(0),), "nothing"),
        row("_logsumexp", "of none", "logsumexp(x, 0)", (empty(0),), -INF, (empty(0),), "log of the empty sum"),
        row("_logsumexp", "of one", "logsumexp(x, 0)", ([5.0],), 5.0, ([1.0],), "the value itself"),
        row("_cross_entropy", "of no samples", "F.cross_entropy(x, y)", (empty(0, 3), empty(0, dtype="int64")), NAN,
            (empty(0, 3), None), "the mean of none"),
        row("_cross_entropy", "every sample ignored", "F.cross_entropy(x, y)", ([[1.0, 2.0]], [-100]), NAN,
            ([[0.0, 0.0]], None), "the mean of none; an ignored sample has the gradient 0"),
    ],
    "Rows of -inf": [
        row("logaddexp", "both -inf", "logaddexp(x, y)", ([-INF], [-INF]), [-INF], ([NAN], [NAN]),
            "log(0), by the difference of the two"),
        row("logaddexp2", "both -inf", "logaddexp2(x, y)", ([-INF], [-INF]), [-INF], ([NAN], [NAN]), "as logaddexp"),
        row("_softmax", "all -inf", "softmax(x, 0)", ([-INF, -INF],), [NAN, NAN], ([NAN, NAN],), "0 / 0"),
        row("_softmax", "one -inf", "softmax(x, 0)[0]", ([0.0, -INF],), 1.0, ([0.0, 0.0],), "a class masked out"),
        row("_log_softmax", "all -inf", "log_softmax(x, 0)", ([-INF, -INF],), [NAN, NAN], ([NAN, NAN],), "log(0 / 0)"),
        row("_log_softmax", "one -inf", "log_softmax(x, 0)[0]", ([0.0, -INF],), 0.0, ([0.0, 0.0],),
            "a class masked out"),
        row("_logsumexp", "all -inf", "logsumexp(x, 0)", ([-INF, -INF],), -INF, ([0.0, 0.0],),
            "log(0); a masked row must not spoil the gradients of all others", torch=(-INF, ([NAN, NAN],))),
        row("_logsumexp", "one -inf", "logsumexp(x, 0)", ([0.0, -INF],), 0.0, ([1.0, 0.0],), "a class masked out"),
        row("_cross_entropy", "all -inf", "F.cross_entropy(x, y)", ([[-INF, -INF]], [0]), NAN, ([[NAN, NAN]], None),
            "-log(0 / 0)"),
        row("_cross_entropy", "the target's is -inf", "F.cross_entropy(x, y)", ([[0.0, -INF]], [1]), INF,
            ([[1.0, -1.0]], None), "the gradient is still softmax - target"),
    ],
    "Far out: what must not overflow": [
        row("exp2", "large", "exp2(x)", ([2000.0, -2000.0],), [INF, 0.0], ([INF, 0.0],), "the limits"),
        row("sinh", "large", "sinh(x)", ([1000.0],), [INF], ([INF],), "the limits"),
        row("cosh", "large", "cosh(x)", ([1000.0],), [INF], ([INF],), "the limits"),
        row("logaddexp", "large", "logaddexp(x, y)", ([1e4], [0.0]), [1e4], ([1.0], [0.0]), "as logsumexp"),
        row("logaddexp2", "large", "logaddexp2(x, y)", ([1e4], [0.0]), [1e4], ([1.0], [0.0]), "as logsumexp"),
        row("exp", "large", "exp(x)", ([1000.0, -1000.0],), [INF, 0.0], ([INF, 0.0],),
            "beyond the largest float64, e ** 709.8"),
        row("expm1", "large", "expm1(x)", ([1000.0, -1000.0],), [INF, -1.0], ([INF, 0.0],), "the limits"),
        row("sigmoid", "large", "sigmoid(x)", ([1000.0, -1000.0],), [1.0, 0.0], ([0.0, 0.0],), "saturated"),
        row("tanh", "large", "tanh(x)", ([1000.0, -1000.0],), [1.0, -1.0], ([0.0, 0.0],), "saturated"),
        row("softplus", "large", "F.softplus(x)", ([1000.0, -1000.0],), [1000.0, 0.0], ([1.0, 0.0],),
            "the straight lines"),
        row("_softmax", "large", "softmax(x, 0)[0]", ([1e4, 0.0],), 1.0, ([0.0, 0.0],),
            "the largest logit is subtracted first"),
        row("_log_softmax", "large", "log_softmax(x, 0)", ([0.0, 1e4],), [-1e4, 0.0], ([1.0, -1.0],),
            "exact where the softmax is 0"),
        row("_logsumexp", "large", "logsumexp(x, 0)", ([1e4, 0.0],), 1e4, ([1.0, 0.0],),
            "the largest is subtracted first"),
        row("_cross_entropy", "large", "F.cross_entropy(x, y)", ([[1e4, 0.0]], [1]), 1e4, ([[1.0, -1.0]], None),
            "through logarithms of sums: log(0) nowhere"),
        row("logistic_loss", "large logits, wrong", "F.binary_cross_entropy_with_logits(x, y)",
            ([1000.0, -1000.0], [0.0, 1.0]), 1000.0, ([0.5, -0.5], None), "-log(1 - s) is the logit itself"),
        row("logistic_loss", "large logits, right", "F.binary_cross_entropy_with_logits(x, y)",
            ([1000.0, -1000.0], [1.0, 0.0]), 0.0, ([0.0, 0.0], None), "nothing to learn"),
        row("binary_cross_entropy", "certain and wrong", "F.binary_cross_entropy(x, y)", ([0.0, 1.0], [1.0, 0.0]),
            100.0, ([-5e11, 5e11], None),
            "logarithms are at least -100, the divisor p (1 - p) at least 1e-12, which PyTorch rounds to float32",
            torch=(100.0, ([-0.5 / FLOAT32_1E12, 0.5 / FLOAT32_1E12], None))),
        row("binary_cross_entropy", "certain and right", "F.binary_cross_entropy(x, y)", ([0.0, 1.0], [0.0, 1.0]), 0.0,
            ([0.0, 0.0], None), "0 * log(0) is 0"),
        row("sin cos", "at infinity", "sin(x) + cos(x)", ([INF],), [NAN], ([NAN],), "no limit"),
    ],
    "nan": [
        row("fmax", "beside a number", "fmax(x, y)", ([NAN], [1.0]), [1.0], ([0.0], [1.0]), "the number is the result"),
        row("fmin", "beside a number", "fmin(x, y)", ([NAN], [1.0]), [1.0], ([0.0], [1.0]), "the number is the result"),
        row("_nan_to_num", "and inf", "nan_to_num(x)", ([NAN, INF, 2.0],), [0.0, np.finfo(np.float64).max, 2.0],
            ([0.0, 0.0, 1.0],), "what is put in does not move with x"),
        row("maximum", "beside a number", "maximum(x, y)", ([NAN], [1.0]), [NAN], ([1.0], [1.0]),
            "nan goes through; neither operand is the smaller one"),
        row("minimum", "beside a number", "minimum(x, y)", ([NAN], [1.0]), [NAN], ([1.0], [1.0]), "as maximum"),
        row("_amax", "among numbers", "x.max()", ([1.0, NAN],), NAN, ([NAN, NAN],),
            "no element equals nan: it is shared by none, 0 / 0", torch=(NAN, ([0.0, 1.0],))),
        row("_amax", "among numbers, by dimension", "x.amax(0)", ([1.0, NAN],), NAN, ([NAN, NAN],), "as above"),
        row("_amin", "among numbers, by dimension", "x.amin(0)", ([1.0, NAN],), NAN, ([NAN, NAN],), "as above"),
        row("_argmax", "among numbers", "argmax(x)", ([1.0, NAN, NAN],), 1, (), "the first nan"),
        row("relu", "", "relu(x)", ([NAN],), [NAN], ([1.0],), "nan goes through, and so does its cotangent"),
        row("_clip", "", "clamp(x, -1, 1)", ([NAN],), [NAN], ([1.0],),
            "nan lies beyond no bound: the cotangent passes with the value", torch=([NAN], ([0.0],))),
        row("abs", "", "abs(x)", ([NAN],), [NAN], ([NAN],), "as the sign, which PyTorch takes to be 0",
            torch=([NAN], ([0.0],))),
        row("sign", "", "sign(x)", ([NAN],), [NAN], ([0.0],), "nan goes through", torch=([0.0], ([0.0],))),
        row("mul", "prod", "x.prod()", ([1.0, NAN, 3.0],), NAN, ([NAN, 3.0, NAN],),
            "the product of the others, exactly; PyTorch divides by the factor", torch=(NAN, ([NAN, NAN, NAN],))),
    ],
    "Integer division": [
        row("fmod", "signs", "fmod(x, y)", ([7, -7, 7, -7], [3, 3, -3, -3]), [1, -1, 1, -1], (),
            "the sign of the dividend"),
        row("fmod", "floats by 0", "fmod(x, y)", ([1.0], [0.0]), [NAN], ([1.0], [-INF]),
            "the rules 1 and -trunc(x / y)"),
        row("floor_divide", "signs", "x // y", ([7, -7, 7, -7], [2, 2, -2, -2]), [3, -4, -4, 3], (), "towards -inf"),
        row("remainder", "signs", "x % y", ([7, -7, 7, -7], [3, 3, -3, -3]), [1, 2, -2, -1], (),
            "the sign of the divisor: x == y * (x // y) + x % y"),
        row("floor_divide", "integers by 0", "x // y", ([1], [0]), RuntimeError, (), "integers have no inf"),
        row("remainder", "integers by 0", "x % y", ([1], [0]), RuntimeError, (), "integers have no nan"),
        row("floor_divide", "floats by 0", "x // y", ([1.0, -1.0, 0.0], [0.0, 0.0, 0.0]), [INF, -INF, NAN], (),
            "as x / y"),
        row("remainder", "floats by 0", "x % y", ([1.0], [0.0]), [NAN], ([1.0], [-INF]), "the rules 1 and -(x // y)"),
        row("remainder", "at a jump", "x % y", ([6.0], [3.0]), [0.0], ([1.0], [-2.0]), "the slope to the right"),
        row("div", "integers by 0", "x / y", ([1, 0], [0, 0]), np.array([INF, NAN], np.float32), (),
            "true division is of floats"),
    ],
}
# fmt: on

NO_EDGE = {
    "polynomial": "add sub neg square _linear _cumsum deg2rad rad2deg",
    "smooth": "tan atan asinh",
    "copying": """clone _flip _roll _diagonal _slice _unslice _take _add_at put _add_along _reshape _permute _expand
        _concatenate""",
    "boolean": """eq ne lt le gt ge logical_and logical_or logical_xor logical_not isnan isinf isfinite
        bitwise_and bitwise_or bitwise_xor bitwise_not""",
    "checking": "in_range",
}
"""By reason in a word, the primitives that have nothing to tell."""


def written(values):
    """A value of the table as it is printed."""
    if isinstance(values, type):
        return f"{values.__name__}"
    values = np.asarray(values)
    if values.size == 0:
        return f"empty {values.shape}"
    if values.ndim:
        return f"[{', '.join(map(written, values))}]"
    return f"{values + 0:.6g}" if values.dtype.kind == "f" else str(values)  # + 0: without the sign of -0


def cells(edge, result):
    """What a result's value and gradients look like; a gradient of one input stands alone."""
    if isinstance(result.value, type):
        return f"raises {written(result.value)}", ""
    gradients = [(name, g) for name, g in zip("xyz", result.gradients, strict=False) if g is not None]
    many = len(gradients) > 1
    return written(result.value), ", ".join(f"{name}: {written(g)}" if many else written(g) for name, g in gradients)


def line(edge):
    where = ", ".join(f"{name} = {written(x)}" for name, x in zip("xyz", edge.inputs, strict=False))
    ours = cells(edge, edge.ours)
    theirs = "same" if edge.theirs is edge.ours else "; ".join(filter(None, cells(edge, edge.theirs)))
    names = ", ".join(f"`{name.removeprefix('_')}`" for name in edge.primitives.split())
    return f"| {names} | {edge.edge} | `{edge.code}` | {where} | {' | '.join(ours)} | {theirs} | {edge.why} |"


def page():
    """The text of docs/edges.md."""
    intro = """\
        What happens where a function has a corner, a pole, a tie or nothing to work on. `python -m tests.edges` writes
        this page from the table in `tests/edges.py`; `tests/test_edges.py` holds every row against the library, and
        its PyTorch column against PyTorch. Numbers are float64, the gradient is that of the sum of the value."""
    none = "; ".join(
        f"{reason}: {', '.join(f'`{name}`' for name in names.split())}" for reason, names in NO_EDGE.items()
    )
    parts = ["# Edges", textwrap.fill(textwrap.dedent(intro), 120)]
    for title, rows in EDGES.items():
        head = "| primitive | edge | expression | inputs | value | gradient | PyTorch | why |\n|-|-|-|-|-|-|-|-|"
        parts += [f"## {title}", "\n".join([head, *map(line, rows)])]
    parts += ["## Without an edge", textwrap.fill(none + ".", 120)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
