"""Ntuples of any layout, described by a mapping."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag.errors import JetError
from coffea_equitag.jets import validate
from coffea_equitag.readers import JetMapping, mapped

P4 = ("pt", "eta", "phi", "mass")


def table(num_particles, seed=0):
    """``[event][particle]`` columns of particles."""
    random = np.random.default_rng(seed)
    total = sum(num_particles)
    columns = {
        "pt": random.exponential(20, total) + 1,
        "eta": random.uniform(-2, 2, total),
        "phi": random.uniform(-3, 3, total),
        "mass": np.full(total, 0.13957),
        "pdgId": random.choice([211, -211, 22, 11], total).astype(np.int32),
        "dxy": random.normal(0, 0.01, total),
    }
    return {name: ak.unflatten(values, num_particles) for name, values in columns.items()}


#: Constituents of each jet: out of order, shared by two jets, none, an event without jets.
CONSTITUENTS = ak.Array([[[2, 0], [1, 3]], [], [[0], [], [1, 0]]])
PARTICLES = table((4, 2, 2))
JET_PT = ak.Array([[100.0, 80.0], [], [60.0, 50.0, 40.0]])
BASE = {
    "jets": {"pt": "jet_pt", "eta": "jet_eta", "phi": "jet_phi", "mass": 5.0},
    "constituents": {name: f"part_{name}" for name in (*P4, "pdgId")} | {"d0": "part_dxy"},
    "d0_sign": "cms",
    "lengths": "cm",
}


def columns(**links):
    jets = {"jet_pt": JET_PT, "jet_eta": JET_PT * 0, "jet_phi": JET_PT * 0 + 1}
    return {f"part_{name}": column for name, column in PARTICLES.items()} | jets | links


def expected(name, index=CONSTITUENTS):
    return [[[PARTICLES[name][e, k] for k in jet] for jet in jets] for e, jets in enumerate(index.tolist())]


CONSECUTIVE = ak.Array([[[0, 1, 2], [3]], [], [[0], [], [1]]])
UNSHARED = ak.Array([[[0, 2], [1, 3]], [], [[], [0], [1]]])

LINKS = {
    "nested index": ({"index": "i"}, {"i": CONSTITUENTS}, CONSTITUENTS),
    "index from 1": ({"index": "i", "first_index": 1}, {"i": CONSTITUENTS + 1}, CONSTITUENTS),
    "index and counts": (
        {"index": "i", "counts": "n"},
        {"i": ak.flatten(CONSTITUENTS, axis=2), "n": ak.num(CONSTITUENTS, axis=2)},
        CONSTITUENTS,
    ),
    "negative indices": ({"index": "i"}, {"i": ak.Array([[[2, -1, 0], [-1]], [], [[], [], [-1]]])},
                         ak.Array([[[2, 0], []], [], [[], [], []]])),
    "jet of each": ({"jet": "j"}, {"j": ak.Array([[0, 1, 0, 1], [-1, -1], [1, 2]])}, UNSHARED),
    "link table": (
        {"jet": "j", "constituent": "c"},
        {"j": ak.Array([[1, 0, 0, 1], [], [2, 0, 2]]), "c": ak.Array([[1, 2, 0, 3], [], [1, 0, 0]])},
        CONSTITUENTS,
    ),
    "counts": ({"counts": "n"}, {"n": ak.num(CONSECUTIVE, axis=2)}, CONSECUTIVE),
    "first and counts": (
        {"first": "f", "counts": "n"},
        {"f": ak.Array([[1, 0], [], [0, 0, 1]]), "n": ak.Array([[3, 2], [], [2, 0, 1]])},
        ak.Array([[[1, 2, 3], [0, 1]], [], [[0, 1], [], [1]]]),
    ),
    "ranges of indices": (
        {"index": "i", "first": "f", "last": "l"},
        {"i": ak.Array([[3, 1, 2, 0], [1], [0, 1]]), "f": ak.Array([[2, 0], [], [0, 1, 1]]),
         "l": ak.Array([[4, 2], [], [2, 1, 2]])},
        ak.Array([[[2, 0], [3, 1]], [], [[0, 1], [], [1]]]),
    ),
    "first and last": (
        {"first": "f", "last": "l"},
        {"f": ak.Array([[1, 0], [], [0, -1, 1]]), "l": ak.Array([[4, 2], [], [2, -1, 2]])},
        ak.Array([[[1, 2, 3], [0, 1]], [], [[0, 1], [], [1]]]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", LINKS)
@pytest.mark.parametrize("source", ["memory", "tree", "ntuple", "parquet"])
def test_links(way, source, tmp_path):
    links, stored, index = LINKS[way]
    given = columns(**stored)
    if source == "tree" and any(column.ndim > 2 for column in given.values()):
        pytest.skip("uproot writes no doubly nested lists to a TTree")
    if source in ("tree", "ntuple"):
        with uproot.recreate(tmp_path / "events.root") as file:
            if source == "tree":
                file.mktree("tuple", {name: column.type.content for name, column in given.items()}).extend(given)
            else:
                file.mkrntuple("tuple", given)
        given = tmp_path / "events.root"
    elif source == "parquet":
        ak.to_parquet(ak.zip(given, depth_limit=1), tmp_path / "events.parquet")
        given = tmp_path / "events.parquet"
    jets = mapped(given, BASE | {"links": links})
    assert jets.constituents.pt.tolist() == expected("pt", index)
    assert jets.constituents.d0.tolist() == (ak.Array(expected("dxy", index)) * -10).tolist()
    assert jets.pt.tolist() == JET_PT.tolist()
    assert jets.mass.tolist() == [[5, 5], [], [5, 5, 5]]
    charge = {211: 1, -211: -1, 22: 0, 11: -1}
    assert jets.constituents.charge.tolist() == [
        [[charge[code] for code in jet] for jet in event] for event in expected("pdgId", index)
    ]
    validate(jets, require=("d0", "charge"))


def test_traced_events():
    links, stored, _ = LINKS["index and counts"]
    events = ak.zip(columns(**stored, unused=JET_PT), depth_limit=1)
    layout, report = ak.typetracer.typetracer_with_report(events.layout.form_with_key("{id}"))
    jets = mapped(ak.Array(layout), BASE | {"links": links})
    assert jets.constituents.ndim == 3
    assert "part_dxy" in events.fields
    assert 0 < len(report.data_touched) < len(events.fields) * 3


def test_a_row_per_jet_with_padding_one_hot_labels_and_mev(tmp_path):
    """A private ntuple: arrays of fixed length, and a column per class."""
    px = np.array([[1000.0, 2000, 0], [3000, 0, 0], [500, 400, 300]])
    rows = {
        "PX": px, "PY": px / 2, "PZ": -px, "EN": np.where(px > 0, 2 * px, 0.0), "mu": np.array([1.0, 2, 3]),
        "is_qcd": np.array([1, 0, 0]), "is_tbqq": np.array([0, 1, 0]), "is_tbl": np.array([0, 0, 1]),
    }  # fmt: skip
    mapping = {
        "tree": "jets",
        "constituents": {"px": "PX", "py": "PY", "pz": "PZ", "E": {"branch": "EN", "factor": 1.0}},
        "jets": {"weight": "mu"},
        "labels": {"QCD": "is_qcd", "top": ["is_tbqq", "is_tbl"]},
        "units": "MeV",
    }
    with uproot.recreate(tmp_path / "flat.root") as file:
        types = {name: (column.dtype, column.shape[1:]) for name, column in rows.items()}
        file.mktree("jets", types).extend(rows)
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    jets = mapped(tmp_path / "flat.root", tmp_path / "mapping.json")
    assert jets.label.tolist() == [0, 1, 1]
    assert jets.constituents.px.tolist() == [[1, 2], [3], [0.5, 0.4, 0.3]]
    assert jets.weight.tolist() == [1, 2, 3]
    some = mapped(tmp_path / "flat.root", JetMapping(**mapping), entry_start=1, entry_stop=2)
    assert some.label.tolist() == [1]
    with pytest.raises(JetError, match="jet 2 of the events belongs to 0 of the classes QCD, top"):
        mapped(rows, mapping | {"labels": {"QCD": "is_qcd", "top": "is_tbqq"}})
    with pytest.raises(JetError, match="jet 0 of the events belongs to 2"):
        mapped(rows, mapping | {"labels": {"QCD": "is_qcd", "any": ["is_qcd", "is_tbqq", "is_tbl"]}})
    other = mapped(rows, mapping | {"labels": {"top": ["is_tbqq", "is_tbl"], "other": []}})
    assert other.label.tolist() == [1, 0, 0]


def test_arrays_filled_up_to_a_count():
    rows = {"n": np.array([2, 0, 1]), "pt": np.array([[5.0, 4, -999], [-999] * 3, [3, -999, -999]])}
    mapping = {
        "constituents": {"pt": "pt", "eta": 0.5, "phi": 1.0, "mass": 0},
        "links": {"counts": "n"},
    }
    jets = mapped(rows, mapping)
    assert jets.constituents.pt.tolist() == [[5, 4], [], [3]]
    assert jets.constituents.eta.tolist() == [[0.5, 0.5], [], [0.5]]


def test_weights_and_polar_energies():
    weights = ak.Array([[0.5, 1, 0, 1], [1, 1], [1, 0.25]])
    energy = PARTICLES["pt"] * np.cosh(PARTICLES["eta"])
    mapping = {
        "constituents": {"pt": "part_pt", "eta": "part_eta", "phi": "part_phi", "E": "energy", "puppi": "w"},
        "jets": {"pt": "jet_pt"},
        "links": {"index": "i"},
        "weight": "puppi",
    }
    jets = mapped(columns(i=CONSTITUENTS, energy=energy, w=weights), mapping)
    kept = [[[0], [1, 3]], [], [[0], [], [1, 0]]]
    pt = [[[float(PARTICLES["pt"][e, k] * weights[e, k]) for k in jet] for jet in jets] for e, jets in enumerate(kept)]
    assert ak.flatten(jets.constituents.pt, axis=None).tolist() == pytest.approx(ak.flatten(pt, axis=None).tolist())
    assert ak.num(jets.constituents, axis=2).tolist() == [[1, 2], [], [1, 0, 2]]


def test_names_in_memory_and_yaml(tmp_path):
    events = ak.zip({"Jet": ak.zip({"pt": JET_PT}), "Part": ak.zip(PARTICLES), "i": CONSTITUENTS}, depth_limit=1)
    text = """
    constituents: {pt: Part.pt, eta: Part_eta, phi: Part.phi, mass: 0}
    jets: {pt: Jet_pt}
    links: {index: i}
    """
    pytest.importorskip("yaml")
    (tmp_path / "mapping.yaml").write_text(text)
    jets = mapped(events, tmp_path / "mapping.yaml")
    assert jets.constituents.pt.tolist() == expected("pt")
    toml = """
    constituents = {pt = "Part.pt", eta = "Part.eta", phi = "Part.phi", mass = 0}
    jets = {pt = "Jet.pt"}
    links = {index = "i"}
    """
    (tmp_path / "mapping.toml").write_text(toml)
    assert mapped(events, tmp_path / "mapping.toml").tolist() == jets.tolist()
    assert mapped(events[1:2], tmp_path / "mapping.toml").tolist() == [[]]
    assert mapped(events[:0], tmp_path / "mapping.toml").tolist() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"constituents": {"pt": "part_pt"}}, "complete four-momentum"),
        ({"constituents": BASE["constituents"] | {"dxy": "part_dxy"}}, "call it d0"),
        ({"d0_sign": None}, "d0 without its sign: give d0_sign, one of delphes, cms, perigee"),
        ({"d0_sign": "d0"}, "not one of"),
        ({"lengths": "inch"}, "not one of mm"),
        ({"units": "TeV"}, "'GeV' or 'MeV'"),
        ({"unit": "MeV"}, "unit = 'MeV'"),
        ({"links": {"index": "i", "jet": "j"}}, "a link is one of"),
        ({"links": {}}, "columns for nothing"),
        ({"labels": {"a": "x"}, "jets": BASE["jets"] | {"label": "y"}}, "give one of them"),
        ({"weight": "puppi"}, "not one of the constituents' columns"),
        ({"links": {"jet": "j"}, "jets": {}}, "their number is not known"),
        ({"constituents": {"pt": "part_ptt", "eta": 0, "phi": 0, "mass": 0}}, "for instance part_pt"),
        ({"constituents": {"pt": 1, "eta": 0, "phi": 0, "mass": 0}}, "at least one column"),
        ({"constituents": {"pt": "jet_pt", "eta": "part_eta", "phi": 0, "mass": 0}}, "longer than others"),
        ({"links": {"index": "part_pdgId"}}, "indices of each jet's constituents"),
        ({"links": {"index": "too_large"}}, "points to constituent number 4 of event 0, which has 4"),
        ({"links": {"jet": "jet_pt"}}, "event 0 with 2 values"),
        ({"links": {"index": "part_pdgId", "counts": "n"}}, "a sum of"),
        ({"links": {"first": "i", "last": "i", "index": "part_pdgId"}}, "an index for each jet of each event"),
        ({"links": {"first": "zero", "last": "n", "index": "short"}}, "points to constituent number 1 of event 0"),
        ({"links": None}, "name the columns that link them"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(changes, message):
    given = columns(i=CONSTITUENTS, n=ak.num(CONSTITUENTS, axis=2), too_large=CONSTITUENTS + 1)
    given |= {"zero": ak.num(CONSTITUENTS, axis=2) * 0, "short": [[0], [], [0, 1]]}
    with pytest.raises(JetError, match=message):
        mapped(given, BASE | {"links": {"index": "i"}} | changes)


def test_files_that_are_no_mappings(tmp_path):
    for name, text, message in (
        ("a.txt", "", "a file ending in .toml"),
        ("a.toml", "constituents = ", "a readable TOML"),
        ("a.json", "[1]", "constituents"),
        ("missing.toml", None, "a readable TOML"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(JetError, match=message):
            mapped(columns(), tmp_path / name)


@pytest.mark.parametrize("file", ["treemaker.root", "treemaker_rntuple.root"])
def test_real_treemaker_file(coffea_sample, file):
    """The subjets of a soft-drop groomed jet sum to its mass; the same from TTree and RNTuple."""

    def momentum(name):
        return {short: f"{name}.fCoordinates.f{short.title()}" for short in ("pt", "eta", "phi", "E")}

    mapping = {
        "tree": "PreSelection",
        "jets": momentum("JetsAK8") | {"softdrop": "JetsAK8_softDropMass"},
        "constituents": momentum("JetsAK8_subjets"),
        "links": {"counts": "JetsAK8_subjetsCounts"},
    }
    jets = mapped(coffea_sample(file), mapping)
    assert (ak.sum(ak.num(jets, axis=1)), ak.sum(ak.num(jets.constituents, axis=2))) == (20, 38)
    two = jets[ak.num(jets.constituents, axis=2) == 2]
    ratio = ak.flatten(ak.sum(two.constituents, axis=-1).mass / two.softdrop)
    assert ratio.to_numpy() == pytest.approx(1, abs=1e-9)
