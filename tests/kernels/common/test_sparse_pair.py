"""Two rows at a time give what each gives alone, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag.compiled import njit
from coffea_equitag.kernels.common.cpu.sparse import bits_of_row, hidden_row, linear_row
from coffea_equitag.kernels.common.cpu.sparse_pair import hidden_pair, linear_pair
from kernel_forms import needs_vectors

pytestmark = needs_vectors


@njit
def _products(x, weight, bias, vector, out, dots, kept, pairs):
    channels, words = x.shape[1], x.shape[1] // 16
    bits = np.zeros(len(x) * words + 4, np.uint16)
    for row in range(len(x)):
        bits_of_row(x, row * channels, words, bits, row * words)
    for row in range(0, len(x), 2):
        at = row * channels
        if pairs:
            hidden_pair(bits, row * words, words, x, at, 1, channels, weight, bias, 0, 0, out, at, vector, dots, row,
                        kept, row * words, channels)  # fmt: skip
        else:
            for one in (row, row + 1):
                here = one * channels
                dots[one] = hidden_row(bits, one * words, words, x, here, 1, weight, 0, channels, bias, 0, out, here,
                                       vector, 0, kept, one * words, channels, dots[one])  # fmt: skip


@njit
def _sums(x, weight, out, pairs):
    channels, words = x.shape[1], x.shape[1] // 16
    bits = np.zeros(len(x) * words + 4, np.uint16)
    for row in range(len(x)):
        bits_of_row(x, row * channels, words, bits, row * words)
    for row in range(0, len(x), 2):
        at = row * channels
        if pairs:
            linear_pair(bits, row * words, words, x, at, 1, channels, weight, out, at, channels, out, at, out, out, 0,
                        bits, 0, channels)  # fmt: skip
        else:
            for one in (row, row + 1):
                here = one * channels
                linear_row(bits, one * words, words, x, here, 1, weight, 0, channels, out, here, out, here, out, 0,
                           bits, 0, channels, np.float32(0))  # fmt: skip


@pytest.mark.parametrize("channels", [16, 32])
def test_two_rows_are_each_alone(channels):
    generator = np.random.default_rng(5)
    x = np.maximum(generator.normal(size=(6, channels)), 0).astype(np.float32)
    x[2], x[4, 1:] = 0, 0
    weight = generator.normal(size=(channels, channels)).astype(np.float32)
    bias, vector = generator.normal(size=(2, channels)).astype(np.float32)
    found = []
    for pairs in (True, False):
        out, dots, kept = np.zeros_like(x), np.ones(6, np.float32), np.zeros(6 * channels // 16 + 4, np.uint16)
        _products(x, weight, bias, vector, out, dots, kept, pairs)
        sums = np.repeat(bias[None], 6, axis=0)
        _sums(x, weight, sums, pairs)
        found.append((out, dots, kept, sums))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    expected = np.maximum(x.astype(np.float64) @ weight + bias, 0)
    np.testing.assert_allclose(
        found[0][0], expected, rtol=0, atol=channels * 2**-23 * (1 + np.abs(x) @ np.abs(weight)).max()
    )
