"""A stand-in for the package tritonclient, with servers behind it that run the exported file."""

from __future__ import annotations

import re
import sys
import types

import numpy as np

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


def put_behind(server_at, monkeypatch):
    """Let coffea's wrapper ask the server that `server_at` finds at an address."""

    class Client:
        def __init__(self, url, **arguments):
            self.server = server_at(url)

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
