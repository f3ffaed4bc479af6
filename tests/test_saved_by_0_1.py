"""Taggers and run folders that version 0.1 wrote still load, score the same and resume.

Other processors round differently. How far apart two evaluations may lie follows from the arithmetic: every operation
of a network rounds its result by ε/2 at most, which is what a change of the weights by as much would do. So the
yardstick is measured, as how far the outputs move if every weight moves by one ε, with random signs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from saved_by_0_1.settings import MODEL, PFN_MODEL, PFN_SETTINGS, SETTINGS, TAGGERS

SAVED = Path(__file__).parent / "saved_by_0_1"

#: Yardsticks (root mean squares) by which any output may be off: a few roundings per weight, and the largest of many.
YARDSTICKS = 16


@pytest.fixture(scope="module")
def jets():
    return eqt.read_jets(SAVED / "jets.parquet")


@pytest.fixture(scope="module")
def training_jets():
    return eqt.read_jets(SAVED / "training_jets.parquet")


@pytest.fixture(scope="module")
def outputs():
    with np.load(SAVED / "outputs.npz") as archive:
        return dict(archive)


def moved(state, epsilon, seed):
    """Weights, each moved by one ε of its own size, up or down."""
    generator = torch.Generator().manual_seed(seed)

    def move(value):
        signs = 2.0 * torch.randint(0, 2, value.shape, generator=generator, dtype=torch.float64) - 1
        return value * (1 + epsilon * signs).to(value.dtype)

    return {name: move(value) if value.is_floating_point() else value for name, value in state.items()}


def yardstick(model, jets, expected):
    """Root mean square of what the layers' outputs in float64 move by, per ε of the weights."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    epsilon, changes = 1e-9, []
    for seed in range(4):
        model.load_state_dict(moved(state, epsilon, seed))
        with kernels.use("reference"):
            changes.append((tagger_outputs(model, jets) - expected) / epsilon)
    model.load_state_dict(state)
    return np.sqrt(np.mean(np.square(changes)))


def tagger_outputs(model, jets):
    with torch.no_grad():
        return model(jets).double().numpy()


@pytest.mark.parametrize("name", TAGGERS)
def test_taggers_score_the_same(name, jets, outputs):
    tagger = eqt.load(SAVED / "taggers" / name, "cpu")
    ragged = eqt.RaggedJets.from_awkward(jets, tagger.model.fields)
    card = json.loads((SAVED / "taggers" / name / "card.json").read_text())
    assert tagger.card.content_hash == card["content_hash"]
    assert len(tagger(jets)) == len(jets)

    in_float32, in_float64 = outputs[f"{name}.float32"], outputs[f"{name}.float64"]
    found = tagger.outputs(ragged)
    tagger.model.double()
    scale = yardstick(tagger.model, ragged, in_float64)
    with kernels.use("reference"):
        reference = tagger.outputs(ragged)
    for given, before in ((reference, in_float64), (found, in_float32)):
        tolerance = YARDSTICKS * scale * np.finfo(before.dtype).eps
        np.testing.assert_allclose(given, before, rtol=0, atol=tolerance)


def copy_of(run, folder):
    shutil.copytree(SAVED / "runs" / run, folder / "run")
    return folder / "run"


def checkpoint(run):
    return torch.load(run / "last.ckpt", weights_only=True)


def content(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("run", "kind", "options", "settings"),
    [("finished", "lorentznet", MODEL, SETTINGS), ("pfn", "pfn", PFN_MODEL, PFN_SETTINGS)],
)
def test_finished_runs_are_recognised(run, kind, options, settings, training_jets, tmp_path):
    out = copy_of(run, tmp_path)
    model = eqt.models.build(kind, **options)
    tagger = eqt.fit(model, training_jets, out=out, **settings)
    assert content(out) == content(SAVED / "runs" / run)
    assert tagger.content_hash == eqt.load(SAVED / "runs" / run, "cpu").content_hash
    last = checkpoint(out)["model"]
    assert all(torch.equal(value, last[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "changed", [{"seed": 5}, {"monitor": "loss"}, {"data": "others"}, {"signal": "b"}, {"pool": 3}]
)
def test_other_settings_are_another_run(changed, training_jets, tmp_path):
    out = copy_of("pfn", tmp_path)
    with pytest.raises(eqt.TaggerError, match=f"{next(iter(changed))} = .*stored run"):
        eqt.fit(eqt.models.build("pfn", **PFN_MODEL), training_jets, out=out, **PFN_SETTINGS | changed)


def resumed(training_jets, folder, change=None):
    """The end of the interrupted run, resumed with the weights of its checkpoint, or with changed ones."""
    out = copy_of("interrupted", folder)
    if change is not None:
        state = checkpoint(out)
        torch.save(state | {"model": change(state["model"])}, out / "last.ckpt")
    eqt.fit(eqt.models.build("lorentznet", **MODEL), training_jets, out=out, **SETTINGS)
    return checkpoint(out)


def losses(end):
    """What the networks of all epochs and the steps between them decide; ranks and single weights jump."""
    return np.array([[row["train_loss"], row["loss"]] for row in end["rows"]])


def test_interrupted_run_ends_like_the_unbroken_one(training_jets, tmp_path):
    progress = checkpoint(SAVED / "runs" / "interrupted")["progress"]
    assert (progress["epoch"], progress["batches"]) == (1, 2)
    unbroken = checkpoint(SAVED / "runs" / "finished")
    epsilon = torch.finfo(torch.float32).eps
    after = resumed(training_jets, tmp_path / "resumed")
    assert after["progress"] == unbroken["progress"]
    assert [row["learning_rate"] for row in after["rows"]] == [row["learning_rate"] for row in unbroken["rows"]]
    moves = [
        losses(resumed(training_jets, tmp_path / str(seed), lambda state, seed=seed: moved(state, epsilon, seed)))
        - losses(after)
        for seed in range(4)
    ]
    scale = np.sqrt(np.mean(np.square(moves)))
    np.testing.assert_allclose(losses(after), losses(unbroken), rtol=0, atol=YARDSTICKS * scale)
    # the bound tells this end from another: it is below what the training itself changed
    assert YARDSTICKS * scale < np.ptp(losses(unbroken)[:, 1]) / 3
