"""EDM4HEP in RNTuples as podio writes them: a field of records per collection, and one per relation.

coffea's schemas know only TTrees. The event records made here have the names of its schema for the layout before 1.0,
in which `readers.edm4hep` reads ranges of links: ``Jet.particles`` (begin, end) into ``Jetidx2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import awkward as ak

from ..errors import JetError, explain
from .edm4hep import edm4hep
from .edm4hep_relations import NUMBERS, PARTICLES
from .links import listed

__all__ = ["is_podio", "podio_jets"]

Read: TypeAlias = Callable[[str], ak.Array]

#: Columns of a ReconstructedParticle (name in the file -> in the records), as far as the file has them.
_COLUMNS = {"momentum.x": "px", "momentum.y": "py", "momentum.z": "pz", "mass": "mass", "charge": "charge"}
_COLUMNS |= {"PDG": "PDG", "type": "type", "goodnessOfPID": "goodnessOfPID"}

#: Columns of a track state from which impact parameters follow.
_STATE = ("D0", "Z0", "covMatrix", "covMatrix.values")


def is_podio(names: Sequence[str]) -> bool:
    """Whether the fields of an RNTuple are those of podio: a collection and the links of its records to particles."""
    return any(_jets(names))


def podio_jets(ntuple: Any, names: Sequence[str], collection: str | None, start: int, stop: int) -> ak.Array:
    """Jets of entries `start` to `stop`, by `readers.edm4hep`; only the columns needed are read.

    Raises
    ------
    JetError
        If the collection is not given, or is not in the file with its links and particles.
    """
    if collection not in _jets(names):
        raise JetError(
            explain(
                f"jets={collection!r} of an RNTuple of EDM4HEP",
                f"the name of a jet collection with links to particles: {listed(_jets(names))}",
                "pass one of them as jets=... (--jets)",
            )
        )

    def read(path: str) -> ak.Array:
        return ntuple[path].array(entry_start=start, entry_stop=stop)

    particles = [name for name in PARTICLES if name in names]
    tables = _collection(collection, "particles", read, ntuple, names)
    for name in particles:
        tables |= _collection(name, "tracks", read, ntuple, names)
    for name in (table for table in names if f"_{table}_trackStates" in names):
        tables |= _tracks(name, read, ntuple)
    jets = edm4hep(ak.zip(tables, depth_limit=1), collection)
    return jets[[name for name in jets.fields if name == "constituents" or not jets[name].fields]]


def _jets(names: Sequence[str]) -> list[str]:
    return [name for name in names if f"_{name}_particles" in names and name not in PARTICLES]


def _collection(name: str, relation: str, read: Read, ntuple: Any, names: Sequence[str]) -> dict[str, ak.Array]:
    """Records with the ranges of a relation, and the table that these point into, if the file has it."""
    members = set(ntuple[name].keys())
    columns = {new: read(f"{name}.{old}") for old, new in _COLUMNS.items() if old in members}
    links = f"_{name}_{relation}"
    if links not in names:
        return {name: ak.zip(columns, depth_limit=2)}
    columns[relation] = _range(name, relation, read)
    table = ak.zip({column: read(f"{links}.{column}") for column in ("index", "collectionID")})
    return {name: ak.zip(columns, depth_limit=2), f"{name}idx{NUMBERS[relation]}": table}


def _tracks(name: str, read: Read, ntuple: Any) -> dict[str, ak.Array]:
    states = f"_{name}_trackStates"
    members = set(ntuple[states].keys())
    paths = [path for path in _STATE if path in members and f"{path}.values" not in members]
    columns = {path.split(".")[0]: read(f"{states}.{path}") for path in paths}
    return {
        name: ak.zip({"trackStates": _range(name, "trackStates", read)}, depth_limit=2),
        f"{name}_1": ak.zip(columns, depth_limit=2),
    }


def _range(name: str, relation: str, read: Read) -> ak.Array:
    return ak.zip({bound: read(f"{name}.{relation}_{bound}") for bound in ("begin", "end")})
