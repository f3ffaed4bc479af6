"""The six transformations, against those of the audit, and the symmetry of networks."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch
from studies.robustness import TRANSFORMATIONS, centred, curves, transformed
from studies.symmetry import largest_changes

from coffea_equitag import models
from coffea_equitag.evaluation.audit import moves
from coffea_equitag.jets import flatten
from coffea_equitag.tagger import Tagger
from coffea_equitag.testing import transform

from .conftest import toy_jets


def momenta(jets):
    return flatten(jets).momenta.p4


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_transformations_are_those_of_the_audit(name):
    jets = toy_jets(8, 0)
    move, parameters, _ = TRANSFORMATIONS[name]
    matrix, others, _ = moves.SIX[name]
    assert parameters == pytest.approx(others)
    at_origin = moves.centred(jets)
    for parameter in parameters:
        found = momenta(transformed(centred(jets), move, parameter))
        expected = momenta(transform(jets, np.matmul(matrix(parameter), at_origin)))
        # energies to 10 TeV, of which each step rounds to 1e-16
        assert found == pytest.approx(expected, abs=1e-8)


def test_centred():
    total = ak.sum(centred(toy_jets(8, 0)).constituents, axis=1)
    assert ak.to_numpy(total.eta) == pytest.approx(0, abs=1e-12)
    assert ak.to_numpy(total.phi) == pytest.approx(0, abs=1e-12)


def tagger(kind, **options):
    torch.manual_seed(0)
    return Tagger.from_model(models.build(kind, **options), name=kind, classes=("QCD", "top"))


def test_curves():
    found = curves(tagger("pfn"), toy_jets(60, 0))
    assert set(found) == set(TRANSFORMATIONS)
    # PFN's features are relative to the jet: rotations about the beam change nothing, those about the jet do
    rotated = found["x–y rotation"]["auc"]
    assert rotated == pytest.approx([rotated[0]] * 6, abs=1e-3)
    assert np.ptp(found["z-tilt"]["auc"]) > 1e-3


def test_symmetry():
    jets = toy_jets(20, 0)
    symmetric = largest_changes(tagger("lorentznet", hidden=8, n_layers=1, beams=False), jets)
    # a network of float32 with a few hundred terms, of a spread that may be small
    assert max(symmetric["rotations"], symmetric["boosts"]) < 1e-2
    assert symmetric["with references"] is None
    beams = largest_changes(tagger("lorentznet", hidden=8, n_layers=1), jets)
    assert beams["boosts"] > 10 * symmetric["boosts"]
    assert beams["with references"] < 1e-2
