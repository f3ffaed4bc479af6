from __future__ import annotations

import pytest
import torch

from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers import LorentzBlock, LorentzState, Pairs, psi

METRIC = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)


def products(x, counts):
    blocks, at = [], 0
    for n in counts:
        block = x[at : at + n]
        blocks.append((block @ (block * METRIC).T).flatten())
        at += n
    return torch.cat(blocks)


def edge_list_block(block, h, x, scalars, counts):
    """The block as in the paper: explicit edges, explicit coordinates (eqs. 3.1-3.4)."""
    h_out, x_out, at = [], [], 0
    for n in counts:
        for i in range(at, at + n):
            total, step = h.new_zeros(h.shape[1]), x.new_zeros(4)
            for j in range(at, at + n):
                if i == j:
                    continue
                difference = x[i] - x[j]
                norm, dot = (difference**2 * METRIC).sum(), (x[i] * x[j] * METRIC).sum()
                edge = torch.cat([h[i], h[j], psi(norm)[None], psi(dot)[None]])
                m = block.phi_e(edge[None])[0]
                m = m * block.phi_m(m[None])[0]
                total = total + m
                if block.phi_x is not None:
                    move = difference * block.phi_x(m[None])[0]
                    if block.clamp is not None:
                        move = move.clamp(-block.clamp, block.clamp)
                    step = step + move
            h_out.append(h[i] + block.phi_h(torch.cat([h[i], total, scalars[i]])[None])[0])
            x_out.append(x[i] + block.c_weight * step / max(n - 1, 1))
        at += n
    return torch.stack(h_out), torch.stack(x_out)


def make(clamp=None, last=False, counts=(3, 1, 4), gain=30.0):
    torch.manual_seed(0)
    block = LorentzBlock(5, 2, c_weight=0.3, clamp=clamp, last=last).double().eval()
    if block.phi_x is not None:
        block.phi_x[2].weight.data *= gain
    total = sum(counts)
    h, scalars = torch.randn(total, 5, dtype=torch.float64), torch.randn(total, 2, dtype=torch.float64)
    x = torch.randn(total, 4, dtype=torch.float64) * 10
    return block, h, x, scalars, counts, Pairs.of(boundaries(torch.tensor(counts)))


@pytest.mark.parametrize("clamp", [None, 1e-2, 100.0])
def test_equals_the_paper_edge_by_edge(clamp):
    block, h, x, scalars, counts, pairs = make(clamp, gain=3000.0)
    state = block(LorentzState(h, products(x, counts), x if clamp else None), scalars, pairs)
    expected_h, expected_x = edge_list_block(block, h, x, scalars, counts)
    torch.testing.assert_close(state.h, expected_h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.gram, products(expected_x, counts), rtol=1e-10, atol=1e-9)
    if clamp:
        torch.testing.assert_close(state.x, expected_x, rtol=1e-12, atol=1e-12)


def test_last_block_leaves_the_vectors_alone():
    block, h, x, scalars, counts, pairs = make(last=True)
    gram = products(x, counts)
    assert block(LorentzState(h, gram), scalars, pairs).gram is gram
    assert not [name for name, _ in block.named_parameters() if name.startswith("phi_x")]


@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("training", [False, True])
def test_gradcheck(clamp, training):
    block, h, x, scalars, counts, pairs = make(clamp, counts=(2, 3))
    block.train(training)
    h.requires_grad_()

    def run(h, *weights):
        state = block(LorentzState(h, products(x, counts), x if clamp else None), scalars, pairs)
        return state.h, state.gram

    assert torch.autograd.gradcheck(run, (h, *block.parameters()))


def test_no_nodes_and_single_nodes():
    block, h, x, scalars, _, _ = make()
    for counts in ([], [0, 0], [1], [0, 1, 0]):
        total = sum(counts)
        pairs = Pairs.of(boundaries(torch.tensor(counts, dtype=torch.int64)))
        gram = products(x[:total], counts) if total else h.new_zeros(0)
        state = block.train()(LorentzState(h[:total], gram), scalars[:total], pairs)
        assert state.h.shape == (total, 5)
        assert torch.isfinite(state.h).all()
