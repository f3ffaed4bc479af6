"""``equitag evaluate`` of a tagger of momenta: numbers, plots and report, from what it says of the jets."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.cli import main
from coffea_equitag.evaluation import resolution_of_jets, response
from coffea_equitag.evaluation.report.momentum import momentum_sections
from coffea_equitag.evaluation.resolution_plots import draw_response_by_pt

WRITTEN = {
    *(f"{name}{end}.{kind}" for name in ("mass", "pt", "angle") for end in ("", "_by_pt") for kind in ("png", "pdf")),
    "momenta.parquet",
    "resolution.json",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory, random_jets):
    """A network whose momentum is that of the jet, jets with a truth of 1.25 of that, and a field of weights."""
    folder = tmp_path_factory.mktemp("momenta")
    torch.manual_seed(0)
    model = eqt.models.build("lorentznet", output="momentum", hidden=8, n_layers=1, beams=False)
    with torch.no_grad():
        model.head[-1].weight.zero_()
        model.head[-1].bias.fill_(1.0)
    eqt.Tagger.from_model(model, name="sum", classes=()).save(folder / "tagger")
    jets = random_jets(np.random.default_rng(0).integers(5, 12, 120))
    own = 1.25 * eqt.RaggedJets.from_awkward(jets).jet_p4.numpy()
    for k, name in enumerate(("E", "px", "py", "pz")):
        jets[f"true_{name}"], jets[f"W_{name}"] = own[:, k].copy(), 2 * own[:, k]
    jets["weight"] = np.arange(120) % 2
    ak.to_parquet(jets, folder / "jets.parquet")
    return folder


def test_numbers_plots_and_report(files, tmp_path, capsys):
    words = ["evaluate", str(files / "tagger"), str(files / "jets.parquet"), "-o", str(tmp_path / "out")]
    assert main([*words, "--report"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN | {"report.html", "report.json"}
    numbers = json.loads((tmp_path / "out/resolution.json").read_text())
    for who in ("tagger", "jet"):
        # both are the sums of the constituents
        assert numbers[who]["mass"]["median"]["value"] == pytest.approx(0.8, rel=1e-6)
        assert numbers[who]["pt"]["width"]["value"] == pytest.approx(0, abs=1e-6)
        assert numbers[who]["pt"]["number"] == 120
    told = capsys.readouterr().out
    assert "compared with 'momentum'" in told
    assert "pT / pT_true median 0.8" in told
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<img") == 6
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert set(report["sections"]) == {"momentum_resolution", "mass", "pt", "angle"}
    assert report["sections"]["pt"]["jet"][0]["median"]["value"] == pytest.approx(0.8, rel=1e-6)
    momenta = ak.from_parquet(tmp_path / "out/momenta.parquet").momentum
    assert np.allclose(momenta.px, eqt.load(files / "tagger", "cpu")(eqt.read_jets(files / "jets.parquet")).px)


def test_another_truth(files, tmp_path):
    words = ["evaluate", str(files / "tagger"), str(files / "jets.parquet"), "-o", str(tmp_path / "out")]
    words += ["--target", "W", "--weights", "weight / 2", "--bins", "pt=0,200,1e6", "--report"]
    assert main(words) == 0
    numbers = json.loads((tmp_path / "out/resolution.json").read_text())
    assert numbers["jet"]["pt"]["median"]["value"] == pytest.approx(0.4, rel=1e-6)
    assert (numbers["truth"], numbers["jet"]["pt"]["number"]) == ("W", 60)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [(one["low"], one["high"]) for one in report["sections"]["pt"]["jet"]] == [(0, 200), (200, 1e6)]


def test_selected_jets(files, tmp_path):
    words = ["evaluate", str(files / "tagger"), str(files / "jets.parquet"), "-o", str(tmp_path / "out")]
    assert main([*words, "--select", "weight > 0"]) == 0
    numbers = json.loads((tmp_path / "out/resolution.json").read_text())
    assert numbers["tagger"]["pt"]["number"] == numbers["jet"]["pt"]["number"] == 60
    assert len(ak.from_parquet(tmp_path / "out/momenta.parquet")) == 60


def test_refused(files, tmp_path, capsys):
    words = ["evaluate", str(files / "tagger"), str(files / "jets.parquet"), "-o", str(tmp_path / "out")]
    assert main([*words, "--target", "Z"]) == 1
    assert "'Z'" in capsys.readouterr().err
    assert main([*words, "--discriminant", "TvsQCD=top:qcd"]) == 1
    assert "leave out --discriminant" in capsys.readouterr().err
    assert main([*words, "--unseen"]) == 1
    assert "not trained in folds" in capsys.readouterr().err
    (tmp_path / "here").mkdir()
    kept = tmp_path / "here" / "momenta.parquet"
    kept.write_bytes((files / "jets.parquet").read_bytes())
    assert main(["evaluate", str(files / "tagger"), str(kept), "-o", str(tmp_path / "here")]) == 1
    assert "would replace" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sections_and_plots_of_few_jets(files):
    jets = eqt.read_jets(files / "jets.parquet")[:1]
    momenta = eqt.load(files / "tagger", "cpu")(jets)
    sections, resolutions = momentum_sections(jets, momenta)
    assert [section.key for section in sections] == ["momentum_resolution", "mass", "pt", "angle"]
    assert resolutions["tagger"].pt.number == resolution_of_jets(jets, momenta)["jet"].pt.number == 1
    figure = draw_response_by_pt({"tagger": response(momenta, momenta)}, "pt")
    assert len(figure.axes) == 2
