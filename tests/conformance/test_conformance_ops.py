"""Every public operation, as a function and as a method: results and derivatives of first and second order."""

import inspect
import itertools

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite._tensor import TensorMethods

torch = pytest.importorskip("torch")

from tests.conformance.compare import (  # noqa: E402
    Call,
    assert_none_differ,
    attempt,
    call,
    derivatives,
    difference_of_derivatives,
    fail_if_any,
)

rng = np.random.default_rng(0)
NUMBER = np.array(0.7)
V, W = rng.standard_normal((2, 4))
A, B = rng.standard_normal((2, 2, 3))
ROW, COLUMN = rng.standard_normal(3), rng.standard_normal((2, 1))
CUBE = rng.standard_normal((2, 3, 4))
EMPTY = np.zeros((0, 3))
POSITIVE = rng.uniform(0.5, 2.0, (2, 3))
STEPS = np.array([[-1.7, -0.5, 0.3], [0.0, 0.5, 1.5]])
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
UNIFORM = rng.uniform(-1.0, 1.0, (5, 4))
DISTINCT = rng.permutation(24).reshape(2, 3, 4) - 7.5
MASK = np.array([[True, False, True], [False, False, True]])
INTS, MORE_INTS = np.array([[3, -2, 0], [7, 5, -4]]), np.array([[1, 2, 3], [4, 5, 6]])

BROADCAST = [call(A, B), call(A, ROW), call(COLUMN, ROW), call(NUMBER, A), call(EMPTY, ROW)]
COMPARISON = [*BROADCAST, call(TIES, np.array([1.0, 2.0, 3.0])), call(INTS, MORE_INTS), call(MASK, MASK[::-1])]
BITWISE = [call(INTS, MORE_INTS), call(MASK, MASK[0]), call(INTS, 3), call(MASK, True)]
UNARY = [call(A), call(V), call(NUMBER), call(EMPTY), call(INTS), call(CUBE)]
UNARY_POSITIVE = [call(POSITIVE), call(np.array(0.3)), call(EMPTY), call(MORE_INTS)]
SOME_DIMS = [call(CUBE, (0, -1)), call(CUBE, [1], keepdim=True), call(CUBE, axis=(1, 2), keepdims=True)]
ONE_DIM = [call(A, 0), call(A, -1, True), call(A, dim=1, keepdim=True), call(CUBE, axis=1, keepdims=True), call(V, 0)]
ONE_DIM += [call(NUMBER, 0), call(NUMBER, -1, keepdim=True), call(EMPTY, 0), call(EMPTY, 1), call(A, 2), call(A, -3)]
SPREAD = [call(A, correction=0), call(A, 1, correction=2), call(A, 0, False), call(A, 1, False, True), call(A, False)]
SPREAD += [call(A, dim=1, unbiased=False), call(NUMBER), call(np.array([[2.0, 2.0, 2.0], [1.0, 3.0, 5.0]]), 1)]
WITH_INFINITIES = np.array([[0.0, -np.inf, 1.0], [-np.inf, -np.inf, -np.inf], [1e4, -1e4, 9999.0], [np.inf, 0.0, 1.0]])
ROWS = [call(A, 0), call(A, -1), call(A, dim=1), call(CUBE, 1), call(NUMBER, 0), call(EMPTY, 0), call(EMPTY, 1)]
ROWS += [call(A, 2), call(WITH_INFINITIES, 1), call(WITH_INFINITIES * -1, 1), call(A * 1e4, 1)]
ROWS_WITH_A_NUMBER = [*ROWS[:-3], call(WITH_INFINITIES[[0, 2, 3]], 1), *ROWS[-2:]]  # deliberate: rows of -inf alone
NAN_ = np.nan
NANS = np.where(np.isfinite(WITH_INFINITIES), WITH_INFINITIES, np.nan)
INDEX = np.array([[0, 2, 2], [1, 1, 0]])

