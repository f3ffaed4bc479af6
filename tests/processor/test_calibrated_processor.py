"""The processor with working points from a file, efficiencies, scale factors; and what it says about them."""

import pickle

import awkward as ak
import correctionlib
import numpy as np
import pytest
from coffea.nanoevents.trace import trace
from coffea.processor import accumulate
from correctionlib import schemav2

from coffea_equitag import ScaleFactors, TaggerProcessor, attach
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.evaluation import efficiency_map, working_points
from coffea_equitag.tagger import load
from processor.correction_files import btv

EDGES = [200.0, 500.0, 900.0]


@pytest.fixture(scope="module")
def tagger(saved_tagger):
    return load(saved_tagger.path, "cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory, nano_writer):
    rng = np.random.default_rng(3)
    return nano_writer(tmp_path_factory.mktemp("calibrated") / "nano.root", rng.integers(0, 4, 60), seed=3)


@pytest.fixture
def events(file, open_nano):
    return open_nano(file, metadata={"dataset": "top"})


def flavour(jets):
    """0 or 5, from the jets themselves."""
    return ak.where(jets.eta > 0, 5, 0)


@pytest.fixture(scope="module")
def wp(tmp_path_factory, tagger, file, open_nano):
    """Thresholds that depend on pT, of this tagger."""
    jets = ak.flatten(attach(open_nano(file), {"FatJet": tagger}).FatJet)
    labels = np.arange(len(jets)) % 2
    points = working_points(
        jets.score, labels, {"L": 0.6, "M": 0.4}, pt=EDGES, jet_pt=ak.values_astype(jets.pt, np.float64)
    )
    assert np.diff(points.thresholds("M"))[0] != 0
    path = tmp_path_factory.mktemp("wp") / "wp.json"
    points.to_correctionlib(path, tagger=tagger)
    return path, points


def test_thresholds_of_a_file_are_applied_by_pt(events, tagger, wp):
    path, points = wp
    processor = pickle.loads(pickle.dumps(TaggerProcessor({"FatJet": tagger}, working_points=path)))
    output = processor.process(events)
    jets = ak.flatten(attach(events, {"FatJet": tagger}).FatJet)
    weight = ak.to_numpy(ak.flatten(ak.broadcast_arrays(events.genWeight, events.FatJet.pt)[0]))
    pt, score = ak.to_numpy(jets.pt), ak.to_numpy(jets.score)
    for name in ("L", "M"):
        threshold = np.where(pt < 500, *points.thresholds(name))
        # as many as the thresholds were chosen to keep, to the jet
        assert (score >= threshold).sum() == sum(at.signal.passed + at.background.passed for at in points[name])
        for decision, passed in (("pass", score >= threshold), ("fail", score < threshold)):
            found = output["scores"]["FatJet"]["score"]["top", "nominal", "inclusive", name, decision, sum]
            assert found.value == pytest.approx(weight[passed].sum())
    assert output["calibration"] == {"FatJet": {"score": {"uncalibrated"}}}
    assert accumulate([output, processor.process(events)])["calibration"] == output["calibration"]


def test_regions_and_hooks_see_the_decisions(events, tagger, wp):
    path, _ = wp
    seen = {}

    def hook(events, jets):
        seen.update(jets)
        return {}

    regions = {"tagged": lambda events, jets: ak.any(jets["FatJet"].score_M, axis=1)}
    output = TaggerProcessor({"FatJet": tagger}, working_points=str(path), regions=regions, hook=hook).process(events)
    assert seen["FatJet"].fields.count("score_L") == 1
    number = output["regions"]["tagged"]["top"]["nominal"]["tagged"]["events"]
    assert number == ak.sum(ak.any(seen["FatJet"].score_M, axis=1)) > 0


def test_efficiencies_become_a_map(events, tagger, wp, tmp_path):
    path, points = wp
    options = {"working_points": path, "efficiencies": {"FatJet": (flavour, EDGES)}, "weight": None}
    output = TaggerProcessor({"FatJet": tagger}, **options).process(events)
    jets = ak.flatten(attach(events, {"FatJet": tagger}).FatJet)
    efficiency_map(output).to_correctionlib(tmp_path / "eff.json")
    schemav2.CorrectionSet.model_validate_json((tmp_path / "eff.json").read_text())
    found = correctionlib.CorrectionSet.from_file(str(tmp_path / "eff.json"))["efficiency"]
    pt, score = ak.to_numpy(jets.pt), ak.to_numpy(jets.score)
    for name in ("L", "M"):
        passed = score >= np.where(pt < 500, *points.thresholds(name))
        for kind in (0, 5):
            for low, high, inside in ((200, 500, 300.0), (500, 900, 600.0), (200, 500, 10.0), (500, 900, 5000.0)):
                chosen = (ak.to_numpy(flavour(jets)) == kind) & (pt >= low) & (pt < high)
                assert found.evaluate("central", name, kind, inside) == pytest.approx(passed[chosen].mean(), rel=1e-14)
                up, down = (found.evaluate(key, name, kind, inside) for key in ("up", "down"))
                assert down < passed[chosen].mean() < up
    whole = efficiency_map(output, pt=[200, 900])
    chosen = ak.to_numpy(flavour(jets)) == 5
    assert whole.efficiency["M", 5] == pytest.approx(passed[chosen & (pt < 900)].mean())
    assert whole.num_jets[5] == pytest.approx((chosen & (pt < 900)).sum())
    for options, message in (
        ({"datasets": ["other"]}, "datasets other"),
        ({"pt": [200, 400]}, "some of the histogram's"),
        ({"collection": "Jet"}, "efficiencies of Jet"),
    ):
        with pytest.raises(JetError, match=message):
            efficiency_map(output, **options)
    empty = TaggerProcessor({"FatJet": tagger}, **options_of(path)).process(events[:3])
    with pytest.raises(JetError, match="no jets of flavour"):
        efficiency_map(empty)


def options_of(path):
    return {"working_points": path, "efficiencies": {"FatJet": (flavour, [200, 300, 310, 320, 900])}}


def test_scale_factors_weight_simulation_and_vary(events, file, open_nano, tagger, wp, tmp_path):
    path, _ = wp
    output = TaggerProcessor(
        {"FatJet": tagger}, working_points=path, efficiencies={"FatJet": (flavour, EDGES)}
    ).process(events)
    efficiency_map(output).to_correctionlib(tmp_path / "eff.json")
    factors = ScaleFactors(
        btv(tmp_path / "btv.json"), {"bc": "net_comb", "light": "net_incl"}, working_points=["L", "M"],
        efficiencies=tmp_path / "eff.json", flavour=flavour, name="btag",
    )  # fmt: skip
    options = {"working_points": path, "scale_factors": {"FatJet": factors}, "weights": {"pu": (1.0, 1.1, 0.9)}}
    processor = pickle.loads(pickle.dumps(TaggerProcessor({"FatJet": tagger}, **options, weight="genWeight")))
    output = processor.process(events)

    scored = attach(events, {"FatJet": tagger}, working_points=path)
    nominal = factors(scored.FatJet)
    weights = {"nominal": nominal.nominal, "puUp": nominal.nominal * 1.1, "puDown": nominal.nominal * 0.9}
    for name, (up, down) in nominal.variations.items():
        weights |= {f"btag_{name}Up": up, f"btag_{name}Down": down}
    scores = output["scores"]["FatJet"]["score"]
    assert set(scores.axes["systematic"]) == set(weights)
    number = ak.to_numpy(ak.num(events.FatJet)) * ak.to_numpy(events.genWeight).astype(float)
    for name, weight in weights.items():
        found = scores["top", name, "inclusive", "inclusive", "pass", sum].value
        assert found == pytest.approx((weight * number).sum(), rel=1e-9)
    assert output["sums"]["top"]["nominal"]["weight"] == pytest.approx(ak.sum(events.genWeight))
    (said,) = output["calibration"]["FatJet"]["score"]
    assert said.startswith("scale factors net_comb, net_incl of btv.json (SHA-256 ")

    data = open_nano(file, metadata={"dataset": "data", "is_mc": False})
    found = processor.process(data)["scores"]["FatJet"]["score"]
    assert set(found.axes["systematic"]) == {"nominal"}
    assert found["data", "nominal", "inclusive", "inclusive", "pass", sum].value == pytest.approx(
        number.sum(), rel=1e-9
    )
    assert processor.process(events[:0])["scores"]["FatJet"]["score"].sum().value == 0


def test_columns_of_scale_factors_are_reported(file, open_nano, tagger, wp, tmp_path):
    path, _ = wp
    events = open_nano(file)
    top = ScaleFactors(btv(tmp_path / "btv.json"), {"bc": "net_comb"}, working_points="M", flavour="nConstituents")
    processor = TaggerProcessor({"FatJet": tagger}, working_points=path, scale_factors={"FatJet": top}, weight=None)
    reported = trace(processor.process, events)
    assert {"FatJet_pt", "FatJet_eta", "FatJet_nConstituents"} <= set(map(str, reported))


def test_attach_adds_decisions(events, tagger, wp):
    path, points = wp
    jets = attach(events, {"FatJet": tagger}, working_points=path).FatJet
    threshold = ak.where(jets.pt < 500, *points.thresholds("M"))
    assert ak.array_equal(ak.fill_none(jets.score_M, False), ak.fill_none(jets.score >= threshold, False))
    jets = attach(
        events, {"FatJet": tagger}, where=lambda jets: jets.pt > 400, working_points={"FatJet": {"tight": 0.5}}
    ).FatJet
    assert ak.all(ak.is_none(jets.score_tight, axis=1) == (jets.pt <= 400))
    assert ak.all((jets.score >= 0.5) == jets.score_tight)
    assert "score_tight" not in attach(events, {"FatJet": tagger}).FatJet.fields
    with pytest.raises(TaggerError, match=r"working points for Jet|Jet, which"):
        attach(events, {"FatJet": tagger}, working_points={"Jet": {"tight": 0.5}})


def test_what_is_wrong_with_a_file_is_said(events, tagger, three_class_tagger, wp, tmp_path):
    path, points = wp
    points.to_correctionlib(tmp_path / "other.json", name="other")
    points.to_correctionlib(tmp_path / "wrong.json", tagger="0" * 64)
    for given, name, message in (
        (tagger.with_temperature(2.0), path, "for a tagger of hash"),
        (tagger, tmp_path / "wrong.json", "for a tagger of hash"),
        (three_class_tagger, tmp_path / "other.json", "score_qcd_wp_values"),
        (tagger, tmp_path / "none.json", "cannot be read"),
    ):
        with pytest.raises(TaggerError, match=message):
            attach(events, {"FatJet": given}, working_points=name)
    with_field = ak.with_field(events.FatJet, events.FatJet.pt, "score_mass")
    taken = ak.with_field(events, with_field, "FatJet")
    with pytest.raises(TaggerError, match="field 'score_mass'"):
        attach(taken, {"FatJet": tagger}, working_points={"FatJet": {"mass": 0.5}})
    # the only thresholds of a file, under another name, are those of the only score
    assert "score_M" in attach(events, {"FatJet": tagger}, working_points=tmp_path / "other.json").FatJet.fields


def test_empty_chunks_and_missing_jets_add_up(events, tagger, wp):
    path, _ = wp
    processor = TaggerProcessor({"FatJet": tagger}, **options_of(path))
    whole = processor.process(events)
    pieces = accumulate([processor.process(events[:0]), processor.process(events[:25]), processor.process(events[25:])])
    one, other = (out["efficiencies"]["FatJet"]["top", "M", "pass", 5j, :] for out in (whole, pieces))
    assert np.allclose(one.view(flow=True).value, other.view(flow=True).value)
    hidden = ak.mask(events.FatJet, events.FatJet.pt > 400)
    found = processor.process(ak.with_field(events, hidden, "FatJet"))
    seen = found["efficiencies"]["FatJet"]["top", ...].project("pt").view(flow=True).value
    weight = ak.broadcast_arrays(events.genWeight, events.FatJet.pt)[0][events.FatJet.pt > 400]
    assert seen.sum() == pytest.approx(2 * ak.sum(weight))  # once per working point


def test_decisions_of_varied_jets_use_their_pt(events, tagger, wp):
    path, points = wp

    def shift(events):
        jets = ak.with_field(events.FatJet, events.FatJet.pt * 1.5, "pt")
        return ak.with_field(events, jets[:, ::-1], "FatJet")

    jets = attach(events, {"FatJet": tagger}, working_points=path, variations={"jesUp": shift}).FatJet
    for name in ("L", "M"):
        threshold = ak.where(jets.pt * 1.5 < 500, *points.thresholds(name))
        assert ak.array_equal(ak.drop_none(jets[f"score_{name}_jesUp"]), ak.drop_none(jets.score_jesUp >= threshold))
    assert ak.any(jets.score_M_jesUp != jets.score_M)
    output = TaggerProcessor({"FatJet": tagger}, working_points=path, variations={"jesUp": shift}, weight=None)
    scores = output.process(events)["scores"]["FatJet"]["score"]
    assert scores["top", "jesUp", "inclusive", "M", "pass", sum].value == ak.sum(jets.score_M_jesUp)
