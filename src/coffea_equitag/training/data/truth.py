"""What is to be learned about jets beside their classes: a vector per jet, and a property that must not be learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ...jets.coordinates import COORDINATE_NAMES
from ...jets.targets import true_momenta, true_vectors
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
        Name of a number.
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
            found[DECORRELATED] = torch.from_numpy(columns[self.decorrelate].astype(np.float64))
        return found
