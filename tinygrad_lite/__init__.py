"""tinygrad_lite: an autograd micro-framework on NumPy, with PyTorch's API.

>>> import tinygrad_lite as tl
>>> x = tl.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

from math import e, inf, nan, pi

from tinygrad_lite import _names, autograd, datasets, func, nn, optim, utils
from tinygrad_lite._tensor import Tensor
from tinygrad_lite.autograd.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinygrad_lite.compiler import compile
from tinygrad_lite.config import show_config
from tinygrad_lite.creation import *
from tinygrad_lite.dtypes import *
from tinygrad_lite.dtypes import bool_ as bool
from tinygrad_lite.dtypes import float32 as float
from tinygrad_lite.dtypes import int32 as int
from tinygrad_lite.ops.arithmetic import *
from tinygrad_lite.ops.comparison import *
from tinygrad_lite.ops.cumulative import *
from tinygrad_lite.ops.diagonals import *
from tinygrad_lite.ops.elementwise import *
from tinygrad_lite.ops.exponential import *
from tinygrad_lite.ops.indexing import *
from tinygrad_lite.ops.joining import *
from tinygrad_lite.ops.linear_algebra import *
from tinygrad_lite.ops.rearrangement import *
from tinygrad_lite.ops.reduction import *
from tinygrad_lite.ops.shape import *
from tinygrad_lite.ops.softmax import log_softmax, logsumexp, softmax
from tinygrad_lite.ops.statistics import *
from tinygrad_lite.ops.trigonometry import *
from tinygrad_lite.random import *

_names.explain_missing(__name__, lazy=["testing"])
