"""What is to be learned about jets beside their classes: a vector per jet, and a number that must not be learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...array_types import F8
from ...errors import JetError, explain
from ...jets.targets import true_momenta, true_vectors
from .expression import Expression
from .jet_columns import JetColumns

__all__ = ["DECORRELATED", "TARGET", "Truth"]

#: Names of the targets of `LabelledJets`.
TARGET, DECORRELATED = "target", "decorrelated"


@dataclass(frozen=True)
class Truth:
    """Where the jets store it.

    Attributes
    ----------
    target : str, optional
        Name of a vector, see `coffea_equitag.jets.targets`.
    output : {"classes", "momentum", "vector"}
        What the network returns, and so what the vector is: (E, px, py, pz) or a 3-vector.
    decorrelate : str, optional
        A column of the jets, or a formula of columns.
    """

    target: str | None = None
    output: str = "classes"
    decorrelate: str | None = None

    def __call__(self, columns: JetColumns) -> dict[str, Tensor]:
        """Targets by name, shapes (J, ...), float64.

        Raises
        ------
        JetError
            If they are not stored, missing or not finite.
        """
        found = {}
        if self.target is not None:
            read = true_momenta if self.output == "momentum" else true_vectors
            found[TARGET] = torch.from_numpy(read(columns.jets, self.target))
        if self.decorrelate is not None:
            found[DECORRELATED] = torch.from_numpy(_number(columns, self.decorrelate))
        return found


def _number(columns: JetColumns, formula: str) -> F8:
    values = Expression(formula)(columns.__getitem__, len(columns)).astype(
        np.float64
    )  # a copy, which may be written to
    bad = ~np.isfinite(values)
    if bad.any():
        given = f"'{formula}' of {columns.first(bad)} is {values[int(np.argmax(bad))]} ({int(bad.sum())} such jets)"
        raise JetError(explain(given, "a finite number for each jet", "leave these jets out by a selection"))
    return values
