"""Rows of products: full precision, for any jet and any coordinates of its rows."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag.invariants import pairwise_products
from coffea_equitag.jets.kinematics import FourMomenta, four_momenta

mpmath = pytest.importorskip("mpmath")
mpmath.mp.dps = 60


def polar_jet(rng, n, width, axis_phi=0.0, mass=0.13957):
    eta, phi = width * rng.uniform(-1, 1, n), axis_phi + width * rng.uniform(-1, 1, n)
    phi = (phi + np.pi) % (2 * np.pi) - np.pi
    return {"pt": rng.uniform(1, 900, n), "eta": eta, "phi": phi, "mass": np.full(n, mass)}


def exact(columns, i, j):
    def cartesian(k):
        pt, eta, phi, mass = (mpmath.mpf(float(columns[name][k])) for name in ("pt", "eta", "phi", "mass"))
        p = pt * mpmath.cos(phi), pt * mpmath.sin(phi), pt * mpmath.sinh(eta)
        return mpmath.sqrt(sum(x * x for x in p) + mass * mass), *p

    a, b = cartesian(i), cartesian(j)
    return float(a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3])


@pytest.mark.parametrize("width", [1e-6, 1e-2, 0.9, 1.0, 3.0])
@pytest.mark.parametrize("axis_phi", [0.0, np.pi])
@pytest.mark.parametrize("mass", [0.0, 0.13957])
def test_all_figures(width, axis_phi, mass):
    columns = polar_jet(np.random.default_rng(3), 9, width, axis_phi, mass)
    products = pairwise_products(four_momenta(columns, str, "row"), np.array([0, 9])).reshape(9, 9)
    np.testing.assert_array_equal(products, products.T)
    # angles this near to ±π are themselves rounded to 4e-16
    tolerance = max(2e-14, 1e-14 / width) if axis_phi and width < 1e-2 else 2e-14
    for i in range(9):
        assert products[i, i] == pytest.approx(mass * mass)
        for j in range(i):
            assert products[i, j] == pytest.approx(exact(columns, i, j), rel=tolerance)


def test_rows_without_polar_coordinates_among_others():
    columns = polar_jet(np.random.default_rng(4), 12, 0.4)
    whole = four_momenta(columns, str, "row")
    assert whole.polar is not None
    polar = whole.polar.copy()
    polar[[0, 1, 7]] = np.nan
    offsets = np.array([0, 5, 12])
    mixed = pairwise_products(FourMomenta(whole.p4, whole.mass, polar), offsets)
    np.testing.assert_allclose(mixed, pairwise_products(whole, offsets), rtol=1e-11)
    none = pairwise_products(FourMomenta(whole.p4, whole.mass, np.full_like(polar, np.nan)), offsets)
    np.testing.assert_array_equal(none, pairwise_products(FourMomenta(whole.p4, whole.mass, None), offsets))


def test_a_jet_does_not_see_its_neighbours():
    rng = np.random.default_rng(5)
    jets = [polar_jet(rng, n, width) for n, width in ((6, 0.4), (0, 1.0), (9, 4.0), (1, 0.1))]
    columns = {name: np.concatenate([jet[name] for jet in jets]) for name in jets[0]}
    together = pairwise_products(four_momenta(columns, str, "row"), np.array([0, 6, 6, 15, 16]))
    alone = [pairwise_products(four_momenta(jet, str, "row"), np.array([0, len(jet["pt"])])) for jet in jets]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_nothing_at_rest_divides_by_zero():
    columns = {name: np.array([0.0, 0.0, 3.0]) for name in ("pt", "eta", "phi", "mass")}
    products = pairwise_products(four_momenta(columns, str, "row"), np.array([0, 3])).reshape(3, 3)
    assert products[0, 1] == 0.0
    assert products[0, 2] == 0.0
    assert np.isfinite(products).all()
