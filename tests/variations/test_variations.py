"""Ready-made variations: what they change, and what they leave."""

import pickle

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.trace import trace_with_typetracer

from coffea_equitag import attach, models, variations
from coffea_equitag.errors import JetError
from coffea_equitag.readers import nanoaod
from coffea_equitag.tagger import Tagger
from nano_events import nano_events, small_events


@pytest.fixture(scope="module")
def tagger():
    return Tagger.from_model(models.build("pfn", n_classes=2), name="pfn", classes=("qcd", "top"))


@pytest.fixture
def events(shared_data):
    return nano_events(shared_data / "pfnano.root")


def identified(events):
    """Small events with identifiers."""
    for name in ("run", "luminosityBlock", "event"):
        events = ak.with_field(events, np.arange(len(events)) + 1, name)
    return events


def test_scale_by_kind_of_particle():
    events = small_events()
    shifted = variations.CandidateScale(charged=0.1, photon=-0.5, muon=1.0)(events)
    factors = [[1.1, 0.5, 1.1, 1.0], [], [1.0, 2.0]]
    assert np.allclose(ak.flatten(shifted.PFCands.pt), ak.flatten(events.PFCands.pt * ak.Array(factors)), rtol=1e-6)
    assert np.allclose(ak.flatten(shifted.PFCands.mass), ak.flatten(events.PFCands.mass * ak.Array(factors)), rtol=1e-6)
    assert variations.CandidateScale()(events) is events
    assert nanoaod(shifted, check=False).pt.tolist() == events.FatJet.pt.tolist()


def test_lost_tracks():
    events = identified(small_events())
    everything = variations.TrackingEfficiency(1.0)(events).PFCands.pt
    assert everything.tolist() == [[0.0, 20.0, 0.0, 0.0], [], [7.0, 0.0]]
    assert variations.TrackingEfficiency(0.0)(events).PFCands.pt.tolist() == events.PFCands.pt.tolist()
    jets = nanoaod(variations.TrackingEfficiency(1.0)(events), check=False)
    assert (
        ak.num(jets.constituents, axis=2).tolist() == [[0, 1], [], [0, 0, 1]]
        or ak.sum(ak.num(jets.constituents, axis=2)) == 2
    )
    only_soft = variations.TrackingEfficiency(lambda candidates: candidates.pt < 9)(events)
    assert only_soft.PFCands.pt.tolist() == [[10.0, 20.0, 30.0, 0.0], [], [7.0, 0.0]]


def test_lost_tracks_depend_on_the_event_alone(events):
    lost = variations.TrackingEfficiency(0.1)(events).PFCands.pt == 0
    parts = [variations.TrackingEfficiency(0.1)(events[part]).PFCands.pt == 0 for part in (slice(3), slice(3, None))]
    assert ak.array_equal(ak.concatenate(parts), lost)
    charged = events.PFCands.charge != 0
    assert not ak.any(lost & ~charged, axis=None)
    number, expected = ak.sum(lost), 0.1 * ak.sum(charged)
    assert abs(number - expected) < 4 * np.sqrt(expected)
    more = variations.TrackingEfficiency(0.3)(events).PFCands.pt == 0
    assert ak.all(more[lost], axis=None)
    other = variations.TrackingEfficiency(0.1, seed=1)(events).PFCands.pt == 0
    assert ak.any(other != lost, axis=None)


def test_puppi_weights():
    events = small_events()
    assert variations.PuppiWeights(1.5)(events).PFCands.puppiWeight.tolist() == [[1.0, 0.75, 1.0, 0.0], [], [1.0, 0.75]]
    off = variations.PuppiWeights(lambda candidates: ak.ones_like(candidates.puppiWeight))(events)
    assert ak.sum(nanoaod(off, check=False).constituents.pt) == 10 + 20 + 30 + 5 + 7 + 8


def test_jet_scale():
    shifted = variations.JetScale(lambda jets: ak.where(jets.pt > 20, 0.0, 4.0))(small_events()).FatJet
    assert shifted.pt.tolist() == [[50.0, 40.0], [], [35.0, 30.0, 20.0]]
    assert shifted.mass[0].tolist() == [5.0, 4.0]
    both = variations.up_and_down("jes", variations.JetScale, 0.5)
    assert list(both) == ["jesUp", "jesDown"]
    assert both["jesDown"](small_events()).FatJet.pt[0].tolist() == [20.0, 5.0]
    assert variations.JetScale(0.5, mass=False)(small_events()).FatJet.mass[0].tolist() == [4.0, 1.0]


def test_lost_and_masked_candidates_are_the_same():
    events = identified(small_events())
    kept = ak.Array([[True, False, True, True], [], [False, True]])
    masked = ak.with_field(events, ak.mask(events.PFCands, kept), "PFCands")
    zero = ak.with_field(events, ak.with_field(events.PFCands, ak.where(kept, events.PFCands.pt, 0), "pt"), "PFCands")
    jets = [nanoaod(one, check=False).constituents.pt.tolist() for one in (masked, zero)]
    assert jets[0] == jets[1]


