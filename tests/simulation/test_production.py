"""Jets and events from recipes: reproducible, independent of the workers, physical."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag.errors import EquitagError, JetError
from coffea_equitag.jets import validate
from coffea_equitag.simulation import RECIPES, generator, sample_request, shards, simulate, simulate_events


@pytest.fixture(scope="module")
def jets():
    return simulate("top-particle", 41, seed=3)


@pytest.fixture(scope="module")
def events():
    return simulate_events("top-particle", 21, seed=3)


def test_jets_are_canonical(jets):
    assert validate(jets, require=("charge", "pdgId")) is not None
    assert jets.constituents.fields == ["pt", "eta", "phi", "mass", "charge", "pdgId"]
    assert len(jets) == 41


def test_classes_are_balanced_and_shuffled(jets):
    labels = ak.to_numpy(jets.label)
    assert labels.sum() == 21
    assert np.count_nonzero(np.diff(labels)) > 5


def test_events_are_numbered_and_weighted(jets, events):
    for sample in (jets, events):
        assert sample.event.to_list() == list(range(1, len(sample) + 1))
        assert ak.to_numpy(sample.event).dtype == np.int64
        assert ak.to_numpy(sample.weight).dtype == np.float32
        assert ak.all(sample.weight == 1)


def test_generator_weights_are_kept():
    biased = replace(
        RECIPES["top-particle"],
        settings=(
            *RECIPES["top-particle"].settings,
            "PhaseSpace:bias2Selection = on",
            "PhaseSpace:bias2SelectionPow = 4",
        ),
    )
    weight = ak.to_numpy(simulate(biased, 6, seed=3).weight)
    # each event counts (reference / pTHat)^4, and pTHat differs
    assert len(set(weight.tolist())) == 6
    assert (weight > 0).all()


def test_jets_lie_in_the_recipes_range(jets):
    low, high = RECIPES["top-particle"].leading_pt
    assert ak.all((jets.pt > low) & (jets.pt < high) & (abs(jets.eta) < 2))


def test_constituents_sum_to_the_jet(jets):
    total = ak.sum(jets.constituents, axis=1)
    # The two differ by float32 rounding and by constituents beyond the limit of 200.
    np.testing.assert_allclose(total.pt, jets.pt, rtol=2e-3)
    np.testing.assert_allclose(total.mass, jets.mass, rtol=2e-3, atol=0.05)


def test_constituents_are_visible_capped_and_sorted(jets):
    constituents = jets.constituents
    codes = ak.to_numpy(ak.flatten(abs(constituents.pdgId)))
    assert not np.isin(codes, (12, 14, 16)).any()
    # Photon, K_L, neutron: stable and neutral. K_S and Lambda decay.
    assert np.array_equal(ak.to_numpy(ak.flatten(constituents.charge)) == 0, np.isin(codes, (22, 130, 2112)))
    assert ak.all(ak.num(constituents) <= 200)
    assert ak.all(constituents.pt[:, 1:] <= constituents.pt[:, :-1])


def test_top_jets_weigh_a_top(jets):
    assert 160 < np.median(jets.mass[jets.label == 1]) < 195
    assert np.median(jets.mass[jets.label == 0]) < 140


def test_same_seed_same_jets_other_seed_other_jets(jets):
    again = simulate("top-particle", 41, seed=3)
    assert ak.array_equal(again, jets)
    assert not np.array_equal(simulate("top-particle", 41, seed=4).pt, jets.pt)


def test_result_does_not_depend_on_workers(monkeypatch):
    seen: list[tuple[int, int]] = []
    # Spawned workers import the module again, but receive the size of each shard.
    monkeypatch.setattr(sample_request, "SHARD", 3)
    alone = simulate("top", 5, seed=8, progress=lambda done, n: seen.append((done, n)))
    together = simulate("top", 5, seed=8, workers=2)
    assert ak.array_equal(alone, together)
    assert seen == [(0, 5), (3, 5), (5, 5)]
    # ... nor on the number of events requested from Pythia at once.
    monkeypatch.setattr(shards, "BATCH", 3)
    assert ak.array_equal(alone, simulate("top", 5, seed=8))


def test_one_jet():
    (jet,) = simulate("top", 1, seed=1)
    assert jet.label == 1


def test_events_keep_all_hard_jets(events):
    assert len(events) == 21
    jets = events.jets
    assert ak.all(jets.pt > RECIPES["top"].min_pt)
    assert ak.all(jets.pt[:, 1:] <= jets.pt[:, :-1])
    low, high = RECIPES["top"].leading_pt
    assert ak.all((jets.pt[:, 0] > low) & (jets.pt[:, 0] < high))
    assert not ak.any(jets.isTop & jets.isQCD)
    assert ak.sum(ak.any(jets.isQCD, axis=1)) == 10


def test_partons_of_events(events):
    is_qcd = ak.any(events.jets.isQCD, axis=1)
    decays = events.partons[~is_qcd]
    assert ak.all(ak.num(decays) == 10)
    assert ak.all(decays.pdgId[:, [0, 2, 5, 7]] == np.array([6, 24, -6, -24])[None])
    assert ak.all(decays.mother[:, :5] == np.array([-1, 0, 0, 2, 2])[None])
    quarks = decays[:, 3] + decays[:, 4]
    np.testing.assert_allclose(quarks.mass, decays[:, 2].mass, rtol=1e-3)
    assert abs(np.median(decays[:, [0, 5]].mass) - 172.5) < 2
    assert ak.all(ak.num(events.partons[is_qcd]) == 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bottom", 5, 1, 1), "no recipe 'bottom'"),
        (("top", 0, 1, 1), "n = 0"),
        (("top", -3, 1, 1), "n = -3"),
        (("top", 2.5, 1, 1), "n = 2.5"),
        (("top", 5, -1, 1), "seed = -1"),
        (("top", 5, 2**63, 1), "seed = 9223372036854775808"),
        (("top", 5, 1, 0), "workers = 0"),
    ],
)
def test_refuses(arguments, words):
    recipe, n, seed, workers = arguments
    with pytest.raises(JetError, match=words):
        simulate(recipe, n, seed=seed, workers=workers)


def test_missing_pythia_names_the_extra(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(generator.importlib, "import_module", absent)
    with pytest.raises(EquitagError, match=r"pip install 'coffea-equitag\[simulate\]'"):
        simulate("top", 1, seed=1)


def test_refused_setting_is_named():
    with pytest.raises(EquitagError, match="No:such = on"):
        generator.Generator(["No:such = on"], 1)


def test_jets_know_how_they_were_made(jets):
    facts = jets.attrs["coffea_equitag"]
    assert (facts["recipe"]["name"], facts["n"], facts["seed"]) == ("top-particle", 41, 3)
    assert "pythia8mc" in facts["versions"]
    for made in facts["yields"]:
        assert 0 < made["efficiency"] == made["selected"] / made["generated"] <= 1
        assert made["cross_section_pb"] > 0
