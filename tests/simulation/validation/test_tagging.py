"""A tagger on both samples."""

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError, Tagger, models
from coffea_equitag.simulation.validation.tagging import stored_alike, tag


def tagger_folder(path, classes=("QCD", "top"), signal="top", **options):
    torch.manual_seed(0)
    model = models.build("pfn", n_classes=len(classes), phi=(8,), f=(8,), **options)
    return Tagger.from_model(model, name="toy", classes=classes, signal=signal).save(path)


def test_stored_alike(random_jets):
    jets = random_jets([4, 0, 2], label=[0, 1, 1], mass=[1.0, 2.0, 3.0])
    stored = stored_alike(jets)
    assert set(stored.fields) == {"label", "constituents"}
    assert set(stored.constituents.fields) == {"px", "py", "pz", "E", "pdgId"}
    assert ak.type(stored.constituents.E).content.content == ak.types.NumpyType("float32")
    assert ak.num(stored.constituents).tolist() == [4, 0, 2]
    p2 = stored.constituents.px**2 + stored.constituents.py**2 + stored.constituents.pz**2
    np.testing.assert_allclose(ak.flatten(stored.constituents.E), ak.flatten(np.sqrt(p2)), rtol=1e-6)


@pytest.mark.parametrize("signal", ["top", "QCD"])
def test_two_classes(tmp_path, toy_jets, signal):
    path = tagger_folder(tmp_path / "tagger", signal=signal)
    jets = toy_jets(60)
    found = tag(path, jets, jets)
    assert found.name == "toy"
    assert found.auc_simulated == found.auc_real
    assert found.accuracy_real == found.accuracy_simulated
    assert 0 < found.auc_real < 1


def test_signal_first_or_last_is_the_same_curve(tmp_path, toy_jets):
    jets = toy_jets(60)
    first, last = (tag(tagger_folder(tmp_path / name, signal=name), jets, jets) for name in ("QCD", "top"))
    np.testing.assert_allclose(first.auc_real, last.auc_real)


def test_three_classes(tmp_path, toy_jets):
    path = tagger_folder(tmp_path / "tagger", classes=("QCD", "top", "W"))
    jets = toy_jets(60)
    assert 0 < tag(path, jets, jets).auc_real < 1


def test_tagger_of_columns_that_are_missing(tmp_path, toy_jets):
    path = tagger_folder(tmp_path / "tagger", inputs="btag")
    with pytest.raises(JetError, match="constituents without"):
        tag(path, toy_jets(10), toy_jets(10))


def test_one_class(tmp_path, toy_jets):
    jets = toy_jets(10)
    with pytest.raises(JetError, match="only background jets"):
        tag(tagger_folder(tmp_path / "tagger"), jets[jets.label == 0], jets)
