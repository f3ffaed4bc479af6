from __future__ import annotations

import pytest
import torch

from coffea_equitag.invariants.neighbours import nearest
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.edge_conv import EdgeConv


def make(in_features=5, n_pair=0, counts=(4, 1, 0, 6), k=3):
    torch.manual_seed(0)
    block = EdgeConv(in_features, (7, 7, 5), n_pair).double()
    for norm in block.norms:
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
    x = torch.randn(sum(counts), in_features, dtype=torch.float64)
    edges = nearest(x, boundaries(torch.tensor(counts, dtype=torch.int64)), k)
    pair = torch.randn(len(edges.sender), n_pair, dtype=torch.float64) if n_pair else None
    return block, x, edges, pair


@pytest.mark.parametrize("in_features", [3, 5])
@pytest.mark.parametrize("n_pair", [0, 2])
@pytest.mark.parametrize("training", [False, True])
def test_equals_the_paper_edge_by_edge(in_features, n_pair, training):
    block, x, edges, pair = make(in_features, n_pair)
    block.train(training)
    own, other = x[edges.receiver], x[edges.sender]
    message = torch.cat([own, other - own] + ([] if pair is None else [pair]), dim=1)
    expected = []
    reference = make(in_features, n_pair)[0].train(training)
    for linear, norm in zip(reference.linears, reference.norms, strict=True):
        message = torch.relu(norm(linear(message)))
    shortcut = reference.shortcut(x)
    for i in range(len(x)):
        mine = message[edges.receiver == i]
        expected.append(torch.relu(shortcut[i] + (mine.mean(0) if len(mine) else 0)))
    torch.testing.assert_close(block(x, edges, pair), torch.stack(expected), rtol=1e-12, atol=1e-12)
    for norm, kept in zip(block.norms, reference.norms, strict=True):
        torch.testing.assert_close(norm.running_var, kept.running_var)


@pytest.mark.parametrize("in_features", [3, 5])
@pytest.mark.parametrize("n_pair", [0, 2])
@pytest.mark.parametrize("training", [False, True])
def test_gradcheck(in_features, n_pair, training):
    block, x, edges, pair = make(in_features, n_pair, counts=(3, 1))
    block.train(training)
    given = (x.requires_grad_(), *(() if pair is None else (pair.requires_grad_(),)))

    def run(x, *rest):
        return block(x, edges, rest[0] if n_pair else None)

    assert torch.autograd.gradcheck(run, (*given, *block.parameters()))


@pytest.mark.parametrize("counts", [(), (0, 0), (1,), (1, 0, 1)])
@pytest.mark.parametrize("n_pair", [0, 2])
def test_no_edges(counts, n_pair):
    block, x, edges, pair = make(n_pair=n_pair, counts=counts)
    out = block.train()(x, edges, pair)
    # without neighbours only the shortcut remains
    assert torch.equal(out, torch.relu(x))
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in block.parameters() if p.grad is not None)
