"""The inputs and outputs of an exported file: names, types, shapes and what they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from ..tagger import Tagger
from .four_momenta import COORDINATES, Coordinates

__all__ = ["Form", "Port", "Precision", "inputs_of", "outputs_of"]

#: How jets are handed over: one after the other with offsets, padded with zeros, or padded as CMS's software does it.
Form = Literal["ragged", "padded", "cms"]

#: In which a file's network computes.
Precision = Literal["float32", "float64"]

_UNITS = {"charge": "e", "pdgId": "PDG number"}
_VECTORS = {"momentum": ("E", "px", "py", "pz"), "vector": ("x", "y", "z")}


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes
    ----------
    name, dtype : str
        Its name in the file, and numpy's name of its type.
    shape : tuple of (int or str)
        A word stands for a length that may be different in every call.
    meaning, unit : str
        What its numbers are.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str
    unit: str = ""

    @property
    def torch_dtype(self) -> torch.dtype:
        """Type of the tensor."""
        found: torch.dtype = getattr(torch, self.dtype)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def inputs_of(tagger: Tagger, form: Form, coordinates: Coordinates = "polar", own_momenta: bool = False) -> list[Port]:
    """The inputs, in their order."""
    columns = tagger.card.contract.constituent_fields
    if form == "cms":
        found = [
            Port("pf_vectors", "float32", ("jets", 4, "width"), "px, py, pz, energy of the constituents", "GeV"),
            Port("pf_mask", "float32", ("jets", 1, "width"), "1 for a constituent, 0 for padding"),
        ]
        features = Port("pf_features", "float32", ("jets", len(columns), "width"), ", ".join(columns), _units(columns))
        return [*found, features] if columns else found
    names = ", ".join(COORDINATES[coordinates])
    units = "GeV, mass in GeV" if coordinates == "cartesian" else "GeV, 1, radian, GeV"
    place: tuple[int | str, ...] = ("constituents",) if form == "ragged" else ("jets", "width")
    found = [Port("constituents", "float64", (*place, 4), f"{names} of the constituents", units)]
    if form == "ragged":
        meaning = "where each jet's constituents begin in the list of all, and where the last one's end"
        found.append(Port("offsets", "int64", ("jets + 1",), meaning))
    found += [Port(name, "float64", place, f"{name} of the constituents", _units((name,))) for name in columns]
    if own_momenta:
        found.append(Port("jets", "float64", ("jets", 4), f"{names} of the jets", units))
    return found


def outputs_of(tagger: Tagger, form: Form, precision: Precision = "float32") -> list[Port]:
    """The one output; CMS's software takes float32 only."""
    kind = tagger.model.output
    if kind == "classes":
        name, meaning = "softmax" if form == "cms" else "scores", f"probabilities of {', '.join(tagger.classes)}"
        dtype = "float32" if form == "cms" else precision
        return [Port(name, dtype, ("jets", len(tagger.classes)), meaning)]
    components = _VECTORS[kind]
    dtype = precision if kind == "vector" or tagger.card.architecture == "lgn" else "float64"
    return [Port(kind, dtype, ("jets", len(components)), ", ".join(components), "GeV" if kind == "momentum" else "")]


def _units(columns: tuple[str, ...]) -> str:
    return ", ".join(_UNITS.get(name, "mm" if name[:2] in ("d0", "dz", "ip") else "") for name in columns)
