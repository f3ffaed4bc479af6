"""Taggers and run folders that version 0.1 wrote still load, score the same and resume.

Other processors round differently. How far scores may differ follows from the arithmetic, see `arithmetic`; a training
may end as differently as it does if every weight of its checkpoint moves by one ε.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import EPSILON, deviation, rounding
from coffea_equitag import kernels
from saved_by_0_1.settings import MODEL, PFN_MODEL, PFN_SETTINGS, SETTINGS, TAGGERS

SAVED = Path(__file__).parent / "saved_by_0_1"

#: Losses may differ by this many times the root mean square of how far they move with the weights: two trainings are
#: compared, each of which rounds at every step, and the largest of a few differences.
FACTOR = 16


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


def load(name):
    """One of the taggers, which does not say whether it was converted or trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if name == "lorentznet_pid" else "error", eqt.TaggerWarning)
        return eqt.load(SAVED / "taggers" / name, "cpu")


@pytest.mark.parametrize("name", TAGGERS)
def test_taggers_score_the_same(name, jets, outputs):
    tagger = load(name)
    ragged = eqt.RaggedJets.from_awkward(jets, tagger.model.fields)
    card = json.loads((SAVED / "taggers" / name / "card.json").read_text())
    assert tagger.card.content_hash == card["content_hash"]
    assert len(tagger(jets)) == len(jets)

    bound = rounding(load(name).model.float(), ragged)
    found = torch.from_numpy(tagger.outputs(ragged))
    assert deviation(found, outputs[f"{name}.float32"]) <= bound
    tagger.model.double()
    with kernels.use("reference"):
        found = torch.from_numpy(tagger.outputs(ragged))
    # rounding is proportional to ε
    assert deviation(found, outputs[f"{name}.float64"]) <= bound * torch.finfo(torch.float64).eps / EPSILON


def test_identification_keeps_the_meaning_it_was_trained_with(jets, tmp_path):
    """``pid=True`` multiplied by ψ(mass) in version 0.1; saved again, the tagger goes on scoring so."""
    tagger = load("lorentznet_pid")
    assert tagger.model.options["pid_times_mass"]
    assert not eqt.models.build("lorentznet", pid=True).options["pid_times_mass"]
    tagger.save(tmp_path / "old")
    with pytest.warns(eqt.TaggerWarning, match=r"(?s)pid=True.*convert an official checkpoint again"):
        again = eqt.load(tmp_path / "old", "cpu")
    assert again.content_hash == tagger.content_hash
    fields = tagger.model.fields
    new = eqt.Tagger.from_model(tagger.model, name="new", classes=tagger.classes)
    new.save(tmp_path / "new")
    for other in (again, eqt.load(tmp_path / "new", "cpu")):
        ragged = eqt.RaggedJets.from_awkward(jets, fields)
        np.testing.assert_array_equal(other.outputs(ragged), tagger.outputs(ragged))


def test_a_run_with_identification_is_another_run_today(training_jets, tmp_path):
    """Its gradients were those of other scalars: it resumes only with the meaning that it began with."""
    jets = ak.with_field(
        training_jets,
        ak.values_astype(ak.ones_like(training_jets.constituents.pt) * 22, np.int32),
        ["constituents", "pdgId"],
    )
    options = MODEL | {"pid": True, "beams": False}
    settings = SETTINGS | {"epochs": 1}
    eqt.fit(eqt.models.build("lorentznet", **options, pid_times_mass=True), jets, out=tmp_path, **settings)
    record = json.loads((tmp_path / "run.json").read_text())
    for name in ("use_one_hot", "pid_times_mass"):
        del record["settings"]["options"][name]
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(eqt.TaggerError, match=r"pid_times_mass = False \(stored run: True\)"):
        eqt.fit(eqt.models.build("lorentznet", **options), jets, out=tmp_path, **settings)
    eqt.fit(eqt.models.build("lorentznet", **options, pid_times_mass=True), jets, out=tmp_path, **settings)


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


def moved(state, seed):
    """Weights, each moved by one ε of its own size, up or down."""
    generator = torch.Generator().manual_seed(seed)

    def move(value):
        return value * (1 + EPSILON * (2.0 * torch.randint(0, 2, value.shape, generator=generator) - 1))

    return {name: move(value) if value.is_floating_point() else value for name, value in state.items()}


def losses(end):
    """Losses of all epochs: continuous in the weights, unlike the accuracy and the AUC."""
    return np.array([[row["train_loss"], row["loss"]] for row in end["rows"]])


def test_interrupted_run_ends_like_the_unbroken_one(training_jets, tmp_path):
    progress = checkpoint(SAVED / "runs" / "interrupted")["progress"]
    assert (progress["epoch"], progress["batches"]) == (1, 2)
    unbroken = checkpoint(SAVED / "runs" / "finished")
    after = resumed(training_jets, tmp_path / "resumed")
    assert after["progress"] == unbroken["progress"]
    assert [row["learning_rate"] for row in after["rows"]] == [row["learning_rate"] for row in unbroken["rows"]]
    moves = [
        losses(resumed(training_jets, tmp_path / str(seed), lambda state, seed=seed: moved(state, seed)))
        - losses(after)
        for seed in range(4)
    ]
    scale = np.sqrt(np.mean(np.square(moves)))
    np.testing.assert_allclose(losses(after), losses(unbroken), rtol=0, atol=FACTOR * scale)
    # the bound tells this end from another: it is below what the training itself changed
    assert FACTOR * scale < np.ptp(losses(unbroken)[:, 1]) / 3
