"""Scale factors: method 1a by hand, groups and variations, JME's per-jet factors, coffea's weights."""

import pickle

import awkward as ak
import numpy as np
import pytest
from coffea.analysis_tools import Weights

from coffea_equitag import ScaleFactors
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.evaluation.efficiency_map import EfficiencyMap
from processor.correction_files import SHIFTS, VALUES, btv, jme

EFFICIENCY = {("L", 0): 0.1, ("L", 4): 0.4, ("L", 5): 0.9, ("M", 0): 0.01, ("M", 4): 0.15, ("M", 5): 0.75}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrections")
    table = {key: np.full(2, value) for key, value in EFFICIENCY.items()}
    edges = (20.0, 500.0, 1000.0)
    EfficiencyMap(edges, table, table, table, {}).to_correctionlib(folder / "efficiencies.json")
    return {"btv": btv(folder / "btv.json"), "jme": jme(folder / "jme.json"), "eff": folder / "efficiencies.json"}


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(1)
    counts = np.array([3, 0, 2, 4, 1, 0, 5])
    total = counts.sum()
    score = rng.uniform(size=total).astype(np.float32)
    columns = {
        "pt": rng.uniform(30, 900, total),
        "eta": rng.uniform(-2.4, 2.4, total),
        "hadronFlavour": rng.choice([0, 4, 5], total),
        "score": score,
        "score_L": score >= 0.4,
        "score_M": score >= 0.7,
    }
    return ak.unflatten(ak.zip(columns), counts)


def by_hand(jets, points, shifts):
    """Method 1a, jet by jet: P(data) / P(simulation)."""
    weights = []
    for event in jets.to_list():
        data = simulation = 1.0
        for jet in event:
            flavour = jet["hadronFlavour"]
            shift = shifts["light" if flavour == 0 else "bc"]
            eff = [1.0, *(EFFICIENCY[p, flavour] for p in points), 0.0]
            factor = [1.0, *(VALUES[p, flavour][int(jet["pt"] >= 500)] + shift for p in points), 1.0]
            level = sum(jet[f"score_{p}"] for p in points)
            simulation *= eff[level] - eff[level + 1]
            data *= factor[level] * eff[level] - factor[level + 1] * eff[level + 1]
        weights.append(data / simulation)
    return weights


@pytest.mark.parametrize("points", [("M",), ("L", "M")])
def test_method_1a_is_what_it_says(files, jets, points):
    groups = {"bc": "net_comb", "light": "net_incl"}
    btag = ScaleFactors(files["btv"], groups, working_points=points, efficiencies=files["eff"], era="2018", name="btag")
    found = pickle.loads(pickle.dumps(btag))(jets)
    assert found.nominal == pytest.approx(by_hand(jets, points, {"bc": 0, "light": 0}), rel=1e-12)
    assert found.nominal[1] == found.nominal[5] == 1
    assert list(found.variations) == [
        "bc_correlated", "bc_uncorrelated_2018", "light_correlated", "light_uncorrelated_2018",
    ]  # fmt: skip
    for group in ("bc", "light"):
        for kind, name in (("correlated", "correlated"), ("uncorrelated", "uncorrelated_2018")):
            for side, values in zip(("up", "down"), found.variations[f"{group}_{name}"], strict=True):
                shifts = {"bc": 0, "light": 0} | {group: SHIFTS[f"{side}_{kind}"]}
                assert values == pytest.approx(by_hand(jets, points, shifts), rel=1e-12)


def test_the_weights_are_those_of_coffea(files, jets):
    btag = ScaleFactors(
        files["btv"], {"bc": "net_comb", "light": "net_incl"}, working_points="M", efficiencies=files["eff"],
        systematics=[""], name="btag",
    )  # fmt: skip
    weights = btag.add_to(Weights(len(jets)), jets)
    assert weights.variations == {f"btag_{group}{side}" for group in ("bc", "light") for side in ("Up", "Down")}
    assert weights.weight() == pytest.approx(by_hand(jets, ["M"], {"bc": 0, "light": 0}))
    assert weights.weight("btag_bcDown") == pytest.approx(by_hand(jets, ["M"], {"bc": -0.05, "light": 0}))


