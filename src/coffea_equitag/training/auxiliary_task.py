"""What is learned of the constituents of jets, as it is given to `fit`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ..validation import Strict

__all__ = ["AuxiliaryTask"]


class AuxiliaryTask(Strict):
    """A class of each constituent, in a column of whole numbers; negative where it is not known."""

    classes: tuple[str, ...] = Field(min_length=2, description="Names of the classes, in the order of the labels.")
    weight: float = Field(1.0, gt=0, description="Weight of the task in the loss.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"classes": given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _different(self) -> AuxiliaryTask:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes {', '.join(self.classes)} are not all different")
        return self
