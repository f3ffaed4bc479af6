"""The description of an ntuple: which of its columns are the jets', the constituents' and the labels'."""

from __future__ import annotations

import importlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from ..errors import JetError, explain
from ..jets.coordinates import check_coordinates, coordinates_of
from ..reading import read_bytes
from ..validation import Strict, faults
from .polar_energy import without_mass
from .track_conventions import D0_SIGNS, MILLIMETRES

__all__ = ["Column", "JetMapping", "Links", "load_mapping"]


class Column(Strict):
    """A column of the file and the number by which it is multiplied."""

    branch: str
    factor: float = 1.0


class Links(Strict):
    """Which constituents a jet has, where they are not nested in the jets."""

    index: str | None = Field(
        None,
        description="indices of each jet's constituents: [event][jet][k]; or [event][k] with `counts`, or with `first` "
        "and `last`, which then point into it (EDM4HEP)",
    )
    jet: str | None = Field(None, description="jet of each constituent, or of each link if `constituent` is given")
    constituent: str | None = Field(None, description="constituent of each link, as an index")
    counts: str | None = Field(None, description="number of each jet's constituents (or indices)")
    first: str | None = Field(None, description="index of each jet's first constituent")
    last: str | None = Field(None, description="index after that of each jet's last constituent")
    first_index: Literal[0, 1] = Field(0, description="index of the first jet and the first constituent")

    @model_validator(mode="after")
    def _one_way(self) -> Links:
        given = frozenset(name for name in self.__class__.model_fields if name != "first_index" and getattr(self, name))
        if given not in _WAYS:
            ways = "; ".join(" and ".join(sorted(way)) for way in _WAYS)
            raise ValueError(f"columns for {' and '.join(sorted(given)) or 'nothing'}; a link is one of: {ways}")
        return self


#: The combinations of columns that define a link.
_WAYS = tuple(
    map(
        frozenset,
        (
            {"index"},
            {"index", "counts"},
            {"jet"},
            {"jet", "constituent"},
            {"counts"},
            {"first", "counts"},
            {"first", "last"},
            {"index", "first", "last"},
        ),
    )
)


class JetMapping(Strict):
    """Columns of an ntuple in the words of this package.

    A column is given by its name in the file, by ``{"branch": name, "factor": number}``, or as a number that holds for
    every jet or constituent (``mass = 0``).
    """

    tree: str = Field("Events", description="name of the TTree or RNTuple; the only one of the file by default")
    constituents: dict[str, str | float | Column] = Field(
        description="pt, eta, phi (or px, py, pz) and E or mass, charge, pdgId, d0, dz, d0Err, dzErr, others"
    )
    jets: dict[str, str | float | Column] = Field({}, description="momenta likewise, label, weights, others")
    links: Links | None = Field(None, description="by default the constituents are nested in the jets")
    labels: dict[str, str | list[str]] = Field(
        {}, description="class -> its one-hot columns, in the order of `label`; an empty list: jets of no other class"
    )
    units: Literal["GeV", "MeV"] = Field("GeV", description="of momenta, energies and masses")
    lengths: str = Field("mm", description=f"of d0, dz and their errors: {', '.join(MILLIMETRES)}")
    d0_sign: str | None = Field(None, description=f"{', '.join(D0_SIGNS)}; needed for d0")
    weight: str | None = Field(None, description="constituent column by which the momenta are multiplied")

    @field_validator("lengths", "d0_sign")
    @classmethod
    def _known(cls, given: str | None) -> str | None:
        known = {**MILLIMETRES, **D0_SIGNS}
        if given is not None and given not in known:
            raise ValueError(f"not one of {', '.join(known)}")
        return given

    @model_validator(mode="after")
    def _complete(self) -> JetMapping:
        if without_mass(self.constituents) is None:
            check_coordinates("constituents", self.constituents)
        if coordinates_of(self.jets) is not None:
            check_coordinates("jets", self.jets)
        if "dxy" in self.constituents:
            raise ValueError("constituents with dxy: call it d0, and give d0_sign = 'cms'")
        if "d0" in self.constituents and self.d0_sign not in D0_SIGNS:
            raise ValueError(f"d0 without its sign: give d0_sign, one of {', '.join(D0_SIGNS)}")
        if self.labels and "label" in self.jets:
            raise ValueError("labels and jets.label: give one of them")
        if self.weight is not None and self.weight not in self.constituents:
            raise ValueError(f"weight = {self.weight!r} is not one of the constituents' columns")
        if self.links is not None and self.links.jet is not None and not self.jets:
            raise ValueError("links.jet without a column of the jets: their number is not known")
        return self


def load_mapping(given: JetMapping | Mapping[str, Any] | str | os.PathLike[str]) -> JetMapping:
    """A mapping from a dictionary or from a TOML, JSON or YAML file.

    Raises
    ------
    JetError
        If the file cannot be read, or the mapping is not valid.
    """
    if isinstance(given, JetMapping):
        return given
    source = "the mapping" if isinstance(given, Mapping) else str(given)
    content = dict(given) if isinstance(given, Mapping) else _parsed(Path(given))
    try:
        return JetMapping(**content)
    except (ValidationError, TypeError) as error:
        what = faults(error) if isinstance(error, ValidationError) else str(error)
        raise JetError(
            explain(
                f"{source}: {what}",
                "constituents, and as needed jets, links, labels, units, lengths, d0_sign, weight, tree",
                "correct it; the fields are described in coffea_equitag.readers.JetMapping",
            )
        ) from error


def _parsed(path: Path) -> dict[str, Any]:
    parsers: dict[str, Callable[[str], Any]] = {
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".yaml": _yaml,
        ".yml": _yaml,
    }
    if path.suffix not in parsers:
        raise JetError(explain(f"mapping {path}", f"a file ending in {', '.join(parsers)}", "rename or convert it"))
    try:
        content = parsers[path.suffix](read_bytes(path).decode())
    except (OSError, ValueError) as error:
        raise JetError(
            explain(f"mapping {path}: {error}", "a readable TOML, JSON or YAML file", "correct it")
        ) from error
    return content if isinstance(content, dict) else {"": content}


def _yaml(text: str) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise JetError(explain("a mapping in YAML without PyYAML", "PyYAML, or TOML", "pip install pyyaml")) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