TABLE = {
    # elementwise
    "add sub subtract mul multiply": [*BROADCAST, call(A, 1.5), call(A, 2)],
    "maximum minimum": [*BROADCAST, call(TIES, np.array([1.0, 2.0, 3.0]))],
    "div divide true_divide": [*BROADCAST, call(INTS, 4)],
    "floor_divide remainder": [call(A, B), call(CUBE, 0.7), call(INTS, MORE_INTS), call(INTS, 2)],
    "pow": [
        call(POSITIVE, B), call(POSITIVE, ROW), call(A, 2), call(A, 3), call(A, 1), call(A, 0), call(POSITIVE, 0.5),
        call(POSITIVE, -1.5), call(2.5, A), call(INTS, 3), call(INTS, MORE_INTS), call(A, 2.0), call(A, MORE_INTS),
    ],
    "abs absolute ceil clone cos exp expm1 floor neg negative relu round sigmoid sign": UNARY,
    "sin square tanh softplus reciprocal": UNARY,
    "log log1p sqrt log2 log10": UNARY_POSITIVE,
    "exp2 tan atan arctan sinh cosh asinh arcsinh deg2rad rad2deg sinc trunc fix": UNARY,
    "asin arcsin acos arccos atanh arctanh": [call(A / 4), call(np.array(0.3)), call(EMPTY), call(POSITIVE - 1)],
    "acosh arccosh": [call(POSITIVE + 1), call(np.array(1.3)), call(EMPTY), call(MORE_INTS)],
    "atan2 arctan2": [*BROADCAST, call(INTS, MORE_INTS)],
    "hypot logaddexp logaddexp2": BROADCAST,
    "copysign": [*BROADCAST, call(A, 2), call(A, -1.5), call(INTS, MORE_INTS)],
    "fmax fmin": [*BROADCAST, call(TIES, np.array([1.0, 2.0, 3.0])), call(NANS, NANS[:, ::-1]), call(INTS, MORE_INTS)],
    "fmod": [call(A, B), call(CUBE, 0.7), call(INTS, MORE_INTS), call(INTS, 2), call(A, 2)],
    "float_power": [call(POSITIVE, B), call(A, 2), call(INTS, 3), call(INTS, MORE_INTS)],
    "nan_to_num": [
        call(NANS), call(A), call(WITH_INFINITIES, 0.5, 7.0, -7.0), call(np.array([NAN_, 1.0]), nan=2.0), call(INTS),
    ],
    "clamp clip": [
        call(STEPS, -0.5, 0.5), call(STEPS, min=0.0), call(STEPS, max=0), call(STEPS, 1, -1), call(INTS, -1, 2),
        call(STEPS, ROW, None), call(STEPS, COLUMN, ROW), call(STEPS), call(STEPS, max=B), call(INTS, 0.5),
    ],
    "where": [
        call(MASK, A, B), call(MASK, A, ROW), call(MASK[0], NUMBER, B), call(MASK, A, 2), call(MASK, 0.0, B),
        call(MASK, 1, 2), call(MASK, 1.5, 2), call(INTS, A, B),
    ],
    # comparison
    "eq ne lt le gt ge": [*COMPARISON, call(INTS, 3), call(A, 0.5), call(MASK, True)],
    "logical_and logical_or logical_xor": COMPARISON,
    "bitwise_and bitwise_or bitwise_xor": BITWISE,
    "bitwise_not": [call(INTS), call(MASK)],
    "logical_not isnan isinf isfinite": [*UNARY, call(WITH_INFINITIES), call(NANS)],
    "equal": [call(A, B), call(A, A.copy()), call(A, A[0]), call(INTS, INTS.copy()), call(EMPTY, EMPTY.copy())],
    "allclose isclose": [
        call(A, B), call(A, A * (1 + 1e-7)), call(A, A[0]), call(WITH_INFINITIES, WITH_INFINITIES * 1.0),
        call(NANS, NANS), call(NANS, NANS, equal_nan=True), call(A, B, 0.5, 0.5), call(A, B, rtol=0.0, atol=1.0),
    ],
    # reductions
    "sum": [*UNARY, *ONE_DIM, *SOME_DIMS, call(INTS, 0), call(A, dim=()), call(A, dtype=None)],
    "mean": [*UNARY, *ONE_DIM, *SOME_DIMS],
    "prod": [
        *UNARY, *ONE_DIM, call(np.array([2.0, 0.0, 3.0])), call(np.array([0.0, 0.0, 3.0])), call(np.zeros(4)),
        call(np.array([[0.0, 2.0, 0.0], [0.0, 2.0, 3.0]]), 1), call(np.array([5.0])),
    ],
    "var std": [*UNARY, *ONE_DIM, *SOME_DIMS, *SPREAD],
    "amax amin": [*UNARY, *ONE_DIM, *SOME_DIMS, call(TIES), call(TIES, 1), call(TIES, 0), call(TIES, (0, 1))],
    "max min": [*UNARY, *ONE_DIM, call(TIES), call(DISTINCT, 2), call(A, B), call(INTS), call(INTS, 0)],
    "argmax argmin": [*UNARY, *ONE_DIM, call(DISTINCT), call(INTS)],
    "any all": [*UNARY, *ONE_DIM, *SOME_DIMS, call(MASK), call(MASK, 0), call(MASK[:1])],
    "count_nonzero": [*UNARY, call(INTS, 0), call(MASK, 1), call(CUBE, (0, 1))],
    "nansum": [*UNARY, *ONE_DIM, call(NANS), call(NANS, 1)],
    "nanmean": [call(A), call(A, 0), call(NANS[[0, 2, 3]], 1), call(NANS[:, :1], 0, True)],
    "cumsum cumprod": [
        call(A, 0), call(A, -1), call(CUBE, 1), call(V, dim=0), call(NUMBER, 0), call(EMPTY, 0), call(EMPTY, 1),
        call(INTS, 1), call(MASK, 0), call(A, 2), call(np.array([2.0, 0.0, 3.0, 0.0]), 0),
    ],
    "diff": [
        call(A), call(A, 2), call(CUBE, 1, 0), call(A, 1, 0, B, ROW[None]), call(V, append=W), call(MASK), call(INTS),
        call(NUMBER), call(V, 5), call(A, 0), call(A, 1, 3),
    ],
    "trapezoid": [call(A), call(A, B), call(A, ROW), call(A, dx=0.5), call(A, dim=0), call(A, COLUMN[:, 0], dim=0)],
    "sort argsort": [
        call(DISTINCT), call(A, 0), call(A, -1, True), call(NUMBER), call(EMPTY), call(INTS), call(A, 2),
    ],
    # softmax
    "softmax log_softmax": ROWS,
    "logsumexp": [*ROWS_WITH_A_NUMBER, *SOME_DIMS[:2], call(A, 0, True), call(A, (0, 1))],
    # products of matrices
    "matmul": [
        call(A, B.T), call(A, ROW), call(COLUMN[:, 0], A), call(V, W), call(CUBE, CUBE[0].T), call(A, CUBE),
        call(A, B),
    ],
    "mm": [call(A, B.T), call(A, B), call(EMPTY, B.T), call(CUBE, CUBE)],
    "mv": [call(A, ROW), call(A, V), call(ROW, A)],
    "bmm": [
        call(CUBE, CUBE.transpose(0, 2, 1)), call(CUBE, CUBE), call(A, B), call(CUBE, CUBE[:1].transpose(0, 2, 1)),
    ],
    "dot": [call(V, W), call(V, ROW), call(A, B)],
    "outer": [call(V, ROW), call(V, A)],
    "linear": [
        call(A, B), call(A, B, V[:2]), call(ROW, A, V[:2]),
        call(CUBE, rng.standard_normal((5, 4)), rng.standard_normal(5)), call(A, V), call(V, A), call(A, B, V),
    ],
    "inner": [call(V, W), call(A, B), call(A, ROW), call(NUMBER, A), call(A, V), call(CUBE, V)],
    "vdot": [call(V, W), call(V, ROW), call(A, B)],
    "kron": [call(A, B), call(V, W), call(NUMBER, A)],
    "tensordot": [
        call(A, B), call(A, B.T, 1), call(A, B, ([1], [1])), call(CUBE, A, ([0, 1], [0, 1])), call(V, W, 0),
        call(A, B, 1),
    ],
    # matrices
    "diagonal": [
        call(A), call(A, 1), call(A, -1), call(CUBE, 0, 1, 2), call(CUBE, 1, -1, 0), call(A, 5), call(V),
        call(A, 0, 0, 0),
    ],
    "diag": [call(A), call(A, 1), call(V), call(V, 2), call(ROW, -1), call(CUBE), call(NUMBER)],
    "diagflat": [call(A), call(V, 1), call(NUMBER)],
    "trace": [call(A), call(INTS), call(CUBE)],
    "tril triu": [call(A), call(A, 1), call(CUBE, -1), call(INTS), call(EMPTY), call(V)],
    # rearranged
    "flip": [call(A, (0,)), call(A, (0, -1)), call(CUBE, [1]), call(EMPTY, (0,)), call(A, (2,)), call(A, (0, 0))],
    "fliplr flipud": [call(A), call(CUBE), call(NUMBER)],
    "roll": [
        call(A, 1), call(A, 2, 1), call(A, (1, -1), (0, 1)), call(CUBE, -5, 2), call(EMPTY, 1, 0), call(A, 1, 2),
        call(A, (1, 2), 0),
    ],
    "rot90": [call(A), call(A, 2), call(A, -1), call(CUBE, 1, (1, 2)), call(A, 4)],
    "tile": [call(A, (2,)), call(A, (2, 1, 3)), call(NUMBER, (3,)), call(V, (2, 2)), call(A, ())],
    "repeat_interleave": [
        call(A, 2), call(A, 3, 1), call(A, np.array([1, 2]), 0), call(A, np.array([1, 2]), 1), call(A, 2, 2),
    ],
    # several
    "atleast_1d atleast_2d atleast_3d": [call(NUMBER), call(V), call(A), call(CUBE), call([NUMBER, A])],
    "hstack vstack dstack column_stack": [
        call([A, B]), call((A, B)), call([V, W]), call([A, ROW]), call([NUMBER, NUMBER]),
    ],
    "tensor_split": [
        call(V, 3), call(A, 2, 1), call(CUBE, [1, 3], 2), call(V, 6), call(V, 0), call(A, 2, 2), call(V, (1, 9)),
    ],
    "meshgrid": [call(V, ROW), call(V, ROW, indexing="xy"), call(NUMBER, V), call(A)],
    "broadcast_tensors": [call(A, ROW), call(COLUMN, ROW), call(NUMBER), call(A, V)],
    # shapes
    "reshape": [
        call(A, (3, 2)), call(A, (-1,)), call(A, [3, -1]), call(A, (1, 6, 1)), call(A, (4,)), call(EMPTY, (0,)),
        call(NUMBER, (1, 1)), call(A, (-1, -1)),
    ],
    "view": [call(A, 2, 3), call(V, 2, 2), call(NUMBER, 1), call(A, 4)],
    "flatten": [
        call(CUBE), call(CUBE, 1), call(CUBE, 0, 1), call(CUBE, -2, -1), call(NUMBER), call(CUBE, 2, 1),
        call(CUBE, 3), call(EMPTY),
    ],
    "ravel": [call(CUBE), call(NUMBER), call(A)],
    "squeeze": [
        call(COLUMN), call(COLUMN, 1), call(COLUMN, 0), call(A[None, :, None]), call(A[None, :, None], (0, 2)),
        call(A, 2), call(NUMBER, 0),
    ],
    "unsqueeze": [call(A, 0), call(A, -1), call(A, 2), call(A, 3), call(NUMBER, 0)],
    "permute": [
        call(CUBE, (2, 0, 1)), call(CUBE, (-1, 0, 1)), call(A, (1, 0)), call(CUBE, (0, 1)), call(CUBE, (0, 0, 1)),
    ],
    "transpose swapaxes": [call(CUBE, 0, 2), call(CUBE, -1, 1), call(A, 0, 0), call(A, 0, 2), call(NUMBER, 0, -1)],
    "movedim": [call(CUBE, 0, 2), call(CUBE, -1, 0), call(CUBE, 0, 3), call(CUBE, (0, 1), (2, 0))],
    "t": [call(A), call(V), call(NUMBER), call(CUBE)],
    "T": [call(A), call(V)],
    "mT": [call(A), call(CUBE)],
    "expand": [
        call(COLUMN, 2, 3), call(COLUMN, (4, 2, 3)), call(COLUMN, -1, 4), call(NUMBER, 2, 2), call(A, 3, 3),
        call(A, 2), call(ROW, 2, -1),
    ],
    "broadcast_to": [call(COLUMN, (2, 3)), call(ROW, (2, 2, 3)), call(NUMBER, ()), call(A, (3, 3)), call(A, (3,))],
    "cat concat": [
        call([A, B]), call((A, B), 1), call([A, B], dim=-1), call([A]), call([A, EMPTY]), call([A, ROW]), call([]),
        call([A, INTS]), call([A, CUBE[0, :2, :3], B], 0), call([A, B], 2), call([NUMBER, NUMBER]),
    ],
    "stack": [
        call([A, B]), call((A, B), 1), call([A, B], dim=-1), call([NUMBER, NUMBER]), call([A, ROW]), call([]),
        call([A, B], 3),
    ],
    "split": [
        call(CUBE, 1), call(CUBE, 2, 1), call(CUBE, [1, 3], -1), call(CUBE, 5, 2), call(CUBE, [1, 1], 2),
        call(CUBE, 0), call(V, 3), call(EMPTY, 2),
    ],
    "chunk": [
        call(CUBE, 2), call(CUBE, 3, 2), call(CUBE, 5, 1), call(V, 3), call(V, 0), call(EMPTY, 2), call(V, 4, 1),
    ],
    "unbind": [call(CUBE), call(CUBE, 1), call(CUBE, -1), call(V), call(A, 2)],
    # indexing
    "gather": [
        call(A, 1, INDEX), call(A, 0, INDEX % 2), call(A, -1, INDEX[:1]), call(V, 0, INDEX[0]), call(A, 1, INDEX * 5),
        call(A, 2, INDEX), call(A, 1, INDEX[0]), call(A, 0, np.array([[0, 1, 1, 0]])),
    ],
    "index_select": [
        call(A, 1, INDEX[0]), call(CUBE, -1, np.array([3, 3, 0])), call(A, 0, INDEX[0]), call(A, 2, INDEX[0]),
        call(V, 0, INDEX[1]),
    ],
    "masked_fill": [
        call(A, MASK, 2.5), call(A, MASK[0], -np.inf), call(A, MASK, NUMBER), call(INTS, MASK, 7),
        call(CUBE, MASK[:, :, None], 0.0),
    ],
    "one_hot": [call(INDEX), call(INDEX, 5), call(INDEX[0], 2), call(INTS), call(np.array(1), 3), call(V)],
    # in place
    "add_ sub_ mul_ div_": [call(A, B), call(A, ROW), call(A, 1.5), call(ROW, A), call(INTS, 2)],
    "pow_": [call(POSITIVE, B), call(A, 2), call(A, 3)],
    "floor_divide_ remainder_": [call(A, B), call(A, 0.7), call(INTS, 2)],
    "clamp_": [call(STEPS, -0.5, 0.5), call(STEPS, min=0.0), call(STEPS, max=ROW)],
    "abs_ ceil_ exp_ floor_ neg_ relu_ sigmoid_ square_ tanh_": [call(A), call(STEPS)],
    "round_": [call(A)],
    "log_ sqrt_ reciprocal_": [call(POSITIVE)],
    "masked_fill_": [call(A, MASK, 2.5), call(A, MASK[0], -np.inf), call(A, MASK, NUMBER), call(INTS, MASK, 7)],
    "copy_": [call(A, B), call(A, ROW), call(A, INTS), call(ROW, A)],
    "fill_": [call(A, 2.5), call(A, NUMBER), call(INTS, 2), call(A, ROW)],
    "zero_": [call(A), call(INTS)],
    # dtypes and memory
    "bool byte short int long half float double cpu contiguous": [call(POSITIVE), call(MORE_INTS), call(MASK)],
    "to": [call(A, "cpu"), call(A, INTS), call(A, MASK), call(INTS, A), call(A, copy=True)],
    "type_as": [call(A, INTS), call(INTS, A)],
}  # fmt: skip
CASES = {name: cases for names, cases in TABLE.items() for name in names.split()}

