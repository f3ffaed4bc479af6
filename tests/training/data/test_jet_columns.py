"""Columns of jets by name, stored or derived."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import vector

from arithmetic import EPSILON
from coffea_equitag import JetError, make_jets
from coffea_equitag.training.data.jet_columns import DERIVED, JetColumns


@pytest.fixture
def jets(toy):
    return toy(40)


def test_derived_are_those_of_the_sum(jets):
    columns = JetColumns(jets)
    total = ak.sum(jets.constituents, axis=1)
    for name in DERIVED:
        # sums of at most 9 rounded numbers; a mass comes from a difference of squares, (7 TeV)² at most, and m > 1 GeV
        scale = 7e3**2 if name == "mass" else 7e3
        error = 9 * 4 * EPSILON * scale
        np.testing.assert_allclose(columns[name], ak.to_numpy(getattr(total, name)), atol=error, rtol=error)
    assert columns["multiplicity"].tolist() == ak.num(jets.constituents).to_list()


def test_own_momentum_comes_first(jets):
    own = {"pt": np.full(40, 50.0), "eta": np.full(40, 2.0), "phi": np.zeros(40), "mass": np.full(40, 5.0)}
    columns = JetColumns(make_jets(jets.constituents, **own))
    assert columns["pt"].tolist() == [50.0] * 40
    expected = vector.obj(pt=50, eta=2, phi=0, mass=5)
    np.testing.assert_allclose(columns["rapidity"], expected.rapidity, rtol=1e-12)
    np.testing.assert_allclose(columns["px"], 50, rtol=1e-15)
    # a field that is no coordinate set by itself
    assert JetColumns(ak.with_field(jets, 7.0, "mass"))["mass"].tolist() == [7.0] * 40


def test_along_the_beam_and_empty():
    jets = make_jets(ak.Array([[{"px": 0.0, "py": 0.0, "pz": 2.0, "E": 2.0}], []]))
    columns = JetColumns(jets)
    assert columns["eta"].tolist() == [np.inf, 0]
    assert columns["rapidity"].tolist() == [np.inf, 0]
    assert columns["multiplicity"].tolist() == [1, 0]
    assert len(JetColumns(jets[:0])["pt"]) == 0


def test_short_integers_do_not_wrap(jets):
    columns = JetColumns(ak.with_field(jets, np.arange(40, dtype=np.uint8), "n"))
    assert (columns["n"] - 5)[0] == -5
    large = JetColumns(ak.with_field(jets, np.full(40, 2**63 + 1, dtype=np.uint64), "n"))
    assert int(large["n"][0]) == 2**63 + 1


def test_nested_and_missing_fields(jets):
    jets = ak.with_field(jets, ak.zip({"pt": np.arange(40.0)}), "truth")
    assert JetColumns(jets)["truth.pt"][3] == 3
    values = ak.Array([None if k == 7 else 1.0 for k in range(40)])
    columns = JetColumns(ak.with_field(jets, values, "x"))
    with pytest.raises(JetError, match=r"'x' of jet 7 is missing \(1 such of 40\)"):
        columns["x"]
    kept = columns.where(np.arange(40) > 3)
    with pytest.raises(JetError, match="'x' of jet 7 is missing"):  # as the caller numbers them
        kept["x"]
    for name in ("y", "constituents", "truth", "constituents.pt", "truth.eta"):
        with pytest.raises(JetError, match=f"jets without a field '{name}'"):
            JetColumns(jets)[name]
    with pytest.raises(JetError, match="one real number per jet"):
        JetColumns(ak.with_field(jets, ["x"] * 40, "x"))["x"]
