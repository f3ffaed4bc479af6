"""Networks of other packages, if installed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coffea_equitag import models
from coffea_equitag.benchmarking import networks, peers, report
from coffea_equitag.benchmarking.workloads import Workload, random_jets


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_peers_take_our_jets(peer):
    module = pytest.importorskip(peer.module, reason=f"{peer.package} is optional")
    ours = models.build(peer.ours)
    theirs = peer.make(module, ours)
    jets = random_jets(Workload("few", 6, 2, 12), 3, ours.fields)
    with torch.no_grad():
        logits = peer.prepare(theirs.eval(), ours, jets)()
        alone = [peer.prepare(theirs, ours, jets.slice(j, j + 1))() for j in range(3)]
    assert logits.shape == (3, 2)
    assert torch.isfinite(logits).all()
    # neither padding nor the other jets are seen
    torch.testing.assert_close(torch.cat(alone), logits, rtol=1e-3, atol=1e-3)


def test_a_peer_stands_beside_ours(monkeypatch):
    """With a made-up package that is always installed."""

    def prepare(theirs, ours, jets):
        return lambda: theirs(jets.jet_p4.float())

    stranger = peers.Peer("linear", "torch", "torch.nn", "pfn", lambda module, ours: module.Linear(4, 2), prepare)
    missing = peers.Peer("none", "none", "no_such_module", "pfn", lambda module, ours: nn.Linear(1, 1), prepare)
    monkeypatch.setattr(peers, "PEERS", (missing, stranger))
    monkeypatch.setitem(networks.BATCHES, "pfn", 4)
    (row,) = peers.compare(("pfn",), ("ak4",), ("forward+backward",), 0.01, "cpu")
    assert row["peer"].startswith("torch ")
    assert (row["parameters"], row["ours"], row["pass"]) == (10, "pfn", "forward+backward")
    assert row["times_ours"]["median"] > 0
    assert row["bytes"] is row["our_bytes"] is None
    assert "| 10 | ak4 | forward+backward |" in report._peers([row])
    jets = random_jets(Workload("few", 6, 2, 12), 3)
    assert peers.one_batch("linear", models.build("pfn"), jets, False)().shape == (3, 2)
    assert peers.compare(("lorentznet",), ("ak4",), ("forward",), 0.01, "cpu") == []
