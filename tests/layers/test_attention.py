"""Ragged attention against torch's own, one jet at a time."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.attention import Attention, attend, attend_from_jets
from coffea_equitag.layers.squares import Squares

COUNTS = [0, 1, 1, 5, 5, 3, 0, 9]


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def squares():
    torch.manual_seed(0)
    return Squares.of(boundaries(torch.tensor(COUNTS)))


def jets(squares):
    """Of each jet: its rows, and its block of the square layout."""
    at = 0
    for first, n in zip(squares.offsets[:-1].tolist(), squares.counts.tolist(), strict=True):
        yield slice(first, first + n), slice(at, at + n * n), n
        at += n * n


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_as_torch_of_each_jet(squares, biased, scale):
    q, k, v = drawn(squares.num_nodes, 2, 3), drawn(squares.num_nodes, 2, 3), drawn(squares.num_nodes, 2, 4)
    bias = drawn(squares.num_pairs, 2) if biased else None
    found = attend(q, k, v, squares, bias, scale=scale)
    assert found.shape == v.shape
    for rows, pairs, n in jets(squares):
        mask = None if bias is None else bias[pairs].view(n, n, 2).permute(2, 0, 1)
        each = [values[rows].transpose(0, 1) for values in (q, k, v)]
        if n:
            expected = torch.nn.functional.scaled_dot_product_attention(*each, mask, scale=scale)
            torch.testing.assert_close(found[rows], expected.transpose(0, 1), rtol=1e-12, atol=1e-12)


def test_from_jets_as_torch(squares):
    n_jets = len(COUNTS)
    q, own_k, own_v = drawn(n_jets, 2, 3), drawn(n_jets, 2, 3), drawn(n_jets, 2, 3)
    k, v = drawn(squares.num_nodes, 2, 3), drawn(squares.num_nodes, 2, 3)
    found = attend_from_jets(q, (own_k, k), (own_v, v), squares)
    for jet, (rows, _, _) in enumerate(jets(squares)):
        keys, values = (torch.cat([a[jet : jet + 1], b[rows]]).transpose(0, 1) for a, b in ((own_k, k), (own_v, v)))
        expected = torch.nn.functional.scaled_dot_product_attention(q[jet, :, None], keys, values)[:, 0]
        torch.testing.assert_close(found[jet], expected, rtol=1e-12, atol=1e-12)


def test_large_scores_do_not_overflow(squares):
    q, k, v = (drawn(squares.num_nodes, 1, 2) for _ in range(3))
    assert torch.isfinite(attend(q * 1e4, k, v, squares)).all()
    one = drawn(len(COUNTS), 1, 2)
    assert torch.isfinite(attend_from_jets(one * 1e4, (one, k), (one, v), squares)).all()


def test_gradients():
    squares = Squares.of(boundaries(torch.tensor([0, 1, 3, 3])))
    q, k, v, bias = drawn(7, 2, 2), drawn(7, 2, 2), drawn(7, 2, 3), drawn(squares.num_pairs, 2)
    torch.autograd.gradcheck(lambda *given: attend(*given[:3], squares, given[3]), (q, k, v, bias))
    jq, jk, jv, v = drawn(4, 2, 2), drawn(4, 2, 2), drawn(4, 2, 2), drawn(7, 2, 2)
    torch.autograd.gradcheck(
        lambda *given: attend_from_jets(given[0], given[1:3], given[3:], squares), (jq, jk, k, jv, v)
    )


def test_module_as_torch(squares):
    ours, theirs = Attention(6, 3).double(), torch.nn.MultiheadAttention(6, 3, batch_first=True).double()
    theirs.in_proj_weight, theirs.in_proj_bias = ours.in_proj.weight, ours.in_proj.bias
    theirs.out_proj = ours.out_proj
    x, tokens, query = drawn(squares.num_nodes, 6), drawn(len(COUNTS), 6), drawn(len(COUNTS), 6)
    found, pooled = ours(x, squares), ours.from_tokens(query, tokens, x, squares)
    for jet, (rows, _, n) in enumerate(jets(squares)):
        both = torch.cat([tokens[jet : jet + 1], x[rows]])
        expected = theirs(query[jet : jet + 1], both, both, need_weights=False)[0]
        torch.testing.assert_close(pooled[jet : jet + 1], expected, rtol=1e-12, atol=1e-12)
        if n:
            expected = theirs(x[rows], x[rows], x[rows], need_weights=False)[0]
            torch.testing.assert_close(found[rows], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("counts", [[], [0], [0, 0]])
def test_no_constituents(counts):
    squares = Squares.of(boundaries(torch.tensor(counts, dtype=torch.int64)))
    layer = Attention(4, 2)
    assert layer(torch.empty(0, 4), squares).shape == (0, 4)
    tokens = torch.randn(len(counts), 4)
    pooled = layer.from_tokens(tokens, tokens, torch.empty(0, 4), squares)
    assert pooled.shape == (len(counts), 4)
    assert torch.isfinite(pooled).all()
    pooled.sum().backward()


def test_dropout_while_training_alone(squares):
    layer, x = Attention(4, 2, dropout=0.5).double(), drawn(squares.num_nodes, 4)
    tokens = drawn(len(COUNTS), 4)
    assert not torch.equal(layer(x, squares), layer(x, squares))
    assert not torch.equal(*(layer.from_tokens(tokens, tokens, x, squares) for _ in range(2)))
    assert torch.equal(layer.eval()(x, squares), layer(x, squares))
