"""The report of an audit, and its command."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.cli import main
from coffea_equitag.evaluation.audit.auditing import _flat
from coffea_equitag.jets import flatten
from coffea_equitag.testing import boost, rotation, transform


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(0)
    model = eqt.models.build("pfn", phi=[8, 8], f=[8]).eval()
    return eqt.Tagger.from_model(model, name="small", classes=("qcd", "top"))


@pytest.fixture(scope="module")
def jets(random_jets):
    return random_jets([4, 2, 9, 0, 5, 3, 7, 6], label=[0, 1, 0, 1, 0, 1, 0, 1])


@pytest.fixture(scope="module")
def report(tagger, jets):
    return eqt.audit(tagger, jets, beside={"energy": lambda given: ak.sum(given.constituents.E, axis=1)}, num_jets=8)


def test_the_page_and_its_numbers(report, tagger):
    assert str(report) == report.verdict
    assert report.verdict.startswith("small: its scores are unchanged by rotations about the beam, SO(2)")
    assert "Not infrared safe" in report.verdict
    numbers = json.loads(report.json)
    assert numbers["sections"]["verdict"]["text"] == report.verdict.split("\n")
    assert list(numbers["sections"]["curves"]) == ["small", "energy", "plain MLP (control)"]
    assert numbers["about"]["Content hash"] == tagger.content_hash[:16]
    assert set(numbers["sections"]["six_transformations"]["small"]) >= {"z–t boost", "x–t boost", "y-tilt"}
    for name in ("z-tilt", "collinear splitting", "null rotations", "reference vectors"):
        assert name in report.html
    assert report.html.count("<img src=") == 9
    assert "http" not in report.html.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_jets_may_be_nested_missing_and_empty(jets):
    nested = ak.mask(ak.unflatten(jets, [2, 0, 6]), ak.Array([[True, True], [], [True] * 6]))
    gaps = ak.concatenate([nested, ak.Array([[None], []])])
    expected = _flat(jets, None)
    assert ak.num(expected.constituents).tolist() == [4, 2, 9, 5, 3, 7, 6]
    assert expected.equitag_label.tolist() == [0, 1, 0, 0, 1, 0, 1]
    for given, labels in ((gaps, None), (gaps, gaps.label), (jets[["constituents"]], jets.label)):
        found = _flat(given, labels)
        assert found.constituents.to_list() == expected.constituents.to_list()
        assert found.equitag_label.to_list() == expected.equitag_label.to_list()


def test_faults(tagger, jets):
    with pytest.raises(eqt.JetError, match="1 jets with constituents"):
        eqt.audit(tagger, jets[3:5])
    with pytest.raises(eqt.JetError, match="without a field 'truth'"):
        eqt.audit(tagger, jets, "truth")
    with pytest.raises(eqt.JetError, match="one label per jet"):
        eqt.audit(tagger, jets, np.zeros(3))
    with pytest.raises(eqt.TaggerError, match="finite numbers"):
        eqt.audit(lambda given: np.full(len(given), np.nan), jets)
    with pytest.raises(eqt.TaggerError, match="numbers for 7 jets"):
        eqt.audit(lambda given: np.zeros(3), jets)
    with pytest.raises(eqt.TaggerError, match="an object of type int"):
        eqt.audit(3, jets)


def test_a_constant_has_every_symmetry(jets):
    report = eqt.audit(lambda given: np.full(len(given), 0.5), jets, name="constant", num_jets=4)
    assert report.verdict.startswith("constant: its scores are unchanged by the Lorentz group")


def test_a_network_for_momenta(jets):
    torch.manual_seed(0)
    model = eqt.models.build("lorentznet", hidden=8, n_layers=2, beams=False, output="momentum").double().eval()
    verdict = eqt.audit(model, jets, num_jets=4).verdict
    assert verdict.startswith("lorentznet: its vectors turn with the jets under the Lorentz group SO⁺(1,3), up to")
    assert "AUC" not in verdict


def test_the_command(tagger, jets, tmp_path, capsys):
    tagger.save(tmp_path / "tagger")
    ak.to_parquet(jets, tmp_path / "jets.parquet")
    arguments = ["audit", str(tmp_path / "tagger"), str(tmp_path / "jets.parquet"), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--num-jets", "4", "--beside", f"other={tmp_path / 'tagger'}"]) == 0
    printed = capsys.readouterr().out
    assert "small: its scores are unchanged" in printed
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(numbers["sections"]["curves"]) == ["small", "other", "plain MLP (control)"]
    assert numbers["about"]["Data"] == [str(tmp_path / "jets.parquet")]
    assert numbers["sections"]["six_transformations"]["other"]["z-tilt"]["auc"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    assert main([*arguments[:-1], str(tmp_path / "jets.parquet")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert main([*arguments, "--num-jets", "1"]) == 1


def test_one_matrix_per_jet(jets):
    matrices = np.stack([boost(1 + k, (0, 0, 1)) @ rotation(k, (1, 0, 0)) for k in range(len(jets))])
    moved = transform(jets, matrices)
    for k in range(len(jets)):
        expected = flatten(transform(jets[k : k + 1], matrices[k])).momenta.p4
        np.testing.assert_array_equal(flatten(moved[k : k + 1]).momenta.p4, expected)
