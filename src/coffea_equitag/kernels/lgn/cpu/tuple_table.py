"""Several tuples of arrays of the same types, such as a network's levels, for compiled code.

A tuple of such tuples costs seconds to compile: the entry from Python unpacks every array, and indexing copies all of
them. Here one tuple is passed as it is, for its types, and a table with the addresses and shapes of the arrays of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ....array_types import I8, AnyArray

__all__ = ["member", "table_of"]

#: Of each array: its address and up to three lengths.
_WORDS = 4


def table_of(members: Sequence[tuple[Any, ...]]) -> I8:
    """Addresses and shapes (members, arrays, 4) of contiguous arrays in tuples, whose types are the same in each.

    The arrays must stay alive as long as the table is in use.
    """
    found = [list(_arrays(member)) for member in members]
    kinds = {tuple((array.dtype, array.ndim, array.flags.c_contiguous) for array in arrays) for arrays in found}
    if len(kinds) > 1 or not all(contiguous for *_, contiguous in next(iter(kinds), ())):
        raise TypeError(f"arrays of different types, or not contiguous: {kinds}")
    table = np.zeros((len(found), max(map(len, found), default=0), _WORDS), np.int64)
    for row, arrays in zip(table, found, strict=True):
        for words, array in zip(row, arrays, strict=True):
            words[: 1 + array.ndim] = array.__array_interface__["data"][0], *array.shape
    return table


def _arrays(member: tuple[Any, ...]) -> Iterator[AnyArray]:
    for value in member:
        if isinstance(value, tuple):
            yield from _arrays(value)
        else:
            yield value


@intrinsic
def member(typing_context: Any, example: Any, table: Any, index: Any) -> Any:
    """Tuple number `index` of a table; `example` is one of them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, table_kind = signature.args[:2]
        array = context.make_array(table_kind)(context, builder, arguments[1])
        word = ir.IntType(64)
        count = builder.extract_value(array.shape, 1)
        place = builder.gep(array.data, [builder.mul(arguments[2], builder.mul(count, word(_WORDS)))])
        taken = itertools.count()

        def made(of: Any) -> Any:
            if not isinstance(of, types.Array):
                return context.make_tuple(builder, of, [made(part) for part in of])
            first = _WORDS * next(taken)
            words = [builder.load(builder.gep(place, [word(first + k)])) for k in range(1 + of.ndim)]
            out = context.make_array(of)(context, builder)
            size = word(context.get_abi_sizeof(context.get_data_type(of.dtype)))
            strides = [size]
            for length in words[:1:-1]:
                strides.insert(0, builder.mul(strides[0], length))
            out.data = builder.inttoptr(words[0], out.data.type)
            out.shape = cgutils.pack_array(builder, words[1:])
            out.strides = cgutils.pack_array(builder, strides)
            out.itemsize = size
            total = words[1]
            for length in words[2:]:
                total = builder.mul(total, length)
            out.nitems = total
            # without an owner: the arrays are not reference-counted here, the caller keeps them alive
            out.meminfo = cgutils.get_null_value(out.meminfo.type)
            out.parent = cgutils.get_null_value(out.parent.type)
            return out._getvalue()

        return made(kind)

    return example(example, table, types.intp), generate
