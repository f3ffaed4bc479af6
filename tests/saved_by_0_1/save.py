"""Writes what is saved here with version 0.1: taggers of every network, their outputs, and folders of runs.

Everything here was written by this script with the code of commit 85405c1, before kernels, jets and taggers moved to
the folders they have now. It is not run again: ``tests/test_saved_by_0_1.py`` loads what it wrote.

- ``jets.parquet``, ``training_jets.parquet``: 12 jets of 1 to 9 tracks, 80 jets of 3 to 9 constituents. Momenta and
  energies are multiples of 1/64 GeV, so that masses and sums, and with them the fingerprints in ``run.json``, are exact
  on every machine.
- ``taggers/NAME/``: networks of few channels with random weights, random running statistics where they have them, and
  options other than the defaults.
- ``outputs.npz``: for each tagger the ``float32`` outputs of scoring (from the kernels where there are any), and the
  ``float64`` outputs of the layers.
- ``runs/finished``, ``runs/interrupted``: one training of 3 epochs of 6 batches, uninterrupted, and interrupted at its
  ninth step. ``runs/pfn``: a finished run of another network, with every setting other than the default.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import awkward as ak
import numpy as np
import torch
from settings import MODEL, PFN_MODEL, PFN_SETTINGS, SETTINGS, TAGGERS

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.invariants.track_features import with_impact_parameter
from coffea_equitag.training.loop.module import Training

HERE = Path(__file__).parent


def jets_on_a_grid(number: int, seed: int, *, tracks: bool) -> ak.Array:
    """Jets of about 600 GeV, one prong or two (label), whose momenta are multiples of 1/64 GeV."""
    rng = np.random.default_rng(seed)
    label = np.arange(number) % 2
    counts = rng.integers(1 if tracks else 3, 10, number)
    owner = np.repeat(np.arange(number), counts)
    total = len(owner)
    first = np.cumsum(counts) - counts
    pt = rng.exponential(1, total) + 0.05
    pt *= 600 / np.add.reduceat(pt, first)[owner]
    away = 0.7 * ((np.arange(total) - first[owner]) % 2) * label[owner]
    eta = rng.normal(0, 1, number)[owner] + away + rng.normal(0, 0.05, total)
    phi = rng.uniform(-np.pi, np.pi, number)[owner] + rng.normal(0, 0.05, total)
    momentum = {
        "px": np.round(64 * pt * np.cos(phi)) / 64,
        "py": np.round(64 * pt * np.sin(phi)) / 64,
        "pz": np.round(64 * pt * np.sinh(eta)) / 64,
    }
    momentum["E"] = np.ceil(64 * np.sqrt(sum(p**2 for p in momentum.values()))) / 64
    charge = rng.integers(-1, 2, total)
    columns = {
        "charge": charge,
        "pdgId": np.where(charge == 0, 22, rng.choice([11, 13, 211], total)).astype(np.int32),
        "d0": (rng.standard_t(2, total) * 0.05).astype(np.float32),
        "dz": (rng.standard_t(2, total) * 0.05).astype(np.float32),
    }
    constituents = ak.zip(momentum | (columns if tracks else {}))
    jets = eqt.make_jets(ak.unflatten(constituents, counts), label=label, flavour=np.arange(number) % 3)
    return ak.to_packed(with_impact_parameter(jets) if tracks else jets)


def network(kind: str, options: dict) -> eqt.models.JetModel:
    """A network with random weights, and random running statistics where it has them."""
    torch.manual_seed(1)
    model = eqt.models.build(kind, **options)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model


def save_taggers(jets: ak.Array) -> None:
    """Write ``taggers/`` and ``outputs.npz``."""
    outputs = {}
    for name, (kind, options) in TAGGERS.items():
        model = network(kind, options)
        model = model.double() if name.endswith("float64") else model
        classes = [f"class_{k}" for k in range(model.n_classes)] if model.output == "classes" else []
        eqt.Tagger.from_model(model, name=name, classes=classes).save(HERE / "taggers" / name)
        ragged = eqt.RaggedJets.from_awkward(jets, model.fields)
        tagger = eqt.load(HERE / "taggers" / name, "cpu")
        outputs[f"{name}.float32"] = tagger.outputs(ragged).astype(np.float32)
        tagger.model.double()
        with kernels.use("reference"):
            outputs[f"{name}.float64"] = tagger.outputs(ragged)
    np.savez_compressed(HERE / "outputs.npz", **outputs)


class CutOffError(BaseException):
    """Ends a training as a kill does: nothing handles it."""


def save_runs(jets: ak.Array) -> None:
    """Write ``runs/``."""
    eqt.fit(network("lorentznet", MODEL), jets, out=HERE / "runs/finished", **SETTINGS)
    eqt.fit(network("pfn", PFN_MODEL), jets, out=HERE / "runs/pfn", **PFN_SETTINGS)
    step, left = Training.training_step, [9]

    def mortal(self: Training, *arguments: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise CutOffError
        step(self, *arguments)

    Training.training_step = mortal
    with contextlib.suppress(CutOffError):
        eqt.fit(network("lorentznet", MODEL), jets, out=HERE / "runs/interrupted", **SETTINGS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    ak.to_parquet(jets_on_a_grid(12, seed=0, tracks=True), HERE / "jets.parquet")
    ak.to_parquet(jets_on_a_grid(80, seed=1, tracks=False), HERE / "training_jets.parquet")
    save_taggers(eqt.read_jets(HERE / "jets.parquet"))
    save_runs(eqt.read_jets(HERE / "training_jets.parquet"))