def test_factors_follow_shifted_jets(files, jets):
    """A jet that crosses an edge of the corrections, or the threshold, has another factor."""
    btag = ScaleFactors(
        files["btv"], {"bc": "net_comb", "light": "net_incl"}, working_points="M", efficiencies=files["eff"]
    )
    shifted = ak.with_field(jets, jets.pt * 1.4, "pt")
    shifted = ak.with_field(shifted, shifted.score >= 0.65, "score_M")
    assert btag(shifted).nominal == pytest.approx(by_hand(shifted, ["M"], {"bc": 0, "light": 0}))
    assert not np.allclose(btag(shifted).nominal, btag(jets).nominal)
    # jets that were re-sorted give the same weight
    order = ak.argsort(jets.score, axis=1)
    assert btag(jets[order]).nominal == pytest.approx(btag(jets).nominal, rel=1e-14)


def test_factors_of_tagged_jets_alone(files, jets):
    top = ScaleFactors(
        files["jme"], "Net_Top", working_points={"M": "0p5"}, where=lambda jets: jets.hadronFlavour == 5,
        limits={"pt": (300, 1200)}, name="top",
    )  # fmt: skip
    weights = top.add_to(Weights(len(jets)), jets)

    def expected(shift):
        factor = ak.where(jets.pt < 500, 0.9 + shift, 1.05 + shift)
        return ak.prod(ak.where((jets.hadronFlavour == 5) & jets.score_M, factor, 1.0), axis=1)

    assert ak.any(expected(0) != 1)
    assert weights.weight() == pytest.approx(ak.to_numpy(expected(0)))
    assert weights.weight("topUp") == pytest.approx(ak.to_numpy(expected(0.1)))
    assert weights.weight("topDown") == pytest.approx(ak.to_numpy(expected(-0.1)))
    assert "Net_Top of jme.json" in str(top)
    with pytest.raises(JetError, match="does not know"):
        ScaleFactors(files["jme"], "Net_Top", working_points={"M": "0p5"})(jets)


def test_without_jets_or_events_all_is_one(files, jets):
    btag = ScaleFactors(
        files["btv"], {"bc": "net_comb", "light": "net_incl"}, working_points="M", efficiencies=files["eff"]
    )
    assert btag(jets[:0]).nominal.shape == (0,)
    assert np.array_equal(btag(jets[[1, 5]]).nominal, [1, 1])
    assert np.array_equal(btag(jets.mask[ak.num(jets) > 9]).nominal, np.ones(len(jets)))


def test_what_is_wrong_is_said(files, jets, tmp_path):
    groups = {"bc": "net_comb", "light": "net_incl"}

    def make(corrections=groups, path=files["btv"], **options):
        return ScaleFactors(path, corrections, **{"working_points": "M", "efficiencies": files["eff"], **options})

    (tmp_path / "no.json").write_text("{")
    for options, message in (
        ({"path": tmp_path / "none.json"}, "cannot be read"),
        ({"path": tmp_path / "no.json"}, "cannot be read"),
        ({"corrections": "other"}, "correction 'other'"),
        ({"corrections": {"heavy": "net_comb"}}, "without flavours"),
        ({"corrections": {"b": "net_comb", "bc": "net_comb"}}, "each flavour in one group"),
        ({"working_points": "T"}, "working points T"),
        ({"working_points": ["L", "M"], "efficiencies": None}, "without efficiencies"),
        ({"systematics": ["jes"]}, "uncertainties 'jes'"),
    ):
        with pytest.raises(TaggerError, match=message):
            make(**options)
    with pytest.raises(JetError, match="without a decision 'score_M'"):
        make()(jets[["pt", "eta", "hadronFlavour"]])
    with pytest.raises(JetError, match="pass a working point but not the one named before"):
        make(working_points=["M", "L"])(jets)
    with pytest.raises(JetError, match="without a score"):
        make()(ak.with_field(jets, ak.mask(jets.score_M, jets.pt > 400), "score_M"))
    with pytest.raises(JetError, match="without a field 'hadronFlavour'"):
        make()(jets[["pt", "eta", "score_M"]])
