"""From columns of jets to the numbers of their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...array_types import I8, AnyArray, Bools
from ...errors import JetError, explain
from ...plain_numbers import plain
from .expression import Expression
from .jet_columns import JetColumns

__all__ = ["LabelMap", "Labels", "Numbers", "OneHot", "Values", "is_array", "label_map"]

#: Label of a jet that has no class.
NONE = -1

#: How labels are given: a column (or formula), one column per class, or class -> its columns.
Labels: TypeAlias = str | Sequence[str] | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Numbers:
    """Labels that are the numbers of the classes already, in a column.

    Attributes
    ----------
    column : Expression
        Where they are.
    number : int
        Number of classes.
    """

    column: Expression
    number: int

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What is read."""
        return (self.column,)

    def __call__(self, columns: JetColumns) -> I8:
        """Number of each jet's class, shape (J,), −1 for none."""
        values, known = _values(self.column, columns)
        known &= (values == np.floor(values)) & (values >= 0) & (values < self.number)
        return np.where(known, np.where(known, values, 0).astype(np.int64), NONE)

    def describe(self, columns: JetColumns, jet: int) -> str:
        """The label of a jet without a class, in words."""
        return _describe(self.column, columns, jet)

    @property
    def expected(self) -> str:
        """What labels may be."""
        return f"whole numbers 0 to {self.number - 1}"


