from __future__ import annotations

import awkward as ak
import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given

from coffea_equitag import RaggedJets

counts_lists = st.lists(st.integers(0, 9), max_size=12)


@given(counts_lists, st.integers(1, 120), st.integers(0, 2))
def test_split_covers_every_jet_once_within_budget(random_jets, counts, budget, extra):
    jets = RaggedJets.from_awkward(random_jets(counts), ["pdgId"])
    parts = list(jets.split(budget, extra))
    assert sum(part.num_jets for part in parts) == len(counts)
    if parts:
        assert torch.equal(torch.cat([part.p4 for part in parts]), jets.p4)
        assert torch.equal(torch.cat([part.columns["pdgId"] for part in parts]), jets.columns["pdgId"])
    for part in parts:
        assert part.num_jets == 1 or int(((part.counts + extra) ** 2).sum()) <= budget


@given(counts_lists, st.randoms(use_true_random=False))
def test_select_picks_whole_jets(random_jets, counts, random):
    jets = RaggedJets.from_awkward(random_jets(counts))
    order = list(range(len(counts)))
    random.shuffle(order)
    picked = jets.select(torch.tensor(order, dtype=torch.int64))
    assert picked.counts.tolist() == [counts[k] for k in order]
    for place, k in enumerate(order):
        assert torch.equal(picked.slice(place, place + 1).p4, jets.slice(k, k + 1).p4)


@given(counts_lists, st.integers(1, 10))
def test_hardest_keeps_the_largest_pt_of_each_jet_in_order(random_jets, counts, most):
    jets = RaggedJets.from_awkward(random_jets(counts), ["pdgId"])
    kept = jets.hardest(most)
    assert kept.counts.tolist() == [min(count, most) for count in counts]
    assert torch.equal(kept.jet_p4, jets.jet_p4)
    for jet in range(len(counts)):
        before, after = jets.slice(jet, jet + 1), kept.slice(jet, jet + 1)
        pt = np.hypot(*before.p4[:, 1:3].numpy().T)
        rows = np.sort(np.argsort(-pt, kind="stable")[:most])
        assert torch.equal(after.p4, before.p4[rows])
        assert torch.equal(after.columns["pdgId"], before.columns["pdgId"][rows])
        assert torch.equal(after.mass, before.mass[rows])


def test_prepend_marks_references(random_jets):
    jets = RaggedJets.from_awkward(random_jets([2, 0, 3]), ["pdgId"])
    front = torch.tensor([[1.0, 0, 0, 1], [1.0, 0, 0, -1]], dtype=torch.float64)
    nodes = jets.prepend(front, torch.zeros(2))
    assert nodes.counts.tolist() == [4, 2, 5]
    assert nodes.columns["reference"].tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert torch.equal(nodes.p4[~nodes.columns["reference"]], jets.p4)
    assert torch.equal(nodes.p4[4:6], front)
    assert nodes.polar is not None
    assert torch.isnan(nodes.polar[4:6]).all()


def test_float64_columns_share_memory_with_awkward():
    values = np.arange(12.0).reshape(3, 4) + 1
    columns = {name: values[:, k].copy() for k, name in enumerate(("px", "py", "pz", "mass"))}
    jets = ak.Array({"constituents": ak.unflatten(ak.zip(columns | {"weight": columns["px"]}), [1, 2])})
    ragged = RaggedJets.from_awkward(jets, ["weight"])
    assert np.shares_memory(ragged.columns["weight"].numpy(), columns["px"])


def test_from_momenta_round_trip(random_jets):
    jets = RaggedJets.from_awkward(random_jets([3, 0, 5], coordinates="cartesian"))
    again = RaggedJets.from_momenta(jets.p4, jets.offsets, mass=jets.mass)
    assert torch.equal(again.p4, jets.p4)
    assert torch.equal(again.mass, jets.mass)
    assert torch.equal(again.offsets, jets.offsets)
