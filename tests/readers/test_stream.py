"""Streams give the jets of their files, row group by row group, and only the columns that are needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from coffea_equitag import JetError, UnitWarning, make_jets, read_jets, readers
from coffea_equitag.readers.stream_columns import Columns, constituents_read


def some_jets(number: int = 100, seed: int = 0) -> ak.Array:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 6, number)
    total = int(counts.sum())
    columns = {name: generator.normal(size=total).astype(np.float32) for name in ("px", "py", "pz")}
    columns |= {"mass": np.full(total, 0.14, np.float32), "charge": generator.integers(-1, 2, total)}
    momenta = {name: generator.uniform(1, 2, number) for name in ("pt", "eta", "phi", "mass")}
    return make_jets(ak.unflatten(ak.zip(columns), counts), **momenta, label=np.arange(number) % 2)


def flat_columns(jets: ak.Array) -> dict[str, ak.Array]:
    parts = {f"part_{name}": jets.constituents[name] for name in jets.constituents.fields}
    return parts | {f"jet_{name}": jets[name] for name in ("pt", "eta", "phi", "mass")} | {"label": jets.label}


def write_flat_tree(jets: ak.Array, path: Path, rntuple: bool) -> None:
    with uproot.recreate(path) as file:
        columns = flat_columns(jets)
        make = file.mkrntuple if rntuple else file.mktree
        tree = make("tree", {name: column.type.content for name, column in columns.items()})
        for first in range(0, len(jets), 30):
            tree.extend({name: ak.to_packed(column[first : first + 30]) for name, column in columns.items()})


FORMS = {
    "canonical.parquet": lambda jets, path: ak.to_parquet(jets, path, row_group_size=30),
    "flat.parquet": lambda jets, path: ak.to_parquet(ak.Array(flat_columns(jets)), path, row_group_size=30),
    "tree.root": lambda jets, path: write_flat_tree(jets, path, rntuple=False),
    "ntuple.root": lambda jets, path: write_flat_tree(jets, path, rntuple=True),
}


@pytest.fixture(params=FORMS)
def file(request, tmp_path):
    path = tmp_path / request.param
    FORMS[request.param](some_jets(), path)
    return path


def assert_same(left: ak.Array, right: ak.Array) -> None:
    assert sorted(left.fields) == sorted(right.fields)
    for name in right.fields:
        if name == "constituents":
            assert_same(left[name], right[name])
        else:
            assert ak.array_equal(left[name], right[name], dtype_exact=False), name


def test_a_stream_has_the_jets_of_its_files_in_their_order(file):
    stream = readers.stream([file, file])
    assert [(group.start, group.stop) for group in stream.groups] == 2 * [(0, 30), (30, 60), (60, 90), (90, 100)]
    assert [len(jets) for jets in stream] == 2 * [30, 30, 30, 10]
    assert_same(ak.concatenate(list(stream)), read_jets([file, file]))


def test_columns_are_left_out(file):
    stream = readers.stream(file)
    assert stream.separate
    group = stream.groups[1]
    (whole,) = stream.read(group)
    (momenta,) = stream.read(group, Columns.of(()))
    (light,) = stream.read(group, Columns(None))
    assert set(momenta.constituents.fields) == {"px", "py", "pz", "mass"}
    assert_same(momenta.constituents, whole.constituents[["px", "py", "pz", "mass"]])
    assert "constituents" not in light.fields
    assert_same(light, whole[[name for name in whole.fields if name != "constituents"]])


def test_only_the_leaves_needed_are_read(tmp_path, monkeypatch):
    path = tmp_path / "jets.parquet"
    ak.to_parquet(some_jets(), path)
    seen = []
    original = pq.ParquetFile.read_row_group

    def spying(self, number, columns=None, **options):
        seen.append(columns)
        return original(self, number, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spying)
    stream = readers.stream(path)
    list(stream.read(stream.groups[0], Columns(None)))
    list(stream.read(stream.groups[0], Columns.of(("charge",))))
    own = ["pt", "eta", "phi", "mass", "label"]
    assert seen[0] == own
    assert sorted(name.rpartition(".")[2] for name in seen[1][5:]) == ["charge", "mass", "px", "py", "pz"]


def test_large_row_groups_are_read_in_pieces(tmp_path):
    path = tmp_path / "jets.parquet"
    ak.to_parquet(some_jets(), path)
    stream = readers.stream(path, shuffle=64)
    pieces = list(stream)
    assert [len(piece) for piece in pieces] == [16] * 6 + [4]
    assert_same(ak.concatenate(pieces), read_jets(path))


def test_large_row_groups_are_never_in_memory(tmp_path):
    path = tmp_path / "jets.parquet"
    table = ak.to_arrow_table(some_jets(60_000), extensionarray=False)
    pq.write_table(table, path, compression="none", use_dictionary=False, data_page_size=1 << 14)
    # a process of its own, as Arrow counts from its beginning
    program = (
        "import sys, pyarrow\n"
        "from coffea_equitag.readers import stream, stream_file\n"
        "stream_file._BUFFER = 1 << 14\n"
        "assert len([len(jets) for jets in stream(sys.argv[1], shuffle=400)]) == 600\n"
        "print(pyarrow.default_memory_pool().max_memory())"
    )
    words = [sys.executable, "-c", program, str(path)]
    most = int(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
    # of each of ten columns a page and a buffer of 16 kB, of the whole row group 6 MB
    assert most < 1e6 < path.stat().st_size / 3


def test_large_clusters_are_cut(tmp_path):
    path = tmp_path / "jets.root"
    jets = some_jets()
    with uproot.recreate(path) as root:
        root["tree"] = flat_columns(jets)
    pieces = list(readers.stream(path, shuffle=64))
    assert [len(piece) for piece in pieces] == [14, 14, 14, 15, 14, 14, 15]
    assert_same(ak.concatenate(pieces), read_jets(path))


def test_wide_files_have_no_columns_of_their_own(tmp_path):
    path = tmp_path / "wide.parquet"
    columns = {
        f"{name}_{k}": np.full(5, 2.0 if name == "E" else 1.0) for name in ("E", "PX", "PY", "PZ") for k in (0, 1)
    }
    ak.to_parquet(ak.Array(columns | {"is_signal_new": np.arange(5) % 2}), path)
    stream = readers.stream(path)
    assert not stream.separate
    assert_same(next(iter(stream)), read_jets(path))


def test_events_become_jets(tmp_path):
    path = tmp_path / "events.parquet"
    jets = some_jets(60)
    ak.to_parquet(ak.Array({"constituents": ak.mask(jets, jets.label == 1).constituents}), path)
    (found,) = readers.stream(path)
    assert len(found) == 60


def test_units(tmp_path):
    path = tmp_path / "flat.parquet"
    ak.to_parquet(ak.Array(flat_columns(some_jets()) | {"grade": np.ones(100)}), path)
    stream = readers.stream(path, units="MeV")
    with pytest.warns(UnitWarning, match="grade"):
        assert len(stream.prototype) == 0
    with pytest.warns(UnitWarning, match="grade"):
        expected = read_jets(path, units="MeV")
    assert_same(next(iter(stream)), expected)


def test_empty_files(tmp_path):
    path = tmp_path / "none.parquet"
    ak.to_parquet(some_jets()[:0], path)
    assert list(readers.stream(path)) == []


@pytest.mark.parametrize(("options", "message"), [({"shuffle": 0}, "shuffle=0"), ({"workers": -1}, "workers=-1")])
def test_impossible_options(tmp_path, options, message):
    ak.to_parquet(some_jets(), tmp_path / "jets.parquet")
    with pytest.raises(JetError, match=message):
        readers.stream(tmp_path, **options)
    with pytest.raises(JetError, match="no file"):
        readers.stream(tmp_path / "nothing.parquet")
    with pytest.raises(JetError, match="jets='Jet' for"):
        readers.stream(tmp_path, jets="Jet")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(JetError, match=r"notes\.txt, whose suffix '\.txt' is unknown"):
        readers.stream(tmp_path / "notes.txt")


def test_a_file_that_changes_is_refused(file):
    stream = readers.stream(file)
    first = stream.groups[0]
    # another time of change alone is none
    os.utime(file, ns=(1, 1))
    list(stream.read(first))
    FORMS[file.name](some_jets(seed=1), file)
    with pytest.raises(JetError, match=f"{file.name}, which has changed"):
        list(stream.read(first))
    file.unlink()
    with pytest.raises(JetError, match=file.name):
        list(stream.read(first))


def test_a_damaged_row_group_is_named(tmp_path):
    path = tmp_path / "jets.parquet"
    table = pq.read_table(_written(tmp_path / "whole.parquet"))
    pq.write_table(table, path, row_group_size=30, write_page_checksum=True, compression="none", use_dictionary=False)
    column = pq.read_metadata(path).row_group(2).column(0)
    damaged = bytearray(path.read_bytes())
    damaged[column.data_page_offset + column.total_compressed_size - 4] ^= 1
    path.write_bytes(damaged)
    stream = readers.stream(path)
    with pytest.raises(JetError, match=r"jets\.parquet, rows 60 to 89, which cannot be read as a Parquet file"):
        list(stream)


def _written(path: Path) -> Path:
    ak.to_parquet(some_jets(), path)
    return path


def test_what_a_function_reads_of_the_constituents():
    jets = some_jets()[:0]
    assert constituents_read(lambda jets: (jets.pt > 1) & (abs(jets.eta) < 2), jets) == Columns(None)
    assert constituents_read(lambda jets: ak.sum(jets.constituents.charge, axis=1), jets) == Columns.of(["charge"])
    everything = Columns(frozenset(jets.constituents.fields))
    assert constituents_read(lambda jets: np.asarray(jets.pt) > 1, jets) == everything
