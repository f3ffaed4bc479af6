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
    types = {one.name: one.type.tensor_type for one in (*graph.input, *graph.value_info, *graph.output)}
    ranks = {name: len(one.shape.dim) for name, one in types.items()} | {
        one.name: len(one.dims) for one in graph.initializer
    }
    swapped = {node.output[0]: node.input[0] for node in graph.node if _swaps_last(node)}
    for node in graph.node:
        kind = types.get(node.output[0])
        if node.op_type != "MatMul" or kind is None or kind.elem_type != TensorProto.DOUBLE:
            continue
        first, second = node.input
        if not {first, second} & swapped.keys() or not {first, second} <= ranks.keys():
            continue
        terms = "ki" if first in swapped else "ik", "jk" if second in swapped else "kj"
        # a matrix multiplies each of a batch
        batches = ["" if ranks[name] == 2 else "..." for name in node.input]
        equation = f"{batches[0]}{terms[0]},{batches[1]}{terms[1]}->{max(batches)}ij"
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
