"""How primitives are written, held by their syntax trees; and imports that only point down."""

import ast
import builtins
import inspect
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd.graph import Primitive
from tinygrad_lite.autograd.primitive import PRIMITIVES

PACKAGE = Path(tl.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

# ---- array code: the forward functions and rules of primitives


def decorators(function):
    """The last names of the calls that decorate it: of ``@primitive(...)``, and of ``@tanh.vjp(0)``."""
    calls = (d.func for d in getattr(function, "decorator_list", []) if isinstance(d, ast.Call))
    return {ast.unparse(call).split(".")[-1] for call in calls}


def array_functions(tree):
    """What ``primitive`` or ``vjp`` decorates, functions called ``forward``, and lambdas given to ``vjp(0)(...)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if decorators(node) & {"primitive", "vjp"} or (
                node.name == "forward" and node.args.args[0].arg not in ("self", "ctx")
            ):
                yield node
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Call)
            and list(map(type, node.args)) == [ast.Lambda]
        ):
            yield node.args[0]


STATIC = {
    argument.arg
    for tree in TREES.values()
    for function in array_functions(tree)
    for argument in function.args.kwonlyargs
}
"""Names of static parameters: keyword-only in a forward function, behind the arrays in a rule."""


class Function:
    """An array function's nodes, and which names in it hold arrays."""

    def __init__(self, tree):
        arguments = [a.arg for a in tree.args.args]
        self.given = {name for name in arguments if not (name in STATIC and "vjp" in decorators(tree))}
        self.packs = {tree.args.vararg.arg} if tree.args.vararg else set()
        self.body = tree.body if isinstance(tree.body, list) else [tree.body]
        self.nodes = [node for statement in self.body for node in ast.walk(statement)]
        self.arrays = set(self.given)
        while self.arrays != (known := self.arrays | set(self.computed())):
            self.arrays = known

    def computed(self):
        """The local names of what is computed from elements of the arrays, or goes through a pack of them."""
        for node in self.nodes:
            if isinstance(node, (ast.Assign, ast.NamedExpr, ast.AugAssign)):
                source, targets = self.read(node.value), getattr(node, "targets", None) or [node.target]
            elif isinstance(node, (ast.comprehension, ast.For)):
                source, targets = self.read(node.iter) or root(node.iter) in self.packs, [node.target]
            else:
                continue
            if source:
                yield from (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))

    def read(self, expression):
        """The arrays whose elements it reads: more than shape, ndim, dtype, or whether they are None."""
        if isinstance(expression, ast.Attribute) and expression.attr in {"shape", "ndim", "dtype"}:
            return set()
        if isinstance(expression, ast.Call) and ast.unparse(expression.func) in {"np.shape", "np.ndim", "np.size"}:
            return set()
        if isinstance(expression, ast.Compare) and isinstance(expression.ops[0], (ast.Is, ast.IsNot)):
            return set()
        if isinstance(expression, ast.Subscript) and ast.unparse(expression.value) in self.packs:
            return set() if isinstance(expression.slice, ast.Slice) else self.packs
        if isinstance(expression, ast.Name):
            return {expression.id} & self.arrays if isinstance(expression.ctx, ast.Load) else set()
        return set().union(*map(self.read, ast.iter_child_nodes(expression)))


