"""The way back through the batch normalisation of LorentzNet's edges, and to the nodes' Gram matrices."""

from __future__ import annotations

import triton
import triton.language as tl

from .edge_statistics import pair_scalars

__all__ = ["back_to_gram_kernel", "back_to_nodes_kernel", "slope_sums_kernel"]


@triton.jit(do_not_specialize=["num_pairs"])
def slope_sums_kernel(
    first_layer: tl.tensor,
    own_slopes: tl.tensor,
    shared_slopes: tl.tensor,
    offsets: tl.tensor,
    shares: tl.tensor,
    sums: tl.tensor,
    num_pairs: tl.tensor,
    other_slopes: tl.tensor,
    out: tl.tensor,
    hidden: tl.tensor,
    CHANNELS: tl.constexpr,
    RECEIVERS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Add up what the tiles of one jet give its senders; sums over its pairs of dz, and of dz (z − mean) in part.

    Parameters
    ----------
    first_layer : (N, 2 hidden), float32
        U and V.
    own_slopes : (N, CHANNELS); shared_slopes : (Σ n · tiles, CHANNELS)
        Of `edge_slopes_kernel`.
    sums : (5, hidden), float64
        Of `jet_sums_kernel`, over the batch; zeros for running statistics.
    other_slopes : (N, hidden), float32
        Out: Σ_i dz_ij.
    out : (J, 2, hidden), float64
        Out: Σ dz, and Σ dz (U_i − Ū + V_j − V̄).
    """
    jet = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    known = c < hidden
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    share, n = tl.load(shares + jet), last - first
    tiles = (n + RECEIVERS - 1) // RECEIVERS
    count = num_pairs.to(tl.float64)
    mean_u = (tl.load(sums + c, mask=known, other=0.0) / count)[None, :]
    mean_v = (tl.load(sums + hidden + c, mask=known, other=0.0) / count)[None, :]
    total, spread = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    for start in range(0, n, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n)[:, None] & known[None, :]
        place = first_layer + (first + i)[:, None] * (2 * hidden) + c[None, :]
        u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
        v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
        own = tl.load(own_slopes + (first + i)[:, None] * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        other = tl.zeros((ROWS, WIDTH), tl.float64)
        for tile in range(tiles):
            row = (share + tile * n + i)[:, None]
            other += tl.load(shared_slopes + row * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        tl.store(other_slopes + (first + i)[:, None] * hidden + c[None, :], other.to(tl.float32), mask=inside)
        total += tl.sum(own, axis=0)
        spread += tl.sum(tl.where(inside, own * (u - mean_u) + other * (v - mean_v), 0.0), axis=0)
    tl.store(out + jet * 2 * hidden + c, total, mask=known)
    tl.store(out + jet * 2 * hidden + hidden + c, spread, mask=known)


@triton.jit(do_not_specialize=["num_pairs"])
def back_to_nodes_kernel(
    first_layer: tl.tensor,
    rows: tl.tensor,
    offsets: tl.tensor,
    sums: tl.tensor,
    scalars: tl.tensor,
    num_pairs: tl.tensor,
    statistics: tl.tensor,
    seen: tl.tensor,
    seen_stride: tl.tensor,
    norm_weight: tl.tensor,
    eps: tl.tensor,
    own_slopes: tl.tensor,
    other_slopes: tl.tensor,
    slope_sums: tl.tensor,
    vectors: tl.tensor,
    hidden: tl.tensor,
    out: tl.tensor,
    norm_slopes: tl.tensor,
    seen_slopes: tl.tensor,
    from_nodes: tl.tensor,
    from_pairs: tl.tensor,
    OF_BATCH: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """From slopes dz of the normalised edges to those of U and V of one jet; the first program: of the parameters.

    A pair's slope is scale dz − shift + spread (z − mean). Arguments as of `normalise_kernel` and
    `slope_sums_kernel`, and

    Parameters
    ----------
    slope_sums : (2, hidden), float64
        Of `slope_sums_kernel`, over the batch.
    vectors : (2, CHANNELS), float64
        Σ dz ν and Σ dz π.
    out : (N, 2 hidden), float32
        Out: slopes of U and V.
    norm_slopes : (2, hidden); seen_slopes : (hidden, 2); float32
        Out: of the BatchNorm's weight and bias, of a and b.
    from_nodes : (N, 4); from_pairs : (3,); float64
        Out: what the statistics add to the slopes of ν_ij and π_ij: the first two of i, the last two of j, and a
        symmetric matrix times (ν_ij, π_ij).
    """
    jet = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, WIDTH)
    known = c < hidden
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    a = tl.load(seen + c.to(tl.int64) * seen_stride, mask=known, other=0.0).to(tl.float64)
    b = tl.load(seen + c.to(tl.int64) * seen_stride + 1, mask=known, other=0.0).to(tl.float64)
    mean = tl.load(statistics + c, mask=known, other=0.0)
    inverse = 1.0 / tl.sqrt(tl.load(statistics + hidden + c, mask=known, other=1.0) + tl.load(eps))
    scale = tl.load(norm_weight + c, mask=known, other=0.0).to(tl.float64) * inverse
    count = num_pairs.to(tl.float64)
    mean_norm, mean_dot = tl.load(scalars) / count, tl.load(scalars + 1) / count
    sum_u, sum_v = tl.load(sums + c, mask=known, other=0.0), tl.load(sums + hidden + c, mask=known, other=0.0)
    total = tl.load(slope_sums + c, mask=known, other=0.0)
    of_a = tl.load(vectors + c, mask=known, other=0.0)
    of_b = tl.load(vectors + CHANNELS + c, mask=known, other=0.0)
    centred = tl.load(slope_sums + hidden + c, mask=known, other=0.0)
    centred += a * (of_a - mean_norm * total) + b * (of_b - mean_dot * total)
    centred -= (mean - (sum_u + sum_v) / count - a * mean_norm - b * mean_dot) * total
    shift, spread = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    if OF_BATCH:
        shift, spread = scale * total / count, -scale * centred * inverse * inverse / count
    if jet == 0:
        tl.store(norm_slopes + c, (centred * inverse).to(tl.float32), mask=known)
        tl.store(norm_slopes + hidden + c, total.to(tl.float32), mask=known)
        with_norm = tl.load(sums + 3 * hidden + c, mask=known, other=0.0) - mean * tl.load(scalars)
        with_norm += a * tl.load(scalars + 2) + b * tl.load(scalars + 3)
        with_dot = tl.load(sums + 4 * hidden + c, mask=known, other=0.0) - mean * tl.load(scalars + 1)
        with_dot += a * tl.load(scalars + 3) + b * tl.load(scalars + 4)
        of_a = scale * of_a - shift * tl.load(scalars) + spread * with_norm
        of_b = scale * of_b - shift * tl.load(scalars + 1) + spread * with_dot
        tl.store(seen_slopes + 2 * c, of_a.to(tl.float32), mask=known)
        tl.store(seen_slopes + 2 * c + 1, of_b.to(tl.float32), mask=known)
        tl.store(from_pairs, tl.sum(spread * a * a, axis=0))
        tl.store(from_pairs + 1, tl.sum(spread * a * b, axis=0))
        tl.store(from_pairs + 2, tl.sum(spread * b * b, axis=0))
    sum_u, sum_v = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    if OF_BATCH:
        for start in range(first, last, ROWS):
            i = start + tl.arange(0, ROWS)
            inside = (i < last)[:, None] & known[None, :]
            place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
            sum_u += tl.sum(tl.load(place, mask=inside, other=0.0).to(tl.float64), axis=0)
            sum_v += tl.sum(tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64), axis=0)
    others = (last - first - 1).to(tl.float64)
    for start in range(first, last, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < last)[:, None] & known[None, :]
        own = tl.load(own_slopes + i[:, None] * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        other = tl.load(other_slopes + i[:, None] * hidden + c[None, :], mask=inside, other=0.0).to(tl.float64)
        own, other = own * scale[None, :], other * scale[None, :]
        if OF_BATCH:
            place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
            u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
            v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
            norm = tl.load(rows + 5 * i, mask=i < last, other=0.0)[:, None]
            dot = tl.load(rows + 5 * i + 1, mask=i < last, other=0.0)[:, None]
            both = a[None, :] * norm + b[None, :] * dot - others * mean[None, :]
            own += spread[None, :] * (others * u + sum_v[None, :] - v + both) - others * shift[None, :]
            other += spread[None, :] * (others * v + sum_u[None, :] - u + both) - others * shift[None, :]
            receiver = tl.where(inside, spread[None, :] * (u - mean[None, :]) - shift[None, :], 0.0)
            sender = tl.where(inside, spread[None, :] * v, 0.0)
            place = from_nodes + 4 * i
            tl.store(place, tl.sum(receiver * a[None, :], axis=1), mask=i < last)
            tl.store(place + 1, tl.sum(receiver * b[None, :], axis=1), mask=i < last)
            tl.store(place + 2, tl.sum(sender * a[None, :], axis=1), mask=i < last)
            tl.store(place + 3, tl.sum(sender * b[None, :], axis=1), mask=i < last)
        place = out + i[:, None] * (2 * hidden) + c[None, :]
        tl.store(place, own.to(tl.float32), mask=inside)
        tl.store(place + hidden, other.to(tl.float32), mask=inside)


@triton.jit
def back_to_gram_kernel(
    gram: tl.tensor,
    scalars_slopes: tl.tensor,
    from_nodes: tl.tensor,
    from_pairs: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    OF_BATCH: tl.constexpr,
    ADD: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """From slopes of ν and π, (Q, 2), to those of some rows of one jet's Gram matrix, (Q,), or with ADD added to them.

    `from_nodes` and `from_pairs` are of `back_to_nodes_kernel`, the statistics' part.
    """
    jet = tl.load(tile_jet + tl.program_id(0))
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    block = tl.load(pairs + jet)
    i = tl.load(tile_first + tl.program_id(0)) + tl.arange(0, ROWS)
    own = tl.zeros((ROWS,), tl.float64)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        pair = (i < n)[:, None] & (j < n)[None, :] & (i[:, None] != j[None, :])
        psi_norm, psi_dot, norm, dot = pair_scalars(gram + block, i, j, n)
        place = block + i.to(tl.int64)[:, None] * n + j[None, :]
        mirror = block + j.to(tl.int64)[None, :] * n + i[:, None]
        of_norm = tl.load(scalars_slopes + 2 * place, mask=pair, other=0.0).to(tl.float64)
        of_dot = tl.load(scalars_slopes + 2 * place + 1, mask=pair, other=0.0).to(tl.float64)
        turned = tl.load(scalars_slopes + 2 * mirror, mask=pair, other=0.0).to(tl.float64)
        if OF_BATCH:
            by_norm, mixed, by_dot = tl.load(from_pairs), tl.load(from_pairs + 1), tl.load(from_pairs + 2)
            both = by_norm * psi_norm + mixed * psi_dot
            nodes_i, nodes_j = from_nodes + 4 * (start + i), from_nodes + 4 * (start + j)
            norm_i = tl.load(nodes_i, mask=i < n, other=0.0)
            norm_j = tl.load(nodes_j, mask=j < n, other=0.0)
            dot_i = tl.load(nodes_i + 1, mask=i < n, other=0.0)
            to_norm_i = tl.load(nodes_i + 2, mask=i < n, other=0.0)
            to_norm_j = tl.load(nodes_j + 2, mask=j < n, other=0.0)
            to_dot_j = tl.load(nodes_j + 3, mask=j < n, other=0.0)
            of_norm += norm_i[:, None] + to_norm_j[None, :] + both
            turned += norm_j[None, :] + to_norm_i[:, None] + both
            of_dot += dot_i[:, None] + to_dot_j[None, :] + mixed * psi_norm + by_dot * psi_dot
        bend = 1.0 + tl.abs(norm)
        of_norm, turned = tl.where(pair, of_norm / bend, 0.0), tl.where(pair, turned / bend, 0.0)
        own += tl.sum(of_norm + turned, axis=1)
        value = of_dot / (1.0 + tl.abs(dot)) - 2.0 * of_norm
        if ADD:
            value += tl.load(out + place, mask=pair, other=0.0)
        tl.store(out + place, value, mask=pair)
    diagonal = out + block + i.to(tl.int64) * (n + 1)
    if ADD:
        own += tl.load(diagonal, mask=i < n, other=0.0)
    tl.store(diagonal, own, mask=i < n)
