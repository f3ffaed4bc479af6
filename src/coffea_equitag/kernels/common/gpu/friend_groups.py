"""Friend groups on the device, the same as `coffea_equitag.invariants.friends` finds, and their masses and energies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....jets.ragged import RaggedJets
from .tiles import RECEIVERS, JetTiles, Tiles, own_tile

__all__ = ["friend_scalars", "friends_kernel"]

_AT_ONCE = 4


@triton.jit
def friends_kernel(
    gram: tl.tensor,
    energy: tl.tensor,
    stride: tl.tensor,
    tiles: JetTiles,
    out: tl.tensor,
    MASS: tl.constexpr,
    MEMBERS: tl.constexpr,
    WIDTH: tl.constexpr,
    LARGEST: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
) -> None:
    """m² or E of the groups of 1, 2, ... MEMBERS friends of some constituents of a jet of at most LARGEST."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = gram + tl.load(tiles.pairs + jet)
    j = tl.arange(0, LARGEST)
    hardness = tl.zeros((LARGEST,), tl.float64)
    for k in range(n):  # in the order of rows, as on the CPU: equal constituents are equally hard
        hardness += tl.load(block + j * n + k, mask=j < n, other=0.0)
    hardness = tl.where(hardness == hardness, hardness, float("-inf"))[None, :]
    place = tl.arange(0, WIDTH)[None, :]
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        left = (i < n)[:, None] & (j < n)[None, :]
        row = tl.load(block + i[:, None] * n + j[None, :], mask=left, other=float("-inf"))
        row = tl.where(row == row, row, float("-inf"))
        members = tl.zeros((BI, WIDTH), tl.int32)
        found = tl.zeros((BI,), tl.float64)
        for number in range(MEMBERS):
            largest = tl.max(tl.where(left, row, float("-inf")), axis=1)
            tied = left & (row == largest[:, None])
            hardest = tl.max(tl.where(tied, hardness, float("-inf")), axis=1)
            tied = tied & (hardness == hardest[:, None])
            chosen = tl.min(tl.where(tied, j[None, :], LARGEST), axis=1)
            exists = chosen < LARGEST
            if MASS:
                others = exists[:, None] & (place < number)
                products = tl.load(block + chosen[:, None] * n + members, mask=others, other=0.0)
                found += tl.load(block + chosen * (n + 1), mask=exists, other=0.0) + 2.0 * tl.sum(products, axis=1)
            else:
                found += tl.load(energy + (start + chosen) * stride, mask=exists, other=0.0)
            members = tl.where(place == number, chosen[:, None], members)
            left = left & (j[None, :] != chosen[:, None])
            tl.store(out + (start + i) * MEMBERS + number, found, mask=i < n)


def friend_scalars(kind: str, jets: RaggedJets, sizes: Sequence[int], gram_Q: Tensor) -> Tensor:
    """m²_G (GeV²) or E_G (GeV) of every constituent's friend groups; `coffea_equitag.invariants.friends` defines them.

    Returns
    -------
    Tensor of float64, shape (N, len(sizes))
        On the jets' device.
    """
    tiles, members = Tiles.of(jets.offsets), max(sizes)
    out = gram_Q.new_empty(tiles.num_nodes, members)
    if len(tiles.jet):
        # kernels are launched on the current device
        with torch.cuda.device(gram_Q.get_device()):
            friends_kernel[(len(tiles.jet),)](
                gram_Q.contiguous(), jets.p4, jets.p4.stride(0), tiles.arguments, out, MASS=kind == "mass",
                MEMBERS=members, WIDTH=triton.next_power_of_2(members),
                LARGEST=max(16, triton.next_power_of_2(int(jets.counts.max()))), RECEIVERS=RECEIVERS, BI=_AT_ONCE,
            )  # fmt: skip
    return out[:, [size - 1 for size in sizes]]
