"""Files for CMS's software, from a tagger to the scores of its producer."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest

import coffea_equitag as eqt
from coffea_equitag.export.cms_preprocessing import WIDTH
from coffea_equitag.export.trial_jets import trial_jets
from coffea_equitag.jets import flatten, make_jets
from export.cms_producer import Producer
from export.test_files import scores, tagger_of

COUNTS = (0, 1, 2, 40, WIDTH, WIDTH + 1, 150)


def variables(jets, fields=()):
    """What CMS's software knows of each jet's constituents, hardest first, as it sorts them."""
    flat = flatten(jets, fields)
    columns = dict(zip(("energy", "px", "py", "pz"), flat.momenta.p4.T, strict=True)) | dict(flat.columns)
    columns["mask"] = np.ones(len(flat.momenta.p4))
    return [
        {f"pfcand_{name}": column[first:last].astype(np.float32) for name, column in columns.items()}
        for first, last in zip(flat.offsets[:-1], flat.offsets[1:], strict=True)
    ]


def sorted_jets(tagger):
    """Jets of 0 to 150 constituents in single precision, hardest first."""
    jets = trial_jets(tagger, COUNTS, "cms", seed=9).jets
    constituents = jets.constituents
    order = ak.argsort(np.hypot(constituents.px, constituents.py), ascending=False)
    return make_jets(constituents[order])


def first_constituents(jets, most):
    return make_jets(jets.constituents[:, :most])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A packaged tagger, and its file behind CMS's producer."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tagger = eqt.load("top-pfn-mass", "cpu")
    folder = tmp_path_factory.mktemp("cms")
    made = tagger.export(folder / "m.onnx", "cms")
    assert made.verification.deviation <= 1e-5
    assert sorted(path.name for path in folder.iterdir()) == ["m.onnx", "m.preprocess.json"]
    return tagger, Producer(folder / "m.onnx", folder / "m.preprocess.json")


def test_scores_of_a_packaged_tagger(exported):
    tagger, producer = exported
    jets = sorted_jets(tagger)
    # a jet without constituents never gets to the network
    assert not producer(variables(jets[:1])).any()
    jets = jets[1:]
    found, own = producer(variables(jets)), scores(tagger, jets)
    whole = ak.to_numpy(ak.num(jets.constituents)) <= WIDTH
    np.testing.assert_allclose(found[whole], own[whole], atol=1e-5)
    # of wide jets the network sees the hardest constituents
    np.testing.assert_allclose(found, scores(tagger, first_constituents(jets, WIDTH)), atol=1e-5)
    assert np.abs(found - own)[~whole].max() > 1e-5


def test_a_longer_maximum_is_enough_for_wide_jets(exported):
    tagger, producer = exported
    jets = sorted_jets(tagger)[4:]
    for name in producer.groups["input_names"]:
        producer.groups[name]["max_length"] = 200
    np.testing.assert_allclose(producer(variables(jets)), scores(tagger, jets), atol=1e-5)


def test_columns_and_several_classes(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tagger = tagger_of("pfn", ("qcd", "w", "top"), inputs="kinpid", phi=(4,), f=(4,))
    tagger.export(tmp_path / "m.onnx", "cms")
    described = json.loads((tmp_path / "m.preprocess.json").read_text())
    assert described["pf_features"]["var_names"] == ["pfcand_charge", "pfcand_pdgId"]
    assert described["output_names"] == ["qcd", "w", "top"]
    jets = trial_jets(tagger, (4, 1, 31), "cms", seed=9).jets
    producer = Producer(tmp_path / "m.onnx", tmp_path / "m.preprocess.json")
    np.testing.assert_allclose(producer(variables(jets, ("charge", "pdgId"))), scores(tagger, jets), atol=1e-5)
