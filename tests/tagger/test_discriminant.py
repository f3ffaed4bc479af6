"""Discriminants: values, checks, and their place beside the classes' scores."""

from __future__ import annotations

import json
import pickle

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import models
from coffea_equitag.cli import main
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.evaluation import discriminate, measure
from coffea_equitag.scoring.discriminating import discriminating, with_discriminants
from coffea_equitag.scoring.score_columns import score_names
from coffea_equitag.tagger import Tagger
from coffea_equitag.tagger.discriminant import discriminants, parse_discriminants

TVSQCD = {"TvsQCD": ("top", ["qcd"])}


def probabilities():
    return ak.Array(
        [
            [{"qcd": 0.1, "w": 0.6, "top": 0.3}, {"qcd": 0.0, "w": 1.0, "top": 0.0}],
            [],
            [None, {"qcd": 0.5, "w": 0.0, "top": 0.5}],
        ]
    )


@pytest.fixture(scope="module")
def three():
    torch.manual_seed(3)
    model = models.build("pfn", n_classes=3, phi=[4], f=[4])
    return Tagger.from_model(model, name="three", classes=("qcd", "w", "top"))


def test_values():
    (one,) = discriminants(TVSQCD)
    found = one(probabilities())
    assert str(found.type) == "3 * var * ?float32"
    assert found.tolist()[0][0] == pytest.approx(0.75)
    assert np.isnan(found[0, 1])
    assert found[2].tolist() == [None, 0.5]
    (both,) = discriminants({"TvsAll": ("top", ["qcd", "w"])})
    assert both(probabilities())[0].tolist() == pytest.approx([0.3, 0.0])
    assert discriminants({"TvsQCD": ("top", "qcd")}) == (one,)
    assert discriminants(None) == ()


def test_a_mixture_of_backgrounds():
    (one,) = discriminants({"TvsMix": ("top", {"qcd": 3, "w": 1})})
    assert one.fractions == (0.75, 0.25)
    found = one(probabilities())
    assert found.tolist()[0] == pytest.approx([0.3 / (0.3 + 0.75 * 0.1 + 0.25 * 0.6), 0.0])
    assert one.formula == "top / (top + 0.75 qcd + 0.25 w)"
    assert discriminants({"TvsMix": one.between}) == (one,)
    assert discriminants(TVSQCD)[0].formula == "top / (top + qcd)"


def test_small_probabilities_do_not_underflow():
    tiny = np.float32(1e-45)
    records = ak.zip({"top": np.array([tiny]), "qcd": np.array([tiny]), "w": np.array([1], np.float32)})
    assert discriminants(TVSQCD)[0](records).tolist() == [0.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("top", ["qcd"])], "discriminants of type list"),
        ({"TvsQCD": "top"}, "a pair of signal and backgrounds"),
        ({"TvsQCD": ("top", [])}, "at least one of them background"),
        ({"TvsQCD": ("top", 3)}, "at least one of them background"),
        ({"TvsQCD": ("top", ["qcd", "top"])}, "each class once"),
        ({"T vs QCD": ("top", ["qcd"])}, "letters, digits and underscores"),
        ({"TvsMix": ("top", {"qcd": 0.0, "w": 1.0})}, "a positive number for each background class"),
        ({"TvsMix": ("top", {"qcd": "most"})}, "a positive number for each background class"),
        ({"TvsMix": ("top", {})}, "at least one of them background"),
    ],
)
def test_refused(given, message):
    with pytest.raises(TaggerError, match=message):
        discriminants(given)


def test_classes_are_checked(three):
    (one,) = discriminants(TVSQCD)
    with pytest.raises(
        TaggerError, match=r"small, which has the classes qcd, top\n.*three or more(.|\n)*of two classes"
    ):
        one.check(("qcd", "top"), "small")
    with pytest.raises(TaggerError, match=r"three, which has no class 'H'\n.*among qcd, w, top"):
        discriminating(three, {"HvsQCD": ("H", ["qcd"])})
    with pytest.raises(TaggerError, match="has a class of that name"):
        discriminating(three, {"w": ("top", ["qcd"])})


def test_a_tagger_with_discriminants(three, random_jets):
    tagger = discriminating(three, TVSQCD)
    jets = random_jets([3, 0, 5])
    scores = tagger(jets)
    assert list(score_names("score", tagger.classes)) == ["score_qcd", "score_w", "score_top", "score_TvsQCD"]
    assert ak.all(scores.top == three(jets).top)
    assert ak.to_numpy(scores.TvsQCD) == pytest.approx(ak.to_numpy(scores.top / (scores.top + scores.qcd)))
    assert (tagger.name, tagger.card, tagger.content_hash) == (three.name, three.card, three.content_hash)
    assert discriminating(three, None) is three
    assert scores.type == tagger(ak.to_backend(jets, "typetracer")).type


