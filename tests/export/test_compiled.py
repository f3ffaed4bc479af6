"""Packages of AOTInductor: compiled, verified, opened, and refused where there is no compiler."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.export import jet_arrays
from coffea_equitag.export.pt2_file import check_compiler, open_compiled
from coffea_equitag.export.trial_jets import trial_jets
from export.test_files import TINY, scores, tagger_of


def test_compiled(tmp_path):
    try:
        check_compiler()
    except eqt.ExportError as error:
        pytest.skip(str(error))
    tagger = tagger_of("pfn", **TINY)
    with kernels.use("reference"):
        made = tagger.export(tmp_path / "m.pt2", compile=True)
        jets = trial_jets(tagger, (4, 0, 1, 31), "ragged", seed=9).jets
        expected = scores(tagger, jets)
    assert made.verification.batches == (0, 1, 1, 11, 6)
    assert made.verification.deviation <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.pt2", "m.pt2.json"]
    described = json.loads((tmp_path / "m.pt2.json").read_text())
    assert described["verification"]["deviation"] == made.verification.deviation
    arrays = jet_arrays(jets)
    found = open_compiled(tmp_path / "m.pt2")(*(torch.from_numpy(arrays[port["name"]]) for port in described["inputs"]))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    from torch._inductor import config

    monkeypatch.setenv("CXX", "no-such-compiler")
    said = pytest.raises(eqt.ExportError, match=r"no-such-compiler does not run\n.*\n.*install g\+\+")
    with config.patch({"cpp.cxx": (None, "no-such-compiler")}), said:
        tagger_of("pfn", **TINY).export(tmp_path / "m.pt2", compile=True)
    assert not list(tmp_path.iterdir())


def test_only_pt2_is_compiled(tmp_path):
    with pytest.raises(eqt.ExportError, match=r"--compile\) with the format onnx"):
        tagger_of("pfn", **TINY).export(tmp_path / "m.onnx", compile=True)
