"""Weights of jets."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.training.data.jet_columns import JetColumns
from coffea_equitag.training.data.sample_weights import check_sums, class_sums, sample_weights


@pytest.fixture
def columns(toy):
    return JetColumns(ak.with_field(toy(4), np.array([1, 2, -1, 0.5], dtype=np.float32), "w"))


def test_fields_formulas_and_functions(columns):
    assert sample_weights(None, columns).tolist() == [1, 1, 1, 1]
    assert sample_weights("w", columns).tolist() == [1, 2, -1, 0.5]
    assert sample_weights("|w| * 2", columns).tolist() == [2, 4, 2, 1]
    assert sample_weights("3", columns).tolist() == [3, 3, 3, 3]
    assert sample_weights(lambda jets: jets.w + jets.label, columns).tolist() == [1, 3, -1, 1.5]
    assert sample_weights(lambda jets: jets.w, columns).dtype == np.float64


def test_refuses_what_is_no_number(columns):
    with pytest.raises(JetError, match=r"weight '1 / \(w - 2\)' of jet 1 is inf \(1 such of 4\)"):
        sample_weights("1 / (w - 2)", columns)
    with pytest.raises(JetError, match="weight of jet 2 is nan"):
        sample_weights(lambda jets: np.array([1, 1, np.nan, 1]), columns)
    for function in (lambda jets: 1.0, lambda jets: jets.constituents.pt, lambda jets: [1, 2], lambda jets: None):
        with pytest.raises(JetError, match=r"a function for the weights[\s\S]*one number for each of 4 jets"):
            sample_weights(function, columns)


def test_sums_must_be_positive(columns):
    sums = class_sums(np.array([0, 1, 0, 1]), sample_weights("w", columns), 2)
    assert sums.tolist() == [0, 2.5]
    with pytest.raises(JetError, match=r"weights of the training jets of class 0 \('a'\) add up to 0"):
        check_sums(sums, ("a", "b"), "training")
    check_sums(sums + 1, ("a", "b"), "training")
