"""A whole analysis in one processor: weights with variations, regions, discriminants, monitoring, no collection."""

from __future__ import annotations

import awkward as ak
import hist
import numpy as np
import pytest
from coffea.analysis_tools import PackedSelection, Weights
from coffea.nanoevents import NanoEventsFactory, PFNanoAODSchema
from coffea.nanoevents.trace import trace_with_typetracer
from coffea.processor import IterativeExecutor, ProcessorABC, Runner, accumulate

from coffea_equitag import CollectionWarning, ConstituentsWarning, TaggerProcessor, attach, models
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.processor.monitoring import MonitoredTagger
from coffea_equitag.tagger import Tagger


class QuietSchema(PFNanoAODSchema):
    warn_missing_crossrefs = False


@pytest.fixture
def events(nano_file, open_nano):
    return open_nano(nano_file, metadata={"dataset": "signal"})


@pytest.fixture
def data(nano_file, open_nano):
    return open_nano(nano_file, metadata={"dataset": "data", "is_mc": False})


def coffea_weights(events):
    weights = Weights(len(events))
    weights.add("gen", events.genWeight)
    number = ak.to_numpy(events.event).astype(float)
    weights.add("pu", 1 + number, 2 + number, 0.5 + number)
    weights.add_multivariation("sf", np.full(len(events), 0.5), ["stat"], [np.full(len(events), 0.75)], [None])
    return weights


MAPPING = {
    "gen": "genWeight",
    "pu": (lambda e: 1 + e.event, lambda e: 2 + e.event, lambda e: 0.5 + e.event),
    "sf": lambda e: (0.5, {"stat": (0.75, None)}),
}

#: What these weights are, times the generator's.
EXPECTED = {
    "nominal": lambda n: 0.5 * (1 + n),
    "puUp": lambda n: 0.5 * (2 + n),
    "puDown": lambda n: 0.5 * (0.5 + n),
    "sf_statUp": lambda n: 0.75 * (1 + n),
    "sf_statDown": lambda n: 0.5**2 / 0.75 * (1 + n),
}


@pytest.mark.parametrize("weights", [coffea_weights, MAPPING, lambda events: MAPPING], ids=["coffea", "names", "made"])
def test_weight_variations_are_systematics(events, saved_tagger, weights):
    out = TaggerProcessor({"FatJet": saved_tagger}, weights=weights).process(events)
    number, generator = ak.to_numpy(events.event).astype(float), ak.to_numpy(events.genWeight).astype(float)
    assert set(out["sums"]["signal"]) == set(EXPECTED)
    jets = attach(events, {"FatJet": saved_tagger}).FatJet
    pt = out["jets"]["FatJet"]["pt"]
    assert set(pt.axes["systematic"]) == set(out["scores"]["FatJet"]["score"].axes["systematic"]) == set(EXPECTED)
    for name, weight in EXPECTED.items():
        each = generator * weight(number)
        assert out["sums"]["signal"][name]["weight"] == pytest.approx(each.sum())
        assert out["sums"]["signal"][name]["weight2"] == pytest.approx((each**2).sum())
        expected = hist.Hist(pt.axes["pt"], storage=hist.storage.Weight())
        expected.fill(ak.flatten(jets.pt), weight=np.repeat(each, ak.num(jets)))
        found = pt[{"dataset": "signal", "systematic": name, "region": "inclusive", "working_point": sum}]
        assert np.allclose(found["pass", :].view(flow=True).value, expected.view(flow=True).value)
    assert out["cutflow"]["signal"]["all"]["weight"] == out["sums"]["signal"]["nominal"]["weight"]


def test_the_old_weight_multiplies_weights(events, saved_tagger):
    def total(**options):
        return TaggerProcessor({"FatJet": saved_tagger}, **options).process(events)["sums"]["signal"]

    generator = float(ak.sum(events.genWeight))
    assert total()["nominal"]["weight"] == pytest.approx(generator)
    assert total(weights={"two": (2.0, 3.0)})["nominal"]["weight"] == 24
    both = total(weight="genWeight", weights={"two": (2.0, 3.0)})
    assert {name: sums["weight"] / generator for name, sums in both.items()} == {
        "nominal": pytest.approx(2),
        "twoUp": pytest.approx(3),
        "twoDown": pytest.approx(4 / 3),
    }


