"""Shards made by this process, by others, and by executors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import shard_work
from coffea_equitag.errors import EquitagError, JetError
from coffea_equitag.simulation.workers import run_shards

SIZES = {shard: shard + 1 for shard in range(12)}


def _expected():
    return [(shard, (shard, size)) for shard, size in SIZES.items()]


def test_every_shard_once_by_processes():
    assert list(run_shards(shard_work.size, SIZES, 1)) == _expected()
    assert sorted(run_shards(shard_work.size, SIZES, 2)) == _expected()


@pytest.mark.parametrize("in_order", [True, False])
def test_every_shard_once_by_an_executor(in_order):
    with ThreadPoolExecutor(3) as pool:
        found = list(run_shards(shard_work.size, SIZES, 3, pool, in_order=in_order))
    assert (found if in_order else sorted(found)) == _expected()


def test_few_are_under_way_at_once():
    begun = []

    def make(shard, size):
        begun.append(shard)
        return shard

    with ThreadPoolExecutor(2) as pool:
        for k, (shard, _) in enumerate(run_shards(make, SIZES, 2, pool, in_order=True)):
            assert shard == k
            assert len(begun) <= k + 4


def test_nothing_to_do():
    assert list(run_shards(shard_work.size, {}, 2)) == []


def test_a_worker_that_dies_is_explained():
    with pytest.raises(EquitagError, match="a worker ended before shard"):
        list(run_shards(shard_work.die, SIZES, 2))


def test_errors_of_workers_come_through():
    with pytest.raises(JetError, match="refused"):
        list(run_shards(shard_work.refuse, SIZES, 2))


def test_strange_errors_of_foreign_workers_are_explained():
    with ThreadPoolExecutor(1) as pool, pytest.raises(EquitagError, match="ZeroDivisionError: worker's own"):
        list(run_shards(shard_work.fail, SIZES, 1, pool))


def test_stopping_early_cancels_the_rest():
    begun, go_on = [], threading.Event()

    def make(shard, size):
        begun.append(shard)
        if shard:
            go_on.wait(20)
        return shard

    with ThreadPoolExecutor(1) as pool:
        results = run_shards(make, SIZES, 4, pool)
        next(results)
        results.close()
        go_on.set()
    assert begun in ([0], [0, 1])
