"""One displaced track of known position, in the convention of each format: the same impact parameter from every reader.

The track passes the point V with momentum p. Whatever d0 and dz a format stores, the vector from the origin to the
nearest point of the track is V − (V·p̂) p̂.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import make_jets, read_jets
from coffea_equitag.jets import flatten
from coffea_equitag.readers import delphes, edm4hep, mapped, nanoaod, particles, physlite, scouting
from coffea_equitag.readers.track_conventions import D0_SIGNS, MILLIMETRES

#: mm and GeV, one row per track: all signs of x, y, z and p, and a track that comes from the beam line.
POINTS = np.array([[0.3, -0.1, 1.2], [-0.2, 0.25, -0.7], [0.05, 0.4, 0.1], [0.0, 0.0, 2.0]])
MOMENTA = np.array([[20.0, 5.0, 10.0], [-15.0, 8.0, -30.0], [3.0, -25.0, 4.0], [30.0, 1.0, 2.0]])

PT = np.hypot(MOMENTA[:, 0], MOMENTA[:, 1])
PHI = np.arctan2(MOMENTA[:, 1], MOMENTA[:, 0])
ETA = np.arcsinh(MOMENTA[:, 2] / PT)
UNIT = MOMENTA / np.linalg.norm(MOMENTA, axis=1)[:, None]
EXPECTED = POINTS - np.sum(POINTS * UNIT, axis=1)[:, None] * UNIT

#: Points of closest approach to the beam line: where the transverse distance is smallest.
CLOSEST = POINTS - (np.sum(POINTS[:, :2] * MOMENTA[:, :2], axis=1) / PT**2)[:, None] * MOMENTA


def stored(convention):
    """d0 (or dxy) and dz in mm, from the definition in the code or paper of the format."""
    x, y, z = CLOSEST.T
    px, py, _ = MOMENTA.T
    return {
        # Delphes, modules/ParticlePropagator.cc: D0 = (xd py - yd px) / pt, DZ = zd
        "delphes": (x * py - y * px) / PT,
        # CMSSW, DataFormats/TrackReco/interface/TrackBase.h: dxy = (-vx py + vy px) / pt
        "cms": (-x * py + y * px) / PT,
        # ATLAS and LCIO: the perigee is (-d0 sin phi, d0 cos phi)
        "perigee": -x * np.sin(PHI) + y * np.cos(PHI),
    }[convention], z


def impact(jets):
    columns = flatten(jets, ("ip.x", "ip.y", "ip.z")).columns
    return np.stack([columns[f"ip.{axis}"] for axis in "xyz"], axis=1)


def columns(convention, unit, names, **more):
    d0, dz = stored(convention)
    values = {"pt": PT, "eta": ETA, "phi": PHI, "mass": np.full(4, 0.13957), "pdgId": np.full(4, 211)}
    values |= dict(zip(names, (d0 / MILLIMETRES[unit], dz / MILLIMETRES[unit]), strict=True)) | more
    return ak.zip({name: ak.Array([column.tolist()]) for name, column in values.items()})


def nano(table, index, names, **more):
    """A jet that links to all four tracks."""
    jets = ak.zip({"pt": [[80.0]], "eta": [[0.0]], "phi": [[0.0]], "mass": [[50.0]]})
    links = ak.zip({"jetIdx": [[0, 0, 0, 0]], index: [[0, 1, 2, 3]]})
    tables = {table: columns("cms", "cm", names, **more), "FatJet": jets, f"FatJet{table}": links}
    return nanoaod(ak.zip(tables, depth_limit=1), check=False)


def scouting_jets(table, names, significances):
    """Four tracks far apart are four jets; scouting stores significances in place of errors."""
    d0, dz = stored("cms")
    more = {name: np.where(value == 0, 1.0, value / 0.01) for name, value in zip(significances, (d0, dz), strict=True)}
    given = columns("cms", "cm", names, **more)
    events = {table: given, "ScoutingPFJet": given[["pt", "eta", "phi", "mass"]]}
    return scouting(ak.zip(events, depth_limit=1), "ScoutingPFJet")


def flat(tmp_path):
    """JetClass and weaver: part_d0val and part_dzval in mm with Delphes' sign."""
    d0, dz = stored("delphes")
    momenta = dict(zip(("part_px", "part_py", "part_pz"), MOMENTA.T, strict=True))
    values = momenta | {"part_energy": np.linalg.norm(MOMENTA, axis=1), "part_charge": np.ones(4)}
    values |= {"part_d0val": d0, "part_dzval": dz}
    ak.to_parquet(
        ak.zip({name: [column.tolist()] for name, column in values.items()}, depth_limit=1), tmp_path / "f.parquet"
    )
    return read_jets(tmp_path / "f.parquet")


