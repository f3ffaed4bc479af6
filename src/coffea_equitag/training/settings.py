"""Settings of a training, checked before anything is trained or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pydantic
from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..validation import Strict, faults
from .recipes import MOST, Recipe, resolve_recipe

__all__ = ["Precision", "Settings"]

Precision = Literal["32", "bf16-mixed"]


class Settings(Strict):
    """What decides the result of a training, beside the jets and the network's first weights.

    `fit` describes each of them.
    """

    architecture: str
    options: dict[str, Any]
    classes: tuple[str, ...] = Field(description="Names of the classes, in the order of the labels.")
    signal: str
    epochs: int = Field(ge=1, le=MOST)
    recipe: Recipe
    pair_budget: int | None = Field(ge=1, lt=2**63, description="As given: None until the memory has been looked at.")
    pool: int = Field(ge=0, le=MOST)
    class_weights: Literal["balanced"] | tuple[float, ...] | None
    precision: Precision
    monitor: Literal["loss", "auc", "accuracy"]
    seed: int = Field(ge=0, lt=2**63)
    name: str
    data: str | None
    jet_definition: str | None

    @classmethod
    def of(
        cls,
        model: JetModel,
        *,
        recipe: Recipe | Mapping[str, Any] | str | None,
        epochs: int | None,
        batch_size: int | None,
        learning_rate: float | None,
        weight_decay: float | None,
        classes: Sequence[str] | None,
        signal: str | None,
        name: str | None,
        **others: Any,
    ) -> Settings:
        """Check the arguments of `fit`, and put what they leave out: from the recipe, and from the model.

        Raises
        ------
        TaggerError
            For a value that a setting cannot have.
        """
        chosen = resolve_recipe(
            model.kind, recipe, batch_size=batch_size, learning_rate=learning_rate, weight_decay=weight_decay
        )
        if classes is None and model.n_classes == 2:
            classes = ("background", "signal")
        names = tuple(classes or ())
        try:
            return cls(
                architecture=model.kind,
                options=model.options,
                classes=names,
                signal=names[-1] if signal is None and names else signal or "",
                epochs=chosen.epochs if epochs is None else epochs,
                recipe=chosen,
                name=name or model.kind,
                **others,
            )
        except pydantic.ValidationError as error:
            raise TaggerError(
                explain(
                    f"fit with {faults(error)}",
                    "settings as the documentation of coffea_equitag.fit describes them",
                    "change the values named",
                )
            ) from error

    @field_validator("class_weights", mode="before")
    @classmethod
    def _weights(cls, given: Any, info: ValidationInfo) -> Any:
        if given is None or (isinstance(given, str) and given == "balanced"):
            return given
        try:
            weights = np.asarray(given, dtype=np.float64)
        except ValueError:
            raise ValueError("None, 'balanced' or numbers are possible") from None
        number = len(info.data.get("classes", weights))
        if weights.shape != (number,) or not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.any():
            raise ValueError(f"{number} numbers are needed, none negative, not all 0")
        return tuple(weights.tolist())

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        number = self.options["n_classes"]
        if len(self.classes) != number or len(set(self.classes)) != number:
            raise ValueError(
                f"classes = {self.classes or None} for a network of {number} classes: {number} different names are "
                "needed, in the order of the labels"
            )
        if self.signal not in self.classes:
            raise ValueError(f"signal = {self.signal!r}: one of the classes is needed, {', '.join(self.classes)}")
        return self
