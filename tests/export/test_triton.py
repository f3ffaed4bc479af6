"""The model repository of Triton Inference Server, asked by coffea's wrapper through a client that runs the file."""

from __future__ import annotations

import re
import sys
import types

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

TYPES = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64}


class Server:
    """What Triton does with a model folder: reads config.pbtxt, runs 1/model.onnx on what a client sends."""

    def __init__(self, folder):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
        text = (folder / "config.pbtxt").read_text()
        self.batch_size = int(re.search(r"max_batch_size: (\d+)", text)[1])
        self.name = re.search(r'^name: "(.+)"', text)[1]
        kinds = dict(re.findall(r"^(input|output) \[\n(.*?)\n\]", text, re.DOTALL | re.MULTILINE))
        self.ports = {kind: [self.port(one) for one in body.split("},")] for kind, body in kinds.items()}
        self.requests = []

    def port(self, text):
        lengths = re.search(r"dims: \[ (.*) \]", text)[1].split(", ")
        return {
            "name": re.search(r'name: "(.+)"', text)[1],
            "datatype": re.search(r"TYPE_(\w+)", text)[1],
            "shape": ["-1", *lengths],  # with a batch dimension, as the server adds it
        }

    def infer(self, inputs):
        for port in self.ports["input"]:
            given = inputs[port["name"]]
            assert given.dtype == TYPES[port["datatype"]]
            assert len(given) <= self.batch_size
            assert all(int(wanted) in (-1, length) for wanted, length in zip(port["shape"], given.shape, strict=True))
        names = [port["name"] for port in self.ports["output"]]
        self.requests.append(len(given))
        return dict(zip(names, self.session.run(names, inputs), strict=True))


@pytest.fixture
def client(monkeypatch):
    """A stand-in for the package tritonclient, with one server behind it."""
    wrapper = pytest.importorskip("coffea.ml_tools.triton_wrapper")
    servers = {}

    class Client:
        def __init__(self, url, **arguments):
            self.server = servers[url]

        def get_model_metadata(self, model, version, as_json):
            assert (model, version, as_json) == (self.server.name, "1", True)
            return {"inputs": self.server.ports["input"], "outputs": self.server.ports["output"]}

        def get_model_config(self, model, version, as_json):
            return {"config": {"max_batch_size": self.server.batch_size}}

        def infer(self, model, model_version, inputs, outputs):
            found = self.server.infer({one.name: one.values for one in inputs})
            return types.SimpleNamespace(as_numpy=found.__getitem__)

    class Input:
        def __init__(self, name, shape, datatype):
            self.name, self.shape, self.datatype = name, tuple(map(int, shape)), datatype

        def set_data_from_numpy(self, values):
            assert values.shape == self.shape
            self.values = values

    grpc = types.SimpleNamespace(InferenceServerClient=Client, InferInput=Input, InferRequestedOutput=lambda name: name)
    utils = types.SimpleNamespace(triton_to_np_dtype=TYPES.__getitem__, InferenceServerException=RuntimeError)
    module = sys.modules["coffea.ml_tools.triton_wrapper"]
    monkeypatch.setattr(module, "tritonclient", types.SimpleNamespace(grpc=grpc, utils=utils), raising=False)
    monkeypatch.setattr(module, "_triton_import_error", None)
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
