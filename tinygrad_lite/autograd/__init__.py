"""The Tensor, the primitives and the engine that differentiates them in reverse."""

from tinygrad_lite import _names
from tinygrad_lite.autograd import function, functional
from tinygrad_lite.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinygrad_lite.autograd.checks import GradcheckError, check_derivation, gradcheck, gradgradcheck
from tinygrad_lite.autograd.engine import grad
from tinygrad_lite.autograd.function import Function
from tinygrad_lite.autograd.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "GradcheckError",
    "check_derivation",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

_names.explain_missing(__name__)
