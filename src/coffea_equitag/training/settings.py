"""Settings of a training: its options with everything that they leave out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pydantic
from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..jet_model import JetModel
from ..validation import Strict
from .auxiliary_task import AuxiliaryTask
from .data.augmentation import Augmentation
from .data.flat_weights import FlatWeights
from .options import Monitor, Options, Precision, refused
from .recipes import Recipe, resolve_recipe

__all__ = ["Settings"]

#: Options that the recipe takes up.
_OF_RECIPE = {"recipe", *Options.model_fields} & {"recipe", *Recipe.model_fields} - {"epochs"}


class Settings(Strict):
    """What decides the result of a training, beside the jets and the network's first weights.

    A field that version 0.1 did not have stands for its default there.
    """

    architecture: str
    options: dict[str, Any]
    classes: tuple[str, ...] = Field(description="Names of the classes, in the order of the labels.")
    signal: str
    epochs: int
    recipe: Recipe
    pair_budget: int | None = Field(description="As given: None until the memory has been looked at.")
    pool: int
    class_weights: Literal["balanced"] | tuple[float, ...] | None
    target: str | None = None
    decorrelate: str | None = None
    decorrelation: float = 10.0
    auxiliary: dict[str, AuxiliaryTask] | None = None
    keep_auxiliary: bool = False
    precision: Precision
    monitor: Monitor
    seed: int
    split_seed: int | None = None
    init_from: str | None = Field(default=None, description="Hash of the tagger that the training begins with.")
    frozen: tuple[str, ...] = ()
    pretrained_rate: float = 1.0
    name: str
    data: str | None
    jet_definition: str | None
    label_map: dict[str, str] | None = None
    unmapped: Literal["error", "drop"] = "error"
    select: str | None = None
    weights: str | None = None
    flat: FlatWeights | None = None
    folds: int | None = None
    fold: int | None = None
    event_id: tuple[str, ...] | None = None
    augmentation: Augmentation | None = None

    @classmethod
    def of(
        cls,
        model: JetModel,
        options: Options,
        data: str | None = None,
        *,
        init_from: str | None = None,
        default: Recipe | None = None,
    ) -> Settings:
        """Put what the options leave out: from the recipe, and from the model.

        Parameters
        ----------
        model : JetModel
            The network.
        options : Options
            As given.
        data : str, optional
            Where the jets come from.
        init_from : str, optional
            Hash of the tagger that the training begins with.
        default : Recipe, optional
            Instead of the recipe of the network's paper.

        Raises
        ------
        TaggerError
            For a value that a setting cannot have.
        """
        replaced = {name: getattr(options, name) for name in _OF_RECIPE if name != "recipe"}
        recipe = resolve_recipe(model.kind, options.recipe, options=model.options, default=default, **replaced)
        classifies = model.output == "classes"
        names = options.classes or (("background", "signal") if classifies and model.n_classes == 2 else ())
        signal = options.signal or (names[-1] if names else "")
        resolved = {
            "architecture": model.kind,
            "options": model.options,
            "classes": names,
            "signal": signal,
            "target": options.target or ("momentum" if model.output == "momentum" else None),
            "epochs": options.epochs or recipe.epochs,
            "recipe": recipe,
            "name": options.name or model.kind,
            "data": data,
            "init_from": init_from,
        }
        kept = {name: getattr(options, name) for name in Options.model_fields if name not in _OF_RECIPE}
        try:
            return cls(**(kept | resolved))
        except pydantic.ValidationError as error:
            raise refused(error) from error

    @property
    def seed_of_split(self) -> int:
        """Seed of the split into training and validation jets."""
        return self.seed if self.split_seed is None else self.split_seed

    @field_validator("class_weights")
    @classmethod
    def _weights(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, tuple):
            return given
        weights, number = np.asarray(given), len(info.data.get("classes", given))
        if len(weights) != number or (weights < 0).any() or not weights.any():
            raise ValueError(f"{number} numbers are needed, none negative, not all 0")
        return given

    @property
    def classifies(self) -> bool:
        """Whether the network is a classifier."""
        return bool(self.options.get("output", "classes") == "classes")

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if not self.classifies:
            return self._of_regression()
        if self.target is not None:
            raise ValueError(f"target = {self.target!r} for a classifier: build the network with output='momentum'")
        number = self.options["n_classes"]
        if len(self.classes) != number or len(set(self.classes)) != number:
            raise ValueError(
                f"classes = {self.classes or None} for a network of {number} classes: {number} different names are "
                "needed, in the order of the labels"
            )
        if self.signal not in self.classes:
            raise ValueError(f"signal = {self.signal!r}: one of the classes is needed, {', '.join(self.classes)}")
        return self

    def _of_regression(self) -> Settings:
        of_classes: dict[str, Any] = {name: getattr(self, name) for name in ("classes", "class_weights", "decorrelate")}
        of_classes["label_smoothing"] = self.recipe.label_smoothing
        given = [f"{name} = {value!r}" for name, value in of_classes.items() if value]
        if given:
            raise ValueError(f"{', '.join(given)} for a network that returns vectors: leave them out")
        if self.target is None:
            raise ValueError(
                "target = None for a network that returns vectors: name the field that holds the true ones"
            )
        return self