@dataclass(frozen=True)
class Values:
    """Values of a column, each with the number of its class: ``{5: "b", 4: "c", 0: "light"}``."""

    column: Expression
    values: tuple[tuple[float, int], ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What is read."""
        return (self.column,)

    def __call__(self, columns: JetColumns) -> I8:
        """Number of each jet's class, shape (J,), −1 for none."""
        found, known = _values(self.column, columns)
        labels = np.full(len(columns), NONE)
        for value, label in self.values:
            labels[known & (found == value)] = label
        return labels

    def describe(self, columns: JetColumns, jet: int) -> str:
        """The label of a jet without a class, in words."""
        return _describe(self.column, columns, jet)

    @property
    def expected(self) -> str:
        """What labels may be."""
        return f"one of {', '.join(f'{value:g}' for value, _ in self.values)}"


@dataclass(frozen=True)
class OneHot:
    """One or several columns per class, true (1) for its jets; a class without columns has the jets of no other."""

    columns: tuple[tuple[str, tuple[Expression, ...]], ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What is read."""
        return tuple(part for _, parts in self.columns for part in parts)

    def __call__(self, columns: JetColumns) -> I8:
        """Number of each jet's class, shape (J,), −1 for none.

        Raises
        ------
        JetError
            If a jet belongs to several classes.
        """
        members = np.zeros((len(self.columns), len(columns)), dtype=bool)
        for label, (_, parts) in enumerate(self.columns):
            for part in parts:
                members[label] |= part.boolean(columns.__getitem__, len(columns))
        for label, (_, parts) in enumerate(self.columns):
            if not parts:
                members[label] = ~members.any(axis=0)
        several = members.sum(axis=0) > 1
        if several.any():
            names = [name for (name, _), member in zip(self.columns, members[:, several][:, 0], strict=True) if member]
            raise JetError(
                explain(
                    f"{columns.first(several)} belongs to the classes {' and '.join(names)} "
                    f"({int(several.sum())} such of {len(several)})",
                    "at most one class for each jet",
                    "make the columns exclusive, e.g. {'b': 'is_b', 'c': 'is_c & ~is_b'}, or leave such jets out by a "
                    "selection",
                )
            )
        return np.where(members.any(axis=0), members.argmax(axis=0), NONE)

    def describe(self, columns: JetColumns, jet: int) -> str:
        """The label of a jet without a class, in words."""
        return f"is 1 in none of {', '.join(part.text for part in self.expressions)}"

    @property
    def expected(self) -> str:
        """What labels may be."""
        return "1 in a column of one class"


LabelMap: TypeAlias = Numbers | Values | OneHot


def is_array(labels: Any) -> bool:
    """Whether these are labels themselves, and not names of columns."""
    several = isinstance(labels, list | tuple) and len(labels) > 0 and all(isinstance(one, str) for one in labels)
    return not (isinstance(labels, str | Mapping) or several)


def label_map(
    labels: Labels, mapping: Mapping[Any, str] | None, classes: Sequence[str] | None, n_classes: int
) -> tuple[LabelMap, tuple[str, ...] | None]:
    """What makes labels of columns, and the names of the classes where these follow from it.

    Parameters
    ----------
    labels : str, sequence of str or mapping
        The name of a column, or a formula (``"|flavour|"``); one column per class (one-hot); or class -> its column,
        formula or columns, [] for jets of no other class.
    mapping : mapping, optional
        Value of the column -> name of its class: ``{5: "b", 4: "c", 0: "light"}``. Several values at once are a
        string, ``"1, 2, 3, 21"``. Classes are in the order of their smallest values, so here light, c, b.
    classes : sequence of str, optional
        Another order of the classes.
    n_classes : int
        Number of classes, for labels that are numbers already.

    Raises
    ------
    JetError
        If a value is no number or given twice, or `classes` are other ones.
    """
    if not isinstance(labels, str):
        if mapping is not None:
            raise _refused("a label map beside one column per class", "one of the two", "leave out the label map")
        pairs = labels.items() if isinstance(labels, Mapping) else zip(labels, labels, strict=True)
        columns = {name: _expressions(given) for name, given in pairs}
        if not columns or not any(columns.values()):
            raise _refused("labels without columns", "at least one class with a column", "name the columns")
        if sum(not parts for parts in columns.values()) > 1:
            raise _refused("several classes of jets of no other class", "one such class", "give the others columns")
        names = _ordered(tuple(columns), classes)
        return OneHot(tuple((name, columns[name]) for name in names)), names
    column = Expression(labels)
    if mapping is None:
        return Numbers(column, n_classes), None
    by_value = _by_value(mapping)
    names = _ordered(tuple(dict.fromkeys(by_value[value] for value in sorted(by_value))), classes)
    return Values(column, tuple((value, names.index(by_value[value])) for value in sorted(by_value))), names


def _expressions(given: str | Sequence[str]) -> tuple[Expression, ...]:
    return tuple(map(Expression, [given] if isinstance(given, str) else given))


def _by_value(mapping: Mapping[Any, str]) -> dict[float, str]:
    found: dict[float, str] = {}
    for key, name in plain(mapping).items():
        if not isinstance(name, str):
            raise _refused(f"the class {name!r} of label {key}", "a name", 'name the classes: {5: "b", 0: "light"}')
        several = key.split(",") if isinstance(key, str) else key if isinstance(key, tuple) else [key]
        for one in several:
            try:
                value = float(one)
            except (TypeError, ValueError):
                value = np.nan
            if not np.isfinite(value) or value in found:
                what = f"label {one!r} twice" if value in found else f"label {one!r}"
                raise _refused(what, "numbers, each once", '{5: "b", 4: "c", "1, 2, 3, 21": "light"}')
            found[value] = name
    if not found:
        raise _refused("an empty label map", "value -> class", '{5: "b", 4: "c", 0: "light"}')
    return found


def _ordered(found: tuple[str, ...], classes: Sequence[str] | None) -> tuple[str, ...]:
    names = found if classes is None else tuple(classes)
    if sorted(names) != sorted(found):
        raise _refused(
            f"classes {', '.join(names)} for labels of {', '.join(found)}", "the same names", "leave one out"
        )
    return names


def _values(column: Expression, columns: JetColumns) -> tuple[AnyArray, Bools]:
    """Values of a column, and where there are any: labels, unlike other columns, may be missing."""
    missing = np.zeros(len(columns), dtype=bool)

    def read(name: str) -> AnyArray:
        values = columns.optional(name)
        missing[np.ma.getmaskarray(values)] = True
        return np.ma.getdata(values)

    values = column(read, len(columns))
    return values, ~missing & np.isfinite(values)


def _describe(column: Expression, columns: JetColumns, jet: int) -> str:
    if any(np.ma.getmaskarray(columns.optional(name))[jet] for name in column.names):
        return "is missing"
    return f"is {_values(column, columns)[0][jet]}"


def _refused(given: str, expected: str, remedy: str) -> JetError:
    return JetError(explain(given, expected, remedy))
