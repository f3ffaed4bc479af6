"""Auxiliary tasks: constituents are classified, it helps, and the tagger is without the heads unless asked."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError, TaggerError, fit, kernels, load, models

QUICK = {"epochs": 8, "batch_size": 20, "learning_rate": 1e-2, "device": "cpu", "progress": False}
ORIGIN = {"origin": ("soft", "hard")}


def labelled(toy, number, seed=0):
    """Toy jets whose constituents are hard or soft; every third is not labelled."""
    jets = toy(number, seed)
    pt = jets.constituents.pt
    origin = ak.values_astype(pt > 70, np.int64)
    jets["constituents", "origin"] = ak.where(ak.local_index(pt) % 3 == 2, -1, origin)
    return jets


def network(kind="pfn"):
    torch.manual_seed(0)
    small = {"pfn": {"phi": (16, 16), "f": (16,)}, "lorentznet": {"hidden": 8, "n_layers": 1}}[kind]
    return models.build(kind, **small)


@pytest.mark.parametrize("kind", ["pfn", "lorentznet"])
def test_constituents_are_learned_and_kept_if_asked(kind, tmp_path, toy):
    jets, held = labelled(toy, 200), labelled(toy, 60, seed=3)
    model = network(kind)
    tagger = fit(model, jets, validation=held, out=tmp_path / "run", auxiliary=ORIGIN, keep_auxiliary=True, **QUICK)
    assert tagger.card.metrics["origin_accuracy"] > 0.85  # by chance about half
    assert tagger.card.auxiliary == {"origin": ("soft", "hard")}
    again = load(tmp_path / "run", "cpu")
    nested = ak.unflatten(ak.mask(held, np.arange(60) != 5), [10, 0, 50])
    found = again.constituents(nested).origin
    assert found[0, 5] is None
    kept = ak.drop_none(ak.flatten(found))
    truth = held[np.arange(60) != 5].constituents.origin
    assert ak.all(ak.num(kept) == ak.num(truth))
    known = ak.flatten(truth) >= 0
    right = (ak.flatten(kept.hard) > 0.5) == (ak.flatten(truth) == 1)
    assert np.mean(right[known]) > 0.85
    # the scores are those of the network without its heads, by its kernels where there are any
    scores = again(held)
    assert kernels.last_choice(kind).reason != "layers were replaced"
    again.model._modules.pop("auxiliary")
    assert np.array_equal(scores, again(held))
    assert again.content_hash != tagger.content_hash


def test_dropped_by_default(tmp_path, toy):
    jets = labelled(toy, 60)
    model = network()
    tagger = fit(model, jets, out=tmp_path / "run", auxiliary=ORIGIN, **QUICK)
    assert not any("auxiliary" in name for name in (*tagger.model.state_dict(), *model.state_dict()))
    assert tagger.card.contract.constituent_fields == ()
    assert tagger(toy(5)).ndim == 1
    with pytest.raises(TaggerError, match="no auxiliary tasks"):
        tagger.constituents(jets)
    assert "origin_loss" in tagger.card.metrics


def test_the_task_moves_the_network(tmp_path, toy):
    jets = labelled(toy, 60)
    short = QUICK | {"epochs": 1}
    alone = fit(network(), jets, out=tmp_path / "alone", **short)
    found = {}
    for weight in (1e-12, 1.0):
        task = {"origin": {"classes": ["soft", "hard"], "weight": weight}}
        found[weight] = fit(network(), jets, out=tmp_path / f"{weight}", auxiliary=task, **short).model.state_dict()
    for name, value in alone.model.state_dict().items():
        # Adam's steps, of 1e-2 here, do not see a gradient of 1e-12 beside that of the jets
        torch.testing.assert_close(found[1e-12][name], value, rtol=1e-3, atol=1e-4)
    assert any((found[1.0][name] - value).abs().max() > 1e-3 for name, value in alone.model.state_dict().items())


def test_loss_has_all_terms(tmp_path, toy):
    jets, held = labelled(toy, 40), labelled(toy, 20, seed=3)
    task = {"origin": {"classes": ["soft", "hard"], "weight": 0.5}}
    options = QUICK | {"epochs": 1, "auxiliary": task, "keep_auxiliary": True}
    tagger = fit(network(), jets, validation=held, out=tmp_path / "run", **options)
    found = tagger.constituents(held).origin
    truth = held.constituents.origin
    chosen = ak.where(truth == 1, found.hard, found.soft)
    of_jets = ak.mean(-np.log(chosen[truth >= 0]), axis=1)
    scores = np.where(held.label == 1, tagger(held), 1 - tagger(held))
    assert tagger.card.metrics["origin_loss"] == pytest.approx(np.mean(of_jets), rel=1e-4)
    expected = -np.mean(np.log(np.asarray(scores))) + 0.5 * np.mean(of_jets)
    assert tagger.card.metrics["loss"] == pytest.approx(expected, rel=1e-4)


def test_resumes_with_the_heads(tmp_path, toy, monkeypatch):
    from coffea_equitag.training.loop.module import Training

    jets, short = labelled(toy, 60), QUICK | {"epochs": 2, "auxiliary": ORIGIN, "keep_auxiliary": True}
    whole = fit(network(), jets, out=tmp_path / "whole", **short)
    start = Training.on_train_batch_start

    def stop(self, batch, index):
        if batch.epoch == 1:
            raise KeyboardInterrupt
        return start(self, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "on_train_batch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(network(), jets, out=tmp_path / "run", **short)
    assert fit(network(), jets, out=tmp_path / "run", **short).content_hash == whole.content_hash


def test_constituents_that_are_left_out(tmp_path, toy):
    jets = labelled(toy, 40)
    tagger = fit(
        network(), jets, out=tmp_path / "run", auxiliary=ORIGIN, keep_auxiliary=True, **(QUICK | {"epochs": 1})
    )
    every = tagger.constituents(jets).origin.hard
    tagger.model.max_constituents = 3
    few = tagger.constituents(jets).origin.hard
    assert ak.all(ak.num(few) == ak.num(every))
    assert ak.all(ak.sum(~ak.is_none(few, axis=1), axis=1) == 3)
    hardest = ak.argsort(ak.argsort(jets.constituents.pt, axis=1, ascending=False), axis=1) < 3
    assert ak.all(~ak.is_none(few, axis=1) == hardest)


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ({"origin": ("one",)}, TaggerError, "origin"),
        ({"origin": ("a", "a")}, TaggerError, "not all different"),
        ({"origin": {"classes": ("a", "b"), "weight": 0}}, TaggerError, "weight"),
        ({}, TaggerError, "auxiliary"),
        ({"source": ("a", "b")}, JetError, "without 'source'"),
    ],
)
def test_refused(tmp_path, toy, task, error, words):
    with pytest.raises(error, match=words):
        fit(network(), labelled(toy, 20), out=tmp_path / "run", auxiliary=task, **QUICK)
    assert not (tmp_path / "run").exists()


def test_labels_beyond_the_classes(tmp_path, toy):
    jets = labelled(toy, 20)
    jets["constituents", "origin"] = ak.ones_like(jets.constituents.origin) * 2
    with pytest.raises(JetError, match="whose 'origin' is 2"):
        fit(network(), jets, out=tmp_path / "run", auxiliary=ORIGIN, **QUICK)
