"""Friend groups: for each constituent i, the constituents j with the largest p_i·p_j (arXiv:2208.07814)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..array_types import F8, I8
from ..compiled import inner, njit, over_jets
from ..errors import TaggerError, explain
from ..jets.ragged import RaggedJets, boundaries
from .eight_largest import eight_largest
from .gram import gram
from .lanes import EIGHT
from .minkowski import pair_offsets

__all__ = ["NODEWISE", "Nodewise", "check_nodewise", "friend_groups", "friend_scalars"]

#: What describes a friend group: its invariant mass, or (as a control that breaks the symmetry) its energy.
Nodewise = Literal["mass", "energy"]
NODEWISE: tuple[Nodewise, ...] = get_args(Nodewise)


def check_nodewise(kind: str | None, sizes: Sequence[int]) -> None:
    """Reject an unknown `nodewise` option (None switches it off) or impossible sizes of friend groups.

    Raises
    ------
    TaggerError
        If `kind` is not in `NODEWISE`, no sizes are given, or a size is below 1.
    """
    if kind is not None and kind not in NODEWISE:
        expected = f"one of {', '.join(NODEWISE)}, or None"
        raise TaggerError(explain(f"nodewise = {kind!r}", expected, "check the spelling"))
    if not len(sizes) or min(sizes) < 1:
        raise TaggerError(explain(f"friends = {tuple(sizes)}", "sizes of at least 1", "use (2, 4, 8)"))


def friend_scalars(kind: str, jets: RaggedJets, sizes: Sequence[int], gram_Q: Tensor | None = None) -> Tensor:
    """m²_G (GeV²) or E_G (GeV) of every constituent's friend groups.

    Parameters
    ----------
    kind : str
        ``"mass"`` or ``"energy"``.
    jets : RaggedJets
        The batch.
    sizes : sequence of int
        Sizes k of the groups.
    gram_Q : Tensor of float64, shape (Q,), optional
        p_i·p_j in the square layout, if already computed.

    Returns
    -------
    Tensor of float64, shape (N, len(sizes))

    Raises
    ------
    TaggerError
        For an unknown kind or a size below 1.
    """
    check_nodewise(kind, sizes)
    products = gram(jets) if gram_Q is None else gram_Q
    if products.requires_grad:
        return _differentiable(kind, products, jets, sizes)
    mass2, energy = friend_groups(products, jets.p4[:, 0], jets.offsets, sizes)
    return mass2 if kind == "mass" else energy


def _differentiable(kind: str, gram_Q: Tensor, jets: RaggedJets, sizes: Sequence[int]) -> Tensor:
    """The same sums over the same groups, by torch."""
    member_NK = _members(gram_Q, jets.offsets, max(sizes)).to(gram_Q.device)
    columns, counts = [], jets.counts
    n = torch.repeat_interleave(counts, counts)
    start = torch.repeat_interleave(jets.offsets[:-1], counts)
    square = torch.repeat_interleave(boundaries(counts * counts)[:-1], counts)
    for size in sizes:
        rows = member_NK[:, :size]
        exists, rows = rows >= 0, rows.clamp(min=0)
        if kind == "energy":
            columns.append(torch.where(exists, jets.p4[rows, 0], 0.0).sum(1))
            continue
        local = rows - start[:, None]
        place = (square[:, None, None] + local[:, :, None] * n[:, None, None] + local[:, None]).clamp(min=0)
        both = exists[:, :, None] & exists[:, None]
        columns.append(torch.where(both, gram_Q[torch.where(both, place, 0)], 0.0).sum((1, 2)))
    return torch.stack(columns, dim=1)


def _members(gram_Q: Tensor, offsets: Tensor, largest: int) -> Tensor:
    """Rows of the members of each constituent's largest group, in order, then -1: (N, largest)."""
    products = np.ascontiguousarray(gram_Q.detach().cpu().numpy())
    bounds = offsets.detach().cpu().numpy()
    found = np.full((int(bounds[-1]), largest), -1, dtype=np.int64)
    _fill_members(products, bounds, pair_offsets(bounds), largest, found)
    return torch.from_numpy(found)