ELSEWHERE = {
    "test_conformance_dtypes": "promote_types result_type",
    "test_conversions": "from_dlpack",
    "test_conformance_creation": "tensor as_tensor from_numpy is_tensor zeros ones empty full arange linspace eye "
    "zeros_like ones_like empty_like full_like rand randn randint randperm rand_like randn_like normal bernoulli "
    "manual_seed seed initial_seed Generator normal_ uniform_ bernoulli_",
    "tests/compiler": "compile",
    "the tests of autograd": "Tensor no_grad enable_grad set_grad_enabled is_grad_enabled inference_mode backward",
}

STEPWISE = {"floor_divide", "floor_divide_"}  # where PyTorch has no derivative
OTHER_GRADIENT_AT_NAN = {"abs", "relu"}  # deliberate, as of every clamp


def spelled(name, form):
    """The operation as a function of the namespace, or as a method of its first argument."""

    def function(xp, *args, **kwargs):
        places = (xp, torch.nn.functional) if xp is torch else (xp,)
        found = next((getattr(place, name) for place in places if hasattr(place, name)), None)
        return found(*args, **kwargs) if found else method(xp, *args, **kwargs)

    def method(xp, input, *args, **kwargs):
        if name.endswith("_"):
            input = input.clone()
        found = getattr(input, name)
        return found(*args, **kwargs) if callable(found) else found

    return function if form == "function" else method


