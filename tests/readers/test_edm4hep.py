"""EDM4HEP: tracks and particle IDs of real files, and what is refused."""

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag import JetError
from coffea_equitag.readers import edm4hep
from event_formats import REAL, open_real

LAYOUTS = ["edm4hep", "older edm4hep"]

#: Branches of links from reconstructed particles (0) to generated ones (1).
LINKS = {
    "edm4hep": [f"_MCRecoAssociations_{end}/_MCRecoAssociations_{end}.index" for end in ("from", "to")],
    "older edm4hep": [f"MCRecoAssociations#{end}/MCRecoAssociations#{end}.index" for end in (0, 1)],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_sign_of_d0(shared_data, name):
    """d0 has the sign of (x py − y px) / pT of the generated particles, which is Delphes'; dz is theirs."""
    tree = uproot.open(shared_data / REAL[name][0])["events"]
    reconstructed, generated = (tree[branch].array() for branch in LINKS[name])
    x, y, z = (tree[f"Particle/Particle.vertex.{axis}"].array()[generated] for axis in "xyz")
    px, py, pz = (tree[f"Particle/Particle.momentum.{axis}"].array()[generated] for axis in "xyz")
    pt = np.hypot(px, py)
    true_d0, true_dz = (x * py - y * px) / pt, z - (x * px + y * py) / pt**2 * pz
    events, collection = open_real(shared_data, name)
    key = _by_momentum(edm4hep(events, collection))
    particles = events.ReconstructedParticles[reconstructed]
    found = [
        (key[event, float(momentum)], d0, dz)
        for event, row in enumerate(zip(particles.px, particles.charge, true_d0, true_dz, pt, strict=True))
        for momentum, charge, d0, dz, size in zip(*row, strict=True)
        if charge != 0 and size > 1 and 0.2 < abs(d0) < 10 and (event, float(momentum)) in key
    ]
    assert len(found) > 10
    ratios = [one["d0"] / d0 for one, d0, _ in found]
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert np.median([abs(one["dz"] - dz) for one, _, dz in found]) < 0.5


def _by_momentum(jets):
    events = ak.flatten(jets.constituents, axis=2).to_list()
    return {(event, one["px"]): one for event, row in enumerate(events) for one in row}


@pytest.mark.parametrize("name", LAYOUTS)
def test_particles(shared_data, name):
    events, collection = open_real(shared_data, name)
    one = ak.flatten(ak.flatten(edm4hep(events, collection).constituents, axis=2), axis=1)
    assert set(np.unique(one.pdgId)) <= {22, 130, 211, -211, 11, -11, 13, -13}
    neutral, charged = one[one.charge == 0], one[one.charge != 0]
    assert set(np.unique(neutral.pdgId)) == {22, 130}
    assert not ak.any((neutral.d0Err != 0) | (neutral.d0 != 0))
    assert ak.min(charged.d0Err) > 0
    assert ak.min(charged.dzErr) > 0
    pions = charged[abs(charged.pdgId) == 211]
    assert ak.max(abs(pions.mass - 0.13957)) < 1e-4
    assert ak.all(np.sign(pions.pdgId) == pions.charge)


def older(**changes):
    """An event of the layout before 1.0: two jets, of three particles, one of which has a track."""
    tables = {
        "Jet": {
            **{axis: [[1.0, 3.0]] for axis in ("px", "py", "pz", "mass")},
            "particles": ak.zip({"begin": [[0, 2]], "end": [[2, 3]]}),
        },
        "Jetidx2": {"index": [[2, 0, 1]], "collectionID": [[7, 7, 7]]},
        "ReconstructedParticles": {
            **{axis: [[1.0, 2.0, 3.0]] for axis in ("px", "py", "pz")},
            "mass": [[0.13957, 0.0, 0.1057]],
            "charge": [[-1.0, 0.0, 1.0]],
            "type": [[0, 22, 0]],
            "tracks": ak.zip({"begin": [[0, 1, 1]], "end": [[1, 1, 1]]}),
        },
        "ReconstructedParticlesidx1": {"index": [[0]], "collectionID": [[3]]},
        "EFlowTrack": {"trackStates": ak.zip({"begin": [[0]], "end": [[1]]})},
        "EFlowTrack_1": {"D0": [[0.5]], "Z0": [[2.0]], "covMatrix_21_": [[[0.04, *[0] * 8, 0.25, *[0] * 11]]]},
    }
    for name, columns in changes.items():
        tables[name] = {**tables[name], **columns}
    return ak.zip({name: ak.zip(columns, depth_limit=2) for name, columns in tables.items()}, depth_limit=1)


def test_small_event():
    jets = edm4hep(older())
    assert jets.constituents.px.to_list() == [[[3, 1], [2]]]
    assert jets.constituents.pdgId.to_list() == [[[-13, -211], [22]]]
    assert jets.constituents.d0.to_list() == [[[0, -0.5], [0]]]
    assert jets.constituents.dz.to_list() == [[[0, 2], [0]]]
    np.testing.assert_allclose(ak.flatten(jets.constituents.d0Err, axis=None), [0, 0.2, 0])
    np.testing.assert_allclose(ak.flatten(jets.constituents.dzErr, axis=None), [0, 0.5, 0])


def test_refused():
    with pytest.raises(JetError, match=r"several collections: collectionID 7, 8"):
        edm4hep(older(Jetidx2={"collectionID": [[7, 8, 7]]}))
    with pytest.raises(JetError, match=r"links of 'Jet' in event 0 end at 9 of 3"):
        edm4hep(older(Jet={"particles": ak.zip({"begin": [[0, 2]], "end": [[2, 9]]})}))
    with pytest.raises(JetError, match=r"link to number 5 of ReconstructedParticles, of which the event has 3"):
        edm4hep(older(Jetidx2={"index": [[2, 0, 5]]}))
    with pytest.raises(JetError, match=r"particles='Nothing' for 'Jet'(.|\n)*ReconstructedParticles"):
        edm4hep(older(), particles="Nothing")
    with pytest.raises(JetError, match=r"'Jet' without links to particles(.|\n)*FCC schema"):
        edm4hep(older()[["Jet"]])
    with pytest.raises(JetError, match=r"without 'd0'(.|\n)*EFlowTrack_1"):
        edm4hep(older()[["Jet", "Jetidx2", "ReconstructedParticles"]], fields="d0")
