"""Batches: every jet once, within both limits, the same again for the same seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffea_equitag.training import PairBatches

COUNTS = st.lists(st.integers(0, 200), max_size=150)


@given(COUNTS, st.integers(1, 40), st.one_of(st.none(), st.integers(1, 20_000)), st.integers(0, 2), st.integers(0, 5))
def test_each_jet_once_and_within_the_limits(counts, batch_size, budget, extra, pool):
    batches = PairBatches(np.array(counts), batch_size, budget, extra=extra, seed=3, pool=pool).epoch(2)
    jets = np.concatenate([*batches, np.empty(0, np.int64)])
    assert sorted(jets.tolist()) == list(range(len(counts)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        pairs = sum((counts[j] + extra) ** 2 for j in batch)
        assert budget is None or pairs <= budget or len(batch) == 1


@given(COUNTS, st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 3))
def test_order_follows_from_seed_and_epoch(counts, seed, epoch, pool):
    def draw() -> list[list[int]]:
        # the global generator has no say
        np.random.seed(len(counts))  # noqa: NPY002
        batches = PairBatches(np.array(counts), 16, 5_000, seed=seed, pool=pool)
        batches.epoch(epoch + 1)
        return [batch.tolist() for batch in batches.epoch(epoch)]

    assert draw() == draw()


def test_epochs_and_seeds_differ():
    counts = np.full(200, 5)
    batches = PairBatches(counts, 20, seed=1)
    assert not np.array_equal(batches.epoch(0)[0], batches.epoch(1)[0])
    assert not np.array_equal(batches.epoch(0)[0], PairBatches(counts, 20, seed=2).epoch(0)[0])


def test_full_batches_without_a_binding_budget():
    sizes = [len(batch) for batch in PairBatches(np.full(105, 5), 20, 10_000, seed=0).epoch(0)]
    assert sizes == [20, 20, 20, 20, 20, 5]


def test_pools_gather_jets_of_like_size_in_random_order():
    counts = np.random.default_rng(0).integers(1, 100, 2000)
    spread = {
        pool: np.mean([np.ptp(counts[b]) for b in PairBatches(counts, 50, seed=0, pool=pool).epoch(0)])
        for pool in (0, 10)
    }
    assert spread[10] < 0.2 * spread[0]
    means = [counts[b].mean() for b in PairBatches(counts, 50, seed=0, pool=40).epoch(0)]
    assert not np.all(np.diff(means) >= 0)


@pytest.mark.parametrize("pool", [0, 4])
def test_one_jet_above_the_budget_comes_alone(pool):
    counts = np.array([5, 300, 5, 5])
    batches = PairBatches(counts, 10, 1000, seed=0, pool=pool).epoch(0)
    assert [1] in [batch.tolist() for batch in batches]
