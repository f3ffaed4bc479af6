"""Variations of jets and constituents: scores on the original jets, and nothing computed twice."""

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.trace import trace_with_typetracer

from arithmetic import rounding_of_scores
from coffea_equitag import TaggerProcessor, attach
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.readers import nanoaod
from nano_events import nano_events


class Counting:
    """A tagger that notes how many jets it scores in each call."""

    def __init__(self, tagger):
        self.tagger, self.calls = tagger, []

    @property
    def classes(self):
        return self.tagger.classes

    def __getattr__(self, name):
        return getattr(self.tagger, name)

    def __call__(self, jets):
        self.calls.append(int(ak.sum(~ak.is_none(jets.constituents, axis=1))))
        return self.tagger(jets)


def with_jets(change):
    return lambda events: ak.with_field(events, change(events.FatJet), "FatJet")


def jes(jets):
    factor = 1.02 + 0.1 * abs(jets.eta)
    return ak.with_field(ak.with_field(jets, jets.pt * factor, "pt"), jets.mass * factor, "mass")


def by_pt(jets):
    return jets[ak.argsort(jets.pt, axis=1, ascending=False)]


def candidates(change):
    return lambda events: ak.with_field(events, change(events.PFCands), "PFCands")


def harder(table):
    return ak.with_field(table, table.pt * np.float32(1.1), "pt")


def lost(table):
    """Every fifth candidate is lost."""
    return ak.with_field(table, ak.where(ak.local_index(table, axis=1) % 5 == 0, np.float32(0), table.pt), "pt")


def same(found, expected, allowed=0.0):
    assert ak.array_equal(ak.is_none(found, axis=1), ak.is_none(expected, axis=1))
    difference = ak.flatten(ak.drop_none(found - expected))
    return np.abs(ak.to_numpy(difference)).max(initial=0) <= allowed


JETS = {
    "shifted and sorted": (lambda jets: by_pt(jes(jets)), lambda jets: jets.pt > 0),
    "reversed": (lambda jets: jets[:, ::-1], lambda jets: jets.pt > 0),
    "filtered": (lambda jets: by_pt(jets[jets.pt > 450]), lambda jets: jets.pt > 450),
    "masked": (lambda jets: ak.mask(jets, jets.pt > 450), lambda jets: jets.pt > 450),
    "padded": (lambda jets: ak.pad_none(jets[jets.pt > 300], 5, axis=1), lambda jets: jets.pt > 300),
    "none left": (lambda jets: jets[jets.pt < 0], lambda jets: jets.pt < 0),
    "axes moved": (lambda jets: ak.with_field(jets, jets.eta + 0.3, "eta")[:, ::-1], lambda jets: jets.pt > 0),
}


@pytest.mark.parametrize("mode", ["virtual", "eager"])
@pytest.mark.parametrize(("change", "left"), JETS.values(), ids=JETS)
def test_scores_land_on_the_original_jets(nano_file, open_nano, saved_tagger, mode, change, left):
    events = open_nano(nano_file, mode)
    tagger = Counting(saved_tagger)
    found = attach(events, {"FatJet": tagger}, variations={"jesUp": with_jets(change)}).FatJet
    assert same(found.score_jesUp, ak.mask(found.score, left(events.FatJet)))
    assert found.pt.tolist() == events.FatJet.pt.tolist()
    assert len(tagger.calls) == 1
    assert found.fields == [*events.FatJet.fields, "score", "score_jesUp"]


@pytest.mark.parametrize("change", ["shifted and sorted", "filtered", "masked", "padded"])
def test_shifted_events(nano_file, open_nano, saved_tagger, change):
    events = open_nano(nano_file)[2:]
    shift, left = JETS[change]
    shifted = with_jets(shift)(events)
    found = attach(events, {"FatJet": saved_tagger}, variations={"up": shifted}).FatJet
    assert same(found.score_up, ak.mask(found.score, left(events.FatJet)))


