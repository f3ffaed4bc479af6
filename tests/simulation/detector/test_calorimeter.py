"""Towers: which are hit, their energies, and the remainder after subtracting tracks."""

import numpy as np
import pytest

from coffea_equitag.simulation.detector import ATLAS, CMS
from coffea_equitag.simulation.detector.calorimeter import (
    energy_resolution,
    hit_towers,
    measure,
    subtract_tracks,
    tower_keys,
)
from coffea_equitag.simulation.detector.randomness import EventRandom


def _towers(calorimeter, event, eta, phi):
    events = max(event, default=-1) + 1
    keys = tower_keys(calorimeter, np.array(event, np.int64), np.array(eta, float), np.array(phi, float))
    return (*hit_towers(calorimeter, keys, events, EventRandom(1, 0, events)), keys)


def test_towers_of_tenth_by_ten_degrees():
    towers, index, _ = _towers(
        ATLAS.ecal, [0, 0, 0, 0, 1], [0.01, 0.09, 0.11, -0.05, 0.01], [0.01, 0.17, 0.01, 0.01, 0.01]
    )
    # the first two share a tower, the others have their own
    assert index[0] == index[1]
    assert len(set(index.tolist())) == 4
    np.testing.assert_allclose(towers.abs_eta[index], [0.05, 0.05, 0.15, 0.05, 0.05])
    assert towers.event[index].tolist() == [0, 0, 0, 0, 1]


def test_directions_lie_in_their_towers():
    rng = np.random.default_rng(3)
    eta, phi = rng.uniform(-4.8, 4.8, 5000), rng.uniform(-np.pi, np.pi, 5000)
    towers, index, keys = _towers(CMS.hcal, [0] * 5000, eta, phi)
    drawn = tower_keys(CMS.hcal, np.zeros(5000, int), towers.eta[index], towers.phi[index])
    np.testing.assert_array_equal(drawn, keys)


def test_outside_there_is_no_tower():
    keys = tower_keys(ATLAS.ecal, np.zeros(3, int), np.array([4.95, -5.5, 20.0]), np.zeros(3))
    assert keys.tolist() == [-1, -1, -1]


def test_no_hits():
    towers, index, _ = _towers(ATLAS.ecal, [], [], [])
    assert len(towers.eta) == len(index) == 0


def test_energy_resolution_of_the_card():
    sigma = energy_resolution(ATLAS.hcal, np.array([100.0, 100.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(sigma, [np.sqrt(3.02**2 + 5.205**2 + 1.59**2), np.sqrt(5**2 + 7.06**2)])
    barrel = energy_resolution(CMS.ecal, np.array([50.0]), np.array([1.0]))
    np.testing.assert_allclose(barrel, 1.64 * np.sqrt(0.4**2 + 0.11**2 * 50 + 0.4**2))


def test_thresholds():
    towers, _, _ = _towers(ATLAS.ecal, [0, 0], [0.05, 0.15], [0.0, 0.0])
    np.testing.assert_array_equal(measure(ATLAS.ecal, towers, np.array([0.2, 0.0]), np.zeros(2)), [0, 0])
    assert measure(ATLAS.ecal, towers, np.array([50.0, 0.0]), np.zeros(2))[0] == pytest.approx(50, rel=0.01)


def test_well_measured_tracks_are_subtracted():
    towers, index, _ = _towers(ATLAS.hcal, [0, 0], [0.05, 0.55], [0.0, 0.0])
    flow = subtract_tracks(ATLAS.hcal, towers, np.array([100.0, 30.0]), index[:1], np.array([40.0]), np.array([0.001]))
    np.testing.assert_allclose(flow.neutral, [60.0, 30.0])
    np.testing.assert_allclose(flow.scale, [1.0])


def test_badly_measured_tracks_take_the_towers_energy():
    towers, index, _ = _towers(ATLAS.hcal, [0, 0], [0.05, 0.06], [0.0, 0.0])
    flow = subtract_tracks(ATLAS.hcal, towers, np.array([100.0]), index, np.array([300.0, 40.0]), np.array([0.5, 1e-4]))
    np.testing.assert_allclose(flow.neutral, [0.0])
    np.testing.assert_allclose(flow.scale, [60.0 / 300.0, 1.0])
    # energies add up to the measurement of the tower
    assert (flow.scale * [300.0, 40.0]).sum() == pytest.approx(100.0)
