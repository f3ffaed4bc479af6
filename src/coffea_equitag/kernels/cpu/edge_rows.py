"""Steps of a pair's row, forth and back through ReLU and gate, as vector code: 16 numbers at a time.

Rows are whole vectors long; ``words`` says how many, and as many words of 16 bits tell which of a row's numbers are
not 0. CPUs with shorter vectors take several of theirs for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .shapes import Shape
from .tile import _at_least, _dot, _fma, _load_block, _pointers, _spreads, _store_block

__all__ = ["add_gated", "edge_back", "gate_back", "make_run", "spread_bits"]

_LANES = Shape(1, (16,))
_VECTOR, _BITS, _I16, _I64 = (
    ir.VectorType(ir.FloatType(), 16),
    ir.VectorType(ir.IntType(1), 16),
    ir.IntType(16),
    ir.IntType(64),
)
_ZEROS = ir.Constant(_VECTOR, [0.0] * 16)


@intrinsic
def make_run(
    typing_context: Any,
    receiver: Any,
    receiver_at: Any,
    senders: Any,
    senders_at: Any,
    stride: Any,
    slopes: Any,
    norms: Any,
    products: Any,
    pairs_at: Any,
    count: Any,
    words: Any,
    out: Any,
    out_at: Any,
    bits: Any,
    bits_at: Any,
) -> Any:
    """ReLU(U_i + V_j + a·norm + b·product), and its bits, of one i and consecutive j, one or more.

    Arrays of rows are a stride wide; `slopes` holds a, and b a stride after.
    """
    signature = types.void(
        receiver, types.intp, senders, types.intp, types.intp, slopes, norms, products, types.intp, types.intp,
        types.intp, out, types.intp, bits, types.intp,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (u, u_at, v, v_at, stride, a, norms, products, pairs_at, count, words, out, out_at, bits, bits_at) = _pointers(
            context, builder, signature, arguments
        )

        def column(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            own, slope_norm = _load(builder, u, u_at, at), _load(builder, a, _I64(0), at)
            slope_product = _load(builder, a, stride, at)

            def one(row: Any, place: Any) -> None:
                pair = builder.add(pairs_at, row)
                norm = _spread(builder, builder.load(builder.gep(norms, [pair]), align=4))
                product = _spread(builder, builder.load(builder.gep(products, [pair]), align=4))
                value = builder.fadd(own, _load(builder, v, builder.add(v_at, place), at))
                value = _fma(builder, slope_norm, norm, value)
                value = _at_least(builder, _fma(builder, slope_product, product, value), _ZEROS)
                _store(builder, value, out, builder.add(out_at, place), at)
                # NaN is not 0 either
                found = builder.bitcast(builder.fcmp_unordered("!=", value, _ZEROS), _I16)
                bit = builder.add(bits_at, builder.add(builder.mul(row, words), word))
                builder.store(found, builder.gep(bits, [bit]), align=2)

            _over_rows(builder, count, stride, one)
            return carried

        _over_words(builder, words, [], column)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_gated(
    typing_context: Any,
    rows: Any,
    rows_at: Any,
    stride: Any,
    gates: Any,
    gates_at: Any,
    count: Any,
    words: Any,
    total: Any,
    total_at: Any,
) -> Any:
    """Scale some rows, one or more, by their gates, and add them to one total, which stays in registers meanwhile."""
    signature = types.void(rows, types.intp, types.intp, gates, types.intp, types.intp, types.intp, total, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, rows_at, stride, gates, gates_at, count, words, total, total_at = _pointers(
            context, builder, signature, arguments
        )

        def column(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            before, loop = builder.block, builder.append_basic_block("rows")
            after = builder.append_basic_block("column")
            begin = _load(builder, total, total_at, at)
            builder.branch(loop)
            builder.position_at_end(loop)
            row, place, sum_ = builder.phi(_I64), builder.phi(_I64), builder.phi(begin.type)
            gate = _spread(builder, builder.load(builder.gep(gates, [builder.add(gates_at, row)]), align=4))
            value = builder.fmul(_load(builder, rows, place, at), gate)
            _store(builder, value, rows, place, at)
            added, following = builder.fadd(sum_, value), builder.add(row, _I64(1))
            for phi, first, following_value in (
                (row, _I64(0), following),
                (place, rows_at, builder.add(place, stride)),
                (sum_, begin, added),
            ):
                phi.add_incoming(first, before)
                phi.add_incoming(following_value, loop)
            builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
            builder.position_at_end(after)
            _store(builder, added, total, total_at, at)
            return carried

        _over_words(builder, words, [], column)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def spread_bits(typing_context: Any, bits: Any, bits_at: Any, number: Any, words: Any, out: Any, out_at: Any) -> Any:
    """The number where a bit is set, 0 elsewhere."""
    signature = types.void(bits, types.intp, types.float32, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, bits_at, number, words, out, out_at = _pointers(context, builder, signature, arguments)
        number = _spread(builder, number)

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = builder.select(_chosen(builder, bits, bits_at, word), number, _ZEROS)
            _store(builder, value, out, out_at, at)
            return carried

        _over_words(builder, words, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def gate_back(
    typing_context: Any,
    slope: Any,
    slope_at: Any,
    row: Any,
    row_at: Any,
    bits: Any,
    bits_at: Any,
    gate: Any,
    logit_slope: Any,
    gate_weight: Any,
    words: Any,
) -> Any:
    """Back through m = y σ(g·y) and the ReLU that made y.

    slope (of m) ← (σ slope + `logit_slope` g) where y is not 0; y ← m.
    """
    signature = types.void(
        slope, types.intp, row, types.intp, bits, types.intp, types.float32, types.float32, gate_weight, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        slope, slope_at, row, row_at, bits, bits_at, gate, logit, weight, words = _pointers(
            context, builder, signature, arguments
        )
        gate, logit = _spread(builder, gate), _spread(builder, logit)

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = builder.fmul(logit, _load(builder, weight, _I64(0), at))
            value = _fma(builder, _load(builder, slope, slope_at, at), gate, value)
            value = builder.select(_chosen(builder, bits, bits_at, word), value, _ZEROS)
            _store(builder, value, slope, slope_at, at)
            _store(builder, builder.fmul(_load(builder, row, row_at, at), gate), row, row_at, at)
            return carried

        _over_words(builder, words, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def edge_back(
    typing_context: Any,
    slope: Any,
    slope_at: Any,
    bits: Any,
    bits_at: Any,
    sender: Any,
    sender_at: Any,
    slopes: Any,
    slopes_stride: Any,
    words: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """Back through the ReLU of `make_row`.

    slope ← slope where the row was not 0; it is added to the sender's; its products with a and b are two numbers out.
    """
    signature = types.void(
        slope, types.intp, bits, types.intp, sender, types.intp, slopes, types.intp, types.intp, out, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        slope, slope_at, bits, bits_at, sender, sender_at, a, a_stride, words, out, out_at = _pointers(
            context, builder, signature, arguments
        )

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = _load(builder, slope, slope_at, at)
            value = builder.select(_chosen(builder, bits, bits_at, word), value, _ZEROS)
            _store(builder, value, slope, slope_at, at)
            _store(builder, builder.fadd(_load(builder, sender, sender_at, at), value), sender, sender_at, at)
            norm, product = carried
            return [
                _fma(builder, value, _load(builder, a, _I64(0), at), norm),
                _fma(builder, value, _load(builder, a, a_stride, at), product),
            ]

        ones = ir.Constant(_VECTOR, [1.0] * 16)
        for place, total in enumerate(_over_words(builder, words, [_ZEROS, _ZEROS], body)):
            at = builder.gep(out, [builder.add(out_at, _I64(place))])
            builder.store(_dot(builder, [total], [ones]), at, align=4)
        return context.get_dummy_value()

    return signature, generate


def _over_words(
    builder: Any, words: Any, first: list[Any], body: Callable[[Any, Any, list[Any]], list[Any]]
) -> list[Any]:
    """Let ``body(word, 16 word, carried)`` follow on itself, for at least one word."""
    before, loop, after = builder.block, builder.append_basic_block("words"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    word = builder.phi(_I64)
    word.add_incoming(_I64(0), before)
    carried = [builder.phi(value.type) for value in first]
    for phi, value in zip(carried, first, strict=True):
        phi.add_incoming(value, before)
    found = body(word, builder.mul(word, _I64(16)), list(carried))
    following = builder.add(word, _I64(1))
    end = builder.block  # the body may hold loops of its own
    word.add_incoming(following, end)
    for phi, value in zip(carried, found, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
    builder.position_at_end(after)
    return found


def _over_rows(builder: Any, count: Any, stride: Any, body: Callable[[Any, Any], None]) -> None:
    """Let ``body(row, stride row)`` follow on itself, for at least one row."""
    before, loop, after = builder.block, builder.append_basic_block("rows"), builder.append_basic_block("column")
    builder.branch(loop)
    builder.position_at_end(loop)
    row, place = builder.phi(_I64), builder.phi(_I64)
    body(row, place)
    following = builder.add(row, _I64(1))
    for phi, value in ((row, following), (place, builder.add(place, stride))):
        phi.add_incoming(_I64(0), before)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)


def _load(builder: Any, pointer: Any, start: Any, at: Any) -> Any:
    return _load_block(builder, _LANES, builder.gep(pointer, [builder.add(start, at)]))[0]


def _store(builder: Any, value: Any, pointer: Any, start: Any, at: Any) -> None:
    _store_block(builder, _LANES, builder.gep(pointer, [builder.add(start, at)]), [value])


def _spread(builder: Any, number: Any) -> Any:
    return _spreads(builder, _LANES, number)[16]


def _chosen(builder: Any, bits: Any, start: Any, word: Any) -> Any:
    return builder.bitcast(builder.load(builder.gep(bits, [builder.add(start, word)]), align=2), _BITS)
