"""Training recipes: how each paper trained its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic import Field

from ..errors import TaggerError, explain
from ..validation import faults
from .schedule import MOST, Schedule

__all__ = ["FIRST_RECIPES", "MOST", "RECIPES", "Recipe", "recipe_of", "resolve_recipe"]


class Recipe(Schedule):
    """Optimiser, schedule, batches and regularisation of a training."""

    optimizer: Literal["adam", "adamw", "amsgrad"] = Field(
        default="adamw", description="Adam, AdamW (decay apart from the gradient), or Adam with AMSGrad."
    )
    weight_decay: float = Field(default=1e-2, ge=0, description="Weight decay of the optimiser.")
    batch_size: int = Field(default=128, ge=1, le=MOST, description="Largest number of jets per batch.")
    accumulate: int = Field(
        default=1,
        ge=1,
        le=MOST,
        description="Batches whose gradients add up to one step of the optimiser.",
    )
    gradient_clip: float | None = Field(default=None, gt=0, description="Largest norm of the gradient.")
    label_smoothing: float = Field(
        default=0, ge=0, lt=1, description="Share of a jet's label that is spread evenly over all classes in the loss."
    )
    ema: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay per step of a moving average of the weights, which is validated and stored as the tagger.",
    )
    patience: int | None = Field(
        default=None, ge=1, le=MOST, description="Stop after so many epochs without a better value of the monitor."
    )
    max_constituents: int | None = Field(
        default=None, ge=1, le=MOST, description="The hardest constituents of a jet that the network sees; None: all."
    )
    reference: str = Field(default="", description="Where the values come from.")

    @property
    def jets_per_step(self) -> int:
        """Largest number of jets of a step of the optimiser."""
        return self.batch_size * self.accumulate


_LORENTZNET = Recipe(reference="Gong et al., JHEP 07 (2022) 030, section 3.3")

_PFN = Recipe(
    optimizer="adam",
    weight_decay=0,
    batch_size=500,
    epochs=50,
    warmup=0,
    first_cycle=None,
    halve_from=None,
    reference="Komiske, Metodiev, Thaler, JHEP 01 (2019) 121: Adam at 1e-3, batches of 500",
)

_PELICAN = Recipe(
    learning_rate=2.5e-3,
    weight_decay=5e-3,
    batch_size=64,
    warmup=4,
    lowest=1e-6 / 2.5e-3,
    halve_from=32,
    max_constituents=80,
    reference="Bogatskiy et al., arXiv:2211.00454, with the official configuration toptag.yaml: AdamW, 4 epochs of "
    "warm-up, cosine cycles of 4, 8 and 16, 3 epochs of halving",
)

_PARTICLENET = Recipe(
    learning_rate=3e-3,
    weight_decay=1e-4,
    batch_size=384,
    epochs=20,
    points=((0, 0.1), (8, 1), (16, 0.1), (20, 5e-7 / 3e-3)),
    reference="Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, section III: AdamW, one cycle of 3e-4, 3e-3, 3e-4 over 16 "
    "epochs, 4 more down to 5e-7",
)

_PARTICLE_TRANSFORMER = Recipe(
    learning_rate=1e-3,
    weight_decay=1e-2,
    batch_size=512,
    epochs=20,
    points=((0, 1), (14, 1), (20, 0.01)),
    interpolation="exponential",
    reference="Qu, Li, Qian, arXiv:2202.03772, for top tagging: 20 epochs in batches of 512 at 1e-3, after 70% of them "
    "exponentially down to 1e-5; AdamW instead of RAdam with Lookahead",
)

#: What a schedule of warm-up, cosine cycles and halving is described by.
_CYCLES = {"warmup", "first_cycle", "cycle_factor", "lowest", "halve_from"}

_PFN_DEFAULT = "default of this package: PFN's recipe, which arXiv:2303.11288 compares its networks with"


def _like(base: Recipe, reference: str, **values: Any) -> Recipe:
    return base.model_copy(update={"reference": reference, **values})


#: Recipes by kind of model, and by variant of a kind (see `variant_of`).
RECIPES: dict[str, Recipe] = {
    "lorentznet": _LORENTZNET,
    "lorentznet_base": _like(
        _LORENTZNET,
        "default of this package, with and without patches: LorentzNet's recipe, on which arXiv:2208.07814 builds",
    ),
    "pelican": _PELICAN,
    "pelican_momentum": _like(
        _PELICAN,
        "Bogatskiy et al., arXiv:2307.16506, with the official configuration btW7.yaml: as the classifier's, with "
        "batches of 128 and the 100 hardest constituents",
        batch_size=128,
        max_constituents=100,
    ),
    "lgatr_slim": Recipe(
        learning_rate=3e-4,
        weight_decay=0.2,
        epochs=32,
        warmup=0,
        first_cycle=32,
        halve_from=None,
        reference="default of this package: as the authors train taggers (repository lloca-experiments; 300,000 steps "
        "of 128 jets, one cosine), with AdamW at ten times the rate and a tenth of the decay of their Lion",
    ),
    "lgn": Recipe(
        optimizer="amsgrad",
        weight_decay=0,
        batch_size=8,
        epochs=53,
        warmup=0,
        first_cycle=53,
        lowest=1e-2,
        halve_from=None,
        reference="Bogatskiy et al., ICML 2020, arXiv:2006.04780: AMSGrad, one cosine from 1e-3 to 1e-5, batches of 8",
    ),
    "particle_transformer": _PARTICLE_TRANSFORMER,
    "lloca_transformer": Recipe(
        weight_decay=0,
        batch_size=512,
        epochs=21,
        warmup=0,
        first_cycle=21,
        halve_from=None,
        reference="default of this package: the authors' configuration tag_default.yaml, 50,000 steps of AdamW at 1e-3 "
        "with batches of 512 and one cosine; for top tagging they use Lion, which is not among the optimisers",
    ),
    "particlenet": _PARTICLENET,
    "particlenet_lite": _like(
        _PARTICLENET,
        "Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, section III, ParticleNet-Lite: one cycle of 5e-4, 5e-3, 5e-4 "
        "over 16 epochs, 4 more down to 1e-6",
        learning_rate=5e-3,
        batch_size=1024,
        points=((0, 0.1), (8, 1), (16, 0.1), (20, 1e-6 / 5e-3)),
    ),
    "pfn": _PFN,
    "vector_pfn": _like(_PFN, _PFN_DEFAULT),
    "tensor_pfn": _like(_PFN, _PFN_DEFAULT),
}

#: Recipes that version 0.1 trained with; every other network had LorentzNet's.
FIRST_RECIPES: dict[str, Recipe] = {"pfn": _PFN}


def variant_of(kind: str, options: Mapping[str, Any]) -> str:
    """Name of the recipe of a kind of model with these options."""
    variant = f"{kind}_lite" if options.get("lite") else f"{kind}_{options.get('output', 'classes')}"
    return variant if variant in RECIPES else kind


def recipe_of(
    kind: str,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    default: Recipe | None = None,
) -> Recipe:
    """The recipe to train a model with.

    Parameters
    ----------
    kind : str
        The model's kind; models without a recipe of their own use LorentzNet's.
    recipe : Recipe, mapping, str or None
        Another recipe, values that replace some of the kind's own, or the name of the recipe to use.
    options : mapping, optional
        The model's options: a variant may have a recipe of its own (``particlenet_lite``, ``pelican_momentum``).
    default : Recipe, optional
        Taken as the kind's own.

    Raises
    ------
    TaggerError
        For a recipe that does not exist, or a value it cannot have.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not (recipe is None or isinstance(recipe, Mapping) or recipe in tuple(RECIPES)):
        raise TaggerError(explain(f"no recipe {recipe!r}", f"one of {', '.join(RECIPES)}", "or give a Recipe"))
    if isinstance(recipe, str):
        return RECIPES[recipe]
    base = default or RECIPES.get(variant_of(kind, options or {}), _LORENTZNET)
    return base if recipe is None else _replaced(base, recipe)


def resolve_recipe(
    kind: str,
    recipe: Recipe | Mapping[str, Any] | str | None,
    *,
    options: Mapping[str, Any] | None = None,
    default: Recipe | None = None,
    **replacements: Any,
) -> Recipe:
    """The recipe of `recipe_of`, with the values given here instead of its own; None keeps its own.

    Raises
    ------
    TaggerError
        As `recipe_of`.
    """
    given = {name: value for name, value in replacements.items() if value is not None}
    return _replaced(recipe_of(kind, recipe, options=options, default=default), given)


def _replaced(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    # points take the place of warm-up and cycles: given these, the base's points must not outlive them
    points = {"points": None} if _CYCLES & set(values) else {}
    try:
        return Recipe.model_validate(base.model_dump() | points | dict(values))
    except pydantic.ValidationError as error:
        raise TaggerError(
            explain(
                f"a recipe with {faults(error)}",
                f"values for {', '.join(Recipe.model_fields)}",
                "check names and values",
            )
        ) from error
