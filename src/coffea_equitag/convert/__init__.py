"""Conversion of official checkpoints to taggers."""

from .checkpoint import official

__all__ = ["official"]
