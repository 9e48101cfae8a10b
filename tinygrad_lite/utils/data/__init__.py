"""Data sets, and the loader that turns them into batches: PyTorch's ``torch.utils.data``."""

from tinygrad_lite import _names
from tinygrad_lite.utils.data.collate import default_collate
from tinygrad_lite.utils.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinygrad_lite.utils.data.loader import DataLoader

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]

_names.explain_missing(__name__)
