"""Event records in the layout of CMS scouting NanoAOD, with jets that CMSSW would have clustered."""

import awkward as ak
import numpy as np
import uproot

from coffea_equitag.readers import cluster


def random_candidates(num_particles, seed=1):
    """``[event][candidate]`` with the columns of ScoutingPFCandidate, in sprays around a few directions."""
    random = np.random.default_rng(seed)
    total = sum(num_particles)
    axis = random.integers(0, 3, total)
    code = random.choice([211, -211, 22, 130, 11, -13], total)
    charged = np.isin(abs(code), (211, 11, 13))
    track = charged & (random.random(total) < 0.9)
    dxy, error = random.normal(0, 0.02, total), np.full(total, 0.01)
    flat = {
        "pt": random.exponential(15, total) + 0.6,
        "eta": np.array([-1.5, 0.2, 1.4])[axis] + random.normal(0, 0.2, total),
        "phi": np.array([3.1, 0.9, -1.0])[axis] + random.normal(0, 0.2, total),
        "mass": np.where(charged, 0.13957, 0.0),
        "pdgId": code,
        "trkDxy": np.where(track, dxy, 0.0),
        "trkDxysig": np.where(track, dxy / error, 0.0),
        "trkDz": np.where(track, dxy * 2, 0.0),
        "trkDzsig": np.where(track, dxy * 2 / error, 0.0),
    }
    flat = {name: values.astype(np.int32 if name == "pdgId" else np.float32) for name, values in flat.items()}
    return ak.unflatten(ak.zip(flat), num_particles)


def with_jets(candidates, calibration=1.0):
    """Events with the candidates and the jets made from them, whose pT is multiplied by the calibration."""
    tables = {"ScoutingPFCandidate": candidates}
    for name, radius, min_pt in (("ScoutingPFJetRecluster", 0.4, 20), ("ScoutingFatPFJetRecluster", 0.8, 170)):
        jets = cluster(candidates, radius, min_pt=min_pt)
        columns = {column: ak.values_astype(jets[column], np.float32) for column in ("eta", "phi", "mass")}
        columns["pt"] = ak.values_astype(jets.pt * calibration, np.float32)
        columns["nConstituents"] = ak.values_astype(ak.num(jets.constituents, axis=2), np.int32)
        tables[name] = ak.zip(columns)
    return ak.zip(tables, depth_limit=1)


def scouting_events(num_particles=(60, 0, 90, 3, 70), seed=1, calibration=1.0):
    return with_jets(random_candidates(num_particles, seed), calibration)


def write_scouting(events, path):
    """Write events as CMSSW does: one branch per column, one counter per table."""
    columns = {name: {field: events[name][field] for field in events[name].fields} for name in events.fields}
    identifiers = dict.fromkeys(("run", "luminosityBlock", "event"), np.arange(len(events)))
    types = {name: events[name].type.content for name in events.fields} | dict.fromkeys(identifiers, "int64")
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "Events", types, counter_name=lambda name: "n" + name, field_name=lambda outer, inner: f"{outer}_{inner}"
        )
        tree.extend({name: ak.zip(fields) for name, fields in columns.items()} | identifiers)
    return path
