"""Functions of known symmetry and safety: the audit must find what they have, and what they lack."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.evaluation.audit.auditing import _flat, _signal
from coffea_equitag.evaluation.audit.control import plain_mlp
from coffea_equitag.evaluation.audit.deviation import Comparer
from coffea_equitag.evaluation.audit.findings import find
from coffea_equitag.evaluation.audit.invariance import curves, generators, order_and_batch, subgroup, with_references
from coffea_equitag.evaluation.audit.moves import SIX, centred
from coffea_equitag.evaluation.audit.robustness import robustness
from coffea_equitag.evaluation.audit.safety import collinear_split, infrared_and_collinear, soft_emission
from coffea_equitag.evaluation.audit.scores import Scores
from coffea_equitag.evaluation.audit.words import verdict
from coffea_equitag.jets import flatten
from coffea_equitag.testing import boost, transform
from networks import enliven, shaken


@pytest.fixture(scope="module")
def jets(random_jets):
    counts = np.random.default_rng(1).integers(3, 20, 24)
    return random_jets(counts, coordinates="cartesian", label=np.arange(24) % 2)


def findings(function, jets):
    flat = _flat(jets[["constituents"]], None)
    return find(Scores.of(function, flat), {}, flat, flat, None)


def comparer(function, jets, references=None):
    flat = _flat(jets[["constituents"]], None)
    return Comparer(Scores.of(function, flat, references=references), flat)


def broken(function, jets):
    """Subgroup, and changes by those generators that change the scores and by those that do not."""
    found = generators(comparer(function, jets))
    changed = {key: change for key, change in found.items() if not change.is_rounding}
    return subgroup(found).name, changed, {key: found[key] for key in set(found) - set(changed)}


def per_jet(jets, values):
    flat = flatten(jets)
    return np.add.reduceat(values(flat.momenta), flat.offsets[:-1])


def log_mass(jets):
    """log m² from stable products: Lorentz-invariant, and infrared and collinear safe."""
    return np.log(ak.to_numpy(ak.sum(ak.sum(eqt.invariants.pairwise_dot(jets), axis=2), axis=1)))


def energy(jets):
    return np.log(per_jet(jets, lambda p: p.p4[:, 0]))


def light_cone(jets):
    """(1, 0, 0, 1)·P = Σ (E − pz), from (m² + pT²)/(E + pz) where that does not cancel."""

    def values(p):
        large = p.p4[:, 0] + np.abs(p.p4[:, 3])
        small = (p.mass**2 + p.p4[:, 1] ** 2 + p.p4[:, 2] ** 2) / large
        return np.where(p.p4[:, 3] > 0, small, large)

    return np.log(per_jet(jets, values))


def along_beam(jets):
    return per_jet(jets, lambda p: p.p4[:, 3])


def transverse(jets):
    return np.log(per_jet(jets, lambda p: np.hypot(p.p4[:, 1], p.p4[:, 2])))


def squared_transverse(jets):
    return np.log(per_jet(jets, lambda p: p.p4[:, 1] ** 2 + p.p4[:, 2] ** 2))


def skew(jets):
    return per_jet(jets, lambda p: p.p4 @ [1.0, 0.5, 0.3, 0.2])


def multiplicity(jets):
    return ak.to_numpy(ak.num(jets.constituents, axis=1)).astype(float)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (log_mass, "the Lorentz group"),
        (multiplicity, "the Lorentz group"),
        (energy, "all rotations, SO(3)"),
        (light_cone, r"SE(2), which leaves (1, 0, 0, 1) alone"),
        (along_beam, "SO(1,2), which leaves the z axis alone"),
        (transverse, "rotations about the beam and boosts along it"),
        (lambda jets: energy(jets) + np.log(np.abs(along_beam(jets))), "rotations about the beam, SO(2)"),
        (skew, "no continuous subgroup"),
    ],
)
def test_the_subgroup(function, name, jets):
    found, changed, kept = broken(function, jets)
    assert found.startswith(name)
    assert set(kept) == unbroken(name)
    # what is broken is broken by far more than rounding, and the other way round
    assert min((change.rms for change in changed.values()), default=1) > 1e-4
    assert max((change.largest for change in kept.values()), default=0) < 1e-10


def test_one_jet_that_jumps_does_not_hide_a_broken_symmetry(jets):
    def jumps(jets):
        """Energies, and in the first jet a number that any rounding changes."""
        chaos = per_jet(jets, lambda p: np.sin(1e16 * p.p4[:, 3]))
        return 0.1 * energy(jets) + np.where(np.arange(len(jets)) == 0, chaos, 0.0)

    assert comparer(jumps, jets).floor.largest > 0.1
    assert broken(jumps, jets)[0] == "all rotations, SO(3)"


def unbroken(name):
    """Generators of the group, and null rotations and others that are among their combinations."""
    null = {"N+x", "N+y", "N-x", "N-y"}
    groups = {
        "the Lorentz group": {"Rx", "Ry", "Rz", "Bx", "By", "Bz"} | null,
        "all rotations, SO(3)": {"Rx", "Ry", "Rz"},
        "SE(2), which leaves (1, 0, 0, 1) alone": {"Rz", "N+x", "N+y"},
        "SO(1,2), which leaves the z axis alone": {"Rz", "Bx", "By"},
        "rotations about the beam and boosts along it": {"Rz", "Bz"},
        "rotations about the beam, SO(2)": {"Rz"},
        "no continuous subgroup": set(),
    }
    return groups[name]


def test_networks_in_training_mode(jets):
    network = eqt.models.build("lorentznet", beams=False, hidden=4, n_layers=1, dropout=0.5).double().train()
    flat = _flat(jets[["constituents"]], None)
    # a function for us is any network of torch that is none of ours
    found = Scores.of(network.forward, flat)
    np.testing.assert_array_equal(found.outputs(flat), found.outputs(flat))
    assert all(module.training for module in network.modules())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        with pytest.raises(eqt.TaggerError, match=r"differ by .* from call to call"):
            Scores.of(lambda given: network(given), flat)


def test_curves_of_an_invariant_stay_within_rounding_at_any_boost(jets):
    for curve in curves(comparer(log_mass, jets)).values():
        assert all(change.is_rounding for change in curve)
    control = curves(comparer(plain_mlp(jets, None), jets))
    assert all(change.rms > 1e-3 for curve in control.values() for change in curve)


def test_curves_of_a_broken_symmetry_are_its_own(jets):
    found = curves(comparer(energy, jets))
    assert all(change.is_rounding for change in found["rotation about x"])
    # along the jet the energy grows by γ (1 + β) or nearly so: the log by the same for all jets but for their masses
    spread = Scores.of(energy, _flat(jets, None)).spread
    for change in found["boost along the jet"]:
        factor = np.log(change.parameter + np.sqrt(change.parameter**2 - 1))
        assert change.rms * spread <= factor * (1 + 1e-9)
        assert change.rms * spread > 0.3 * factor


def test_rounding_of_momenta_in_float32_is_not_taken_for_a_broken_symmetry(jets):
    def single(given):
        p = flatten(given).momenta.p4.astype(np.float32)
        total = np.add.reduceat(p, flatten(given).offsets[:-1])
        return total[:, 0] ** 2 - (total[:, 1:] ** 2).sum(1)

    compared = comparer(single, jets)
    assert compared.scores.unit == compared.scores.input_unit == np.finfo(np.float32).eps
    assert broken(single, jets)[0].startswith("the Lorentz group")
    large = compared.change(1e3, boost(1e3, (1, 0, 0)))
    assert large.rms > 0.01  # E² − p² has lost its digits
    assert large.is_rounding


def test_a_small_break_is_seen(jets):
    def nearly(given):
        return log_mass(given) + 1e-9 * energy(given)

    found, changed, _ = broken(nearly, jets)
    assert found.startswith("all rotations")
    assert changed["Bx"].rms == pytest.approx(1e-9, rel=0.9)


@pytest.mark.parametrize(
    ("function", "soft", "collinear", "exponents"),
    [
        (log_mass, True, True, (1, 2)),
        (energy, True, True, (1, None)),
        (squared_transverse, True, False, (2, None)),
        (multiplicity, False, False, (None, None)),
        (lambda jets: np.sqrt(per_jet(jets, lambda p: p.p4[:, 0] ** 0.5)), True, False, (0.5, None)),
    ],
)
def test_infrared_and_collinear_safety(function, soft, collinear, exponents, jets):
    limits = infrared_and_collinear(comparer(function, jets))
    for (name, limit), safe, exponent in zip(limits.items(), (soft, collinear), exponents, strict=True):
        assert limit.is_safe is safe, name
        if exponent is not None:
            assert limit.exponent == pytest.approx(exponent, abs=0.1)
        if not safe:
            assert limit.value > 0.01


def test_soft_and_split_jets(track_jets):
    jets = _flat(track_jets([5, 1, 9]), None)
    soft = soft_emission(jets, 1e-3)
    assert ak.num(soft.constituents).tolist() == [6, 2, 10]
    added = soft.constituents[:, -1]
    np.testing.assert_allclose(np.hypot(added.px, added.py), 1e-3 * np.hypot(*flatten(jets).jet_p4[:, 1:3].T))
    assert (added.charge.tolist(), added.pdgId.tolist(), added.ip.x.tolist()) == ([0] * 3, [22] * 3, [0.0] * 3)
    for angle in (0.0, 1e-3):
        split = collinear_split(jets, angle)
        assert ak.num(split.constituents).tolist() == [6, 2, 10]
        before, after = flatten(jets), flatten(split)
        np.testing.assert_allclose(after.jet_p4, before.jet_p4, rtol=max(angle**2, 1e-14), atol=1e-12)
        first, second = split.constituents[:, 0], split.constituents[:, 1]
        cosine = (first.px * second.px + first.py * second.py + first.pz * second.pz) / (first.p * second.p)
        np.testing.assert_allclose(np.arccos(np.minimum(cosine, 1.0)), angle, atol=3e-8)
        assert first.pdgId.tolist() == second.pdgId.tolist()


def test_order_and_batch(jets):
    def first(given):
        return ak.to_numpy(given.constituents.pt[:, 0])

    def centred_in_batch(given):
        return energy(given) - energy(given).mean()

    found = order_and_batch(comparer(first, jets))
    assert not found["order of the constituents"].is_rounding
    assert found["batch"].is_rounding
    found = order_and_batch(comparer(centred_in_batch, jets))
    assert found["order of the constituents"].is_rounding
    assert not found["batch"].is_rounding


def test_jets_are_put_at_the_origin_and_tilted_back(jets):
    flat = _flat(jets, None)
    p4 = flatten(transform(flat, centred(flat))).jet_p4
    np.testing.assert_allclose(p4[:, 2:] / p4[:, :1], 0, atol=1e-14)
    assert (p4[:, 1] > 0).all()
    x = np.array([1.0, 1.0, 0.0, 0.0])
    for name, (matrix, parameters, _) in SIX.items():
        np.testing.assert_allclose(np.asarray(matrix(parameters[0]), float), np.eye(4), atol=1e-15)
        if "tilt" in name:
            tilted = np.asarray(matrix(0.6) @ x, float)
            np.testing.assert_allclose(tilted, tilted[0] * x, atol=1e-14)
            assert tilted[0] == pytest.approx(1.25)


def test_aucs_under_the_six_transformations(jets):
    flat = _flat(jets, "label")
    scores = Scores.of(transverse, flat)
    own = robustness(scores, flat, _signal(flat, scores))
    is_signal = np.arange(24) % 2 == 1
    at_origin = transform(_flat(jets, None), centred(_flat(jets, None)))
    values = transverse(at_origin)
    pairs = values[is_signal][:, None] > values[~is_signal]
    assert own["z–t boost"].aucs[0].value == pytest.approx(pairs.mean())
    # boosts along the beam and rotations about it leave pT alone; other boosts change the order of the jets
    for name in ("z–t boost", "x–y rotation"):
        assert max(own[name].changes) < 1e-12
        assert own[name].loss == 0
    assert max(own["y-tilt"].changes) > 1e-3
    assert robustness(scores, flat, None)["z-tilt"].aucs == []


@pytest.fixture
def lorentznet():
    torch.manual_seed(0)
    model = enliven(eqt.models.build("lorentznet", hidden=16, n_layers=3), 300.0)
    return eqt.Tagger.from_model(model, name="ln", classes=("qcd", "top"))


def test_beams_are_all_that_breaks_lorentznets_symmetry(lorentznet, jets):
    found = findings(lorentznet, jets)
    assert found.subgroup.name == "rotations about the beam, SO(2)"
    assert found.moving.is_rounding
    assert "nothing else breaks the symmetry" in verdict(found)
    assert found.scores.unit == np.finfo(np.float32).eps
    lorentznet.model.double()
    assert comparer(lorentznet, jets).floor.largest < 1e-10


@pytest.mark.parametrize(
    ("kind", "options"),
    [("lgatr_slim", {"n_layers": 2}), ("lloca_transformer", {"blocks": 1, "frame_width": 8, "laboratory": False})],
)
def test_networks_know_their_own_references(jets, kind, options):
    torch.manual_seed(0)
    model = shaken(eqt.models.build(kind, **options)).double().eval()
    scored = comparer(model, jets[:6])
    assert subgroup(generators(scored)).name == "rotations about the beam, SO(2)"
    assert with_references(scored).is_rounding


def test_a_clamp_breaks_it_even_with_the_beams_moved(jets):
    torch.manual_seed(0)
    model = enliven(eqt.models.build("lorentznet", hidden=16, n_layers=3, clamp=1.0), 3000.0)
    assert not with_references(comparer(model, jets)).is_rounding


def test_a_function_of_reference_vectors(jets):
    def with_axis(given, references):
        total = flatten(given).jet_p4
        return np.log(total @ (references[0] * [1, -1, -1, -1]))

    time = np.array([[1.0, 0, 0, 0]])
    compared = comparer(with_axis, jets, time)
    assert subgroup(generators(compared)).name.startswith("all rotations")
    assert with_references(compared).is_rounding


@pytest.mark.parametrize(("symmetry", "name"), [("so13", "the Lorentz group"), ("so3", "all rotations")])
def test_momenta_turn_with_the_jets(symmetry, name, jets):
    torch.manual_seed(0)
    model = eqt.models.build("pelican", size="3k", output="momentum", symmetry=symmetry, method="input")
    with torch.no_grad():
        model.embedding.weight.add_(0.1 * torch.randn_like(model.embedding.weight))
    found, changed, _ = broken(enliven(model).double(), jets)
    assert found.startswith(name)
    assert bool(changed) == (symmetry != "so13")


def test_many_classes(jets):
    torch.manual_seed(0)
    model = eqt.models.build("pfn", n_classes=3, phi=[8], f=[8])
    tagger = eqt.Tagger.from_model(model.eval(), name="pfn", classes=("qcd", "top", "w"), signal="top")
    flat = _flat(jets, "label")
    scores = Scores.of(tagger, flat[["constituents"]])
    probability = tagger(flat).top
    # log-odds order jets as the probability does
    np.testing.assert_array_equal(np.argsort(scores.score(flat)), np.argsort(probability))
    assert scores(flat).shape == (24, 3)
    assert np.sqrt(np.mean(scores(flat) ** 2)) == pytest.approx(1)
    assert _signal(flat, scores).tolist() == (flat.equitag_label == 1).tolist()
