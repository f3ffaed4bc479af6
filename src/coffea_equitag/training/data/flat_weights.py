"""Weights that make the spectra of all classes flat, or that of one of them: in pT, η, mass or any other column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from ...array_types import F8, AnyArray
from ...errors import JetError, explain
from ...validation import Strict
from .expression import Expression
from .jet_columns import JetColumns

__all__ = ["FlatWeights"]


class FlatWeights(Strict):
    """Spectra that the weighted training jets should have."""

    bins: dict[str, tuple[float, ...]] = Field(
        min_length=1,
        description="Column or formula -> its bin edges, e.g. {'pt': [200, 300, 500, 1000]}; several make a histogram "
        "in all of them. Jets outside are left out.",
    )
    reference: str | None = Field(
        None,
        description="Class whose spectrum the others get; without it, each class gets a flat one (dN/dx constant).",
    )
    method: Literal["weights", "resample"] = Field(
        "weights",
        description="'weights' multiplies the weights of jets; 'resample' draws training jets more or less often, "
        "anew in each epoch, and weights the validation jets.",
    )
    max_weight: float | None = Field(
        None, gt=1, description="Largest factor of a jet, in units of the mean factor of its class."
    )

    @field_validator("bins", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError("a mapping from columns to bin edges is needed")
        return {
            name: np.asarray(edges).tolist() if hasattr(edges, "__array__") else edges for name, edges in given.items()
        }

    @model_validator(mode="after")
    def _possible(self) -> FlatWeights:
        for name, edges in self.bins.items():
            Expression(name)
            if len(edges) < 2 or not (np.diff(edges) > 0).all():
                raise ValueError(f"the edges {list(edges)} of '{name}': at least two are needed, in ascending order")
        return self

    def coordinates(self, columns: JetColumns) -> F8:
        """Values of the columns for each jet, shape (J, D).

        Raises
        ------
        JetError
            If one is NaN.
        """
        return np.stack([_known(name, columns) for name in self.bins], axis=1)


def _known(name: str, columns: JetColumns) -> AnyArray:
    values = Expression(name)(columns.__getitem__, len(columns)).astype(np.float64)
    bad = np.isnan(values)
    if bad.any():
        raise JetError(
            explain(
                f"'{name}' of {columns.first(bad)} is NaN ({int(bad.sum())} such of {len(bad)})",
                "a number for each jet",
                f"leave these jets out by a selection, e.g. select='isfinite({name})'",
            )
        )
    return values
