"""What is to be learned about jets beside their classes: a vector per jet, and a number that must not be learned."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ...array_types import F8
from ...errors import JetError, explain
from ...jets import flatten
from ...jets.targets import true_momenta, true_vectors

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

    def __call__(self, records: ak.Array) -> dict[str, Tensor]:
        """Targets by name, shapes (J, ...), float64, of jets one level deep.

        Raises
        ------
        JetError
            If they are not stored, missing or not finite.
        """
        found = {}
        if self.target is not None:
            read = true_momenta if self.output == "momentum" else true_vectors
            found[TARGET] = torch.from_numpy(read(records, self.target))
        if self.decorrelate is not None:
            found[DECORRELATED] = torch.from_numpy(_number(records, self.decorrelate))
        return found


def _number(records: ak.Array, name: str) -> F8:
    """A column of the jets; mass and pt are those of their four-momenta where they are not stored."""
    if name in records.fields and not records[name].fields:
        values = ak.to_numpy(ak.fill_none(records[name], np.nan)).astype(np.float64)
    elif name in ("mass", "pt"):
        p4 = flatten(records).jet_p4
        transverse = np.hypot(p4[:, 1], p4[:, 2])
        mass = np.sqrt(np.maximum(p4[:, 0] ** 2 - (p4[:, 1:] ** 2).sum(1), 0))
        values = mass if name == "mass" else transverse
    else:
        given = f"jets without a column '{name}'; they have {', '.join(records.fields)}"
        raise JetError(explain(given, "a number for each jet", "check the spelling, or add the column"))
    bad = ~np.isfinite(values)
    if bad.any():
        given = f"'{name}' of jet {int(np.argmax(bad))} is missing or not finite ({int(bad.sum())} such jets)"
        raise JetError(explain(given, "a number for each jet", "drop these jets"))
    return np.asarray(values)
