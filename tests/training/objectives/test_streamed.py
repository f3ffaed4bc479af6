"""Momenta, auxiliary tasks and decorrelation are learned from streams as from arrays: what they need is streamed."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import fit, models, readers

QUICK = {"epochs": 1, "batch_size": 20, "device": "cpu", "progress": False, "validation": 0.25}


@pytest.fixture(scope="module")
def stream(tmp_path_factory, toy):
    """Toy jets with all that may be learned, in two files."""
    folder = tmp_path_factory.mktemp("stream")
    for seed in range(2):
        jets = toy(60, seed)
        jets["width"] = np.linspace(0, 1, 60)
        jets["constituents", "origin"] = ak.values_astype(jets.constituents.pt > 70, np.int64)
        for name, values in (("pt", 600.0), ("eta", 0.0), ("phi", 0.0), ("mass", 80.0)):
            jets[f"true_{name}"] = np.full(60, values)
        ak.to_parquet(jets, folder / f"{seed}.parquet", row_group_size=20)
    return readers.stream(sorted(folder.iterdir()), shuffle=40)


def test_momenta(stream, tmp_path):
    torch.manual_seed(0)
    model = models.build("lorentznet", output="momentum", hidden=4, n_layers=1)
    tagger = fit(model, stream, target="momentum", out=tmp_path / "run", **QUICK)
    # the toy jets have 600 GeV, as the truth has
    assert tagger.card.metrics["pt_response"] == pytest.approx(1, abs=0.3)


def test_tasks_and_decorrelation(stream, tmp_path):
    torch.manual_seed(0)
    model = models.build("pfn", phi=(8,), f=(8,))
    options = {"auxiliary": {"origin": ("soft", "hard")}, "decorrelate": "width"}
    tagger = fit(model, stream, "label", out=tmp_path / "run", **options, **QUICK)
    assert {"origin_accuracy", "distance_correlation"} <= tagger.card.metrics.keys()
    assert 0 < tagger.card.metrics["origin_loss"] < 2