def is_public(name):
    return not name.startswith("_")


FUNCTIONS = [name for name in CASES if callable(getattr(tl, name, None))]
METHODS = [name for name in CASES if hasattr(tl.Tensor, name)]
FORMS = [(name, "function") for name in FUNCTIONS] + [(name, "method") for name in METHODS]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_operation(name, form):
    cases = [case for case in CASES[name] if form == "function" or isinstance(case.args[0], np.ndarray)]
    fail_if_any(
        {
            f"{number}. {name}{case}, {dtype}": difference_of_derivatives(
                spelled(name, form), case, dtype, strided, order=0 if name in STEPWISE else 2
            )
            for number, case in enumerate(cases)
            for dtype, strided in (("float64", False), ("float32", True))
        }
    )
    right = attempt(lambda xp: derivatives(xp, spelled(name, form), cases[0], order=0), torch)
    assert not isinstance(right, Exception), "the first case is one that is right"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_have_the_names_of_pytorch(name):
    parameters = inspect.signature(getattr(tl, name)).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        pytest.skip("sizes come one by one")
    arguments = max(CASES[name][:3], key=lambda case: len(case.args))
    named = Call((), dict(zip((p.name for p in parameters), arguments.args, strict=False)) | arguments.kwargs)
    fail_if_any({f"{name}{named}": difference_of_derivatives(spelled(name, "function"), named, order=0)})


