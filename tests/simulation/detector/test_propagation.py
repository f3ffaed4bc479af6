"""Helices compared with exact circles, straight lines and numerical integration."""

import numpy as np
import pytest

from coffea_equitag.simulation.detector.propagation import closest_approach, propagate

FIELD, RADIUS, HALF_LENGTH = 2.0, 1150.0, 3510.0


def _one(position, momentum, charge):
    points, inside = propagate(
        np.array([position], float), np.array([momentum], float), np.array([charge], float), FIELD, RADIUS, HALF_LENGTH
    )
    return points[0], inside[0]


def _stepped(position, momentum, charge, step=0.02):
    x, y, z = position
    px, py, pz = momentum
    pt = np.hypot(px, py)
    phi, omega = np.arctan2(py, px), -0.299792458e-3 * FIELD * charge / pt
    while np.hypot(x, y) < RADIUS and abs(z) < HALF_LENGTH:
        middle = phi + omega * step / 2
        x, y, z, phi = x + step * np.cos(middle), y + step * np.sin(middle), z + step * pz / pt, phi + omega * step
    return np.array([x, y, z])


@pytest.mark.parametrize("charge", [-1, 0, 1])
@pytest.mark.parametrize(
    ("position", "momentum"),
    [
        ((0, 0, 0), (1.0, 0.5, 0.3)),
        ((30, -20, 15), (0.5, 0.2, -0.4)),
        ((-200, 100, 50), (0.3, 2.0, 8.0)),
        ((0, 0, 0), (0.2, 0.1, 0.4)),
        ((5, 5, 0), (300.0, 200.0, 10.0)),
    ],
)
def test_agrees_with_steps(position, momentum, charge):
    point, inside = _one(position, momentum, charge)
    assert inside
    np.testing.assert_allclose(point, _stepped(position, momentum, charge), atol=0.3)


def test_bends_the_right_way():
    # F = q v × B with B along +z: a positive charge along +x bends towards -y
    assert _one((0, 0, 0), (5, 0, 0.1), +1)[0][1] < 0
    assert _one((0, 0, 0), (5, 0, 0.1), -1)[0][1] > 0


def test_a_curling_particle_leaves_at_an_end():
    point, _ = _one((0, 0, 0), (0.2, 0, -0.05), 1)
    assert point[2] == pytest.approx(-HALF_LENGTH)
    assert np.hypot(point[0], point[1]) < RADIUS


def test_birth_outside_is_told():
    assert not _one((1200, 0, 0), (1, 0, 0), 1)[1]
    assert not _one((0, 0, 4000), (1, 0, 0), 0)[1]


def test_rotation_about_the_beam():
    rng = np.random.default_rng(1)
    position, momentum = rng.normal(0, 30, (50, 3)), rng.normal(0, 5, (50, 3))
    charge = rng.integers(-1, 2, 50).astype(float)
    c, s = np.cos(1.1), np.sin(1.1)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    given, _ = propagate(position, momentum, charge, FIELD, RADIUS, HALF_LENGTH)
    turned, _ = propagate(position @ turn.T, momentum @ turn.T, charge, FIELD, RADIUS, HALF_LENGTH)
    np.testing.assert_allclose(turned, given @ turn.T, rtol=1e-7, atol=1e-5)


def test_nothing():
    points, inside = propagate(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), FIELD, RADIUS, HALF_LENGTH)
    assert points.shape == (0, 3)
    assert inside.shape == (0,)


def test_closest_approach_of_a_straight_track():
    # hardly bent: the impact parameter of a line through (3, 4, 5) along (1, 0, 2)
    found = closest_approach(np.array([[3.0, 4.0, 5.0]]), np.array([[1e5, 0.0, 2e5]]), np.array([1.0]), FIELD)
    np.testing.assert_allclose(found.d0, [-4.0], atol=1e-3)
    np.testing.assert_allclose(found.dz, [5.0 - 2 * 3.0], atol=1e-3)


@pytest.mark.parametrize("charge", [-1.0, 1.0])
def test_closest_approach_of_a_helix(charge):
    momentum, position = np.array([[0.6, 0.3, 0.5]]), np.array([[20.0, 10.0, 4.0]])
    found = closest_approach(position, momentum, np.array([charge]), FIELD)
    # steps along the helix in both directions
    pt = np.hypot(0.6, 0.3)
    omega = -0.299792458e-3 * FIELD * charge / pt
    s = np.linspace(-100, 100, 400001)
    phi = np.arctan2(0.3, 0.6) + omega * s
    x = 20 + (np.sin(phi) - np.sin(phi[200000])) / omega
    y = 10 - (np.cos(phi) - np.cos(phi[200000])) / omega
    best = np.argmin(x**2 + y**2)
    assert found.d0[0] == pytest.approx(x[best] * np.sin(phi[best]) - y[best] * np.cos(phi[best]), abs=1e-3)
    assert found.dz[0] == pytest.approx(4 + s[best] * 0.5 / pt, abs=1e-3)
    assert np.cos(found.phi[0] - phi[best]) == pytest.approx(1, abs=1e-8)
