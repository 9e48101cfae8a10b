"""``python -m derivations.compiled``: the programs of the documents' nets beside their formulas, as a page."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from derivations.counts import KINDS, operations
from derivations.programs import NETS, Net, Text, training_step
from examples.files import whole

__all__ = ["PAGE", "main", "page"]

PAGE = Path(__file__).parent.parent / "docs" / "compile.md"

INTRODUCTION = """\
# Compiling a step

`tl.compile` turns a training step, or a module, into a program that does the same without a graph and without Python
between the operations. What it computes can be read: `source()` prints the program as NumPy code, and that is the
backpropagation which the five documents write by hand. `python -m derivations.compiled` writes this page; a test runs
every program on it and holds each line against the document's formula.

## How to use it

```python
@tl.compile
def step(x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss


for x, y in loader:
    loss = step(x, y)
```

The first calls run as ever and are recorded. When two recordings agree, they are the program; its first run is held
against one more eager step (loss, gradients and state, 1e-4 of their norm in float32, 1e-10 in float64), and a larger
difference is an error. From then on the program runs. Parameters, gradients, buffers and the optimizer's state live
where they did, so checkpoints, metrics and other code see them change.

| written | meaning |
|-|-|
| `fast = tl.compile(step)` | a function like `step`; a decorator as well, with options `@tl.compile(fullgraph=True)` |
| `fast = tl.compile(net)` | a module like `net`, for a loop of your own: forward and backward are programs |
| `fullgraph=True` | RuntimeError instead of running eagerly |
| `backend="native"` | loops compiled by LLVM, matrix products by BLAS; needs the extra `fast` |
| `backend="numpy"` | the recorded NumPy calls, in memory allocated once; bit for bit what eager mode computes |
| `backend="auto"` | native where llvmlite is installed, else NumPy; the default |
| `fast.source()` | the latest program after algebra, as on this page |
| `fast.source(exact=True)` | the very calls that were recorded |
| `fast.explain()` | what the programs are made of, or why there is none |

## What holds, what is read, what stays eager

**A program holds** for the shapes, dtypes and `requires_grad` of the arguments, and for every Python value that the
step can reach: ints, floats, bools and strings in its globals, its closure and its objects, the training mode of its
modules, which parameters are frozen. Another kind of call, as a smaller last batch, gets a program of its own. Eight
are kept; the one that was used longest ago makes way. Each thread has its own programs.

**Read at each call** are the arrays themselves, and the optimizer's hyperparameters: a scheduler that changes the
learning rate costs nothing. After `load_state_dict`, or when a parameter's data were replaced, the program follows.
Random numbers are drawn anew and follow `manual_seed`. Checks of values stay in the program: a label out of range is an
error, in the words of eager mode.

**Eager stays** what cannot be replayed: a branch on a tensor's value, `item()` in a computation, a shape that depends
on the elements, printing a tensor, Python's random numbers. Recording finds it, one warning names the line and the
reason, and the numbers are those of eager mode.
So do steps with a `Function` of your own, `checkpoint` or hooks, steps that change an argument in place, and steps that
count something (`self.step_count += 1`): count outside.

**Not watched** is what Python reads in other ways: a module imported inside the function, defaults and attributes of
functions, iterators, environment variables, the clock, the order of a dict's keys, packages under `site-packages`, and
containers other than lists, tuples, dicts, sets and deques. What of that is another at every call is found, since two
recordings differ; what changes later is not. Make it an argument, a global or an attribute.

**`explain()`** tells for each program:

| line | meaning |
|-|-|
| `for x float32[1600, 784], ...` | the arguments it is for |
| `changes`, `leaves gradients of` | what it writes outside: in place, and in `.grad` |
| `fused loops` | native: operations that share a loop, and its extent |
| `NumPy calls` | the NumPy backend's, by name |
| `matrix products`, `calls of NumPy` | native: what BLAS computes, and what NumPy does, since native code does not |
| `holds ... bytes` | memory that lives as long as the program: results on the way, and gradients |
| `reads at each call` | hyperparameters |
| `holds while ...` | how many values are looked at in each call |
| `baked in` | arrays that the step made with the same elements each time, and the line that made them |

## The documents' nets

Every net below is compiled from this step, in float64; the names come from its modules (`layer0` is what module 0
returns) and `d_` is the gradient of what follows.

```python
{step}
```

Under each program stand the document's formulas, for samples as rows (so those of documents 001 to 004 are transposed;
`*` is elementwise, `s` the sigmoid, `1[.]` the indicator), and the lines of the program that compute them, the last one
of each row what the formula gives. `tests/derivations/test_compiled.py` runs the program on other data and finds both
equal, to 1e-10 of the largest element; and no line of a backward pass is left over."""

COUNTS = """\
## Derived and written by hand

NumPy operations of a step: forward, loss, backward and update; left those of the step written by hand
(`benchmarks/by_hand.py`), right those of the program above. Views are no operations. The derived program makes the same
products as the hand-written one, and no others: it does not compute the gradient of the samples. Elsewhere they
differ a little: `np.logaddexp` by hand is `exp` and `log1p` in the program; sums over one sample are gone; labels are
checked, looked up for the loss and compared for `Y`, where by hand they index the probabilities three times."""


def page() -> str:
    """The whole page, in Markdown."""
    texts = [net.text() for net in NETS]
    step = textwrap.dedent(inspect.getsource(training_step)).rstrip()
    sections = ["\n\n".join(section(net, text)) for net, text in zip(NETS, texts, strict=True)]
    counts = "\n".join(table_of_counts(texts))
    return "\n\n".join([INTRODUCTION.format(step=step), *sections, COUNTS, counts]) + "\n"


def section(net: Net, text: Text) -> Iterator[str]:
    """One net: its program, the formulas beside the lines, and where they differ."""
    yield f"### Document {net.document}: {net.title}"
    yield f"`{net.derivation.loss}`"
    yield f"```python\n{text.source}\n```"
    yield "\n".join(table_of_formulas(net, text))
    yield "\n".join(f"- {remark}" for remark in net.remarks)


def table_of_formulas(net: Net, text: Text) -> Iterator[str]:
    """A row for every formula and layer."""
    yield "| document | program |"
    yield "|-|-|"
    names = [text.name_of(row) for row in net.rows]
    for row, lines in zip(net.rows, text.behind(names), strict=True):
        program = "<br>".join(f"`{name} = {text.lines[name]}`" for name in lines)
        layer = f" ({row.layer})" if row.layer else ""
        yield f"| `{row.formula} = {net.derivation.formulas[row.formula]}`{layer} | {program} |"


def table_of_counts(texts: Sequence[Text]) -> Iterator[str]:
    """A row for every net, two numbers for every kind of operation."""
    yield f"| net | {' | '.join(KINDS)} |"
    yield "|-|" + "-:|" * len(KINDS)
    for net, text in zip(NETS, texts, strict=True):
        problem = net.problem(seed=0)
        hand = operations(net.step_by_hand, *problem.parameters, problem.x, problem.y)
        derived = operations(text.run, problem.x, problem.y, *problem.parameters)
        cells = " | ".join(f"{hand[kind]}, {derived[kind]}" for kind in KINDS)
        yield f"| {net.document}: {net.title.partition(',')[0]} | {cells} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m derivations.compiled", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="default: docs/compile.md")
    with whole(parser.parse_args(arguments).output) as file:
        file.write(page().encode())


if __name__ == "__main__":
    main()
