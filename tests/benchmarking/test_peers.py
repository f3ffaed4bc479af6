"""Networks of other packages, if installed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coffea_equitag import models
from coffea_equitag.benchmarking import networks, peers
from coffea_equitag.benchmarking.workloads import Workload, random_jets


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.package)
def test_peers_take_our_jets(peer):
    module = pytest.importorskip(peer.module, reason=f"{peer.package} is optional")
    ours = models.build(peer.ours)
    theirs = peer.make(module, ours)
    jets = random_jets(Workload("few", 6, 2, 12), 3, ours.fields)
    logits = peer.prepare(theirs.eval(), ours, jets)()
    assert logits.shape == (3, 2)
    assert torch.isfinite(logits).all()


def test_a_peer_stands_beside_ours(monkeypatch):
    """With a made-up package that is always installed."""

    def prepare(theirs, ours, jets):
        return lambda: theirs(jets.jet_p4.float())

    stranger = peers.Peer("linear", "torch", "torch.nn", "pfn", lambda module, ours: module.Linear(4, 2), prepare)
    missing = peers.Peer("none", "none", "no_such_module", "pfn", lambda module, ours: nn.Linear(1, 1), prepare)
    monkeypatch.setattr(peers, "PEERS", (missing, stranger))
    monkeypatch.setitem(networks.BATCHES, "pfn", 4)
    (row,) = peers.compare(("ak4",), ("forward+backward",), 0.01, "cpu")
    assert row["peer"].startswith("torch ")
    assert (row["parameters"], row["ours"], row["pass"]) == (10, "pfn", "forward+backward")
    assert row["times_ours"]["median"] > 0
