"""A tree's description, built with counts that run along: the same bytes as uproot's own."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot
from uproot.writing import _cascadetree

from coffea_equitag.scoring import tree_description
from coffea_equitag.scoring.branches import branch_layout
from coffea_equitag.scoring.tree_writer import TreeWriter


@pytest.fixture
def wide_tree(tmp_path):
    """A tree of flat branches of every kind and of jagged ones that share a counter."""
    kinds = ("bool", "int8", "uint16", "int32", "uint64", "float32", "float64")
    jagged = {f"x{i}": ak.values_astype(ak.Array([[1, 2], [], [3]]), kinds[i % 7]) for i in range(60)}
    columns = {f"b{i}": np.arange(3).astype(kinds[i % 7]) for i in range(60)}
    columns |= {"matrix": np.ones((3, 2)), "name": ak.Array(["a", "bc", ""]), "X": ak.zip(jagged)}
    types = {name: ak.Array(column).type.content for name, column in columns.items()}
    with uproot.recreate(tmp_path / "wide.root") as file:
        tree = file.mktree("Events", types, "a title")
        tree.extend(columns)
        yield tree


def test_the_same_bytes(wide_tree):
    method = tree_description._rewritten()
    if method is None:
        pytest.skip("this uproot's description takes a time in proportion to its branches")
    cascade = wide_tree._cascading
    expected = _cascadetree.Tree._build_out(cascade)
    places = [dict(datum) for datum in cascade._branch_data]
    found = method(cascade)
    assert type(found) is tree_description._Pieces
    assert b"".join(found) == b"".join(expected)
    assert found.size == sum(map(len, expected))
    assert found.open == 0
    offsets = ("metadata_start", "basket_metadata_start", "tleaf_reference_number")
    assert [[d.get(n) for n in offsets] for d in cascade._branch_data] == [[d.get(n) for n in offsets] for d in places]


def test_uproot_is_left_as_it_was(tmp_path):
    before = _cascadetree.Tree.__dict__.get("_build_out")
    with pytest.raises(ZeroDivisionError), tree_description.running_counts():
        raise ZeroDivisionError
    assert _cascadetree.Tree.__dict__.get("_build_out") == before


def test_inert_where_uproot_has_no_such_sums(monkeypatch):
    class Tree:
        def _build_out(self):
            out = [None]
            out[0] = b"done otherwise"
            return out

    monkeypatch.setattr(_cascadetree, "Tree", Tree)
    tree_description._rewritten.cache_clear()
    try:
        with tree_description.running_counts():
            assert Tree.__dict__["_build_out"](None) == [b"done otherwise"]
            assert type(Tree()._build_out()) is list
    finally:
        tree_description._rewritten.cache_clear()


def test_uncounted_changes_are_noticed(wide_tree, monkeypatch):
    """A version that changes pieces in another way is asked for its own description."""
    if tree_description._rewritten() is None:
        pytest.skip("this uproot's description takes a time in proportion to its branches")
    monkeypatch.setattr(tree_description._Pieces, "insert", list.insert)
    expected = _cascadetree.Tree._build_out(wide_tree._cascading)
    assert tree_description._rewritten()(wide_tree._cascading) == expected


@pytest.mark.skipif(not hasattr(_cascadetree.Tree, "_build_out"), reason="this uproot describes trees in other ways")
def test_lengths_are_taken_in_proportion_to_branches(tmp_path, monkeypatch):
    """Twice as many branches, twice as many lengths; uproot's own take four times as many."""

    def lengths(number):
        found = []
        monkeypatch.setattr(_cascadetree, "len", lambda x: found.append(1) or len(x), raising=False)
        tree_description._rewritten.cache_clear()
        types = {f"b{i}": np.dtype(np.float32) for i in range(number)}
        with uproot.recreate(tmp_path / "in.root") as file, tree_description.running_counts():
            file.mktree("Events", types)
        monkeypatch.delattr(_cascadetree, "len")
        return len(found)

    try:
        few, many = lengths(200), lengths(400)
    finally:
        tree_description._rewritten.cache_clear()
    assert many < 2.5 * few


def test_written_trees_are_read_back(tmp_path, wide_tree):
    wide_tree._file.close()
    with uproot.open(tmp_path / "wide.root") as source, uproot.recreate(tmp_path / "copy.root") as target:
        events = source["Events"]
        layout = branch_layout(events)
        writer = TreeWriter(target, "Events", "a title", layout)
        arrays = {name: events[name].array() for name in layout.names}
        writer.extend(arrays)
        writer.extend(arrays)
    with uproot.open(tmp_path / "copy.root") as file:
        for name, column in arrays.items():
            assert file["Events"][name].array().tolist() == column.tolist() * 2
