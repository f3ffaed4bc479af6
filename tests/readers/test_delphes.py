"""Delphes: references by fUniqueID, counted anew in each event."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import ConstituentsWarning, JetError
from coffea_equitag.readers import delphes
from delphes_events import delphes_events


def test_constituents_from_three_branches():
    jets = delphes(delphes_events())
    one = jets.constituents
    assert one.pt.to_list() == [[[50, 20], [30, 10]], [], [[40], [], [25]]]
    assert one.charge.to_list() == [[[1, 0], [0, -1]], [], [[0], [], [-1]]]
    assert one.pdgId.to_list() == [[[211, 22], [130, 11]], [], [[22], [], [-211]]]
    assert one.d0.to_list() == [[[-0.25, 0], [0, -0.25]], [], [[0], [], [-0.25]]]
    np.testing.assert_allclose(ak.flatten(one.dzErr, axis=None), [0.05, 0, 0, 0.05, 0, 0.05], rtol=1e-6)
    assert jets.Flavor.to_list() == [[5, 0], [], [0, 0, 0]]


def test_generator_jets_are_made_of_particles():
    """Identifiers 2 and 3 are the second and third generated particle in each event."""
    jets = delphes(delphes_events(), "GenJet")
    assert jets.constituents.pt.to_list() == [[[5, 5]]] * 3


def test_objects_that_are_not_stored():
    with pytest.warns(ConstituentsWarning, match=r"of 5 Jet, 1 whose candidates are not stored(.|\n)*1 with another"):
        jets = delphes(delphes_events(lost=(20, 40)))
    assert jets.constituents.pt.to_list() == [[[50], [30, 10]], [], [None, [], [25]]]


def test_branches_that_are_not_written():
    with pytest.warns(ConstituentsWarning, match="add Branch ECal/eflowPhotons EFlowPhoton Tower"):
        jets = delphes(delphes_events(without=("EFlowPhoton",)))
    assert jets.constituents.pt.to_list() == [[[50], [30, 10]], [], [None, [], [25]]]
    every = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron", "Particle")
    with pytest.raises(JetError, match=r"without the constituents of 'Jet'(.|\n)*TreeWriter"):
        delphes(delphes_events(without=every))
    with pytest.raises(JetError, match=r"'EFlowTrack' without 'Constituents'; jets with it: (GenJet, Jet|Jet, GenJet)"):
        delphes(delphes_events(), "EFlowTrack")


def test_numbers_of_processes_are_no_part_of_identifiers():
    """Above 24 bits, an identifier holds the number of the process that wrote it."""
    events = delphes_events()
    tracks = ak.with_field(events.EFlowTrack, events.EFlowTrack.fUniqueID | np.uint32(1 << 24), "fUniqueID")
    changed = ak.with_field(events, tracks, "EFlowTrack")
    assert delphes(changed).constituents.pt.to_list() == delphes(events).constituents.pt.to_list()


def test_real_file(coffea_sample):
    """A file that Delphes wrote, of coffea's own tests."""
    from coffea.nanoevents import DelphesSchema, NanoEventsFactory

    path = coffea_sample("delphes.root")
    events = NanoEventsFactory.from_root({str(path): "Delphes"}, schemaclass=DelphesSchema).events()
    jets = delphes(events)
    sums = ak.flatten(ak.sum(jets.constituents.pt, axis=2) / jets.PT)
    # jets have corrected energies, their constituents have not
    assert 0.6 < np.median(ak.drop_none(sums, axis=0)) < 1.1