def test_every_function_has_a_case():
    in_torch = {*dir(torch), *dir(torch.nn.functional), *dir(torch.Tensor)}
    functions = {name for name in filter(is_public, dir(tl)) if callable(getattr(tl, name)) and name in in_torch}
    elsewhere = {name for names in ELSEWHERE.values() for name in names.split()}
    assert functions - CASES.keys() - elsewhere == set()


def test_every_method_has_a_case():
    elsewhere = {name for names in ELSEWHERE.values() for name in names.split()}
    assert {name for name in vars(TensorMethods) if is_public(name)} - CASES.keys() - elsewhere == set()


def test_every_case_is_of_an_operation():
    assert {name for name in CASES if not hasattr(tl, name) and not hasattr(tl.Tensor, name)} == set()


def test_every_method_is_one_of_pytorch():
    assert {name for name in filter(is_public, vars(TensorMethods)) if not hasattr(torch.Tensor, name)} == set()


# ---- the edges of the number line

EDGES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 1e4, -1e4, 1e-30, 88.0, -88.0, np.inf, -np.inf])
NAN = np.array([np.nan, 0.0, 1.0])
ONE_INPUT = (
    "acos acosh asin asinh atan atanh cosh deg2rad exp2 log10 log2 rad2deg sinc sinh tan trunc "
    "abs ceil clone cos exp expm1 floor log log1p neg reciprocal relu round sigmoid sign sin softplus sqrt square tanh"
)
TWO_INPUTS = "add sub mul div maximum minimum pow remainder floor_divide eq ne lt le gt ge"
CLAMPS = {
    "clamp(0, 1)": lambda xp, x: xp.clamp(x, 0, 1),
    "clamp(min=-inf)": lambda xp, x: xp.clamp(x, min=-np.inf),
    "clamp(max=0.0)": lambda xp, x: xp.clamp(x, max=0.0),
    "clamp(-1e4, 1e4)": lambda xp, x: xp.clamp(x, -1e4, 1e4),
    "clamp(1, 1)": lambda xp, x: xp.clamp(x, 1, 1),
    "clamp(2, 1)": lambda xp, x: xp.clamp(x, 2, 1),
    "clamp(nan)": lambda xp, x: xp.clamp(x, min=np.nan),
    "clamp(tensor)": lambda xp, x: xp.clamp(x, xp.zeros_like(x), xp.ones_like(x)),
}
POWERS = {f"pow({n})": lambda xp, x, n=n: x**n for n in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 2.5, 0.0, np.inf)}
POWERS |= {f"{n} ** x": lambda xp, x, n=n: n**x for n in (0, 1, 2, -2, 0.5, 0.0)}


