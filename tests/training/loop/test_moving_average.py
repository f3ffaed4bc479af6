"""The moving average of the weights: followed, validated, stored, resumed."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag import fit, load, models
from coffea_equitag.training.loop.module import Training
from coffea_equitag.training.loop.moving_average import MovingAverage
from interrupted_runs import cut_off_at

SETTINGS = {"epochs": 3, "batch_size": 16, "device": "cpu", "progress": False, "seed": 4, "save_every": 0}


def build(**options):
    torch.manual_seed(1)
    return models.build("pfn", phi=(6,), f=(6,), batch_norm=True, **options)


def test_average_of_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, 0.5)
    value = model.weight.item()
    for step, weight in enumerate((2.0, 4.0, 8.0), start=1):
        model.weight.data.fill_(weight)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        value = decay * value + (1 - decay) * weight
    assert average.values["weight"].item() == pytest.approx(value, rel=1e-6)
    with average.in_place():
        assert model.weight.item() == pytest.approx(value, rel=1e-6)
    assert model.weight.item() == 8.0


def test_the_average_is_validated_and_stored(tmp_path, toy):
    jets, held = toy(100), toy(40, seed=3)
    model = build()
    tagger = fit(model, jets, validation=held, out=tmp_path / "averaged", ema=0.9, **SETTINGS, monitor="accuracy")
    last, best = (torch.load(tmp_path / "averaged" / name, weights_only=True) for name in ("last.ckpt", "best.ckpt"))
    assert all(torch.equal(value, best["model"][name]) for name, value in tagger.model.state_dict().items())
    if best["metrics"]["epoch"] == 3:
        assert all(torch.equal(value, best["model"][name]) for name, value in last["average"]["values"].items())
    # the metrics are those of the stored weights
    with torch.no_grad():
        logits = tagger.model(held).double()
    truth = torch.tensor(held.label.to_list())
    assert best["metrics"]["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, truth)), rel=1e-6)
    # the optimiser goes on with the weights themselves, and the network ends with them: as without an average
    plain = build()
    fit(plain, jets, validation=held, out=tmp_path / "plain", **SETTINGS, monitor="accuracy")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert any(not torch.equal(p, last["average"]["values"][name]) for name, p in plain.named_parameters())


def test_resumed_with_the_average(tmp_path, toy, monkeypatch):
    fit(build(), toy(100), out=tmp_path / "unbroken", ema=0.9, **SETTINGS)
    with monkeypatch.context() as patched:
        cut_off_at(patched, Training, "training_step", 9, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(build(), toy(100), out=tmp_path / "broken", ema=0.9, **SETTINGS)
    fit(build(), toy(100), out=tmp_path / "broken", ema=0.9, **SETTINGS)
    one, two = (torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("unbroken", "broken"))
    assert one["average"]["steps"] == two["average"]["steps"] == 18
    for name, value in one["average"]["values"].items():
        assert torch.equal(value, two["average"]["values"][name]), name
    assert load(tmp_path / "unbroken").content_hash == load(tmp_path / "broken").content_hash
