"""Training: recipes, batches, configurations and `fit`. Lightning is imported only when `fit` is called."""

from . import folds
from .data import Batches
from .fitting import fit
from .recipes import Recipe, recipe_of
from .run_config import RunConfig
from .train import train

__all__ = ["Batches", "Recipe", "RunConfig", "fit", "folds", "recipe_of", "train"]
