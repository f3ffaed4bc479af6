"""Jets from NanoEvents: the real PFNano file, and small event records with special cases."""

from __future__ import annotations

import importlib

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.errors import ConstituentsWarning, JetError
from coffea_equitag.jets import flatten, validate
from coffea_equitag.readers import nanoaod
from nano_events import nano_events, small_events


def described(lists, doc):
    content = lists.layout.content.copy(parameters={"__doc__": doc})
    return ak.Array(lists.layout.copy(content=content))


def test_weighted_sum_is_the_raw_jet(shared_data):
    jets = nanoaod(nano_events(shared_data / "pfnano.root"), "FatJet")
    p4 = ak.sum(jets.constituents, axis=-1)
    assert p4.pt[0].tolist() == pytest.approx([1582.6, 1292.7, 278.1], abs=0.06)
    raw = ak.flatten(jets.pt * (1 - jets.rawFactor))
    assert np.abs(ak.flatten(p4.pt) / raw - 1).to_numpy().max() < 0.01
    unweighted = nanoaod(nano_events(shared_data / "pfnano.root"), "FatJet", puppi=False)
    assert ak.sum(unweighted.constituents, axis=-1).pt[0].tolist() > p4.pt[0].tolist()


@pytest.mark.parametrize(
    ("collection", "puppi", "jets", "constituents"), [("FatJet", None, 24, 1076), ("Jet", False, 64, 1801)]
)
def test_all_jets_of_the_real_file(shared_data, collection, puppi, jets, constituents):
    """Fat jets were clustered with PUPPI weights, small ones (CHS) without; momenta are stored with 10 to 12 bits."""
    found = nanoaod(nano_events(shared_data / "pfnano.root"), collection, puppi=puppi)
    assert (ak.sum(ak.num(found, axis=1)), ak.sum(ak.num(found.constituents, axis=2))) == (jets, constituents)
    summed = ak.sum(ak.values_astype(found.constituents, np.float64), axis=-1)
    ratio = ak.flatten(summed.pt / (found.pt * (1 - found.rawFactor)))
    assert ratio.to_numpy() == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize("schema", ["PFNanoAODSchema", "NanoAODSchema"])
@pytest.mark.parametrize("collection", ["FatJet", "Jet"])
def test_virtual_is_eager(shared_data, schema, collection):
    path = shared_data / "pfnano.root"
    virtual = nanoaod(nano_events(path, "virtual", schema), collection)
    eager = nanoaod(nano_events(path, "eager", schema), collection)
    assert ak.array_equal(virtual.constituents, eager.constituents)
    assert virtual.hadronFlavour.tolist() == eager.hadronFlavour.tolist()
    assert validate(virtual, require=("charge", "pdgId", "d0", "dz")) is virtual


def test_only_needed_branches_are_read(shared_data):
    log = []
    jets = nanoaod(nano_events(shared_data / "pfnano.root", access_log=log), "FatJet", fields=())
    assert len({entry.branch for entry in log}) <= 12
    assert not any(entry.branch.startswith("FatJet_particleNet") for entry in log)
    assert "particleNet_TvsQCD" in jets.fields
    assert len(jets.particleNet_TvsQCD) == 10
    assert jets.constituents.fields == ["pt", "eta", "phi", "mass"]


@pytest.mark.parametrize("selection", [slice(5, None), slice(0, 0), slice(0, 10, 3), np.arange(10) % 2 == 0, [3, 1, 2]])
@pytest.mark.parametrize("mode", ["virtual", "eager"])
def test_sliced_events(shared_data, mode, selection):
    events = nano_events(shared_data / "pfnano.root", mode)
    sliced, whole = nanoaod(events[selection]), nanoaod(events)
    assert sliced.constituents.tolist() == whole[selection].constituents.tolist()
    assert sliced.pt.tolist() == whole.pt[selection].tolist()
    validate(sliced)


def test_trace(shared_data):
    trace = importlib.import_module("coffea.nanoevents.trace")
    events = nano_events(shared_data / "pfnano.root")
    touched = [
        tracer(lambda e: nanoaod(e, "FatJet", fields=("d0",)), events, throw=True)
        for tracer in (
            trace.trace_with_typetracer,
            trace.trace_with_length_zero_array,
            trace.trace_with_length_one_array,
        )
    ]
    assert {"PFCands_pt", "PFCands_d0", "FatJetPFCands_jetIdx"} <= touched[0]
    assert touched[1] <= touched[0]
    assert touched[2] <= touched[0]


def test_links_out_of_order_and_empty_jets():
    jets = nanoaod(small_events(), puppi=False)
    assert jets.constituents.pt.tolist() == [[[30, 10], [20, 5]], [], [[7], [], [8]]]
    assert jets.hadronFlavour.tolist() == [[5, 0], [], [4, 0, 0]]
    assert flatten(jets).offsets.tolist() == [0, 2, 4, 5, 5, 6]


