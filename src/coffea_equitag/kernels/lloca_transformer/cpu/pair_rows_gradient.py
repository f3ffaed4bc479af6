"""Backward through rows of the perceptron of pairs, a register at a time: what `pair_rows` and the layers made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.activations import gelu, gelu_slope
from ...common.cpu.llvm import INDEX, loop, pointers
from ...common.cpu.shapes import WIDE
from ...common.cpu.vector_rows import Lanes, Row
from .pair_rows import TILE

__all__ = ["first_rows_gradient", "logit_rows_gradient"]

_LANE = WIDE.widths[0]
_VECTORS, _LOGITS = TILE // _LANE, 3


def _over_columns(builder: Any, width: Any, body: Callable[[Lanes, Any], None]) -> None:
    """Emit ``body(lanes, column)`` for each tile of columns."""
    lanes = Lanes(builder, [_LANE] * _VECTORS)

    def tile(k: Any, _: list[Any]) -> list[Any]:
        body(lanes, builder.mul(k, INDEX(TILE)))
        return []

    loop(builder, builder.udiv(width, INDEX(TILE)), [], tile)


def _rows_of(flat: list[Any]) -> list[Row]:
    return [flat[at : at + _VECTORS] for at in range(0, len(flat), _VECTORS)]


@intrinsic
def logit_rows_gradient(
    typing_context: Any, z: Any, weight: Any, grad_logits: Any, at: Any, stride: Any, count: Any, width: Any,
    grad_weight: Any, grad_weight_at: Any, grad_bias: Any, grad_bias_at: Any,
) -> Any:  # fmt: skip
    """∂L/∂z in the place of z, rows of `width` numbers, from planes of ∂L/∂(W GELU(z) + b) from `at` on.

    ∂L/∂W and the rows' sum of ∂L/∂z, a bias's gradient, are added to.
    """
    n = types.intp
    signature = types.void(z, weight, grad_logits, n, n, n, n, grad_weight, n, grad_bias, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (z, weight, grad_logits, at, stride, count, width, grad_weight, grad_weight_at, grad_bias,
         grad_bias_at) = pointers(context, builder, signature, arguments)  # fmt: skip

        def columns(lanes: Lanes, column: Any) -> None:
            places = [builder.add(builder.mul(width, INDEX(c)), column) for c in range(_LOGITS)]
            weights = [lanes.load(weight, place) for place in places]
            targets = [builder.add(grad_weight_at, place) for place in places]
            bias_at = builder.add(grad_bias_at, column)
            begin = [*(lanes.load(grad_weight, place) for place in targets), lanes.load(grad_bias, bias_at)]

            def one(row: Any, carried: list[Any]) -> list[Any]:
                *sums, total = _rows_of(carried)
                place = builder.add(builder.mul(row, width), column)
                values, arriving = lanes.load(z, place), lanes.zeros()
                active = [gelu(builder, value) for value in values]
                for c in range(_LOGITS):
                    logit = builder.add(builder.add(at, builder.mul(stride, INDEX(c))), row)
                    number = lanes.spread(builder.load(builder.gep(grad_logits, [logit]), align=4))
                    arriving = lanes.fma(number, weights[c], arriving)
                    sums[c] = lanes.fma(number, active, sums[c])
                slopes = [gelu_slope(builder, value) for value in values]
                found = [builder.fmul(a, b) for a, b in zip(arriving, slopes, strict=True)]
                lanes.store(found, z, place)
                return [value for vectors in (*sums, lanes.add(total, found)) for value in vectors]

            ended = _rows_of(loop(builder, count, [value for row in begin for value in row], one))
            for row, place in zip(ended[:-1], targets, strict=True):
                lanes.store(row, grad_weight, place)
            lanes.store(ended[-1], grad_bias, bias_at)

        _over_columns(builder, width, columns)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def first_rows_gradient(
    typing_context: Any, received: Any, i_at: Any, sent: Any, sent_at: Any, of_edge: Any, edges: Any, at: Any,
    count: Any, width: Any, grad: Any, grad_at: Any, grad_received: Any, grad_i_at: Any, grad_sent: Any,
    grad_sent_at: Any, grad_of_edge: Any, grad_of_edge_at: Any,
) -> Any:  # fmt: skip
    """Gradients of what `first_rows` takes, added to, from those of its rows."""
    n = types.intp
    signature = types.void(
        received, n, sent, n, of_edge, edges, n, n, n, grad, n, grad_received, n, grad_sent, n, grad_of_edge, n
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (received, i_at, sent, sent_at, of_edge, edges, at, count, width, grad, grad_at, grad_received, grad_i_at,
         grad_sent, grad_sent_at, grad_of_edge, grad_of_edge_at) = pointers(
            context, builder, signature, arguments
        )  # fmt: skip

        def columns(lanes: Lanes, column: Any) -> None:
            own, weight = lanes.load(received, builder.add(i_at, column)), lanes.load(of_edge, column)
            targets = (grad_received, builder.add(grad_i_at, column)), (
                grad_of_edge, builder.add(grad_of_edge_at, column),
            )  # fmt: skip

            def one(row: Any, carried: list[Any]) -> list[Any]:
                of_i, of_edges = _rows_of(carried)
                place = builder.add(builder.mul(row, width), column)
                edge = lanes.spread(builder.load(builder.gep(edges, [builder.add(at, row)]), align=4))
                value = lanes.add(own, lanes.load(sent, builder.add(sent_at, place)))
                value = lanes.fma(edge, weight, value)
                arriving = lanes.load(grad, builder.add(grad_at, place))
                found = [builder.fmul(a, gelu_slope(builder, z)) for a, z in zip(arriving, value, strict=True)]
                sender = builder.add(grad_sent_at, place)
                lanes.store(lanes.add(lanes.load(grad_sent, sender), found), grad_sent, sender)
                return [*lanes.add(of_i, found), *lanes.fma(edge, found, of_edges)]

            begin = [value for array, place in targets for value in lanes.load(array, place)]
            ended = _rows_of(loop(builder, count, begin, one))
            for row, (array, place) in zip(ended, targets, strict=True):
                lanes.store(row, array, place)

        _over_columns(builder, width, columns)
        return context.get_dummy_value()

    return signature, generate