def test_it_is_pickled_with_its_tagger(three, tmp_path):
    three.save(tmp_path / "three")
    copy = pickle.loads(pickle.dumps(discriminating(three, TVSQCD)))
    assert copy.content_hash == three.content_hash
    assert copy.discriminants == discriminants(TVSQCD)


def test_several_taggers(three):
    class Binary:
        classes = ("qcd", "top")

        def __call__(self, jets):
            return jets

    named = {"FatJet": {"three": three, "two": Binary()}}
    found = with_discriminants(named, TVSQCD)["FatJet"]
    assert found["three"].classes == ("qcd", "w", "top", "TvsQCD")
    assert found["two"].classes == ("qcd", "top")
    with pytest.raises(TaggerError, match="no tagger has all classes"):
        with_discriminants(named, {"HvsQCD": ("H", ["qcd"])})


def test_parse():
    assert parse_discriminants(["TvsQCD=top:qcd", "TvsAll=top:qcd,w"]) == {
        "TvsQCD": ("top", ["qcd"]),
        "TvsAll": ("top", ["qcd", "w"]),
    }
    for argument in ("TvsQCD", "TvsQCD=top", "=top:qcd", "TvsQCD=:qcd", "TvsQCD=top:", "TvsQCD=top:qcd,"):
        with pytest.raises(TaggerError, match="NAME=SIGNAL:BACKGROUND"):
            parse_discriminants([argument])
    mixed = parse_discriminants(["TvsMix=top:0.8*qcd,2e-1*w", "AvsB=a:3*b"])
    assert mixed == {"TvsMix": ("top", {"qcd": 0.8, "w": 0.2}), "AvsB": ("a", {"b": 3.0})}
    for argument in ("D=top:0.8*qcd,w", "D=top:0.5*qcd,0.5*qcd", "D=top:0.8.1*qcd"):
        with pytest.raises(TaggerError, match="a number for each background class or for none"):
            parse_discriminants([argument])
    with pytest.raises(TaggerError, match="two discriminants 'D'"):
        parse_discriminants(["D=top:qcd", "D=top:w"])


def test_discriminate_leaves_other_classes_out():
    labels = ak.Array([[2, 1], [], [0, 0]])
    scores, truth = discriminate(probabilities(), labels, "top", ["qcd"])
    assert scores.tolist() == [pytest.approx(0.75), None, 0.5]
    assert truth.tolist() == [1, 0, 0]
    metrics = measure(scores, truth)
    assert (metrics.num_signal, metrics.num_background, metrics.num_missing) == (1, 1, 1)
    scores, _ = discriminate(probabilities(), ak.Array([[2, 2], [], [0, 0]]), "top", ["qcd"])
    assert scores.tolist() == [pytest.approx(0.75), None, None, 0.5]
    with pytest.raises(JetError, match="one label per score"):
        discriminate(probabilities(), ak.Array([[2], [], [0]]), "top", ["qcd"])
    with pytest.raises(TaggerError, match="no class 'H'"):
        discriminate(probabilities(), labels, "H", ["qcd"])
    with pytest.raises(TaggerError, match="one probability per class"):
        discriminate([0.1, 0.2], [0, 1], "top", ["qcd"])
    with pytest.raises(JetError, match="no label"):
        measure(*discriminate(probabilities(), ak.Array([[2, None], [], [0, 0]]), "top", ["w"]))


def test_equitag_evaluate(three, random_jets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    three.save("three")
    jets = random_jets([4] * 30, label=np.arange(30) % 3)
    ak.to_parquet(jets, "jets.parquet")
    words = ["evaluate", "three", "jets.parquet", "-o", "report", "--device", "cpu", "--discriminant"]
    assert main([*words, "TvsQCD=top:qcd"]) == 0
    measured = json.loads((tmp_path / "report/metrics.json").read_text())["discriminants"]
    expected = measure(*discriminate(three(jets), jets.label, "top", ["qcd"]))
    assert measured == {"TvsQCD": expected.as_dict()}
    assert measured["TvsQCD"]["num_signal"] == measured["TvsQCD"]["num_background"] == 10
    assert {p.name for p in (tmp_path / "report").iterdir()} >= {"score_TvsQCD.png", "roc_TvsQCD.pdf", "roc.png"}
    assert "score_TvsQCD" in ak.from_parquet("report/scores.parquet").fields
    assert "TvsQCD\njets" in capsys.readouterr().out
    assert main([*words, "HvsQCD=H:qcd"]) == 1
    assert "no class 'H'" in capsys.readouterr().err
