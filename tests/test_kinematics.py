from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from coffea_equitag.jets.kinematics import four_momenta
from coffea_equitag.jets.mass_resolution import squared_mass_resolution

component = st.floats(-1e4, 1e4, allow_subnormal=False).filter(lambda v: abs(v) > 1e-3)


@given(component, component, component, st.floats(0, 100).filter(lambda m: m == 0 or m > 1e-3))
def test_derived_mass_is_exact_for_the_numbers_given(x, y, z, mass):
    energy = float(np.sqrt(x * x + y * y + z * z + mass * mass))
    columns = {"px": np.array([x]), "py": np.array([y]), "pz": np.array([z]), "E": np.array([energy])}
    found = four_momenta(columns, str, "x")
    exact = Fraction(energy) ** 2 - Fraction(x) ** 2 - Fraction(y) ** 2 - Fraction(z) ** 2
    if exact <= Fraction(float(squared_mass_resolution(columns)[0])):
        assert found.mass[0] == 0
    else:
        assert abs(found.mass[0] ** 2 / float(exact) - 1) < 1e-14


def test_massless_in_single_precision_stays_massless():
    rng = np.random.default_rng(0)
    p = rng.normal(0, 200, (3, 5000)).astype(np.float32)
    energy = np.sqrt((p.astype(np.float64) ** 2).sum(0)).astype(np.float32)
    found = four_momenta({"px": p[0], "py": p[1], "pz": p[2], "E": energy}, str, "x")
    assert not found.mass.any()


#: How numbers in GeV lose digits, and may be stored afterwards in a type that does not tell.
STORED = {
    "float32": lambda v: v.astype(np.float32),
    "float32 in float64": lambda v: v.astype(np.float32).astype(np.float64),
    "float32 MeV": lambda v: (1e3 * v).astype(np.float32) * np.float64(1e-3),
    "float32 MeV divided": lambda v: (1e3 * v).astype(np.float32).astype(np.float64) / 1000,
    "whole GeV": lambda v: np.rint(v).astype(np.int32),
    "whole GeV, truncated": lambda v: v.astype(np.int16),
    "whole MeV": lambda v: np.rint(1e3 * v).astype(np.int64) * 1e-3,
    "whole MeV, truncated": lambda v: (1e3 * v).astype(np.int32) / 1000,
}


def momenta(mass, number=20_000):
    """E, p up to 10 TeV, in components that differ in size."""
    rng = np.random.default_rng(0)
    p = rng.normal(0, 1, (3, number)) * np.exp(rng.uniform(-3, 7.6, number))
    return dict(zip(("px", "py", "pz", "E"), (*p, np.sqrt((p * p).sum(0) + mass * mass)), strict=True))


@pytest.mark.parametrize("how", STORED)
def test_rounding_makes_no_masses(how):
    stored = {name: STORED[how](values) for name, values in momenta(mass=0).items()}
    assert not four_momenta(stored, str, "x").mass.any()


def test_rounding_of_the_energy_alone():
    for how in STORED:
        given = momenta(mass=0)
        assert not four_momenta(given | {"E": STORED[how](given["E"])}, str, "x").mass.any(), how


@pytest.mark.parametrize(("how", "below"), [("float32 in float64", 160), ("whole MeV", 3), ("whole GeV", 0)])
def test_masses_that_the_digits_carry_stay(how, below):
    """A pion's m² = 0.0195 GeV² stays where it is above the resolution and the error together.

    These are at most 4 + 2 eps E² in float32, and 2√3 + 1 + √3 units times E in whole MeV.
    """
    given = momenta(mass=0.13957)
    found = four_momenta({name: STORED[how](values) for name, values in given.items()}, str, "x").mass
    kept = given["E"] < below
    assert (found[kept] > 0).all()
    top = momenta(mass=173.0)
    found = four_momenta({name: STORED[how](values) for name, values in top.items()}, str, "x").mass
    assert abs(np.median(found[found > 0]) / 173 - 1) < 0.01


def test_a_mass_depends_on_its_own_row():
    """Rows of whole MeV, of float32 and of float64 in one column."""
    given = momenta(mass=0.13957, number=300)
    mixed = {name: values.copy() for name, values in given.items()}
    for name, values in mixed.items():
        values[:100] = STORED["whole MeV"](given[name][:100])
        values[100:200] = STORED["float32 in float64"](given[name][100:200])
    together = four_momenta(mixed, str, "x").mass
    alone = [four_momenta({n: v[k : k + 1] for n, v in mixed.items()}, str, "x").mass[0] for k in range(300)]
    np.testing.assert_array_equal(together, alone)
    assert (together[200:] > 0).all()


def test_slow_particles_in_whole_numbers_are_not_refused():
    """E = 1 and p = (1, 1, 1) is the rounding of E = 1.2, p = (0.7, 0.7, 0.7)."""
    found = four_momenta(
        {"px": np.ones(1, int), "py": np.ones(1, int), "pz": np.ones(1, int), "E": np.ones(1, int)}, str, "x"
    )
    assert found.mass == 0


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
