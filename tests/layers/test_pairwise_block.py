from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.invariants.pair_scalars import PAIRWISE
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers import LorentzState, Pairs, psi
from coffea_equitag.layers.pairwise_block import PairwiseBlock
from coffea_equitag.testing import assert_lorentz_invariant

METRIC = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)


def scalar(kind, a, b):
    """The scalar of one pair, from its definition."""
    if kind == "mass":
        return ((a + b) ** 2 * METRIC).sum()
    if kind == "energy":
        return a[0] + b[0]
    pt_a, pt_b = torch.hypot(a[1], a[2]), torch.hypot(b[1], b[2])
    d_phi = torch.atan2(a[2], a[1]) - torch.atan2(b[2], b[1])
    d_phi = torch.atan2(d_phi.sin(), d_phi.cos())
    delta_r = torch.hypot(torch.asinh(a[3] / pt_a) - torch.asinh(b[3] / pt_b), d_phi)
    return delta_r * (pt_a + pt_b) if kind == "delta_r_pt" else delta_r


def edge_list_block(block, h, x, scalars, counts):
    h_out, x_out, at = [], [], 0
    for n in counts:
        for i in range(at, at + n):
            total, step = h.new_zeros(h.shape[1]), x.new_zeros(4)
            for j in range(at, at + n):
                if i == j:
                    continue
                seen = [] if block.pairwise is None else [psi(scalar(block.pairwise, x[i], x[j]))[None]]
                m = block.phi_e(torch.cat([h[i], h[j], *seen])[None])[0]
                m = m * block.phi_m(m[None])[0]
                total = total + m
                step = step + (x[i] - x[j]) * block.phi_x(m[None])[0]
            h_out.append(h[i] + block.phi_h(torch.cat([h[i], total, scalars[i]])[None])[0])
            x_out.append(x[i] + block.c_weight * step / max(n - 1, 1))
        at += n
    return torch.stack(h_out), torch.stack(x_out)


def products(x, counts):
    blocks = [part @ (part * METRIC).T for part in x.split(list(counts))]
    return torch.cat([block.flatten() for block in blocks]) if blocks else x.new_zeros(0)


def make(kind, counts=(3, 1, 4), n=2):
    torch.manual_seed(0)
    blocks = torch.nn.ModuleList(PairwiseBlock(5, 2, c_weight=0.3, pairwise=kind) for _ in range(n)).double().eval()
    for block in blocks:
        block.phi_x[2].weight.data *= 3000
    total = sum(counts)
    h, scalars = torch.randn(total, 5, dtype=torch.float64), torch.randn(total, 2, dtype=torch.float64)
    x = torch.randn(total, 4, dtype=torch.float64) * 3
    return blocks, h, x, scalars, counts, Pairs.of(boundaries(torch.tensor(counts, dtype=torch.int64)))


@pytest.mark.parametrize("kind", [None, *PAIRWISE])
def test_equals_the_paper_edge_by_edge(kind):
    blocks, h, x, scalars, counts, pairs = make(kind)
    state, expected_h, expected_x = LorentzState(h, products(x, counts), x), h, x
    for block in blocks:
        state = block(state, scalars, pairs)
        expected_h, expected_x = edge_list_block(block, expected_h, expected_x, scalars, counts)
    torch.testing.assert_close(state.h, expected_h, rtol=1e-9, atol=1e-9)
    if kind == "mass":
        torch.testing.assert_close(state.gram, products(expected_x, counts), rtol=1e-9, atol=1e-9)
    else:
        torch.testing.assert_close(state.x, x if kind is None else expected_x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [None, *PAIRWISE])
def test_gradcheck(kind):
    blocks, h, x, scalars, counts, pairs = make(kind, counts=(2, 2))

    def run(h, *weights):
        state = LorentzState(h, products(x, counts), x)
        for block in blocks:
            state = block(state, scalars, pairs)
        return state.h

    weights = [p for p in blocks.parameters() if p.requires_grad]
    assert torch.autograd.gradcheck(run, (h.requires_grad_(), *weights))


@pytest.mark.parametrize("kind", [None, *PAIRWISE])
@pytest.mark.parametrize("counts", [(), (0, 0), (1,), (0, 1, 0)])
def test_no_pairs(kind, counts):
    blocks, h, x, scalars, counts, pairs = make(kind, counts)
    state = blocks[0].train()(LorentzState(h, products(x, counts), x), scalars, pairs)
    assert state.h.shape == h.shape
    assert torch.isfinite(state.h).all()


def function(kind):
    """Two blocks whose nodes start from their masses only."""
    blocks = make(kind)[0]

    def run(jets):
        jets = RaggedJets.from_awkward(jets)
        pairs, start = Pairs.of(jets.offsets), psi(jets.mass)[:, None]
        state = LorentzState(start.repeat(1, 5), gram(jets), jets.p4)
        for block in blocks:
            state = block(state, start.repeat(1, 2), pairs)
        return state.h

    return run


def test_pairwise_mass_is_lorentz_invariant_and_the_others_are_not(random_jets):
    jets = random_jets([9, 4, 1])
    assert_lorentz_invariant(function("mass"), jets, tolerance=1e-9)
    for kind in ("delta_r", "delta_r_pt", "energy"):
        with pytest.raises(AssertionError, match="Lorentz symmetry: outputs moved"):
            assert_lorentz_invariant(function(kind), jets, gammas=(2,))


def test_unknown_pair_scalar():
    with pytest.raises(eqt.TaggerError, match="pairwise = 'angle'"):
        PairwiseBlock(4, 2, c_weight=1.0, pairwise="angle")
