"""Fine-tuning: weights of a tagger, a new head, frozen parts, another rate for the old ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from coffea_equitag import Tagger, TaggerError, fit, models
from coffea_equitag.training.fine_tuning import frozen_modules, pretrained_parts
from coffea_equitag.training.loop.module import Training

SETTINGS = {"epochs": 1, "batch_size": 16, "device": "cpu", "progress": False, "seed": 4}


def build(seed=2, **options):
    torch.manual_seed(seed)
    return models.build("pfn", **({"phi": (6, 5), "f": (4,), "batch_norm": True} | options))


@pytest.fixture
def pretrained(toy, tmp_path):
    return fit(build(seed=1), toy(100), out=tmp_path / "pretrained", **SETTINGS)


@pytest.fixture
def start(monkeypatch):
    """The weights that a training starts with."""
    found, begin = {}, Training.on_train_start

    def watched(self):
        found.update({name: value.clone() for name, value in self.model.state_dict().items()})
        begin(self)

    monkeypatch.setattr(Training, "on_train_start", watched)
    return found


def test_begins_with_the_taggers_weights(tmp_path, toy, pretrained, start):
    for k, source in enumerate((pretrained, tmp_path / "pretrained", str(tmp_path / "pretrained" / "tagger"))):
        fit(build(), toy(60, seed=3), out=tmp_path / f"run{k}", init_from=source, **SETTINGS)
        assert all(torch.equal(value, start[name]) for name, value in pretrained.model.state_dict().items())
        record = json.loads((tmp_path / f"run{k}" / "run.json").read_text())
        assert record["settings"]["init_from"] == pretrained.content_hash


def test_other_classes_have_a_new_head(tmp_path, toy, pretrained, start):
    jets = toy(90, seed=3)
    jets["label"] = np.arange(90) % 3
    model = build(n_classes=3)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, jets, out=tmp_path / "three", classes=("q", "g", "t"), init_from=pretrained, **SETTINGS)
    theirs = pretrained.model.state_dict()
    new = {name for name, value in own.items() if torch.equal(value, start[name]) and value.shape != theirs[name].shape}
    old = {
        name for name, value in theirs.items() if value.shape == start[name].shape and torch.equal(value, start[name])
    }
    assert len(new) == 2
    assert new | old == set(own)
    # so have as many classes of other names
    two = build()
    own = {name: value.clone() for name, value in two.state_dict().items()}
    fit(two, toy(60), out=tmp_path / "two", classes=("w", "z"), init_from=pretrained, **SETTINGS)
    assert all(torch.equal(start[name], own[name]) for name in new)
    assert all(torch.equal(start[name], theirs[name]) for name in old)


def test_another_output_has_a_new_head():
    torch.manual_seed(1)
    tagger = Tagger.from_model(models.build("pelican", size=(4, 3, 2)), name="p", classes=("a", "b"))
    model = models.build("pelican", size=(4, 3, 2), output="momentum")
    kept = pretrained_parts(model, tagger, ())
    assert {name for name, _ in model.named_parameters() if name.startswith("messages.0")} <= kept
    assert 0.3 < len(kept) / len(model.state_dict()) < 1


@pytest.mark.parametrize("frozen", [("phi",), "phi", ("phi.*",)])
def test_frozen_parts_keep_weights_and_statistics(tmp_path, toy, pretrained, frozen):
    model = build()
    part = {"frozen": frozen, "init_from": pretrained}
    fit(model, toy(60, seed=3), out=tmp_path / "run", **part, **(SETTINGS | {"epochs": 2}))
    before, after = pretrained.model.state_dict(), model.state_dict()
    phi = [name for name in after if name.startswith("phi")]
    assert any("running_mean" in name for name in phi)
    assert all(torch.equal(before[name], after[name]) for name in phi)
    assert all(
        not torch.equal(before[name], after[name]) for name in after if name.startswith("f.") and "weight" in name
    )
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_blocks_of_a_network_with_kernels(tmp_path, toy, build_small):
    model = build_small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, toy(40), out=tmp_path / "run", frozen=("blocks.0", "embedding"), **SETTINGS)
    for name, value in model.state_dict().items():
        if name.startswith(("blocks.0.", "embedding.")):
            assert torch.equal(value, before[name]), name
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_old_parts_learn_at_their_own_rate(tmp_path, toy, pretrained, start):
    jets = toy(60, seed=3)
    moved = {}
    for rate in (1.0, 1e-3):
        model = build()
        fit(
            model,
            jets,
            out=tmp_path / f"{rate}",
            init_from=pretrained,
            classes=("w", "z"),
            pretrained_rate=rate,
            recipe={"optimizer": "adam"},
            **SETTINGS,
        )
        after = dict(model.named_parameters())
        moved[rate] = {name: float((value - start[name]).detach().abs().max()) for name, value in after.items()}
    head = [name for name in moved[1.0] if name.startswith("f.") and name == list(moved[1.0])[-2]]
    assert head
    for name in moved[1.0]:
        ratio = moved[1e-3][name] / moved[1.0][name] if moved[1.0][name] else 0
        assert ratio < 0.02 if name not in (list(moved[1.0])[-2], list(moved[1.0])[-1]) else ratio > 0.1


def test_resumes_as_the_same_run(tmp_path, toy, pretrained):
    settings = SETTINGS | {"out": tmp_path / "run", "init_from": pretrained, "frozen": ("phi",)}
    first = fit(build(), toy(60), **settings)
    assert fit(build(seed=9), toy(60), **settings).content_hash == first.content_hash
    with pytest.raises(TaggerError, match=r"settings\.init_from = None"):
        fit(build(), toy(60), **(settings | {"init_from": None}))
    with pytest.raises(TaggerError, match=r"settings\.frozen"):
        fit(build(), toy(60), **(settings | {"frozen": ()}))


def test_refused(tmp_path, toy, pretrained):
    out = tmp_path / "run"
    with pytest.raises(TaggerError, match=r"phi = \[6, 5\] \(here \[7, 5\]\)"):
        fit(build(phi=(7, 5)), toy(40), out=out, init_from=pretrained, **SETTINGS)
    lgn = models.build("lgn", levels=1, channels=(2, 2), n_bells=2)
    with pytest.raises(TaggerError, match=r"kind = 'pfn' \(here 'lgn'\)"):
        fit(lgn, toy(40), out=out, init_from=pretrained, **SETTINGS)
    with pytest.raises(TaggerError, match="no tagger at"):
        fit(build(), toy(40), out=out, init_from=tmp_path / "nowhere", **SETTINGS)
    with pytest.raises(TaggerError, match="frozen = 'blocks'"):
        fit(build(), toy(40), out=out, frozen=("blocks",), **SETTINGS)
    with pytest.raises(TaggerError, match=r"all .* weights of the network"):
        fit(build(), toy(40), out=out, frozen=("*",), **SETTINGS)
    assert not out.exists()


def test_names_of_weights():
    model = build()
    modules, weights = frozen_modules(model, ["phi.0.weight"])
    assert modules == []
    assert [w is model.phi[0].weight for w in weights] == [True]
