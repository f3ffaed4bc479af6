"""Training recipes: how each paper trained its network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic import Field, model_validator

from ..errors import TaggerError, explain
from ..validation import Strict, faults

__all__ = ["MOST", "RECIPES", "Recipe", "recipe_of", "resolve_recipe"]

#: The largest number of epochs, or of jets in a batch: beyond all that is ever done, within what a float can count.
MOST = 10**9

#: The largest number of cosine cycles.
_CYCLES = 10_000


class Recipe(Strict):
    """Optimiser, schedule and batches.

    The schedule is given in epochs of the recipe's own length; a training of another length scales it in proportion,
    warm-up and restarts alike (7 epochs of a 35-epoch recipe with 5 of warm-up warm up for 1). The learning rate
    changes from batch to batch, not only from epoch to epoch.
    """

    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest value of the schedule.")
    weight_decay: float = Field(default=1e-2, ge=0)
    batch_size: int = Field(default=128, ge=1, le=MOST, description="Largest number of jets per batch.")
    epochs: int = Field(default=35, ge=1, le=MOST)
    warmup: float = Field(default=5, ge=0, description="Epochs of linear growth from 0.")
    first_cycle: float | None = Field(default=4, gt=0, description="Epochs of the first cosine cycle; None: no cosine.")
    cycle_factor: float = Field(
        default=2, ge=1, description="Each cosine cycle is longer than the one before by this factor."
    )
    halve_from: float | None = Field(default=31, description="Halve the rate every epoch from this one on.")
    gradient_clip: float | None = Field(default=None, gt=0, description="Largest norm of the gradient.")
    reference: str = ""

    @model_validator(mode="after")
    def _cycles(self) -> Recipe:
        if self.first_cycle is not None and self.epochs / self.first_cycle > _CYCLES:
            raise ValueError(f"first_cycle = {self.first_cycle} of {self.epochs} epochs: at most {_CYCLES} cycles fit")
        return self

    def rate(self, progress: float) -> float:
        """Learning rate after a fraction `progress` (0 to 1) of the training."""
        epoch = progress * self.epochs
        last = epoch if self.halve_from is None else min(epoch, self.halve_from)
        if last < self.warmup:
            factor = last / self.warmup
        elif self.first_cycle is None:
            factor = 1.0
        else:
            into, length = last - self.warmup, self.first_cycle
            while into >= length:
                into, length = into - length, length * self.cycle_factor
            factor = 0.5 * (1 + math.cos(math.pi * into / length))
        if self.halve_from is not None and epoch >= self.halve_from:
            factor *= 0.5 ** (math.floor(epoch - self.halve_from) + 1)
        return self.learning_rate * factor


#: Recipes by kind of model.
RECIPES: dict[str, Recipe] = {
    "lorentznet": Recipe(reference="Gong et al., JHEP 07 (2022) 030, section 3.3"),
    "pfn": Recipe(
        optimizer="adam",
        weight_decay=0,
        batch_size=500,
        epochs=50,
        warmup=0,
        first_cycle=None,
        halve_from=None,
        reference="Komiske, Metodiev, Thaler, JHEP 01 (2019) 121: Adam at 1e-3, batches of 500",
    ),
}


def recipe_of(kind: str, recipe: Recipe | Mapping[str, Any] | str | None = None) -> Recipe:
    """The recipe to train a model with.

    Parameters
    ----------
    kind : str
        The model's kind; models without a recipe of their own use LorentzNet's.
    recipe : Recipe, mapping, str or None
        Another recipe, values that replace some of the kind's own, or the kind whose recipe to use.

    Raises
    ------
    TaggerError
        For a recipe that does not exist, or a value it cannot have.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not (recipe is None or isinstance(recipe, Mapping) or recipe in tuple(RECIPES)):
        raise TaggerError(explain(f"no recipe {recipe!r}", f"one of {', '.join(RECIPES)}", "or give a Recipe"))
    base = RECIPES.get(recipe if isinstance(recipe, str) else kind, RECIPES["lorentznet"])
    return base if recipe is None or isinstance(recipe, str) else _replaced(base, recipe)


def resolve_recipe(kind: str, recipe: Recipe | Mapping[str, Any] | str | None, **replacements: Any) -> Recipe:
    """The recipe of `recipe_of`, with the values given here instead of its own; None keeps its own.

    Raises
    ------
    TaggerError
        As `recipe_of`.
    """
    given = {name: value for name, value in replacements.items() if value is not None}
    return _replaced(recipe_of(kind, recipe), given)


def _replaced(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(base.model_dump() | dict(values))
    except pydantic.ValidationError as error:
        raise TaggerError(
            explain(
                f"a recipe with {faults(error)}",
                f"values for {', '.join(Recipe.model_fields)}",
                "check names and values",
            )
        ) from error
