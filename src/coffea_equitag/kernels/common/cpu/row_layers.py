"""Dense layers of many rows, as attention networks have them, near the peak of a core.

A column block of the weights stays in cache while all rows pass by it, as register tiles. Each sum runs over k in the
order of k wherever its row and column stand, so that bits depend on neither. Widths are free: weights are padded to
whole blocks, but only the matrix's own rows and columns are written.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4, I4, U2, AnyArray
from ....compiled import inner, inner_by_type, njit
from .activations import GELU, GELU_TANH, LINEAR, RELU, activate_rows
from .aligned import aligned
from .bf16 import pairs_of
from .bf16_rows import round_rows
from .llvm import INDEX, pointers, row_at
from .shapes import WIDE, Shape
from .vector_rows import Lanes

__all__ = ["GELU", "GELU_TANH", "LINEAR", "RELU", "RowLayer", "layers_in_bf16", "pack", "row_layer", "row_layer_add"]

_LANE = WIDE.widths[0]
#: In float32, or in bf16.
_Rows: TypeAlias = F4 | U2
#: Tiles by the vectors of their columns, and what a multiply-add costs in each, in arbitrary units.
_TILES: tuple[tuple[Shape, float], ...]
if _LANE == 16:
    _TILES = (
        (Shape(6, (16,) * 4), 1.0), (Shape(8, (16,) * 3), 1.02), (Shape(8, (16,) * 2), 1.15), (Shape(8, (16,)), 1.6),
    )  # fmt: skip
elif _LANE == 8:
    _TILES = ((Shape(6, (8,) * 2), 1.0), (Shape(6, (8,)), 1.5))
else:
    _TILES = ((Shape(6, (4,) * 4), 1.0), (Shape(8, (4,) * 2), 1.3))

#: Rows that are worked on at once in a block beyond which a matrix has no columns, or are rounded to bf16 at once.
_EDGE_ROWS = 24
_ADD = -1
_NO_FLOOR, _ZERO = np.float32(-np.inf), np.float32(0.0)


class RowLayer(NamedTuple):
    """A dense layer as `row_layer` wants it.

    Attributes
    ----------
    weight : ndarray of float32, shape (blocks, K, block)
        For each block of columns, a row per summed index; 0 beyond the layer's own columns. In bf16 it is pairs of
        these rows, as of `pairs_of`.
    bias : ndarray of float32, shape (blocks · block,)
        The bias.
    width : int
        M, the layer's own columns.
    """

    weight: F4 | I4
    bias: F4
    width: int


def pack(matrix: AnyArray, bias: AnyArray | None = None) -> RowLayer:
    """A layer of a matrix (M, K), as torch keeps it, and a bias (M,), if any."""
    width, depth = matrix.shape
    shape, _ = min(_TILES, key=lambda tile: -(-width // tile[0].block) * tile[0].block * tile[1])
    gap = -width % shape.block
    begin = np.zeros(width) if bias is None else bias
    # training packs at every step, and np.pad takes longer than the copy
    rows, begin = (np.pad(matrix, ((0, gap), (0, 0))), np.pad(begin, (0, gap))) if gap else (matrix, begin)
    blocks = rows.reshape((width + gap) // shape.block, shape.block, depth).transpose(0, 2, 1)
    return RowLayer(aligned(blocks), aligned(begin), width)


_Weights = TypeVar("_Weights")


def layers_in_bf16(weights: _Weights) -> _Weights:
    """The same weights, with every `RowLayer` among them in bf16, unless it sums over an odd number."""
    if isinstance(weights, RowLayer):
        if weights.weight.shape[1] % 2:
            return weights
        return weights._replace(weight=pairs_of(weights.weight.astype(np.float64)))
    if not isinstance(weights, tuple):
        return weights
    parts = [layers_in_bf16(part) for part in weights]
    return type(weights)(*parts) if hasattr(weights, "_fields") else type(weights)(parts)


@njit
def row_layer(x: F4, x_first: int, layer: RowLayer, kind: int, out: F4, out_first: int, rows: int) -> None:
    """Write f(x W + b) to `out`, row by row.

    Parameters
    ----------
    x : ndarray of float32, shape (R, ≥ K)
        Rows with unit stride between columns; a slice of columns is one.
    x_first, out_first : int
        The first row of each.
    layer : RowLayer
        W and b, from `pack`.
    kind : int
        f: LINEAR, RELU, GELU or GELU_TANH. NaN stays NaN.
    out : ndarray of float32, shape (R', ≥ M)
        Where to; its columns from M on, and rows but those asked for, stay as they are. Not `x`.
    rows : int
        How many.
    """
    _over_blocks(x, x_first, layer, kind, out, out_first, rows)


@njit
def row_layer_add(x: F4, x_first: int, layer: RowLayer, out: F4, out_first: int, rows: int) -> None:
    """Add x W + b to `out`, row by row; parameters as in `row_layer`."""
    _over_blocks(x, x_first, layer, _ADD, out, out_first, rows)


def _tile_of(shape: Shape, n_rows: int) -> Any:
    @intrinsic
    def tile(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_stride: Any,
        weight: Any,
        weight_at: Any,
        depth: Any,
        bias: Any,
        bias_at: Any,
        floor: Any,
        add: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
    ) -> Any:
        """A tile of `n_rows` rows: max(x W + b, floor), or what is there and that."""
        at = types.intp
        signature = types.void(x, at, at, weight, at, at, bias, at, types.float32, types.boolean, out, at, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_stride, w, w_at, depth, bias, bias_at, floor, add, out, out_at, out_stride) = pointers(
                context, builder, signature, arguments
            )
            lanes, rows = Lanes(builder, shape.widths), range(n_rows)
            x_rows = [row_at(builder, x, x_at, x_stride, r) for r in rows]
            begin = lanes.load(bias, bias_at)
            weight, step = builder.gep(w, [w_at]), INDEX(shape.block)
            sums = lanes.multiply_add([begin] * n_rows, x_rows, INDEX(1), weight, step, depth)
            places = [row_at(builder, out, out_at, out_stride, r) for r in rows]
            with builder.if_else(add) as (then, otherwise):
                with then:
                    for place, row in zip(places, sums, strict=True):
                        lanes.store(lanes.add(lanes.load(place), row), place)
                with otherwise:
                    floors = lanes.spread(floor)
                    for place, row in zip(places, sums, strict=True):
                        lanes.store(lanes.at_least(row, floors), place)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _block_of(shape: Shape) -> Any:
    """What computes one block of columns, of this shape."""
    tile, single, tile_rows, block = _tile_of(shape, shape.rows), _tile_of(shape, 1), shape.rows, shape.block

    def compute(
        x: _Rows,
        x_at: int,
        x_stride: int,
        layer: RowLayer,
        b: int,
        kind: int,
        out: F4,
        at: int,
        stride: int,
        rows: int,
    ) -> None:
        # once: what is taken from a tuple is counted, by an atomic addition each time
        weight, bias = layer.weight, layer.bias
        depth = weight.shape[1]
        w_at, floor, add = b * depth * block, _ZERO if kind == RELU else _NO_FLOOR, kind == _ADD
        row = 0
        while row < rows:
            place = at + row * stride
            if row + tile_rows <= rows:
                tile(x, x_at + row * x_stride, x_stride, weight, w_at, depth, bias, b * block,
                     floor, add, out, place, stride)  # fmt: skip
                done = tile_rows
            else:
                single(x, x_at + row * x_stride, x_stride, weight, w_at, depth, bias, b * block,
                       floor, add, out, place, stride)  # fmt: skip
                done = 1
            if kind >= GELU:
                activate_rows(kind, out, place, stride, done, block)
            row += done

    # what numba calls it in machine code, of which some comes from disk, where numbers alone tell functions of one name
    # apart, and those begin anew in each process
    compute.__name__ = compute.__qualname__ = f"compute_{block}_columns"
    return inner(compute)


_computes = [_block_of(shape) for shape, _ in _TILES]
_first, _second = _computes[:2]
_third, _fourth = _computes[2:] or _computes[:2]
_BLOCKS = tuple(shape.block for shape, _ in _TILES)
_FIRST, _SECOND = _BLOCKS[:2]
_THIRD = _BLOCKS[2] if len(_BLOCKS) > 2 else 0


@inner
def _compute(
    x: _Rows, x_at: int, x_stride: int, layer: RowLayer, b: int, kind: int, out: F4, at: int, stride: int, rows: int
) -> None:
    block = layer.weight.shape[2]
    if block == _FIRST:
        _first(x, x_at, x_stride, layer, b, kind, out, at, stride, rows)
    elif block == _SECOND:
        _second(x, x_at, x_stride, layer, b, kind, out, at, stride, rows)
    elif block == _THIRD:
        _third(x, x_at, x_stride, layer, b, kind, out, at, stride, rows)
    else:
        _fourth(x, x_at, x_stride, layer, b, kind, out, at, stride, rows)


@inner_by_type
def _over_blocks(x: Any, x_first: Any, layer: Any, *_: Any) -> Any:
    return _over_float32 if layer.types[0].dtype == types.float32 else _over_bf16


def _over_bf16(x: F4, x_first: int, layer: RowLayer, kind: int, out: F4, out_first: int, rows: int) -> None:
    """Some rows at a time are rounded, and go through all blocks."""
    depth = 2 * layer.weight.shape[1]
    few = np.empty((_EDGE_ROWS, -(-depth // 16) * 16), np.uint16)
    for row in range(0, rows, _EDGE_ROWS):
        count = min(_EDGE_ROWS, rows - row)
        round_rows(x, x_first + row, count, depth, few)
        _through_blocks(few, 0, layer, kind, out, out_first + row, count)


def _over_float32(x: F4, x_first: int, layer: RowLayer, kind: int, out: F4, out_first: int, rows: int) -> None:
    _through_blocks(x, x_first, layer, kind, out, out_first, rows)


@inner
def _through_blocks(x: _Rows, x_first: int, layer: RowLayer, kind: int, out: F4, out_first: int, rows: int) -> None:
    x_stride, stride, block = x.strides[0] // x.itemsize, out.strides[0] // 4, layer.weight.shape[2]
    x_at, at, whole = x_first * x_stride, out_first * stride, layer.width // block
    for b in range(whole):
        _compute(x, x_at, x_stride, layer, b, kind, out, at + b * block, stride, rows)
    left = layer.width - whole * block
    if left == 0:
        return
    # the block that has fewer columns is computed elsewhere
    edge = np.empty((_EDGE_ROWS, block), np.float32)
    for row in range(0, rows, _EDGE_ROWS):
        count = min(_EDGE_ROWS, rows - row)
        _compute(x, x_at + row * x_stride, x_stride, layer, whole, max(kind, LINEAR), edge, 0, block, count)
        for r in range(count):
            target = out[out_first + row + r, whole * block :]
            for c in range(left):
                target[c] = target[c] + edge[r, c] if kind == _ADD else edge[r, c]
