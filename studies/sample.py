"""The simulated jets of a study."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from pydantic import model_validator

from coffea_equitag.validation import Strict

__all__ = ["Sample"]

#: What jets may not be trained on.
_HELD_OUT = ("validation", "test")


class Sample(Strict):
    """Simulated jets of a recipe.

    Attributes
    ----------
    recipe : str
        Its name.
    jets, seeds : dict of str to int
        How many, and the seed of the simulation, for each part: ``validation``, ``test``, and one or more to train on,
        the first of which each variant is trained on.
    """

    recipe: str
    jets: dict[str, int]
    seeds: dict[str, int]

    @model_validator(mode="after")
    def _parts(self) -> Sample:
        if set(self.jets) != set(self.seeds) or not set(_HELD_OUT) < set(self.jets):
            raise ValueError("jets and seeds: parts to train on, and validation and test, the same in both")
        return self

    @property
    def training_parts(self) -> list[str]:
        """Names of the parts to train on."""
        return [part for part in self.jets if part not in _HELD_OUT]

    @property
    def first(self) -> int:
        """Jets of the first part."""
        return self.jets[self.training_parts[0]]

    def scaled(self, scale: float) -> dict[str, int]:
        """Number of jets of each part."""
        return {part: _scaled(number, scale) for part, number in self.jets.items()}

    def portion(self, size: int, scale: float = 1.0) -> tuple[list[str], str | None]:
        """Parts that a number of jets to train on is made of, and the selection of those of a smaller number.

        Jets are numbered from 1 in the order of the files, where all classes are mixed.

        Raises
        ------
        ValueError
            For more jets than the first part has, but not all of the next.
        """
        parts = self.training_parts
        if size < self.first:
            return parts[:1], f"event <= {_scaled(size, scale)}"
        whole = list(accumulate(self.jets[part] for part in parts))
        if size not in whole:
            raise ValueError(f"{size} jets to train on: up to {self.first}, or one of {whole}")
        return parts[: whole.index(size) + 1], None

    def number(self, size: int, scale: float = 1.0) -> int:
        """Number of jets in such a portion."""
        parts, select = self.portion(size, scale)
        return _scaled(size, scale) if select else sum(self.scaled(scale)[part] for part in parts)

    def describe(self, scale: float) -> dict[str, Any]:
        """The recipe and the numbers of jets."""
        return {"recipe": self.recipe, "jets": self.scaled(scale)}


def _scaled(number: int, scale: float) -> int:
    return number if scale == 1 else max(200, round(scale * number))
