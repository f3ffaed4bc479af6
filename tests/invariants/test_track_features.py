from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.track_features import (
    TRACK_COLUMNS,
    VECTOR_COLUMNS,
    compress,
    impact_parameter,
    particle_types,
    track_features,
    track_vectors,
    with_impact_parameter,
)
from coffea_equitag.jets.impact_parameter import impact_parameters
from coffea_equitag.readers.stream_columns import Columns

TRACK = {"pt": 5.0, "eta": 0.7, "phi": 0.4, "mass": 0.14, "charge": -1, "pdgId": 11, "d0": 0.3, "dz": -0.2}


def jets_of(*constituents):
    return eqt.make_jets(ak.Array([list(constituents)]))


def test_nearest_point_of_a_straight_track():
    rng = np.random.default_rng(0)
    point, p = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) * 10
    pt2 = (p[:, :2] ** 2).sum(1)
    # at the point of closest approach to the beam line, x·p_T = 0
    beam = point - p * ((point[:, :2] * p[:, :2]).sum(1) / pt2)[:, None]
    phi = np.arctan2(p[:, 1], p[:, 0])
    d0, dz = beam[:, 0] * np.sin(phi) - beam[:, 1] * np.cos(phi), beam[:, 2]
    a = impact_parameters(p, d0, dz)
    np.testing.assert_allclose((a * p).sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(a, point - p * ((point * p).sum(1) / (p**2).sum(1))[:, None], atol=1e-12)


def test_neutral_and_along_the_beam():
    p = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]])
    assert impact_parameters(p, [-1.0, 1.0], [np.nan, 1.0], np.array([0, 1])).tolist() == [[0.0] * 3] * 2


def test_from_d0_and_dz_or_as_given():
    jets = jets_of(TRACK, TRACK | {"charge": 0, "d0": -1.0, "dz": np.nan})
    ip = impact_parameter(jets)
    v = np.array([0.3 * np.sin(0.4), -0.3 * np.cos(0.4), -0.2])
    p = np.array([np.cos(0.4), np.sin(0.4), np.sinh(0.7)]) / np.cosh(0.7)
    np.testing.assert_allclose([ip.x[0, 0], ip.y[0, 0], ip.z[0, 0]], v - (v @ p) * p, atol=1e-15)
    assert ip[0, 1].tolist() == {"x": 0.0, "y": 0.0, "z": 0.0}
    with_ip = with_impact_parameter(jets)
    assert ak.almost_equal(impact_parameter(with_ip), ip)
    changed = ak.with_field(with_ip.constituents, ak.zip({"x": ip.x, "y": ip.y, "z": ip.z + 1}), "ip")
    changed = ak.with_field(with_ip, changed, "constituents")
    columns = RaggedJets.from_awkward(changed, VECTOR_COLUMNS).columns
    assert set(columns) == set(VECTOR_COLUMNS)
    np.testing.assert_allclose(columns["ip.z"].numpy(), [ip.z[0, 0] + 1, 0.0])


def test_vectors_of_other_files_are_taken_across_the_track(tmp_path):
    plain = {name: value for name, value in TRACK.items() if name not in ("d0", "dz")}
    p = np.array([np.cos(0.4), np.sin(0.4), np.sinh(0.7)]) / np.cosh(0.7)
    v = np.array([0.02, -0.11, 0.3])
    jets = jets_of(plain | dict(zip(("ipx", "ipy", "ipz"), v + 2 * p, strict=True)))
    ip = impact_parameter(jets)
    np.testing.assert_allclose([ip.x[0, 0], ip.y[0, 0], ip.z[0, 0]], v - (v @ p) * p, atol=1e-6)
    ak.to_parquet(jets, tmp_path / "jets.parquet")
    assert ak.almost_equal(impact_parameter(eqt.read_jets(tmp_path / "jets.parquet")), ip)
    assert {"ipx", "ipy", "ipz"} <= Columns.of(VECTOR_COLUMNS).constituents


def test_jets_keep_their_nesting():
    jets = ak.unflatten(eqt.make_jets(ak.Array([[TRACK], [], [TRACK, TRACK]])), [2, 0, 1])
    assert ak.num(impact_parameter(jets), axis=-1).tolist() == [[1, 0], [], [2]]
    assert with_impact_parameter(jets).constituents.ip.x.ndim == 3


