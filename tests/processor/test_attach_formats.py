"""Scores of PHYSLITE, EDM4HEP and Delphes events: the reader is that of the schema."""

import awkward as ak
import pytest

from coffea_equitag import TaggerError, attach
from delphes_events import delphes_events
from event_formats import REAL, open_real


class Counts:
    """Scores each jet by the number of its constituents."""

    classes = ("background", "signal")
    name = "counts"

    def __call__(self, jets):
        """One number per jet."""
        return ak.values_astype(ak.num(jets.constituents, axis=-1), "float32")


@pytest.mark.filterwarnings("ignore::coffea_equitag.ConstituentsWarning")
@pytest.mark.parametrize("name", REAL)
def test_real_files(shared_data, name):
    events, collection = open_real(shared_data, name)
    order = ak.argsort(events[collection].mass if name != "physlite" else events[collection].m, axis=1)
    moved = ak.with_field(events, events[collection][order], collection)
    *_, number, missing, constituents = REAL[name]
    scores = attach(moved, {collection: Counts()}, reader="auto")[collection].score
    assert (ak.count(scores), ak.sum(scores)) == (number - missing, constituents)
    plain = attach(events, {collection: Counts()})[collection].score
    assert scores.to_list() == plain[order].to_list()


def test_delphes():
    scores = attach(delphes_events(), {"Jet": Counts(), "GenJet": Counts()})
    assert scores.Jet.score.to_list() == [[2, 2], [], [1, 0, 1]]
    assert scores.GenJet.score.to_list() == [[2], [2], [2]]
    with pytest.raises(TaggerError, match="'auto', or a function"):
        attach(delphes_events(), {"Jet": Counts()}, reader="delphes")
