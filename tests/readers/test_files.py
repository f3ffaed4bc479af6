"""Jets from files: both Parquet layouts, flat ROOT and ROOT file of events, and invalid files."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot
import vector

from coffea_equitag.errors import JetError, UnitWarning
from coffea_equitag.jets import flatten, make_jets
from coffea_equitag.readers import nanoaod, read_jets

FLAT = {
    "part_px": [[30.0, 1.0, 0.0], [], [20.0]],
    "part_py": [[0.0, 2.0, 0.0], [], [1.0]],
    "part_pz": [[5.0, 2.0, 0.0], [], [-4.0]],
    "part_energy": [[31.0, 3.0, 0.0], [], [20.5]],
    "part_charge": [[1, 0, 0], [], [-1]],
    "part_d0val": [[0.5, 0.0, 0.0], [], [0.25]],
    "label": [1, 0, 1],
}


def arrays(**changes):
    columns = {name: values for name, values in {**FLAT, **changes}.items() if values is not None}
    return {
        name: ak.values_astype(ak.Array(values), np.float32 if name.startswith("part_") else np.int8)
        for name, values in columns.items()
    }


def write_parquet(path, **changes):
    ak.to_parquet(ak.zip(arrays(**changes), depth_limit=1), path)
    return path


def write_root(path, kind, **changes):
    columns = arrays(**changes)
    columns["label"] = ak.values_astype(columns["label"], np.int32)
    with uproot.recreate(path) as file:
        if kind == "TTree":
            file.mktree("Events", {name: column.type.content for name, column in columns.items()}).extend(columns)
        else:
            file.mkrntuple("Events", columns)
    return path


@pytest.mark.parametrize("name", ["top_landscape_1000", "energyflow_qg_1000"])
def test_published_sets(shared_data, name):
    jets = read_jets(shared_data / f"{name}.parquet")
    assert len(jets) == 1000
    assert set(jets.label.tolist()) == {0, 1}
    assert jets.constituents.fields == ["px", "py", "pz", "E"]
    assert jets.constituents.px.type.content.content == ak.types.NumpyType("float32")
    assert isinstance(jets.constituents, vector.backends.awkward.MomentumArray4D)
    part = read_jets(shared_data / f"{name}.parquet", entry_start=10, entry_stop=13)
    assert part.tolist() == jets[10:13].tolist()


@pytest.mark.parametrize("kind", ["parquet", "TTree", "RNTuple"])
def test_flat_layout(tmp_path, kind):
    path = tmp_path / ("jets.parquet" if kind == "parquet" else "jets.root")
    write_parquet(path) if kind == "parquet" else write_root(path, kind)
    jets = read_jets(path)
    assert jets.constituents.px.tolist() == [[30, 1], [], [20]]  # padding is gone
    assert jets.constituents.charge.tolist() == [[1, 0], [], [-1]]
    assert jets.constituents.d0.tolist() == [[0.5, 0], [], [0.25]]
    assert jets.label.tolist() == [1, 0, 1]


def test_jetclass_names(tmp_path):
    flags = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron"]
    path = write_parquet(
        tmp_path / "jets.parquet",
        **{f"part_{flag}": [[0, 0, 0], [], [0]] for flag in flags[1::2]},
        part_isChargedHadron=[[1, 0, 0], [], [0]],
        part_isMuon=[[0, 0, 0], [], [1]],
        part_isPhoton=[[0, 1, 0], [], [0]],
        part_deta=[[0, 0, 0], [], [0]],
        part_pt=[[30, 2.2, 0], [], [20]],
        jet_pt=[31, 0, 20],
        jet_eta=[0, 0, 0],
        jet_phi=[0, 0, 0],
        jet_energy=[32, 0, 20],
        label_QCD=[1, 0, 0],
    )
    jets = read_jets(path)
    assert jets.constituents.pdgId.tolist() == [[211, 22], [], [13]]
    assert set(jets.constituents.fields) >= {"px", "py", "pz", "E", "deta", "isMuon"}
    assert "pt" not in jets.constituents.fields
    assert jets.mass.tolist() == pytest.approx([np.sqrt(32**2 - 31**2), 0, 0])
    assert jets.label_QCD.tolist() == [1, 0, 0]


def test_padded_and_optional_columns(tmp_path):
    padded = {name: [[v, 0.0, 0.0], [v, v, 0.0]] for name, v in [("part_px", 3.0), ("part_py", 4.0), ("part_pz", 1.0)]}
    columns = {**padded, "part_energy": [[6.0, 0, 0], [6.0, 6.0, 0]], "label": [0, 1]}
    array = ak.zip({k: ak.Array(np.array(v, dtype=np.float32)) for k, v in columns.items()}, depth_limit=1)
    path = tmp_path / "padded.parquet"
    ak.to_parquet(array, path, extensionarray=False)
    assert ak.num(read_jets(path).constituents, axis=1).tolist() == [1, 2]


@pytest.mark.parametrize("nested", [False, True])
def test_canonical_round_trip(tmp_path, nested):
    flat = make_jets(
        ak.zip({"pt": [[10.0, 5.0], [], [3.0]], "eta": 0.1, "phi": 0.2, "mass": 0.0, "pdgId": 211}),
        label=[1, 0, 1], pt=[15.0, 0.0, 3.0], eta=[0.1, 0.0, 0.1], phi=[0.2, 0.0, 0.2], mass=[1.0, 0.0, 0.0],
    )  # fmt: skip
    jets = ak.unflatten(flat, [2, 0, 1]) if nested else ak.mask(flat, [True, False, True])
    path = tmp_path / "jets.parquet"
    ak.to_parquet(jets, path)
    read = read_jets(path)
    assert read.tolist() == jets.tolist()
    assert read.constituents.px.tolist() == jets.constituents.px.tolist()
    assert read.deltaR(read).tolist() == jets.deltaR(jets).tolist()
    assert flatten(read).nesting.num_jets == (3 if nested else 2)
    assert read_jets(path, entry_stop=0).tolist() == []


def test_several_files_and_ranges(tmp_path):
    for name in ("a", "b", "c"):
        write_parquet(tmp_path / f"{name}.parquet")
    jets = read_jets(tmp_path / "*.parquet")
    assert jets.label.tolist() == [1, 0, 1] * 3
    assert jets.constituents.px.tolist()[6] == [30, 1]
    for start, stop in [(2, 7), (4, 5), (-2, None), (9, None), (3, 6), (5, 5)]:
        part = read_jets([tmp_path / f"{n}.parquet" for n in "abc"], entry_start=start, entry_stop=stop)
        assert part.tolist() == jets[start:stop].tolist()
    write_parquet(tmp_path / "d.parquet", part_charge=None)
    with pytest.raises(JetError, match="different columns: charge"):
        read_jets(tmp_path / "*.parquet")


def test_row_groups(tmp_path):
    path = tmp_path / "jets.parquet"
    ak.to_parquet(ak.zip(arrays(), depth_limit=1), path, row_group_size=1)
    assert read_jets(path, entry_start=1, entry_stop=3).label.tolist() == [0, 1]


def test_all_dimensionful_columns_are_converted(tmp_path):
    """By their names, in constituents, jets and records within them; what says nothing is named in a warning."""
    momenta = {"px": [[3e4, 1e3]], "py": [[0.0, 0.0]], "pz": [[0.0, 0.0]], "E": [[3e4, 1e3]]}
    columns = {"ptErr": [[300.0, 10.0]], "qOverP": [[2e-6, 1e-3]], "d0": [[0.1, 0.2]], "charge": 1}
    fields = {"truth_E": [5e4], "sdmass": [8e4], "mass2": [6.4e9], "tau21": [0.3], "label": [1], "blob": [2.5]}
    truth = ak.zip({"pt": [4e4], "mass": [1.73e5], "pdgId": [6]})
    jets = make_jets(ak.zip(momenta | columns), **fields, truth=truth)
    ak.to_parquet(jets, tmp_path / "jets.parquet")
    with pytest.warns(UnitWarning, match=r"units='MeV' left blob as in the file") as warned:
        read = read_jets(tmp_path / "jets.parquet", units="MeV")
    assert len(warned) == 1
    found = read.constituents
    assert found.E.tolist() == found.px.tolist() == [[30, 1]]
    assert (found.ptErr.tolist(), found.qOverP.tolist(), found.d0.tolist()) == (
        [[0.3, 0.01]],
        [[2e-3, 1]],
        [[0.1, 0.2]],
    )
    assert (read.truth_E[0], read.sdmass[0], read.mass2[0], read.tau21[0]) == pytest.approx((50, 80, 6400, 0.3))
    assert (read.truth.pt[0], read.truth.mass[0], read.truth.pdgId[0]) == pytest.approx((40, 173, 6))
    assert (read.label[0], read.blob[0]) == (1, 2.5)


def test_whole_mev_make_no_masses(tmp_path):
    """A massless particle of 5.4 TeV in whole MeV: E² − p² is the rounding, 104 MeV; and as whole GeV 104 GeV."""
    rng = np.random.default_rng(0)
    p = rng.normal(0, 2e6, (3, 1000))
    columns = dict(
        zip(("px", "py", "pz", "energy"), np.rint([*p, np.sqrt((p**2).sum(0))]).astype(np.int64), strict=True)
    )
    table = ak.zip({f"part_{name}": ak.unflatten(v, 10) for name, v in columns.items()}, depth_limit=1)
    ak.to_parquet(table, tmp_path / "jets.parquet")
    for units in ("MeV", "GeV"):
        jets = read_jets(tmp_path / "jets.parquet", units=units, validate=False)
        assert not flatten(jets).momenta.mass.any()


def test_units(tmp_path):
    path = write_parquet(tmp_path / "jets.parquet", part_px=[[3e9, 1, 0], [], [1]], part_energy=[[3e9, 3, 0], [], [9]])
    with pytest.raises(JetError, match="MeV"):
        read_jets(path)
    jets = read_jets(path, units="MeV", validate=False)
    assert jets.constituents.px[0, 0] == pytest.approx(3e6)
    assert jets.constituents.charge[0].tolist() == [1, 0]
    assert isinstance(jets.constituents, vector.backends.awkward.MomentumArray4D)
    with pytest.raises(JetError, match="TeV"):
        read_jets(path, units="TeV")


def test_nanoaod_file(shared_data):
    path = shared_data / "pfnano.root"
    jets = read_jets(path, jets="FatJet")
    assert ak.sum(jets.constituents, axis=-1).pt[0].tolist() == pytest.approx([1582.6, 1292.7, 278.1], abs=0.06)
    assert {"hadronFlavour", "nBHadrons", "nCHadrons"} <= set(jets.fields)
    assert {"d0", "dz", "charge", "pdgId"} <= set(jets.constituents.fields)
    assert read_jets(path, jets="FatJet", entry_start=4, entry_stop=6).pt.tolist() == jets.pt[4:6].tolist()
    assert len(read_jets(path, jets="Jet")) == 10
    with pytest.raises(JetError, match=r"jets=\.\.\., one of(.|\n)*FatJet"):
        read_jets(path)
    with pytest.raises(JetError, match="without 'SubMarine'"):
        read_jets(path, jets="SubMarine")


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
def test_central_nanoaod_file(tmp_path, kind):
    tables = {
        "FatJet": {"pt": [[30.0, 8.0], [], [7.0]], "eta": [[0.0, 1.0], [], [2.0]],
                   "phi": [[0.0, 1.0], [], [2.0]], "mass": [[1.0, 1.0], [], [1.0]],
                   "hadronFlavour": [[5, 0], [], [4]]},
        "FatJetPFCand": {"jetIdx": [[0, 1, 0], [], [0]], "pfCandIdx": [[0, 1, 2], [], [0]]},
        "PFCand": {"pt": [[20.0, 8.0, 10.0], [], [7.0]], "eta": [[0.1, 1.1, 0.0], [], [2.0]],
                   "phi": [[0.0, 1.0, 0.1], [], [2.0]], "mass": [[0.0, 0.0, 0.0], [], [0.0]],
                   "pdgId": [[211, 22, -11], [], [130]]},
    }  # fmt: skip
    records = {
        name: ak.zip({
            key: ak.values_astype(ak.Array(column), np.int32 if isinstance(column[0][0], int) else np.float32)
            for key, column in columns.items()
        })
        for name, columns in tables.items()
    }  # fmt: skip
    path = tmp_path / "nano.root"
    with uproot.recreate(path) as file:
        if kind == "TTree":
            types = {name: record.type.content for name, record in records.items()}
            tree = file.mktree(
                "Events",
                types,
                counter_name=lambda n: "n" + n,
                field_name=lambda outer, inner: f"{outer}_{inner}",
            )
            tree.extend(records)
        else:
            file.mkrntuple("Events", records)
    jets = read_jets(path, jets="FatJet")
    assert jets.constituents.pt.tolist() == [[[20, 10], [8]], [], [[7]]]
    assert jets.constituents.charge.tolist() == [[[1, 1], [0]], [], [[0]]]
    assert jets.hadronFlavour.tolist() == [[5, 0], [], [4]]
    assert jets.tolist() == nanoaod(ak.zip(records, depth_limit=1)).tolist()


def test_parquet_with_the_energy_beside_the_mass(tmp_path):
    constituents = ak.Array([[{"pt": 5.0, "eta": 1.0, "phi": 1.0, "mass": 0.1, "energy": 9.0}]])
    own = {"pt": [5.0], "eta": [1.0], "phi": [1.0], "mass": [0.1], "energy": [9.0]}
    ak.to_parquet(ak.zip({**own, "constituents": constituents}, depth_limit=1), tmp_path / "jets.parquet")
    jets = read_jets(tmp_path / "jets.parquet")
    assert jets.constituents.energy.tolist() == [[9.0]]
    assert flatten(jets).momenta.mass.tolist() == [0.1]


def test_refused_files(tmp_path):
    with pytest.raises(JetError, match="no file"):
        read_jets(tmp_path / "missing.parquet")
    with pytest.raises(JetError, match="no file"):
        read_jets(str(tmp_path / "*.root"))
    with pytest.raises(JetError, match=r"no file 'root:(.|\n)*NanoEventsFactory"):
        read_jets("root://host//file.root")
    with pytest.raises(JetError, match="empty list"):
        read_jets([])
    (tmp_path / "jets.csv").write_text("px,py\n")
    with pytest.raises(JetError, match=r"suffix '\.csv'"):
        read_jets(tmp_path / "jets.csv")
    for name in ("broken.parquet", "broken.root"):
        (tmp_path / name).write_text("nothing of the kind, but long enough to be opened and looked at" * 20)
        with pytest.raises(JetError, match="cannot be read as"):
            read_jets(tmp_path / name)
    path = write_parquet(tmp_path / "jets.parquet")
    with pytest.raises(JetError, match="ROOT file of events"):
        read_jets(path, jets="FatJet")
    ak.to_parquet(ak.Array({"x": [1, 2], "name": [3, 4]}), tmp_path / "other.parquet")
    with pytest.raises(JetError, match="columns x, name"):
        read_jets(tmp_path / "other.parquet")
    with uproot.recreate(tmp_path / "physlite.root") as file:
        file.mktree("CollectionTree", {"JetsAux.": "int32", "Jets.pt": "float32"})
    with pytest.raises(JetError, match="events without 'Jets'"):
        read_jets(tmp_path / "physlite.root", jets="Jets")
    write_root(tmp_path / "jets.root", "TTree")
    with pytest.raises(JetError, match=r"without a tree 'tree'; it has Events"):
        read_jets(tmp_path / "jets.root", tree="tree")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part_pz": None}, r"it has part_px, part_py, part_energy"),
        ({"part_py": [[0, 2], [], [1]]}, r"jet 0 of .* has 3 values of 'px' but 2 of 'py'"),
        ({"part_charge": [[0, 2, 0], [1], [1]]}, r"jet 1 of .* but 1 of 'charge'"),
        ({"part_px": [[1, 2, None], [], [1]]}, r"jet 0 of .* missing value in 'part_px'"),
        ({"part_px": [[1, 2, 0], None, [1]]}, r"jet 1 of .* missing value in 'part_px'"),
        ({"part_px": [1, 2, 3]}, r"column 'part_px' of .* of type"),
    ],
)
def test_refused_columns(tmp_path, changes, message):
    path = write_parquet(tmp_path / "jets.parquet", **changes)
    with pytest.raises(JetError, match=message):
        read_jets(path)
