"""Folds by event: deterministic, even, and whole."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.training.data.folds import event_hash, event_ids, fold_of, folds_of, in_validation


def test_the_hash_is_splitmix64():
    """Its first numbers from the seeds 0 and 1, as published with the generator (Vigna, splitmix64.c)."""
    found = event_hash([np.array([0, 1])])
    assert found.tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]
    # written in Python's own integers
    state = 0
    for number in (7, -3, 2**64 - 1):
        state = ((state ^ (number % 2**64)) + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    ids = [np.array([7], dtype=np.int32), np.array([-3]), np.array([2**64 - 1], dtype=np.uint64)]
    assert event_hash(ids).tolist() == [state]


def test_all_jets_of_an_event_are_in_one_fold(toy):
    jets = ak.unflatten(toy(60), [2, 0, 3, 5] * 6)
    event = np.arange(24) + 10**9
    jets["event"] = ak.broadcast_arrays(event, jets.label)[0]
    folds = fold_of(jets, 5)
    assert ak.num(folds).to_list() == [2, 0, 3, 5] * 6
    assert ak.all(ak.min(folds, axis=1) == ak.max(folds, axis=1))
    # the same for other types, orders, and events instead of jets
    assert ak.flatten(folds[::-1]).to_list() == ak.flatten(fold_of(jets[::-1], 5)).to_list()
    jets["event"] = ak.values_astype(jets.event, np.float64)
    assert ak.array_equal(fold_of(jets, 5), folds)
    events = ak.zip({"event": event.astype(np.uint64)})
    assert ak.all(fold_of(events, 5) == folds)


def test_folds_are_even_and_validation_is_independent_of_them():
    hashes = event_hash([np.ones(100_000, dtype=np.int64), np.arange(100_000)])
    folds = folds_of(hashes, 5)
    # binomial: 20000 ± 126
    assert abs(np.bincount(folds) - 20_000).max() < 5 * 127
    held = in_validation(hashes, 0.3, seed=4)
    for fold in range(5):
        assert abs(held[folds == fold].mean() - 0.3) < 5 * np.sqrt(0.21 / 20_000)
    assert abs((held == in_validation(hashes, 0.3, seed=5)).mean() - 0.58) < 0.01
    assert not in_validation(hashes, 0.0, 1).any()
    assert in_validation(hashes, 1.0, 1).all()


def test_run_and_lumi_count():
    ids = {"run": [1, 2, 1], "luminosityBlock": [1, 1, 2], "event": [5, 5, 5]}
    assert event_ids([*ids, "pt"]) == ("run", "luminosityBlock", "event")
    assert len(set(fold_of(ak.zip(ids), 10**9).to_list())) == 3
    assert len(set(fold_of(ak.zip(ids), 10**9, ["event"]).to_list())) == 1
    assert event_ids(["eventNumber", "runNumber", "event"]) == ("runNumber", "eventNumber")
    assert event_ids(["pt", "event"]) == ("event",)


def test_refuses():
    with pytest.raises(JetError, match=r"without the number of their event[\s\S]*jets\['event'\] = events.event"):
        fold_of(ak.zip({"pt": [1.0]}), 5)
    for value, words in ((0.5, "'event' of jet 1 is 0.5"), (2.0**53, "jet 1 is 9007199254740992"), (np.nan, "is nan")):
        with pytest.raises(JetError, match=words):
            fold_of(ak.zip({"event": [1.0, value]}), 5)
    with pytest.raises(JetError, match="'event' of jet 0 is missing"):
        fold_of(ak.zip({"event": ak.Array([None, 1]), "x": [1, 2]}, depth_limit=1), 5)


def test_missing_jets_have_no_fold(toy):
    jets = ak.mask(ak.with_field(toy(4), [1, 2, 3, 4], "event"), [True, False, True, True])
    assert ak.is_none(fold_of(jets, 5)).to_list() == [False, True, False, False]
    assert len(fold_of(jets[:0], 5)) == 0