def test_puppi_weight_and_zero_pt():
    jets = nanoaod(small_events())
    assert jets.constituents.pt.tolist() == [[[30, 10], [10]], [], [[7], [], [4]]]
    assert jets.constituents.mass[2, 2, 0] == pytest.approx(-5e-4)
    assert jets.constituents.puppiWeight.tolist() == [[[1, 1], [0.5]], [], [[1], [], [0.5]]]
    weightless = small_events(PFCands={"puppiWeight": None, "pt": [[10, 0, 30, 5], [], [7, 8]]})
    assert nanoaod(weightless).constituents.pt.tolist() == [[[30, 10], [5]], [], [[7], [], [8]]]
    with pytest.raises(JetError, match="puppiWeight"):
        nanoaod(weightless, puppi=True)


def test_nan_is_not_dropped_but_refused():
    events = small_events(PFCands={"pt": [[10, np.nan, 30, 5], [], [7, 8]]})
    with pytest.raises(JetError, match="jet 1"):
        validate(nanoaod(events))


def test_impact_parameters_in_mm_with_delphes_sign():
    constituents = nanoaod(small_events()).constituents
    assert constituents.d0.tolist() == [[[2.5, -5.0], [0.0]], [], [[0.0], [], [-5.0]]]
    assert constituents.d0Err[0, 0].tolist() == pytest.approx([2, 1])
    assert constituents.d0Err[0, 1].tolist() == [0]
    renamed = small_events(PFCands={"d0": None, "d0Err": None, "dxy": [[0.5, -1, 0, 0], [], [-1, 0.5]]})
    assert nanoaod(renamed).constituents.d0.tolist() == [[[0.0, -5.0], [0.0]], [], [[0.0], [], [-5.0]]]


@pytest.mark.parametrize("index", ["pfCandIdx", "PFCandIdx"])
def test_central_names(index):
    events = small_events("PFCand", index, PFCand={"charge": None})
    constituents = nanoaod(events).constituents
    assert constituents.pt.tolist() == nanoaod(small_events()).constituents.pt.tolist()
    assert constituents.charge.tolist() == [[[-1, 1], [0]], [], [[0], [], [1]]]


def test_stored_weighted_momenta_are_not_weighted_again():
    events = small_events("PFCand", "pfCandIdx")
    candidates = events.PFCand
    candidates["pt"] = described(candidates.pt, "Puppi-weighted pt")
    events["PFCand"] = candidates
    assert nanoaod(events).constituents.pt.tolist() == nanoaod(small_events(), puppi=False).constituents.pt.tolist()
    with pytest.raises(JetError, match="stored PUPPI-weighted"):
        nanoaod(events, puppi=False)


@pytest.mark.parametrize("selection", [slice(1, 2), slice(0, 0)])
def test_no_jets(selection):
    jets = nanoaod(small_events()[selection])
    assert ak.num(jets, axis=1).tolist() == [0] * len(jets)
    assert len(flatten(jets).offsets) == 1


def test_filtered_and_resorted_jets_are_refused():
    events = small_events()
    filtered = ak.with_field(events, events.FatJet[events.FatJet.pt > 20], "FatJet")
    with pytest.raises(JetError, match="points to FatJet number 1 of event 0"):
        nanoaod(filtered)
    resorted = ak.with_field(events, events.FatJet[:, ::-1], "FatJet")
    with pytest.raises(JetError, match="event 0, FatJet 0 lie farther"):
        nanoaod(resorted)
    assert len(nanoaod(resorted, check=False)) == 3


def test_missing_tables_and_columns():
    events = small_events()
    with pytest.raises(JetError, match=r"without 'Jet'(.|\n)*FatJet"):
        nanoaod(events, "Jet")
    with pytest.raises(JetError, match="ordinary NanoAOD"):
        nanoaod(events[["FatJet", "PFCands"]])
    with pytest.raises(JetError, match="'trkChi2'"):
        nanoaod(events, fields=("trkChi2",))
    with pytest.raises(JetError, match="'jetIdx' and one of"):
        nanoaod(small_events(index="candidate"))
    with pytest.raises(JetError, match="a list of jets for each event"):
        nanoaod(ak.with_field(events, ak.firsts(events.FatJet), "FatJet"))
    outside = small_events(FatJetPFCands={"pFCandsIdx": [[1, 2, 0, 9, 0], [], [1, 0]]})
    with pytest.raises(JetError, match="candidates number 9 of event 0"):
        nanoaod(outside)


def test_negative_jet_index_is_no_jet():
    events = small_events(FatJetPFCands={"jetIdx": [[-1, -1, -1, -1, -1], [], [-1, -1]]})
    with pytest.warns(ConstituentsWarning, match="of 5 FatJet, 4 whose candidates are not stored"):
        jets = nanoaod(events)
    assert jets.constituents.pt.tolist() == [[None, None], [], [None, [], None]]
