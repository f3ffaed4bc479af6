"""Steps of a pair's row, forth and back, as vector code: masks of a ReLU, and what goes back through it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .shapes import NARROW, WIDE, Shape
from .tile import _dot, _fma, _load_block, _pointers, _spreads, _store_block

__all__ = [
    "MASKS",
    "MASKS_NARROW",
    "add_row",
    "add_row_narrow",
    "edge_back",
    "edge_back_narrow",
    "gate_back",
    "gate_back_narrow",
    "keep_mask",
    "keep_mask_narrow",
    "spread_mask",
    "spread_mask_narrow",
]

_I16 = ir.IntType(16)


def _keep_mask_of(shape: Shape) -> Any:
    @intrinsic
    def keep_mask(typing_context: Any, row: Any, row_at: Any, masks: Any, masks_at: Any) -> Any:
        """Which numbers of one block of columns are above 0: a bit each, 16 bits a vector."""
        signature = types.void(row, types.intp, masks, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, row_at, masks, masks_at = _pointers(context, builder, signature, arguments)
            for v, value in enumerate(_load_block(builder, shape, builder.gep(row, [row_at]))):
                positive = _positive(builder, value)
                bits = builder.bitcast(positive, ir.IntType(value.type.count))
                if value.type.count < 16:
                    bits = builder.zext(bits, _I16)
                builder.store(bits, builder.gep(masks, [builder.add(masks_at, masks_at.type(v))]), align=2)
            return context.get_dummy_value()

        return signature, generate

    return keep_mask


def _spread_mask_of(shape: Shape) -> Any:
    @intrinsic
    def spread_mask(typing_context: Any, masks: Any, masks_at: Any, number: Any, out: Any, out_at: Any) -> Any:
        """The number where the mask's bit is set, 0 elsewhere, for one block of columns."""
        signature = types.void(masks, types.intp, types.float32, out, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            masks, masks_at, number, out, out_at = _pointers(context, builder, signature, arguments)
            numbers = _spreads(builder, shape, number)
            values = []
            for v, width in enumerate(shape.widths):
                bits = builder.load(builder.gep(masks, [builder.add(masks_at, masks_at.type(v))]), align=2)
                if width < 16:
                    bits = builder.trunc(bits, ir.IntType(width))
                chosen = builder.bitcast(bits, ir.VectorType(ir.IntType(1), width))
                values.append(builder.select(chosen, numbers[width], _zeros(width)))
            _store_block(builder, shape, builder.gep(out, [out_at]), values)
            return context.get_dummy_value()

        return signature, generate

    return spread_mask


def _add_row_of(shape: Shape) -> Any:
    @intrinsic
    def add_row(typing_context: Any, slope: Any, slope_at: Any, more: Any, more_at: Any, row: Any, row_at: Any) -> Any:
        """slope += more for one block of columns; the product of the sum with a row."""
        signature = types.float32(slope, types.intp, more, types.intp, row, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            slope, slope_at, more, more_at, row, row_at = _pointers(context, builder, signature, arguments)
            place = builder.gep(slope, [slope_at])
            old, new = _load_block(builder, shape, place), _load_block(builder, shape, builder.gep(more, [more_at]))
            sums = [builder.fadd(a, b) for a, b in zip(old, new, strict=True)]
            _store_block(builder, shape, place, sums)
            return _dot(builder, sums, _load_block(builder, shape, builder.gep(row, [row_at])))

        return signature, generate

    return add_row


def _gate_back_of(shape: Shape) -> Any:
    @intrinsic
    def gate_back(
        typing_context: Any,
        slope: Any,
        slope_at: Any,
        row: Any,
        row_at: Any,
        gate: Any,
        logit_slope: Any,
        gate_weight: Any,
        gate_weight_at: Any,
    ) -> Any:
        """Back through m = y σ(g·y) and the ReLU that made y, for one block of columns.

        slope (of m) ← (σ slope + `logit_slope` g) [y > 0]; y ← m.
        """
        signature = types.void(
            slope, types.intp, row, types.intp, types.float32, types.float32, gate_weight, types.intp
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            slope, slope_at, row, row_at, gate, logit, weight, weight_at = _pointers(
                context, builder, signature, arguments
            )
            gates, logits = _spreads(builder, shape, gate), _spreads(builder, shape, logit)
            slope_place, row_place = builder.gep(slope, [slope_at]), builder.gep(row, [row_at])
            slopes, messages = [], []
            for s, y, g in zip(
                _load_block(builder, shape, slope_place),
                _load_block(builder, shape, row_place),
                _load_block(builder, shape, builder.gep(weight, [weight_at])),
                strict=True,
            ):
                width = y.type.count
                value = _fma(builder, s, gates[width], builder.fmul(g, logits[width]))
                slopes.append(builder.select(_positive(builder, y), value, _zeros(width)))
                messages.append(builder.fmul(y, gates[width]))
            _store_block(builder, shape, slope_place, slopes)
            _store_block(builder, shape, row_place, messages)
            return context.get_dummy_value()

        return signature, generate

    return gate_back


def _edge_back_of(shape: Shape) -> Any:
    @intrinsic
    def edge_back(
        typing_context: Any,
        slope: Any,
        slope_at: Any,
        row: Any,
        row_at: Any,
        sender: Any,
        sender_at: Any,
        slopes: Any,
        slopes_at: Any,
        slopes_stride: Any,
        out: Any,
        norm_at: Any,
        product_at: Any,
    ) -> Any:
        """Back through the ReLU of ReLU(U_i + V_j + a·norm + b·product), for one block of columns.

        slope ← slope [row > 0]; it is added to the sender's, and its products with a and b to two numbers of `out`.
        """
        signature = types.void(
            slope, types.intp, row, types.intp, sender, types.intp, slopes, types.intp, types.intp, out, types.intp,
            types.intp,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            slope, slope_at, row, row_at, sender, sender_at, a, a_at, a_stride, out, norm_at, product_at = _pointers(
                context, builder, signature, arguments
            )
            place, into = builder.gep(slope, [slope_at]), builder.gep(sender, [sender_at])
            through = [
                builder.select(_positive(builder, r), s, _zeros(s.type.count))
                for s, r in zip(
                    _load_block(builder, shape, place),
                    _load_block(builder, shape, builder.gep(row, [row_at])),
                    strict=True,
                )
            ]
            sums = [
                builder.fadd(old, new) for old, new in zip(_load_block(builder, shape, into), through, strict=True)
            ]
            _store_block(builder, shape, place, through)
            _store_block(builder, shape, into, sums)
            for at, weights_at in ((norm_at, a_at), (product_at, builder.add(a_at, a_stride))):
                weights = _load_block(builder, shape, builder.gep(a, [weights_at]))
                spot = builder.gep(out, [at])
                builder.store(builder.fadd(builder.load(spot, align=4), _dot(builder, through, weights)), spot, align=4)
            return context.get_dummy_value()

        return signature, generate

    return edge_back


def _zeros(width: int) -> Any:
    return ir.Constant(ir.VectorType(ir.FloatType(), width), [0.0] * width)


def _positive(builder: Any, value: Any) -> Any:
    return builder.fcmp_ordered(">", value, _zeros(value.type.count))


#: 16-bit words a block's mask has.
MASKS, MASKS_NARROW = len(WIDE.widths), len(NARROW.widths)
keep_mask, keep_mask_narrow = _keep_mask_of(WIDE), _keep_mask_of(NARROW)
spread_mask, spread_mask_narrow = _spread_mask_of(WIDE), _spread_mask_of(NARROW)
add_row, add_row_narrow = _add_row_of(WIDE), _add_row_of(NARROW)
gate_back, gate_back_narrow = _gate_back_of(WIDE), _gate_back_of(NARROW)
edge_back, edge_back_narrow = _edge_back_of(WIDE), _edge_back_of(NARROW)
