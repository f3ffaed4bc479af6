"""What is learned: the loss per jet, and the validation's metrics."""

from .classification import Classification
from .objective import Objective

__all__ = ["Classification", "Objective"]
