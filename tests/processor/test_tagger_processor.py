"""The processor: output, cuts, weights, executors, pickling, loading."""

import pickle

import awkward as ak
import cloudpickle
import hist
import numpy as np
import pytest
from coffea.nanoevents.trace import trace, trace_with_typetracer
from coffea.processor import FuturesExecutor, IterativeExecutor, Runner, accumulate

from coffea_equitag import TaggerProcessor, attach
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.tagger import Tagger, load_count

#: All jets, and no systematic.
NOMINAL = {"systematic": "nominal", "region": "inclusive"}

SELECTIONS = {
    "event_selections": {"trigger": lambda events: events.HLT.PFJet500},
    "jet_selections": {"FatJet": {"pt": lambda jets: jets.pt > 300, "eta": lambda jets: abs(jets.eta) < 1.9}},
}


def full(tagger, **options):
    return TaggerProcessor(
        {"FatJet": tagger},
        **SELECTIONS,
        working_points={"FatJet": {"loose": 0.3, "tight": 0.8}},
        variables={
            "FatJet": {
                "msoftdrop": hist.axis.Regular(20, 0, 200, name="msoftdrop"),
                "ratio": (hist.axis.Regular(10, 0, 1, name="ratio"), lambda jets: jets.mass / jets.pt),
                "pt": hist.axis.Regular(10, 0, 1000, name="pt"),
            }
        },
        **options,
    )


@pytest.fixture
def events(nano_file, open_nano):
    return open_nano(nano_file, metadata={"dataset": "signal"})


def test_output_is_what_the_cuts_say(events, saved_tagger):
    out = full(saved_tagger).process(events)
    chosen = events[events.HLT.PFJet500]
    jets = attach(chosen, {"FatJet": saved_tagger}).FatJet
    after_pt = jets[jets.pt > 300]
    jets = after_pt[abs(after_pt.eta) < 1.9]
    weights = ak.flatten(ak.broadcast_arrays(chosen.genWeight, jets.pt)[0])

    for name, left in (("all", events), ("trigger", chosen)):
        sums = (ak.sum(left.genWeight), ak.sum(left.genWeight**2))
        assert out["cutflow"]["signal"][name] == {
            "events": len(left),
            "weight": pytest.approx(sums[0]),
            "weight2": pytest.approx(sums[1]),
        }
    num = int(ak.sum(ak.num(jets)))
    assert out["jet_cutflow"]["FatJet"]["signal"] == {
        "all": int(ak.sum(ak.num(chosen.FatJet))),
        "pt": int(ak.sum(ak.num(after_pt))),
        "eta": num,
        "scored": num,
    }
    scores = out["scores"]["FatJet"]["score"][NOMINAL]
    assert scores["signal", "inclusive", "pass", sum].value == pytest.approx(ak.sum(weights))
    score = ak.flatten(jets.score)
    for name, threshold in (("loose", 0.3), ("tight", 0.8)):
        for decision, kept in (("pass", score >= threshold), ("fail", score < threshold)):
            found = out["jets"]["FatJet"]["msoftdrop"][NOMINAL]["signal", name, decision, :]
            expected = hist.Hist(found.axes[0], storage=hist.storage.Weight())
            expected.fill(ak.flatten(jets.msoftdrop)[kept], weight=weights[kept])
            assert np.allclose(found.view(flow=True).value, expected.view(flow=True).value)
    assert set(out["jets"]["FatJet"]) == {"pt", "eta", "phi", "mass", "msoftdrop", "ratio"}
    assert len(out["jets"]["FatJet"]["pt"].axes["pt"]) == 10


def test_thresholds_are_inclusive_and_scores_of_one_are_counted(events):
    class Certain:
        classes = ("qcd", "top")

        def __call__(self, jets):
            return ak.values_astype(ak.ones_like(jets.pt), np.float32)

    out = TaggerProcessor({"FatJet": Certain()}, working_points={"FatJet": {"all in": 1}}, weight=None).process(events)
    scores = out["scores"]["FatJet"]["score"][NOMINAL]
    assert scores["signal", "all in", "pass", sum].value == 17
    assert scores["signal", "inclusive", "pass", -1].value == 17


