"""Building blocks of nets, under PyTorch's names: modules, layers, losses, functions and initialisation."""

from tinygrad_lite import _names
from tinygrad_lite.nn import functional, init
from tinygrad_lite.nn.activation import Hardsigmoid, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from tinygrad_lite.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from tinygrad_lite.nn.dropout import Dropout
from tinygrad_lite.nn.linear import Flatten, Identity, Linear
from tinygrad_lite.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Hardsigmoid",
    "Identity",
    "L1Loss",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
]

_names.explain_missing(__name__)
