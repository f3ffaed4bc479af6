"""Ragged attention on a GPU, or in Triton's interpreter (see test_gpu_interpreter), against the layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import FACTOR, assert_same_step, deviation, rounding_of_step
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.kernels.common.dropout import kept_channels, threshold_of
from coffea_equitag.layers import attention as layer
from coffea_equitag.layers.squares import Squares
from gpu import DEVICE, INTERPRETED, needs_gpu

pytestmark = needs_gpu

#: Two tiles of queries and of keys, one, one row, none.
COUNTS = [70, 5, 0, 1] if INTERPRETED else [200, 64, 65, 5, 0, 1, 30]


def rows_of(counts, heads=2, depth=5, width=7, seed=0):
    """Offsets; queries, keys, values and a bias (Q, H)."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(counts, dtype=torch.int64)
    nodes, pairs = int(counts.sum()), int(counts.square().sum())
    shapes = (nodes, heads, depth), (nodes, heads, depth), (nodes, heads, width), (pairs, heads)
    return boundaries(counts).to(DEVICE), [2 * torch.randn(shape, generator=generator).to(DEVICE) for shape in shapes]


def by_heads(bias_QH, offsets):
    """The bias as kernels want it: jet after jet a block (H, n, n)."""
    blocks = torch.split(bias_QH, offsets.diff().square().tolist())
    return torch.cat([block.T.reshape(-1) for block in blocks]) if blocks else bias_QH.reshape(-1)


def attend(offsets, q, k, v, bias=None, **keywords):
    from coffea_equitag.kernels.common.gpu.attention_function import ATTENTION_ROWS, attention
    from coffea_equitag.kernels.common.gpu.tiles import Tiles

    return attention(
        q, k, v, Tiles.of(offsets, ATTENTION_ROWS), None if bias is None else by_heads(bias, offsets), **keywords
    )


def reference(offsets, q, k, v, bias=None, scale=None):
    return layer.attend(q, k, v, Squares.of(offsets), bias, scale=scale)


def step(function, offsets, rows, **keywords):
    """Outputs, and gradients of a loss that tells them apart."""
    names = ("query", "key", "value", "bias")
    rows = {name: values.detach().clone().requires_grad_() for name, values in zip(names, rows, strict=False)}
    out = function(offsets, *rows.values(), **keywords)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view(out.shape)
    (out * weights).sum().backward()
    return out.detach(), {name: values.grad for name, values in rows.items()}


def assert_agrees(offsets, rows, expected=reference, given=None, **keywords):
    found = step(attend, offsets, rows, **keywords | (given or {}))
    allowed = rounding_of_step(lambda: step(expected, offsets, rows, **keywords))
    assert_same_step(
        found, step(expected, offsets, [values.double() for values in rows], **keywords), allowed, zeros_for_none=True
    )


@pytest.mark.parametrize("biased", [True, False])
def test_agrees_with_the_layers(biased):
    offsets, rows = rows_of(COUNTS)
    assert_agrees(offsets, rows if biased else rows[:3], scale=None if biased else 0.3)


@pytest.mark.parametrize("counts", [[], [0], [0, 0], [1, 1, 0]])
def test_few_constituents(counts):
    assert_agrees(*rows_of(counts))


def test_columns_of_wider_rows_are_not_copied():
    offsets, _ = rows_of([6, 3])
    packed = torch.randn(9, 3, 2, 4, device=DEVICE)
    q, k, v = packed.unbind(1)
    assert torch.equal(attend(offsets, q, k, v), attend(offsets, q.clone(), k.clone(), v.clone()))
    turned = packed.mT.contiguous().mT
    assert torch.equal(attend(offsets, *turned.unbind(1)), attend(offsets, q, k, v))


def test_rows_depend_on_their_own_jet_alone():
    offsets, (q, k, v, bias) = rows_of(COUNTS)
    together = attend(offsets, q, k, v, bias)
    ends = boundaries(offsets.diff().square()).tolist()
    for jet, (start, stop) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        alone = torch.tensor([0, stop - start], device=DEVICE)
        own = [values[start:stop] for values in (q, k, v)]
        assert torch.equal(attend(alone, *own, bias[ends[jet] : ends[jet + 1]]), together[start:stop])


def test_nan_stays_in_its_jet():
    offsets, rows = rows_of([4, 3, 2])
    clean = attend(offsets, *rows)
    rows[1][5, 0, 0] = torch.nan
    found = attend(offsets, *rows)
    assert torch.isnan(found[4:7, 0]).all()
    assert torch.equal(found[4:7, 1], clean[4:7, 1])
    assert torch.equal(found[[0, 1, 2, 3, 7, 8]], clean[[0, 1, 2, 3, 7, 8]])


def test_large_scores():
    offsets, (q, k, v, bias) = rows_of([5])
    found = attend(offsets, 100 * q, 100 * k, v, bias)
    assert deviation(found, reference(offsets, 100 * q, 100 * k, v, bias)) < 1e-2
    assert torch.isfinite(found).all()


def test_drops_what_the_hash_says():
    from coffea_equitag.kernels.common.gpu.ragged_attention import Drop

    offsets, rows = rows_of([70, 0, 4] if INTERPRETED else COUNTS)
    probability, key, squares = 0.3, 2**62 + 12345, Squares.of(offsets)
    kept = kept_channels(key, np.arange(squares.num_pairs), 2, threshold_of(probability))
    factor_QH = torch.from_numpy(kept).double().to(DEVICE) / (1 - probability)

    def masked(offsets, q, k, v, bias):
        found = []
        flat = [squares.rows(values.flatten(1)) for values in (q, k, v)]
        for *runs, b_BijH, factor_BijH in zip(*flat, squares.blocks(bias), squares.blocks(factor_QH), strict=True):
            a, b, c = (run.unflatten(2, (2, -1)).transpose(1, 2) for run in runs)
            weight = torch.softmax(a @ b.mT / q.shape[2] ** 0.5 + b_BijH.permute(0, 3, 1, 2), dim=3)
            found.append((weight * factor_BijH.permute(0, 3, 1, 2).to(q) @ c).transpose(1, 2).flatten(0, 1))
        return torch.cat(found)

    assert_agrees(offsets, rows, masked, given={"drop": Drop(probability, key)})


@pytest.mark.parametrize(("precision", "roundoffs"), [("ieee", 1), ("tf32", 2**13), ("bf16", 2**16)])
def test_precision_of_choice(monkeypatch, precision, roundoffs):
    offsets, rows = rows_of([9, 3])
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    found, expected = step(attend, offsets, rows), step(reference, offsets, [values.double() for values in rows])
    for one, exact in zip((found[0], *found[1].values()), (expected[0], *expected[1].values()), strict=True):
        # scores of 10 or so
        assert deviation(one.double(), exact) <= roundoffs * FACTOR * 10 * 2.0**-24