@pytest.mark.parametrize("jets", [jets_of(TRACK | {"d0": np.inf}), with_impact_parameter(jets_of(TRACK))])
def test_not_finite_is_refused(jets):
    if "ip" in jets.constituents.fields:
        jets = eqt.make_jets(ak.with_field(jets.constituents, jets.constituents.ip.z * np.nan, ("ip", "y")))
    with pytest.raises(eqt.JetError, match=r"jet 0, constituent 0: .*ip.*not finite"):
        impact_parameter(jets)


def test_missing_columns_are_named():
    jets = jets_of({k: TRACK[k] for k in ("pt", "eta", "phi", "mass", "charge", "d0")})
    with pytest.raises(eqt.JetError, match="without 'dz'"):
        impact_parameter(jets)


def test_types():
    jets = jets_of(*(TRACK | {"pdgId": k} for k in (11, -11, 13, -13, 211, 22, -2212)))
    assert particle_types(RaggedJets.from_awkward(jets, TRACK_COLUMNS)).tolist() == [0, 0, 1, 1, 2, 2, 2]


def test_features():
    jets = jets_of(TRACK, TRACK | {"charge": 0, "d0": np.nan, "phi": 0.6})
    features = track_features(RaggedJets.from_awkward(jets, TRACK_COLUMNS)).numpy()
    total = ak.sum(jets.constituents.px), ak.sum(jets.constituents.py), ak.sum(jets.constituents.pz)
    pt = np.hypot(*total[:2])
    expected = [np.log(pt / 100), np.arcsinh(total[2] / pt), 0.5, np.log(0.5), 0.7 - np.arcsinh(total[2] / pt), -0.1]
    np.testing.assert_allclose(features[0], [*expected, np.arcsinh(6.0), np.arcsinh(-4.0), -1.0], atol=1e-12)
    assert features[1, 6:].tolist() == [0.0, 0.0, 0.0]
    assert track_features(RaggedJets.from_awkward(jets[:0], TRACK_COLUMNS)).shape == (0, 9)


def test_vectors_keep_their_directions():
    jets = RaggedJets.from_awkward(jets_of(TRACK, TRACK | {"charge": 0, "phi": 0.6}), VECTOR_COLUMNS)
    vectors = track_vectors(jets)
    for k, given in enumerate((jets.jet_p4[:, 1:].expand(2, 3), jets.p4[:, 1:])):
        unit = vectors[:, :, k] / vectors[:, :, k].norm(dim=1, keepdim=True)
        torch.testing.assert_close(unit, given / given.norm(dim=1, keepdim=True))
    assert vectors[0, :, 2].norm() > 0
    assert vectors[1, :, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_of_numbers_are_those_of_tensors_with_gradients(threads):
    rng = np.random.default_rng(3)
    counts = [0, 1, 400, 0, 7, 900]
    columns = {name: rng.normal(size=sum(counts)) for name in ("pt", "eta", "phi", "mass", "d0", "dz")}
    columns["pt"], columns["mass"] = np.exp(3 * columns["pt"]), np.abs(columns["mass"])
    columns |= {name: rng.integers(-1, 2, sum(counts)) for name in ("charge", "pdgId")}
    jets = RaggedJets.from_awkward(eqt.make_jets(ak.unflatten(ak.zip(columns), counts)), VECTOR_COLUMNS)
    jets.p4[3, 1] = torch.nan
    jets.p4[5, 1:] = 0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = track_vectors(jets)
    finally:
        torch.set_num_threads(before)
    expected = track_vectors(replace(jets, p4=jets.p4.clone().requires_grad_())).detach()
    # a few roundings of the length, its asinh and the products
    torch.testing.assert_close(found, expected, rtol=20 * 2.0**-53, atol=0, equal_nan=True)


def test_compress():
    v = torch.tensor([[0.0, 0.0, 0.0], [3e-12, 0.0, -4e-12], [0.0, 1e4, 0.0]], dtype=torch.float64)
    small, large = 1e-12 / 2.0, float(np.arcsinh(5e3))
    expected = torch.tensor([[0.0, 0.0, 0.0], [3 * small, 0.0, -4 * small], [0.0, large, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(compress(v, 2.0), expected)
