"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
from hypothesis import settings

from coffea_equitag import make_jets
from coffea_equitag.invariants.track_features import with_impact_parameter

# Test processes share the cores; torch's own threads would only wait for each other.
torch.set_num_threads(1)

# The same examples on every machine; ``--hypothesis-profile search`` (nox -s search) looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile("fixed")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Warnings from the tests' own helpers are errors, like those from tests: see pyproject.toml."""
    for path in Path(__file__).parent.glob("*.py"):
        config.addinivalue_line("filterwarnings", f"error:::{path.stem}$")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real jets, real files and parity fixtures, which are not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: real jets and parity fixtures are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def coffea_sample() -> Callable[[str], Path]:
    """Files of coffea's own tests, from shared data or the folder COFFEA_SAMPLES names (coffea's tests/samples)."""

    def find(name: str) -> Path:
        folders = [SHARED, *map(Path, filter(None, [os.environ.get("COFFEA_SAMPLES")]))]
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is None:
            pytest.skip(f"no {name}: COFFEA_SAMPLES names no folder with the samples of coffea's tests")
        return found

    return find


@pytest.fixture(scope="session")
def random_jets() -> Callable[..., ak.Array]:
    """Jets with given multiplicities; some constituents are massless, some are pions."""

    def make(counts: Sequence[int], seed: int = 0, coordinates: str = "polar", **fields: object) -> ak.Array:
        rng = np.random.default_rng(seed)
        total = int(np.sum(counts))
        axis_eta = np.repeat(rng.uniform(-1.5, 1.5, len(counts)), counts)
        axis_phi = np.repeat(rng.uniform(-np.pi, np.pi, len(counts)), counts)
        pt = rng.exponential(15.0, total) + 0.5
        eta, phi = axis_eta + rng.normal(0, 0.3, total), axis_phi + rng.normal(0, 0.3, total)
        mass = np.where(rng.random(total) < 0.6, 0.13957, 0.0)
        extra = {"pdgId": np.where(mass > 0, 211, 22).astype(np.int32)}
        if coordinates == "polar":
            columns = {"pt": pt, "eta": eta, "phi": phi, "mass": mass}
        else:
            columns = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "mass": mass}
            if coordinates == "energy":
                size2 = sum(columns[k] ** 2 for k in ("px", "py", "pz"))
                del columns["mass"]
                columns["E"] = np.sqrt(size2 + mass**2)
        return make_jets(ak.unflatten(ak.zip(columns | extra), np.asarray(counts, dtype=np.int64)), **fields)

    return make


@pytest.fixture(scope="session")
def track_jets(random_jets: Callable[..., ak.Array]) -> Callable[..., ak.Array]:
    """The same with charges, particle types and impact parameters."""

    def make(counts: Sequence[int], seed: int = 0) -> ak.Array:
        jets = random_jets(counts, seed)
        rng, shape = np.random.default_rng(seed), ak.num(jets.constituents)
        charge = rng.integers(-1, 2, int(np.sum(counts)))
        columns = {
            "charge": charge,
            "pdgId": np.where(charge == 0, 22, rng.choice([11, 13, 211], len(charge))),
            "d0": rng.standard_t(2, len(charge)) * 0.05,
            "dz": rng.standard_t(2, len(charge)) * 0.05,
        }
        for name, values in columns.items():
            jets["constituents", name] = ak.unflatten(values, shape)
        return with_impact_parameter(jets)

    return make
