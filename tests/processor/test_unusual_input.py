"""What is not an ordinary array of events or jets: single events, traced jets, vectors of tracks, missing values."""

import awkward as ak
import hist
import numpy as np
import pytest

from coffea_equitag import TaggerProcessor, attach, models, score_file, validate
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.readers import nanoaod
from coffea_equitag.tagger import Tagger
from nano_events import nano_events


def tagger_of(kind, **options):
    classes = () if options.get("output", "classes") != "classes" else [f"c{k}" for k in range(options["n_classes"])]
    return Tagger.from_model(models.build(kind, **options), name=kind, classes=classes)


def traced(jets):
    return ak.Array(ak.to_layout(ak.materialize(jets)).to_typetracer(forget_length=True), behavior=jets.behavior)


def test_a_single_event_is_refused(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    for call in (
        lambda: attach(events[0], {"FatJet": saved_tagger}),
        lambda: nanoaod(events[0]),
        lambda: TaggerProcessor({"FatJet": saved_tagger}).process(events[0]),
    ):
        with pytest.raises(JetError, match=r"one event \(ak.Record\)(.|\n)*events\[:1\]"):
            call()
    with pytest.raises(JetError, match="events of type dict"):
        attach({}, {"FatJet": saved_tagger})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("pfn", {"n_classes": 2}),
        ("pfn", {"n_classes": 3}),
        ("vector_pfn", {"n_classes": 2}),
        ("pelican", {"n_classes": 2, "output": "momentum"}),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_traced_jets(nano_file, open_nano, kind, options, masked):
    jets = nanoaod(open_nano(nano_file))
    jets = ak.mask(jets, jets.pt > 400) if masked else jets
    tagger = tagger_of(kind, **options)
    found = tagger(traced(jets))
    assert ak.backend(found) == "typetracer"
    assert found.type.content == tagger(jets).type.content
    assert ak.backend(validate(traced(jets), require=("charge",))) == "typetracer"


def test_traced_jets_elsewhere(nano_file, open_nano, saved_tagger):
    jets = traced(nanoaod(open_nano(nano_file)))
    with pytest.raises(JetError, match="a type but no values"):
        saved_tagger.model(jets)
    with pytest.raises(JetError, match="without 'trkChi2'"):
        validate(jets, require=("trkChi2",))


@pytest.mark.parametrize("kind", ["vector_pfn", "tensor_pfn"])
def test_networks_of_tracks(nano_file, open_nano, tmp_path, kind):
    tagger = tagger_of(kind, n_classes=2)
    events = open_nano(nano_file)
    expected = tagger(nanoaod(events))
    found = attach(events, {"FatJet": tagger}).FatJet.score
    assert ak.array_equal(found, expected, check_parameters=False)
    score_file(tagger, nano_file, tmp_path / "out.root", name="net", progress=False)
    written = open_nano(tmp_path / "out.root").FatJet.net
    assert np.allclose(ak.flatten(written), ak.flatten(expected), rtol=0, atol=1e-6)
    assert TaggerProcessor({"FatJet": tagger}).process(events)["jet_cutflow"]["FatJet"]["unknown"]["scored"] == 17


def test_vectors_need_tracks(nano_file, open_nano):
    events = open_nano(nano_file)
    bare = ak.with_field(events, events.PFCands[["pt", "eta", "phi", "mass", "pdgId"]], "PFCands")
    with pytest.raises(JetError, match="without a column for 'd0'"):
        attach(bare, {"FatJet": tagger_of("vector_pfn", n_classes=2)})


AXES = {
    "integer": hist.axis.Integer(0, 10, name="x"),
    "category": hist.axis.IntCategory(range(10), name="x"),
    "boolean": hist.axis.Boolean(name="x"),
    "regular": hist.axis.Regular(10, 0, 10, name="x"),
}


@pytest.mark.parametrize("kind", AXES)
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, np.float32])
def test_missing_values_are_left_out(nano_file, open_nano, saved_tagger, kind, dtype):
    events = open_nano(nano_file)

    def partner(jets):
        values = ak.values_astype(jets.nConstituents % 2 if kind == "boolean" else jets.nConstituents, dtype)
        return ak.mask(values, jets.pt > 400)

    out = TaggerProcessor({"FatJet": saved_tagger}, variables={"FatJet": {"x": (AXES[kind], partner)}}, weight=None)
    found = out.process(events)["jets"]["FatJet"]["x"]["unknown", "nominal", "inclusive", "inclusive", "pass", :]
    expected = hist.Hist(AXES[kind], storage=hist.storage.Weight())
    values = ak.to_numpy(ak.drop_none(ak.flatten(partner(events.FatJet))))
    expected.fill(values if kind == "regular" else values.astype(int))
    assert np.array_equal(found.view(flow=True).value, expected.view(flow=True).value)


