from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.pfn.cpu import phi_rows
from coffea_equitag.kernels.pfn.cpu.training import logits
from kernel_forms import needs_vectors, with_avx2
from training_steps import forward, step, two_steps

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 61, 2, 0, 130, 3, 0]
#: What differs within the kernel: BatchNorm or none, a patch or none, channels that fill whole tiles or do not.
OPTIONS = [
    {},
    {"batch_norm": True},
    {"phi": (8,), "f": (), "n_classes": 3},
    {"phi": (100, 40, 64), "f": (30,), "nodewise": "mass"},
    {"phi": (40, 72, 10), "f": (8,), "nodewise": "energy", "batch_norm": True, "patch_width": 5},
]


def build(**options):
    torch.manual_seed(3)
    model = eqt.models.build("pfn", **options).train()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_the_layers(random_jets, monkeypatch, options, training):
    monkeypatch.setattr(phi_rows, "_GROUP", 50)
    jets_of = lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed))  # noqa: E731
    assert_step_agrees(step, build(**options).train(training), jets_of)


def test_gradients_of_the_features_reach_the_embedding_of_types():
    model, offsets = build(inputs="btag"), torch.tensor([0, 13, 13, 60])

    def step_of(model, features, mode):
        rows = features.to(model.dtype, copy=True).requires_grad_()
        with kernels.use(mode):
            logits = model.network(rows, offsets)
        assert kernels.last_choice("pfn").kernel == mode
        logits.square().mean().backward()
        return logits.detach(), {name: p.grad for name, p in model.named_parameters()} | {"features": rows.grad}

    def features_of(seed):
        return torch.randn(60, 12, generator=torch.Generator().manual_seed(seed))

    assert_step_agrees(step_of, model, features_of)


@pytest.mark.parametrize(
    "options", [{"batch_norm": True}, {"batch_norm": True, "nodewise": "mass", "phi": (24, 32, 8)}]
)
@pytest.mark.parametrize("steps", [forward, two_steps])
def test_running_statistics_follow(random_jets, options, steps):
    assert_step_agrees(steps, build(**options), lambda seed: random_jets([30, 0, 20, 1], seed=seed))


def test_threads_change_nothing(random_jets, monkeypatch):
    monkeypatch.setattr(phi_rows, "_GROUP", 50)
    counts = np.random.default_rng(5).integers(0, 60, 40).tolist()
    jets, real = RaggedJets.from_awkward(random_jets(counts)), phi_rows.over_jets
    for options in ({}, {"batch_norm": True, "nodewise": "mass", "phi": (24, 32, 8)}):
        found = []
        for threads in (1, 2, 3):
            # torch's own sums depend on its threads, so that these are left alone
            monkeypatch.setattr(phi_rows, "over_jets", lambda run, work, _, n=threads: real(run, work, n))
            found.append(step(build(**options), jets, "cpu"))
        for outputs, gradients, buffers in found[1:]:
            assert torch.equal(outputs, found[0][0])
            assert all(torch.equal(gradients[name], gradient) for name, gradient in found[0][1].items())
            assert all(torch.equal(buffers[name], buffer) for name, buffer in found[0][2].items())


@pytest.mark.parametrize("options", [{}, {"phi": (100, 40), "batch_norm": True}])
def test_a_jet_alone_has_the_same_sums_and_gradients(random_jets, monkeypatch, options):
    """To the last bit; with BatchNorm as it is in evaluation."""
    monkeypatch.setattr(phi_rows, "_GROUP", 50)
    model, jets = build(**options).eval(), RaggedJets.from_awkward(random_jets(COUNTS))
    model.f = torch.nn.Sequential()  # torch's sums depend on the batch, so that what they give is left out
    features = torch.randn(sum(COUNTS), 7, generator=torch.Generator().manual_seed(1))

    def sums_and_gradients(first, last):
        rows = slice(jets.offsets[first], jets.offsets[last])
        inputs = features[rows].clone().requires_grad_()
        sums = logits(model, inputs, jets.offsets[first : last + 1] - jets.offsets[first], None)
        (sums * torch.linspace(-1, 2, sums.shape[1])).sum().backward()
        return sums.detach(), inputs.grad

    together = sums_and_gradients(0, jets.num_jets)
    alone = [sums_and_gradients(j, j + 1) for j in range(jets.num_jets)]
    assert all(
        torch.equal(value, torch.cat(parts)) for value, parts in zip(together, zip(*alone, strict=True), strict=True)
    )


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}])
def test_a_second_backward_through_a_retained_graph(random_jets, options):
    model = build(**options)
    with kernels.use("cpu"):
        loss = model(random_jets([9, 4, 30])).square().sum()
    loss.backward(retain_graph=True)
    once, buffers = (
        {name: p.grad.clone() for name, p in model.named_parameters()},
        copy.deepcopy(dict(model.named_buffers())),
    )
    loss.backward()
    assert all(torch.equal(parameter.grad, 2 * once[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 1, 0, 3], [1, 1]])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True, "nodewise": "mass", "phi": (24, 32, 8)}])
def test_few_constituents(random_jets, counts, options):
    model = build(**options)
    with kernels.use("cpu"):
        logits = model(random_jets(counts))
    assert kernels.last_choice("pfn").kernel == "cpu"
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def layers():
        return build(**options)(random_jets(counts))

    with kernels.use("reference"):
        assert deviation(logits, layers()) <= rounding(layers)


def test_nan_stays_in_its_jet():
    features = torch.randn(13, 7)
    features[5] = torch.nan
    with kernels.use("cpu"):
        found = build().network(features, torch.tensor([0, 9, 13]))
    assert kernels.last_choice("pfn").kernel == "cpu"
    assert found.isnan().tolist() == [[True, True], [False, False]]


def test_weights_changed_between_the_passes_are_noticed(random_jets):
    model = build()
    with kernels.use("cpu"):
        loss = model(random_jets([9, 4])).sum()
    with torch.no_grad():
        model.phi[3].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_other_registers_give_the_same_gradients():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import assert_step_agrees; from coffea_equitag import models, kernels;"
        "from coffea_equitag.kernels.common.cpu import wide_dense; assert wide_dense.block_of(72) == 16\n"
        "def step(model, x, mode):\n"
        "    with kernels.use(mode): y = model.network(x.to(model.dtype), torch.tensor([0, 17, 18, 70]))\n"
        "    assert kernels.last_choice('pfn').kernel == mode; model.zero_grad(); y.square().sum().backward()\n"
        "    return y.detach(), {name: p.grad for name, p in model.named_parameters()}, dict(model.named_buffers())\n"
        "def jets(seed): return torch.randn(70, 7, generator=torch.Generator().manual_seed(seed))\n"
        "for options in ({}, {'batch_norm': True, 'phi': (100, 40, 64)}):\n"
        "    torch.manual_seed(0); assert_step_agrees(step, models.build('pfn', **options).train(), jets)"
    )
    with_avx2(code)
