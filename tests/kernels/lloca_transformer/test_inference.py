from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import boost, transform
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    deviation,
    needs_vectors,
    run,
    with_avx2,
)
from networks import shaken

pytestmark = needs_vectors

KIND = "lloca_transformer"
SMALL = {"heads": 2, "blocks": 2, "frame_width": 24}
LORENTZ = {"beams": False, "laboratory": False}
COUNTS = [20, 1, 0, 7, 130, 2, 0, 61, 3, 0]


def build(**options):
    """A small network whose frames really depend on the weights."""
    torch.manual_seed(3)
    model = eqt.models.build(KIND, **(SMALL | options)).eval()
    model.frames.rest[-1].weight.data *= 5
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        LORENTZ,
        {"tensors": 1, "scalars": 3, "preserve_variance": False, "n_classes": 5},
        {"vectors": 0, "heads": 3, "scalars": 5, "least_mass": 5e-3, "mlp_factor": 1},
        {"fields": ["pdgId", "mass"], "laboratory": False, "frame_width": 40},
        {"output": "momentum", "scalars": 0, "beams": False},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model = build(**options)
    jets = RaggedJets.from_awkward(random_jets(COUNTS), fields=model.fields)
    assert_agrees(run(model, jets), model, jets)


def test_more_layers_that_predict_frames(random_jets):
    model, jets = build(frame_layers=3), random_jets([9, 4])
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("options", [{}, LORENTZ])
@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [0, 1, 3], [1, 1]])
def test_few_constituents(random_jets, counts, options):
    model, jets = build(**options), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_momenta_of_few_constituents(random_jets):
    model, jets = build(output="momentum"), random_jets([0, 1, 3])
    assert_agrees(run(model, jets), model, jets)
    assert not run(model, jets[:1]).any()


@pytest.mark.parametrize("options", [{}, LORENTZ])
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, options):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    assert_own_jet_alone(build(**options), RaggedJets.from_awkward(random_jets(counts)))


def test_changed_weights_are_noticed(random_jets):
    model = build()
    assert_changes_noticed(model, random_jets([9, 4]), model.frames.edge_mean, model.blocks[1].mlp[0].weight)


def test_weights_far_from_the_beginning(random_jets):
    model, jets = shaken(build()), random_jets([20, 7, 2])
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("where", ["momentum", "column"])
def test_nan_stays_in_its_jet(random_jets, where):
    jets = RaggedJets.from_awkward(random_jets([9, 4, 1]), fields=["mass"])
    values = jets.p4 if where == "momentum" else jets.columns["mass"]
    values[11] = torch.nan
    logits = run(build(fields=["mass"]), jets)
    assert logits.isnan().tolist() == [[False, False], [True, True], [False, False]]


def test_momenta_along_the_beam_and_without_energy(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([6, 5, 4]))
    jets.p4[2] = torch.tensor([5.0, 0.0, 0.0, 5.0])
    jets.p4[8] = 0
    jets.mass[[2, 8]] = 0
    assert_agrees(run(model, jets), model, jets)


def test_large_boosts(random_jets):
    """Of 10⁴: the kernel loses no more than the layers."""
    model, jets = build(**LORENTZ), random_jets([20, 7, 35, 2])
    boosted = transform(jets, boost(1e4, (1, 2, -0.5)))
    assert_agrees(run(model, boosted), model, boosted)
    assert deviation(run(model, boosted), run(model, jets)) < 1e-3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: setattr(model.blocks[0], "mlp", torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU())),
         "replaced"),
        (lambda model: setattr(model.blocks[0].mlp[2], "approximate", "tanh"), "approximate"),
        (lambda model: model.double(), "float32"),
    ],
)  # fmt: skip
def test_what_is_left_to_the_layers(random_jets, change, reason):
    model = build()
    change(model)
    with torch.no_grad():
        model(random_jets([5]))
    assert kernels.last_choice(KIND).kernel == "reference"
    assert reason in kernels.last_choice(KIND).reason


def test_references_of_the_user(random_jets):
    model, jets = build(), random_jets([9, 4])
    beams = torch.tensor([[2.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, -3.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)

    def outputs():
        return model(jets, beams=beams)

    with torch.no_grad():
        found = outputs()
        assert kernels.last_choice(KIND).kernel == "cpu"
        with kernels.use("reference"):
            assert deviation(found, outputs()) <= rounding(outputs)


def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from coffea_equitag import RaggedJets, models; from kernel_forms import assert_agrees, run\n"
        "from coffea_equitag.kernels.common.cpu import wide_dense; assert wide_dense.block_of(72) == 16\n"
        "three = 5 * torch.randn(17, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)\n"
        "p4 = torch.cat([(three.square().sum(1) + 0.02).sqrt()[:, None], three], 1)\n"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 11, 12, 17])); torch.manual_seed(0)\n"
        "model = models.build('lloca_transformer', heads=2, blocks=1, frame_width=24).eval()\n"
        "assert_agrees(run(model, jets), model, jets)"
    )
    with_avx2(code)
