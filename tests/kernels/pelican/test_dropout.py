from __future__ import annotations

import numpy as np
import pytest
import torch

import training_steps
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.dropout import kept_channels, threshold_of
from coffea_equitag.kernels.pelican.dropout import message_keys
from gpu import device_of
from kernel_forms import cases, needs_vectors, skip_interpreter
from pelican_steps import Masked, build
from training_steps import results

COUNTS = [7, 1, 0, 4, 2, 12, 9, 3]


def test_drops_what_it_should():
    rows = kept_channels(12345, np.arange(50_000), 20, threshold_of(0.1))
    assert rows.mean() == pytest.approx(0.9, abs=1e-3)
    centred = rows - 0.9
    spread = centred.T @ centred / len(rows)
    # no two channels, pairs or calls have to do with each other
    assert np.abs(spread - np.diag(spread.diagonal())).max() < 3e-3
    for other in (rows[1:], kept_channels(12346, np.arange(50_000), 20, threshold_of(0.1))):
        assert abs(((other - 0.9) * centred[: len(other)]).mean()) < 1e-3
    assert kept_channels(1, np.arange(10), 4, threshold_of(0.0)).all()


@pytest.mark.parametrize(("backend", "probability"), cases(cpu=[0.025, 0.4], gpu=[0.4]))
def test_the_same_forward_backward_and_on_each_device(random_jets, backend, probability):
    """As the hash in NumPy says, which a dropout of the layers is given."""
    counts = [12, 3, 0, 9] if backend == "cpu" else [3, 0, 5]
    model = build(backend=backend, dropout=probability)
    model.head[0].p = 0.0

    def masked_step(network, jets, mode):
        torch.manual_seed(8)
        if mode == "reference":
            number = int((jets.counts + model.extra_nodes).square().sum())
            for message, key in zip(network.messages, message_keys(model), strict=True):
                kept = kept_channels(key, np.arange(number), model.message_channels, threshold_of(probability))
                message.dropout = Masked(torch.from_numpy(kept), probability)
        inputs = network.products(jets), network.scalars(jets), network._offsets(jets)
        with kernels.use(mode):
            return results(network, network.network(*inputs))

    def jets_of(seed):
        return RaggedJets.from_awkward(random_jets(counts, seed=seed)).to(device_of(backend))

    assert_step_agrees(masked_step, model, jets_of, backend, zeros_for_none=backend == "cpu")


@needs_vectors
def test_follows_torchs_generator(random_jets):
    model, jets = build(dropout=0.3), random_jets(COUNTS)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(model(jets))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    model.eval()
    before = torch.random.get_rng_state()
    assert torch.equal(model(jets), model(jets))
    assert torch.equal(before, torch.random.get_rng_state())


def test_all_dropped(random_jets, backend):
    skip_interpreter(backend)
    model, jets = build(backend=backend, dropout=1.0), random_jets(COUNTS)
    assert_step_agrees(training_steps.step, model, lambda seed: jets, backend, zeros_for_none=backend == "cpu")
