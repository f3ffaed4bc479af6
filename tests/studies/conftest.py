"""A small study: its configuration, and folders of toy jets as `simulate_folder` leaves them."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import yaml

import coffea_equitag as eqt

CONFIGURATION = {
    "title": "Toys",
    "question": "Which of two networks learns more?",
    "sample": {
        "recipe": "top",
        "jets": {"train": 400, "more": 200, "validation": 200, "test": 300},
        "seeds": {"train": 1, "more": 2, "validation": 3, "test": 4},
    },
    "repeats": 2,
    "common": {"classes": ["QCD", "top"], "epochs": 1, "batch_size": 50, "device": "cpu"},
    "variants": {
        "good": {
            "model": "pfn",
            "label": "PFN",
            "published": {"auc": 0.9},
            "learning_rate": 0.003,
            "sizes": {200: 2, 600: 1},
        },
        "bad": {"model": "pfn", "learning_rate": 1e-9, "repeats": 1, "published": {"auc": 0.6}},
    },
    "expected": [{"better": "good", "worse": "bad", "metric": "auc"}, {"better": "good", "worse": "good-200"}],
    "figures": [
        "cost",
        "learning",
        "size",
        "roc",
        "confusion",
        "training",
        {"invariance": {"variants": ["good"]}},
        {"robustness": {"jets": 40}},
    ],
    "replicas": 40,
    "remarks": ["Toy jets."],
}


def toy_jets(number: int, seed: int) -> ak.Array:
    """Jets of 600 GeV: background in one cone, signal in two of them."""
    generator = np.random.default_rng(seed)
    label, counts = np.arange(number) % 2, generator.integers(4, 10, number)
    owner = np.repeat(np.arange(number), counts)
    pt = generator.exponential(1, len(owner)) + 0.05
    pt *= 600 / np.bincount(owner, pt)[owner]
    away = 0.5 * (np.arange(len(owner)) % 2) * label[owner]
    angle = generator.normal(0, 0.1, (2, len(owner)))
    columns = {"pt": pt, "eta": away + angle[0] + generator.normal(0, 1, number)[owner], "phi": angle[1]}
    constituents = ak.unflatten(ak.zip(columns | {"mass": np.zeros(len(owner))}), counts)
    jets = eqt.make_jets(constituents, label=label)
    return ak.with_field(jets, np.arange(1, number + 1), "event")


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all parts, complete as far as their manifests say."""
    folder, sample = tmp_path_factory.mktemp("jets"), CONFIGURATION["sample"]
    for part, number in sample["jets"].items():
        (folder / part).mkdir()
        ak.to_parquet(toy_jets(number, sample["seeds"][part]), folder / part / "shard-00000.parquet")
        facts = {
            "n": number,
            "seed": sample["seeds"][part],
            "recipe": {"name": "top"},
            "content_hash": f"sha256:{part}",
        }
        (folder / part / "sample.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def configuration() -> dict:
    return yaml.safe_load(yaml.safe_dump(CONFIGURATION, sort_keys=False))


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
