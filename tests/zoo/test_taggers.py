"""The packaged taggers: they load, give the outputs that they were published with, and say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from zoo.config import ZooConfig

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag.cli import main
from zoo import publish, table

STORED = json.loads(publish.OUTPUTS.read_text())


@pytest.mark.parametrize("name", eqt.zoo.names())
def test_outputs_are_those_it_was_published_with(name):
    tagger = eqt.load(name, "cpu")
    jets = publish.checked_jets(tagger)
    found = torch.from_numpy(tagger.outputs(jets))
    assert tagger.content_hash == STORED[name]["content_hash"]
    assert torch.isfinite(found).all()
    assert deviation(found, np.array(STORED[name]["outputs"])) <= rounding(tagger.model, jets)


@pytest.mark.parametrize("name", eqt.zoo.names())
def test_card_is_complete(name):
    card, config = eqt.load(name, "cpu").card, ZooConfig.read(name)[1]
    assert card.name == name
    assert card.architecture == config.training["model"]
    assert card.contract.jet_definition == config.jet_definition
    trained_on = {(one.recipe, one.seed, one.num_jets) for one in card.training.samples}
    assert trained_on
    assert trained_on <= {(config.recipe, one.seed, one.jets) for one in map(config.samples.get, config.training_parts)}
    assert sum(one.num_jets for one in card.training.samples) == card.training.num_jets
    simulated = card.performance[0]
    assert not simulated.real
    assert sum(simulated.num_jets.values()) == config.samples["test"].jets
    if config.reference:
        assert [one.jets for one in card.performance if one.real] == [config.reference]
    for tested in card.performance:
        for one in tested.metrics.values():
            value, low, high = one.numbers
            assert low <= value <= high
    assert card.symmetry.num_jets == 100
    assert card.symmetry.precision == "float32"
    assert card.cost.microseconds_per_jet > 0
    assert len(card.limits) >= 2
    if card.classes:
        assert card.temperature != 1
        assert card.calibration.num_jets == config.samples["validation"].jets
        # at its own temperature it is no worse than before, but for the fluctuations of the test jets
        assert card.calibration.error_after.low <= card.calibration.error_before.high


def test_all_of_them_are_small():
    files = [file for name in eqt.zoo.names() for file in eqt.zoo.path(name).iterdir()]
    assert sum(file.stat().st_size for file in files) < 15_000_000


def test_names_of_the_classes_are_those_of_the_recipe():
    for name in eqt.zoo.names():
        config = ZooConfig.read(name)[1]
        classes = eqt.load(name, "cpu").classes
        assert not classes or classes == config.sample_recipe.classes


@pytest.mark.parametrize("path", publish.TABLES, ids=lambda path: path.name)
def test_tables_are_those_of_the_cards(path):
    text = path.read_text()
    assert publish.replaced(text, publish.TABLES[path]()) == text


def test_a_card_is_printed(capsys):
    assert main(["models", "top-lorentznet"]) == 0
    printed = capsys.readouterr().out
    card = eqt.load("top-lorentznet", "cpu").card
    assert f"{card.training.num_jets:,} jets: equitag simulate top" in printed
    assert "1/ε_B(30%)" in printed
    assert all(limit in printed for limit in card.limits)
    assert "hidden = 32" in printed
    assert "n_classes" not in printed


def test_rows_without_measurements(monkeypatch, tmp_path):
    """A tagger whose card says nothing of how it was tested has dashes."""
    model = eqt.models.build("pfn", phi=[4], f=[4])
    tagger = eqt.tagger.Tagger.from_model(model, name="bare", classes=("a", "b"))
    tagger.save(tmp_path / "bare")
    monkeypatch.setattr(eqt.zoo, "_FOLDER", tmp_path)
    assert "| `bare` | pfn | other jets | – | – | – |" in table.readme()
    assert "| `bare` | pfn |" in table.markdown()


def test_a_wheel_has_all_of_them():
    wheel = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).parents[2]
    held = {file.distribution_path for file in wheel.WheelBuilder(str(root)).recurse_included_files()}
    for name in eqt.zoo.names():
        assert {f"coffea_equitag/zoo/{name}/{part}" for part in ("card.json", "model.safetensors")} <= held
