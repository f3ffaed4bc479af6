"""Weights and jets by formula, for which the official LGN's logits are in ``lgn_official.json``."""

from __future__ import annotations

import math

import torch


def state_of(shapes):
    """A state dict of these shapes, in which every kind of tensor counts."""
    return {name: _wave(index, shape) / _size(name, shape) for index, (name, shape) in enumerate(shapes.items())}


def momenta():
    """Two jets of 3 and 4 constituents at rest: momenta (7, 4) in GeV and offsets."""
    three = 100 * _wave(1, (7, 3))
    mass = 120 + 40 * _wave(2, (7, 1))
    return torch.cat([(mass**2 + three.square().sum(1, keepdim=True)).sqrt(), three], dim=1), torch.tensor([0, 3, 7])


def _wave(index, shape):
    numbers = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(1.7 * numbers + 0.9 * index + 0.3 * numbers.sqrt()).reshape(shape)


def _size(name, shape):
    if ".mix_reps.weights." not in name:
        return 1.0 if len(shape) != 2 else shape[1] ** 0.5
    return shape[2] ** 0.5 * {"(0, 0)": 1.0, "(1, 1)": 1.5}.get(name.rsplit(".", 1)[1], 0.5)
