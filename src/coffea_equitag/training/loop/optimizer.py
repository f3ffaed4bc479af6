"""The optimiser that a recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..recipes import Recipe

__all__ = ["make_optimizer", "set_rate"]


def make_optimizer(
    model: nn.Module, recipe: Recipe, scales: Mapping[str, float], state: Mapping[str, Any] | None
) -> torch.optim.Optimizer:
    """The optimiser of the weights that are trained.

    Parameters
    ----------
    model : Module
        The network.
    recipe : Recipe
        How to train it.
    scales : mapping of str to float
        Factors of the learning rate by name of parameter, where they are not 1.
    state : mapping, optional
        To resume from.
    """
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(scales.get(name, 1.0), []).append(parameter)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(
        [{"params": parameters, "scale": scale} for scale, parameters in groups.items() if parameters],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        amsgrad=recipe.optimizer == "amsgrad",
    )
    if state is not None:
        optimizer.load_state_dict(dict(state))
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of each group to its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
