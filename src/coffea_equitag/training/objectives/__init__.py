"""What is learned: the loss per jet, and the validation's metrics."""

from .auxiliary import MultiTask
from .classification import Classification
from .decorrelated import Decorrelated
from .objective import Objective
from .regression import MomentumRegression, VectorRegression

__all__ = [
    "Classification",
    "Decorrelated",
    "MomentumRegression",
    "MultiTask",
    "Objective",
    "VectorRegression",
]