def differences(functions, arguments, **options):
    """How the results and derivatives of each function differ from PyTorch's, in both precisions."""
    return {
        f"{title}, {dtype}": difference_of_derivatives(f, arguments, dtype, **options)
        for title, f in functions.items()
        for dtype in ("float64", "float32")
    }


@pytest.mark.parametrize("name", ONE_INPUT.split())
def test_edges_of_one_input(name):
    f = spelled(name, "function")
    signs = {f"1 / {name}": lambda xp, x: 1 / f(xp, x)}  # tells -0.0 from 0.0
    found = differences({name: f}, call(EDGES), order=1, elementwise=True)
    edges = EDGES if name != "relu" else np.delete(EDGES, 1)  # deliberate: of -0.0
    fail_if_any(found | differences(signs, call(edges), order=0, elementwise=True))


@pytest.mark.parametrize("name", TWO_INPUTS.split())
def test_edges_of_two_inputs(name):
    f, pairs = spelled(name, "function"), np.meshgrid(EDGES, EDGES)
    fail_if_any(differences({name: f}, call(*pairs), order=0 if name in STEPWISE else 1, elementwise=True))


@pytest.mark.parametrize("name", CLAMPS | POWERS)
def test_edges_of_clamp_and_pow(name):
    edges, order = EDGES, 1
    if name in ("pow(0.5)", "pow(-0.5)"):
        edges = EDGES[~(np.signbit(EDGES) & np.isin(EDGES, [0.0, -np.inf]))]  # deliberate: of -0.0 and -inf
    if name == "clamp(nan)":
        order = 0  # deliberate: its gradient
    fail_if_any(differences({name: (CLAMPS | POWERS)[name]}, call(edges), order=order, elementwise=True))