def corrected(events):
    """The events with jets as `CorrectedJetsFactory` returns them, without its tables of corrections."""
    jets = events.FatJet

    def scaled(factor):
        return ak.with_field(ak.with_field(jets, jets.pt * factor, "pt"), jets.mass * factor, "mass")

    each = {"JES_jes": (1 + 0.1 * abs(jets.eta), 1 - 0.1 * abs(jets.eta)), "JER": (1.2, 0.8)}
    for name, (up, down) in each.items():
        pair = ak.zip({"up": scaled(up), "down": scaled(down)}, depth_limit=2, with_name="JetSystematic")
        jets = ak.with_field(jets, pair, name)
    return ak.with_field(events, jets, "FatJet")


def test_corrected_jets(events, tagger):
    events = corrected(events)
    source = variations.from_jets("FatJet")
    assert list(source(events)) == ["JES_jesUp", "JES_jesDown", "JERUp", "JERDown"]
    shifted = source(events)["JES_jesUp"](events).FatJet
    assert ak.all(shifted.pt[:, 1:] <= shifted.pt[:, :-1], axis=None)
    assert ak.sort(shifted.pt, axis=1).tolist() == ak.sort(events.FatJet.JES_jes.up.pt, axis=1).tolist()
    found = attach(events, {"FatJet": tagger}, variations=source).FatJet
    assert found.score_JES_jesUp.tolist() == found.score.tolist() == found.score_JERDown.tolist()
    scaled = attach(events, {"FatJet": tagger}, variations=source, constituents="scaled").FatJet
    alone = ak.with_field(events, events.FatJet.JES_jes.up, "FatJet")
    expected = attach(alone, {"FatJet": tagger}, constituents="scaled").FatJet.score
    assert np.allclose(ak.flatten(scaled.score_JES_jesUp), ak.flatten(expected), rtol=0, atol=1e-6)
    direct = {"jes": lambda events: ak.with_field(events, events.FatJet.JES_jes.up, "FatJet")}
    assert attach(events, {"FatJet": tagger}, variations=direct).FatJet.score_jes.tolist() == found.score.tolist()


def test_systematics_of_coffea(events, tagger):
    jets = events.FatJet
    both = {"jes": ("pt", 1.1, 0.9), "wt": ("weight", 1.1, 0.9)}
    for name, (what, up, down) in both.items():
        jets.add_systematic(
            name, "UpDownSystematic", what, lambda x, u=up, d=down: np.stack([np.asarray(x) * u, np.asarray(x) * d], 1)
        )
    events = ak.with_field(events, jets, "FatJet")
    found = attach(events, {"FatJet": tagger}, variations=variations.from_jets("FatJet")).FatJet
    assert found.score_jesUp.tolist() == found.score.tolist()
    assert "score_wtUp" not in found.fields


@pytest.mark.parametrize(
    "shift",
    [
        variations.CandidateScale(charged=0.1, neutral=0.2),
        variations.TrackingEfficiency(0.1),
        variations.PuppiWeights(0.9),
        variations.JetScale(0.1),
    ],
)
def test_sent_and_traced(events, tagger, shift):
    again = pickle.loads(pickle.dumps(shift))
    assert again == shift

    def process(events):
        return attach(events, {"FatJet": tagger}, variations={"up": again}).FatJet.score_up

    assert "PFCands_pt" in trace_with_typetracer(process, events, throw=True)
    assert not ak.any(ak.is_none(process(events), axis=1), axis=None)


def test_refusals(events, tagger):
    with pytest.raises(JetError, match="events without PFCands or PFCand"):
        variations.CandidateScale(charged=0.1)(events[["FatJet"]])
    with pytest.raises(JetError, match="FatJet without puppiWeight"):
        variations.PuppiWeights(1.1, table="FatJet")(events)
    with pytest.raises(JetError, match="a loss of 2"):
        variations.TrackingEfficiency(2)
    with pytest.raises(JetError, match="without run, luminosityBlock, event"):
        variations.TrackingEfficiency(0.1)(small_events())
    with pytest.raises(JetError, match="FatJet without variations"):
        variations.from_jets("FatJet")(events)
    with pytest.raises(JetError, match="FatJet without JES_other"):
        variations.from_jets("FatJet", sources=("JES_other",))(corrected(events))
    for change in (lambda table: table[table.charge != 0], lambda table: table[:, ::-1]):
        moved = ak.with_field(events, change(events.PFCands), "PFCands")
        with pytest.raises(JetError, match="gives other PFCands, or in another order"):
            attach(events, {"FatJet": tagger}, variations={"up": moved})