def by_mapping(convention, unit):
    given = columns(convention, unit, ("the_d0", "the_dz"))[0]
    names = {name: name for name in ("pt", "eta", "phi", "mass", "pdgId")} | {"d0": "the_d0", "dz": "the_dz"}
    rows = {name: given[name][np.newaxis] for name in given.fields}
    return mapped(rows, {"constituents": names, "d0_sign": convention, "lengths": unit})


def per_event(**values):
    """Records of one event."""
    return ak.zip({name: ak.Array([np.asarray(column).tolist()]) for name, column in values.items()}, depth_limit=2)


def physlite_jets():
    """Perigee parameters in mm, momenta in MeV; z0 is relative to vz, dz to the primary vertex."""
    d0, z = stored("perigee")
    theta = np.arccos(UNIT[:, 2])
    tracks = {"theta": theta, "phi": PHI, "qOverP": 1e-3 * np.sin(theta) / PT, "d0": d0}
    links = {"m_persKey": [[1, 1, 1, 1]], "m_persIndex": [[0, 1, 2, 3]]}
    events = {
        "Jets": ak.zip({"pt": [[8e4]], "eta": [[0.0]], "phi": [[0.0]], "m": [[5e4]], "GhostTrack": per_event(**links)},
                       depth_limit=2),
        "InDetTrackParticles": per_event(**tracks, z0=z - 0.25 + 3.0, vz=np.full(4, 0.25)),
        "PrimaryVertices": per_event(z=[7.0, 3.0], vertexType=[3, 1]),
    }  # fmt: skip
    return physlite(ak.zip(events, depth_limit=1), fields=("charge", "d0", "dz"))


def edm4hep_jets(layout):
    """Perigee parameters in mm at the first state of each track."""
    d0, z = stored("perigee")
    particles = dict(zip(("px", "py", "pz"), MOMENTA.T, strict=True)) | {
        "mass": np.full(4, 0.13957),
        "charge": np.ones(4),
    }
    jet = {"px": [1.0], "py": [0.0], "pz": [0.0], "mass": [1.0]}
    if layout == "since 1.0":
        jet |= {
            "particles_idx_ReconstructedParticles_index": [[0, 1, 2, 3]],
            "particles_idx_ReconstructedParticles_collectionID": [[9] * 4],
        }
        particles |= {
            "tracks_idx_EFlowTrack_index": [[0], [1], [2], [3]],
            "tracks_idx_EFlowTrack_collectionID": [[5]] * 4,
        }
        states = ak.zip({"D0": d0[None, :, None].tolist(), "Z0": z[None, :, None].tolist()})
        tables = {"EFlowTrack": ak.zip({"type": [[0] * 4], "trackStates": states}, depth_limit=2)}
    else:
        ranges = ak.zip({"begin": [[0, 1, 2, 3]], "end": [[1, 2, 3, 4]]})
        jet |= {"particles": [{"begin": 0, "end": 4}]}
        particles |= {"tracks": ranges[0]}
        tables = {"EFlowTrack": ak.zip({"type": [[0] * 4], "trackStates": ranges}, depth_limit=2),
                  "EFlowTrack_1": per_event(D0=d0, Z0=z),
                  "Jetidx2": per_event(index=[0, 1, 2, 3], collectionID=[9] * 4),
                  "ReconstructedParticlesidx1": per_event(index=[0, 1, 2, 3], collectionID=[5] * 4)}  # fmt: skip
    events = {"Jet": records(jet), "ReconstructedParticles": records(particles), **tables}
    return edm4hep(ak.zip(events, depth_limit=1), fields=("charge", "d0", "dz"))