@pytest.mark.parametrize("name", [*ONE_INPUT.replace(" sign ", " ").split(), *TWO_INPUTS.split(), *CLAMPS, *POWERS])
def test_nan(name):
    f = (CLAMPS | POWERS).get(name) or spelled(name, "function")
    inputs = np.meshgrid(NAN, NAN) if name in TWO_INPUTS.split() else [NAN]
    values_only = name in STEPWISE | OTHER_GRADIENT_AT_NAN | CLAMPS.keys()
    fail_if_any(differences({name: f}, call(*inputs), order=0 if values_only else 1))


REDUCTIONS = "sum mean prod var std amax amin max min argmax argmin any all logsumexp softmax log_softmax"
ROWS_WITH_EDGES = [[1.0, np.nan, 3.0], [np.nan, np.nan, 1.0], [np.inf, 2.0, 1.0], [-np.inf, np.inf, 0.0]]
ROWS_WITH_EDGES += [[-0.0, 0.0, 0.0], [1e4, -1e4, 1e4], [5.0, 5.0, 5.0]]


OTHER_GRADIENT = [("prod", ROWS_WITH_EDGES[0]), ("prod", ROWS_WITH_EDGES[2]), ("var", ROWS_WITH_EDGES[2])]  # deliberate


@pytest.mark.parametrize("name", REDUCTIONS.split())
def test_edges_of_reductions(name):
    f, found = spelled(name, "function"), {}
    for row in ROWS_WITH_EDGES:
        if not (name in ("max", "min", "argmax", "argmin") and len(set(row)) < 3):  # then it may be any of the indices
            other_gradient = (name, row) in OTHER_GRADIENT
            found |= differences({f"{name} of {row}": f}, call(np.array(row), 0), order=0 if other_gradient else 1)
    fail_if_any(found)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min"])
def test_ties_share_the_gradient(name):
    f, found = spelled(name, "function"), {}
    for values in ([3.0, 3.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0], [[1.0, 3.0], [3.0, 1.0]], [-0.0, 0.0, -1.0, 1.0]):
        found |= differences({f"{name} of {values}": f}, call(np.array(values)))
    fail_if_any(found)


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_returned_index_gets_the_gradient(name):
    def gradient_there_and_in_all(xp):
        x = xp.tensor(TIES, requires_grad=True)
        values, indices = getattr(xp, name)(x, 1, keepdim=True)
        assert xp.equal(x.detach().gather(1, indices), values.detach())
        (gradient,) = xp.autograd.grad(values.sum(), x)
        return gradient.gather(1, indices), gradient.sum(1)

    assert_none_differ([(name, gradient_there_and_in_all)])


@pytest.mark.parametrize("zeros", [0, 1, 2, 4])
def test_prod_with_zeros(zeros):
    values = np.array([0.0] * zeros + [2.0, -3.0, 0.5, 1.5][zeros:])
    functions = {"prod": lambda xp, x: x.prod(), "prod(0)": lambda xp, x: x.reshape(2, 2).prod(0)}
    fail_if_any(differences(functions, call(values)))


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
def test_softmax_of_large_logits(scale):
    def masked(xp, x):
        return x.masked_fill(xp.tensor([False, True, False, False]), -np.inf)

    functions = {
        "softmax": lambda xp, x: xp.softmax(x, 1),
        "log_softmax": lambda xp, x: xp.log_softmax(x, 1),
        "logsumexp": lambda xp, x: xp.logsumexp(x, 1),
        "softmax masked": lambda xp, x: xp.softmax(masked(xp, x), 1),
        "log_softmax masked": lambda xp, x: xp.log_softmax(masked(xp, x), 1)[:, ::2],
        "logsumexp masked": lambda xp, x: xp.logsumexp(masked(xp, x), 1),
    }
    fail_if_any(differences(functions, call(scale * UNIFORM)))


def test_std_of_equal_values():
    functions = {
        "std": lambda xp, x: x.std(),
        "std(0)": lambda xp, x: x.std(0),
        "correction": lambda xp, x: x.std(correction=0),
    }
    fail_if_any(differences(functions, call(np.full((3, 2), 2.5)), order=1))


# ---- in place

OVERWRITE = {
    "zero_": lambda xp, y: y.zero_(),
    "fill_": lambda xp, y: y.fill_(3.0),
    "copy_": lambda xp, y: y.copy_(xp.tensor(2.0)),
    "setitem": lambda xp, y: y.__setitem__(slice(None), 2.0),
}


@pytest.mark.parametrize("name", OVERWRITE)
def test_overwritten_values_have_no_gradient(name):
    def overwritten(xp):
        x = xp.tensor([1.0, 2.0], requires_grad=True)
        y = x * 1
        OVERWRITE[name](xp, y)
        (y * x).sum().backward()
        return y, x.grad

    assert_none_differ([(name, overwritten)])


