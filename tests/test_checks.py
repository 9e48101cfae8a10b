"""The checkers are checked: they pass what is right and find rules that are wrong by a thousandth."""

import re

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.autograd import GradcheckError, check_derivation, gradcheck, gradgradcheck
from tinygrad_lite.autograd.primitive import primitive

pytestmark = pytest.mark.usefixtures("local_primitives")


def leaf(*values):
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True)


def cube(rule, saves="input"):
    """x**3 with a rule of the caller's."""

    @primitive(saves=saves)
    def cube(input):
        return input * input * input

    cube.vjp(0)(rule)
    return cube


def right(g, out, x):
    return g * 3 * x * x


def wrong_by_a_thousandth(g, out, x):
    return g * 3.003 * x * x


def wrong_sign(g, out, x):
    return -g * 3 * x * x


def wrong_in_one_element(g, out, x):
    return g * 3 * x * x * np.array([1.0, 1.0, 1.001])


def wrong_by_a_constant(g, out, x):
    return g * (3 * x * x + 0.01)


def ignores_the_cotangent(g, out, x):
    return 3 * x * x


def wrong_nan(g, out, x):
    return g * 3 * x * x + np.nan


# ---- gradcheck


@pytest.mark.parametrize(
    "f",
    [
        lambda x: cube(right)(x),
        lambda x: (x.exp(), (x * x).sum()),
        lambda x: x[:2] @ x[1:],
        lambda x: tl.softmax(x, 0),
        lambda x: x.sum(),
        lambda x: x * 0 + 1,
        lambda x: [x.reshape(3, 1) * x],
    ],
)
def test_right_gradients_pass(f):
    assert gradcheck(f, leaf(0.5, -1.0, 2.0)) is True


@pytest.mark.parametrize(
    "rule", [wrong_by_a_thousandth, wrong_sign, wrong_in_one_element, wrong_by_a_constant, wrong_nan]
)
def test_wrong_rules_are_caught(rule):
    x = leaf(0.5, -1.0, 2.0)
    with pytest.raises(GradcheckError):
        gradcheck(cube(rule), x, rtol=1e-4)
    assert gradcheck(cube(rule), x, rtol=1e-4, raise_exception=False) is False


@pytest.mark.parametrize("rule", [wrong_by_a_thousandth, wrong_sign, wrong_in_one_element, wrong_by_a_constant])
def test_wrong_rules_are_caught_behind_other_operations(rule):
    x = leaf(0.5, -1.0, 2.0)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: (cube(rule)(x) * 2).exp(), x, rtol=1e-4)


def test_a_rule_that_ignores_the_cotangent_is_caught():
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: cube(ignores_the_cotangent)(x) * 2, leaf(0.5, -1.0, 2.0))


def test_what_the_error_says():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(
            lambda a, x: a + cube(wrong_in_one_element)(x), (leaf(1.0, 1.0, 1.0), leaf(0.5, -1.0, 2.0)), rtol=1e-4
        )
    message = str(caught.value)
    assert "output 0 by input 1" in message
    assert "element (2, 2)" in message
    assert "autograd 12.012" in message
    assert re.search(r"central difference (12|12\.0000\d+|11\.9999\d+),", message)
    assert "relative error 0.001" in message
    assert "1 of 9 elements differ" in message


def test_the_second_of_two_inputs_and_outputs_is_named():
    def f(a, x):
        return a * 2, cube(wrong_by_a_thousandth)(x)

    with pytest.raises(GradcheckError, match="output 1 by input 1"):
        gradcheck(f, (leaf(1.0), leaf(2.0)), rtol=1e-4)


def test_inputs_without_grad_are_held_fixed():
    weight = tl.tensor([2.0, 3.0], dtype=tl.float64)
    assert gradcheck(lambda x, w: x * w, (leaf(0.5, 1.0), weight))
    assert gradcheck(lambda x, n: x**n, (leaf(0.5, 1.0), 3))


def test_inputs_are_left_as_they_are():
    x = leaf(0.5, -1.0, 2.0)
    gradcheck(cube(right), x)
    gradgradcheck(cube(right), x)
    assert x.tolist() == [0.5, -1.0, 2.0]
    assert x.grad is None


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_float32_is_refused(check):
    with pytest.raises(ValueError, match=r"input 1 is float32.*float64"):
        check(lambda a, b: a * b, (leaf(1.0), tl.ones(1, requires_grad=True)))


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="no input requires grad"):
        gradcheck(lambda x: x * 2, tl.ones(2, dtype=tl.float64))


def test_0d_and_empty_inputs():
    assert gradcheck(lambda x: x * x, tl.tensor(3.0, dtype=tl.float64, requires_grad=True))
    assert gradcheck(lambda x: x * x, tl.zeros(0, 3, dtype=tl.float64, requires_grad=True))
    assert gradcheck(lambda x, y: x.sum() * y, (tl.zeros(0, dtype=tl.float64, requires_grad=True), leaf(2.0)))


def test_a_jump_between_is_not_hidden():
    """Infinite differences are not equal to a finite gradient."""
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: tl.where(x > 0.5, x, x + 1), leaf(0.5))


# ---- gradgradcheck


@pytest.mark.parametrize(
    "f", [lambda x: cube(right)(x), lambda x: x.exp() * x, lambda x: (x.sum(), x.tanh()), lambda x: 2 * x]
)
def test_right_second_derivatives_pass(f):
    assert gradgradcheck(f, leaf(0.5, -1.0, 2.0)) is True


