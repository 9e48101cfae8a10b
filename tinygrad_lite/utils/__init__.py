"""Tools around training; :mod:`tinygrad_lite.utils.data` feeds it."""

from tinygrad_lite.utils import data

__all__ = ["data"]
