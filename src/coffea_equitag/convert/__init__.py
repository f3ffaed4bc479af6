"""Official checkpoints into taggers."""

from .official import official

__all__ = ["official"]
