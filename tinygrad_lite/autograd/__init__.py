"""The Tensor, the primitives and the engine that differentiates them in reverse."""

from tinygrad_lite.autograd.checks import GradcheckError, check_derivation, gradcheck, gradgradcheck
from tinygrad_lite.autograd.engine import grad
from tinygrad_lite.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "GradcheckError",
    "check_derivation",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
