"""A fingerprint tells any two states of memory apart."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag.kernels.common.cpu.fingerprint import fingerprint


def of(*arrays):
    addresses = np.array([array.ctypes.data for array in arrays], np.int64)
    return fingerprint(addresses, np.array([array.nbytes for array in arrays], np.int64)).tobytes()


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=1500).astype(np.float32)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 127, 128, 129, 1500])
def test_each_bit_counts(values, size):
    array = values[:size].copy()
    seen = {of(array)}
    for at in {0, size // 3, size - 2, size - 1} & set(range(size)):
        for bit in range(32):
            array.view(np.uint32)[at] ^= np.uint32(1 << bit)
            seen.add(of(array))
            array.view(np.uint32)[at] ^= np.uint32(1 << bit)
    assert len(seen) == 1 + 32 * len({0, size // 3, size - 2, size - 1} & set(range(size)))
    assert of(array) in seen


def test_several_signs_at_once(values):
    """The highest bits of words, which no factor mixes with lower ones, of numbers in the same lane and in others."""
    seen, number = {of(values)}, 1
    for places in ([1, 129], [1, 128, 129], [0, 1, 128, 129], [1, 257], [1, 3], slice(None), slice(None, None, 2)):
        other = values.copy()
        other[places] *= -1
        seen.add(of(other))
        number += 1
    assert len(seen) == number


def test_order_and_place_count(values):
    first, second = values[:200].copy(), values[200:400].copy()
    other = first.copy()
    other[[5, 133]] = other[[133, 5]]
    found = [of(first, second), of(second, first), of(other, second), of(first[::-1].copy(), second), of(first)]
    assert len({*found}) == len(found)
    buffer = np.zeros(801, np.uint8)
    for shift in (0, 1):
        unaligned = buffer[shift : shift + 800]
        unaligned[:] = first.view(np.uint8)
        assert of(unaligned, second) == found[0]


def test_nan_is_like_itself(values):
    values[7] = np.nan
    assert of(values) == of(values.copy())
