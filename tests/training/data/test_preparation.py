"""Jets on their way into a training: what is left out and why, whatever the chunks."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError
from coffea_equitag.training.data.flat_weights import FlatWeights
from coffea_equitag.training.data.folds import fold_of
from coffea_equitag.training.data.label_map import label_map
from coffea_equitag.training.data.preparation import Preparation, Prepared


@pytest.fixture
def jets(toy):
    jets = toy(60)
    jets["event"] = np.arange(60) // 2
    jets["flavour"] = np.array([5, -5, 4, 0, 21, 3] * 10)
    jets["w"] = np.linspace(0.5, 2, 60)
    return jets


def preparation(**options: object) -> Preparation:
    mapped, _ = label_map("|flavour|", {5: "b", 4: "c", "0, 1, 2, 3": "light"}, None, 3)
    return Preparation(mapped, **({"unmapped": "drop"} | options))


def test_each_step_counts_what_it_leaves_out(jets):
    made = preparation(select="event >= 5", folds=5, fold=2, weights="w", flat=FlatWeights(bins={"event": (0, 50)}))
    found = made(jets)
    left = [k for k in range(10, 60) if jets.flavour[k] != 21 and fold_of(jets, 5)[k] != 2]
    gluons = sum(jets.flavour[k] == 21 for k in range(10, 60))
    assert dict(found.left_out) == {"selection": 10, "no class": gluons, "fold 2 of 5": 50 - gluons - len(left)}
    assert found.coordinates[:, 0].tolist() == jets.event[left].to_list()
    assert found.sample.weights.tolist() == jets.w[left].to_list()
    assert found.sample.labels.tolist() == [{5: 2, 4: 1, 0: 0, 3: 0}[abs(jets.flavour[k])] for k in left]
    whole = preparation()(jets[left])
    assert torch.equal(found.sample.jets.p4, whole.sample.jets.p4)
    assert torch.equal(found.sample.jets.offsets, whole.sample.jets.offsets)


def test_chunks_and_nesting_make_no_difference(jets):
    made = preparation(select=lambda jets: jets.flavour < 10, folds=3, fold=0, weights=lambda jets: jets.w)
    whole = made(jets)
    chunks = [made(jets[first : first + 7]) for first in range(0, 60, 7)]
    assert torch.equal(torch.cat([chunk.sample.jets.p4 for chunk in chunks]), whole.sample.jets.p4)
    assert torch.equal(torch.cat([chunk.sample.weights for chunk in chunks]), whole.sample.weights)
    assert np.array_equal(np.concatenate([chunk.events for chunk in chunks]), whole.events)
    nested = ak.unflatten(ak.mask(jets, np.arange(60) != 13), [0, 25, 0, 35])
    alone = made(jets[np.arange(60) != 13])
    assert made(nested).sample.fingerprint() == alone.sample.fingerprint()
    assert made(jets[:0]).sample.jets.num_jets == 0
    assert made(jets[jets.flavour == 21]).sample.jets.num_jets == 0


def test_only_what_is_needed_is_read(jets):
    def forbidden() -> None:
        raise AssertionError("read")

    form, length, buffers = ak.to_buffers(ak.with_field(jets, np.full(60, 77.0), "unread"))
    virtual = {
        key: forbidden if values.dtype == np.float64 and (values == 77).any() else (lambda values=values: values)
        for key, values in buffers.items()
    }
    lazy = ak.from_buffers(form, length, virtual, behavior=jets.behavior)
    with pytest.raises(AssertionError, match="read"):
        preparation(select="unread > 3")(lazy)
    made = preparation(select="event > 3", weights="w", folds=4, fold=1)
    assert made(lazy).sample.fingerprint() == made(jets).sample.fingerprint()


def test_unmapped_labels_are_refused_by_the_number_of_the_jet(jets):
    with pytest.raises(JetError, match=r"label of jet 10 is 21.* \(9 such of 42\)[\s\S]*one of 0, 1, 2, 3, 4, 5"):
        preparation(unmapped="error", select="event > 4 & flavour != 0")(jets)


def test_selections_must_decide(jets):
    for function, words in (
        (lambda jets: jets.w, "returned float64"),
        (lambda jets: True, "one number for each of 60 jets"),
        (lambda jets: jets.constituents.pt > 1, "one number for each of 60 jets"),
    ):
        with pytest.raises(JetError, match=words):
            preparation(select=function)(jets)


def test_split_keeps_events_whole(jets):
    train, held = preparation(folds=5, fold=0)(jets).split(0.3, 1, ("light", "c", "b"))
    assert isinstance(train, Prepared)
    assert not set(train.events) & set(held.events)
    assert len(train.events) + len(held.events) == 60 - 10 - int(ak.sum((fold_of(jets, 5) == 0) & (jets.flavour != 21)))
    other = preparation(folds=5, fold=0)(jets).split(0.3, 3, ("light", "c", "b"))[1]
    assert set(held.events) != set(other.events)
    for fraction in (0.0, 1.0, 1.5, -0.1):
        with pytest.raises(JetError, match="fraction"):
            preparation()(jets).split(fraction, 1, ("light", "c", "b"))


def test_factors_multiply_weights_and_leave_out(jets):
    found = preparation(weights="w")(jets)
    factors = np.arange(len(found.coordinates)) % 3 * 1.0
    weighted = found.weighted(factors)
    assert dict(weighted.left_out) == {"no class": 10, "outside of the spectra": 17}
    assert weighted.sample.weights.tolist() == (found.sample.weights.numpy() * factors)[factors > 0].tolist()


def test_an_unknown_column_is_told_from_all_that_are_stored(jets):
    with pytest.raises(
        JetError, match=r"without a field 'wheight'.*they have label, constituents, event, flavour, w\n"
    ):
        preparation(weights="wheight")(jets)


def test_the_indices_are_those_of_the_jets_that_are_not_missing(jets):
    masked = ak.mask(jets, jets.event != 3)
    found = preparation(select="w > 1")(masked)
    given = ak.drop_none(masked)
    assert found.sample.weights.shape == found.index.shape
    assert given.w[found.index].to_list() == [jet.w for jet in given if jet.w > 1 and jet.flavour != 21]
