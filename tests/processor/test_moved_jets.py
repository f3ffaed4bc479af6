"""Jets filtered, sorted or masked before they are scored keep their own constituents, and read no other columns."""

import gc

import awkward as ak
import numpy as np
import pytest

from arithmetic import rounding_of_scores
from coffea_equitag import TaggerProcessor, attach
from coffea_equitag.errors import JetError
from coffea_equitag.readers import nanoaod
from nano_events import nano_events

MOVES = {
    "reversed": lambda jets: jets[:, ::-1],
    "sorted": lambda jets: jets[ak.argsort(jets.mass * 1.1, axis=1)],
    "filtered": lambda jets: jets[jets.pt > 450],
    "without the leading": lambda jets: jets[:, 1:],
    "masked": lambda jets: ak.mask(jets, jets.pt > 450),
    "shifted, then sorted": lambda jets: ak.with_field(jets, jets.pt * 1.05, "pt")[:, ::-1],
    "padded": lambda jets: ak.pad_none(jets[jets.pt > 300], 3, axis=1),
    "copied": lambda jets: ak.to_packed(jets[:, ::-1]),
}


def with_jets(events, collection, change):
    return ak.with_field(events, change(events[collection]), collection)


def same_scores(tagger, found, expected, jets):
    assert ak.array_equal(ak.is_none(found, axis=1), ak.is_none(expected, axis=1))
    difference = ak.flatten(ak.drop_none(found - expected))
    return np.abs(ak.to_numpy(difference)).max(initial=0) <= rounding_of_scores(tagger, jets)


@pytest.mark.parametrize("mode", ["virtual", "eager"])
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_moved_jets_keep_their_scores(nano_file, open_nano, saved_tagger, mode, move):
    events = open_nano(nano_file, mode)
    scored = attach(events, {"FatJet": saved_tagger}).FatJet
    expected = move(scored).score
    found = attach(with_jets(events, "FatJet", move), {"FatJet": saved_tagger}).FatJet
    assert same_scores(saved_tagger, found.score, expected, nanoaod(events))
    assert found.mass.tolist() == move(events.FatJet).mass.tolist()


@pytest.mark.parametrize("selection", [slice(2, 9), np.arange(12) % 3 != 1, [7, 6, 0, 0], slice(None, None, -1)])
def test_in_selected_events(nano_file, open_nano, saved_tagger, selection):
    expected = attach(open_nano(nano_file), {"FatJet": saved_tagger}).FatJet[:, ::-1].score[selection]
    events = with_jets(open_nano(nano_file)[selection], "FatJet", MOVES["reversed"])
    gc.collect()  # the events as opened are gone, and opened again
    found = attach(events, {"FatJet": saved_tagger}).FatJet.score
    assert same_scores(saved_tagger, found, expected, nanoaod(open_nano(nano_file)))
    # also in event 3, whose jet has no constituents
    assert nanoaod(events).pt.tolist() == open_nano(nano_file)[selection].FatJet.pt[:, ::-1].tolist()


def test_sorted_before_and_after_selecting_events(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    expected = attach(events, {"FatJet": saved_tagger}).FatJet[:, ::-1].score[events.event > 4]
    moved = with_jets(events, "FatJet", MOVES["reversed"])[events.event > 4]
    assert same_scores(saved_tagger, attach(moved, {"FatJet": saved_tagger}).FatJet.score, expected, nanoaod(events))


def test_processor(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    points = {"working_points": {"FatJet": {"wp": 0.45}}, "weight": None}
    outputs = [
        TaggerProcessor({"FatJet": saved_tagger}, **points)
        .process(e)["scores"]["FatJet"]["score"]
        .view(flow=True)
        .value
        for e in (events, with_jets(events, "FatJet", MOVES["reversed"]))
    ]
    assert np.array_equal(*outputs)


def forget(events, *names):
    """The same events without what coffea keeps of the file."""
    return ak.Array(ak.to_packed(ak.materialize(events[list(names)])).layout, behavior=events.behavior)


def neighbours(jets):
    """Event and places of each pair of jets closer than 1.2 in (eta, phi)."""
    eta, phi = jets.eta.tolist(), jets.phi.tolist()
    for event, (y, f) in enumerate(zip(eta, phi, strict=True)):
        for i in range(len(y)):
            for j in range(i):
                turn = abs(f[i] - f[j])
                if np.hypot(y[i] - y[j], min(turn, 2 * np.pi - turn)) < 1.2:
                    yield event, i, j


def test_swapped_neighbours(shared_data, open_nano, saved_tagger):
    events = nano_events(shared_data / "pfnano.root")
    scores = attach(events, {"Jet": saved_tagger}).Jet.score
    pairs = list(neighbours(events.Jet))
    assert len(pairs) == 33
    for event, i, j in pairs[::4]:
        order = np.arange(len(events.Jet[event]))
        order[[i, j]] = j, i
        one = events[event : event + 1]
        swapped = with_jets(one, "Jet", lambda jets, order=order: jets[ak.Array([order])])
        found = attach(swapped, {"Jet": saved_tagger}).Jet.score
        assert np.allclose(found[0], scores[event][order], rtol=0, atol=1e-6)
        tables = ("Jet", "JetPFCands", "PFCands")
        assert len(nanoaod(forget(one, *tables), "Jet")) == 1
        with pytest.raises(JetError, match=r"event 0, Jet [0-9]+ lie farther from its axis than, or hardly closer"):
            nanoaod(forget(swapped, *tables), "Jet")


def test_axes_moved_too(shared_data, open_nano, saved_tagger):
    events = nano_events(shared_data / "pfnano.root")
    expected = attach(events, {"Jet": saved_tagger}).Jet.score[:, ::-1]

    def turn(jets):
        return ak.with_field(jets, jets.eta + 0.02, "eta")[:, ::-1]

    found = attach(with_jets(events, "Jet", turn), {"Jet": saved_tagger}).Jet.score  # by pFCandsIdxG
    assert np.allclose(ak.flatten(found), ak.flatten(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("where", [None, lambda jets: jets.pt > 300], ids=["all", "where"])
@pytest.mark.parametrize("change", ["none", "masked", "sorted"])
def test_columns_read(shared_data, open_nano, saved_tagger, where, change):
    log = []
    events = nano_events(shared_data / "pfnano.root", access_log=log)
    events = events if change == "none" else with_jets(events, "FatJet", MOVES[change])
    attach(events, {"FatJet": saved_tagger}, where=where)
    columns = {entry.branch for entry in log}
    assert columns == {
        *(f"FatJet_{name}" for name in ("pt", "eta", "phi", "mass")),
        *(f"PFCands_{name}" for name in ("pt", "eta", "phi", "mass", "puppiWeight")),
        *("FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx"),
        *("nFatJet", "nFatJetPFCands", "nPFCands"),
    }


@pytest.mark.parametrize("where", [None, lambda jets: jets.pt > 300], ids=["all", "where"])
@pytest.mark.parametrize("change", ["masked", "sorted"])
def test_no_other_column_is_read(nano_file, open_nano, saved_tagger, where, change):
    log = []
    events = with_jets(open_nano(nano_file, access_log=log), "FatJet", MOVES[change])
    attach(events, {"FatJet": saved_tagger}, where=where)
    assert not {entry.branch for entry in log} & {"FatJet_msoftdrop", "PFCands_d0", "PFCands_charge", "genWeight"}
