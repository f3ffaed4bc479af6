from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import deviation, rounding
from coffea_equitag.kernels.common.cpu.folding import blocks, padded
from coffea_equitag.kernels.common.cpu.sparse_layer import add_sparse_row, bits_for, sparse_layer
from coffea_equitag.kernels.common.cpu.wide_dense import LINEAR, MARGIN, RELU, layer
from kernel_forms import needs_vectors, with_avx2

pytestmark = needs_vectors


def given(depth, channels, share, rows=29):
    rng = np.random.default_rng(depth + channels)
    width = -(-depth // 16) * 16
    x = np.zeros((rows + MARGIN, width), np.float32)
    x[:, :depth] = rng.exponential(1, (len(x), depth)) * (rng.random((len(x), depth)) < share)
    weight, bias = rng.normal(0, 1, (channels, depth)), rng.normal(0, 1, channels)
    return x, weight, bias


def both(x, weight, bias, floor, rows=29):
    """By `sparse_layer`, and tile by tile."""
    depth, matrix, begin = weight.shape[1], blocks(weight), padded(bias)
    found = [np.zeros((len(x), len(begin)), np.float32) for _ in range(2)]
    sparse_layer(x, depth, matrix, begin, floor, found[0], rows, bits_for(rows, x.shape[1]))
    layer(x, 0, depth, matrix, begin, floor, found[1], 0, rows)
    return [values[:rows, : len(bias)] for values in found]


@pytest.mark.parametrize("floor", [RELU, LINEAR])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize(
    ("depth", "channels"), [(128, 128), (64, 64), (72, 192), (50, 64), (256, 256), (16, 64), (100, 70)]
)
def test_same_to_the_last_bit_as_tiles(depth, channels, share, floor):
    x, weight, bias = given(depth, channels, share)
    found, expected = both(x, weight, bias, floor)
    np.testing.assert_array_equal(found, expected)
    exact = x[:29, :depth].astype(float) @ weight.T + bias
    inputs = [torch.from_numpy(values).float() for values in (x[:29, :depth], weight, bias)]
    assert deviation(torch.from_numpy(found), np.maximum(exact, floor)) <= rounding(torch.nn.functional.linear, *inputs)


def test_what_stands_behind_the_channels_is_not_read():
    x, weight, bias = given(64, 64, 0.2)
    wide = np.full((len(x), 128), np.nan, np.float32)
    wide[:, :64] = x
    np.testing.assert_array_equal(both(wide, weight, bias, RELU), both(x, weight, bias, RELU))


def test_nan_and_infinity_stay_in_their_rows():
    x, weight, bias = given(128, 128, 0.4)
    plain, _ = both(x, weight, bias, RELU)
    x[3, 5], x[17, 127] = np.nan, np.inf
    found, expected = both(x, weight, bias, RELU)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[3]).all()
    others = np.delete(np.arange(29), [3, 17])
    np.testing.assert_array_equal(found[others], plain[others])


@pytest.mark.parametrize("width", [128, 192, 256, 100])
def test_sums_over_the_rows_of_a_column(width):
    """Broad blocks add in the order of single ones, and as exact sums do."""
    rng, rows, depth = np.random.default_rng(width), 60, 5
    x = (rng.normal(0, 1, (rows, depth)) * (rng.random((rows, depth)) < 0.5)).astype(np.float32)
    right, before = (rng.normal(0, 1, size).astype(np.float32) for size in ((rows, 256), (depth, 256)))
    bits = np.array([sum(1 << r for r in range(rows) if x[r, k] != 0) for k in range(depth)], np.uint64)
    whole, parts = before.copy(), before.copy()
    for k in range(depth):
        add_sparse_row(bits, k, x, right, width, whole, k * 256)
        for first in range(0, width, 64):
            part = np.ascontiguousarray(right[:, first : first + 64])
            add_sparse_row(bits, k, x, part, min(64, width - first), parts, k * 256 + first)
    np.testing.assert_array_equal(whole, parts)
    exact = before + x.T.astype(float) @ right
    # each of at most 61 additions rounds a sum of terms no larger than all of them together
    bound = 61 * 2.0**-24 * (abs(before) + abs(x.T).astype(float) @ abs(right))
    assert (abs(whole - exact) <= bound)[:, :width].all()
    np.testing.assert_array_equal(whole[:, 128 * -(-width // 128) :], before[:, 128 * -(-width // 128) :])


def test_other_registers():
    with_avx2(
        "import sys; sys.path[:0] = ['tests', 'tests/kernels/common']\n"
        "import test_sparse_layer as test\n"
        "from coffea_equitag.kernels.common.cpu.wide_dense import block_of\n"
        "assert block_of(72) == 16\n"
        "test.test_same_to_the_last_bit_as_tiles(256, 128, 0.4, test.RELU)\n"
    )