def test_data_have_no_weight_variations(data, saved_tagger):
    def forbidden(events):
        raise AssertionError

    out = TaggerProcessor({"FatJet": saved_tagger}, weights=forbidden).process(data)
    assert set(out["sums"]["data"]) == {"nominal"}
    assert out["sums"]["data"]["nominal"]["weight"] == 12
    assert TaggerProcessor({"FatJet": saved_tagger}, weight=2, weights=forbidden).process(data)["sums"] == {
        "data": {"nominal": {"events": 12, "weight": 24.0, "weight2": 48.0}}
    }


def test_some_fields_of_data_are_data_still(data, saved_tagger):
    fields = data[["FatJet", "PFCands", "FatJetPFCands", "event"]]
    sums = TaggerProcessor({"FatJet": saved_tagger}, weights={"two": (2.0, 3.0)}).process(fields)["sums"]
    assert sums == {"data": {"nominal": {"events": 12, "weight": 12.0, "weight2": 12.0}}}


def test_is_mc_is_true_or_false(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file, metadata={"is_mc": "no"})
    with pytest.raises(JetError, match="is_mc = 'no'"):
        TaggerProcessor({"FatJet": saved_tagger}).process(events)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"puUp": 1.0}, TaggerError, "called 'puUp'"),
        (3.0, TaggerError, "weights of type float"),
        (lambda events: events.genWeight, TaggerError, "weights of type Array"),
        (lambda events: Weights(5), JetError, "5 weights for 12 events"),
        ({"pu": (1, 2, 3, 4)}, TaggerError, "'pu': a tuple of 4"),
        ({"pu": lambda e: ak.mask(e.genWeight, e.event > 2)}, JetError, "weight 'pu' gives no value for 3 of 12"),
        ({"pu": ("genWeight", lambda e: e.genWeight[:3])}, JetError, "weight 'pu' gives 3 values for 12"),
        ({"a_b": (1, 2), "a": (1, {"b": (2, 3)})}, TaggerError, "several systematics called a_bDown, a_bUp"),
    ],
)
def test_refused_weights(events, saved_tagger, weights, error, message):
    with pytest.raises(error, match=message):
        TaggerProcessor({"FatJet": saved_tagger}, weights=weights).process(events)


REGIONS = {
    "SR": lambda events, jets: ak.any(jets["FatJet"].score > 0.4, axis=1),
    "two": {
        "a jet": lambda events, jets: ak.num(jets["FatJet"]) > 0,
        "leading above 500": lambda events, jets: jets["FatJet"][:, 0].pt > 500,
    },
}


def test_regions(events, saved_tagger):
    out = TaggerProcessor(
        {"FatJet": saved_tagger}, regions=REGIONS, weights=MAPPING, working_points={"FatJet": {"tight": 0.4}}
    ).process(events)
    jets = attach(events, {"FatJet": saved_tagger}).FatJet
    weight = {n: ak.to_numpy(events.genWeight) * f(ak.to_numpy(events.event)) for n, f in EXPECTED.items()}
    has_jet = ak.to_numpy(ak.num(jets) > 0)
    leading = has_jet & ak.to_numpy(ak.fill_none(ak.firsts(jets.pt), 0) > 500)
    inside = {
        "inclusive": {"all": has_jet | True},
        "SR": {"all": has_jet | True, "SR": ak.to_numpy(ak.any(jets.score > 0.4, axis=1))},
        "two": {"all": has_jet | True, "a jet": has_jet, "leading above 500": leading},
    }
    for region, cuts in inside.items():
        for systematic, weights in weight.items():
            flow = out["regions"][region]["signal"][systematic]
            assert list(flow) == list(cuts)
            for cut, mask in cuts.items():
                assert flow[cut]["events"] == mask.sum()
                assert flow[cut]["weight"] == pytest.approx(weights[mask].sum())
            last = list(cuts.values())[-1]
            per_jet = np.repeat((weights * last), ak.num(jets))
            score = ak.to_numpy(ak.flatten(jets.score))
            found = out["jets"]["FatJet"]["mass"][{"dataset": "signal", "systematic": systematic, "region": region}]
            assert found["inclusive", "pass", sum].value == pytest.approx(per_jet.sum())
            assert found["tight", "pass", sum].value == pytest.approx(per_jet[score >= 0.4].sum())
            assert found["tight", "fail", sum].value == pytest.approx(per_jet[score < 0.4].sum())
    assert 0 < inside["SR"]["SR"].sum() < 12
    assert 0 < leading.sum() < has_jet.sum()


