"""The command makes a small tagger from samples that are there, without a generator."""

from __future__ import annotations

import json

import awkward as ak
import pytest
import yaml
from zoo.config import ZooConfig
from zoo.samples import make_samples

import coffea_equitag as eqt
from coffea_equitag.cli import main
from coffea_equitag.simulation.content import content_hash
from training.conftest import toy_jets
from zoo import command

PARTS = {"train": (80, 1), "train2": (40, 4), "validation": (60, 2), "test": (100, 3)}
TINY = {
    "recipe": "top",
    "samples": {name: {"jets": jets, "seed": seed} for name, (jets, seed) in PARTS.items()},
    "reference": "real.parquet",
    "training": {
        "model": "lorentznet",
        "options": {"hidden": 4, "n_layers": 1},
        "classes": ["QCD", "top"],
        "epochs": 2,
        "batch_size": 20,
    },
    "limits": ["Made for tests."],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    for name, (number, seed) in PARTS.items():
        jets = toy_jets(number, seed)
        (folder / name).mkdir()
        ak.to_parquet(jets, folder / name / "shard-00000.parquet")
        facts = {"recipe": {"name": "top", "summary": "toys, of one and two prongs"}, "n": number, "seed": seed}
        facts |= {"shard_size": 1000, "content_hash": content_hash([jets])}
        (folder / name / "sample.json").write_text(json.dumps(facts))
    ak.to_parquet(toy_jets(50, 9), folder / "real.parquet")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


@pytest.fixture(scope="module")
def made(folder):
    words = [str(folder / "tiny.yaml"), "-o", str(folder / "run"), "--jets", str(folder)]
    command.main([*words, "--reference", str(folder / "real.parquet")])
    return folder / "run"


def test_makes_a_tagger_with_a_whole_card(made, capsys):
    tagger = eqt.load(made / "described", "cpu")
    card = tagger.card
    assert (card.name, card.classes, card.training.num_jets) == ("tiny", ("QCD", "top"), 120)
    assert [(one.seed, one.num_jets) for one in card.training.samples] == [(1, 80), (4, 40)]
    assert str(made.parent) not in card.model_dump_json()
    simulated, real = card.performance
    assert (simulated.num_jets, real.num_jets) == ({"QCD": 50, "top": 50}, {"QCD": 25, "top": 25})
    assert not simulated.real
    assert real.real
    jets = eqt.read_jets(made.parent / "test")
    expected = eqt.evaluation.measure(tagger(jets), jets.label)
    assert simulated.metrics["auc"].value == pytest.approx(expected.auc, abs=1e-6)
    assert simulated.metrics["accuracy"].value == pytest.approx(expected.accuracy)
    assert card.calibration.num_jets == 60
    # LorentzNet sees nothing but products with each other and with the beams
    kept = card.symmetry.changes["rotations and boosts of jets and reference vectors"]
    assert kept.largest <= 16 * kept.rounding
    assert card.limits[-1] == "Made for tests."
    assert main(["models", str(made / "described")]) == 0
    assert "toys, of one and two prongs" in capsys.readouterr().out


def test_a_finished_training_is_not_done_again(made, folder, monkeypatch):
    monkeypatch.setattr(command, "train", None)
    name, config = ZooConfig.read(str(folder / "tiny.yaml"))
    again = command.make(name, config, made, folder)
    assert again.model.num_parameters() == eqt.load(made, "cpu").model.num_parameters()
    assert len(again.card.performance) == 1
    other = config.model_copy(update={"training": config.training | {"epochs": 3}})
    with pytest.raises(eqt.TaggerError, match=r"epochs = 2, not 3"):
        command.make(name, other, made, folder)


def test_other_jets_are_refused(made, folder):
    name, config = ZooConfig.read(str(folder / "tiny.yaml"))
    with pytest.raises(eqt.JetError, match=r"published jets tiny.yaml for tiny"):
        command.make(name, config, made, folder, reference=folder / "tiny.yaml")
    other = config.model_copy(update={"samples": config.samples | {"test": config.samples["train"]}})
    with pytest.raises(eqt.JetError, match=r"test: a sample of recipe top, 100 jets, seed 3"):
        make_samples(other, folder, 1)


@pytest.mark.parametrize("name", ZooConfig.names())
def test_every_configuration_can_be_trained(name, tmp_path):
    config = ZooConfig.read(name)[1]
    run = config.run_config(name, {part: tmp_path / part for part in config.samples}, tmp_path)
    eqt.models.build(run.model, **run.options)
    assert run.classes in (None, config.sample_recipe.classes)


def test_faults_of_configurations(tmp_path):
    with pytest.raises(eqt.errors.EquitagError, match=r"no tagger 'nothing'"):
        ZooConfig.read("nothing")
    for samples, words in (
        ({"train": {"jets": 1, "seed": 1}}, "validation and test are needed"),
        ({name: {"jets": 1, "seed": 1} for name in PARTS}, "one seed hold the same jets"),
    ):
        with pytest.raises(ValueError, match=words):
            ZooConfig.model_validate(TINY | {"samples": samples})
