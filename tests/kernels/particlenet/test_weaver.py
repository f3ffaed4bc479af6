"""The kernels with weaver's options: phantom neighbours, fusion, other widths, more features."""

from __future__ import annotations

import copy

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels import self_check
from coffea_equitag.kernels.particlenet import support
from coffea_equitag.kernels.particlenet.cpu import inference
from coffea_equitag.kernels.particlenet.cpu.nearest import edge_offsets
from gpu import device_of, interpreted
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, needs_vectors, run
from networks import enliven

#: k reaches all constituents, or none of them more: no rounding chooses another neighbour.
COUNTS = {"cpu": [2, 0, 1, 9, 20, 3, 17, 21, 0, 12], "gpu": [2, 0, 1, 3]}
WEAVER = {"lite": True, "k": 20, "phantom_neighbours": True}
OWN = {"k": [20, 30], "channels": [[24, 70], [33, 12, 12]], "units": [9, 40], "fusion": True, "n_classes": 3}
TILES = {"channels": [[32, 96], [64, 32, 32]]}
OPTIONS = [
    WEAVER,
    WEAVER | {"fusion": True},
    WEAVER | {"k": [20, 64], "nodewise": "mass"},
    WEAVER | {"input_norm": False, "units": [40, 24, 8], "inputs": [["part_deltaR", 0.2, 4.0], "part_dphi"]},
    WEAVER | OWN,
    {"lite": True, "k": 20, "fusion": True, "pairwise": "mass", "nodewise": "mass"},
    {"phantom_neighbours": True, "k": 20},
]


def build(backend="cpu", **options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("particlenet", **({"dropout": 0.0} | options))).to(device_of(backend))


@pytest.mark.parametrize("options", OPTIONS)
def test_agrees_with_the_layers(random_jets, backend, options):
    if backend == "gpu" and ("pairwise" in options or "channels" in options):
        pytest.skip("no GPU kernel")
    if interpreted(backend):
        if "lite" not in options:
            pytest.skip("too slow in the interpreter")
        options = options | {"k": 3}
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(COUNTS[backend]))
    assert_agrees(run(model, jets, backend), model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 0], [1, 1], [2, 0, 1]])
def test_few_constituents(random_jets, backend, counts):
    model, jets = build(backend, **(WEAVER | {"k": 3, "fusion": True})), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, backend):
    model = build(backend, **(WEAVER | {"k": 3 if interpreted(backend) else 7, "fusion": True}))
    assert_own_jet_alone(model, RaggedJets.from_awkward(random_jets(COUNTS[backend])), backend)


def test_changed_weights_are_noticed(random_jets, backend):
    model = build(backend, **(WEAVER | {"k": 3, "fusion": True}))
    jets = random_jets([9, 4] if backend == "cpu" else [4])
    assert_changes_noticed(model, jets, model.fusion[1].running_mean, model.fusion[0].weight, backend)


def step(model, jets, mode="cpu", training=True):
    """Logits, gradients of parameters, and what became of the running statistics."""
    model = copy.deepcopy(model).train(training)
    with kernels.use(mode):
        logits = model(jets)
        assert kernels.last_choice("particlenet").kernel == mode
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).square().mean().backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters()}, dict(model.named_buffers())


@needs_vectors
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [WEAVER, WEAVER | {"fusion": True, "nodewise": "mass"}, WEAVER | OWN | TILES])
def test_training_agrees_with_the_layers(random_jets, options, training):
    def step_of(model, jets, mode="cpu"):
        return step(model, jets, mode, training)

    assert_step_agrees(
        step_of, build(**options), lambda seed: RaggedJets.from_awkward(random_jets(COUNTS["cpu"], seed=seed))
    )


@needs_vectors
@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0, 2]])
def test_training_on_few_constituents(random_jets, counts):
    model = build(**(WEAVER | {"fusion": True})).train()
    with kernels.use("cpu"):
        logits = model(random_jets(counts))
    assert kernels.last_choice("particlenet").kernel == "cpu"
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@needs_vectors
def test_the_self_check_sees_phantoms_left_out(random_jets, tmp_path, monkeypatch):
    for name, value in (("_outcomes", {}), ("_failures", {}), ("folders", lambda function: [tmp_path])):
        monkeypatch.setattr(self_check, name, value)
    monkeypatch.setattr(inference, "edge_offsets", lambda bounds, k, phantoms: edge_offsets(bounds, k, False))
    model, jets = build(**WEAVER), random_jets([2, 9])
    with torch.no_grad(), pytest.warns(eqt.KernelWarning, match="'phantom_neighbours': True"):
        found = model(jets)
    assert kernels.last_choice("particlenet").kernel == "reference"
    assert torch.equal(found, run(model, jets, "reference"))


@pytest.mark.parametrize(
    ("target", "training", "options", "words"),
    [
        ("cpu", False, {"channels": [[8], [8, 8]]}, "one layer"),
        ("cpu", True, {"channels": [[32, 40], [32, 64]]}, "multiples of 32"),
        ("gpu", False, {"channels": [[40] * 3]}, "power of two"),
        ("gpu", False, {"channels": [[32] * 2]}, "takes three"),
        ("gpu", False, {"channels": [[32] * 3], "k": 65}, "at most 64"),
        ("cpu", False, {"channels": [[32, 40]] * 3}, None),
        ("cpu", True, {"channels": [[32, 96]] * 3}, None),
        ("gpu", False, {"channels": [[32] * 3, [64] * 3]}, None),
    ],
)
def test_what_kernels_cannot_do_is_said(random_jets, target, training, options, words):
    model = build(**(WEAVER | {"k": 3} | options)).train(training)
    jets = RaggedJets.from_awkward(random_jets([4]))
    with torch.no_grad():
        reason = support(model, target, *model.features_and_points(jets), jets.offsets, *[None] * 4).reason
        model(jets)
    assert reason is None if words is None else words in reason
    if target == "cpu" and words:
        assert kernels.last_choice("particlenet") == kernels.Choice("reference", reason)
