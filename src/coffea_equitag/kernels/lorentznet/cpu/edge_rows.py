"""A pair's row forward and backward through the first edge layer and the gate, as vector code: 16 numbers at a time.

Rows are whole vectors long; ``words`` says how many, and as many words of 16 bits tell which of a row's numbers are
not 0. CPUs with shorter vectors take several of theirs for one. Arguments are flat, as an
intrinsic has no others: each array, then where in it the row is.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import INDEX, WORD, at_least, fma, lane_sum, pointers
from ...common.cpu.masked_rows import ZEROS, bits_of, chosen, load, over_rows, over_words, spread, store

__all__ = ["add_gated", "first_layer_backward", "first_layer_run", "gate_row_backward", "where_bits"]


@intrinsic
def first_layer_run(
    typing_context: Any,
    u: Any,
    u_at: Any,
    v: Any,
    v_at: Any,
    stride: Any,
    scalar_weights: Any,
    nu: Any,
    pi: Any,
    pairs_at: Any,
    count: Any,
    words: Any,
    out: Any,
    out_at: Any,
    bits: Any,
    bits_at: Any,
) -> Any:
    """ReLU(U_i + V_j + a ν_ij + b π_ij), and its bits, of one i and consecutive j, one or more.

    Rows of bf16 have no bits. Arrays of rows are a stride wide; `scalar_weights` holds a, and b a stride after.
    """
    signature = types.void(
        u, types.intp, v, types.intp, types.intp, scalar_weights, nu, pi, types.intp, types.intp,
        types.intp, out, types.intp, bits, types.intp,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (u, u_at, v, v_at, stride, a_b, nus, pis, pairs_at, count, words, out, out_at, bits, bits_at) = pointers(
            context, builder, signature, arguments
        )

        def column(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            own = load(builder, u, u_at, at)
            a, b = load(builder, a_b, INDEX(0), at), load(builder, a_b, stride, at)

            def one(row: Any, place: Any) -> None:
                pair = builder.add(pairs_at, row)
                nu = spread(builder, builder.load(builder.gep(nus, [pair]), align=4))
                pi = spread(builder, builder.load(builder.gep(pis, [pair]), align=4))
                value = builder.fadd(own, load(builder, v, builder.add(v_at, place), at))
                value = fma(builder, a, nu, value)
                value = at_least(builder, fma(builder, b, pi, value), ZEROS)
                store(builder, value, out, builder.add(out_at, place), at)
                if out.type.pointee != WORD:
                    bit = builder.add(bits_at, builder.add(builder.mul(row, words), word))
                    builder.store(bits_of(builder, value), builder.gep(bits, [bit]), align=2)

            over_rows(builder, count, stride, one)
            return carried

        over_words(builder, words, [], column)
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
    out: Any,
    total: Any,
    total_at: Any,
) -> Any:
    """Scale some rows, one or more, by their gates, into the same rows of `out`.

    They are added to one total, which stays in registers meanwhile.
    """
    at = types.intp
    signature = types.void(rows, at, at, gates, at, at, at, out, total, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, rows_at, stride, gates, gates_at, count, words, out, total, total_at = pointers(
            context, builder, signature, arguments
        )

        def column(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            before, loop = builder.block, builder.append_basic_block("rows")
            after = builder.append_basic_block("column")
            begin = load(builder, total, total_at, at)
            builder.branch(loop)
            builder.position_at_end(loop)
            row, place, sum_ = builder.phi(INDEX), builder.phi(INDEX), builder.phi(begin.type)
            gate = spread(builder, builder.load(builder.gep(gates, [builder.add(gates_at, row)]), align=4))
            value = builder.fmul(load(builder, rows, place, at), gate)
            store(builder, value, out, place, at)
            added, following = builder.fadd(sum_, value), builder.add(row, INDEX(1))
            for phi, first, following_value in (
                (row, INDEX(0), following),
                (place, rows_at, builder.add(place, stride)),
                (sum_, begin, added),
            ):
                phi.add_incoming(first, before)
                phi.add_incoming(following_value, loop)
            builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
            builder.position_at_end(after)
            store(builder, added, total, total_at, at)
            return carried

        over_words(builder, words, [], column)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def where_bits(typing_context: Any, bits: Any, bits_at: Any, number: Any, words: Any, out: Any, out_at: Any) -> Any:
    """The number where a bit is set, 0 elsewhere."""
    signature = types.void(bits, types.intp, types.float32, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, bits_at, number, words, out, out_at = pointers(context, builder, signature, arguments)
        number = spread(builder, number)

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = builder.select(chosen(builder, bits, bits_at, word), number, ZEROS)
            store(builder, value, out, out_at, at)
            return carried

        over_words(builder, words, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def gate_row_backward(
    typing_context: Any,
    grad: Any,
    grad_at: Any,
    row: Any,
    row_at: Any,
    bits: Any,
    bits_at: Any,
    gate: Any,
    grad_logit: Any,
    phi_m: Any,
    words: Any,
) -> Any:
    """Backward through m = y gate(φ_m·y) and the ReLU that made y.

    grad (of m) ← gate grad + `grad_logit` φ_m where y is not 0; y ← m.
    """
    signature = types.void(
        grad, types.intp, row, types.intp, bits, types.intp, types.float32, types.float32, phi_m, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        grad, grad_at, row, row_at, bits, bits_at, gate, logit, weight, words = pointers(
            context, builder, signature, arguments
        )
        gate, logit = spread(builder, gate), spread(builder, logit)

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = builder.fmul(logit, load(builder, weight, INDEX(0), at))
            value = fma(builder, load(builder, grad, grad_at, at), gate, value)
            value = builder.select(chosen(builder, bits, bits_at, word), value, ZEROS)
            store(builder, value, grad, grad_at, at)
            store(builder, builder.fmul(load(builder, row, row_at, at), gate), row, row_at, at)
            return carried

        over_words(builder, words, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def first_layer_backward(
    typing_context: Any,
    grad: Any,
    grad_at: Any,
    bits: Any,
    bits_at: Any,
    grad_v: Any,
    grad_v_at: Any,
    scalar_weights: Any,
    stride: Any,
    words: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """Backward through the ReLU of `first_layer_run`.

    grad ← grad where the row was not 0; it is added to the sender's; its products with a and b are two numbers out.
    """
    signature = types.void(
        grad, types.intp, bits, types.intp, grad_v, types.intp, scalar_weights, types.intp, types.intp, out, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        grad, grad_at, bits, bits_at, grad_v, grad_v_at, a_b, stride, words, out, out_at = pointers(
            context, builder, signature, arguments
        )

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            value = load(builder, grad, grad_at, at)
            value = builder.select(chosen(builder, bits, bits_at, word), value, ZEROS)
            store(builder, value, grad, grad_at, at)
            store(builder, builder.fadd(load(builder, grad_v, grad_v_at, at), value), grad_v, grad_v_at, at)
            by_nu, by_pi = carried
            return [
                fma(builder, value, load(builder, a_b, INDEX(0), at), by_nu),
                fma(builder, value, load(builder, a_b, stride, at), by_pi),
            ]

        for place, total in enumerate(over_words(builder, words, [ZEROS, ZEROS], body)):
            at = builder.gep(out, [builder.add(out_at, INDEX(place))])
            builder.store(lane_sum(builder, {16: total}), at, align=4)
        return context.get_dummy_value()

    return signature, generate
