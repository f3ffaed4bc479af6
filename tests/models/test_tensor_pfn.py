from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.track_features import track_vectors
from coffea_equitag.layers.so2_linear import axis_frames
from coffea_equitag.models.pfn import PFN
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    rotation,
    transform,
)
from networks import run

BOTH = pytest.mark.parametrize("kind", [VectorPFN, TensorPFN])


def build(kind, **options):
    torch.manual_seed(0)
    model = kind(**options).eval()
    with torch.no_grad():
        # biases start at 0, and a constant in the logits would hide changes
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
        model.mlp[-1].bias.zero_()
    return model


def test_published_layout():
    model = TensorPFN()
    assert [layer.outputs for layer in model.phi[:2]] == [(192,) * 3] * 2
    assert model.mlp[0].in_features == 9 * 64
    assert VectorPFN().mlp[0].in_features == 4 * 64
    assert (VectorPFN().num_parameters(), model.num_parameters()) == (428_107, 1_114_635)


@BOTH
def test_rotations_of_all(kind, track_jets):
    model, jets = build(kind), track_jets([20, 1, 0, 7, 35])
    assert_so3_equivariant(run(model), jets, tolerance=rounding(model, jets))
    assert_so3_equivariant(run(model.double()), jets, tolerance=1e-11)


@BOTH
def test_rotations_about_the_jet_axis(kind, track_jets):
    model, jets = build(kind, features=16), track_jets([12])
    momentum = [float(ak.sum(getattr(jets.constituents, k))) for k in ("px", "py", "pz")]
    assert_so2_invariant(run(model), jets, momentum, tolerance=rounding(model, jets))
    assert_so2_invariant(run(model.double()), jets, momentum, tolerance=1e-11)


@BOTH
def test_with_the_axis_held_fixed_only_so2_is_left(kind, track_jets):
    model, jets = build(kind, features=16).double(), RaggedJets.from_awkward(track_jets([12, 9]), kind.fields)
    vectors, axis = track_vectors(jets), jets.jet_p4[:, 1:]

    def scores(turn, axis):
        return model.network(model.scalars(jets), turn @ vectors, axis_frames(axis), jets.offsets)

    with torch.no_grad():
        one = torch.eye(3, dtype=torch.float64)
        reference = scores(one, axis)
        about_axis = torch.from_numpy(np.stack([rotation(1.1, a)[1:, 1:].astype(np.float64) for a in axis.numpy()]))
        about_axis = about_axis.repeat_interleave(jets.counts, dim=0)
        other = torch.from_numpy(rotation(1.1, (1, 2, 3))[1:, 1:].astype(np.float64))
        scale = reference.square().mean().sqrt()
        assert (scores(about_axis, axis) - reference).abs().max() < 1e-11 * scale
        assert (scores(other, axis @ other.T) - reference).abs().max() < 1e-11 * scale
        assert (scores(other, axis) - reference).abs().max() > 1e-5 * scale


@BOTH
def test_impact_parameters_matter(kind, track_jets):
    model, jets = build(kind, features=16), track_jets([12])
    other = track_jets([12])
    other["constituents", "ip", "x"] = jets.constituents.ip.x + 1.0
    assert (run(model)(jets) - run(model)(other)).abs().max() > 1e-6
    # if not rotated along, they break the symmetry
    turned = transform(jets, rotation(1.0, (0, 1, 0)))
    turned["constituents", "ip"] = jets.constituents.ip
    assert (run(model)(jets) - run(model)(turned)).abs().max() > 1e-6


@BOTH
def test_vector_output_turns_with_the_jet(kind, track_jets):
    model, jets = build(kind, features=16, output="vector"), track_jets([20, 1, 0, 7])
    assert model(jets).shape == (4, 3)
    assert_so3_equivariant(run(model), jets, representation=lambda r: r, tolerance=rounding(model, jets))
    assert_so3_equivariant(run(model.double()), jets, representation=lambda r: r, tolerance=1e-11)


