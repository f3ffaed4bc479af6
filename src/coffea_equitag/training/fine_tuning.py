"""Fine-tuning: a training that begins with the weights of a tagger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from .. import models
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..tagger import Tagger

__all__ = ["begin_with", "frozen", "frozen_modules", "pretrained_parts"]

#: Options that may differ from those of the tagger: they decide the head, or nothing about the weights.
_FREE = ("n_classes", "output", "dropout")


def pretrained_parts(model: JetModel, tagger: Tagger, classes: Sequence[str]) -> frozenset[str]:
    """Names of the weights and statistics that come from the tagger: all but the head, if classes or outputs differ.

    Parameters
    ----------
    model : JetModel
        The network to be trained.
    tagger : Tagger
        What it begins with.
    classes : sequence of str
        The classes to be trained.

    Raises
    ------
    TaggerError
        If the tagger's network is another one.
    """
    _check_same(model, tagger.model)
    own, theirs = model.state_dict(), tagger.model.state_dict()
    differing = {name for name, value in own.items() if name not in theirs or theirs[name].shape != value.shape}
    head = frozenset() if tuple(classes) == tagger.classes else _head(model)
    strange = differing - head
    if strange and model.output == tagger.model.output:
        raise TaggerError(
            explain(
                f"weights {', '.join(sorted(strange)[:5])} of other shapes than those of {tagger.name}",
                "the same network, apart from its head",
                "build it with the tagger's options: coffea_equitag.models.build(kind, **tagger.model.options)",
            )
        )
    return frozenset(own) - head - differing


def begin_with(model: JetModel, tagger: Tagger, pretrained: frozenset[str]) -> None:
    """Copy these weights and statistics of the tagger into the network."""
    own, theirs = model.state_dict(), tagger.model.state_dict()
    with torch.no_grad():
        for name in pretrained:
            own[name].copy_(theirs[name])


def _check_same(model: JetModel, other: JetModel) -> None:
    """Refuse a tagger of another kind of network, or of one with other options."""
    same = model.kind == other.kind
    ours, theirs = ({"kind": one.kind, **(one.options if same else {})} for one in (model, other))
    differing = [
        f"{name} = {theirs.get(name)!r} (here {ours.get(name)!r})"
        for name in sorted(ours.keys() | theirs.keys())
        if name not in _FREE and ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise TaggerError(
            explain(
                f"init_from is a tagger with {', '.join(differing[:5])}",
                f"a {model.kind} with the options of the network to be trained; {', '.join(_FREE)} may differ",
                "build the network with the tagger's options, or begin with another tagger",
            )
        )


def _head(model: JetModel) -> frozenset[str]:
    """Names of the weights whose number follows from the number of classes."""
    if "n_classes" not in model.options:
        return frozenset()
    with torch.random.fork_rng(devices=[]):
        wider = models.build(model.kind, **(model.options | {"n_classes": model.n_classes + 1})).state_dict()
    return frozenset(name for name, value in model.state_dict().items() if wider[name].shape != value.shape)


def frozen_modules(model: nn.Module, names: Sequence[str]) -> tuple[list[nn.Module], list[nn.Parameter]]:
    """The parts of a network that keep their weights, and these weights.

    Parameters
    ----------
    model : Module
        The network.
    names : sequence of str
        Names of modules or weights, with all that is in them; ``*`` stands for anything.

    Raises
    ------
    TaggerError
        If a name is none of the network's, or nothing is left to train.
    """

    def matches(name: str, pattern: str) -> bool:
        return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")

    modules, weights = dict(model.named_modules()), dict(model.named_parameters())
    for pattern in names:
        if not any(matches(name, pattern) for name in (*modules, *weights) if name):
            parts = ", ".join(name for name, _ in model.named_children())
            raise TaggerError(
                explain(f"frozen = {pattern!r}", f"parts of the network: {parts}, or of these", "correct the name")
            )
    kept = [weight for name, weight in weights.items() if any(matches(name, pattern) for pattern in names)]
    if len(kept) == len(weights):
        raise TaggerError(
            explain(
                f"frozen = {tuple(names)}: all {len(kept)} weights of the network",
                "weights that are trained",
                "leave a part out",
            )
        )
    return [m for name, m in modules.items() if name and any(matches(name, pattern) for pattern in names)], kept


@contextmanager
def frozen(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Weights without gradients; afterwards they have them as before."""
    before: list[Any] = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, wanted in zip(weights, before, strict=True):
            weight.requires_grad_(wanted)
