from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.invariants.pair_scalars import PAIRWISE, pair_scalar
from coffea_equitag.layers import Pairs
from coffea_equitag.testing import assert_lorentz_invariant, assert_so2_invariant, assert_so3_equivariant


def scalars(kind):
    def function(jets):
        jets = RaggedJets.from_awkward(jets)
        pairs = Pairs.of(jets.offsets)
        return pair_scalar(kind, jets.p4, gram(jets), pairs.receiver, pairs.sender, pairs.place, pairs.diagonal)

    return function


def test_against_vector(random_jets):
    jets = random_jets([5, 1, 0, 4])
    pairs = Pairs.of(RaggedJets.from_awkward(jets).offsets)
    p = jets.constituents[[0, 1, 3]]
    flat = np.concatenate([p[k] for k in range(3)])
    a, b = flat[pairs.receiver.numpy()], flat[pairs.sender.numpy()]
    expected = {
        "mass": (a + b).mass ** 2,
        "delta_r": a.deltaR(b),
        "delta_r_pt": a.deltaR(b) * (a.pt + b.pt),
        "energy": (a + b).E,
    }
    for kind in PAIRWISE:
        np.testing.assert_allclose(scalars(kind)(jets), np.asarray(expected[kind]), rtol=1e-9, atol=1e-9)


def test_symmetry_of_each(random_jets):
    jets = random_jets([7, 4])
    assert_lorentz_invariant(scalars("mass"), jets, tolerance=1e-11)
    assert_so3_equivariant(scalars("energy"), jets, tolerance=1e-12)
    for kind in ("delta_r", "delta_r_pt", "energy"):
        assert_so2_invariant(scalars(kind), jets, (0, 0, 1), tolerance=1e-10)
        with pytest.raises(AssertionError, match="Lorentz"):
            assert_lorentz_invariant(scalars(kind), jets, gammas=(2,))


@pytest.mark.parametrize("kind", PAIRWISE)
def test_gradients(kind):
    x = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    gram_Q = torch.randn(16, dtype=torch.float64, requires_grad=True)
    pairs = Pairs.of(torch.tensor([0, 4]))
    index = (pairs.receiver, pairs.sender, pairs.place, pairs.diagonal)
    assert torch.autograd.gradcheck(lambda x, g: pair_scalar(kind, x, g, *index), (x, gram_Q))


def test_gradient_at_one_direction_is_finite():
    x = torch.tensor([[2.0, 1, 1, 1], [4.0, 2, 2, 2]], dtype=torch.float64, requires_grad=True)
    pairs = Pairs.of(torch.tensor([0, 2]))
    pair_scalar(
        "delta_r_pt", x, x.new_zeros(4), pairs.receiver, pairs.sender, pairs.place, pairs.diagonal
    ).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_unknown(random_jets):
    with pytest.raises(eqt.TaggerError, match="pairwise = 'angle'"):
        scalars("angle")(random_jets([2]))