@BOTH
def test_momentum_turns_with_the_jet(kind, track_jets):
    model, jets = build(kind, features=16, output="momentum"), track_jets([20, 1, 0, 7])
    with torch.no_grad():
        first = model(jets)
        # corrections begin at per cent, of the size of |p|
        jet_p4 = RaggedJets.from_awkward(jets).jet_p4
        off = (first - jet_p4).norm(dim=1) / jet_p4[:, 1:].norm(dim=1).clamp(min=1e-9)
        assert first.dtype == torch.float64
        assert 0 < off.max() < 0.1
        model.mlp[-1].weight.mul_(100)

    def representation(three):
        return np.block([[np.ones((1, 1)), np.zeros((1, 3))], [np.zeros((3, 1)), three]])

    assert deviation(run(model)(jets), first) > 0.01
    assert (run(model)(jets)[:, 0] >= run(model)(jets)[:, 1:].norm(dim=1) * (1 - 1e-12)).all()
    allowed = rounding(model, jets)
    assert_so3_equivariant(run(model), jets, representation=representation, tolerance=allowed)
    assert_so3_equivariant(run(model.double()), jets, representation=representation, tolerance=1e-11)


@BOTH
def test_permutations_and_batches(kind, track_jets):
    model, jets = build(kind, features=16), track_jets([20, 1, 0, 7, 35])
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("build_model", [VectorPFN, TensorPFN, lambda features: PFN(inputs="btag")])
def test_few_and_many_tracks(build_model, track_jets):
    model = build_model(features=8)
    for counts in ([], [0], [1], [0, 1, 5], [300]):
        logits = model(track_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()
        assert all(torch.isfinite(w.grad).all() for w in model.parameters() if w.grad is not None)


@pytest.mark.parametrize("build_model", [VectorPFN, TensorPFN, lambda features: PFN(inputs="btag")])
def test_nan_stays_in_its_jet(build_model, track_jets):
    model = build_model(features=8).eval()
    jets = RaggedJets.from_awkward(track_jets([3, 4, 0, 2]), model.fields)
    good, allowed = run(model)(jets), rounding(model, jets)
    jets.p4[4] = torch.nan
    found = run(model)(jets)
    assert torch.isnan(found[1]).all()
    assert deviation(found[[0, 2, 3]], good[[0, 2, 3]]) <= allowed


@BOTH
def test_from_d0_and_dz(kind, track_jets):
    model, jets = build(kind, features=8), track_jets([5, 3])
    names = [name for name in jets.constituents.fields if name != "ip"]
    bare = ak.with_field(jets, jets.constituents[names], "constituents")
    assert deviation(run(model)(bare), run(model)(jets)) <= rounding(model, jets)


@BOTH
def test_gradcheck(kind, track_jets):
    model = build(kind, features=2, mlp=(3,), phi_layers=1, f_layers=1).double()
    jets = RaggedJets.from_awkward(track_jets([2, 0, 1]), kind.fields)
    weights = dict(model.named_parameters())

    def forward(*values):
        return torch.func.functional_call(model, dict(zip(weights, values, strict=True)), (jets,))

    assert torch.autograd.gradcheck(forward, tuple(weights.values()))


def test_btag_pfn(track_jets):
    model = PFN(inputs="btag")
    assert model.num_parameters() == 83_842 + 5 * 128 + 3 * 3
    assert model.phi[0].in_features == 12
    jets = track_jets([9, 1, 3])
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)


def test_wrong_options():
    for option in ({"output": "tensor"}, {"scalar_activation": "gelu"}):
        with pytest.raises(eqt.TaggerError, match="expected"):
            VectorPFN(**option)
    with pytest.raises(eqt.TaggerError, match=r"expected: 'kinematic', .* or 'btag'\n"):
        PFN(inputs="tracks")
