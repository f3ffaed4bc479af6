"""LorentzNet's training on a GPU, or in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import coffea_equitag as eqt
import training_steps
from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, INTERPRETED, needs_gpu
from training_steps import assert_same_step, rms

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

#: Few enough that no ReLU's input is nearer to 0 than rounding: gradients jump there.
COUNTS = [9, 1, 0, 2, 5, 17]


def build(training=True, **options):
    return training_steps.build(training, **({"n_layers": 2, "hidden": 8} | options)).to(DEVICE)


def step(model, jets, mode="gpu"):
    return training_steps.step(model, jets, mode)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": 16, "beams": False},
        pytest.param({"hidden": 72, "n_layers": 6}, marks=on_hardware),
        pytest.param({"hidden": 95, "n_scalar": 5}, marks=on_hardware),
        pytest.param({"pid": True, "n_classes": 5, "hidden": 64}, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers_in_double_precision(random_jets, options, training):
    model, jets = build(training, **options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    precise = copy.deepcopy(model).double()
    assert_same_step(step(model, jets), step(precise, jets, "reference"))


@pytest.mark.parametrize(("precision", "tolerance"), [("ieee", 1e-4), ("tf32", 5e-2), ("bf16", 0.5)])
def test_precision_of_choice(random_jets, monkeypatch, precision, tolerance):
    model, jets = build(hidden=16, n_layers=1), random_jets([5, 3])
    precise = copy.deepcopy(model).double()
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    found, expected = step(model, jets)[1], step(precise, jets, "reference")[1]
    largest = max(map(rms, expected.values()))
    for name, gradient in expected.items():
        assert rms(found[name] - gradient) <= tolerance * max(rms(gradient), 3e-3 * largest), name


def test_other_channels(random_jets):
    model, jets = build(hidden=72, n_layers=1, beams=False), random_jets([7, 3])
    precise = copy.deepcopy(model).double()
    assert_same_step(step(model, jets), step(precise, jets, "reference"))


@on_hardware
def test_many_constituents(random_jets):
    model, jets = build(hidden=72), random_jets([130, 50, 20] * 100)
    precise = copy.deepcopy(model).double()
    # a ReLU or two falls on the other side of 0
    assert_same_step(step(model, jets), step(precise, jets, "reference"), tolerance=2e-2)


@pytest.mark.parametrize("counts", [[2], [0, 2, 1]])
def test_a_single_pair(random_jets, counts):
    model, jets = build(beams=False), random_jets(counts)
    precise = copy.deepcopy(model).double()
    found, expected = step(model, jets), step(precise, jets, "reference")
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name].double(), gradient, rtol=2e-3, atol=2e-3, msg=name)
    for name, statistic in expected[2].items():
        torch.testing.assert_close(found[2][name].double(), statistic.double(), rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 1]])
def test_without_pairs_statistics_stay(random_jets, counts):
    model = build(beams=False)
    before = copy.deepcopy(model)
    logits, gradients, statistics = step(model, random_jets(counts))
    expected, expected_gradients, same = step(before, random_jets(counts), "reference")
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    for name, gradient in expected_gradients.items():
        gradient = torch.zeros_like(gradients[name]) if gradient is None else gradient
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5, msg=name)
    for name, statistic in statistics.items():
        torch.testing.assert_close(statistic, same[name], rtol=0, atol=0, equal_nan=True)


def test_statistics_follow_without_gradients(random_jets):
    model, jets = build(), random_jets([5, 3])
    model.blocks[0].phi_e[1].momentum = None
    other = copy.deepcopy(model)
    for _ in range(2):
        with torch.no_grad():
            with kernels.use("gpu"):
                logits = model(jets)
            assert kernels.last_choice("lorentznet").kernel == "gpu"
            with kernels.use("reference"):
                torch.testing.assert_close(logits, other(jets), rtol=1e-4, atol=1e-5)
    for name, statistic in other.named_buffers():
        torch.testing.assert_close(dict(model.named_buffers())[name], statistic, rtol=1e-5, atol=1e-6)


def test_frozen_batch_norm_and_parameters(random_jets):
    model, jets = build(), random_jets([5, 1, 4])
    model.blocks[1].phi_e[1].eval()
    model.blocks[0].requires_grad_(False)
    precise = copy.deepcopy(model).double()
    found, expected = step(model, jets), step(precise, jets, "reference")
    for results in (found, expected):
        assert all((gradient is None) == name.startswith("blocks.0.") for name, gradient in results[1].items())
        for name in [name for name in results[1] if name.startswith("blocks.0.")]:
            del results[1][name]
    assert_same_step(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_inputs(random_jets, training):
    model = build(training, beams=False)
    jets = RaggedJets.from_awkward(random_jets([9, 1, 5])).to(DEVICE)
    found = []
    for network, mode in ((copy.deepcopy(model), "gpu"), (copy.deepcopy(model).double(), "reference")):
        scalars = network.scalars(jets).requires_grad_()
        products = eqt.invariants.gram(jets).requires_grad_()
        with kernels.use(mode):
            network.network(jets.p4, scalars, jets.offsets, products)[:, 0].square().sum().backward()
        assert kernels.last_choice("lorentznet").kernel == mode
        found.append((scalars.grad.double(), products.grad))
    for one, other in zip(*found, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * rms(other)


def test_the_same_bits_again(random_jets):
    """More tiles than programs on a GPU, so that each of these adds up several."""
    from coffea_equitag.kernels.lorentznet.gpu.backward import PROGRAMS

    model, jets = build(hidden=16), random_jets([3, 18] * (1 if INTERPRETED else PROGRAMS))
    results = []
    for _ in range(2):
        found = step(copy.deepcopy(model), jets)
        results.append([found[0], *found[1].values(), *found[2].values()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_no_array_of_pairs_has_channels(random_jets):
    """Two scalars a pair at most; what tiles of receivers give the senders is a sixteenth of the channels."""
    n, hidden = 40, 24
    model, jets = build(hidden=hidden, n_layers=1, beams=False), random_jets([n])
    sizes, kept = [], {}

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
    assert max(sizes) < 4 * n * n * hidden / 2
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert sum(kept.values()) <= 12 * n * n + 4 * n * 20 * hidden + 8 * weights


def test_same_training_as_the_layers(random_jets):
    jets, losses = [random_jets([4, 5, 1, 3], seed=seed) for seed in range(3)], {}
    for mode in ("gpu", "reference"):
        model = build(dropout=0.2 if DEVICE == "cpu" else 0.0, beams=False)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses[mode] = []
        for number, batch in enumerate(jets):
            torch.manual_seed(number)
            with kernels.use(mode):
                logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(4, device=logits.device) % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[mode].append(float(loss.detach()))
    assert losses["gpu"] == pytest.approx(losses["reference"], rel=2e-3)
    assert losses["gpu"][-1] != losses["gpu"][0]


def test_reference_for_what_the_kernel_cannot_do(random_jets):
    for options in ({"clamp": 100.0}, {"hidden": 96}):
        model = build(**options)
        with kernels.use("gpu"):
            model(random_jets([3]))
        assert kernels.last_choice("lorentznet").kernel == "reference"


def test_no_double_backward(random_jets):
    model = build(n_layers=1)
    with kernels.use("gpu"):
        logits = model(random_jets([3]))
    slope = torch.autograd.grad(logits.sum(), model.embedding.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
