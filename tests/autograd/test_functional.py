"""autograd.functional, held against mathematics and PyTorch."""

import weakref

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import functional, grad

RANDOM = np.random.default_rng(1)
X, W, V, U = RANDOM.random(3), RANDOM.random((3, 2)), RANDOM.random(3), RANDOM.random(2)


def two_outputs(x, w):
    return (x.sin() @ w).exp(), (x * x).sum() * w


def scalar(x, w):
    return ((x**3) @ w).sin().sum() + (x * x).sum()


CASES = {
    "vjp": lambda f, t: f.vjp(lambda x: (x * x).exp(), t(X), t(V)),
    "vjp tuple": lambda f, t: f.vjp(two_outputs, (t(X), t(W)), (t(U), t(W))),
    "vjp scalar": lambda f, t: f.vjp(scalar, (t(X), t(W))),
    "vjp one of a tuple": lambda f, t: f.vjp(lambda x: (x * x).exp(), (t(X),), t(V)),
    "jvp": lambda f, t: f.jvp(lambda x: (x * x).exp(), t(X), t(V)),
    "jvp tuple": lambda f, t: f.jvp(two_outputs, (t(X), t(W)), (t(V), t(W))),
    "jvp of a number": lambda f, t: f.jvp(lambda x: x.exp() * t(X), t(np.array(0.5))),
    "jvp linear": lambda f, t: f.jvp(lambda x: (3 * x, t(X)), t(X), t(V)),
    "jacobian": lambda f, t: f.jacobian(lambda x: x.sin() @ t(W), t(X)),
    "jacobian tuple": lambda f, t: f.jacobian(two_outputs, (t(X), t(W))),
    "jacobian one of a tuple": lambda f, t: f.jacobian(lambda x: (x.sin(),), (t(X),)),
    "jacobian of a constant": lambda f, t: f.jacobian(lambda x: t(W) * 2, t(X)),
    "jacobian vectorized": lambda f, t: f.jacobian(two_outputs, (t(X), t(W)), vectorize=True),
    "hessian": lambda f, t: f.hessian(lambda x: (x**3).sum() * x.sum(), t(X)),
    "hessian tuple": lambda f, t: f.hessian(scalar, (t(X), t(W))),
    "hessian linear": lambda f, t: f.hessian(lambda x: x.sum(), t(X)),
    "hessian of one element": lambda f, t: f.hessian(lambda x: (x**3).sum().reshape(1), t(X)),
    "vhp": lambda f, t: f.vhp(scalar, (t(X), t(W)), (t(V), t(W))),
    "hvp": lambda f, t: f.hvp(scalar, (t(X), t(W)), (t(V), t(W))),
    "hvp linear": lambda f, t: f.hvp(lambda x: x.sum(), t(X), t(V)),
}


def flat(value):
    """The arrays in nested tuples, and how they are nested."""
    if isinstance(value, (tuple, list)):
        return type(value).__name__, [flat(item) for item in value]
    return value.detach().numpy()


def assert_same(mine, theirs):
    if isinstance(theirs, tuple):
        assert mine[0] == theirs[0]
        assert len(mine[1]) == len(theirs[1])
        for a, b in zip(mine[1], theirs[1], strict=True):
            assert_same(a, b)
    else:
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_pytorch(case):
    torch = pytest.importorskip("torch")
    assert_same(flat(case(functional, tl.tensor)), flat(case(torch.autograd.functional, torch.tensor)))


