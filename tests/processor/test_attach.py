"""Scores on jets: structure, slices, virtual and traced arrays, refusals."""

import warnings

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.trace import trace, trace_with_typetracer

from arithmetic import rounding_of_scores
from coffea_equitag import attach
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.readers import nanoaod
from coffea_equitag.tagger import load_count


def same(one, other):
    return ak.array_equal(one, other, check_parameters=False)


@pytest.mark.parametrize("mode", ["virtual", "eager"])
def test_scores_are_the_taggers(nano_file, open_nano, saved_tagger, mode):
    events = open_nano(nano_file, mode)
    scored = attach(events, {"FatJet": saved_tagger})
    assert same(scored.FatJet.score, saved_tagger(nanoaod(events, "FatJet")))
    assert "score" not in events.FatJet.fields
    assert type(scored) is type(events)
    assert type(scored.FatJet) is type(events.FatJet)
    assert scored.metadata == events.metadata
    assert ak.all(scored.FatJet.delta_r(scored.FatJet) == 0, axis=None)


def test_scores_go_along_with_their_jets(nano_file, open_nano, saved_tagger):
    events = attach(open_nano(nano_file), {"FatJet": saved_tagger})
    pt, score = events.FatJet.pt, events.FatJet.score
    order = ak.argsort(pt, axis=1, ascending=False)
    jets = events.FatJet[order]
    assert same(jets[jets.pt > 400].score, score[order][pt[order] > 400])
    assert same(events[2:7].FatJet.score, score[2:7])
    few = attach(open_nano(nano_file)[3:9], {"FatJet": saved_tagger}).FatJet.score
    allowed = rounding_of_scores(saved_tagger, nanoaod(open_nano(nano_file), "FatJet"))
    assert np.allclose(ak.flatten(few), ak.flatten(score[3:9]), rtol=0, atol=allowed)


def test_names(nano_file, open_nano, saved_tagger, three_class_tagger):
    events = open_nano(nano_file)
    assert "top" in attach(events, {"FatJet": saved_tagger}, name="top").FatJet.fields
    two = attach(events, {"FatJet": [saved_tagger, three_class_tagger.path]}).FatJet
    added = [name for name in two.fields if name not in events.FatJet.fields]
    assert added == ["small_net", "three_qcd", "three_top", "three_H__bb"]
    assert np.allclose(ak.flatten(two.three_qcd + two.three_top + two.three_H__bb), 1, atol=1e-6)
    by_name = attach(events, {"FatJet": {"a": saved_tagger, "b": saved_tagger}}).FatJet
    assert same(by_name.a, by_name.b)


def test_overwriting_is_asked_for(nano_file, open_nano, saved_tagger):
    events = attach(open_nano(nano_file), {"FatJet": saved_tagger})
    with pytest.raises(JetError, match="already has a field 'score'"):
        attach(events, {"FatJet": saved_tagger})
    assert same(attach(events, {"FatJet": saved_tagger}, overwrite=True).FatJet.score, events.FatJet.score)


@pytest.mark.parametrize("cut", [-1.0, 500.0, 1e6])
def test_only_chosen_jets_are_scored(nano_file, open_nano, saved_tagger, cut):
    events = open_nano(nano_file)
    everything = attach(events, {"FatJet": saved_tagger}).FatJet.score
    scores = attach(events, {"FatJet": saved_tagger}, where=lambda jets: jets.pt > cut).FatJet.score
    assert str(scores.type) == "12 * var * ?float32"
    chosen = events.FatJet.pt > cut
    assert same(~ak.is_none(scores, axis=1), chosen)
    allowed = rounding_of_scores(saved_tagger, nanoaod(events, "FatJet"))
    assert np.allclose(ak.flatten(ak.drop_none(scores)), ak.flatten(everything[chosen]), rtol=0, atol=allowed)
    by_collection = attach(events, {"FatJet": saved_tagger}, where={"FatJet": lambda jets: jets.pt > cut})
    assert same(by_collection.FatJet.score, scores)


