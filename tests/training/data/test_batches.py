"""Batches: every jet once, the same for the same seed and epoch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coffea_equitag.training import Batches

COUNTS = st.lists(st.integers(0, 200), max_size=150)


@given(COUNTS, st.integers(1, 40), st.integers(0, 5))
def test_each_jet_once_in_batches_of_one_size(counts, batch_size, pool):
    batches = Batches(np.array(counts), batch_size, seed=3, pool=pool).epoch(2)
    jets = np.concatenate([*batches, np.empty(0, np.int64)])
    assert sorted(jets.tolist()) == list(range(len(counts)))
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    assert all(1 <= len(batch) <= batch_size for batch in batches)


@given(COUNTS, st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 3))
def test_order_follows_from_seed_and_epoch(counts, seed, epoch, pool):
    def draw() -> list[list[int]]:
        # the global generator has no influence
        np.random.seed(len(counts))  # noqa: NPY002
        batches = Batches(np.array(counts), 16, seed=seed, pool=pool)
        batches.epoch(epoch + 1)
        return [batch.tolist() for batch in batches.epoch(epoch)]

    assert draw() == draw()


def test_epochs_and_seeds_differ():
    counts = np.full(200, 5)
    batches = Batches(counts, 20, seed=1)
    assert not np.array_equal(batches.epoch(0)[0], batches.epoch(1)[0])
    assert not np.array_equal(batches.epoch(0)[0], Batches(counts, 20, seed=2).epoch(0)[0])


def test_pools_gather_jets_of_like_size_in_random_order():
    counts = np.random.default_rng(0).integers(1, 100, 2000)
    spread = {
        pool: np.mean([np.ptp(counts[b]) for b in Batches(counts, 50, seed=0, pool=pool).epoch(0)]) for pool in (0, 10)
    }
    assert spread[10] < 0.2 * spread[0]
    means = [counts[b].mean() for b in Batches(counts, 50, seed=0, pool=40).epoch(0)]
    assert not np.all(np.diff(means) >= 0)
