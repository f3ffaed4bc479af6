"""Vector and Tensor PFN's GPU kernels, on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kernel_forms as forms
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from coffea_equitag.testing import assert_permutation_invariant, assert_so3_equivariant
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import deviation

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")
BOTH = pytest.mark.parametrize("kind", [VectorPFN, TensorPFN])

COUNTS = [20, 0, 1, 7] if INTERPRETED else [20, 1, 0, 7, 90, 2, 7, 31, 3]


def ragged(jets):
    return RaggedJets.from_awkward(jets, VectorPFN.fields)


def build(kind, **options):
    torch.manual_seed(0)
    model = kind(**options).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
    return model.to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=on_hardware),
        {"features": 20, "latent": 7, "phi_layers": 1, "f_layers": 1, "mlp": (9,), "n_classes": 3},
        {"features": 8, "scalar_activation": "relu", "phi_layers": 2, "f_layers": 2, "mlp": ()},
        {"features": 8, "phi_layers": 1, "f_layers": 1, "output": "vector"},
    ],
)
def test_agrees_with_the_layers(track_jets, kind, options):
    model, jets = build(kind, **options), ragged(track_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert found.shape == (len(COUNTS), 3 if model.output == "vector" else model.n_classes)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets).cpu()) <= 1e-5


@BOTH
@pytest.mark.parametrize("counts", [[], [0], [0, 1]])
def test_few_constituents(track_jets, kind, counts):
    model, jets = build(kind, features=8, phi_layers=1, f_layers=1), track_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


@BOTH
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(track_jets, kind):
    # more constituents than a tile has rows
    counts = [18, 50] if INTERPRETED else np.random.default_rng(5).integers(0, 70, 40).tolist()
    model, jets = build(kind, features=8, f_layers=1 if INTERPRETED else 3), ragged(track_jets(counts))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(counts))]))
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order)), together[order])


@on_hardware
@BOTH
def test_symmetries(track_jets, kind):
    model, jets = build(kind), track_jets([20, 1, 0, 7, 35])
    assert_so3_equivariant(lambda jets: run(model, jets), jets)
    assert_permutation_invariant(lambda jets: run(model, jets), jets)


@on_hardware
@BOTH
def test_every_parameter_is_seen(track_jets, kind):
    model, jets = build(kind, features=8), ragged(track_jets([9, 4, 0]))
    for value in model.parameters():
        kept = value.data
        value.data = kept + 0.1
        assert deviation(run(model, jets), run(model, jets, "reference")) <= 1e-5
        value.data = kept


@BOTH
def test_nan_stays_in_its_jet(track_jets, kind):
    model, jets = build(kind, features=8, phi_layers=1, f_layers=1), ragged(track_jets([3, 2, 1]))
    clean = run(model, jets)
    jets.p4[4] = torch.nan
    found = run(model, jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(track_jets, monkeypatch, precision):
    model, jets = build(TensorPFN, features=8, f_layers=1), ragged(track_jets([9, 5]))
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    assert deviation(run(model, jets), expected) <= {"ieee": 1e-5, "tf32": 1e-2, "bf16": 1e-1}[precision]


def test_gradients_run_on_the_layers(track_jets):
    model = build(VectorPFN, features=8)
    with kernels.use("gpu"):
        assert model(track_jets([3])).requires_grad
    assert kernels.last_choice("vector_pfn").kernel == "reference"
