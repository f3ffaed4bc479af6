"""Labelled jets: nesting, missing jets, refused labels, the split."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.training.data import LabelledJets


def nested(jets: ak.Array) -> ak.Array:
    counts = [3, 0, 2, len(jets) - 5]
    return ak.unflatten(jets, counts)


def test_nesting_makes_no_difference(toy):
    jets = toy(20)
    flat, deep = LabelledJets.of(jets, "label", 2), LabelledJets.of(nested(jets), "label", 2)
    assert flat.fingerprint() == deep.fingerprint()
    assert flat.labels.tolist() == jets.label.to_list()


def test_missing_jets_are_left_out_with_their_labels(toy):
    jets = toy(20)
    keep = np.arange(20) % 3 != 0
    masked = ak.mask(jets, keep)
    expected = LabelledJets.of(jets[keep], "label", 2)
    assert LabelledJets.of(masked, "label", 2).fingerprint() == expected.fingerprint()
    assert LabelledJets.of(masked, jets.label, 2).fingerprint() == expected.fingerprint()
    assert LabelledJets.of(nested(masked), nested(jets).label, 2).fingerprint() == expected.fingerprint()


def test_labels_as_array(toy):
    jets = toy(12)
    for labels in (np.asarray(jets.label), jets.label, [int(x) for x in jets.label], jets.label == 1, jets.label * 1.0):
        assert LabelledJets.of(jets, labels, 2).fingerprint() == LabelledJets.of(jets, "label", 2).fingerprint()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("truth", "without a field 'truth'"),
        (ak.Array([0, 1, None, 1]), "label of jet 2 is missing"),
        (np.array([0.0, np.nan, 1, 1]), "label of jet 1 is nan"),
        (np.array([0, 1, 2, 1]), "label of jet 2 is 2"),
        (np.array([0, 1, -1, 1]), "label of jet 2 is -1"),
        (np.array([0, 0.5, 1, 1]), "label of jet 1 is 0.5"),
        (np.array([0, 1]), "one label per jet"),
        (ak.Array([[0, 1], [1, 1]]), "one label per jet"),
        (ak.Array(["top", "qcd", "top", "qcd"]), "one label per jet|whole numbers"),
    ],
)
def test_labels_refused(toy, labels, message):
    with pytest.raises(JetError, match=message):
        LabelledJets.of(toy(4), labels, 2)


def test_event_labels_are_not_spread_over_jets(toy):
    with pytest.raises(JetError, match="one label per jet"):
        LabelledJets.of(nested(toy(9)), np.array([0, 1, 0, 1]), 2)


def test_nan_momenta_are_refused(toy):
    jets = toy(6)
    counts = ak.num(jets.constituents)
    pt = ak.to_numpy(ak.flatten(jets.constituents.pt)).copy()
    pt[4] = np.nan
    constituents = ak.with_field(jets.constituents, ak.unflatten(pt, counts), "pt")
    with pytest.raises(JetError, match="pt = nan"):
        LabelledJets.of(ak.with_field(jets, constituents, "constituents"), "label", 2)


def test_held_out_is_stratified_and_follows_the_seed(toy):
    sample = LabelledJets.of(toy(200), "label", 2)
    sample = sample.select(np.flatnonzero((sample.labels.numpy() == 0) | (np.arange(200) % 10 == 1)))
    held = sample.held_out(0.2, 5, ("a", "b"))
    assert sample.labels[held].bincount().tolist() == [20, 4]
    assert sample.labels[~held].bincount().tolist() == [80, 16]
    assert np.array_equal(held, sample.held_out(0.2, 5, ("a", "b")))
    assert not np.array_equal(held, sample.held_out(0.2, 6, ("a", "b")))
    with pytest.raises(JetError, match=r"1 jets of class 1 \('b'\)"):
        sample.select(np.array([0, 1, 2, 3])).held_out(0.5, 0, ("a", "b"))


def test_pt_range_is_rounded_outwards(toy):
    low, high = LabelledJets.of(toy(50), "label", 2).pt_range()
    assert 0 < low < 600
    assert low == float(f"{low:.3g}")
    assert high >= 600 * (1 - 1e-9)
