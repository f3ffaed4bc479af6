"""Taggers of several folds: no jet is scored by a tagger that has seen its event."""

from __future__ import annotations

import pickle

import awkward as ak
import numpy as np
import pytest
import torch
from coffea.nanoevents import NanoAODSchema

from coffea_equitag import JetError, Tagger, TaggerError, models
from coffea_equitag.training import folds

FOLDS = 3


def tagger(fold: int | None, seed: int, classes: tuple[str, ...] = ("a", "b"), **training: object) -> Tagger:
    torch.manual_seed(seed)
    model = models.build("pfn", n_classes=len(classes), phi=(8, 8), f=(8,))
    record = {"data": "toy", "num_jets": 1, "fold": fold, "folds": FOLDS, "event_id": ("event",)} | training
    return Tagger.from_model(model, name="toy", classes=classes, training=record)


@pytest.fixture
def taggers():
    return [tagger(fold, fold) for fold in range(FOLDS)]


@pytest.fixture
def jets(toy):
    jets = ak.unflatten(toy(60), [2, 0, 3, 5] * 6)
    jets["event"] = ak.broadcast_arrays(np.arange(24), jets.label)[0]
    return jets


def test_each_jet_by_the_tagger_of_its_fold(taggers, jets):
    scorer = folds.OutOfFold([taggers[2], taggers[0], taggers[1]])
    assert scorer.classes == ("a", "b")
    fold = folds.fold_of(jets, FOLDS)
    expected = [one(jets) for one in taggers]
    # scores in other batches differ by rounding in float32
    for scored in (scorer(jets), pickle.loads(pickle.dumps(scorer))(jets)):
        for k in range(FOLDS):
            np.testing.assert_allclose(
                ak.flatten(scored[fold == k]), ak.flatten(expected[k][fold == k]), rtol=64 * 2**-24
            )
    assert not np.allclose(ak.flatten(expected[0]), ak.flatten(expected[1]), rtol=1e-3)
    masked = ak.mask(jets, jets.label == 1)
    assert ak.all(ak.is_none(scorer(masked), axis=1) == (jets.label == 0))
    assert len(scorer(jets[:0])) == 0
    assert len(ak.flatten(scorer(jets[1:2]))) == 0


def test_three_classes_and_means(jets):
    classes = ("a", "b", "c")
    several = [tagger(fold, fold, classes) for fold in range(FOLDS)]
    scored = folds.OutOfFold(several)(jets)
    assert scored.fields == list(classes)
    fold = folds.fold_of(jets, FOLDS)
    np.testing.assert_allclose(
        ak.flatten(scored.c[fold == 1]), ak.flatten(several[1](jets).c[fold == 1]), rtol=64 * 2**-24
    )
    mean = folds.Ensemble(several)(ak.mask(jets, jets.label == 1))
    expected = sum(ak.to_numpy(ak.flatten(one(jets).b)).astype(float) for one in several) / FOLDS
    np.testing.assert_allclose(
        ak.drop_none(ak.flatten(mean.b)), expected[ak.to_numpy(ak.flatten(jets.label)) == 1], rtol=64 * 2**-24
    )
    assert ak.type(mean.b).content.content.content.primitive == "float32"
    momenta = [Tagger.from_model(_momentum(seed), name="x", classes=()) for seed in (1, 2)]
    mean, expected = folds.Ensemble(momenta)(jets), [one(jets) for one in momenta]
    np.testing.assert_allclose(
        ak.flatten(mean.pz), ak.flatten((expected[0].pz + expected[1].pz) / 2), rtol=1e-5, atol=1e-3
    )
    assert mean.pt.ndim == 2


def _momentum(seed: int) -> models.JetModel:
    torch.manual_seed(seed)
    return models.build("pelican", size="11k", output="momentum")


def test_refuses_what_does_not_belong_together(taggers, jets):
    for several, words in (
        (taggers[:2], "folds 0, 1 of 3"),
        ([*taggers[:2], taggers[0]], "folds 0, 1, 0 of 3"),
        ([*taggers[:2], tagger(2, 2, folds=4)], "one tagger of each fold"),
        ([*taggers[:2], tagger(2, 2, event_id=("run", "event"))], "event and run, event|run, event and event"),
        ([tagger(None, 1, folds=None, event_id=None)], "folds None of None, by nothing"),
        ([*taggers[:2], tagger(2, 2, ("a", "c"))], "a, b and a, c"),
        ([], "0 taggers"),
    ):
        with pytest.raises(TaggerError, match=words):
            folds.OutOfFold(several)
    with pytest.raises(TaggerError, match="0 taggers"):
        folds.Ensemble([])
    with pytest.raises(JetError, match="without a field 'event'"):
        folds.OutOfFold(taggers)(jets[["label", "constituents"]])


def test_events_lend_their_numbers(jets, taggers):
    events = ak.zip({"run": np.ones(24, int), "event": np.arange(24)})
    bare = ak.mask(jets[["label", "constituents"]], jets.label == 1)
    lent = folds.with_event(bare, events)
    assert ak.all(ak.is_none(lent, axis=1) == (jets.label == 0))
    assert ak.drop_none(lent.event).to_list() == jets.event[jets.label == 1].to_list()
    scored = folds.OutOfFold(taggers)(lent)
    np.testing.assert_allclose(
        ak.flatten(ak.drop_none(scored)), ak.flatten(folds.OutOfFold(taggers)(jets)[jets.label == 1]), rtol=64 * 2**-24
    )
    assert NanoAODSchema.event_ids == ["run", "luminosityBlock", "event"]
    assert set(NanoAODSchema.event_ids) == set(folds.EVENT_IDS[0])


def test_traced_jets_have_scores_without_values(jets, taggers):
    form, _, _ = ak.to_buffers(ak.to_packed(jets))
    traced, report = ak.typetracer.typetracer_with_report(form)
    traced = ak.Array(traced, behavior=jets.behavior)
    scored = folds.OutOfFold(taggers)(traced)
    assert ak.backend(scored) == "typetracer"
    while not form.is_record:
        form = form.content
    assert form.content("event").form_key in report.data_touched