def run(executor, nano_file, processor, chunksize=5):
    runner = Runner(executor, chunksize=chunksize, schema=_schema(), savemetrics=False)
    fileset = {name: {"files": {str(nano_file): "Events"}} for name in ("signal", "background")}
    return runner(fileset, processor)


def _schema():
    from coffea.nanoevents import PFNanoAODSchema

    PFNanoAODSchema.warn_missing_crossrefs = False
    return PFNanoAODSchema


def equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, hist.Hist):
        names = ("signal", "background")
        points = list(one.axes["working_point"])
        one, other = one[NOMINAL], other[NOMINAL]
        return all(
            np.allclose(one[n, p, d, :].view(flow=True).value, other[n, p, d, :].view(flow=True).value)
            for n in names
            for p in points
            for d in ("pass", "fail")
        )
    return one == other if isinstance(one, set) else one == pytest.approx(other)


@pytest.fixture(scope="module")
def whole(nano_file, saved_tagger):
    return run(IterativeExecutor(status=False), nano_file, full(saved_tagger), chunksize=1000)


@pytest.mark.parametrize("chunksize", [1, 5])
def test_chunks_add_up(nano_file, saved_tagger, whole, chunksize):
    before = load_count()
    assert equal(whole, run(IterativeExecutor(status=False), nano_file, full(saved_tagger), chunksize))
    assert load_count() <= before + 1
    assert whole["cutflow"].keys() == {"signal", "background"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_futures_load_once_a_process(nano_file, saved_tagger, whole):
    def loads(events, jets):
        import os

        from coffea_equitag.tagger import load_count

        return {"loads": {os.getpid(): {load_count()}}}

    for tagger in (saved_tagger, str(saved_tagger.path)):
        executor = FuturesExecutor(workers=2, status=False)
        out = run(executor, nano_file, full(tagger, hook=loads), chunksize=2)
        assert all(counts == {1} for counts in out.pop("loads").values())
        assert equal(whole, out)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_tagger_in_memory_runs_in_other_processes(nano_file, saved_tagger, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(tmp_path))
    processor = full(Tagger(saved_tagger.model, saved_tagger.card))
    weights = sum(value.numel() * value.element_size() for value in saved_tagger.model.state_dict().values())
    assert len(cloudpickle.dumps(processor)) < 10_000 < weights / 50
    assert equal(whole, run(FuturesExecutor(workers=2, status=False), nano_file, processor, chunksize=2))
    assert [folder.name for folder in tmp_path.iterdir()] == [saved_tagger.content_hash]


def test_pickle_is_small(saved_tagger, events):
    for tagger in (saved_tagger, saved_tagger.path):
        processor = full(tagger, hook=lambda events, jets: {"n": 1})
        blob = cloudpickle.dumps(processor)
        assert len(blob) < 10_000
        out = cloudpickle.loads(blob).process(events)
        assert out["jet_cutflow"] == processor.process(events)["jet_cutflow"]
    assert len(pickle.dumps(TaggerProcessor({"FatJet": saved_tagger}))) < 10_000


def test_no_state_between_chunks(events, saved_tagger):
    processor = full(saved_tagger)
    before = cloudpickle.dumps(processor)
    first = processor.process(events)
    second = processor.process(events)
    assert first["cutflow"] == second["cutflow"]
    assert first["scores"]["FatJet"]["score"] == second["scores"]["FatJet"]["score"]
    assert cloudpickle.dumps(processor) == before
    assert processor.postprocess(first) is first


@pytest.mark.parametrize("counts", [[], [0, 0, 0]])
def test_empty_chunks(nano_writer, open_nano, saved_tagger, events, tmp_path, counts):
    empty = open_nano(nano_writer(tmp_path / "few.root", counts), metadata={"dataset": "signal"})
    out = full(saved_tagger).process(empty)
    assert out["cutflow"]["signal"]["all"]["events"] == len(counts)
    assert out["jet_cutflow"]["FatJet"]["signal"]["scored"] == 0
    total = accumulate([full(saved_tagger).process(events), out])
    assert total["cutflow"]["signal"]["all"]["events"] == 12 + len(counts)


@pytest.mark.parametrize(
    "options",
    [
        {"event_selections": {"none": lambda events: events.event > 100}},
        {"jet_selections": {"FatJet": {"none": lambda jets: jets.pt > 1e5}}},
    ],
)
def test_nothing_passes(events, saved_tagger, options):
    out = TaggerProcessor({"FatJet": saved_tagger}, working_points={"FatJet": {"tight": 0.8}}, **options).process(
        events
    )
    assert out["jet_cutflow"]["FatJet"]["signal"]["scored"] == 0
    assert out["jets"]["FatJet"]["pt"].sum(flow=True).value == 0


def test_several_taggers(events, saved_tagger, three_class_tagger):
    points = {"FatJet": {"net": {"tight": 0.8}, "three_top": {"tight": 0.5}}}
    taggers = {"FatJet": {"net": saved_tagger, "three": three_class_tagger}}
    out = TaggerProcessor(taggers, working_points=points).process(events)
    assert set(out["scores"]["FatJet"]) == {"net", "three_qcd", "three_top", "three_H__bb"}
    assert list(out["jets"]["FatJet"]["pt"].axes["working_point"]) == ["inclusive", "net:tight", "three_top:tight"]
    with pytest.raises(TaggerError, match="the score each threshold is for"):
        TaggerProcessor(taggers, working_points={"FatJet": {"tight": 0.8}}).process(events)
    with pytest.raises(TaggerError, match="score 'other'"):
        TaggerProcessor(taggers, working_points={"FatJet": {"other": {"tight": 0.8}}}).process(events)


def total_weight(tagger, events, weight):
    return TaggerProcessor({"FatJet": tagger}, weight=weight).process(events)["cutflow"]["unknown"]["all"]["weight"]


@pytest.mark.parametrize(
    ("weight", "total"),
    [
        (None, 12),
        (lambda events: 2 * ak.ones_like(events.event), 24),
        (lambda events: np.full(len(events), 0.5), 6),
        (lambda events: [3] * 12, 36),
        (lambda events: 2.5, 30),
        (2.5, 30),
        (np.arange(12), 66),
        (lambda events: np.float32(2), 24),
        ("event", 66),
    ],
)
def test_weights(nano_file, open_nano, saved_tagger, weight, total):
    assert total_weight(saved_tagger, open_nano(nano_file), weight) == total


def test_only_the_default_weight_may_be_absent(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    data = events[[name for name in events.fields if name != "genWeight"]]
    assert total_weight(saved_tagger, data, "genWeight") == 12
    processor = TaggerProcessor({"FatJet": saved_tagger})
    assert processor.process(data)["cutflow"] == {"unknown": {"all": {"events": 12, "weight": 12.0, "weight2": 12.0}}}


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("genWieght", "without a field 'genWieght' (.|\n)*similar name: 'genWeight'"),
        ("HLT.PFJet500", "similar name: lambda events: events.HLT.PFJet500"),
        ("HLT_PFJet500", "similar name: lambda events: events.HLT.PFJet500"),
        ("nothing like it", "expected: a field of the events\n"),
        ("FatJet", r"weight 'FatJet' gives 12 \* var"),
        (lambda events: None, "function given as weight gives None"),
        (lambda events: events.FatJet.pt, r"gives 12 \* var \* float32"),
        (lambda events: events.genWeight[:5], "gives 5 values for 12 events"),
        (lambda events: ak.mask(events.genWeight, events.event > 2), "gives no value for 3 of 12 events"),
        (lambda events: ["1"] * 12, r"gives 12 \* string"),
    ],
)
def test_refused_weights(nano_file, open_nano, saved_tagger, weight, message):
    with pytest.raises(JetError, match=message):
        total_weight(saved_tagger, open_nano(nano_file), weight)


