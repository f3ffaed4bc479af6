"""Labels from columns: numbers, values by name, one-hot."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.training.data.jet_columns import JetColumns
from coffea_equitag.training.data.label_map import is_array, label_map

FLAVOUR = [5, -5, 4, 0, 21, 3]


@pytest.fixture
def columns(toy):
    jets = ak.with_field(toy(6), FLAVOUR, "flavour")
    jets["is_b"] = [1, 1, 0, 0, 0, 0]
    jets["is_c"] = np.array([0, 0, 1, 0, 0, 0], dtype=bool)
    jets["is_g"] = np.array([0, 0, 0, 0, 1, 0], dtype=np.float32)
    return JetColumns(jets)


def test_values_by_name(columns):
    mapped, classes = label_map("|flavour|", {5: "b", 4: "c", "0, 1,2,3": "light", (21, 9): "light"}, None, 3)
    # in the order of their smallest values, so that the signal, by default the last, is b
    assert classes == ("light", "c", "b")
    assert mapped(columns).tolist() == [2, 2, 1, 0, 0, 0]
    mapped, classes = label_map("|flavour|", {"5": "b", "4": "c", "0,1,2,3,21": "light"}, ["b", "c", "light"], 3)
    assert classes == ("b", "c", "light")
    assert mapped(columns).tolist() == [0, 0, 1, 2, 2, 2]


def test_without_absolute_value_and_unmapped(columns):
    mapped, _ = label_map("flavour", {5: "b", 4: "c", 0: "light"}, None, 3)
    assert mapped(columns).tolist() == [2, -1, 1, 0, -1, -1]
    assert mapped.describe(columns, 1) == "is -5"
    assert mapped.expected == "one of 0, 4, 5"


def test_one_hot(columns):
    mapped, classes = label_map({"light": [], "c": "is_c", "b": ["is_b", "flavour == 6"]}, None, None, 3)
    assert classes == ("light", "c", "b")
    assert mapped(columns).tolist() == [2, 2, 1, 0, 0, 0]
    mapped, classes = label_map(["is_b", "is_g"], None, None, 2)
    assert classes == ("is_b", "is_g")
    assert mapped(columns).tolist() == [0, 0, -1, -1, 1, -1]
    assert mapped.describe(columns, 2) == "is 1 in none of is_b, is_g"
    with pytest.raises(JetError, match=r"jet 0 belongs to the classes b and heavy \(2 such of 6\)"):
        label_map({"b": "is_b", "heavy": "flavour == 5 | flavour == -5 "}, None, None, 2)[0](columns)


def test_numbers(columns, toy):
    mapped, classes = label_map("label", None, None, 2)
    assert classes is None
    assert mapped(columns).tolist() == [0, 1, 0, 1, 0, 1]
    values = ak.Array([0, 1, None, -1, 2, 0])
    assert mapped(JetColumns(ak.with_field(toy(6), values, "label"))).tolist() == [0, 1, -1, -1, -1, 0]
    values = [0.0, 1.0, np.nan, np.inf, 0.5, -0.0]
    floats = JetColumns(ak.with_field(toy(6), values, "label"))
    assert mapped(floats).tolist() == [0, 1, -1, -1, -1, 0]
    assert mapped.describe(floats, 2) == "is nan"


@pytest.mark.parametrize(
    ("labels", "mapping", "classes", "words"),
    [
        ("flavour", {5: "b", "5": "c"}, None, "label '5' twice"),
        ("flavour", {"b": "b"}, None, "label 'b'"),
        ("flavour", {}, None, "an empty label map"),
        ("flavour", {5: 1}, None, "the class 1 of label 5"),
        ("flavour", {5: "b", 0: "light"}, ["b", "c"], "classes b, c for labels of light, b"),
        ({"b": "is_b"}, {5: "b"}, None, "label map beside one column per class"),
        ({"b": []}, None, None, "labels without columns"),
        ({"b": [], "c": [], "d": "is_c"}, None, None, "several classes of jets of no other"),
        ("flavour +", None, None, "the expression"),
    ],
)
def test_refuses(labels, mapping, classes, words):
    with pytest.raises(JetError, match=words):
        label_map(labels, mapping, classes, 2)


def test_labels_themselves_are_told_from_names():
    assert is_array(np.array([0, 1]))
    assert is_array([0, 1])
    assert is_array([])
    assert is_array(ak.Array([0]))
    assert not any(map(is_array, ("label", ["a", "b"], {"a": "b"})))
