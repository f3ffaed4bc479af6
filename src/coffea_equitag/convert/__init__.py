"""Conversion of official checkpoints to taggers."""

from .checkpoint import official
from .weaver_inputs import weaver_inputs

__all__ = ["official", "weaver_inputs"]
