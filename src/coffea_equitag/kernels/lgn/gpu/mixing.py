"""LGN's products of tensors and the mixing of their channels, node by node, by tables of components."""

from __future__ import annotations

import triton
import triton.language as tl

from .weights import Terms

__all__ = ["NODES", "mixing_kernel", "products_kernel"]

#: Nodes that a program works on.
NODES = 128


# the same code for any number of nodes
@triton.jit(do_not_specialize=["nodes", "out_node", "out_part", "out_row", "out_channel"])
def products_kernel(
    planes: tl.tensor,
    other: tl.tensor,
    terms: Terms,
    out: tl.tensor,
    out_node: tl.tensor,
    out_part: tl.tensor,
    out_row: tl.tensor,
    out_channel: tl.tensor,
    nodes: tl.tensor,
    channel: tl.tensor,
    SQUARES: tl.constexpr,
    NODES: tl.constexpr,
) -> None:
    """One component of a product, for some nodes and one channel.

    Parameters
    ----------
    planes : (C, `channel`, 2, `nodes`), float64
        Components (Re, Im) of tensors.
    other : (R, nodes), float64
        The real second factor; with SQUARES it is of the same channel of `planes`.
    terms : Terms
        Component `row` is Σ factor x[left] y[right] over the terms from first[row] on.
    out, out_node, out_part, out_row, out_channel
        Where the results go: the distances between nodes, Re and Im, rows, and channels.
    """
    i = tl.program_id(0).to(tl.int64) * NODES + tl.arange(0, NODES)
    row, c = tl.program_id(1), tl.program_id(2)
    re, im = _product(planes + _channel(c, channel, nodes), other, terms, row, i, nodes, SQUARES)
    place = out + i * out_node + row.to(tl.int64) * out_row + c.to(tl.int64) * out_channel
    tl.store(place, re, mask=i < nodes)
    tl.store(place + out_part, im, mask=i < nodes)


@triton.jit(do_not_specialize=["nodes"])
def mixing_kernel(
    planes: tl.tensor,
    other: tl.tensor,
    rows: tl.tensor,
    terms: Terms,
    weight: tl.tensor,
    out: tl.tensor,
    nodes: tl.tensor,
    channel: tl.tensor,
    out_channel: tl.tensor,
    channels: tl.tensor,
    channels_out: tl.tensor,
    OUT: tl.constexpr,
    NODES: tl.constexpr,
) -> None:
    """One component of all channels that come out, for some nodes: no product is in memory.

    Parameters
    ----------
    rows : (components, 3), int32
        The rows of `terms` that make a component: those whose second factor is `other`, from the first number to
        the second; those that are squares, to the third.
    weight : (rows, C, 2, OUT), float64
        Complex weights; OUT is a power of two that holds the channels.
    out : (channels_out, `out_channel`, 2, nodes), float64
        The components.
    """
    i = tl.program_id(0).to(tl.int64) * NODES + tl.arange(0, NODES)
    component = tl.program_id(1)
    o = tl.arange(0, OUT)
    begin, middle = tl.load(rows + 3 * component), tl.load(rows + 3 * component + 1)
    end = tl.load(rows + 3 * component + 2)
    total_re, total_im = tl.zeros((OUT, NODES), tl.float64), tl.zeros((OUT, NODES), tl.float64)
    for c in range(channels):
        x = planes + _channel(c, channel, nodes)
        for row in range(begin, middle):
            re, im = _product(x, other, terms, row, i, nodes, False)
            w_re, w_im = _weights(weight, row * channels + c, o, OUT)
            total_re += w_re * re[None, :] - w_im * im[None, :]
            total_im += w_re * im[None, :] + w_im * re[None, :]
        for row in range(middle, end):
            re, im = _product(x, other, terms, row, i, nodes, True)
            w_re, w_im = _weights(weight, row * channels + c, o, OUT)
            total_re += w_re * re[None, :] - w_im * im[None, :]
            total_im += w_re * im[None, :] + w_im * re[None, :]
    place = out + _channel(o, out_channel, nodes)[:, None] + 2 * component.to(tl.int64) * nodes + i[None, :]
    real = (o < channels_out)[:, None] & (i < nodes)[None, :]
    tl.store(place, total_re, mask=real)
    tl.store(place + nodes, total_im, mask=real)


@triton.jit
def _channel(c: tl.tensor, channel: tl.tensor, nodes: tl.tensor) -> tl.tensor:
    """Where a channel begins."""
    return 2 * (c * channel).to(tl.int64) * nodes


@triton.jit
def _weights(weight: tl.tensor, place: tl.tensor, o: tl.tensor, OUT: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """(Re, Im) of a column of the mixing, (OUT, 1)."""
    column = weight + 2 * OUT * place + o[:, None]
    return tl.load(column), tl.load(column + OUT)


@triton.jit
def _product(
    x: tl.tensor,
    other: tl.tensor,
    terms: Terms,
    row: tl.tensor,
    i: tl.tensor,
    nodes: tl.tensor,
    SQUARES: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """(Re, Im) of a row of `terms`, for the nodes i."""
    real = i < nodes
    re, im = tl.zeros(i.shape, tl.float64), tl.zeros(i.shape, tl.float64)
    for term in range(tl.load(terms.first + row), tl.load(terms.first + row + 1)):
        f = tl.load(terms.factor + term)
        a = x + 2 * tl.load(terms.left + term).to(tl.int64) * nodes + i
        a_re = f * tl.load(a, mask=real, other=0.0)
        a_im = f * tl.load(a + nodes, mask=real, other=0.0)
        place = tl.load(terms.right + term).to(tl.int64) * nodes + i
        if SQUARES:
            b = x + place + tl.load(terms.right + term).to(tl.int64) * nodes
            b_re, b_im = tl.load(b, mask=real, other=0.0), tl.load(b + nodes, mask=real, other=0.0)
            re += a_re * b_re - a_im * b_im
            im += a_re * b_im + a_im * b_re
        else:
            y = tl.load(other + place, mask=real, other=0.0)
            re += a_re * y
            im += a_im * y
    return re, im
