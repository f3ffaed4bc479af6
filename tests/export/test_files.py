"""Exported files: written, verified, opened and refused."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels, models
from coffea_equitag.export import exporting, jet_arrays
from coffea_equitag.export.cms_preprocessing import preprocessing
from coffea_equitag.export.interface import inputs_of
from coffea_equitag.export.onnx_file import METADATA, OPSET
from coffea_equitag.export.program import graph_of
from coffea_equitag.export.trial_jets import trial_jets
from coffea_equitag.export.verification import verify
from coffea_equitag.tagger import Tagger
from networks import enliven


@pytest.fixture(autouse=True)
def layers():
    """Kernels would be compiled for these networks alone."""
    with kernels.use("reference"):
        yield


TINY = {"phi": (4,), "f": (4,)}

#: What onnxruntime before 1.30 has in single precision only.
SINGLE_ONLY = {
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Cos",
    "Cosh",
    "Erf",
    "Gelu",
    "Sinh",
    "Softplus",
    "Tan",
}


def tagger_of(kind, classes=("qcd", "top"), **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = enliven(models.build(kind, n_classes=max(len(classes), 2), **options))
    return Tagger.from_model(model, name=f"tiny-{kind}", classes=classes, temperature=0.5 if classes else 1.0)


def scores(tagger, jets):
    """Probabilities of all classes, as the tagger gives them."""
    found = tagger(jets)
    if len(tagger.classes) == 2:
        return np.stack([1 - ak.to_numpy(found), ak.to_numpy(found)], axis=1)
    return np.stack([ak.to_numpy(found[name]) for name in tagger.classes], axis=1)


def test_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    tagger = tagger_of("pfn", ("qcd", "w", "top"), nodewise="mass", friends=(2,), inputs="kinpid", **TINY)
    made = tagger.export(tmp_path / "m.onnx")
    assert made.verification.deviation <= 1e-5
    assert made.verification.batches == (0, 1, 1, 11, 6)
    model = onnx.load(tmp_path / "m.onnx")
    assert [one.version for one in model.opset_import if one.domain == ""] == [OPSET]
    inferred = onnx.shape_inference.infer_shapes(model).graph
    double = {one.name for one in inferred.value_info if one.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
    assert len(double) > 50
    assert not [node.name for node in inferred.node if node.op_type in SINGLE_ONLY and double & {*node.input}]
    described = json.loads({one.key: one.value for one in model.metadata_props}[METADATA])
    assert described["classes"] == ["qcd", "w", "top"]
    assert [port["name"] for port in described["inputs"]] == ["constituents", "offsets", "charge", "pdgId"]
    assert described["card"]["content_hash"] == tagger.content_hash
    assert described["verification"]["deviation"] == made.verification.deviation
    jets = trial_jets(tagger, (4, 0, 1, 31), "ragged", seed=9).jets
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, jet_arrays(jets, tagger.card.contract.constituent_fields))
    np.testing.assert_allclose(found, scores(tagger, jets), atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_pt2_with_momenta_of_the_jets(tmp_path):
    tagger = tagger_of("pfn", **TINY)
    made = tagger.export(tmp_path / "m.pt2", coordinates="cartesian", own_momenta=True)
    extra = {"coffea_equitag.json": ""}
    module = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    assert json.loads(extra["coffea_equitag.json"])["verification"]["deviation"] == made.verification.deviation
    jets = trial_jets(tagger, (4, 0, 1, 31), "ragged", "polar", own_momenta=True, seed=9).jets
    arrays = jet_arrays(jets, coordinates="cartesian", own_momenta=True)
    found = module(*(torch.from_numpy(arrays[port.name]) for port in made.inputs))
    np.testing.assert_allclose(found.detach().numpy(), scores(tagger, jets), atol=1e-5)
    with pytest.raises(eqt.ExportError, match="already exists"):
        tagger.export(tmp_path / "m.pt2")


@pytest.mark.parametrize(("format", "batch_size"), [("onnx", 4), ("pt2", 64), ("cms", 1), ("triton", 0)])
def test_batch_sizes_that_mean_nothing_are_refused(tmp_path, format, batch_size):
    with pytest.raises(eqt.ExportError, match=f"batch size {batch_size} for {format}"):
        tagger_of("pfn", **TINY).export(tmp_path / "m.onnx", format, batch_size=batch_size)
    assert not list(tmp_path.iterdir())


def test_a_file_that_deviates_replaces_nothing(tmp_path, monkeypatch):
    tagger, path = tagger_of("pfn", **TINY), tmp_path / "m.pt2"
    path.write_bytes(b"the former file")

    def written(job, part):
        part.write_bytes(b"a file with other weights")
        graph = graph_of(tagger_of("pfn", **TINY | {"f": (5,)}), "ragged", "polar", False, torch.float32)
        return job.verify(graph)

    monkeypatch.setattr(exporting, "_write_pt2", written)
    with pytest.raises(eqt.ExportError, match=r"deviate by .* from the layers in float64"):
        tagger.export(path, overwrite=True)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"m.pt2": b"the former file"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lorentznet", {"hidden": 4, "n_layers": 1, "pid": True}),
        ("particlenet", {"k": 2, "channels": ((4,), (4,), (4,))}),
    ],
)
def test_graph_of_cms(kind, options):
    tagger = tagger_of(kind, **options)
    fields = tagger.card.contract.constituent_fields
    graph = graph_of(tagger, "cms", "cartesian", False, torch.float32)
    assert verify(graph, tagger, "cms", "cartesian", False).deviation <= 1e-5
    described = json.loads(preprocessing(tagger))
    arrays = jet_arrays(trial_jets(tagger, (4, 0, 1, 31), "cms", seed=9).jets, fields, form="cms")
    assert described["input_names"] == list(arrays) == [port.name for port in inputs_of(tagger, "cms")]
    assert described["output_names"] == ["qcd", "top"]
    for name, values in arrays.items():
        assert len(described[name]["var_names"]) == values.shape[1]
    # wider, as CMS's software passes them
    with torch.no_grad():
        found = [
            graph(*(torch.from_numpy(np.pad(values, ((0, 0), (0, 0), (0, more)))) for values in arrays.values()))
            for more in (0, 128 - 31)
        ]
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "format", "kind", "options", "words"),
    [
        ("m.h5", None, "pfn", {}, "m.onnx, m.pt2 or a folder"),
        ("m.onnx", "caffe", "pfn", {}, "one of onnx, pt2, cms, triton"),
        ("m.onnx", "cms", "vector_pfn", {"features": 2, "output": "vector"}, "takes probabilities"),
        ("m.onnx", None, "lgn", {"levels": 1, "top": "pmlp", "interleaved": True}, "order of the jet"),
        ("nowhere/m.onnx", None, "pfn", {}, "no folder"),
    ],
)
def test_what_cannot_be_exported(tmp_path, path, format, kind, options, words):
    tagger = tagger_of(kind, () if options.get("output") else ("qcd", "top"), **options)
    with pytest.raises(eqt.EquitagError, match=words):
        tagger.export(tmp_path / path, format)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(eqt.ExportError, match=r"coffea-equitag\[export\]"):
        tagger_of("pfn", **TINY).export(tmp_path / "m.onnx")


def test_formats_are_those_of_the_command():
    import argparse

    from coffea_equitag.cli import export

    parser = argparse.ArgumentParser()
    export.configure(parser)
    (choices,) = (action.choices for action in parser._actions if action.dest == "format")
    assert tuple(choices) == exporting.FORMATS
