"""Functions that take functions: derivatives and mapping over a dimension, as ``torch.func``.

They can be nested in any order. Arguments may be nested tuples, lists and dicts of Tensors, as the parameters
that :func:`functional_call` takes. The ``grad`` of leaves stays as it is. A result can be differentiated
again where it depends on tensors that require grad, and is an ordinary tensor otherwise.
"""

from tinygrad_lite import _names
from tinygrad_lite.func.derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, value_and_grad, vjp
from tinygrad_lite.func.mapping import vmap
from tinygrad_lite.func.modules import functional_call

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "value_and_grad",
    "vjp",
    "vmap",
]

_names.explain_missing(__name__)