def test_scalar_and_missing_selections(events, saved_tagger):
    processor = TaggerProcessor(
        {"FatJet": saved_tagger},
        event_selections={
            "data": lambda events: True,
            "even": lambda events: ak.mask(events.event % 2 == 0, events.event != 2),
        },
        jet_selections={"FatJet": {"every": lambda jets: np.True_, "all of them": True, "none": lambda jets: False}},
    )
    out = processor.process(events)
    assert [out["cutflow"]["signal"][name]["events"] for name in ("data", "even")] == [12, 5]
    assert out["jet_cutflow"]["FatJet"]["signal"] == {"all": 10, "every": 10, "all of them": 10, "none": 0, "scored": 0}


def test_hook(events, saved_tagger):
    def hook(events, jets):
        return {
            "leading": float(ak.max(jets["FatJet"].score)),
            "events": len(events),
            "has": "score" in events.FatJet.fields,
        }

    out = full(saved_tagger, hook=hook).process(events)
    assert out["events"] == 6
    assert out["has"]
    assert 0 < out["leading"] < 1
    with pytest.raises(TaggerError, match="a hook that returns scores"):
        full(saved_tagger, hook=lambda events, jets: {"scores": 1}).process(events)


def test_under_trace(events, saved_tagger):
    read = trace_with_typetracer(full(saved_tagger).process, events, throw=True)
    assert read >= {
        "FatJet_msoftdrop",
        "HLT_PFJet500",
        "genWeight",
        "PFCands_pt",
        "FatJetPFCands_pFCandsIdx",
        "FatJet_mass",
    }
    assert trace(full(saved_tagger).process, events) == read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"working_points": {"FatJet": {"tight": 80}}}, "'tight' of FatJet at 80"),
        ({"working_points": {"FatJet": {"score": {"tight": -0.1}}}}, "at -0.1"),
        ({"working_points": {"FatJet": {"tight": "0.8"}}}, "at '0.8'"),
        ({"working_points": {"FatJet": {"inclusive": 0.5}}}, "other than 'inclusive'"),
        ({"working_points": {"Jet": {"tight": 0.8}}}, "working_points for Jet, which has no tagger"),
        ({"jet_selections": {"Jet": {}}}, "jet_selections for Jet"),
        ({"variables": {"Jet": {}}}, "variables for Jet"),
        ({"event_selections": {"all": lambda events: events.event > 0}}, "called 'all'"),
    ],
)
def test_refused_options(saved_tagger, options, message):
    with pytest.raises(TaggerError, match=message):
        TaggerProcessor({"FatJet": saved_tagger}, **options)
    with pytest.raises(TaggerError, match="a mapping of jet collections to their taggers"):
        TaggerProcessor(saved_tagger, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"event_selections": {"jets": lambda events: events.FatJet.pt > 0}}, "selection 'jets' gives"),
        ({"event_selections": {"forgot": lambda events: None}}, "selection 'forgot' gives None"),
        ({"event_selections": {"forgot": None}}, "selection 'forgot' gives None"),
        ({"event_selections": {"few": lambda events: events.event[:3] > 0}}, "gives 3 values for 12 events"),
        (
            {"jet_selections": {"FatJet": {"few": lambda jets: jets.pt[:, :2] > 0}}},
            "gives 2 values for the 3 jets of event 2",
        ),
        ({"event_selections": {"number": lambda events: events.event}}, "one boolean for each event"),
        ({"jet_selections": {"FatJet": {"ev": lambda jets: ak.num(jets) > 0}}}, "selection 'FatJet: ev' gives"),
        ({"variables": {"FatJet": {"n2": hist.axis.Regular(5, 0, 1)}}}, "jets without a field 'n2'"),
    ],
)
def test_refused_in_process(events, saved_tagger, options, message):
    with pytest.raises(JetError, match=message):
        TaggerProcessor({"FatJet": saved_tagger}, **options).process(events)
    with pytest.raises(JetError, match="slice instead of indexing"):
        TaggerProcessor({"FatJet": saved_tagger}).process(events[0])
