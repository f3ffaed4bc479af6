from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from coffea_equitag.jets.kinematics import four_momenta

component = st.floats(-1e4, 1e4, allow_subnormal=False).filter(lambda v: abs(v) > 1e-3)


@given(component, component, component, st.floats(0, 100).filter(lambda m: m == 0 or m > 1e-3))
def test_derived_mass_is_exact_for_the_numbers_given(x, y, z, mass):
    energy = float(np.sqrt(x * x + y * y + z * z + mass * mass))
    found = four_momenta(
        {"px": np.array([x]), "py": np.array([y]), "pz": np.array([z]), "E": np.array([energy])}, str, "x"
    )
    exact = Fraction(energy) ** 2 - Fraction(x) ** 2 - Fraction(y) ** 2 - Fraction(z) ** 2
    if exact < 4 * Fraction(np.finfo(float).eps) * Fraction(energy) ** 2:
        assert found.mass[0] == 0
    else:
        assert abs(found.mass[0] ** 2 / float(exact) - 1) < 1e-14


def test_massless_in_single_precision_stays_massless():
    rng = np.random.default_rng(0)
    p = rng.normal(0, 200, (3, 5000)).astype(np.float32)
    energy = np.sqrt((p.astype(np.float64) ** 2).sum(0)).astype(np.float32)
    found = four_momenta({"px": p[0], "py": p[1], "pz": p[2], "E": energy}, str, "x")
    assert not found.mass.any()


def test_polar_and_cartesian_agree():
    rng = np.random.default_rng(0)
    pt, eta, phi, mass = (
        rng.uniform(1, 100, 50),
        rng.normal(0, 2, 50),
        rng.uniform(-3, 3, 50),
        rng.uniform(0, 1, 50),
    )
    polar = four_momenta({"pt": pt, "eta": eta, "phi": phi, "mass": mass}, str, "x")
    _, x, y, z = polar.p4.T
    cartesian = four_momenta({"px": x, "py": y, "pz": z, "mass": mass}, str, "x")
    np.testing.assert_allclose(cartesian.p4, polar.p4, rtol=1e-15)
    assert polar.polar is not None
    assert cartesian.polar is None
