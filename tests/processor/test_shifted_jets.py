"""Jets shifted in energy: scored as the stored jet, or with scaled constituents, by every network."""

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.trace import trace_with_typetracer

from arithmetic import rounding_of_scores
from coffea_equitag import TaggerProcessor, attach, models
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.readers import nanoaod
from coffea_equitag.tagger import Tagger

#: One network that sees constituents alone, three that compare them with the jet, and two that need tracks.
NETWORKS = ("lorentznet", "pfn", "particlenet", "lorentznet_base", "vector_pfn", "tensor_pfn")


@pytest.fixture(scope="module", params=NETWORKS)
def tagger(request):
    return Tagger.from_model(models.build(request.param, n_classes=2), name=request.param, classes=("qcd", "top"))


def shifted(jets):
    """JES and its effect on the mass, differing from jet to jet, and re-sorting."""
    factor = 1.02 + 0.1 * abs(jets.eta)
    jets = ak.with_field(ak.with_field(jets, jets.pt * factor, "pt"), jets.mass * factor, "mass")
    return jets[ak.argsort(jets.pt, axis=1, ascending=False)]


def scores_of(tagger, events, **options):
    return attach(events, {"FatJet": tagger}, **options).FatJet.score


def test_nominal_and_scaled(nano_file, open_nano, tagger):
    events = open_nano(nano_file)
    stored = nanoaod(events, "FatJet", fields=("charge", "pdgId", "d0", "dz"))
    moved = ak.with_field(events, shifted(events.FatJet), "FatJet")
    order = ak.argsort(moved.FatJet.phi, axis=1)
    back = ak.argsort(ak.argsort(stored.phi, axis=1), axis=1)  # to the places in the file
    allowed = rounding_of_scores(tagger, stored)

    nominal = scores_of(tagger, moved)[order][back]
    assert np.allclose(ak.flatten(nominal), ak.flatten(tagger(stored)), rtol=0, atol=allowed)

    factor = 1.02 + 0.1 * abs(stored.eta)
    by_hand = ak.with_field(ak.with_field(stored, stored.pt * factor, "pt"), stored.mass * factor, "mass")
    for name in ("pt", "mass"):
        by_hand["constituents", name] = stored.constituents[name] * factor
    scaled = scores_of(tagger, moved, constituents="scaled")[order][back]
    allowed = rounding_of_scores(tagger, by_hand)
    assert np.allclose(ak.flatten(scaled), ak.flatten(tagger(by_hand)), rtol=0, atol=allowed)
    assert np.abs(ak.to_numpy(ak.flatten(scaled - nominal))).max() > 5 * allowed


def test_jets_keep_their_own_momenta(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    moved = ak.with_field(events, shifted(events.FatJet), "FatJet")
    for rule in ("nominal", "scaled"):
        jets = attach(moved, {"FatJet": saved_tagger}, constituents=rule).FatJet
        assert jets.pt.tolist() == moved.FatJet.pt.tolist()
    assert ak.sort(nanoaod(moved).pt, axis=1).tolist() == ak.sort(events.FatJet.pt, axis=1).tolist()
    assert nanoaod(moved, constituents="scaled").pt.tolist() == moved.FatJet.pt.tolist()


def test_without_a_shift_both_are_the_same(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    one, other = (scores_of(saved_tagger, events, constituents=rule) for rule in ("nominal", "scaled"))
    assert np.allclose(
        ak.flatten(one), ak.flatten(other), rtol=0, atol=rounding_of_scores(saved_tagger, nanoaod(events))
    )


def test_in_the_processor(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    moved = ak.with_field(events, shifted(events.FatJet), "FatJet")

    def hook(events, jets):
        return {"found": jets["FatJet"].score.tolist()}

    for rule in ("nominal", "scaled"):
        found = TaggerProcessor({"FatJet": saved_tagger}, constituents=rule, hook=hook).process(moved)["found"]
        expected = scores_of(saved_tagger, moved, constituents=rule)
        assert np.allclose(ak.flatten(ak.Array(found)), ak.flatten(expected), rtol=0, atol=1e-6)


def test_traced(nano_file, open_nano, saved_tagger):
    def process(events):
        moved = ak.with_field(events, ak.with_field(events.FatJet, events.FatJet.pt * 2, "pt"), "FatJet")
        return scores_of(saved_tagger, moved, constituents="scaled")

    events = open_nano(nano_file)
    assert trace_with_typetracer(process, events, throw=True) >= {"FatJet_pt", "FatJet_nConstituents", "PFCands_pt"}


def test_refusals(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    with pytest.raises(JetError, match="constituents='both'"):
        scores_of(saved_tagger, events, constituents="both")
    with pytest.raises(TaggerError, match="with a reader of your own"):
        scores_of(saved_tagger, events, constituents="scaled", reader=nanoaod)
    plain = ak.Array(ak.to_packed(ak.materialize(events[["FatJet", "FatJetPFCands", "PFCands"]])).layout)
    with pytest.raises(JetError, match="whose stored pT is not known"):
        nanoaod(plain, constituents="scaled")
