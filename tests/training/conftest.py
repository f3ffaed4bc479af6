"""Toy jets with one prong and with two."""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import make_jets, models
from coffea_equitag.models import JetModel


def toy_jets(number: int, seed: int = 0) -> ak.Array:
    """Jets of 600 GeV: background in one cone of 0.05, signal in two of them 0.7 apart."""
    generator = np.random.default_rng(seed)
    label = np.arange(number) % 2
    counts = generator.integers(3, 10, number)
    owner = np.repeat(np.arange(number), counts)
    total = len(owner)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    pt = generator.exponential(1, total) + 0.05
    pt *= 600 / np.add.reduceat(pt, first)[owner]
    place = np.arange(total) - first[owner]
    away = 0.7 * (place % 2) * label[owner]
    angle = generator.uniform(0, 2 * np.pi, number)[owner]
    columns = {
        "pt": pt,
        "eta": generator.normal(0, 1, number)[owner] + away * np.cos(angle) + generator.normal(0, 0.05, total),
        "phi": away * np.sin(angle) + generator.normal(0, 0.05, total),
        "mass": np.zeros(total),
    }
    return make_jets(ak.unflatten(ak.zip(columns), counts), label=label)


def small_model(**options: object) -> JetModel:
    """A LorentzNet that trains in a second."""
    torch.manual_seed(1)
    return models.build("lorentznet", **({"hidden": 8, "n_layers": 2} | options))


@pytest.fixture(scope="session")
def toy() -> Callable[..., ak.Array]:
    return toy_jets


@pytest.fixture(scope="session")
def build_small() -> Callable[..., JetModel]:
    return small_model


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
