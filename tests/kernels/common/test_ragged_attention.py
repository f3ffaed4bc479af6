"""Ragged attention on the CPU against the layers', with gradients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from arithmetic import assert_same_step, deviation, rounding, rounding_of_step
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.kernels.common.cpu.attention_function import attention, attention_from_jets
from coffea_equitag.kernels.common.cpu.dropout_row import drop_of_probability
from coffea_equitag.kernels.common.dropout import kept_channels, threshold_of
from coffea_equitag.layers.attention import attend, attend_from_jets
from coffea_equitag.layers.squares import Squares
from kernel_forms import needs_vectors, with_avx2

pytestmark = needs_vectors

#: Two jets of more queries than a block has, and numbers of rows around whole vectors.
COUNTS = [0, 1, 2, 15, 16, 17, 0, 100, 33, 130, 1]


def drawn(counts, heads, depth, width, biased):
    """Queries, keys and values, and a bias or none, of jets."""
    torch.manual_seed(0)
    n, pairs = sum(counts), sum(count * count for count in counts)
    bias = [torch.randn(pairs, heads)] if biased else []
    return [torch.randn(n, heads, size) for size in (depth, depth, width)] + bias


def drawn_for_tokens(counts, heads, depth):
    torch.manual_seed(0)
    jets, n = len(counts), sum(counts)
    return [torch.randn(rows, heads, depth) for rows in (jets, jets, n, jets, n)]


def squares_of(counts):
    return Squares.of(boundaries(torch.tensor(counts, dtype=torch.int64)))


def step(function, given, dtype=torch.float32):
    """Outputs, and gradients of all inputs, for gradients that arrive in the outputs."""
    given = [values.to(dtype).clone().requires_grad_() for values in given]
    out = function(*given)
    arriving = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.backward(arriving.to(dtype))
    return out.detach(), {str(k): values.grad for k, values in enumerate(given)}


def assert_same(function, reference, given):
    allowed = rounding_of_step(lambda: step(reference, given))
    assert_same_step(step(function, given), step(reference, given, torch.float64), allowed)


@pytest.mark.parametrize(("heads", "depth", "width", "scale"), [(8, 16, 16, None), (2, 28, 20, 0.3), (3, 5, 7, None)])
@pytest.mark.parametrize("biased", [False, True])
def test_as_the_layer(heads, depth, width, scale, biased):
    squares = squares_of(COUNTS)

    def reference(q, k, v, bias=None):
        return attend(q, k, v, squares, bias, scale=scale)

    def kernel(q, k, v, bias=None):
        return attention(q, k, v, squares.offsets, bias, scale=scale)

    assert_same(kernel, reference, drawn(COUNTS, heads, depth, width, biased))


def test_from_jets_as_the_layer():
    squares = squares_of(COUNTS)

    def reference(q, own_k, k, own_v, v):
        return attend_from_jets(q, (own_k, k), (own_v, v), squares)

    def kernel(q, own_k, k, own_v, v):
        return attention_from_jets(q, (own_k, k), (own_v, v), squares.offsets)

    assert_same(kernel, reference, drawn_for_tokens(COUNTS, 8, 16))


@pytest.mark.parametrize("biased", [False, True])
def test_dropout_as_its_hash_says(biased):
    counts, heads, drop = [3, 0, 40, 17], 4, drop_of_probability(0.3, 2**62 + 12345)
    squares = squares_of(counts)
    kept = kept_channels(drop.key, np.arange(squares.num_pairs), heads, threshold_of(0.3))
    assert abs(kept.mean() - 0.7) < 0.02
    blocks = [*squares.blocks(torch.from_numpy(kept))]

    def reference(q, k, v, bias=None):
        """One jet at a time."""
        biases = [0.0] * len(blocks) if bias is None else [b.permute(0, 3, 1, 2) for b in squares.blocks(bias)]
        rows = zip(*(squares.rows(x.flatten(1)) for x in (q, k, v)), biases, blocks, strict=True)
        out = []
        for *qkv, b, block in rows:
            q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in qkv)
            weights = torch.softmax(q @ k.mT * q.shape[3] ** -0.5 + b, 3) * block.permute(0, 3, 1, 2) / 0.7
            out.append((weights @ v).transpose(1, 2).flatten(0, 1))
        return torch.cat(out)

    def kernel(q, k, v, bias=None):
        return attention(q, k, v, squares.offsets, bias, drop=drop)

    assert_same(kernel, reference, drawn(counts, heads, 16, 16, biased))


def test_however_the_tensors_lie():
    offsets = squares_of(COUNTS).offsets
    q, k, v, bias = drawn(COUNTS, 8, 16, 16, True)
    expected = step(lambda *given: attention(*given[:3], offsets, given[3]), (q, k, v, bias))
    packed = torch.stack([q, k, v], 1)
    turned = step(lambda qkv, bias: attention(*qkv.unbind(1), offsets, bias.T), (packed, bias.T.contiguous()))
    spread = step(
        lambda *given: attention(*(x.transpose(1, 2) for x in given[:3]), offsets, given[3]),
        (*(x.transpose(1, 2).contiguous() for x in (q, k, v)), bias),
    )
    assert torch.equal(turned[0], expected[0])
    assert torch.equal(turned[1]["0"], torch.stack([expected[1][name] for name in "012"], 1))
    assert torch.equal(turned[1]["1"].T, expected[1]["3"])
    assert torch.equal(spread[0], expected[0])
    assert torch.equal(spread[1]["1"].transpose(1, 2), expected[1]["1"])


def test_a_jet_has_its_own_bits():
    counts = [40, 0, 7, 130, 64, 90, 31, 100, 55]
    q, k, v, bias = drawn(counts, 8, 16, 16, True)
    offsets = squares_of(counts).offsets
    pairs = [0, *np.cumsum(np.square(counts)).tolist()]
    together = step(lambda *given: attention(*given[:3], offsets, given[3]), (q, k, v, bias))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threads = step(lambda *given: attention(*given[:3], offsets, given[3]), (q, k, v, bias))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(threads[0], together[0])
    assert all(torch.equal(threads[1][name], gradient) for name, gradient in together[1].items())
    for jet, n in enumerate(counts):
        rows, block = slice(*offsets[jet : jet + 2].tolist()), slice(pairs[jet], pairs[jet + 1])
        alone = attention(q[rows], k[rows], v[rows], torch.tensor([0, n]), bias[block])
        assert torch.equal(alone, together[0][rows])


def test_extreme_scores_and_nan():
    counts = [3, 20, 20]
    q, k, v, bias = drawn(counts, 8, 16, 16, True)
    squares, clean = squares_of(counts), slice(23, None)
    calm = attention(q, k, v, squares.offsets, bias)
    with np.errstate(invalid="ignore"):
        q[5, 2, 3], bias[9 + 400 - 1, 1], bias[:3, 0] = torch.nan, torch.nan, -torch.inf
        bias[3, 0], k[2] = 1e30, -1e20
        found = attention(q, k, v, squares.offsets, bias)
    expected = attend(*(given.double() for given in (q, k, v)), squares, bias.double())
    assert torch.equal(found.isnan(), expected.isnan())
    assert found.isnan().any()
    assert torch.equal(found[clean], calm[clean])
    allowed = expected.isfinite()
    bound = rounding(lambda *given: attend(*given[:3], squares, given[3])[allowed], q, k, v, bias)
    assert deviation(found[allowed], expected[allowed]) <= bound
    nothing_seen = torch.full_like(bias, -torch.inf)
    assert attention(q, k, v, squares.offsets, nothing_seen).isnan().all()


@pytest.mark.parametrize("counts", [[], [0], [0, 0]])
def test_no_constituents(counts):
    offsets = squares_of(counts).offsets
    out, gradients = step(partial(attention, offsets=offsets), drawn(counts, 8, 16, 16, False))
    assert out.shape == (0, 8, 16)
    assert all(gradient.shape == (0, 8, 16) for gradient in gradients.values())
    given = drawn_for_tokens(counts, 8, 16)
    out, _ = step(lambda q, a, k, b, v: attention_from_jets(q, (a, k), (b, v), offsets), given)
    torch.testing.assert_close(out, given[3])


def test_with_avx2():
    with_avx2("""
import sys
import torch
sys.path.insert(0, "tests/kernels/common")
import test_ragged_attention as tests
tests.test_as_the_layer(8, 16, 16, None, True)
tests.test_as_the_layer(3, 5, 7, None, False)
""")