@pytest.mark.parametrize("constituents", ["nominal", "scaled"])
@pytest.mark.parametrize("change", [harder, lost])
def test_shifted_constituents(nano_file, open_nano, saved_tagger, constituents, change):
    events = open_nano(nano_file)
    shift = candidates(change)
    options = {"constituents": constituents}
    found = attach(events, {"FatJet": saved_tagger}, variations={"pf": shift}, **options).FatJet
    expected = attach(shift(events), {"FatJet": saved_tagger}, **options).FatJet
    allowed = rounding_of_scores(saved_tagger, nanoaod(shift(events)))
    assert same(found.score_pf, expected.score, allowed)
    assert ak.any(found.score_pf != found.score, axis=None)
    assert found.pt.tolist() == events.FatJet.pt.tolist()


def test_both_at_once(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)

    def both(events):
        return with_jets(lambda jets: by_pt(jes(jets)))(candidates(harder)(events))

    found = attach(events, {"FatJet": saved_tagger}, variations={"both": both}, constituents="scaled").FatJet
    unsorted = with_jets(jes)(candidates(harder)(events))
    expected = attach(unsorted, {"FatJet": saved_tagger}, constituents="scaled").FatJet.score
    assert same(found.score_both, expected, rounding_of_scores(saved_tagger, nanoaod(unsorted, constituents="scaled")))