def test_packed_selections_become_cuts(events, saved_tagger):
    def selection(events, jets=None):
        packed = PackedSelection()
        packed.add("even", events.event % 2 == 0)
        packed.add("above 3", events.event > 3)
        return packed

    named = {"even": lambda events: events.event % 2 == 0, "above 3": lambda events: events.event > 3}
    once, again = (
        TaggerProcessor({"FatJet": saved_tagger}, event_selections=cuts).process(events)["cutflow"]
        for cuts in (selection, named)
    )
    assert once == again
    assert once["signal"]["above 3"]["events"] == 4
    region = TaggerProcessor({"FatJet": saved_tagger}, regions={"SR": selection}).process(events)["regions"]["SR"]
    assert {cut: sums["events"] for cut, sums in region["signal"]["nominal"].items()} == {
        "all": 12,
        "even": 6,
        "above 3": 4,
    }
    with pytest.raises(JetError, match="a PackedSelection of 3 for 12 events"):
        TaggerProcessor({"FatJet": saved_tagger}, event_selections=lambda e: selection(e[:3])).process(events)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"regions": {"inclusive": lambda e, j: True}}, TaggerError, "a region called 'inclusive'"),
        ({"regions": {"SR": {"all": lambda e, j: True}}}, TaggerError, "called 'all'"),
        ({"regions": {"SR": lambda e, j: j["FatJet"].pt > 0}}, JetError, "selection 'SR' gives 12"),
        ({"regions": {"SR": lambda e, j: None}}, JetError, "selection 'SR' gives None"),
        (
            {"variables": {"FatJet": {"pt": hist.axis.Regular(2, 0, 1, name="region")}}},
            TaggerError,
            "an axis called 'region'",
        ),
    ],
)
def test_refused_regions(events, saved_tagger, options, error, message):
    with pytest.raises(error, match=message):
        TaggerProcessor({"FatJet": saved_tagger}, **options).process(events)


def test_functions_of_jets_and_events(events, saved_tagger):
    def above(jets, events):
        return jets.pt > 300 + 20 * events.event

    def out(select, **options):
        return TaggerProcessor({"FatJet": saved_tagger}, jet_selections={"FatJet": {"cut": select}}, **options).process(
            events[events.HLT.PFJet500]
        )

    left = ak.sum(events.FatJet.pt[events.HLT.PFJet500] > 300 + 20 * events.event[events.HLT.PFJet500])
    assert out(above)["jet_cutflow"]["FatJet"]["signal"]["cut"] == left
    # a default value marks an argument as the function's own
    assert out(lambda jets, cut=1e6: jets.pt > cut)["jet_cutflow"]["FatJet"]["signal"]["cut"] == 0
    number = (
        hist.axis.Integer(0, 12, name="number"),
        lambda jets, events: ak.broadcast_arrays(events.event, jets.pt)[0],
    )
    found = out(True, variables={"FatJet": {"number": number}}, weight=None)["jets"]["FatJet"]["number"]
    counts = found["signal", "nominal", "inclusive", "inclusive", "pass", :].values()
    assert list(counts[::2]) == [2, 3, 1, 4, 1, 2]
    assert counts[1::2].sum() == 0


def test_discriminants(events, three_class_tagger, saved_tagger):
    options = {
        "discriminants": {"TvsQCD": ("top", ["qcd"])},
        "working_points": {"FatJet": {"score_TvsQCD": {"tight": 0.5}}},
    }
    out = TaggerProcessor({"FatJet": three_class_tagger}, weight=None, **options).process(events)
    jets = ak.flatten(attach(events, {"FatJet": three_class_tagger}).FatJet)
    value = jets.score_top / (jets.score_top + jets.score_qcd)
    found = out["scores"]["FatJet"]["score_TvsQCD"]["signal", "nominal", "inclusive", "score_TvsQCD:tight", :, sum]
    assert found.values()[1] == ak.sum(value >= 0.5)
    assert list(out["scores"]["FatJet"]) == ["score_qcd", "score_top", "score_H__bb", "score_TvsQCD"]
    with pytest.raises(TaggerError, match="three or more classes"):
        TaggerProcessor({"FatJet": saved_tagger}, **options).process(events)
    with pytest.raises(TaggerError, match="a pair of signal"):
        TaggerProcessor({"FatJet": three_class_tagger}, discriminants={"TvsQCD": "top"})


