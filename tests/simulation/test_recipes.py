"""The jets of each recipe are as it describes."""

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag.jets import flatten, validate
from coffea_equitag.simulation import RECIPES, simulate


@pytest.fixture(scope="module")
def made():
    return {name: simulate(name, 20, seed=5) for name in ("top", "qg", "btag", "w")}


@pytest.mark.parametrize("name", ["top", "qg", "btag", "w"])
def test_jets_lie_in_the_range_and_are_canonical(made, name):
    recipe, jets = RECIPES[name], made[name]
    assert validate(jets, require=("charge", "pdgId")) is not None
    low, high = recipe.leading_pt
    assert ak.all((jets.pt > low) & (jets.pt < high))
    direction = jets.rapidity if recipe.rapidity else jets.eta
    assert ak.all(abs(direction) < recipe.leading_eta)
    assert set(jets.label.to_list()) <= set(range(len(recipe.classes)))
    assert ak.all(ak.num(jets.constituents) <= (recipe.max_constituents or 10_000))
    # all are massless: detectors give no masses, and EnergyFlow uses none
    assert ak.all(jets.constituents.mass == 0)
    assert ak.all(jets.constituents.pt[:, 1:] <= jets.constituents.pt[:, :-1])


def test_top_is_behind_the_detector(made):
    jets = made["top"]
    codes = set(np.abs(ak.to_numpy(ak.flatten(jets.constituents.pdgId))).tolist())
    assert codes <= {211, 11, 13, 22, 130}
    assert {211, 22, 130} <= codes
    # fewer objects than particles, by more than chance
    assert ak.mean(ak.num(jets.constituents)) < 65


def test_variants_leave_out_the_detector_and_the_underlying_event():
    bare = simulate("top", 60, seed=5, particle_level=True)
    assert ak.array_equal(bare, simulate("top-particle", 60, seed=5))
    quiet = simulate("top", 60, seed=5, particle_level=True, mpi=False)
    assert ak.mean(ak.num(quiet.constituents)) < ak.mean(ak.num(bare.constituents))
    # soft particles are what the underlying event adds
    soft = [ak.mean(ak.sum(jets.constituents.pt < 1, axis=1)) for jets in (quiet, bare)]
    assert soft[0] < 0.8 * soft[1]
    assert RECIPES["top"].variant(mpi=False).pythia[-1] == "PartonLevel:MPI = off"


def test_quarks_have_fewer_constituents_than_gluons(made):
    jets = made["qg"]
    counts = ak.num(jets.constituents)
    assert ak.mean(counts[jets.label == 1]) < ak.mean(counts[jets.label == 0])
    assert (jets.label == 1).to_list().count(True) == 10


def test_w_jets_know_their_boson(made):
    jets = made["w"]
    assert abs(np.median(jets.true_mass) - 80.4) < 2
    assert 70 < np.median(jets.mass) < 95
    np.testing.assert_allclose(jets.true_eta, jets.eta, atol=0.3)
    assert abs(np.median(jets.pt / jets.true_pt) - 1) < 0.1


def test_bottom_jets_have_displaced_tracks(made):
    jets = made["btag"]
    flat = flatten(jets, ("ip.x", "ip.y", "ip.z", "d0", "dz", "d0Err", "charge"))
    vectors = np.stack([flat.columns[f"ip.{axis}"] for axis in "xyz"], axis=1)
    momenta = flat.momenta.p4[:, 1:]
    across = np.abs((vectors * momenta).sum(axis=1)) / np.linalg.norm(momenta, axis=1)
    assert np.all(across < 1e-4 * (1 + np.linalg.norm(vectors, axis=1)))
    charged = flat.columns["charge"] != 0
    assert np.all(flat.columns["d0Err"][charged] > 0)
    assert np.all(flat.columns["d0"][~charged] == 0)
    significance = np.abs(jets.constituents.d0) / ak.where(
        jets.constituents.charge != 0, jets.constituents.d0Err, np.float32(np.inf)
    )
    displaced = ak.sum((significance > 3) & (jets.constituents.pt > 1), axis=1)
    assert ak.mean(displaced[jets.label == 2]) > ak.mean(displaced[jets.label == 0])


def test_b_jets_are_of_top_pairs_and_others_of_qcd():
    jets = simulate("btag", 60, seed=11)
    tops, qcd = jets.attrs["coffea_equitag"]["yields"]
    assert ak.sum(jets.label == 2) == 30
    assert tops["process"] == "ttbar"
    # a hadronic top pair's leading jet is a light one or a c jet about as often; one in thirty of QCD's is a b jet
    assert 0.2 < tops["left_out"] / tops["selected"] < 3
    assert qcd["left_out"] < qcd["selected"] / 3


def test_batches_do_not_change_detected_jets(monkeypatch):
    from coffea_equitag.simulation import shards

    whole = simulate("top", 3, seed=2)
    monkeypatch.setattr(shards, "BATCH", 2)
    assert ak.array_equal(whole, simulate("top", 3, seed=2))
