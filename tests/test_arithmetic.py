"""The bounds allow what any order of operations gives, and no error of 1e-3 in one weight."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import EPSILON, FACTOR, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from networks import enliven, shaken


@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
def test_sums_in_any_order(offset):
    """The more terms cancel, the more is allowed; and what is allowed is within a factor of 100 of what is found."""
    generator = torch.Generator().manual_seed(1)
    terms = torch.randn(5, 400, generator=generator)
    terms = torch.cat([terms + offset, -offset - terms.roll(1, 0)], dim=1)
    exact, allowed = terms.double().sum(1), rounding(lambda values: values.sum(1), terms)
    found = []
    for _ in range(20):
        order = torch.randperm(800, generator=generator)
        found += [terms[:, order].cumsum(1)[:, -1], terms[:, order].view(5, 40, 20).sum(1).sum(1)]
    worst = max(deviation(sums.double(), exact) for sums in found)
    assert allowed / 100 < worst < allowed


def test_exact_and_double_precision_are_left_alone():
    values = torch.arange(6.0)
    for function in (lambda: values.reshape(2, 3)[:, [2, 0]], lambda: values.double() * 3.3, lambda: values[:0] + 1):
        assert rounding(function) == FACTOR * EPSILON


def test_repeatable_and_without_a_trace(random_jets):
    model, jets = eqt.models.build("pfn").eval(), random_jets([4, 0, 9])
    state = torch.random.get_rng_state()
    assert rounding(model, jets) == rounding(model, jets)
    assert torch.equal(torch.random.get_rng_state(), state)


#: Twelve blocks that each add a little drown one weight in the rounding of all others.
SHALLOW = {"lgatr_slim": {"n_layers": 3}}


@pytest.mark.parametrize("kind", eqt.models.names())
def test_an_error_of_a_thousandth_in_one_weight_is_seen(track_jets, kind):
    """In the weight of a layer that matters most, for most layers; in the best, by a factor of 20 and more."""
    torch.manual_seed(0)
    model = shaken(enliven(eqt.models.build(kind, **SHALLOW.get(kind, {}))))
    jets = RaggedJets.from_awkward(track_jets([20, 7, 35]), model.fields)
    allowed, seen = rounding(model, jets), []
    with kernels.use("reference"):
        expected = model(jets)
        expected[:, 0].sum().backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.grad is not None and weight.grad.any():
                    kept, most = weight.clone(), int((weight * weight.grad).abs().argmax())
                    weight.view(-1)[most] *= 1.001
                    seen.append(deviation(model(jets), expected) / allowed)
                    weight.copy_(kept)
    assert max(seen) > 20
    assert sum(ratio > 1 for ratio in seen) > len(seen) / 2
