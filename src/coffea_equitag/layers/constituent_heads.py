"""Heads that classify the constituents of jets, from what a network knows of each of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..jet_model import AUXILIARY, JetModel
from ..jets.ragged import RaggedJets

__all__ = ["ConstituentHead", "add_heads", "heads_of", "set_heads", "with_heads"]

_HIDDEN = 64


class ConstituentHead(nn.Sequential):
    """Rows (N, C) to logits (N, K), by one hidden layer.

    Rows of different networks differ in size by many orders of magnitude, hence the normalisation of each.
    """

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__(nn.LayerNorm(width), nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, n_classes))


def add_heads(model: JetModel, numbers: Mapping[str, int], width: int, seed: int = 0) -> None:
    """Give a network one head per task.

    Parameters
    ----------
    model : JetModel
        The network.
    numbers : mapping of str to int
        Task -> number of its classes.
    width : int
        C, as `JetModel.with_constituents` gives it.
    seed : int
        Of the first weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = {name: ConstituentHead(width, number) for name, number in numbers.items()}
    model.add_module(AUXILIARY, nn.ModuleDict(heads).to(model.device))


def set_heads(model: JetModel, numbers: Mapping[str, int], jets: RaggedJets | None = None, seed: int = 0) -> None:
    """The same in place of what heads there are, for a network that tells its C of some jets; none for no tasks."""
    model._modules.pop(AUXILIARY, None)
    if numbers:
        assert jets is not None
        training = model.training
        with torch.no_grad():
            width = model.eval().with_constituents(jets.to(model.device))[1].shape[1]
        model.train(training)
        add_heads(model, numbers, width, seed)


def heads_of(model: JetModel) -> nn.ModuleDict | None:
    """The heads of a network, if it has any."""
    heads = model._modules.get(AUXILIARY)
    assert heads is None or isinstance(heads, nn.ModuleDict)
    return heads


def with_heads(model: JetModel, jets: RaggedJets) -> tuple[Tensor, dict[str, Tensor], RaggedJets]:
    """The network's outputs (J, K), each task's logits (N, n_classes), and the jets that these rows belong to."""
    outputs, rows_NC, jets = model.with_constituents(jets)
    heads = heads_of(model)
    return outputs, {name: head(rows_NC) for name, head in (heads.items() if heads is not None else ())}, jets
