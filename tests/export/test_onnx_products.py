"""Products of transposed matrices in ONNX files: the same values, without what onnxruntime fuses."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from coffea_equitag.export.onnx_products import unfuse  # noqa: E402

RNG = np.random.default_rng(0)


def model_of(first, second, perm, kind=TensorProto.DOUBLE, also=False, rank=None):
    """x·y with either of them transposed, x of a rank of its own; with `also`, the transposed x is an output, too."""
    nodes, names = [], {"x": "x", "y": "y"}
    for name, transposed in (("x", first), ("y", second)):
        if transposed:
            names[name] = f"{name}_transposed"
            nodes.append(helper.make_node("Transpose", [name], [names[name]], perm=perm))
    nodes.append(helper.make_node("MatMul", [names["x"], names["y"]], ["z"]))
    ranks = {"x": rank or len(perm), "y": len(perm), "z": rank or len(perm), "x_transposed": len(perm)}
    ports = {name: helper.make_tensor_value_info(name, kind, [None] * number) for name, number in ranks.items()}
    outputs = [ports["z"], *([ports["x_transposed"]] if also else [])]
    graph = helper.make_graph(nodes, "products", [ports["x"], ports["y"]], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("perm", [(1, 0), (0, 2, 1)])
@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_the_same_product(perm, first, second):
    batch = (2,) * (len(perm) - 2)
    x, y = (RNG.normal(size=(*batch, *(shape[::-1] if turned else shape)))
            for shape, turned in (((3, 4), first), ((4, 5), second)))  # fmt: skip
    model = model_of(first, second, perm)
    expected = ReferenceEvaluator(model).run(None, {"x": x, "y": y})[0]
    unfuse(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Einsum"]
    found = ReferenceEvaluator(model).run(None, {"x": x, "y": y})[0]
    # sums of four terms, in any order
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=4 * np.finfo(float).eps * np.abs(x).max() * np.abs(y).max() * 4
    )


def test_a_matrix_that_multiplies_each_of_a_batch():
    runtime = pytest.importorskip("onnxruntime")
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(5, 4))
    model = model_of(False, True, (1, 0), rank=3)
    unfuse(model)
    assert [node.op_type for node in model.graph.node] == ["Einsum"]
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x, "y": y})
    np.testing.assert_allclose(
        found, x @ y.T, rtol=0, atol=16 * np.finfo(float).eps * np.abs(x).max() * np.abs(y).max()
    )


def test_what_else_needs_the_transposed_matrix_keeps_it():
    model = model_of(True, False, (1, 0), also=True)
    unfuse(model)
    assert [node.op_type for node in model.graph.node] == ["Transpose", "Einsum"]


@pytest.mark.parametrize(
    ("perm", "kind"), [((1, 0), TensorProto.FLOAT), ((1, 0, 2), TensorProto.DOUBLE), ((2, 1, 0), TensorProto.DOUBLE)]
)
def test_others_stay_as_they_are(perm, kind):
    model = model_of(True, False, perm, kind)
    before = model.SerializeToString()
    unfuse(model)
    assert model.SerializeToString() == before
