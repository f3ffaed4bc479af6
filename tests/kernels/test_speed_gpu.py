"""The kernels against the layers on the same GPU; there is nothing to time in the interpreter."""

from __future__ import annotations

import statistics

import pytest
import torch

from coffea_equitag import kernels
from coffea_equitag.benchmarking.clock import seconds_of
from coffea_equitag.benchmarking.networks import build, one_pass
from coffea_equitag.benchmarking.workloads import WORKLOADS, random_jets
from gpu import INTERPRETED, needs_gpu

pytestmark = [needs_gpu, pytest.mark.skipif(INTERPRETED, reason="the interpreter is not timed")]


@pytest.mark.parametrize(("kind", "at_least"), [("lorentznet", 5.0), ("pelican", 3.0)])
def test_faster_than_the_layers(kind, at_least):
    model = build(kind, "cuda")
    jets = random_jets(WORKLOADS["top"], 500, model.fields).to("cuda")

    def seconds(mode):
        def task():
            with torch.inference_mode(), kernels.use(mode):
                model(jets)

        task()
        return statistics.median(seconds_of(task, "cuda") for _ in range(5))

    assert seconds("reference") >= at_least * seconds("gpu")


def test_training_is_faster_than_by_the_layers():
    model = build("lorentznet", "cuda")
    jets = random_jets(WORKLOADS["top"], 500).to("cuda")

    def seconds(mode):
        def logits():
            with kernels.use(mode):
                return model(jets)

        task = one_pass(model, logits, True)
        task()
        return statistics.median(seconds_of(task, "cuda") for _ in range(5))

    assert seconds("reference") >= seconds("gpu")
