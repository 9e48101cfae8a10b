"""Tools around training; :mod:`tinygrad_lite.utils.data` feeds it."""

from tinygrad_lite import _names
from tinygrad_lite.utils import checkpoint, data

__all__ = ["checkpoint", "data"]

_names.explain_missing(__name__)