IN_PLACE_CHAINS = {
    "exp, then add_": lambda xp, x: x.log().add_(1).exp(),
    "add_ of itself": lambda xp, x: (lambda y: y.add_(y))(x * 2),
    "mul_ of itself": lambda xp, x: (lambda y: y.mul_(y))(x * 2),
    "mul_ by a number": lambda xp, x: (x + 1).mul_(3),
    "div_ by a tensor": lambda xp, x: (x + 1).div_(x),
    "pow_": lambda xp, x: (x + 1).pow_(3),
    "clamp_": lambda xp, x: (x * 3).clamp_(0.5, 2),
    "sub_ twice": lambda xp, x: (x + 1).sub_(x).sub_(x * x),
    "saved, then changed": lambda xp, x: (lambda y: (y * y, y.add_(1))[0])(x * 2),
    "clamped, then changed": lambda xp, x: (lambda y: (y.clamp(0, 1), y.add_(1))[0])(x * 2),
    "converted, then changed": lambda xp, x: (lambda y: (y.to(y.dtype) ** 2, y.add_(1))[0])(x * 2),
    "summed, then changed": lambda xp, x: (lambda y: (y.sum(dtype=y.dtype), y.add_(1))[0])(x * 2),
    "maximum, then changed": lambda xp, x: (lambda y: (xp.amax(y), y.add_(1))[0])(x * 2),
}


@pytest.mark.parametrize("name", IN_PLACE_CHAINS)
def test_in_place_chains(name):
    fail_if_any(differences({name: IN_PLACE_CHAINS[name]}, call(POSITIVE)))


# ---- losses over classes

LOGITS = rng.standard_normal((4, 3))
TARGET = np.array([0, 2, 1, 2])
WEIGHT = np.array([0.5, 2.0, 1.0])
OF_THE_BATCH = ("mean", "sum", "none")
MAPS, VOLUMES = rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 3, 2, 2))
SHAPES = {
    "(N, C)": (LOGITS, TARGET),
    "(C,)": (LOGITS[0], np.array(2)),
    "(N, C, d)": (MAPS, TARGET.reshape(2, 2)),
    "(N, C, d, e)": (VOLUMES, np.array([TARGET, TARGET]).reshape(2, 2, 2)),
    "(0, C)": (LOGITS[:0], TARGET[:0]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_losses_of_class_indices(loss, shape):
    found, smoothings = {}, (0.0, 0.1, 1.0) if loss == "cross_entropy" else (0.0,)
    for reduction, weight, ignored, smoothing in itertools.product(OF_THE_BATCH, (None, WEIGHT), (-100, 2), smoothings):

        def f(xp, x, y):
            options = {"reduction": reduction, "ignore_index": ignored}
            if smoothing:
                options["label_smoothing"] = smoothing
            if weight is not None:
                options["weight"] = xp.tensor(weight, dtype=x.dtype)
            return getattr(xp.nn.functional, loss)(x, y, **options)

        title = f"reduction={reduction}, weight={weight}, ignore_index={ignored}, label_smoothing={smoothing}"
        found |= differences({title: f}, call(*SHAPES[shape]))
    fail_if_any(found)


@pytest.mark.parametrize("targets", [[0, -100, 1, -100], [-100] * 4])
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_losses_of_ignored_targets(loss, targets):
    functions = {
        f"{reduction}": lambda xp, x, y, r=reduction: getattr(xp.nn.functional, loss)(x, y, reduction=r)
        for reduction in OF_THE_BATCH
    }
    fail_if_any(differences(functions, call(LOGITS, np.array(targets))))


@pytest.mark.parametrize("reduction", OF_THE_BATCH)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(reduction, smoothing, weighted):
    def f(xp, x, y):
        weight = xp.tensor(WEIGHT, dtype=x.dtype) if weighted else None
        return xp.nn.functional.cross_entropy(x, y, weight, reduction=reduction, label_smoothing=smoothing)

    found = {}
    for logits in (LOGITS, LOGITS[0], MAPS):
        target = np.exp(-logits) / np.exp(-logits).sum(0 if logits.ndim == 1 else 1, keepdims=True)
        found |= differences({f"{logits.shape}": f}, call(logits, target))
    fail_if_any(found)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_cross_entropy_of_large_logits(scale):
    def f(xp, x, y):
        return xp.nn.functional.cross_entropy(x, y, reduction="none")

    found = differences({"cross_entropy": f}, call(scale * UNIFORM, np.array([0, 1, 2, 3, 0])))
    found |= differences({"a logit of -inf": f}, call(np.array([[0.0, -np.inf, 2.0]]), np.array([0])))
    fail_if_any(found)
