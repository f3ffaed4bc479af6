"""PELICAN's training on a GPU, or in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import pelican_steps
import training_steps
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.pelican.dropout import kept_channels, message_keys, threshold_of
from gpu import DEVICE, INTERPRETED, needs_gpu
from pelican_steps import Masked, assert_same_step
from training_steps import results, rms

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

#: In the interpreter a pair takes a millisecond.
COUNTS = [6, 0, 1, 3] if INTERPRETED else [7, 1, 0, 4, 2, 12, 40, 3]


def build(training=True, **options):
    return pelican_steps.build(training, **options).to(DEVICE)


def step(model, jets, mode="gpu"):
    return training_steps.step(model, jets, mode)


def assert_agrees(model, jets, tolerance=1e-4):
    """With the layers in double precision."""
    expected = step(copy.deepcopy(model).double(), jets, "reference")
    assert_same_step(step(copy.deepcopy(model), jets), expected, tolerance)


def assert_agrees_for_a_seed(model, jets_of):
    """The same for one of a few seeds: an activation that falls on the other side of 0 makes gradients jump."""
    for seed in range(4):
        try:
            return assert_agrees(model, jets_of(seed))
        except AssertionError:
            if seed == 3:
                raise
    return None


@pytest.mark.parametrize(
    ("options", "training"),
    [
        ({}, True),
        ({}, False),
        ({"symmetry": "so13", "aggregation": "sum", "diagonal": False}, True),
        ({"size": (40, 20, 10), "symmetry": "1", "method": "input", "fields": ["pdgId"], "n_classes": 5}, True),
        pytest.param({"symmetry": "so3", "mean_count": 20.0, "factorize": False}, True, marks=on_hardware),
        pytest.param({"size": "48k", "fields": ["pdgId"]}, True, marks=on_hardware),
        pytest.param({"size": "208k"}, True, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers_in_double_precision(random_jets, options, training):
    assert_agrees_for_a_seed(
        build(training, **options), lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed), ("pdgId",))
    )


def test_more_tiles_than_programs(random_jets, monkeypatch):
    monkeypatch.setattr("coffea_equitag.kernels.pelican.gpu.layer.PROGRAMS", 1)
    assert_agrees(build(symmetry="so13"), random_jets([18]))


@on_hardware
def test_many_constituents(random_jets):
    """More tiles than programs."""
    # a LeakyReLU or two falls on the other side of 0
    assert_agrees(build(size="24k"), random_jets([130, 50, 20] * 100), tolerance=2e-2)


@on_hardware
@pytest.mark.parametrize(("precision", "tolerance"), [("ieee", 1e-4), ("tf32", 0.3), ("bf16", 1.0)])
def test_precision_of_choice(random_jets, monkeypatch, precision, tolerance):
    model, jets = build(size="24k"), random_jets([20, 30, 9])
    expected = step(copy.deepcopy(model).double(), jets, "reference")[1]
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    found, largest = step(model, jets)[1], max(map(rms, expected.values()))
    for name, gradient in expected.items():
        assert rms(found[name] - gradient) <= tolerance * max(rms(gradient), 3e-2 * largest), name


def test_products_without_matrix_units(random_jets, monkeypatch):
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", "ieee")
    assert_agrees(build(symmetry="so13"), random_jets([3, 4]))


def test_dropout_is_the_same_on_the_way_back_and_on_the_cpu(random_jets):
    model, jets, probability = build(dropout=0.4), RaggedJets.from_awkward(random_jets([3, 0, 5])).to(DEVICE), 0.4
    model.head[0].p = 0.0
    precise = copy.deepcopy(model).double()
    number = int((jets.counts + model.extra_nodes).square().sum())
    torch.manual_seed(8)
    for message, key in zip(precise.messages, message_keys(model), strict=True):
        kept = kept_channels(key, np.arange(number), model.message_channels, threshold_of(probability))
        message.dropout = Masked(torch.from_numpy(kept), probability)
    found = []
    for network, mode in ((model, "gpu"), (precise, "reference")):
        torch.manual_seed(8)
        with kernels.use(mode):
            logits = network.network(network.products(jets), network.scalars(jets), network._offsets(jets))
        found.append(results(network, logits))
    assert_same_step(*found)


@on_hardware
def test_all_dropped(random_jets):
    model, jets = build(dropout=1.0), random_jets(COUNTS)
    expected = step(copy.deepcopy(model), jets, "reference")
    found = step(model, jets)
    torch.testing.assert_close(found[0], expected[0])
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)


@pytest.mark.parametrize("counts", [[], [0], [1], pytest.param([0, 2, 1], marks=on_hardware)])
@pytest.mark.parametrize("options", [{"symmetry": "so13"}, pytest.param({}, marks=on_hardware)])
def test_few_constituents(random_jets, counts, options):
    model, jets = build(**options), random_jets(counts)
    precise = copy.deepcopy(model).double()
    found, expected = step(model, jets), step(precise, jets, "reference")
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-3, atol=1e-3)
    for name, statistic in expected[2].items():
        torch.testing.assert_close(found[2][name].double(), statistic.double(), rtol=1e-4, atol=1e-4, msg=name)
    largest = max(map(rms, expected[1].values())) if counts else 0
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name].double(), gradient, rtol=1e-2, atol=1e-2 * largest, msg=name)


def test_statistics_follow_without_gradients(random_jets):
    model, jets = build(symmetry="so13"), random_jets([3])
    model.messages[1].norm.momentum = None
    other = copy.deepcopy(model).double()
    with torch.no_grad():
        with kernels.use("gpu"):
            logits = model(jets)
        assert kernels.last_choice("pelican").kernel == "gpu"
        with kernels.use("reference"):
            torch.testing.assert_close(logits.double(), other(jets), rtol=1e-4, atol=1e-4)
    for name, statistic in other.named_buffers():
        found = dict(model.named_buffers())[name].double()
        torch.testing.assert_close(found, statistic.double(), rtol=1e-5, atol=1e-5, msg=name)


def test_frozen_batch_norm_and_parameters(random_jets):
    model = build()
    model.messages[1].norm.eval()
    for part in (model.embedding, model.encoder, model.messages[0], model.messages[2], model.blocks[0]):
        part.requires_grad_(False)
    assert_agrees(model, random_jets([4, 2]))


def test_gradients_of_the_scalars(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([4, 1])).to(DEVICE)
    found = []
    for network, mode in ((model, "gpu"), (copy.deepcopy(model).double(), "reference")):
        scalars = network.scalars(jets).requires_grad_()
        with kernels.use(mode):
            network.network(network.products(jets), scalars, network._offsets(jets))[:, 0].square().sum().backward()
        assert kernels.last_choice("pelican").kernel == mode
        found.append(scalars.grad.double())
    assert float((found[0] - found[1]).abs().max()) <= 1e-4 * rms(found[1])


def test_the_same_bits_again(random_jets):
    model, jets = build(dropout=0.1), random_jets([3, 2] if INTERPRETED else [3, 40] * 300)
    found = []
    for _ in range(2):
        torch.manual_seed(2)
        one = step(copy.deepcopy(model), jets)
        found.append([one[0], *one[1].values(), *one[2].values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@on_hardware
def test_nan_stays_in_its_jet_without_statistics(random_jets):
    model, jets = build(training=False), RaggedJets.from_awkward(random_jets([4, 6, 3])).to(DEVICE)
    products, scalars, offsets = model.products(jets), model.scalars(jets), model._offsets(jets)
    with kernels.use("gpu"):
        clean = model.network(products, scalars, offsets)
        products[40] = torch.nan
        spoilt = model.network(products, scalars, offsets)
    assert kernels.last_choice("pelican").kernel == "gpu"
    assert spoilt[1].isnan().all()
    assert torch.equal(spoilt[[0, 2]], clean[[0, 2]])


def test_keeps_messages_alone(random_jets):
    """4 bytes a pair and channel of each message, a multiple of 4, and no larger array of pairs at any time."""
    n = 24
    model, jets = build(dropout=0.1, size=(16, 10, 4), symmetry="so13"), random_jets([n])
    sizes, kept, pairs = [], {}, n**2

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            found = function(*arguments, **(keywords or {}))
            sizes.extend(tensor.untyped_storage().nbytes() for tensor in tree_leaves(found) if torch.is_tensor(tensor))
            return found

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with Sizes(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(model, jets)
    assert max(sizes) == 4 * 12 * pairs
    of_pairs = [size for size in kept.values() if size >= 4 * 12 * pairs]
    assert sum(of_pairs) == 6 * 4 * 12 * pairs
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert sum(kept.values()) - sum(of_pairs) <= 8 * pairs + 6 * n * (36 * 12 + 12 * 16) + 100 * weights


@on_hardware
def test_same_training_as_the_layers(random_jets):
    jets, losses = [random_jets([12, 30, 1, 8, 20, 16], seed=seed) for seed in range(4)], {}
    for mode in ("gpu", "reference"):
        model = build() if mode == "gpu" else build().double()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        losses[mode] = []
        for batch in jets:
            with kernels.use(mode):
                logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(6, device=logits.device) % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[mode].append(float(loss.detach()))
    assert losses["gpu"] == pytest.approx(losses["reference"], rel=2e-3)


def test_reference_for_what_the_kernel_cannot_do(random_jets):
    jets = RaggedJets.from_awkward(random_jets([3])).to(DEVICE)
    for options in ({"irc_safe": True}, {"size": (140, 129, 10)}):
        model = build(**options)
        with kernels.use("gpu"):
            model(jets)
        assert kernels.last_choice("pelican").kernel == "reference"
    model = build()
    with kernels.use("gpu"):
        model.network(model.products(jets).requires_grad_(), model.scalars(jets), model._offsets(jets)).sum().backward()
    assert kernels.last_choice("pelican").kernel == "reference"


def test_no_double_backward(random_jets):
    model = build(symmetry="so13")
    with kernels.use("gpu"):
        logits = model(random_jets([2]))
    slope = torch.autograd.grad(logits.sum(), model.embedding.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
