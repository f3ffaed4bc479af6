"""Efficiencies and resolutions are those of the card."""

import numpy as np
import pytest
from pydantic import ValidationError

from coffea_equitag.simulation.detector import ATLAS, CARDS, CMS, DetectorCard
from coffea_equitag.simulation.detector.tracking import (
    efficiency,
    impact_resolution,
    log_normal,
    momentum_resolution,
)


def test_efficiency_by_region():
    pt = np.array([0.05, 0.1, 0.5, 1.0, 1.1, 0.5, 2.0, 2.0])
    eta = np.array([0.0, 0.0, 0.0, 1.5, 1.5, 1.6, 2.5, 2.6])
    np.testing.assert_array_equal(efficiency(ATLAS.hadrons, pt, eta), [0, 0, 0.7, 0.7, 0.95, 0.6, 0.85, 0])


def test_momentum_resolution_by_region():
    sigma = momentum_resolution(CMS.hadrons, np.array([1.0, 100.0, 10.0]), np.array([0.2, 1.0, 3.0]))
    np.testing.assert_allclose(sigma, [np.hypot(0.01, 1.5e-4), np.hypot(0.015, 0.025), 0])


def test_impact_resolution_at_and_between_points():
    d0, dz = impact_resolution(CMS.impact, np.array([1.0, 1.4142, 1000.0, 1.0]), np.array([0.0, 0.5, 2.0, 3.5]))
    np.testing.assert_allclose(d0, [0.0753, np.sqrt(0.0753 * 0.049), 0.013, 0.156], rtol=1e-3)
    assert dz[0] == pytest.approx(0.111)


def test_log_normal_has_mean_and_width():
    normal = np.random.default_rng(2).standard_normal(200_000)
    values = log_normal(np.full(len(normal), 10.0), np.full(len(normal), 3.0), normal)
    assert values.mean() == pytest.approx(10, abs=0.03)
    assert values.std() == pytest.approx(3, abs=0.04)
    assert log_normal(np.zeros(1), np.ones(1), np.ones(1)) == 0


def test_cards_are_data():
    for card in CARDS.values():
        assert DetectorCard.model_validate_json(card.model_dump_json()) == card
        assert card.source


@pytest.mark.parametrize(
    "change",
    [
        {"field": -1.0},
        {"colour": "red"},
        {"energy_fractions": {11: (1.0, 0.0)}},
        {"hcal": CMS.hcal.model_dump()},
    ],
)
def test_cards_refuse(change):
    with pytest.raises(ValidationError):
        DetectorCard.model_validate(ATLAS.model_dump() | change)