def test_discriminants_by_attach(events, three_class_tagger):
    found = attach(events, {"FatJet": three_class_tagger}, discriminants={"TvsQCD": ("top", ["qcd"])}).FatJet
    expected = ak.flatten(found.score_top / (found.score_top + found.score_qcd))
    assert ak.to_numpy(ak.flatten(found.score_TvsQCD)) == pytest.approx(ak.to_numpy(expected))
    with pytest.raises(TaggerError, match="no class 'W'"):
        attach(events, {"FatJet": three_class_tagger}, discriminants={"TvsW": ("top", ["W"])})


def test_a_dataset_without_the_collection_is_skipped_with_a_count(events, nano_file, open_nano, saved_tagger):
    processor = TaggerProcessor({"FatJet": saved_tagger}, regions=REGIONS, weights=MAPPING)
    other = open_nano(nano_file, metadata={"dataset": "other"})
    other = other[[name for name in other.fields if name != "FatJet"]]
    with pytest.warns(CollectionWarning, match=r"dataset 'other' without a collection 'FatJet'(.|\n)*have none"):
        skipped = processor.process(other)
    assert skipped["skipped"] == {"other": {"FatJet": 12}}
    whole = processor.process(events)
    for parts in ([skipped, whole], [whole, skipped]):
        total = accumulate(parts)
        assert total["cutflow"] == whole["cutflow"]
        assert total["jets"]["FatJet"]["pt"] == whole["jets"]["FatJet"]["pt"]
        assert total["skipped"] == skipped["skipped"]
    assert skipped.keys() == whole.keys()


def test_empty_chunks_add_nothing(events, saved_tagger, nano_writer, open_nano, tmp_path):
    processor = TaggerProcessor(
        {"FatJet": saved_tagger}, regions=REGIONS, weights=MAPPING, working_points={"FatJet": {"tight": 0.4}}
    )
    whole = processor.process(events)
    for index, counts in enumerate([[], [0, 0]]):
        empty = open_nano(nano_writer(tmp_path / f"{index}.root", counts), metadata={"dataset": "signal"})
        for parts in ([whole, processor.process(empty)], [processor.process(empty), whole]):
            total = accumulate(parts)
            for name, histogram in total["jets"]["FatJet"].items():
                expected = whole["jets"]["FatJet"][name]
                assert set(histogram.axes["region"]) == set(expected.axes["region"])
                for systematic in expected.axes["systematic"]:
                    for region in expected.axes["region"]:
                        key = {"systematic": systematic, "region": region, "working_point": "tight", "dataset": sum}
                        assert np.array_equal(histogram[key].view(flow=True), expected[key].view(flow=True))
            assert total["sums"]["signal"]["puUp"]["events"] == 12 + len(counts)
            assert total["regions"]["SR"]["signal"]["puUp"]["SR"] == whole["regions"]["SR"]["signal"]["puUp"]["SR"]


def test_regions_and_weights_under_trace(events, saved_tagger):
    variables = {"FatJet": {"msoftdrop": hist.axis.Regular(2, 0, 100, name="msoftdrop")}}
    processor = TaggerProcessor({"FatJet": saved_tagger}, regions=REGIONS, weights=MAPPING, variables=variables)
    read = trace_with_typetracer(processor.process, events, throw=True)
    assert read >= {"genWeight", "event", "FatJet_msoftdrop", "PFCands_pt", "FatJet_pt"}


def columns_read(nano_file, use):
    """Branches of which values were read."""
    log = []
    source = {str(nano_file): "Events"}
    opened = NanoEventsFactory.from_root(source, schemaclass=QuietSchema, mode="virtual", access_log=log)
    use(opened.events())
    return {getattr(entry, "branch", entry) for entry in log}


def test_only_columns_that_are_used_are_read(nano_file, saved_tagger):
    def attached(events):
        ak.materialize(attach(events, {"FatJet": saved_tagger}).FatJet.score)

    processor = TaggerProcessor(
        {"FatJet": saved_tagger},
        weights={"gen": "genWeight"},
        regions={"SR": lambda events, jets: ak.any(jets["FatJet"].score > 0.5, axis=1)},
        event_selections={"trigger": lambda events: events.HLT.PFJet500},
    )
    needed = columns_read(nano_file, attached) | {"genWeight", "HLT_PFJet500"}
    assert columns_read(nano_file, processor.process) == needed
    assert len(needed) == 16


class Unsure:
    """Gives NaN for jets of an odd number of constituents."""

    classes = ("qcd", "top")

    def __call__(self, jets):
        return ak.where(ak.num(jets.constituents, axis=-1) % 2 == 1, np.float32(np.nan), np.float32(0.5))


