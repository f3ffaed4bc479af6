"""Particle Transformer on a GPU, or in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import copy

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, on_hardware, run
from networks import enliven, shaken
from training_steps import rms, step

pytestmark = needs_gpu

COUNTS = [5, 1, 0, 18, 2] if INTERPRETED else [20, 1, 0, 7, 90, 2, 0, 161, 3, 0]
SMALL = {
    "embed_widths": (12, 8),
    "pair_widths": (6, 5),
    "heads": 2,
    "layers": 1,
    "class_layers": 1,
    "ratio": 2,
    "dropout": 0.0,
}
FULL = pytest.param(
    {"embed_widths": (128, 512, 128), "pair_widths": (64, 64, 64), "heads": 8, "ratio": 4, "layers": 8},
    marks=on_hardware,
)
OPTIONS = [
    {"pair_widths": (6,), "self_pairs": False, "activation": "relu", "heads": 1, "units": (9, 5), "n_classes": 3},
    {"pair_activation": False, "class_layers": 2},
    {"pair_widths": None, "embed_widths": (7,), "heads": 7},
    FULL,
]  # fmt: skip


def build(**options):
    torch.manual_seed(3)
    return shaken(enliven(eqt.models.build("particle_transformer", **SMALL | options))).to(DEVICE)


def ragged(jets):
    return RaggedJets.from_awkward(jets).to(DEVICE)


@pytest.mark.parametrize("options", OPTIONS)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), ragged(random_jets(COUNTS))
    found = run(model, jets, "gpu")
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [0, 1], [1, 2]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    assert_agrees(run(model, jets, "gpu"), model, jets)


@pytest.mark.parametrize("coordinates", ["cartesian", "polar"])
def test_given_features_of_pairs(random_jets, coordinates):
    """The same as those that the kernel makes of momenta, in whatever order the jets come."""
    model, jets = build(), ragged(random_jets([5, 1, 0, 9], coordinates=coordinates))
    arguments = model.features(jets), jets.offsets, model.pair_features(jets)
    with torch.no_grad(), kernels.use("gpu"):
        found = model.network(*arguments)
    assert kernels.last_choice("particle_transformer").kernel == "gpu"
    assert deviation(found.cpu(), run(model, jets, "gpu")) <= rounding(model.network, *arguments)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    assert_own_jet_alone(build(), ragged(random_jets(COUNTS)), "gpu")


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(), ragged(random_jets([3, 4, 1], coordinates="cartesian"))
    clean = run(model, jets, "gpu")
    jets.p4[4] = torch.nan
    found = run(model, jets, "gpu")
    assert found.isnan().any(1).tolist() == [False, True, False]
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([2])
    assert_changes_noticed(model, jets, model.pair_bias.embed[2].running_mean, model.blocks[0].head_scale, "gpu")


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients(random_jets, options):
    assert_step_agrees(step, build(**options).train(), lambda seed: random_jets(COUNTS, seed=seed), "gpu")


def test_gradients_in_evaluation_mode(random_jets):
    assert_step_agrees(step, build(), lambda seed: random_jets([5, 3], seed=seed), "gpu")


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [2]])
def test_gradients_of_few_constituents(random_jets, counts):
    model = build(self_pairs=len(counts) > 1).train()
    assert_step_agrees(step, model, lambda seed: random_jets(counts, seed=seed), "gpu", zeros_for_none=True)


def test_frozen_parts(random_jets):
    model = build().train()
    model.pair_bias.embed[2].eval()
    model.pair_bias.embed[1].requires_grad_(False)
    model.blocks.requires_grad_(False)
    assert_step_agrees(step, model, lambda seed: random_jets([5, 2], seed=seed), "gpu")


def test_gradients_of_the_inputs(random_jets):
    def gradients(network, jets, mode):
        inputs = {"features": network.features(jets).requires_grad_(), "pairs": network.pair_features(jets)}
        inputs["pairs"].requires_grad_()
        with kernels.use(mode):
            logits = network.network(inputs["features"], jets.offsets, inputs["pairs"])
        assert kernels.last_choice("particle_transformer").kernel == mode
        logits[:, 0].square().sum().backward()
        return logits, {name: values.grad for name, values in inputs.items()}

    assert_step_agrees(gradients, build().train(), lambda seed: ragged(random_jets([3, 2], seed=seed)), "gpu")


def test_dropout_follows_torchs_generator(random_jets):
    model, jets, found = build(dropout=0.5).train(), random_jets([3]), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(step(copy.deepcopy(model), jets, "gpu")[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(("precision", "tolerance"), [("ieee", 1e-4), ("tf32", 5e-2), ("bf16", 0.5)])
def test_precision_of_choice(random_jets, monkeypatch, precision, tolerance):
    model, jets = build().train(), random_jets([5, 3])
    expected = step(copy.deepcopy(model).double(), jets, "reference")[1]
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    assert deviation(run(build(), jets, "gpu"), run(build(), jets, "reference")) <= tolerance
    found, largest = step(model, jets, "gpu")[1], max(map(rms, expected.values()))
    for name, gradient in expected.items():
        assert rms(found[name] - gradient) <= tolerance * max(rms(gradient), 3e-2 * largest), name


@pytest.mark.parametrize(
    ("options", "training", "reason"),
    [
        ({"pair_widths": (129,)}, False, "embedding of pairs"),
        ({"pair_widths": (65,)}, True, "at most 64"),
        ({"pair_widths": ()}, False, "embedding of pairs"),
        ({"embed_widths": (258,)}, False, "258 channels"),
    ],
)
def test_what_the_kernels_do_not_know_is_left_to_the_layers(random_jets, options, training, reason):
    with torch.no_grad(), kernels.use("gpu"):
        build(**options).train(training)(random_jets([3]))
    choice = kernels.last_choice("particle_transformer")
    assert choice.kernel == "reference"
    assert reason in choice.reason