def records(columns):
    """Records of one event, some of whose columns are lists or records themselves."""
    values = {
        name: ak.Array([column.tolist() if hasattr(column, "tolist") else column]) for name, column in columns.items()
    }
    return ak.zip(values, depth_limit=2)


def delphes_jets():
    """D0 and DZ in mm."""
    d0, z = stored("delphes")
    tracks = per_event(fUniqueID=[11, 12, 13, 14], PT=PT, Eta=ETA, Phi=PHI, Mass=np.full(4, 0.13957),
                       Charge=np.ones(4), PID=[211] * 4, D0=d0, DZ=z)  # fmt: skip
    jet = {"pt": [[80.0]], "eta": [[0.0]], "phi": [[0.0]], "mass": [[50.0]]}
    jets = ak.zip(jet | {"Constituents": ak.zip({"refs": [[[11, 12, 13, 14]]]}, depth_limit=2)}, depth_limit=2)
    return delphes(ak.zip({"Jet": jets, "EFlowTrack": tracks}, depth_limit=1), fields=("charge", "d0", "dz"))


READERS = {
    "PHYSLITE": lambda path: physlite_jets(),
    "EDM4HEP since 1.0": lambda path: edm4hep_jets("since 1.0"),
    "EDM4HEP before 1.0": lambda path: edm4hep_jets("before"),
    "Delphes": lambda path: delphes_jets(),
    "canonical": lambda path: make_jets(ak.with_field(columns("delphes", "mm", ("d0", "dz")), 1, "charge"), label=[0]),
    "PFNano": lambda path: nano("PFCands", "pFCandsIdx", ("d0", "dz")),
    "BTV, with errors": lambda path: nano("PFCands", "pFCandsIdx", ("d0", "dz"), d0Err=np.ones(4), dzErr=np.ones(4)),
    "JME (dxy)": lambda path: nano("PFCand", "pfCandIdx", ("dxy", "dz"), dxyErr=np.ones(4), dzErr=np.ones(4)),
    "ScoutingPFCandidate": lambda path: scouting_jets(
        "ScoutingPFCandidate", ("trkDxy", "trkDz"), ("trkDxysig", "trkDzsig")
    ),
    "ScoutingParticle": lambda path: scouting_jets("ScoutingParticle", ("dxy", "dz"), ("dxysig", "dzsig")),
    "JetClass": flat,
    **{
        f"mapping, {sign} in {unit}": (lambda path, sign=sign, unit=unit: by_mapping(sign, unit))
        for sign in D0_SIGNS
        for unit in MILLIMETRES
    },
}


@pytest.mark.parametrize("reader", READERS)
def test_the_track_is_where_it_was(reader, tmp_path):
    jets = READERS[reader](tmp_path)
    found = impact(jets)
    if reader.startswith("Scouting"):  # one track per jet, sorted as the jets were given
        assert ak.num(jets, axis=1).tolist() == [4]
    assert found == pytest.approx(EXPECTED, abs=2e-6)  # float32 columns of values up to 2 mm


def test_canonical_point_is_the_closest():
    """(d0 sin φ, −d0 cos φ, dz) is the point of closest approach to the beam line."""
    d0, dz = stored("delphes")
    assert np.stack([d0 * np.sin(PHI), -d0 * np.cos(PHI), dz], axis=1) == pytest.approx(CLOSEST, abs=1e-12)
    for name, sign in D0_SIGNS.items():
        assert sign * stored(name)[0] == pytest.approx(d0, abs=1e-12)


def test_tracks_of_a_table():
    tracks = particles(ak.zip({"IsoTrack": columns("cms", "cm", ("dxy", "dz"))}, depth_limit=1), "IsoTrack")
    assert tracks.d0[0].tolist() == pytest.approx(stored("delphes")[0].tolist(), abs=1e-6)
