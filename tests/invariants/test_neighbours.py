from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

import coffea_equitag as eqt
from coffea_equitag.invariants.neighbours import nearest, with_phantoms
from coffea_equitag.invariants.sorted_neighbours import sorted_senders
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers import Pairs


def brute_force(points, counts, k, priority):
    """Senders of each receiver, nearest first."""
    out, start = [], 0
    for n in counts:
        for i in range(start, start + n):
            others = [j for j in range(start, start + n) if j != i]
            others.sort(key=lambda j: (float(((points[j] - points[i]) ** 2).sum()), -float(priority[j]), j))
            out.append(others[:k])
        start += n
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 6), st.integers(1, 3), st.integers(0, 1000))
def test_equals_sorting_all_distances(counts, k, dimensions, seed):
    rng = np.random.default_rng(seed)
    # a coarse grid, for many ties
    points = rng.integers(0, 3, (sum(counts), dimensions)).astype(float)
    priority = rng.integers(0, 2, sum(counts)).astype(float)
    offsets = boundaries(torch.tensor(counts, dtype=torch.int64))
    edges = nearest(torch.from_numpy(points), offsets, k, torch.from_numpy(priority))
    expected = brute_force(points, counts, k, priority)
    assert edges.sender.tolist() == [j for row in expected for j in row]
    assert edges.receiver.tolist() == [i for i, row in enumerate(expected) for _ in row]
    assert edges.offsets.tolist() == [0, *np.cumsum([len(row) for row in expected], dtype=int).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 6), st.integers(1, 200), st.integers(0, 1000))
def test_sorting_in_torch_finds_the_same(counts, k, pairs, seed):
    rng = np.random.default_rng(seed)
    # a coarse grid, for many ties; some that are infinite or no number
    points = rng.integers(0, 3, (sum(counts), 2)).astype(float)
    points[rng.random(points.shape) < 0.1] = rng.choice([np.inf, -np.inf, np.nan, 1e200])
    priority = rng.choice([0.0, 1.0, -np.inf], sum(counts))
    offsets, points, priority = (
        boundaries(torch.tensor(counts, dtype=torch.int64)),
        *map(torch.from_numpy, (points, priority)),
    )
    expected = nearest(points, offsets, k, priority)
    found = sorted_senders(points, offsets, expected.offsets.diff(), priority, pairs)
    assert torch.equal(found, expected.sender)


def test_places_are_those_of_the_square_layout():
    offsets = boundaries(torch.tensor([3, 0, 1, 5]))
    edges, pairs = nearest(torch.rand(9, 2), offsets, 2), Pairs.of(offsets)
    place = dict(
        zip(zip(pairs.receiver.tolist(), pairs.sender.tolist(), strict=True), pairs.place.tolist(), strict=True)
    )
    seen = zip(edges.receiver.tolist(), edges.sender.tolist(), strict=True)
    assert edges.place.tolist() == [place[edge] for edge in seen]
    assert torch.equal(edges.diagonal, pairs.diagonal)


def test_a_permuted_jet_keeps_its_graph_even_where_directions_coincide():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(6, 2))).repeat_interleave(2, dim=0)
    pt, offsets, order = torch.from_numpy(rng.random(12)), torch.tensor([0, 12]), torch.from_numpy(rng.permutation(12))
    plain, moved = nearest(points, offsets, 2, pt), nearest(points[order], offsets, 2, pt[order])
    edges = set(zip(plain.receiver.tolist(), plain.sender.tolist(), strict=True))
    assert edges == set(zip(order[moved.receiver].tolist(), order[moved.sender].tolist(), strict=True))


def test_not_a_number_stays_in_its_jet():
    points = torch.rand(9, 2)
    broken = points.clone()
    broken[1, 0] = torch.nan
    offsets = torch.tensor([0, 4, 9])
    plain, found = nearest(points, offsets, 2), nearest(broken, offsets, 2)
    assert torch.equal(plain.sender[8:], found.sender[8:])
    assert len(found.sender) == 18
    assert set(found.sender[:8].tolist()) <= {0, 1, 2, 3}
    # the others in its jet choose the broken one last
    assert 1 not in found.sender[[0, 1, 4, 5, 6, 7]].tolist()


def test_threads_and_gradients_change_nothing():
    counts = torch.randint(0, 60, (40,), generator=torch.Generator().manual_seed(1))
    offsets = boundaries(counts)
    points = torch.rand(int(offsets[-1]), 3, requires_grad=True)
    one, three = nearest(points, offsets, 5, threads=1), nearest(points, offsets, 5, threads=3)
    assert torch.equal(one.sender, three.sender)
    assert torch.equal(one.place, three.place)


def test_no_neighbours_wanted():
    with pytest.raises(eqt.TaggerError, match="k = 0 neighbours"):
        nearest(torch.zeros(1, 2), torch.tensor([0, 1]), 0)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 6))
def test_phantoms_fill_up_what_is_missing(counts, k):
    total = sum(counts)
    offsets = torch.tensor([0, *np.cumsum(counts)], dtype=torch.int64)
    real = nearest(torch.randn(total, 2, generator=torch.Generator().manual_seed(1)), offsets, k)
    found = with_phantoms(real, k)
    assert found.offsets.diff().tolist() == [k] * total
    assert torch.equal(found.receiver, torch.arange(total).repeat_interleave(k))
    for i in range(total):
        own = real.sender[real.offsets[i] : real.offsets[i + 1]].tolist()
        assert found.sender[i * k : (i + 1) * k].tolist() == own + [total] * (k - len(own))
    assert torch.equal(found.place[found.sender < total], real.place)
    assert (found.place[found.sender == total] == -1).all()
