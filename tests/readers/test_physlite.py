"""PHYSLITE: values of small records, and what is refused."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import ConstituentsWarning, JetError
from coffea_equitag.readers import physlite
from event_formats import open_real

KEY = 490246363


def events(**tables):
    """Two events: jets with kept, thinned and no tracks; one without jets, tracks and primary vertex."""
    theta = [[np.pi / 2, np.pi / 4], []]
    records = {
        "Jets": ak.zip(
            {
                "pt": [[50e3, 30e3, 20e3], []],
                "eta": [[0.1, 1.0, -1.0], []],
                "phi": [[0.0, 1.0, 2.0], []],
                "m": [[5e3, 3e3, 2e3], []],
                "HadronConeExclTruthLabelID": [[5, 0, 4], []],
                "GhostTrack": ak.zip(
                    {"m_persKey": [[[0, KEY, KEY], [0, 0], []], []], "m_persIndex": [[[0, 1, 0], [0, 0], []], []]}
                ),
            },
            depth_limit=2,
        ),
        "InDetTrackParticles": ak.zip(
            {
                "qOverP": [[-1 / 10e3, 1 / 2e3], []],
                "theta": theta,
                "phi": [[0.2, -0.1], []],
                "d0": [[0.5, -0.25], []],
                "z0": [[1.0, 2.0], []],
                "vz": [[-3.0, -3.0], []],
                "definingParametersCovMatrixDiag": [[[0.04, 0.09, 0, 0, 0], [0.01, 0.25, 0, 0, 0]], []],
            },
            depth_limit=2,
        ),
        "PrimaryVertices": ak.zip({"z": [[7.0, 10.0], [4.0]], "vertexType": [[3, 1], [0]]}),
    }
    return ak.zip({**records, **tables}, depth_limit=1)


@pytest.fixture(scope="module")
def jets():
    with pytest.warns(ConstituentsWarning, match="of 3 Jets, 1 whose candidates are not stored(.|\n)*1 with another"):
        return physlite(events())


def test_momenta_in_gev(jets):
    assert jets.pt.to_list() == [[50, None, 20], []]
    assert jets.mass.to_list() == [[5, None, 2], []]
    track, other = jets.constituents[0, 0].to_list()
    assert (track["pt"], track["mass"]) == pytest.approx((2 * np.sin(np.pi / 4), 0.13957))
    assert track["eta"] == pytest.approx(np.arctanh(np.cos(np.pi / 4)))
    assert (other["pt"], other["eta"], other["phi"]) == pytest.approx((10, 0, 0.2))


def test_tracks(jets):
    """The sign of d0 is turned, dz is relative to the primary vertex, errors are roots of variances."""
    first = jets.constituents[0, 0]
    assert first.charge.to_list() == [1, -1]
    assert first.d0.to_list() == [0.25, -0.5]
    assert first.dz.to_list() == [2 - 3 - 10, 1 - 3 - 10]
    np.testing.assert_allclose(first.d0Err, [0.1, 0.2])
    np.testing.assert_allclose(first.dzErr, [0.5, 0.3])


def test_jets_without_tracks(jets):
    """All tracks thinned: missing; none linked: empty. Labels stay."""
    assert ak.num(jets.constituents, axis=2).to_list() == [[2, None, 0], []]
    assert jets.HadronConeExclTruthLabelID.to_list() == [[5, None, 4], []]


def test_event_without_primary_vertex():
    without = ak.zip({"z": [[7.0], [4.0]], "vertexType": [[3], [0]]})
    with pytest.warns(ConstituentsWarning):
        first = physlite(events(PrimaryVertices=without)).constituents[0, 0]
    assert (first.dz.to_list(), first.dzErr.to_list()) == ([0, 0], [0, 0])


def test_refused(shared_data):
    small = events()
    links = ak.zip({"m_persKey": [[[KEY], [], []], []], "m_persIndex": [[[9], [], []], []]})
    wrong = ak.with_field(small, ak.with_field(small.Jets, links, "GhostTrack"), "Jets")
    with pytest.raises(JetError, match="link to number 9 of InDetTrackParticles, of which the event has 2"):
        physlite(wrong)
    with pytest.raises(JetError, match=r"PHYSLITE events without 'InDetTrackParticles'"):
        physlite(small[["Jets"]])
    with pytest.raises(JetError, match=r"without 'dz'(.|\n)*PrimaryVertices"):
        physlite(small[["Jets", "InDetTrackParticles"]], fields="dz")
    real, _ = open_real(shared_data, "physlite")
    with pytest.raises(JetError, match=r"'LargeRJets' without 'GhostTrack'; jets with them: Jets(.|\n)*UFOs"):
        physlite(real, "LargeRJets")
