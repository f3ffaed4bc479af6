"""Vector and Tensor PFN without their products, without the map about the jet axis, and without both."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants.track_features import track_vectors
from coffea_equitag.layers.so2_linear import axis_frames
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    rotation,
)
from networks import run

pytestmark = [
    pytest.mark.parametrize("kind", [VectorPFN, TensorPFN]),
    pytest.mark.parametrize(
        "options", [{"products": False}, {"axis_map": False}, {"products": False, "axis_map": False}]
    ),
]


def build(kind, options, **others):
    torch.manual_seed(0)
    model = kind(features=8, **options, **others).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
        model.mlp[-1].bias.zero_()
    return model


def test_rotations_permutations_and_batches(kind, options, track_jets):
    model, jets = build(kind, options), track_jets([20, 1, 0, 7, 35])
    allowed = rounding(model, jets)
    assert_so3_equivariant(run(model), jets, tolerance=allowed)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_so3_equivariant(run(model.double()), jets, tolerance=1e-11)
    assert_batch_independent(run(model), jets, tolerance=1e-12)


def test_vectors_turn_with_the_jet(kind, options, track_jets):
    model, jets = build(kind, options, output="vector").double(), track_jets([20, 1, 7])
    assert_so3_equivariant(run(model), jets, representation=lambda r: r, tolerance=1e-11)


def test_the_axis_held_fixed(kind, options, track_jets):
    """All vectors are turned, and the axis is not: seen by the map about the axis, and by nothing else."""
    model, jets = build(kind, options).double(), RaggedJets.from_awkward(track_jets([12, 9]), kind.fields)
    vectors, axis = track_vectors(jets), jets.jet_p4[:, 1:]

    def change(turn):
        turned = model.network(model.scalars(jets), turn @ vectors, axis_frames(axis), jets.offsets)
        return (turned - reference).abs().max() / reference.square().mean().sqrt()

    about_axis = torch.stack([torch.from_numpy(rotation(1.1, a)[1:, 1:].astype(float)) for a in axis.numpy()])
    with torch.no_grad(), kernels.use("reference"):
        reference = model.network(model.scalars(jets), vectors, axis_frames(axis), jets.offsets)
        assert change(about_axis.repeat_interleave(jets.counts, dim=0)) < 1e-11
        by_any = change(torch.from_numpy(rotation(1.1, (1, 2, 3))[1:, 1:].astype(float)))
    if model.options["axis_map"]:
        assert by_any > 1e-5
    else:
        assert by_any < 1e-11
        assert not any(name.endswith((".a", ".b", ".phi")) for name, _ in model.named_parameters())


def test_rotations_about_the_jet_axis(kind, options, track_jets):
    model, jets = build(kind, options).double(), track_jets([12])
    axis = RaggedJets.from_awkward(jets, kind.fields).jet_p4[0, 1:].tolist()
    assert_so2_invariant(run(model), jets, axis, tolerance=1e-11)


def test_widths(kind, options, track_jets):
    model = build(kind, options)
    representations, width = (3 if model.has_tensors else 2), 16
    if model.has_tensors and model.options["products"]:
        width = 24
    assert [layer.outputs for layer in model.phi[:2]] == [(width,) * representations] * 2
    assert model.mlp[0].in_features == representations * width


def test_every_parameter_learns_and_is_stored(kind, options, track_jets, tmp_path):
    model, jets = build(kind, options), track_jets([20, 1, 0, 7, 35])
    model(jets)[:, 0].sum().backward()
    assert all(value.grad.abs().max() > 0 for value in model.parameters() if value is not model.mlp[-1].bias)
    tagger = eqt.Tagger.from_model(model, name="ablation", classes=("light", "b"))
    tagger.save(tmp_path / "t")
    again = eqt.load(tmp_path / "t", "cpu")
    assert again.model.options == model.options
    batch = RaggedJets.from_awkward(jets, kind.fields)
    assert (again.outputs(batch) == tagger.outputs(batch)).all()
