from __future__ import annotations

import awkward as ak
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from coffea_equitag.errors import JetError
from coffea_equitag.jets.nesting import columns_of, columns_of_records, unnest

JET = {"constituents": [1.0]}
events = st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.just(JET)), max_size=4)), max_size=6)
EXTRA = [[JET], [None, JET], None]


@given(events)
def test_values_return_to_their_jets(nested):
    # a few filled events at the end determine the type
    array = ak.Array([*nested, *EXTRA])[: len(nested)]
    nesting, records = unnest(array)
    values = np.arange(nesting.num_jets, dtype=np.float64)
    assert len(records) == nesting.num_jets
    counter = iter(range(10_000))
    expected = [
        None if event is None else [None if jet is None else float(next(counter)) for jet in event] for event in nested
    ]
    assert nesting.restore(values).tolist() == expected


@pytest.mark.parametrize("pick", [slice(None, None, -1), [2, 0], slice(1, 3), np.array([True, False, True])])
def test_sliced(pick):
    array = ak.Array([[JET, JET], [], [JET]])
    nesting, _ = unnest(array[pick])
    assert ak.num(nesting.restore(np.arange(nesting.num_jets))).tolist() == ak.num(array[pick]).tolist()


def test_regular_and_records():
    array = ak.to_regular(ak.Array([[JET, JET], [JET, JET]]), axis=1)
    nesting, _ = unnest(array)
    out = nesting.restore(ak.zip({"a": np.arange(4), "b": np.arange(4)}))
    assert out.b.tolist() == [[0, 1], [2, 3]]


def test_wrong_number_of_values():
    nesting, _ = unnest(ak.Array([JET]))
    with pytest.raises(ValueError, match="2 values for 1 jets"):
        nesting.restore(np.zeros(2))


LISTS = ak.zip({"pt": ak.Array([[1.0, 2.0], [], [3.0]]), "ip": ak.zip({"x": ak.Array([[4, 5], [], [6]])})})


@pytest.mark.parametrize(
    "lists",
    [LISTS, LISTS[1:], LISTS[:2], LISTS[:0], LISTS[[2, 0]], LISTS[LISTS.pt > 1.5], ak.Array(LISTS.layout.to_packed())],
)
def test_columns_of_plain_and_of_any_layout(lists, monkeypatch):
    fields = ("pt", "ip.x")
    offsets, columns = columns_of(lists, fields)
    monkeypatch.setattr("coffea_equitag.jets.nesting._plain_columns", lambda *_: None)
    expected, same = columns_of(lists, fields)
    assert offsets.dtype == expected.dtype == np.int64
    assert offsets.tolist() == expected.tolist()
    for name, values in columns.items():
        assert values.dtype == same[name].dtype
        assert values.tolist() == same[name].tolist()


def test_columns_of_records_without_lists():
    records = ak.zip({"pt": np.arange(3.0), "m": np.arange(3)})
    for layout in (records.layout, records[1:].layout, ak.Array(records.layout)[:2].layout):
        found = columns_of_records(layout, ("m", "pt"))
        assert {name: values.tolist() for name, values in found.items()} == {
            name: ak.Array(layout)[name].tolist() for name in ("m", "pt")
        }
    with_none = ak.Array([{"pt": 1.0}, {"pt": None}])
    with pytest.raises(JetError, match="a missing value in column 'pt'"):
        columns_of_records(with_none.layout, ("pt",))
