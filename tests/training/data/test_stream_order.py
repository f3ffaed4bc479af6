"""The order of an epoch, and which jets are held out."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag.training.data.stream_order import StreamOrder
from coffea_equitag.training.data.stream_split import HeldOut


def test_blocks_have_all_pieces_and_no_more_jets_than_the_buffer():
    sizes = np.asarray([30, 0, 50, 20, 70, 10, 120])
    order = StreamOrder(np.arange(7), 100, seed=3)
    for epoch in range(20):
        blocks = order.blocks(epoch, sizes)
        assert sorted(np.concatenate([block.pieces for block in blocks])) == [0, 2, 3, 4, 5, 6]
        assert [block.first for block in blocks] == np.cumsum([0, *(block.size for block in blocks)])[:-1].tolist()
        for block in blocks:
            assert block.size == sizes[block.pieces].sum()
            assert block.size <= 100 or len(block.pieces) == 1
            assert sorted(order.shuffled(epoch, block)) == list(range(block.size))


def test_pieces_of_a_row_group_follow_each_other():
    groups = np.asarray([0, 1, 1, 1, 2, 3, 3])
    order, sizes = StreamOrder(groups, 20, seed=0), np.full(7, 10)
    seen = {tuple(groups[np.concatenate([b.pieces for b in order.blocks(epoch, sizes)])]) for epoch in range(500)}
    assert len(seen) == 24  # 4!: that one of them is missing has a chance of 24 (23/24)⁵⁰⁰ = 10⁻⁸
    for epoch in range(50):
        pieces = np.concatenate([block.pieces for block in order.blocks(epoch, sizes)]).tolist()
        assert [k for k in pieces if groups[k] == 1] == [1, 2, 3]
        assert pieces.index(3) - pieces.index(1) == 2


def test_the_order_is_that_of_seed_and_epoch():
    def pieces(seed: int, epoch: int) -> list[int]:
        order = StreamOrder(np.arange(40), 50, seed)
        return [
            int(k)
            for block in order.blocks(epoch, np.full(40, 5))
            for k in [*block.pieces, *order.shuffled(epoch, block)]
        ]

    assert pieces(1, 2) == pieces(1, 2)
    assert len({tuple(pieces(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_no_jets():
    assert StreamOrder(np.arange(3), 10, 0).blocks(0, np.zeros(3)) == []
    assert StreamOrder(np.zeros(0), 10, 0).blocks(0, np.zeros(0)) == []


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_a_fraction_is_held_out(fraction):
    rows = np.arange(100_000)
    held = HeldOut(fraction, seed=1)
    chosen = held(0, rows)
    # 5 standard deviations of a binomial number
    assert abs(chosen.mean() - fraction) < 5 * np.sqrt(fraction * (1 - fraction) / len(rows))
    # each jet by itself, whatever others are asked about
    np.testing.assert_array_equal(held(0, rows[500:600]), chosen[500:600])
    # neighbours, other files and other seeds are independent: again 5 standard deviations of the mean product
    width = 5 * np.sqrt(fraction**2 * (1 - fraction**2) / len(rows))
    for other in (np.roll(chosen, 1), np.roll(chosen, 2), held(1, rows), HeldOut(fraction, seed=2)(0, rows)):
        assert abs((chosen & other).mean() - fraction**2) < width


def test_events_are_held_out_whole():
    events = np.repeat(np.arange(1000, dtype=np.uint64), 3)
    chosen = HeldOut(0.3, seed=1)(0, np.arange(3000), events).reshape(1000, 3)
    assert (chosen == chosen[:, :1]).all()
    assert 0 < chosen.mean() < 1
