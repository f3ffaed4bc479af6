"""The detector as a whole: energy flow of simple events."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.simulation.detector import ATLAS, CMS, Detector


def _particles(rows, counts):
    names = ("px", "py", "pz", "mass", "pdgId", "charge", "vx", "vy", "vz")
    columns = dict(zip(names, np.array(rows, float).reshape(-1, 9).T, strict=True))
    for name in ("pdgId", "charge"):
        columns[name] = columns[name].astype(np.int32)
    return ak.unflatten(ak.zip(columns), counts)


PION = (20.0, 3.0, 5.0, 0.13957, 211, 1, 0, 0, 0)
PHOTON_ROW = (10.0, -30.0, 8.0, 0.0, 22, 0, 0, 0, 0)
KAON_LONG = (-20.0, 10.0, 1.0, 0.4976, 130, 0, 0, 0, 0)
MUON = (0.0, 40.0, 3.0, 0.10566, 13, -1, 0, 0, 0)


def _many(row, card, events=400, seed=5):
    return Detector(card)(_particles([row] * events, np.ones(events, int)), seed)


def test_photons_are_photons_of_about_their_energy():
    seen = _many(PHOTON_ROW, ATLAS)
    assert ak.all(seen.pdgId == 22)
    assert ak.all(ak.num(seen) == 1)
    energy = np.sqrt(10**2 + 30**2 + 8**2)
    assert float(ak.mean(seen.E)) == pytest.approx(energy, rel=0.02)
    assert float(ak.mean(seen.phi)) == pytest.approx(np.arctan2(-30, 10), abs=0.1)


def test_neutral_hadrons_are_seen_by_the_hcal():
    seen = _many(KAON_LONG, CMS)
    assert ak.all(ak.flatten(seen.pdgId) == 130)
    assert float(ak.mean(seen.E)) == pytest.approx(np.sqrt(20**2 + 10**2 + 1 + 0.25), rel=0.1)


@pytest.mark.parametrize("card", [ATLAS, CMS])
def test_tracks_are_found_at_their_efficiency_and_keep_their_direction(card):
    seen = _many(PION, card)
    tracks = seen[seen.charge != 0]
    share = float(ak.mean(ak.num(tracks)))
    assert share == pytest.approx(0.95, abs=0.035)
    assert ak.all(tracks.pdgId == 211)
    np.testing.assert_allclose(ak.flatten(tracks.eta), np.arcsinh(5 / np.hypot(20, 3)), atol=1e-9)
    # produced on the beam line: the direction there is the original one
    np.testing.assert_allclose(ak.flatten(tracks.phi), np.arctan2(3, 20), atol=1e-9)
    # a charged hadron without a track becomes a neutral hadron
    lost = seen[ak.num(tracks) == 0]
    assert ak.all(lost.pdgId == 130)


def test_muons_are_tracks_only():
    seen = _many(MUON, ATLAS)
    assert set(ak.flatten(seen.pdgId).to_list()) == {13}


def test_objects_are_massless():
    seen = Detector(ATLAS)(_particles([PION, PHOTON_ROW, KAON_LONG, MUON] * 5, [12, 8]), 3)
    np.testing.assert_allclose(ak.flatten(seen.E), ak.flatten(seen.p), rtol=1e-12)


def test_ecal_and_hcal_objects_of_a_combined_tower_share_a_direction():
    near = (30.0, 0.6, 1.0, 0.0, 22, 0, 0, 0, 0)
    also = (30.0, 0.6, 1.0, 0.4976, 130, 0, 0, 0, 0)
    particles = _particles([near, also], [2])
    (seen,) = Detector(ATLAS)(particles, 1)
    assert sorted(seen.pdgId.to_list()) == [22, 130]
    assert seen.eta[0] == pytest.approx(seen.eta[1])
    (seen,) = Detector(CMS)(particles, 1)
    assert abs(seen.eta[0] - seen.eta[1]) > 1e-6


def test_same_event_same_answer_in_any_company():
    particles = _particles([PION, PHOTON_ROW, KAON_LONG, MUON] * 5, [4, 8, 0, 8])
    detector = Detector(CMS)
    whole = detector(particles, 9)
    assert ak.array_equal(whole[1:], detector(particles[1:], 9, first=1), check_parameters=False)
    assert not ak.array_equal(whole, detector(particles, 10), check_parameters=False)


def test_no_events_and_empty_events():
    detector = Detector(CMS)
    assert len(detector(_particles([PION], [1])[:0], 1)) == 0
    assert ak.num(detector(_particles([PION], [1, 0, 0]), 1)).to_list()[1:] == [0, 0]


def test_births_beyond_the_cylinder_are_not_seen():
    late = (20.0, 3.0, 5.0, 0.13957, 211, 1, 5000, 0, 0)
    assert ak.num(_many(late, ATLAS, 1)).to_list() == [0]


def test_displaced_tracks_have_impact_parameters():
    displaced = (20.0, 0.0, 5.0, 0.13957, 211, 1, 0.0, 2.0, 1.0)
    seen = _many(displaced, CMS)
    tracks = ak.flatten(seen[seen.charge != 0])
    # x sin φ - y cos φ at (0, 2) along +x
    assert float(ak.mean(tracks.d0)) == pytest.approx(-2, abs=0.01)
    assert float(ak.mean(tracks.dz)) == pytest.approx(1, abs=0.01)
    assert float(ak.std(tracks.d0)) == pytest.approx(float(tracks.d0Err[0]), rel=0.15)
    across = tracks.ip.x * tracks.px + tracks.ip.y * tracks.py + tracks.ip.z * tracks.pz
    np.testing.assert_allclose(across, 0, atol=1e-4)
    towers = seen[seen.charge == 0]
    assert ak.all((towers.d0 == 0) & (towers.ip.x == 0) & (towers.d0Err == 0))


def test_impact_vectors_turn_with_the_event():
    # without resolution, rotating the event about the beam, the detector's symmetry, rotates the vectors
    sharp = tuple(r.model_copy(update={"d0": (1e-12,) * len(r.pt), "dz": (1e-12,) * len(r.pt)}) for r in CMS.impact)
    perfect = CMS.model_copy(update={"impact": sharp})
    rng = np.random.default_rng(4)
    momentum, birth = rng.normal(0, 10, (60, 3)), rng.normal(0, 1, (60, 3))
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    def tracks(p, v):
        rows = np.hstack([p, np.tile([0.13957, 211, 1], (60, 1)), v])
        seen = Detector(perfect)(_particles(rows, [60]), 2)[0]
        seen = seen[seen.charge != 0]
        return np.stack([ak.to_numpy(seen.ip[axis]) for axis in "xyz"], axis=1)

    given, turned = tracks(momentum, birth), tracks(momentum @ turn.T, birth @ turn.T)
    assert len(given) > 20
    np.testing.assert_allclose(turned, given @ turn.T, atol=1e-5)
