"""A finished tagger put into the package, with outputs that tests compare and the tables that users read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from coffea_equitag import load, read_jets, zoo
from coffea_equitag.atomic_file import write_atomic
from coffea_equitag.demo import PACKAGED_JETS
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.marked_page import between_markers
from coffea_equitag.tagger import Tagger
from studies import overview

from .table import MARKERS, markdown, readme

__all__ = ["OUTPUTS", "TABLES", "checked_jets", "publish", "replaced", "write_tables"]

_ROOT = Path(__file__).parents[1]

#: Outputs of each tagger on `checked_jets`, as they were when it was published.
OUTPUTS = _ROOT / "tests" / "zoo" / "outputs.json"

#: Files with a table between `MARKERS`, and what makes it.
TABLES = {_ROOT / "docs" / "zoo.md": markdown, _ROOT / "README.md": readme}


def publish(tagger: Tagger) -> None:
    """Save a tagger in the package, and its outputs for the tests."""
    folder = Path(zoo.__file__).parent / tagger.name
    tagger.save(folder, overwrite=True)
    published = load(folder, "cpu")
    stored = json.loads(OUTPUTS.read_text()) if OUTPUTS.is_file() else {}
    stored[tagger.name] = {
        "content_hash": published.content_hash,
        "outputs": published.outputs(checked_jets(published)).tolist(),
    }
    write_atomic(OUTPUTS, (json.dumps(dict(sorted(stored.items())), indent=1) + "\n").encode())


def checked_jets(tagger: Tagger, number: int = 4) -> RaggedJets:
    """Packaged jets, with made-up values in the columns that a tagger needs beside the momenta."""
    jets = read_jets(PACKAGED_JETS)[:number]
    constituents = jets.constituents
    index = ak.local_index(constituents.pt)
    for k, field in enumerate(tagger.card.contract.constituent_fields):
        if field.startswith("ip."):
            column: Any = ak.zip({axis: np.sin(index + j) / 10 for j, axis in enumerate("xyz")}, with_name="Vector3D")
        elif field in ("pdgId", "charge"):
            column = ak.values_astype(1 - 2 * (index % 2), np.int32) * (211 if field == "pdgId" else 1)
        else:
            column = (2 + np.sin(index * (k + 1))) / 100  # lengths in mm, and their errors, which are positive
        constituents = ak.with_field(constituents, column, field.partition(".")[0])
    return RaggedJets.from_awkward(ak.with_field(jets, constituents, "constituents"), tagger.model.fields)


def write_tables() -> None:
    """Write the tables of all packaged taggers into the pages."""
    for path, made in TABLES.items():
        text = path.read_text()
        write_atomic(path, replaced(text, made()).encode())
    overview.write_tables()


def replaced(text: str, table: str) -> str:
    """A page with another table between its markers."""
    return between_markers(text, MARKERS, f"\n{table}\n")