def test_words_as_values(nano_file, open_nano, saved_tagger):
    def origin(jets):
        words = ak.where(jets.pt > 500, ak.Array(["hard"]), ak.Array(["soft"]))
        return ak.mask(words, jets.mass > 20)

    axis = hist.axis.StrCategory(["hard", "soft"], name="x")
    options = {"variables": {"FatJet": {"x": (axis, origin)}}, "weight": None}
    events = open_nano(nano_file)
    found = TaggerProcessor({"FatJet": saved_tagger}, **options).process(events)["jets"]["FatJet"]["x"]
    kept = events.FatJet[events.FatJet.mass > 20]
    assert found["unknown", "nominal", "inclusive", "inclusive", "pass", "hard"].value == ak.sum(kept.pt > 500)


def test_matched_gen(shared_data, open_nano, saved_tagger):
    variables = {
        "flavour": (hist.axis.Integer(0, 10, name="flavour"), lambda jets: jets.matched_gen.hadronFlavour),
        "b": (hist.axis.Boolean(name="b"), lambda jets: jets.matched_gen.hadronFlavour == 5),
    }
    events = nano_events(shared_data / "pfnano.root")
    out = TaggerProcessor({"Jet": saved_tagger}, variables={"Jet": variables}, weight=None).process(events)
    matched = ak.sum(~ak.is_none(events.Jet.matched_gen.pt, axis=1))
    assert 0 < matched < ak.sum(ak.num(events.Jet))
    for name in variables:
        assert out["jets"]["Jet"][name]["unknown", "nominal", "inclusive", "inclusive", "pass", sum].value == matched


@pytest.mark.parametrize(
    ("axis", "variable", "message"),
    [
        (AXES["integer"], lambda jets: jets.pt, "values of type float32 for the axis 'x' \\(Integer\\)"),
        (AXES["integer"], lambda jets: jets, "variable 'x' of type 12 \\* var"),
        (AXES["regular"], lambda jets: jets.pt[:, :, np.newaxis], "one number for each jet"),
    ],
)
def test_values_that_do_not_fit(nano_file, open_nano, saved_tagger, axis, variable, message):
    processor = TaggerProcessor({"FatJet": saved_tagger}, variables={"FatJet": {"x": (axis, variable)}})
    with pytest.raises(JetError, match=message):
        processor.process(open_nano(nano_file))


@pytest.mark.parametrize("where", [lambda jets: None, lambda jets: jets.pt, lambda jets: ak.num(jets) > 1])
def test_where_gives_one_boolean_per_jet(nano_file, open_nano, saved_tagger, where):
    with pytest.raises(JetError, match="selection 'where: FatJet' gives"):
        attach(open_nano(nano_file), {"FatJet": saved_tagger}, where=where)


def test_where_for_all_and_for_nothing(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    every, none = (
        attach(events, {"FatJet": saved_tagger}, where=lambda jets, to=to: to).FatJet for to in (True, False)
    )
    assert not ak.any(ak.is_none(every.score, axis=1), axis=None)
    assert ak.all(ak.is_none(none.score, axis=1), axis=None)
    with pytest.raises(TaggerError, match="where for FatJets"):
        attach(events, {"FatJet": saved_tagger}, where={"FatJets": lambda jets: jets.pt > 0})
