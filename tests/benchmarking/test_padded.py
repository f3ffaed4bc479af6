"""The forms compared with ours: the same results in float64, up to rounding."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag import kernels, models
from coffea_equitag.benchmarking import networks, padded
from coffea_equitag.benchmarking.workloads import Workload, random_jets
from coffea_equitag.layers.attention import Attention

KINDS = [kind for kind in models.names() if padded.has_padded(kind)]


def build(kind):
    model = networks.build(kind).double()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, Attention):
            module.dropout = 0.0
    if kind == "pelican":
        # |x| has no derivative at 0, which the products of massless constituents are up to rounding
        model.embedding.bias.data += 0.1
    return model, random_jets(Workload("few", 9, 4, 15), 7, model.fields, seed=3)


def assert_same(form, model, jets, training):
    """Logits, and gradients of all weights."""
    model.train(training)
    with kernels.use("reference"):
        expected = model(jets)
    found = form()
    scale = expected.square().mean().sqrt()
    assert (found - expected).abs().max() < 1e-7 * scale
    if not training:
        return
    gradients = []
    for logits in (found, expected):
        model.zero_grad(set_to_none=True)
        logits.square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(gradient.abs().max() for gradient in gradients[1].values())
    for name, gradient in gradients[1].items():
        assert (gradients[0][name] - gradient).abs().max() < 1e-6 * largest, name


def test_every_network_of_the_issue_has_a_padded_form():
    assert {"lorentznet", "pelican", "particlenet", "pfn", "lgn", "tensor_pfn"} <= set(KINDS)
    assert {"particle_transformer", "lgatr_slim", "lloca_transformer"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("spare", [0, 5])
def test_padded_forms_agree_with_the_layers(kind, training, spare):
    model, jets = build(kind)
    form = padded.padded(model, jets, int(jets.counts.max()) + spare)
    assert_same(form, model, jets, training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("particlenet", {"phantom_neighbours": True, "fusion": True, "k": [7, 12]}),
        ("particlenet", {"input_norm": False, "inputs": [["part_deltaR", 0.2, 4.0], "part_charge"], "mirrored": True}),
        ("pfn", {"batch_norm": True, "inputs": "kinpid", "mirrored": True}),
    ],
)
def test_networks_from_weaver(kind, options, training):
    torch.manual_seed(0)
    more = {"lite": True, "dropout": 0.0} if kind == "particlenet" else {}
    model = models.build(kind, **more, **options).double()
    jets = random_jets(Workload("few", 9, 4, 15), 7, model.fields, seed=3)
    assert_same(padded.padded(model, jets, int(jets.counts.max())), model, jets, training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("pfn", {"nodewise": "mass", "friends": [2, 20]}),
        ("pfn", {"nodewise": "energy", "batch_norm": True}),
        ("particlenet", {"pairwise": "mass", "nodewise": "energy", "patch_width": 5}),
        ("particlenet", {"pairwise": "energy", "nodewise": "mass"}),
        ("particlenet", {"pairwise": "delta_r"}),
        ("particlenet", {"pairwise": "delta_r_pt"}),
        ("particlenet", {"nodewise": "mass", "phantom_neighbours": True}),
    ],
)
def test_networks_with_patches(kind, options, training):
    torch.manual_seed(0)
    more = {"lite": True, "dropout": 0.0} if kind == "particlenet" else {}
    model = models.build(kind, **more, **options).double()
    jets = random_jets(Workload("few", 9, 4, 15), 7, model.fields, seed=3)
    assert_same(padded.padded(model, jets, int(jets.counts.max()) + 3), model, jets, training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_edge_list_agrees_with_the_layers(training, clamp):
    model, jets = build("lorentznet")
    for block in model.blocks:
        block.clamp = clamp
    model.options["clamp"] = clamp
    assert_same(padded.edge_list(model, jets), model, jets, training)
    assert_same(padded.padded(model, jets, 20), model, jets, training)


def test_one_constituent():
    for kind in KINDS:
        model, _ = build(kind)
        jets = random_jets(Workload("single", 1, 0, 1), 3, model.fields)
        assert_same(padded.padded(model, jets, 4), model, jets, False)
