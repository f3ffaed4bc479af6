"""Training: recipes, batches by multiplicity, and `fit`. Lightning is imported only when `fit` is called."""

from .batches import PairBatches
from .fitting import fit
from .recipes import Recipe, recipe_of

__all__ = ["PairBatches", "Recipe", "fit", "recipe_of"]
