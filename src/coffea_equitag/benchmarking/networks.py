"""The networks to be timed, with realistic normalization statistics, and their two passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .. import kernels, models
from ..jet_model import JetModel
from ..tagger import load
from .workloads import Workload, random_jets

__all__ = ["BATCHES", "PASSES", "build", "one_pass"]

#: Without and with gradients.
PASSES = ("forward", "forward+backward")

#: Jets per batch, if not the default.
BATCHES = {"pelican": 32}


def build(kind: str, device: str = "cpu", options: Mapping[str, Any] | None = None) -> JetModel:
    """A network with reproducible weights, and with normalization statistics from some jets.

    Options are the defaults unless given. A kind that is not a model is a trained tagger: its folder, or its name in
    the zoo.
    """
    if kind not in models.names():
        trained: JetModel = load(kind).model
        return trained.eval().to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = models.build(kind, **(options or {}))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain average
    with torch.no_grad(), kernels.use("reference"):
        model.train()(random_jets(Workload("first jets", 20, 8), 16, model.fields, seed=2))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval().to(device)


def one_pass(model: JetModel, logits: Callable[[], Tensor], backward: bool) -> Callable[[], Tensor]:
    """The function to be timed: logits in evaluation mode, or in training mode with the gradients of all weights."""

    def forward() -> Tensor:
        if model.training:  # setting it on every layer costs as much as a few jets
            model.eval()
        with torch.inference_mode():
            return logits()

    def both() -> Tensor:
        model.train()
        model.zero_grad(set_to_none=True)
        found = logits()
        torch.autograd.backward(found.square().mean())
        return found.detach()

    return both if backward else forward