def test_several_inputs():
    assert gradgradcheck(lambda a, b: a * b.exp(), (leaf(0.5, -1.0), leaf(2.0)))


def cut(g, out, x):
    """Right at first order; at second it forgets that it depends on x."""
    x = x.detach() if isinstance(x, tl.Tensor) else x
    return g * 3 * x * x


def half_cut(g, out, x):
    factor = x.detach() if isinstance(x, tl.Tensor) else x
    return g * 3 * x * factor


@pytest.mark.parametrize("rule", [cut, half_cut])
def test_a_wrong_second_derivative_is_caught(rule):
    x = leaf(0.5, -1.0, 2.0)
    assert gradcheck(cube(rule), x)
    with pytest.raises(GradcheckError, match="by input 0"):
        gradgradcheck(cube(rule), x)
    assert gradgradcheck(cube(rule), x, raise_exception=False) is False


def test_a_second_derivative_wrong_by_a_thousandth_is_caught():
    @primitive(saves="input")
    def slope(input):
        return 3 * input * input

    @slope.vjp(0)
    def _(g, out, x):
        return g * 6.006 * x

    f = cube(lambda g, out, x: g * slope(x))
    x = leaf(0.5, -1.0, 2.0)
    assert gradcheck(f, x)
    with pytest.raises(GradcheckError, match=r"relative error 0.001"):
        gradgradcheck(f, x, rtol=1e-4)


def test_given_cotangents():
    x = leaf(0.5, -1.0)
    v = tl.tensor([2.0, 3.0], dtype=tl.float64, requires_grad=True)
    assert gradgradcheck(lambda x: x**3, x, v)
    assert gradgradcheck(lambda x: x**3, [x], [v.detach()])
    assert gradgradcheck(lambda x: (x**3, x.exp()), [x], [v, v.detach()])


# ---- check_derivation


def quadratic(w, b):
    return (w * w * b).sum()


def derived(w, b):
    return [2 * w * b, w * w]


def test_a_right_derivation():
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert check_derivation(quadratic, (w, b), derived) == 0.0
    assert check_derivation(quadratic, (w, b), [np.array([6.0, 16.0]), np.array([1.0, 4.0])]) == 0.0
    assert (w.grad, b.grad) == (None, None)


def test_its_result_is_the_largest_relative_error():
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    found = check_derivation(quadratic, (w, b), lambda w, b: [2 * w * b, w * w + [0.0, 4e-6]], rtol=1e-5)
    assert found == pytest.approx(1e-6, rel=1e-9)


def test_inputs_need_not_require_grad():
    w = tl.tensor([1.0, 2.0], dtype=tl.float64)
    assert check_derivation(lambda w: (w**2).sum(), w, lambda w: [2 * w]) == 0.0


def test_none_is_not_checked():
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert check_derivation(quadratic, (w, b), lambda w, b: [None, w * w]) == 0.0
    with pytest.raises(GradcheckError, match="input 1"):
        check_derivation(quadratic, (w, b), lambda w, b: [None, w])


@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-9])
def test_a_derivation_wrong_in_one_element_is_caught(error):
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with pytest.raises(GradcheckError) as caught:
        check_derivation(quadratic, (w, b), lambda w, b: [2 * w * b, w * w * [1.0, 1.0 + error]])
    message = str(caught.value)
    assert "input 1, element (1,)" in message
    assert f"derived {4 * (1 + error):.10g}, autograd 4," in message
    assert f"relative error {error:.2g}" in message
    assert "1 of 2 elements differ" in message


def test_the_element_that_is_most_wrong_is_named():
    w = leaf(1.0, 2.0, 3.0)
    with pytest.raises(GradcheckError, match=r"element \(2,\).*2 of 3 elements differ"):
        check_derivation(lambda w: (w * w).sum(), w, lambda w: [2 * w + [0.0, 0.1, 0.5]])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_derivation_that_is_not_finite_is_caught(wrong):
    w = leaf(1.0, 2.0)
    with pytest.raises(GradcheckError, match=r"element \(1,\)"):
        check_derivation(lambda w: (w * w).sum(), w, lambda w: [2 * w + [0.0, wrong]])


def test_a_derivation_of_another_shape_is_caught():
    """A formula that would broadcast is wrong all the same."""
    w = leaf(1.0, 1.0)
    with pytest.raises(GradcheckError, match=r"input 0.*\(1,\).*\(2,\)"):
        check_derivation(lambda w: w.sum(), w, lambda w: [np.ones(1)])


def test_a_missing_formula_is_refused():
    with pytest.raises(ValueError, match="2 inputs, but 1 derived"):
        check_derivation(quadratic, (leaf(1.0), leaf(2.0)), lambda w, b: [w])


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(RuntimeError, match="scalar"):
        check_derivation(lambda w: w * w, leaf(1.0, 2.0), lambda w: [2 * w])


def test_derivations_are_checked_under_no_grad_too():
    with tl.no_grad():
        assert check_derivation(lambda w: (w * w).sum(), leaf(1.0, 2.0), lambda w: [2 * w]) == 0.0


def test_formulas_get_copies():
    w = leaf(1.0, 2.0)

    def careless(w):
        w *= 2
        return [w]

    assert check_derivation(lambda w: (w * w).sum(), w, careless) == 0.0
    assert w.tolist() == [1.0, 2.0]
