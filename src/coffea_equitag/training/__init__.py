"""Training: recipes, batches and `fit`. Lightning is imported only when `fit` is called."""

from .data import Batches
from .fitting import fit
from .recipes import Recipe, recipe_of

__all__ = ["Batches", "Recipe", "fit", "recipe_of"]
