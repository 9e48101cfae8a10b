"""Optimizers: how parameters move along their gradients, under PyTorch's names."""

from tinygrad_lite import _names
from tinygrad_lite.optim.adam import Adam, AdamW
from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]

_names.explain_missing(__name__)
