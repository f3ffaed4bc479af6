"""Networks in float64: exact to the rounding of their inputs, with outputs in float64, and nothing in between."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.export.interface import outputs_of
from coffea_equitag.export.onnx_file import METADATA
from coffea_equitag.export.program import graph_of
from coffea_equitag.export.trial_jets import trial_jets
from coffea_equitag.export.triton_repository import configuration
from coffea_equitag.export.verification import TOLERANCE, UNITS, verify
from export.test_networks import NETWORKS, tagger_of

TINY = {"phi": (4,), "f": (4,)}
EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(autouse=True)
def layers():
    """Kernels would be compiled for these networks alone."""
    with kernels.use("reference"):
        yield


@pytest.mark.parametrize("kind", NETWORKS)
def test_graphs_are_exact_to_rounding(kind):
    tagger = tagger_of(kind, **NETWORKS[kind][0])
    graph = graph_of(tagger, "ragged", "polar", False, torch.float64)
    found = verify(graph, tagger, "ragged", "polar", False, "float64")
    assert UNITS * EPS <= found.tolerance < 1e-3 * TOLERANCE
    assert found.deviation <= found.tolerance


def test_momenta_with_a_least_mass():
    """Constituents are made heavier for the network alone; the momenta that are summed are the given ones."""
    tagger = tagger_of("lloca_transformer", **NETWORKS["lloca_transformer"][2])
    graph = graph_of(tagger, "ragged", "polar", False, torch.float64)
    assert verify(graph, tagger, "ragged", "polar", False, "float64").tolerance < 1e-9


def test_a_step_in_float32_is_seen():
    tagger = tagger_of("pfn", **TINY)
    graph = graph_of(tagger, "ragged", "polar", False, torch.float32)
    with pytest.raises(eqt.ExportError, match=r"deviate by .* from the layers in float64"):
        verify(lambda *inputs: graph(*inputs).double(), tagger, "ragged", "polar", False, "float64")
    with pytest.raises(eqt.ExportError, match=r"torch\.float32, in place of .* torch\.float64"):
        verify(graph, tagger, "ragged", "polar", False, "float64")


def test_cms_gets_float32():
    tagger = tagger_of("pfn", **TINY)
    graph = graph_of(tagger, "cms", "cartesian", False, torch.float64)
    found = verify(graph, tagger, "cms", "cartesian", False, "float64")
    # the rounding of outputs below 1 to float32, and no more than that
    assert found.tolerance == pytest.approx(np.finfo(np.float32).eps / 2, rel=1e-3)


def test_triton_is_told():
    (port,) = outputs_of(tagger_of("pfn", **TINY), "padded", "float64")
    assert "data_type: TYPE_FP64\n    dims: [ 2 ]" in configuration("t", [], [port])


def test_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    tagger = tagger_of("pfn", **TINY)
    made = tagger.export(tmp_path / "m.onnx", precision="float64")
    assert made.verification.deviation <= made.verification.tolerance < 1e-13
    model = onnx.load(tmp_path / "m.onnx")
    described = json.loads({one.key: one.value for one in model.metadata_props}[METADATA])
    assert described["precision"] == described["outputs"][0]["dtype"] == "float64"
    jets = trial_jets(tagger, (4, 0, 1, 31), "ragged", seed=9)
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    given = {one.name: value.numpy() for one, value in zip(session.get_inputs(), jets.inputs, strict=True)}
    (found,) = session.run(None, given)
    assert found.dtype == np.float64
    with torch.no_grad():
        expected = torch.softmax(tagger.model(jets.jets), dim=1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=UNITS * EPS)


def test_constants_have_all_digits(tmp_path):
    """Angles are taken modulo 2π in float64, whatever the network's precision; torch alone writes 6.2831855."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    tagger_of("pfn", **TINY).export(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    arrays = [onnx.numpy_helper.to_array(one) for one in model.graph.initializer]
    numbers = [float(one) for one in arrays if one.dtype == np.float64 and one.size == 1]
    assert 2 * np.pi in numbers
    assert 1e-30 in numbers
