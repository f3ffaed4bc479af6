"""The rows of docs/reference/formats.md about real files, made again from the files."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import read_jets
from event_formats import REAL

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"

TITLES = {"physlite": "PHYSLITE", "edm4hep": "EDM4HEP", "older edm4hep": "EDM4HEP before 1.0"}


def row(folder, name):
    """The line of the page about a file."""
    file, *_, collection, _, _, _ = REAL[name]
    jets = read_jets(folder / file, jets=collection)
    number = ak.num(jets.constituents, axis=2)
    absent = ak.sum(ak.is_none(number, axis=1))
    if name == "physlite":
        sums = f"pT of the tracks kept / pT, of jets with any: {ak.sum(jets.constituents.pt) / ak.sum(jets.pt):.2f}"
    else:
        differences = [ak.sum(jets.constituents[axis], axis=2) - jets[axis] for axis in ("px", "py", "pz")]
        largest = max(float(ak.max(abs(difference))) for difference in differences)
        sums = f"px, py, pz: within {1000 * np.ceil(largest * 1e5) / 1e5:.2f} MeV"
    jets_found = f"{ak.sum(ak.num(jets))}" + (f", of which {absent} have no stored tracks" if absent else "")
    return f"| {TITLES[name]} (`{file}`) | `{collection}` | {jets_found} | {ak.sum(number)} | {sums} |"


@pytest.mark.filterwarnings("ignore::coffea_equitag.ConstituentsWarning")
@pytest.mark.parametrize("name", REAL)
def test_rows(shared_data, name):
    assert row(shared_data, name) in PAGE.read_text().splitlines()