def test_monitoring(events, saved_tagger, tmp_path):
    numbers = ak.to_numpy(ak.flatten(events.FatJet.nConstituents))
    found = TaggerProcessor({"FatJet": Unsure()}).process(events)["monitoring"]["FatJet"]["score"]["signal"]
    odd = int((numbers % 2 == 1).sum())
    assert found == {
        "jets": 17,
        "scored": 17 - odd,
        "unscored": odd,
        "empty": int((numbers == 0).sum()),
        "out_of_range": 0,
        "non_finite": odd,
    }
    assert 0 < odd < 17
    model = models.build("pfn", n_classes=2, phi=[4], f=[4])
    contract = {"constituent_fields": model.fields, "pt_range": (0.0, 600.0)}
    narrow = Tagger.from_model(model, name="narrow", classes=("qcd", "top"), contract=contract)
    select = {"FatJet": {"most are inside": lambda jets: (jets.pt < 600) | (ak.local_index(jets.pt) > 0)}}
    chosen = select["FatJet"]["most are inside"](events.FatJet)
    above = int(ak.sum(events.FatJet.pt[chosen] > 600))
    with pytest.warns(UserWarning, match="outside the range"):
        out = TaggerProcessor({"FatJet": narrow}, jet_selections=select).process(events)
    found = out["monitoring"]["FatJet"]["score"]["signal"]
    assert found["out_of_range"] == above > 0
    assert found["jets"] == found["scored"] == int(ak.sum(chosen))


@pytest.mark.parametrize("coordinates", ["polar", "cartesian", "none"])
def test_range_is_that_of_the_jets_or_of_their_constituents(random_jets, coordinates):
    jets = random_jets([3, 1, 6])
    total = ak.sum(jets.constituents, axis=1)
    names = {"polar": ("pt", "eta", "phi", "mass"), "cartesian": ("px", "py", "pz", "E"), "none": ()}[coordinates]
    for name in names:
        jets[name] = getattr(total, name)
    pt = np.sort(ak.to_numpy(total.pt))
    model = models.build("pfn", n_classes=2, phi=[4], f=[4])
    contract = {"constituent_fields": model.fields, "pt_range": (0.0, float(pt[:2].mean()))}
    tagger = MonitoredTagger(Tagger.from_model(model, name="narrow", classes=("qcd", "top"), contract=contract))
    with pytest.warns(UserWarning, match="outside the range"):
        tagger(ak.unflatten(jets, [2, 0, 1]))
    assert tagger.numbers() == {"empty": 0, "out_of_range": 2, "non_finite": 0}


def test_jets_with_invalid_numbers_are_counted_and_unscored(nano_file, open_nano, saved_tagger):
    events = open_nano(nano_file, metadata={"dataset": "signal"})
    candidates = ak.with_field(
        events.PFCands, ak.where(ak.local_index(events.PFCands.pt) == 0, np.float32(np.nan), events.PFCands.pt), "pt"
    )
    events["PFCands"] = candidates
    bad = int(ak.sum(ak.num(candidates) > 0))  # the first candidate of an event is in one jet
    with pytest.warns(ConstituentsWarning, match=f"{bad} of 17 jets given to small_net with numbers that are NaN"):
        out = TaggerProcessor({"FatJet": saved_tagger}, weight=None).process(events)
    found = out["monitoring"]["FatJet"]["score"]["signal"]
    assert found["non_finite"] == found["unscored"] == bad > 0
    assert found["jets"] == 17
    assert out["scores"]["FatJet"]["score"].sum().value == 17 - bad


def test_inside_a_processor_of_ones_own(nano_file, saved_tagger):
    class Mine(ProcessorABC):
        def __init__(self):
            self.tagging = TaggerProcessor({"FatJet": saved_tagger}, regions=REGIONS)

        def process(self, events):
            events = events[events.event > 3]
            return {**self.tagging.process(events), "mine": {events.metadata["dataset"]: {"events": len(events)}}}

        def postprocess(self, accumulator):
            return accumulator

    runner = Runner(IterativeExecutor(status=False), schema=QuietSchema, chunksize=5, savemetrics=False)
    out = runner({"signal": {"files": {str(nano_file): "Events"}}}, Mine())
    assert out["mine"]["signal"]["events"] == out["cutflow"]["signal"]["all"]["events"] == 8