ERRORS = {
    "no v": lambda f, t: f.vjp(lambda x: x.exp(), t(X)),
    "no v for inputs": lambda f, t: f.jvp(lambda x: x.exp(), t(X)),
    "shape of v": lambda f, t: f.vjp(lambda x: x.exp(), t(X), t(U)),
    "number of v": lambda f, t: f.jvp(two_outputs, (t(X), t(W)), t(X)),
    "no tensor": lambda f, t: f.jacobian(lambda x: x, 3.0),
    "a list": lambda f, t: f.jacobian(lambda x: x, [t(X)]),
    "no tensor returned": lambda f, t: f.jacobian(lambda x: 3.0, t(X)),
    "hessian of many": lambda f, t: f.hessian(lambda x: x, t(X)),
    "vhp of many": lambda f, t: f.vhp(lambda x: x, t(X), t(V)),
    "strict constant": lambda f, t: f.jacobian(lambda x: t(W), t(X), strict=True),
    "strict vjp": lambda f, t: f.vjp(lambda x, w: x.sum(), (t(X), t(W)), strict=True),
    "strict linear": lambda f, t: f.hessian(lambda x: x.sum(), t(X), strict=True),
    "strict vhp": lambda f, t: f.vhp(lambda x: x.sum(), t(X), t(V), strict=True),
    "strict and vectorized": lambda f, t: f.jacobian(lambda x: x, t(X), strict=True, vectorize=True),
    "forward unvectorized": lambda f, t: f.jacobian(lambda x: x, t(X), strategy="forward-mode"),
    "strategy": lambda f, t: f.jacobian(lambda x: x, t(X), strategy="sideways"),
    "integers": lambda f, t: f.jacobian(lambda x: x, t([1, 2])),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs:
        case(torch.autograd.functional, torch.tensor)
    with pytest.raises(theirs.type):
        case(functional, tl.tensor)


@pytest.mark.parametrize("name", ["vjp", "jvp", "vhp", "hvp", "jacobian", "hessian"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_create_graph(name, create_graph):
    """Of sum(x^4): the derivative of everything returned, by x."""
    x = tl.tensor(X, requires_grad=True)
    v = [tl.tensor(V)] if name in ("jvp", "vhp", "hvp") else []
    found = getattr(functional, name)(lambda x: (x**4).sum(), x, *v, create_graph=create_graph)
    product = found[1] if isinstance(found, tuple) else found
    assert product.requires_grad == create_graph
    assert x.grad is None
    if create_graph:
        (slope,) = grad(product.sum(), x)
        expected = {
            "vjp": 12 * X**2,
            "jacobian": 12 * X**2,
            "jvp": 12 * X**2 * V,
            "vhp": 24 * X * V,
            "hvp": 24 * X * V,
            "hessian": 24 * X,
        }
        np.testing.assert_allclose(slope.numpy(), expected[name], rtol=1e-12)


def test_jvp_is_differentiable_by_its_vector():
    x, v = tl.tensor(X, requires_grad=True), tl.tensor(V, requires_grad=True)
    _, moved = functional.jvp(lambda x: x.exp(), x, v, create_graph=True)
    (slope,) = grad(moved.sum(), v)
    np.testing.assert_allclose(slope.numpy(), np.exp(X), rtol=1e-14)


def test_strategies_give_the_same_jacobian():
    x = tl.tensor(X)
    slope = functional.jacobian(tl.sin, x, vectorize=True, strategy="forward-mode")
    curvature = functional.hessian(lambda x: x.sin().sum(), x, vectorize=True, outer_jacobian_strategy="forward-mode")
    np.testing.assert_allclose(slope.numpy(), np.diag(np.cos(X)), rtol=1e-15)
    np.testing.assert_allclose(curvature.numpy(), np.diag(-np.sin(X)), rtol=1e-15)


def test_a_jacobian_of_nothing():
    assert functional.jacobian(lambda x: x[:0], tl.tensor(X)).shape == (0, 3)
    assert functional.jacobian(lambda x: x.sum(), tl.zeros(0)).shape == (0,)


def test_works_outside_grad_mode_and_leaves_it():
    with tl.no_grad():
        slope = functional.jacobian(lambda x: x * x, tl.tensor(X))
        assert not tl.is_grad_enabled()
    np.testing.assert_allclose(slope.numpy(), np.diag(2 * X), rtol=1e-15)


def test_inputs_that_depend_on_each_other_are_taken_apart():
    x = tl.tensor(X, requires_grad=True)
    products = functional.vjp(lambda x, y: (x * y).sum(), (x, x * x), create_graph=True)[1]
    np.testing.assert_allclose([p.tolist() for p in products], [X**2, X], rtol=1e-15)


def test_memory_is_freed_by_reference_counting(leaked):
    x = tl.tensor(X, requires_grad=True)
    arrays = []

    def f(x):
        y = x.exp()
        arrays.append(weakref.ref(y._array))
        return (y * y).sum()

    for create_graph in (False, True):
        functional.hessian(f, x, create_graph=create_graph)
        functional.hvp(f, x, tl.tensor(V), create_graph=create_graph)
        functional.jvp(f, x, tl.tensor(V), create_graph=create_graph)
    assert len(arrays) == 6
    assert [array() for array in arrays] == [None] * 6
    assert not leaked()
