"""Official checkpoints into taggers."""

from .checkpoint import official

__all__ = ["official"]
