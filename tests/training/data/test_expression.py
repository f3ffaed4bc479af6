"""Formulas of columns: what they mean, and that nothing else is possible."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.training.data.expression import Expression

COLUMNS = {
    "pt": np.array([100.0, 300, 400]),
    "eta": np.array([1.0, -2.5, -1.0]),
    "a": np.array([1, 0, 1]),
    "b": np.array([0, 0, 1]),
    "truth.pt": np.array([90.0, 310, np.nan]),
}


def value(text: str) -> list[object]:
    return Expression(text)(COLUMNS.__getitem__, 3).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # & and | bind less than comparisons do, unlike in Python
        ("pt > 200 & abs(eta) < 2", [False, False, True]),
        ("pt > 200 & |eta| < 2", [False, False, True]),
        ("pt > 200 and not |eta| > 2", [False, False, True]),
        ("pt>200&&!(|eta|>2)", [False, False, True]),
        ("a | b", [True, False, True]),
        ("a || |eta| > 2", [True, True, True]),
        ("|eta| || b", [True, True, True]),
        ("~a", [False, True, False]),
        ("a==1 && b!=1", [True, False, False]),
        ("200 < pt < 350", [False, True, False]),
        ("pt in (100, 400.)", [True, False, True]),
        ("a not in [1]", [False, True, False]),
        ("|eta|", [1, 2.5, 1]),
        ("||eta| - 2|", [1, 0.5, 1]),
        ("(|eta| - 1) * 2", [0, 3, 0]),
        ("|eta - 1| + |a|", [1, 3.5, 3]),
        ("max(pt, 200) - True", [199, 299, 399]),
        ("where(a, pt, -1)", [100, -1, 400]),
        ("2 ** -1", [0.5] * 3),
        ("a / b", [np.inf, np.nan, 1]),
        ("truth.pt / 2 > 46", [False, True, False]),
        ("isfinite(truth.pt)", [True, True, False]),
        ("1", [1, 1, 1]),
    ],
)
def test_means(text, expected):
    np.testing.assert_array_equal(value(text), expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pt >",
        "pt = 3",
        "__import__('os').system('x')",
        "exec(pt)",
        "pt[0]",
        "(lambda: 1)()",
        "[x for x in pt]",
        "a if b else 1",
        "(1, 2)",
        "pt in eta",
        "pt; eta",
        "min()",
        "f(pt)",
        "abs(pt, out=pt)",
        "'x'",
        "(" * 5000,
        "1" * 5000,
        "x " * 9000,
        "pt @ eta",
        "pt // 2",
    ],
)
def test_refuses(text):
    with pytest.raises(JetError, match="the expression"):
        value(text)


def test_knows_its_columns():
    assert Expression("where(a, |truth.pt|, 2) + pt in (1, 2) & a").names == ("a", "truth.pt", "pt")


def test_a_selection_is_true_or_false():
    assert Expression("a").boolean(COLUMNS.__getitem__, 3).tolist() == [True, False, True]
    with pytest.raises(JetError, match=r"'pt - 100' gives numbers[\s\S]*pt - 100 > 0"):
        Expression("pt - 100").boolean(COLUMNS.__getitem__, 3)