def root(node):
    """The name that a chain of attributes, subscripts and calls starts from."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


# ---- the checks: each finds the nodes it objects to


def other_attributes_than_everything_has(function):
    """``x.sum(0)`` or ``x.repeat(2)`` mean one thing on an ndarray and another on a Tensor: use NumPy functions."""
    for node in function.nodes:
        if isinstance(node, ast.Attribute) and node.attr not in {"shape", "ndim", "dtype", "mT", "view"}:
            if not re.fullmatch(rf"(np|math|dtypes|_blas|{'|'.join(STATIC)}|\w+\.dtype)(\.\w+)+", ast.unparse(node)):
                yield node


def questions_what_it_runs_on(function):
    """The dispatch decides that."""
    for node in function.nodes:
        if isinstance(node, ast.Name) and node.id in {"isinstance", "issubclass", "type", "hasattr", "getattr"}:
            yield node


def changes_of_arguments(function):
    """By assignment to elements, ``out=``, ``np.add.at`` and their like: only on arrays made in the function."""
    local = {n.id for n in function.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    mutators = {"np.add.at", "np.subtract.at", "np.copyto", "np.put", "np.place", "np.putmask", "np.fill_diagonal"}
    for node in function.nodes:
        changed = []
        if isinstance(node, ast.Assign):
            changed = [target for target in node.targets if isinstance(target, (ast.Subscript, ast.Attribute))]
        elif isinstance(node, ast.AugAssign):
            changed = [node.target]
            local -= {root(node.target)} & function.given
        elif isinstance(node, ast.Call):
            changed = [keyword.value for keyword in node.keywords if keyword.arg == "out"]
            changed += node.args[:1] if ast.unparse(node.func) in mutators else []
        if any(root(target) not in local for target in changed):
            yield node


def branches_on_values(function):
    """A captured program replays what the first batch took: choices between elements are ``np.where``."""
    for statement in function.body:
        for test in decisions(statement):
            if function.read(test):
                yield test


def decisions(node):
    """The expressions that decide what runs; not those of an except clause, which only words an error."""
    if isinstance(node, ast.ExceptHandler):
        return
    if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert)):
        yield node.test
    elif isinstance(node, ast.BoolOp):
        yield from node.values
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    for child in ast.iter_child_nodes(node):
        yield from decisions(child)


def python_numbers_of_arrays(function):
    """``float(x)`` or ``max(x)`` leaves the arrays, and a captured program would keep the number."""
    for node in function.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and hasattr(builtins, node.func.id):
            if any(function.read(argument) for argument in node.args):
                yield node


BAD = {
    other_attributes_than_everything_has: ["x.sum(0)", "np.exp(x).T", "x[0].repeat(2)", "(g * x).max()"],
    questions_what_it_runs_on: ["x if isinstance(x, np.ndarray) else g", "g * (type(x) is float)"],
    changes_of_arguments: [
        "np.add.at(x, 0, g)",
        "np.add(x, g, out=x)",
        "np.exp(g, out=x[0])",
        "np.copyto(x, g)",
        "(lambda: None)()\n    x[0] = 0",
        "g\n    x += 1",
    ],
    branches_on_values: [
        "g if x > 0 else 0",
        "g if x.ndim == 1 and np.max(x) else 0",
        "not x",
        "[a for a in rest if np.any(a)]",
        "rest[0] or g",
        "np.max(x)\n    y = 1 if y > 0 else 2",
    ],
    python_numbers_of_arrays: ["float(x)", "max(g)", "sum(a for a in rest)", "int(np.max(x))", "bool(rest[0])"],
}
GOOD = [
    "np.where(x > 0, g, 0)",
    "g if x.ndim == 1 else np.add.reduce(g, axis=axis)",
    "g if x is None else g * x",
    "g if x.dtype.kind == 'f' else np.asarray(g, x.dtype)",
    "sum(a.shape[axis] for a in rest[1:])",
    "np.zeros(x.shape)\n    np.add.at(y, 0, g)\n    y[0] = 1\n    y += 1",
    "axis.index(0) if axis else np.matmul(g, x.mT)",
]


def rule(source):
    (function,) = ast.parse(f"@tanh.vjp(0)\ndef _(g, out, x, *rest, axis):\n    y = {source}\n    return y").body
    return Function(function)


@pytest.mark.parametrize(("check", "source"), [(check, source) for check, sources in BAD.items() for source in sources])
def test_checks_find_what_is_bad(check, source):
    assert list(check(rule(source)))


@pytest.mark.parametrize("source", GOOD)
def test_checks_leave_alone_what_is_good(source):
    assert not [node for check in BAD for node in check(rule(source))]


# ---- the code


@pytest.mark.parametrize("check", BAD)
def test_array_code(check):
    functions = {module: list(array_functions(tree)) for module, tree in TREES.items()}
    assert sum(map(len, functions.values())) > len(PRIMITIVES)
    complaints = [
        f"{MODULES[module]}:{node.lineno}: {ast.unparse(node)}"
        for module, found in functions.items()
        for function in found
        for node in check(Function(function))
    ]
    assert not complaints, "\n".join([check.__doc__, *complaints])


def rules_of(this: Primitive):
    return [this.rules.rule] if not isinstance(this.rules, list) else [rule for rule in this.rules if rule is not None]


@pytest.mark.parametrize("name", PRIMITIVES)
def test_nothing_closes_over_an_array(name):
    """Else it could not run again on Tensors, and would keep the array alive."""
    this = PRIMITIVES[name].primitive
    for function in (this.forward, *rules_of(this)):
        found = inspect.getclosurevars(function)
        defaults = inspect.signature(function).parameters.values()
        seen = chain(found.nonlocals.values(), found.globals.values(), (p.default for p in defaults))
        assert not [value for value in seen if isinstance(value, (np.ndarray, tl.Tensor))]


# ---- imports

LAYERS = [  # from the ground up: a module imports from its own package and from lower lines only
    {"_blas", "_names", "dtypes"},
    {"autograd"},
    {"ops"},
    {"_printing", "creation", "linalg", "fft"},
    {"random"},
    {"_tensor"},
    {"nn"},
    {"optim", "utils", "func", "special", "testing"},
    {"datasets", "transforms"},
    {"compiler", "sklearn"},
    {"config"},
]


def package_of(module):
    """``ops`` of ``tinygrad_lite.ops.shape``; "" of ``tinygrad_lite`` itself."""
    return ".".join(module.split(".")[1:2])


def layer(module):
    return next((number for number, names in enumerate(LAYERS) if package_of(module) in names), None)


def only_for_types(tree):
    blocks = (n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING"))
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


def imports(module, *, lazy=True):
    """The modules of the package that a module imports when it runs; with ``lazy``, also inside functions."""
    tree = TREES[module]
    statements = ast.walk(tree) if lazy else iter(tree.body)
    ignored = only_for_types(tree)
    for node in statements:
        if node in ignored:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tinygrad_lite"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_lite"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


INNER = [module for module in MODULES if package_of(module) not in {"", "__main__"}]


@pytest.mark.parametrize("module", INNER)
def test_imports_point_down(module):
    assert layer(module) is not None, f"{module}: say in LAYERS where it belongs"
    for imported in imports(module):
        inside = package_of(imported) == package_of(module)
        assert inside or (layer(imported) or 0) < layer(module), f"{module} imports {imported}"
        assert imported != "tinygrad_lite", f"{module} imports the whole package"


def test_no_module_imports_itself_through_others():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for imported in imports(module, lazy=False):
                visit(imported)
            done.add(path.pop())

    for module in INNER:
        visit(module)


def test_no_relative_imports():
    for module, tree in TREES.items():
        relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        assert not relative, f"{module}, lines {relative}"


def test_import_takes_only_numpy_and_the_standard_library():
    code = (
        "import sys, numpy, numpy.random; before = set(sys.modules); import tinygrad_lite; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"tinygrad_lite", "numpy"} | sys.stdlib_module_names