@pytest.mark.parametrize("counts", [[], [0, 0]])
def test_no_events_or_jets(nano_writer, open_nano, saved_tagger, three_class_tagger, tmp_path, counts):
    events = open_nano(nano_writer(tmp_path / "few.root", counts))
    taggers = {"FatJet": [saved_tagger, three_class_tagger]}
    for scored in (attach(events, taggers), attach(events, taggers, where=lambda jets: jets.pt > 0)):
        assert ak.num(scored.FatJet.small_net).tolist() == counts
        assert ak.num(scored.FatJet.three_top).tolist() == counts
    assert len(attach(open_nano(nano_writer(tmp_path / "two.root", [1, 2]))[:0], taggers)) == 0


@pytest.mark.parametrize("where", [None, lambda jets: jets.pt > 400])
def test_under_trace(nano_file, open_nano, saved_tagger, three_class_tagger, where):
    types = []

    def process(events):
        scored = attach(events, {"FatJet": {"a": saved_tagger, "b": three_class_tagger}}, where=where)
        types.append([str(scored.FatJet[name].type.content) for name in ("a", "b_top")])

    events = open_nano(nano_file)
    read = trace_with_typetracer(process, events, throw=True)
    process(events)
    assert types[0] == types[1] == ["var * " + ("?float32" if where else "float32")] * 2
    needed = {f"PFCands_{name}" for name in ("pt", "eta", "phi", "mass")}
    needed |= {f"FatJet_{name}" for name in ("pt", "eta", "phi", "mass")}
    assert "PFCands_charge" not in read
    assert read >= needed | {"FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx"}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Exception during", RuntimeWarning)
        assert trace(process, events) == read


def test_a_path_is_loaded_once(nano_file, open_nano, saved_tagger):
    attach(open_nano(nano_file), {"FatJet": str(saved_tagger.path)})
    before = load_count()
    attach(open_nano(nano_file), {"FatJet": saved_tagger.path})
    assert load_count() == before


def test_real_file(shared_data, open_nano, saved_tagger):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # from coffea, about columns of photons
        events = open_nano(shared_data / "pfnano.root")
        scored = attach(events, {"FatJet": saved_tagger, "Jet": {"net": saved_tagger}})
    assert ak.num(scored.FatJet.score).tolist() == ak.num(events.FatJet).tolist()
    assert ak.num(scored.Jet.net).tolist() == ak.num(events.Jet).tolist()
    assert ak.all((scored.FatJet.score >= 0) & (scored.FatJet.score <= 1), axis=None)


@pytest.mark.parametrize("name", ["mass", "E", "energy", "rho", "pt", "delta_r", "not a name", "1st", "msoftdrop"])
def test_unfit_names(nano_file, open_nano, saved_tagger, name):
    with pytest.raises(JetError):
        attach(open_nano(nano_file), {"FatJet": saved_tagger}, name=name)


def test_refusals(nano_file, open_nano, saved_tagger, tmp_path):
    events = open_nano(nano_file)
    with pytest.raises(JetError, match=r"without a collection 'Jet'\n.*FatJet"):
        attach(events, {"Jet": saved_tagger})
    with pytest.raises(TaggerError, match="one name per tagger"):
        attach(events, {"FatJet": [saved_tagger]}, name="top")
    with pytest.raises(TaggerError, match="with the same name"):
        attach(events, {"FatJet": [saved_tagger, saved_tagger]})
    with pytest.raises(TaggerError, match="no tagger at"):
        attach(events, {"FatJet": tmp_path})
    with pytest.raises(TaggerError, match="of type int as tagger"):
        attach(events, {"FatJet": 3})
    with pytest.raises(TaggerError, match=r"name the jets that it scores: \{'FatJet': 'top-lorentznet'\}"):
        attach(events, "top-lorentznet")