def test_only_what_changes_is_scored_again(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    shifts = {
        "jesUp": with_jets(lambda jets: by_pt(jes(jets))),
        "pfUp": candidates(harder),
        "jerUp": with_jets(lambda jets: jets[jets.pt > 300]),
        "tracks": candidates(lost),
    }
    tagger = Counting(saved_tagger)
    attach(events, {"FatJet": tagger}, variations=shifts)
    filled = int(ak.sum(events.FatJet.nConstituents > 0))
    assert tagger.calls[:2] == [17, filled]
    assert len(tagger.calls) == 3
    assert 0 < tagger.calls[2] < filled
    tagger.calls.clear()
    only_one = candidates(lambda table: ak.where(ak.local_index(table, axis=1) == 0, harder(table), table))
    attach(events, {"FatJet": tagger}, variations={"one": only_one})
    with_candidates = int(ak.sum(ak.num(events.PFCands) > 0))
    assert tagger.calls == [17, with_candidates]


def test_scaled_jets_are_scored_where_they_change(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    tagger = Counting(saved_tagger)
    central = with_jets(lambda jets: ak.with_field(jets, ak.where(abs(jets.eta) < 1, jets.pt * 2, jets.pt), "pt"))
    attach(events, {"FatJet": tagger}, variations={"up": central}, constituents="scaled")
    assert tagger.calls == [17, int(ak.sum(abs(events.FatJet.eta) < 1))]


def test_where_sees_the_varied_jets(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    tagger = Counting(saved_tagger)
    shifts = {"up": with_jets(lambda jets: by_pt(jes(jets))), "again": with_jets(jes)}
    found = attach(events, {"FatJet": tagger}, variations=shifts, where=lambda jets: jets.pt > 500).FatJet
    every = attach(events, {"FatJet": saved_tagger}).FatJet.score
    allowed = rounding_of_scores(saved_tagger, nanoaod(events))
    assert same(found.score, ak.mask(every, events.FatJet.pt > 500), allowed)
    for name in ("score_up", "score_again"):
        assert same(found[name], ak.mask(every, jes(events.FatJet).pt > 500), allowed)
    chosen, shifted = events.FatJet.pt > 500, jes(events.FatJet).pt > 500
    assert tagger.calls == [int(ak.sum(chosen)), int(ak.sum(shifted & ~chosen))]


def test_several_taggers_and_classes(nano_file, open_nano, saved_tagger, three_class_tagger):
    taggers = {"FatJet": {"a": saved_tagger, "b": three_class_tagger}}
    shift = with_jets(lambda jets: jets[:, ::-1])
    found = attach(open_nano(nano_file), taggers, variations={"up": shift}).FatJet
    for name in ("a", "b_qcd", "b_top", "b_H__bb"):
        assert same(found[f"{name}_up"], found[name])


def test_a_reader_of_ones_own(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)

    def reader(events, collection):
        return nanoaod(events, collection, fields=())

    tagger = Counting(saved_tagger)
    shifts = {"up": with_jets(lambda jets: by_pt(jes(jets))), "pf": candidates(harder)}
    found = attach(events, {"FatJet": tagger}, variations=shifts, reader=reader).FatJet
    expected = attach(events, {"FatJet": saved_tagger}, variations=shifts).FatJet
    assert len(tagger.calls) == 2
    for name in ("score", "score_up", "score_pf"):
        assert same(found[name], expected[name], rounding_of_scores(saved_tagger, nanoaod(events)))


@pytest.mark.parametrize("counts", [[], [0, 0], [0, 1, 0]])
def test_few_events_or_jets(nano_writer, open_nano, saved_tagger, tmp_path, counts):
    events = open_nano(nano_writer(tmp_path / "few.root", counts))
    shifts = {"up": with_jets(jes), "pf": candidates(harder), "given": with_jets(jes)(events)}
    found = attach(events, {"FatJet": saved_tagger}, variations=shifts).FatJet
    assert [ak.num(found[f"score_{name}"]).tolist() for name in shifts] == [counts] * 3
    out = TaggerProcessor({"FatJet": saved_tagger}, variations=shifts).process(events)
    assert sorted(out["sums"]["unknown"]) == ["given", "nominal", "pf", "up"]


def test_types_under_trace(nano_file, open_nano, saved_tagger):
    types = []

    def process(events):
        shifts = {"up": with_jets(jes), "pf": candidates(harder)}
        found = attach(events, {"FatJet": saved_tagger}, variations=shifts, where=lambda jets: jets.pt > 300).FatJet
        types.append([str(found[name].type.content) for name in ("score", "score_up", "score_pf")])

    events = open_nano(nano_file)
    trace_with_typetracer(process, events, throw=True)
    process(events)
    assert types[0] == types[1] == ["var * ?float32"] * 3


def histogram(output, systematic):
    found = output["scores"]["FatJet"]["score"][{"systematic": systematic, "region": "inclusive"}]
    return found[{"working_point": "inclusive", "decision": "pass", "dataset": 0}].view(flow=True).value


def test_processor(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)
    tagger = Counting(saved_tagger)
    shifts = {
        "jesUp": with_jets(lambda jets: by_pt(jes(jets))),
        "pfUp": candidates(harder),
        "jerUp": with_jets(lambda jets: jets[jets.pt > 300]),
        "tracks": candidates(lost),
    }
    options = {
        "event_selections": {"two": lambda events: ak.num(events.FatJet[events.FatJet.pt > 400]) >= 1},
        "jet_selections": {"FatJet": {"pt": lambda jets: jets.pt > 500}},
    }
    output = TaggerProcessor({"FatJet": tagger}, variations=shifts, **options).process(events)
    passing = [  # nominal, and jets that pass only with more energy
        int(ak.sum(chosen.FatJet.pt > 500))
        for varied in (events, with_jets(jes)(events))
        for chosen in [varied[options["event_selections"]["two"](varied)]]
    ]
    assert tagger.calls[0] == passing[0]
    assert tagger.calls[1] == passing[1] - passing[0] > 0
    assert len(tagger.calls) == 4
    for name, shift in shifts.items():
        alone = TaggerProcessor({"FatJet": saved_tagger}, **options).process(shift(events))
        assert np.array_equal(histogram(output, name), histogram(alone, "nominal"))
        assert np.array_equal(
            output["jets"]["FatJet"]["pt"][{"systematic": name}].view(flow=True).value,
            alone["jets"]["FatJet"]["pt"][{"systematic": "nominal"}].view(flow=True).value,
        )


def test_processor_leaves_data_alone(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file, metadata={"dataset": "data", "is_mc": False})
    output = TaggerProcessor({"FatJet": saved_tagger}, variations={"up": with_jets(jes)}).process(events)
    assert list(output["sums"]["data"]) == ["nominal"]


def test_names_of_weights_and_variations_differ(nano_file, open_nano, saved_tagger):
    processor = TaggerProcessor(
        {"FatJet": saved_tagger}, variations={"puUp": with_jets(jes)}, weights={"pu": (1.0, 1.1, 0.9)}
    )
    with pytest.raises(TaggerError, match="both called 'puUp'"):
        processor.process(open_nano(nano_file))


NEEDED = {
    *(f"FatJet_{name}" for name in ("pt", "eta", "phi", "mass")),
    *(f"PFCands_{name}" for name in ("pt", "eta", "phi", "mass", "puppiWeight")),
    *("FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx"),
    *("nFatJet", "nFatJetPFCands", "nPFCands"),
}


@pytest.mark.parametrize("call", ["attach", "processor"])
@pytest.mark.parametrize(
    "variations", [None, {"up": with_jets(lambda jets: by_pt(jes(jets))), "pf": candidates(harder)}]
)
def test_columns_read(shared_data, saved_tagger, call, variations):
    log = []
    events = nano_events(shared_data / "pfnano.root", access_log=log)
    if call == "attach":
        attach(events, {"FatJet": saved_tagger}, variations=variations)
    else:
        TaggerProcessor({"FatJet": saved_tagger}, variations=variations, weight=None).process(events)
    assert {entry.branch for entry in log} == NEEDED


def test_refusals(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file)

    def varied(shift, name="up"):
        return attach(events, {"FatJet": saved_tagger}, variations={name: shift})

    with pytest.raises(JetError, match="events without FatJet"):
        varied(lambda events: events.FatJet)
    with pytest.raises(JetError, match="gives NoneType"):
        varied(lambda events: None)
    with pytest.raises(JetError, match="gives 3 events for 12"):
        varied(events[:3])
    with pytest.raises(JetError, match="none of which has the"):
        varied(with_jets(lambda jets: ak.with_field(jets, jets.eta + 1, "eta"))(events))
    with pytest.raises(JetError, match="the same FatJet up to 2 times"):
        varied(with_jets(lambda jets: ak.concatenate([jets, jets], axis=1)))
    with pytest.raises(TaggerError, match="a variation called 'nominal'"):
        varied(lambda events: events, "nominal")
    with pytest.raises(TaggerError, match="a variation called 'jes up'"):
        varied(lambda events: events, "jes up")
    with pytest.raises(TaggerError, match="of type float"):
        varied(1.02)
    with pytest.raises(TaggerError, match="variations of type list"):
        attach(events, {"FatJet": saved_tagger}, variations=["jesUp"])


def test_a_variation_without_jets_is_in_the_histograms(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file, metadata={"dataset": "signal"})

    def lost(events):
        return ak.with_field(events, events.FatJet[events.FatJet.pt < 0], "FatJet")

    regions = {"empty": lambda events, jets: ak.num(jets["FatJet"]) > 100}
    out = TaggerProcessor(
        {"FatJet": saved_tagger}, variations={"lost": lost}, regions=regions, working_points={"FatJet": {"tight": 0.9}}
    ).process(events)
    for histogram in (out["scores"]["FatJet"]["score"], out["jets"]["FatJet"]["pt"]):
        assert list(histogram.axes["systematic"]) == ["nominal", "lost"]
        assert list(histogram.axes["region"]) == ["inclusive", "empty"]
        assert list(histogram.axes["working_point"]) == ["inclusive", "tight"]
        assert histogram[{"systematic": "lost"}].sum(flow=True).value == 0
        assert histogram[{"systematic": "nominal"}].sum(flow=True).value != 0
