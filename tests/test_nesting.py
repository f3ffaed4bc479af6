from __future__ import annotations

import awkward as ak
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from coffea_equitag.jets.nesting import unnest

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
