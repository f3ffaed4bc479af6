"""A search for options: trials are runs, and the study goes on where it stopped."""

from __future__ import annotations

import awkward as ak
import pytest

from coffea_equitag import TaggerError, load
from coffea_equitag.cli import main
from coffea_equitag.training import RunConfig
from coffea_equitag.training.loop.module import Training
from coffea_equitag.training.search import search
from coffea_equitag.training.search_space import Range, SearchSpace

pytest.importorskip("optuna", reason="needs the extra 'search'")


@pytest.fixture
def config(tmp_path, toy):
    ak.to_parquet(toy(60), tmp_path / "toy.parquet")
    return RunConfig.of(
        model="lorentznet",
        data=str(tmp_path / "toy.parquet"),
        output=str(tmp_path / "search"),
        options={"hidden": 8, "n_layers": 1},
        epochs=1,
        batch_size=16,
        device="cpu",
    )


def test_best_of_the_trials(config, tmp_path):
    keys = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "options.hidden": [4, 8]}
    found = search(config, keys, trials=2, progress=False)
    losses = {k: load(tmp_path / f"search/trial-{k}").card.metrics["loss"] for k in range(2)}
    assert found.value == min(losses.values())
    best = RunConfig.read(tmp_path / "search/best.yaml")
    run = RunConfig.read(tmp_path / f"search/trial-{min(losses, key=losses.get)}/config.yaml")
    assert best.model_copy(update={"output": run.output}) == run
    assert 1e-4 <= run.learning_rate <= 1e-2
    assert run.options["n_layers"] == 1
    # more trials go on; as many do nothing
    assert search(config, keys, trials=3, progress=False).num_trials == 3
    assert search(config, keys, trials=3, progress=False).num_trials == 3
    assert len(list((tmp_path / "search").glob("trial-*"))) == 3


def test_options_that_the_network_lacks(config, tmp_path):
    """Nothing is begun that would be taken up again with the same options."""
    with pytest.raises(TaggerError, match="hiden"):
        search(config, {"options.hiden": [4, 8]}, trials=1, progress=False)
    assert not (tmp_path / "search").exists()


def test_an_interrupted_trial_is_finished(config, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    keys = {"batch_size": [16, 32]}
    with monkeypatch.context() as patched:
        patched.setattr(Training, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search(config, keys, trials=1, progress=False)
    assert search(config, keys, trials=1, progress=False).num_trials == 1
    assert [path.name for path in (tmp_path / "search").glob("trial-*")] == ["trial-0"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "keys"),
        ({"learning_rate": {"low": 1.0, "high": 0.1}}, "low < high is needed"),
        ({"learning_rate": {"low": 0.0, "high": 0.1, "log": True}}, "0 < low"),
        ({"learning_rat": [1e-3]}, "learning_rat"),
        ({"batch_size": [16, -1]}, "batch_size = -1"),
        ({"seed": [1, 2]}, "a search over seed"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_refused(config, keys, message):
    with pytest.raises(TaggerError, match=message):
        search(config, keys, progress=False)
    with pytest.raises(TaggerError, match="trials = 0"):
        search(config, {"batch_size": [16]}, trials=0)


def test_values_are_put_into_mappings():
    space = SearchSpace(keys={"recipe.gradient_clip": [1.0], "epochs": Range(low=1, high=3)})
    assert space.applied({"recipe": None, "model": "pfn"}, {"recipe.gradient_clip": 1.0, "epochs": 2}) == {
        "recipe": {"gradient_clip": 1.0},
        "model": "pfn",
        "epochs": 2,
    }


def test_command(config, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(config.to_yaml())
    words = ["search", str(tmp_path / "run.yaml"), "--trials", "1"]
    assert main([*words, "--over", "learning_rate={low: 1e-4, high: 1e-2, log: true}"]) == 0
    assert "best of 1 trials" in capsys.readouterr().out
    for wrong, message in (([], "over nothing"), (["--over", "epochs"], "--over epochs"), (["--over", "a=3"], "a=3")):
        assert main([*words, *wrong]) == 1
        assert message in capsys.readouterr().err
