"""The Top Quark Tagging Reference Dataset: tables written by pandas in the published layout."""

from __future__ import annotations

import importlib

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pytest

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import read_top_landscape
from coffea_equitag.readers.datasets import top_landscape

SLOTS = 200
COLUMNS = [f"{name}_{i}" for i in range(SLOTS) for name in ("E", "PX", "PY", "PZ")]
TRUTH = ["truthE", "truthPX", "truthPY", "truthPZ"]


def frame(counts, seed=0):
    """Jets with given multiplicities in the published columns."""
    rng = np.random.default_rng(seed)
    values = np.zeros((len(counts), SLOTS, 4), dtype=np.float32)
    for jet, count in enumerate(counts):
        p = rng.normal(0, 30, (count, 3)).astype(np.float32)
        values[jet, :count, 1:] = p
        values[jet, :count, 0] = np.sqrt((p.astype(np.float64) ** 2).sum(axis=1))
    table = pd.DataFrame(values.reshape(len(counts), 4 * SLOTS), columns=COLUMNS)
    truth = np.arange(4 * len(counts), dtype=np.float32).reshape(-1, 4)
    table = pd.concat([table, pd.DataFrame(truth, columns=TRUTH)], axis=1)
    table["ttv"] = np.full(len(counts), 2, dtype=np.int64)
    table["is_signal_new"] = (np.arange(len(counts)) % 2).astype(np.int64)
    return table


def write(path, table, **options):
    table.to_hdf(path, key="table", format="table", **{"complib": "blosc", "complevel": 5} | options)
    return path


def expected(table, jet):
    rows = table[COLUMNS].to_numpy()[jet].reshape(SLOTS, 4)
    return rows[(rows != 0).any(axis=1)]


@pytest.fixture
def table():
    return frame([3, 0, 200, 1, 17])


@pytest.mark.parametrize("complib", ["blosc", "zlib", None])
def test_published_table(tmp_path, table, complib):
    options = {"complib": complib} if complib else {"complib": None, "complevel": None}
    jets = read_top_landscape(write(tmp_path / "test.h5", table, **options))
    assert ak.num(jets.constituents).tolist() == [3, 0, 200, 1, 17]
    assert jets.label.tolist() == [0, 1, 0, 1, 0]
    assert jets.ttv.tolist() == [2] * 5
    for jet in range(5):
        rows = expected(table, jet)
        for column, name in enumerate(["E", "px", "py", "pz"]):
            assert jets.constituents[name][jet].tolist() == rows[:, column].tolist()
    assert jets.constituents.px.type.content.content == ak.types.NumpyType("float32")
    assert jets.truth_E.tolist() == table["truthE"].tolist()
    assert jets.truth_pz.tolist() == table["truthPZ"].tolist()


def test_order_of_columns_does_not_matter(tmp_path, table):
    shuffled = table[list(np.random.default_rng(1).permutation(table.columns))]
    jets = read_top_landscape(write(tmp_path / "shuffled.h5", shuffled))
    assert jets.tolist() == read_top_landscape(write(tmp_path / "straight.h5", table)).tolist()


def test_columns_of_their_own(tmp_path, table):
    path = write(tmp_path / "own.h5", table, data_columns=["is_signal_new"])
    assert read_top_landscape(path).label.tolist() == [0, 1, 0, 1, 0]


def test_ranges_and_blocks(tmp_path, table, monkeypatch):
    path = write(tmp_path / "a.h5", table)
    whole = read_top_landscape([path, path])
    assert len(whole) == 10
    monkeypatch.setattr(top_landscape, "_BLOCK", 2)
    assert read_top_landscape([path, path]).tolist() == whole.tolist()
    assert read_top_landscape([path, path], entry_start=3, entry_stop=7).tolist() == whole[3:7].tolist()
    assert read_top_landscape(path, entry_start=-1).tolist() == whole[4:5].tolist()
    empty = read_top_landscape(path, entry_start=2, entry_stop=2)
    assert len(empty) == 0
    assert set(empty.fields) == set(whole.fields)


def test_no_jets(tmp_path):
    path = write(tmp_path / "empty.h5", frame([3]))
    with h5py.File(path, "a") as file:  # pandas itself writes no empty table
        file["table/table"].resize((0,))
    jets = read_top_landscape(path)
    assert len(jets) == 0
    assert jets.constituents.fields == ["px", "py", "pz", "E"]


def test_only_padding(tmp_path):
    jets = read_top_landscape(write(tmp_path / "padding.h5", frame([0, 0])))
    assert ak.num(jets.constituents).tolist() == [0, 0]


def test_parquet_of_the_same_columns(tmp_path, table):
    table.to_parquet(tmp_path / "top.parquet")
    by_hdf5 = read_top_landscape(write(tmp_path / "top.h5", table))
    assert read_top_landscape(tmp_path / "top.parquet").tolist() == by_hdf5.tolist()
    assert read_jets(tmp_path / "top.parquet").tolist() == by_hdf5.tolist()
    assert read_jets(tmp_path / "top.h5").tolist() == by_hdf5.tolist()


def test_real_jets_in_the_conversion_for_weaver(shared_data):
    jets = read_top_landscape(shared_data / "top_landscape_1000.parquet", entry_stop=20)
    assert jets.tolist() == read_jets(shared_data / "top_landscape_1000.parquet")[:20].tolist()


def test_missing_value_in_parquet(tmp_path, table):
    ak.to_parquet(
        ak.Array({name: table[name].to_numpy() for name in table} | {"PX_3": [1.0, None, 2, 3, 4]}),
        tmp_path / "a.parquet",
    )
    with pytest.raises(JetError, match="missing values in PX_3"):
        read_top_landscape(tmp_path / "a.parquet")


@pytest.mark.parametrize(("dropped", "said"), [("PX_7", "without column PX_7"), ("is_signal_new", "is_signal_new")])
def test_missing_column_lists_what_there_is(tmp_path, table, dropped, said):
    path = write(tmp_path / "wrong.h5", table.drop(columns=dropped))
    with pytest.raises(JetError, match=said) as error:
        read_top_landscape(path)
    assert "805 columns: E_0, PX_0" in str(error.value)


def test_other_columns(tmp_path):
    path = write(tmp_path / "other.h5", pd.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(JetError, match="it has a, b"):
        read_top_landscape(path)


def test_other_hdf5(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["something"] = np.zeros(3)
    with pytest.raises(JetError, match="with something"):
        read_top_landscape(tmp_path / "other.h5")


def test_not_hdf5(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(JetError, match="cannot be read as an HDF5 file"):
        read_top_landscape(tmp_path / "text.h5")


def test_truncated(tmp_path, table):
    path = write(tmp_path / "whole.h5", table)
    (tmp_path / "part.h5").write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(JetError, match=r"part\.h5"):
        read_top_landscape(tmp_path / "part.h5")


def test_names_that_are_code_are_not_run(tmp_path, table):
    path = write(tmp_path / "code.h5", table)
    with h5py.File(path, "a") as file:
        file["table/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'touch broken'\ntR.")
    with pytest.raises(JetError, match=r"os\.system is not a string|posix"):
        read_top_landscape(path)


@pytest.mark.parametrize("package", ["h5py", "hdf5plugin"])
def test_missing_package_is_named(tmp_path, table, package, monkeypatch):
    path = write(tmp_path / "test.h5", table)
    whole = importlib.import_module

    def without(name, *rest):
        if name == package:
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(JetError, match=package) as error:
        read_top_landscape(path)
    assert "pip install 'coffea-equitag[datasets]'" in str(error.value)
