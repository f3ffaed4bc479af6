from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import vector

import coffea_equitag as eqt
from coffea_equitag.invariants import dot, pair_offsets, pairwise_dot, pairwise_products
from coffea_equitag.jets import flatten
from coffea_equitag.jets.kinematics import FourMomenta, four_momenta

mpmath = pytest.importorskip("mpmath")
mpmath.mp.dps = 60


def exact_cartesian(a, b):
    """p·q in 60 digits from (px, py, pz, mass) as given."""
    (ax, ay, az, am), (bx, by, bz, bm) = ([mpmath.mpf(float(v)) for v in p] for p in (a, b))
    ea, eb = mpmath.sqrt(ax**2 + ay**2 + az**2 + am**2), mpmath.sqrt(bx**2 + by**2 + bz**2 + bm**2)
    return ea * eb - ax * bx - ay * by - az * bz


def exact_polar(a, b):
    def cartesian(p):
        pt, eta, phi, mass = (mpmath.mpf(float(v)) for v in p)
        return pt * mpmath.cos(phi), pt * mpmath.sin(phi), pt * mpmath.sinh(eta), mass

    (ax, ay, az, am), (bx, by, bz, bm) = cartesian(a), cartesian(b)
    ea, eb = mpmath.sqrt(ax**2 + ay**2 + az**2 + am**2), mpmath.sqrt(bx**2 + by**2 + bz**2 + bm**2)
    return ea * eb - ax * bx - ay * by - az * bz


def errors(names, rows, exact):
    momenta = four_momenta(dict(zip(names, rows.T, strict=True)), str, "row")
    offsets = np.array([0, len(rows)])
    products = pairwise_products(momenta, offsets).reshape(len(rows), len(rows))
    worst = 0.0
    for i in range(len(rows)):
        for j in range(i):
            true = exact(rows[i], rows[j])
            worst = max(worst, abs(float((mpmath.mpf(float(products[i, j])) - true) / true)))
    np.testing.assert_array_equal(products, products.T)
    return worst


@pytest.mark.parametrize("angle", [1e-1, 1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("mass", [0.0, 0.13957])
def test_collinear_tev_pairs(angle, mass):
    rng = np.random.default_rng(1)
    rows = np.stack(
        [
            rng.uniform(1e3, 3e3, 12),
            0.7 + angle * rng.normal(0, 1, 12),
            -2.0 + angle * rng.normal(0, 1, 12),
            np.full(12, mass),
        ],
        axis=1,
    )
    assert errors(("pt", "eta", "phi", "mass"), rows, exact_polar) <= 1e-12
    pt, eta, phi, m = rows.T
    cartesian = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), m], axis=1)
    assert errors(("px", "py", "pz", "mass"), cartesian, exact_cartesian) <= 1e-12


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0, 1), (1, -1, 2)])
def test_after_large_boosts(axis, random_jets):
    flat = flatten(random_jets([14], coordinates="cartesian"))
    p4 = flat.momenta.p4.astype(np.longdouble)
    n = np.asarray(axis, dtype=np.longdouble) / np.sqrt(np.longdouble(np.dot(axis, axis)))
    gamma = np.longdouble(1e4)
    along = p4[:, 1:] @ n
    moved = gamma * (along - np.sqrt(1 - 1 / gamma**2) * p4[:, 0])
    rows = np.concatenate(
        [(p4[:, 1:] + (moved - along)[:, None] * n).astype(np.float64), flat.momenta.mass[:, None]], axis=1
    )
    assert errors(("px", "py", "pz", "mass"), rows, exact_cartesian) <= 1e-12


def test_opposite_and_resting_particles():
    rows = np.array([[3.0, 0, 0, 0], [-5.0, 0, 0, 0], [0, 0, 0, 2.0], [0, 0, 0, 0.0]])
    momenta = four_momenta(dict(zip(("px", "py", "pz", "mass"), rows.T, strict=True)), str, "row")
    products = pairwise_products(momenta, np.array([0, 4])).reshape(4, 4)
    expected = [[0, 30, 6, 0], [30, 0, 10, 0], [6, 10, 4, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(products, expected, rtol=1e-15)


def test_threads_and_batches_give_the_same_bits(random_jets):
    flat = flatten(random_jets([60] * 12 + [0, 1, 130]))
    single = pairwise_products(flat.momenta, flat.offsets, threads=1)
    np.testing.assert_array_equal(single, pairwise_products(flat.momenta, flat.offsets, threads=5))
    last = flat.offsets[-2]
    alone = FourMomenta(p4=flat.momenta.p4[last:], mass=flat.momenta.mass[last:], polar=flat.momenta.polar[last:])
    np.testing.assert_array_equal(
        pairwise_products(alone, np.array([0, 130])), single[pair_offsets(flat.offsets)[-2] :]
    )


def test_pairwise_dot_in_the_jets_structure(random_jets):
    jets = ak.unflatten(random_jets([3, 0, 2]), [2, 0, 1])
    products = pairwise_dot(jets)
    assert ak.num(products, axis=2).tolist() == [[3, 0], [], [2]]
    c = jets.constituents
    first, second = c[0, 0, 1], c[0, 0, 2]
    plain = first.E * second.E - first.px * second.px - first.py * second.py - first.pz * second.pz
    assert products[0, 0, 1, 2] == pytest.approx(plain, rel=1e-10)
    assert pairwise_dot(jets[:0]).tolist() == []


def test_dot_of_vector_objects():
    a = vector.obj(pt=100.0, eta=1.0, phi=0.5, mass=0.14)
    b = vector.obj(px=3.0, py=4.0, pz=0.0, E=13.0)
    assert dot(a, b) == pytest.approx(a.E * 13 - a.px * 3 - a.py * 4, rel=1e-14)
    assert dot(b, b) == pytest.approx(144.0, rel=1e-14)
    arrays = vector.array({"px": [3.0, 0.0], "py": [4.0, 1.0], "pz": [0.0, 0.0], "E": [13.0, 1.0]})
    np.testing.assert_allclose(dot(arrays, b), [144.0, 13.0 - 4.0], rtol=1e-14)


def test_dot_of_awkward_collections(random_jets):
    c = random_jets([3, 0, 2]).constituents
    np.testing.assert_allclose(ak.flatten(dot(c, c)), ak.flatten(c.mass**2), atol=1e-12)
    beam = vector.obj(px=0.0, py=0.0, pz=1.0, E=1.0)
    with_beam = dot(c, beam)
    assert ak.num(with_beam).tolist() == [3, 0, 2]
    np.testing.assert_allclose(ak.flatten(with_beam), ak.flatten(c.E - c.pz), rtol=1e-9)


def test_dot_refuses_what_is_no_momentum():
    with pytest.raises(eqt.JetError, match="type int"):
        dot(1, 2)
    with pytest.raises(eqt.JetError, match="fields pt, eta"):
        dot(ak.Array([{"pt": 1.0, "eta": 2.0}]), ak.Array([{"pt": 1.0, "eta": 2.0}]))


def test_whole_numbers_of_a_single_vector_are_exact():
    p = vector.obj(px=1, py=2, pz=3, E=4)
    assert dot(p, p) == pytest.approx(2)
    assert dot(p, vector.obj(px=0, py=0, pz=0, E=1)) == 4
