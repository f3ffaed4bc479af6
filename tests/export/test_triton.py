"""The model repository of Triton Inference Server, asked by coffea's wrapper through a client that runs the file."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import models
from coffea_equitag.export import Verification, exporting, jet_arrays
from coffea_equitag.export.trial_jets import trial_jets
from coffea_equitag.tagger import Tagger
from networks import enliven
from triton_client import Server, put_behind


@pytest.fixture
def client(monkeypatch):
    """Servers by address, and coffea's wrapper in front of them."""
    wrapper = pytest.importorskip("coffea.ml_tools.triton_wrapper")
    servers = {}
    put_behind(servers.__getitem__, monkeypatch)
    return servers, getattr(wrapper, "triton_wrapper", wrapper)


def test_coffea_scores_by_a_server(tmp_path, client):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    servers, wrapper = client
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = enliven(models.build("pfn", n_classes=3, phi=(4,), f=(4,), inputs="kinpid"))
    tagger = Tagger.from_model(model, name="top-small", classes=("qcd", "w", "top"))
    made = tagger.export(tmp_path / "triton", batch_size=4)
    assert made.path == tmp_path / "triton" / "top-small"
    assert sorted(path.name for path in made.path.iterdir()) == ["1", "config.pbtxt", "equitag.json"]
    servers["localhost:8001"] = Server(made.path)

    class Scores(wrapper):
        def prepare_awkward(self, jets):
            arrays = jet_arrays(jets, ("charge", "pdgId"), form="padded")
            return (["scores"], {name: ak.from_numpy(values) for name, values in arrays.items()}), {}

    score = Scores("triton+grpc://localhost:8001/top-small/1")
    jets = trial_jets(tagger, (4, 0, 1, 31, 8, 5), "padded", seed=9).jets
    found = ak.to_numpy(score(jets)["scores"])
    expected = tagger(jets)
    np.testing.assert_allclose(found, np.stack([ak.to_numpy(expected[name]) for name in tagger.classes], 1), atol=1e-5)
    assert servers["localhost:8001"].requests == [4, 4]  # the second is filled up
    with pytest.raises(eqt.ExportError, match="already exists"):
        tagger.export(tmp_path / "triton")


def test_a_model_is_replaced_whole(tmp_path, monkeypatch):
    tagger = Tagger.from_model(models.build("pfn", phi=(4,), f=(4,)), name="t", classes=("qcd", "top"))

    def written(job, part):
        part.write_bytes(b"a model")
        return Verification(0, (), 0.0, 0.0, 0.0, 1e-5)

    monkeypatch.setattr(exporting, "_write_onnx", written)
    (tmp_path / "t" / "1").mkdir(parents=True)
    (tmp_path / "t" / "2").mkdir()
    tagger.export(tmp_path, "triton", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["1", "config.pbtxt", "equitag.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
