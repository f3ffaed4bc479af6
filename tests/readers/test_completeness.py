"""Jets whose candidates are not in the file: they are missing, and so are their scores."""

from __future__ import annotations

import importlib
import warnings

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from coffea_equitag import Tagger, TaggerProcessor, attach, models, score_file
from coffea_equitag.errors import ConstituentsWarning
from coffea_equitag.readers import nanoaod, read_jets
from nano_events import nano_events, small_events

NOT_STORED = "of 64 FatJet, 2 whose candidates are not stored: they get no score"


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(3)
    return Tagger.from_model(models.build("lorentznet", n_classes=2), name="net", classes=("qcd", "top"))


def test_central_nanoaod(shared_data, tagger, tmp_path):
    path = shared_data / "nano_tt_v15.root"
    events = nano_events(path)
    with pytest.warns(ConstituentsWarning, match=NOT_STORED):
        scores = attach(events, {"FatJet": tagger}).FatJet.score
    missing = ak.is_none(scores, axis=1)
    assert ak.sum(missing) == 2
    assert sorted(events.FatJet.nConstituents[missing][ak.any(missing, axis=1)].tolist()) == [[5], [6]]
    assert ak.all(events.FatJet.nConstituents[~missing] > 0, axis=None)
    with pytest.warns(ConstituentsWarning, match=NOT_STORED):
        out = TaggerProcessor({"FatJet": tagger}).process(events)
    assert out["jet_cutflow"]["FatJet"]["unknown"] == {"all": 64, "scored": 62}
    with pytest.warns(ConstituentsWarning, match=NOT_STORED):
        report = score_file(
            tagger, path, tmp_path / "out.root", branches=["FatJet_pt"], chunk_size=1000, progress=False
        )
    assert (report.jets, report.unscored) == (64, 2)
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        written = tree["FatJet_net"].array()
    assert ak.array_equal(np.isnan(written), missing, check_parameters=False)
    with pytest.warns(ConstituentsWarning, match=NOT_STORED):
        assert ak.sum(ak.is_none(read_jets(path, jets="FatJet").pt, axis=1)) == 2


def test_candidates_that_are_all_there(shared_data):
    for collection in ("FatJet", "Jet"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConstituentsWarning)
            jets = nanoaod(nano_events(shared_data / "pfnano.root"), collection)
        assert not ak.any(ak.is_none(jets.pt, axis=1), axis=None)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ([[2, 2], [], [1, 6, 1]], "of 5 FatJet, 1 whose candidates are not stored: they get no score\n"),
        ([[2, 3], [], [1, 0, 1]], "of 5 FatJet, 1 with another number of candidates than nConstituents\n"),
        ([[2, 3], [], [1, 5, 2]], "1 whose candidates are not stored: they get no score; 2 with another number"),
        (None, "of 5 FatJet, 1 whose candidates are not stored: they get no score\n"),
    ],
)
def test_counts(tagger, stated, message):
    events = small_events(FatJet={"nConstituents": stated})
    with pytest.warns(ConstituentsWarning, match=message) as caught:
        jets = nanoaod(events)
    assert len(caught) == 1
    absent = stated is None or stated[2][1] > 0
    assert ak.num(jets, axis=1).tolist() == [2, 0, 3]
    assert ak.is_none(jets.constituents, axis=1)[2].tolist() == [False, absent, False]
    assert ak.is_none(tagger(jets), axis=1)[2].tolist() == [False, absent, False]


def test_counts_in_uint8(tagger):
    """256 candidates are stated as 0."""
    many = ak.local_index(ak.Array([range(256)]))
    events = ak.zip(
        {
            "FatJet": ak.zip({n: [[v]] for n, v in {"pt": 256.0, "eta": 0.0, "phi": 0.0, "mass": 0.0}.items()}),
            "PFCands": ak.zip({"pt": many * 0 + 1.0, "eta": many * 0.0, "phi": many * 0.0, "mass": many * 0.0}),
            "FatJetPFCands": ak.zip({"jetIdx": many * 0, "pFCandsIdx": many}),
        },
        depth_limit=1,
    )
    events["FatJet", "nConstituents"] = ak.values_astype(ak.Array([[0]]), np.uint8)
    assert ak.num(nanoaod(events).constituents, axis=2).tolist() == [[256]]


def test_empty_jets_still_have_scores(tagger):
    scores = tagger(nanoaod(small_events()))
    assert np.isfinite(ak.to_numpy(ak.flatten(scores))).all()
    assert ak.num(nanoaod(small_events()).constituents, axis=2).tolist() == [[2, 1], [], [1, 0, 1]]


def test_trace_reads_the_numbers(shared_data):
    trace = importlib.import_module("coffea.nanoevents.trace")
    events = nano_events(shared_data / "nano_tt_v15.root")
    assert "FatJet_nConstituents" in trace.trace_with_typetracer(lambda e: nanoaod(e, "FatJet"), events, throw=True)
