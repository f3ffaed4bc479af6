"""Three-dimensional impact parameters rotate with the event."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from coffea_equitag.jets.impact_parameter import impact_parameters
from coffea_equitag.simulation.detector.propagation import closest_approach

N = 200


def tracks():
    """Tracks of 1 to 50 GeV from decays some millimetres away, not along the beam after any rotation in a test."""
    random = np.random.default_rng(3)
    momentum = random.normal(size=(N, 3))
    momentum *= (random.uniform(1, 50, N) / np.linalg.norm(momentum, axis=1))[:, None]
    return random.normal(scale=3.0, size=(N, 3)), momentum, random.choice([-1.0, 1.0], N)


def vectors(position, momentum, charge, field):
    """As in the detector: helix to the beam line, d0 and dz there, and the vector from them."""
    nearest = closest_approach(position, momentum, charge, field)
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    there = np.stack([pt * np.cos(nearest.phi), pt * np.sin(nearest.phi), momentum[:, 2]], axis=1)
    return impact_parameters(there, nearest.d0, nearest.dz)


@given(st.floats(0, 6.28), st.sampled_from([0.5, 2.0, 3.8]))
def test_about_the_beam_in_the_field(angle, field):
    position, momentum, charge = tracks()
    turn = Rotation.from_euler("z", angle)
    expected = turn.apply(vectors(position, momentum, charge, field))
    found = vectors(turn.apply(position), turn.apply(momentum), charge, field)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-7]))
def test_any_rotation_of_straight_tracks(seed, field):
    position, momentum, charge = tracks()
    turn = Rotation.random(random_state=seed)
    turned = turn.apply(momentum)
    # a track along the beam has no closest point to it
    sound = np.hypot(turned[:, 0], turned[:, 1]) > 0.05 * np.linalg.norm(turned, axis=1)
    expected = turn.apply(position - (position * momentum).sum(1)[:, None] * momentum / (momentum**2).sum(1)[:, None])
    found = vectors(turn.apply(position), turned, charge, field)
    np.testing.assert_allclose(found[sound], expected[sound], rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_any_rotation_in_the_field_but_for_curvature(seed):
    """The helix bends away from its tangent by d²/2R, micrometres: far below the resolution."""
    position, momentum, charge = tracks()
    position, momentum = 0.1 * position, momentum * 5
    turn = Rotation.random(random_state=seed)
    turned = turn.apply(momentum)
    sound = np.hypot(turned[:, 0], turned[:, 1]) > 0.2 * np.linalg.norm(turned, axis=1)
    expected = turn.apply(vectors(position, momentum, charge, 3.8))
    found = vectors(turn.apply(position), turned, charge, 3.8)
    sound &= np.hypot(momentum[:, 0], momentum[:, 1]) > 0.2 * np.linalg.norm(momentum, axis=1)
    assert np.abs(found - expected)[sound].max() < 5e-3


def test_what_is_no_vector_would_be_found():
    """(d0, dz) alone do not rotate: the tests above can fail."""
    position, momentum, charge = tracks()
    turn = Rotation.from_euler("x", 1.0)
    plain = closest_approach(position, momentum, charge, 1e-5)
    turned = closest_approach(turn.apply(position), turn.apply(momentum), charge, 1e-5)
    assert np.abs(plain.d0 - turned.d0).max() > 1.0
