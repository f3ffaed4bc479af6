"""A moving average of a network's weights over the steps of the optimiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Exponential moving average of weights and running statistics.

    Its decay grows with the steps, (1 + steps) / (10 + steps), up to the given one: so that the first weights, which
    are random, are soon forgotten.

    Parameters
    ----------
    model : Module
        The network whose weights are averaged.
    decay : float
        Share of the average that a step keeps.
    stored : mapping, optional
        What `state` returned.
    """

    def __init__(self, model: nn.Module, decay: float, stored: Mapping[str, Any] | None = None) -> None:
        self.model, self.decay = model, decay
        self.steps = 0 if stored is None else int(stored["steps"])
        values = model.state_dict() if stored is None else stored["values"]
        self.values = {name: values[name].to(value.device).clone() for name, value in model.state_dict().items()}

    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.values[name].lerp_(value, 1 - decay)
                else:
                    self.values[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for a checkpoint."""
        return {"steps": self.steps, "values": self.values}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with the averaged weights; afterwards it has its own again."""
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                value.copy_(values[name])
