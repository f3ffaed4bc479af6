"""Products of Lorentz tensors by tables of their components' products, for a block of nodes in registers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F8, I8
from ....layers.lorentz_tensors import DIMENSION, IRREPS, LorentzTensors
from ....layers.tensor_product import TensorProduct
from ...common.cpu.bilinear_registers import Register, lanes_of, pointers
from ...common.cpu.bilinear_tile import SMALL_VECTORS

__all__ = ["NODES", "PLACE", "ProductTable", "components", "copy_block", "product_table", "sum_of_products"]


#: Nodes worked on at once.
NODES = lanes_of(8) * SMALL_VECTORS

#: Where an irreducible tensor's components begin among the 20 of all.
PLACE = {"s": 0, "v": 1, "F": 5, "S": 11}


class ProductTable(NamedTuple):
    """Components of products as sums c x_a y_b; R components, E terms.

    `component` tells which of the 20 of a tensor one is, `block` which of the products that give the tensor.
    """

    first: I8  # (R + 1,): the terms of each
    left: I8  # (E,)
    right: I8
    factor: F8
    component: I8  # (R,)
    block: I8


def components(product: TensorProduct, left: tuple[str, ...], right: tuple[str, ...]) -> dict[str, F8]:
    """Coefficients of all products: for each tensor that comes out (blocks, d, components left, components right)."""
    rows, columns = (sum(DIMENSION[name] for name in names) for names in (left, right))
    units = torch.arange(rows * columns)
    results = product(_units(units // columns, left), _units(units % columns, right)).parts()
    return {name: part.permute(1, 2, 0).unflatten(2, (rows, columns)).numpy() for name, part in results.items()}


def _units(index: torch.Tensor, names: tuple[str, ...]) -> LorentzTensors:
    """Tensors of one channel, of which the component with this index is 1."""
    sizes = [DIMENSION[name] for name in names]
    unit = torch.eye(sum(sizes), dtype=torch.float64)[index]
    return LorentzTensors(
        **{name: part[:, None] for name, part in zip(names, torch.split(unit, sizes, dim=1), strict=True)}
    )


def product_table(coefficients: dict[str, F8], blocks: dict[str, int]) -> ProductTable:
    """List what is not zero; tensors in their usual order, their blocks (counted from `blocks`), their components."""
    first, left, right, factor, component, block = [0], [], [], [], [], []
    for name in IRREPS:
        for b, of_block in enumerate(coefficients.get(name, ()), start=blocks.get(name, 0)):
            for d, matrix in enumerate(of_block):
                at = np.nonzero(np.abs(matrix) > 1e-14)
                left.append(at[0])
                right.append(at[1])
                factor.append(matrix[at])
                first.append(first[-1] + len(at[0]))
                component.append(PLACE[name] + d)
                block.append(b)
    none = [np.zeros(0, np.int64)]
    return ProductTable(
        np.array(first, np.int64),
        np.concatenate(left + none).astype(np.int64),
        np.concatenate(right + none).astype(np.int64),
        np.concatenate(factor + none).astype(np.float64),
        np.array(component, np.int64),
        np.array(block, np.int64),
    )


@intrinsic
def sum_of_products(
    typing_context: Any,
    left: Any,
    right: Any,
    factor: Any,
    first: Any,
    last: Any,
    x: Any,
    x_at: Any,
    y: Any,
    y_at: Any,
    stride: Any,
    imaginary: Any,
    out: Any,
    out_at: Any,
    out_imaginary: Any,
    minus: Any,
    minus_at: Any,
    subtracts: Any,
) -> Any:
    """Set out = Σ factor x[left] y[right] over terms, complex, of `NODES` nodes; less `minus` if `subtracts`.

    Components of x and y are `stride` numbers apart, imaginary parts stand `imaginary` (`out_imaginary`)
        after the real ones.
    """
    n = types.intp
    signature = types.void(left, right, factor, n, n, x, n, y, n, n, n, out, n, n, minus, n, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (left, right, factor, first, last, x, x_at, y, y_at, stride, imaginary, out, out_at, out_imaginary, minus,
         minus_at, subtracts) = pointers(context, builder, signature, arguments)  # fmt: skip
        index, lanes = first.type, lanes_of(8)
        zero = Register.constant(builder, ir.DoubleType(), 0.0)

        def complex_at(pointer: Any, at: Any, v: int) -> tuple[Register, Register]:
            place = builder.add(at, index(v * lanes))
            return (
                Register.load(builder, pointer, place),
                Register.load(builder, pointer, builder.add(place, imaginary)),
            )

        start = [
            Register(builder, builder.select(subtracts, (-part).value, zero.value))
            for v in range(SMALL_VECTORS)
            for part in complex_at(minus, minus_at, v)
        ]
        before, loop, after = builder.block, builder.append_basic_block("term"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", first, last), loop, after)
        builder.position_at_end(loop)
        term = builder.phi(index)
        carried = [builder.phi(value.value.type) for value in start]
        a, b = (builder.load(builder.gep(list_, [term])) for list_ in (left, right))
        x_term, y_term = (builder.add(at, builder.mul(c, stride)) for at, c in ((x_at, a), (y_at, b)))
        weight = Register.spread(builder, builder.load(builder.gep(factor, [term])))
        following = []
        for v in range(SMALL_VECTORS):
            x_re, x_im = complex_at(x, x_term, v)
            y_re, y_im = complex_at(y, y_term, v)
            x_re, x_im = weight * x_re, weight * x_im
            re, im = (Register(builder, phi) for phi in carried[2 * v : 2 * v + 2])
            following += [re.plus(x_re, y_re).minus(x_im, y_im), im.plus(x_re, y_im).plus(x_im, y_re)]
        next_term = builder.add(term, index(1))
        term.add_incoming(first, before)
        term.add_incoming(next_term, loop)
        for phi, begin, value in zip(carried, start, following, strict=True):
            phi.add_incoming(begin.value, before)
            phi.add_incoming(value.value, loop)
        builder.cbranch(builder.icmp_signed("<", next_term, last), loop, after)
        builder.position_at_end(after)
        ended = [builder.phi(value.value.type) for value in start]
        for phi, begin, value in zip(ended, start, following, strict=True):
            phi.add_incoming(begin.value, before)
            phi.add_incoming(value.value, loop)
        for v in range(SMALL_VECTORS):
            place = builder.add(out_at, index(v * lanes))
            Register(builder, ended[2 * v]).store(out, place)
            Register(builder, ended[2 * v + 1]).store(out, builder.add(place, out_imaginary))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def copy_block(typing_context: Any, source: Any, source_at: Any, out: Any, out_at: Any, minus: Any) -> Any:
    """Copy the numbers of `NODES` nodes, to another precision if need be; with the other sign if `minus`."""
    signature = types.void(source, types.intp, out, types.intp, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, source_at, out, out_at, minus = pointers(context, builder, signature, arguments)
        lanes = lanes_of(8)
        kinds = [ir.VectorType(pointer.type.pointee, lanes) for pointer in (source, out)]
        places = [(source, source_at, kinds[0]), (out, out_at, kinds[1])]
        for v in range(SMALL_VECTORS):
            read, write = (
                builder.bitcast(builder.gep(pointer, [builder.add(at, at.type(v * lanes))]), kind.as_pointer())
                for pointer, at, kind in places
            )
            value = builder.load(read, align=4)
            if kinds[0] != kinds[1]:
                convert = builder.fptrunc if kinds[0].element == ir.DoubleType() else builder.fpext
                value = convert(value, kinds[1])
            builder.store(builder.select(minus, builder.fneg(value), value), write, align=4)
        return context.get_dummy_value()

    return signature, generate
