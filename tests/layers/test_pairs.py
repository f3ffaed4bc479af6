from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers import Pairs


@given(st.lists(st.integers(0, 6), max_size=8))
def test_lists_every_ordered_pair_once(counts):
    offsets = boundaries(torch.tensor(counts, dtype=torch.int64))
    pairs = Pairs.of(offsets)
    expected, square, diagonal, at = [], [], [], 0
    for jet, n in enumerate(counts):
        start = int(offsets[jet])
        for i in range(n):
            for j in range(n):
                if i == j:
                    diagonal.append(at)
                else:
                    expected.append((start + i, start + j))
                    square.append(at)
                at += 1
    assert list(zip(pairs.receiver.tolist(), pairs.sender.tolist(), strict=True)) == expected
    assert pairs.place.tolist() == square
    assert pairs.diagonal.tolist() == diagonal
    assert (
        pairs.offsets.tolist()
        == boundaries(torch.tensor([n - 1 for n in counts for _ in range(n)] or [0])[: sum(counts)]).tolist()
    )


@given(st.lists(st.integers(0, 5), max_size=6))
def test_similarity_is_s_g_st_in_each_jet(counts):
    pairs = Pairs.of(boundaries(torch.tensor(counts, dtype=torch.int64)))
    size = sum(n * n for n in counts)
    generator = torch.Generator().manual_seed(0)
    s, g = (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(2))
    out, at = pairs.similarity(s, g), 0
    assert len(out) == size
    for n in counts:
        block = slice(at, at + n * n)
        a, b = s[block].view(n, n), g[block].view(n, n)
        torch.testing.assert_close(out[block].view(n, n), a @ b @ a.T)
        at += n * n
