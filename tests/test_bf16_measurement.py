"""The script that measures what bf16 does to trained taggers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.kernels.common.cpu import shapes
from kernel_forms import needs_vectors

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from bf16 import probabilities, rejections


def test_rejections_of_the_same_jets():
    signal, background = np.linspace(0.1, 1.0, 10), np.linspace(0.0, 0.99, 100)
    labels = np.repeat([1, 0], [10, 100])
    plain = np.concatenate([signal, background])
    coarse = plain.copy()
    # half of the signal has 0.6 or more, as 40 background jets do; now four of them have not
    coarse[10 + 60 : 10 + 64] = 0.55
    for scores, expected in ((plain, 0.0), (coarse, 40 / 36 - 1)):
        (now, change, spread), _ = rejections(*(np.stack([1 - s, s], axis=1) for s in (plain, scores)), labels)
        assert now == pytest.approx(100 / 40, rel=1e-12)
        assert change == pytest.approx(expected, abs=1e-12)
        assert (spread > 0) == (expected > 0)


@needs_vectors
def test_float32_is_not_measured_for_bf16(random_jets, monkeypatch):
    torch.manual_seed(0)
    model = eqt.models.build("lorentznet", hidden=8, n_layers=1).eval()
    tagger = eqt.Tagger.from_model(model, name="t", classes=("a", "b"))
    jets = RaggedJets.from_awkward(random_jets([4, 2]))
    assert np.allclose(probabilities(tagger, jets, "float32").sum(axis=1), 1, rtol=0, atol=1e-15)
    monkeypatch.setattr(shapes, "HAS_BF16", False)
    with pytest.raises(SystemExit, match=r"lorentznet did not run in bf16.*lacks AVX512-BF16"):
        probabilities(tagger, jets, "bf16")
