"""Dense layers in bf16, by register tiles, against products of the rounded numbers in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from coffea_equitag.kernels.common.cpu.bf16 import pairs_of
from coffea_equitag.kernels.common.cpu.folding import blocks, padded
from coffea_equitag.kernels.common.cpu.wide_dense import LINEAR, MARGIN, RELU, layer, sum_row
from kernel_forms import needs_bf16

pytestmark = needs_bf16


def words(values):
    """Numbers rounded to bf16 by torch, in words of 16 bits."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).bfloat16().view(torch.int16).numpy().view("u2")


def numbers(values):
    return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16).double().numpy()


@pytest.mark.parametrize(("depth", "width"), [(64, 64), (32, 32), (33, 64), (1, 32), (20, 96), (128, 256), (7, 5)])
def test_a_layer_is_exact_but_for_its_sums(depth, width):
    rng, rows = np.random.default_rng(depth + width), 29
    even = depth + depth % 2
    x = np.zeros((rows + MARGIN + 2, even), np.float32)
    x[:, :depth] = rng.normal(size=(len(x), depth))
    matrix, bias = rng.normal(size=(width, depth)).astype(np.float32).astype(np.float64), rng.normal(size=width)
    weight, start = pairs_of(blocks(matrix).astype(np.float64)), padded(bias)
    x_words = words(x)
    exact = numbers(x_words)[:, :depth] @ numbers(words(matrix)).T + start[:width]
    # as many roundings of float32 as there are products, of sums no larger than this
    allowed = (even + 2) * 2.0**-24 * (np.abs(numbers(x_words)[:, :depth]) @ np.abs(matrix).T + np.abs(bias)) * 1.01
    for floor, expected in ((LINEAR, exact), (RELU, np.maximum(exact, 0))):
        out = np.full((rows + MARGIN + 3, len(start)), 7, np.float32)
        layer(x_words, 2, even // 2, weight, start, floor, out, 3, rows)
        assert (np.abs(out[3 : rows + 3, :width] - expected[2 : rows + 2]) <= allowed[2 : rows + 2]).all()
        assert (out[:3] == 7).all()
        in_words = np.zeros(out.shape, np.uint16)
        layer(x_words, 2, even // 2, weight, start, floor, in_words, 3, rows)
        assert np.array_equal(in_words[3 : rows + 3], words(out[3 : rows + 3]))


def test_a_row_does_not_depend_on_its_place():
    rng = np.random.default_rng(0)
    x, weight = words(rng.normal(size=(40, 64))), pairs_of(blocks(rng.normal(size=(64, 64))).astype(np.float64))
    together = np.empty((40, 64), np.float32)
    layer(x, 0, 32, weight, padded(np.zeros(64)), LINEAR, together, 0, 40 - MARGIN)
    for row in range(40 - MARGIN):
        alone = np.empty((MARGIN, 64), np.float32)
        layer(x, row, 32, weight, padded(np.zeros(64)), LINEAR, alone, 0, 1)
        assert np.array_equal(alone[0], together[row])


def test_rounding_to_bf16():
    """To nearest, ties to even; infinities and NaN stay what they are."""

    @njit
    def rounded(values, zeros, out):
        sum_row(values, 0, zeros, 0, out, 0)

    rng = np.random.default_rng(1)
    ties = (np.arange(0x3F80, 0x3FC0, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    values = np.concatenate([np.abs(rng.normal(size=94)).astype(np.float32), ties, np.float32([3.4e38, np.inf])])[None]
    out = np.empty((1, 160), np.uint16)
    rounded(values, np.zeros_like(values), out)
    assert np.array_equal(out[0], words(values)[0])
    values[0, :16] = np.nan
    rounded(values, np.zeros_like(values), out)
    assert np.isnan(numbers(out)[0, :16]).all()
    assert np.array_equal(out[0, 16:], words(values)[0, 16:])