def friend_groups(
    gram_Q: Tensor, energy_N: Tensor, offsets: Tensor, sizes: Sequence[int], threads: int | None = None
) -> tuple[Tensor, Tensor]:
    """Squared invariant mass and energy of the friend group G_i of each constituent.

    G_i consists of the k constituents j of the jet with the largest p_i·p_j. Constituent i is itself a candidate, with
    p_i·p_i = m_i²: a jet of n ≤ k constituents is therefore a single group with the jet's mass, and a lone
    constituent is its own group. Ties go to the larger p_j·P, with P the jet's momentum, which is as invariant and as
    independent of order as p_i·p_j, then to the earlier row. The mass is a sum of products ≥ 0: nothing cancels.

    Parameters
    ----------
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j, an n × n block per jet, GeV².
    energy_N : Tensor, shape (N,)
        Energies, GeV.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    sizes : sequence of int
        Sizes k ≥ 1 of the groups.
    threads : int, optional
        Number of threads; the result does not depend on it.

    Returns
    -------
    tuple of Tensor of float64, shape (N, len(sizes)) each
        m²_G = Σ_{j, l ∈ G} p_j·p_l in GeV², and E_G in GeV.
    """
    check_nodewise(None, sizes)
    products = np.ascontiguousarray(gram_Q.detach().cpu().numpy())
    energy = np.ascontiguousarray(energy_N.detach().cpu().double().numpy())
    bounds, wanted = offsets.detach().cpu().numpy(), np.asarray(sizes, dtype=np.int64)
    squares = pair_offsets(bounds)
    group_mass2, group_energy = np.empty((len(energy), len(wanted))), np.empty((len(energy), len(wanted)))

    def run(first: int, last: int) -> None:
        _fill_groups(products, energy, bounds, squares, wanted, group_mass2, group_energy, first, last)

    over_jets(run, squares, threads)
    return torch.from_numpy(group_mass2).to(gram_Q.device), torch.from_numpy(group_energy).to(gram_Q.device)


@inner
def _hardness(block: F8) -> F8:
    hardness = np.zeros(len(block))
    for i in range(len(block)):
        row = block[i]
        for j in range(len(row)):
            hardness[j] += row[j]
    return hardness


@njit
def _find_friends(products: F8, hardness: F8, friend: I8, wanted: int) -> None:
    """The `wanted` constituents with the largest products, in order; `friend` has room for one more."""
    found = 0
    for j in range(len(products)):
        at = found
        while at > 0:
            other = friend[at - 1]
            closer = products[j] > products[other]
            if products[j] == products[other]:
                closer = hardness[j] > hardness[other]
            if not closer:
                break
            friend[at] = other
            at -= 1
        friend[at] = j
        found = min(found + 1, wanted)


@njit
def _find_all_friends(block: F8, wanted: int, friends: I8) -> None:
    """The same for each constituent of a jet: rows of `friends`, which has room for one more column.

    Eight constituents at a time if that is possible; one at a time where ties or NaN need a closer look.
    """
    n, hardness = len(block), _hardness(block)
    if n < EIGHT or wanted > EIGHT or not np.isfinite(hardness.sum()):
        for i in range(n):
            _find_friends(block[i], hardness, friends[i], wanted)
        return
    largest, places = np.empty((EIGHT + 1, EIGHT)), np.empty((EIGHT, EIGHT), np.int64)
    for first in range(0, n, EIGHT):
        column = min(first, n - EIGHT)
        eight_largest(block, column, n, n, largest, places)
        for lane in range(EIGHT):
            ties = False
            for s in range(wanted):
                friends[column + lane, s] = places[s, lane]
                ties |= largest[s, lane] == largest[s + 1, lane]
            if ties:
                _find_friends(block[column + lane], hardness, friends[column + lane], wanted)


@njit
def _fill_members(products: F8, offsets: I8, squares: I8, largest: int, members: I8) -> None:
    for jet in range(len(offsets) - 1):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        wanted = min(n, largest)
        friends = np.empty((n, wanted + 1), np.int64)
        _find_all_friends(products[squares[jet] : squares[jet + 1]].reshape(n, n), wanted, friends)
        for i in range(n):
            for s in range(wanted):
                members[start + i, s] = start + friends[i, s]


@njit
def _fill_groups(
    products: F8,
    energy: F8,
    offsets: I8,
    squares: I8,
    sizes: I8,
    group_mass2: F8,
    group_energy: F8,
    first: int,
    last: int,
) -> None:
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        block = products[squares[jet] : squares[jet + 1]].reshape(n, n)
        wanted = min(n, np.max(sizes))
        friends = np.empty((n, wanted + 1), np.int64)
        _find_all_friends(block, wanted, friends)
        mass2, total = np.empty(wanted), np.empty(wanted)
        for i in range(n):
            friend, m2, e = friends[i], 0.0, 0.0
            for s in range(wanted):
                j = friend[s]
                m2 += block[j, j]
                for t in range(s):
                    m2 += 2.0 * block[j, friend[t]]
                e += energy[start + j]
                mass2[s], total[s] = m2, e
            for s in range(len(sizes)):
                group_mass2[start + i, s] = mass2[min(sizes[s], wanted) - 1]
                group_energy[start + i, s] = total[min(sizes[s], wanted) - 1]
