"""Products of transposed matrices in float64, which onnxruntime before 1.30 fuses into what it has in float32 only."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto, helper

__all__ = ["unfuse"]


def unfuse(model: Any) -> None:
    """Write products of a transposed matrix in float64 as sums over indices, which no runtime fuses.

    Parameters
    ----------
    model : onnx.ModelProto
        A model, which is changed.
    """
    graph = model.graph
    kinds = {one.name: one.type.tensor_type.elem_type for one in (*graph.value_info, *graph.output)}
    swapped = {node.output[0]: node.input[0] for node in graph.node if _swaps_last(node)}
    for node in graph.node:
        if node.op_type != "MatMul" or kinds.get(node.output[0]) != TensorProto.DOUBLE:
            continue
        first, second = node.input
        if first not in swapped and second not in swapped:
            continue
        equation = f"...{'ki' if first in swapped else 'ik'},...{'jk' if second in swapped else 'kj'}->...ij"
        node.op_type = "Einsum"
        node.input[:] = [swapped.get(name, name) for name in node.input]
        node.attribute.append(helper.make_attribute("equation", equation))
    used = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
    kept = [node for node in graph.node if node.output[0] not in swapped or node.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)


def _swaps_last(node: Any) -> bool:
    """Whether a node transposes matrices."""
    if node.op_type != "Transpose":
        return False
    order = list(next((one.ints for one in node.attribute if one.name == "perm"), ()))
    rank = len(order)
    return rank >= 2 and order == [*range(rank - 2), rank - 1, rank - 2]
