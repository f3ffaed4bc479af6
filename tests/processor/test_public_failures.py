"""What has gone wrong in public trackers when jets are tagged under variations, each with the right value."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import TaggerProcessor, attach
from coffea_equitag.errors import CollectionWarning, JetError
from coffea_equitag.readers import nanoaod


def same(one, other):
    return one.tolist() == other.tolist()


@pytest.fixture
def events(nano_file, open_nano):
    return open_nano(nano_file)


@pytest.fixture
def expected(events, saved_tagger):
    """Scores by the tagger itself."""
    return saved_tagger(nanoaod(events))


def replaced(events, jets):
    return ak.with_field(events, jets, "FatJet")


def test_jets_sorted_again_by_their_shift(events, saved_tagger, expected):
    """PocketCoffea 521: the score of another jet was attached after the jets were sorted by the shifted pT."""

    def shift(events):
        jets = ak.with_field(events.FatJet, 1000 - events.FatJet.pt, "pt")  # turns the order round
        return replaced(events, jets[ak.argsort(jets.pt, axis=1, ascending=False)])

    scored = attach(events, {"FatJet": saved_tagger}, variations={"up": shift}).FatJet
    assert same(ak.drop_none(scored.score_up), expected)
    shifted = attach(shift(events), {"FatJet": saved_tagger}).FatJet
    order = ak.argsort(1000 - events.FatJet.pt, axis=1, ascending=False)
    assert np.allclose(ak.flatten(shifted.score), ak.flatten(expected[order]), rtol=0, atol=1e-6)


def test_overlap_removal(events, saved_tagger, expected):
    """Jets near a lepton are removed, in the variation alone or before everything."""
    keep = ak.local_index(events.FatJet, axis=1) % 2 == 1  # the leading jet overlaps
    scored = attach(
        events, {"FatJet": saved_tagger}, variations={"clean": lambda e: replaced(e, e.FatJet[keep])}
    ).FatJet
    assert same(scored.score_clean, ak.mask(expected, keep))
    cleaned = attach(replaced(events, events.FatJet[keep]), {"FatJet": saved_tagger}).FatJet.score
    assert np.allclose(ak.flatten(cleaned), ak.flatten(expected[keep]), rtol=0, atol=1e-6)


def test_masked_jets(events, saved_tagger, expected):
    keep = events.FatJet.pt > 450
    masked = replaced(events, ak.mask(events.FatJet, keep))
    scored = attach(masked, {"FatJet": saved_tagger}, variations={"same": lambda events: events}).FatJet
    for name in ("score", "score_same"):
        assert same(ak.is_none(scored[name], axis=1), ~keep)
        assert np.allclose(ak.flatten(ak.drop_none(scored[name])), ak.flatten(expected[keep]), rtol=0, atol=1e-6)


def test_concatenated_collections(events, saved_tagger, expected):
    """Jets that a variation adds have no original, and take no score away from one."""

    def doubled(events):
        other = ak.with_field(events.FatJet[:, ::-1], events.FatJet.eta + 3, "eta")
        other = ak.with_field(ak.without_field(other, "equitag_number"), other.pt * 2, "pt")
        return replaced(events, ak.concatenate([other, events.FatJet], axis=1))

    scored = attach(events, {"FatJet": saved_tagger}, variations={"more": doubled}).FatJet
    assert same(ak.drop_none(scored.score_more), expected)
    twice = {"twice": lambda e: replaced(e, ak.concatenate([e.FatJet, e.FatJet], axis=1))}
    with pytest.raises(JetError, match="the same FatJet up to 2 times"):
        attach(events, {"FatJet": saved_tagger}, variations=twice)


def test_duplicated_events(events, saved_tagger, expected):
    twice = [3, 2, 2, 6, 3]
    shifts = {"up": lambda events: replaced(events, events.FatJet[:, ::-1])}
    scored = attach(events[twice], {"FatJet": saved_tagger}, variations=shifts).FatJet
    for name in ("score", "score_up"):
        assert np.allclose(ak.flatten(scored[name]), ak.flatten(expected[twice]), rtol=0, atol=1e-6)
    joined = ak.concatenate([events, events])
    found = attach(joined, {"FatJet": saved_tagger}, variations=shifts).FatJet
    assert np.allclose(ak.flatten(found.score_up), ak.flatten(ak.concatenate([expected] * 2)), rtol=0, atol=1e-6)


def test_weights_with_none(events, saved_tagger):
    """A weight of None would make every sum None."""
    lost = ak.mask(events.genWeight, events.event != 4)
    for option in ({"weight": lambda events: lost}, {"weights": lambda events: {"gen": lost}}):
        with pytest.raises(JetError, match="no value for 1 of 12 events"):
            TaggerProcessor({"FatJet": saved_tagger}, **option).process(events)
    filled = TaggerProcessor({"FatJet": saved_tagger}, weight=lambda events: ak.fill_none(lost, 0.0)).process(events)
    assert np.isclose(filled["cutflow"]["unknown"]["all"]["weight"], ak.sum(lost))


@pytest.mark.parametrize("selection", [slice(0), np.zeros(12, bool)])
def test_empty_chunks(events, saved_tagger, selection):
    """coffea 1265: a chunk in which nothing is left."""
    shifts = {"up": lambda events: replaced(events, events.FatJet[events.FatJet.pt > 1e6])}
    none = events[selection]
    assert ak.num(attach(none, {"FatJet": saved_tagger}, variations=shifts).FatJet.score_up).tolist() == []
    processor = TaggerProcessor({"FatJet": saved_tagger}, variations=shifts)
    output = processor.process(none)
    assert output["sums"]["unknown"]["up"]["events"] == 0
    whole = processor.process(events)
    assert whole["sums"]["unknown"]["up"]["events"] == 12
    histogram = whole["scores"]["FatJet"]["score"]
    assert list(histogram.axes["systematic"]) == ["nominal", "up"]
    assert histogram[{"systematic": "up"}].sum(flow=True).value == 0  # no jet is left


def test_missing_collection(events, saved_tagger):
    without = events[["event", "genWeight"]]
    processor = TaggerProcessor({"FatJet": saved_tagger}, variations={"up": lambda events: events})
    with pytest.warns(CollectionWarning, match="its events are skipped"):
        output = processor.process(without)
    assert output["skipped"]["unknown"]["FatJet"] == 12
    with pytest.raises(JetError, match="without a collection 'FatJet'"):
        attach(without, {"FatJet": saved_tagger}, variations={"up": lambda events: events})
