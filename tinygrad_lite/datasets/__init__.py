"""Readers of data files, and well-known data sets."""

from tinygrad_lite import _names
from tinygrad_lite.datasets.idx import read_idx
from tinygrad_lite.datasets.images import MNIST, FashionMNIST, IdxImages
from tinygrad_lite.datasets.table import read_csv

__all__ = ["MNIST", "FashionMNIST", "IdxImages", "read_csv", "read_idx"]

_names.explain_missing(__name__)
