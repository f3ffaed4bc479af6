from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.broken_symmetry import SYMMETRIES, along, with_spurions
from coffea_equitag.layers.jet_frame import jet_frame
from coffea_equitag.layers.multiplicity_power import MultiplicityPower
from coffea_equitag.layers.pair_encoder import PairEncoder
from coffea_equitag.layers.pair_message import PairMessage
from coffea_equitag.layers.squares import Squares

METRIC = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)


def test_encoder_is_the_formula():
    encoder = PairEncoder(4).double()
    x = torch.tensor([-1e5, -2.0, -1e-9, 0.0, 1e-9, 3.0, 1e6], dtype=torch.float64)[:, None].expand(-1, 4)
    a = 1e-6 + torch.linspace(0.05, 0.5, 4).double() ** 2
    expected = x.sign() * ((1 + x.abs()) ** a - 1) / a
    torch.testing.assert_close(encoder(x), expected, rtol=1e-9, atol=1e-12)
    # the direct formula has lost its precision here, ours has not
    torch.testing.assert_close(encoder(x)[4], x[4], rtol=1e-8, atol=0)


def test_encoder_of_angles():
    encoder = PairEncoder(3, angles=True).double()
    x, a = torch.rand(5, 3, dtype=torch.float64) * 4, 1e-6 + torch.linspace(0.05, 0.5, 3).double() ** 2
    torch.testing.assert_close(encoder(x), ((1e-5 + x) ** a - 1) / a, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("angles", [False, True])
def test_encoder_and_message_gradcheck(angles):
    torch.manual_seed(0)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    encoder, message = PairEncoder(3, angles=angles).double(), PairMessage(3, 2, dropout=0.0).double()
    assert torch.autograd.gradcheck(lambda x, *_: encoder(x), (x, *encoder.parameters()))
    for training in (False, True):
        message.train(training)
        assert torch.autograd.gradcheck(lambda x, *_: message(x), (x, *message.parameters()))


def test_multiplicity_power():
    power = MultiplicityPower(2, 3, mean_count=10.0, random=True).double()
    assert ((power.exponent >= 0) & (power.exponent < 1)).all()
    factors = power(torch.tensor([0, 1, 10, 20]))
    assert factors.shape == (4, 2, 3)
    assert torch.equal(factors[0], factors[1])
    torch.testing.assert_close(factors[2], torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(factors[3], 2.0**power.exponent)
    assert torch.autograd.gradcheck(lambda _: power(torch.tensor([0, 3, 20])), (power.exponent,))


@pytest.mark.parametrize("name", SYMMETRIES)
def test_spurions_before_constituents(random_jets, name):
    jets, symmetry = RaggedJets.from_awkward(random_jets([3, 0, 4])), SYMMETRIES[name]
    k = len(symmetry.spurions)
    before, after = Squares.of(jets.offsets), Squares.of(boundaries(jets.counts + k))
    found = with_spurions(gram(jets), symmetry, jets.p4, jets.mass, before, after)
    q = jets.p4.new_tensor(symmetry.spurions).view(k, 4)
    expected = []
    for j in range(3):
        p = torch.cat([q, jets.slice(j, j + 1).p4])
        expected.append((p @ (p * METRIC).T).flatten())
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(along(symmetry.inputs, jets.p4, jets.mass).shape, (7, len(symmetry.inputs)))


def test_light_cone_components_keep_their_figures():
    with np.errstate(all="raise"):
        m, pt, pz = 0.13957, 0.3, 5000.0
        exact = (m * m + pt * pt) / (math.sqrt(m * m + pt * pt + pz * pz) + pz)
    for sign, column in ((1, 0), (-1, 1)):
        p4 = torch.tensor([[math.sqrt(m * m + pt * pt + pz * pz), pt, 0.0, sign * pz]], dtype=torch.float64)
        found = along(SYMMETRIES["so2_0"].spurions, p4, torch.tensor([m], dtype=torch.float64))
        assert found[0, column].item() == pytest.approx(exact, rel=1e-13)


def test_jet_frame(random_jets):
    jets = RaggedJets.from_awkward(random_jets([5, 2]))
    squares = Squares.of(jets.offsets)
    angles, fractions = jet_frame(gram(jets)[:, None], squares)
    p, total = jets.slice(0, 1).p4, jets.slice(0, 1).p4.sum(0)
    mass = torch.sqrt((total * total * METRIC).sum())
    energy = p @ (total * METRIC) / mass
    torch.testing.assert_close(fractions[:5], energy / mass, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        angles[:25, 0].view(5, 5), 2 * (p @ (p * METRIC).T) / (energy[:, None] * energy), rtol=1e-6, atol=1e-8
    )


def test_jet_frame_of_nothing():
    squares = Squares.of(boundaries(torch.tensor([0, 1])))
    angles, fractions = jet_frame(torch.zeros(1, 1, dtype=torch.float64), squares)
    assert angles.item() == fractions.item() == 0
