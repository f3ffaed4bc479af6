from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants import gram, kinematic_features
from coffea_equitag.invariants.kinematic import relative_angles
from coffea_equitag.kernels.particlenet.cpu import edge_groups, edge_network
from coffea_equitag.kernels.particlenet.cpu import training as particlenet_training
from kernel_forms import needs_vectors

pytestmark = needs_vectors

# k reaches all: no rounding chooses another neighbour
COUNTS = [20, 1, 0, 7, 16, 2, 17, 31, 3, 18, 0]


def build(**options):
    torch.manual_seed(3)
    model = eqt.models.build("particlenet", **({"k": 40, "dropout": 0.0} | options))
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def step(model, jets, mode="cpu", training=True):
    """Logits, gradients of parameters and inputs, and what became of the running statistics."""
    model = copy.deepcopy(model).train(training)
    features = kinematic_features(jets).to(model.dtype).requires_grad_()
    points = torch.stack(relative_angles(jets), dim=1)
    groups = torch.linspace(0, 50, 3 * len(features), dtype=torch.float64).view(-1, 3) if model.node_patch else None
    pairs = {"p4_N4": jets.p4, "gram_Q": gram(jets)} if model.options["pairwise"] else {}
    with kernels.use(mode):
        logits = model.network(features, points, jets.offsets, groups_NG=groups, **pairs)
        assert kernels.last_choice("particlenet").kernel == mode
        loss = (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).square().mean()
        loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return logits.detach(), gradients | {"features": features.grad}, dict(model.named_buffers())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lite": True},
        {"lite": True, "nodewise": "mass", "patch_width": 5},
        {"lite": True, "pairwise": "mass"},
        {"lite": True, "pairwise": "delta_r_pt", "nodewise": "energy", "patch_width": 5},
    ],
)
def test_agrees_with_the_layers(random_jets, options, training):
    def step_of(model, jets, mode="cpu"):
        return step(model, jets, mode, training)

    jets, model = RaggedJets.from_awkward(random_jets(COUNTS)), build(**options)
    assert step_of(model, jets)[0].dtype == torch.float32
    assert_step_agrees(step_of, model, lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed)))


@pytest.mark.parametrize("options", [{}, {"pairwise": "mass"}])
def test_values_kept_or_computed_again_are_the_same(random_jets, monkeypatch, options):
    jets, model = RaggedJets.from_awkward(random_jets(COUNTS)), build(lite=True, k=5, **options)
    kept = step(model, jets, "cpu")
    monkeypatch.setattr(edge_network, "_KEPT", 0)
    again = step(model, jets, "cpu")
    for name, gradient in kept[1].items():
        assert torch.equal(again[1][name], gradient), name


@pytest.mark.parametrize("options", [{}, {"phantom_neighbours": True}, {"pairwise": "mass"}])
def test_threads_change_nothing(random_jets, monkeypatch, options):
    counts = np.random.default_rng(5).integers(0, 10 if "phantom_neighbours" in options else 60, 40).tolist()
    model, found = build(lite=True, k=7, **options), []
    jets = RaggedJets.from_awkward(random_jets(counts))
    real = particlenet_training.over_jets
    for threads in (1, 2, 3):
        # torch's own sums depend on its threads, so that these are left alone
        for module in (particlenet_training, edge_groups):
            monkeypatch.setattr(module, "over_jets", lambda run, work, _, n=threads: real(run, work, n))
        found.append(step(model, jets, "cpu"))
    for logits, gradients, buffers in found[1:]:
        assert torch.equal(logits, found[0][0])
        assert all(torch.equal(gradients[name], gradient) for name, gradient in found[0][1].items())
        assert all(torch.equal(buffers[name], buffer) for name, buffer in found[0][2].items())


def test_a_second_backward_through_a_retained_graph(random_jets):
    model = build(lite=True)
    with kernels.use("cpu"):
        loss = model(random_jets([9, 4, 30])).square().sum()
    loss.backward(retain_graph=True)
    once = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, 2 * once[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 1, 0, 3], [1, 1]])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"pairwise": "mass", "nodewise": "mass"}])
def test_few_constituents(random_jets, counts, training, options):
    model = build(lite=True, **options).train(training)
    with kernels.use("cpu"):
        logits = model(random_jets(counts))
    assert kernels.last_choice("particlenet").kernel == "cpu"
    logits.sum().backward()
    assert logits.shape == (len(counts), 2)
    assert torch.isfinite(logits).all()
    for parameter in model.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()

    def layers():
        return build(lite=True, **options).train(training)(random_jets(counts))

    with kernels.use("reference"):
        assert deviation(logits, layers()) <= rounding(layers)


def test_statistics_without_gradients(random_jets):
    model, jets = build(lite=True).train(), random_jets([30, 20])
    before = model.blocks[1].norms[2].running_mean.clone()
    with torch.no_grad(), kernels.use("cpu"):
        model(jets)
    assert kernels.last_choice("particlenet").kernel == "cpu"
    assert not torch.equal(model.blocks[1].norms[2].running_mean, before)
    assert int(model.blocks[1].norms[2].num_batches_tracked) == 1


def test_a_cumulative_mean_of_statistics(random_jets):
    def two_passes(model, jets, mode):
        with torch.no_grad(), kernels.use(mode):
            model(jets)
            logits = model(random_jets([5, 40, 3]))
        return logits, {}, dict(model.named_buffers())

    model = build(lite=True).train()
    for module in model.modules():
        if hasattr(module, "momentum"):
            module.momentum = None
    assert_step_agrees(two_passes, model, lambda seed: random_jets([30, 20], seed=seed))


@pytest.mark.parametrize("pairwise", ["delta_r", "energy"])
def test_other_scalars_of_pairs(random_jets, pairwise):
    def jets_of(seed):
        return RaggedJets.from_awkward(random_jets([9, 1, 4], seed=seed))

    assert_step_agrees(step, build(lite=True, pairwise=pairwise), jets_of)


def test_gradients_of_momenta_through_the_pairwise_patch_are_left_to_the_layers(random_jets):
    model, jets = build(lite=True, pairwise="mass").train(), RaggedJets.from_awkward(random_jets([9, 4]))
    points, p4 = torch.stack(relative_angles(jets), dim=1), jets.p4.clone().requires_grad_()
    logits = model.network(kinematic_features(jets).float(), points, jets.offsets, p4_N4=p4, gram_Q=gram(jets))
    assert kernels.last_choice("particlenet").reason == "gradients of momenta are recorded"
    logits.sum().backward()
