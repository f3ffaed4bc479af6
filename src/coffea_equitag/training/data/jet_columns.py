"""Numbers per jet by name: stored fields, and kinematics derived where they are not stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import awkward as ak
import numpy as np

from ...array_types import F8, I8, AnyArray, Bools
from ...errors import JetError, explain
from ...jets import flatten
from ...jets.coordinates import coordinates_of
from ...jets.kinematics import four_momenta
from ...jets.nesting import columns_of

__all__ = ["DERIVED", "MULTIPLICITY", "JetColumns"]

#: Name -> from (E, px, py, pz) of the jets, (J, 4), in GeV.
DERIVED: dict[str, Callable[[F8], F8]] = {
    "pt": lambda p4: np.hypot(p4[:, 1], p4[:, 2]),
    "eta": lambda p4: np.arcsinh(_ratio(p4[:, 3], np.hypot(p4[:, 1], p4[:, 2]))),
    "phi": lambda p4: np.arctan2(p4[:, 2], p4[:, 1]),
    "mass": lambda p4: np.sqrt(np.maximum(p4[:, 0] ** 2 - (p4[:, 1:] ** 2).sum(1), 0.0)),
    "rapidity": lambda p4: np.arctanh(_ratio(p4[:, 3], p4[:, 0])),
    "energy": lambda p4: p4[:, 0],
    "px": lambda p4: p4[:, 1],
    "py": lambda p4: p4[:, 2],
    "pz": lambda p4: p4[:, 3],
}

MULTIPLICITY = "multiplicity"


class JetColumns:
    """Columns of jets, one number each; only those that are asked for are read.

    Parameters
    ----------
    jets : ak.Array
        ``[jet]``, canonical, none missing.
    numbers : ndarray of int64, optional
        What messages call the jets, if not by their place among them.
    stored : sequence of str, optional
        Fields that messages list, if the jets had more than these.

    Notes
    -----
    ``columns["pt"]`` is the field of this name (``"truth.pt"`` that of a nested record). Where the jets do not store
    it, ``pt``, ``eta``, ``phi``, ``mass``, ``rapidity``, ``energy``, ``px``, ``py`` and ``pz`` come from the jet's
    four-momentum, and ``multiplicity`` is its number of constituents.
    """

    def __init__(self, jets: ak.Array, numbers: I8 | None = None, stored: Sequence[str] | None = None) -> None:
        self.jets = jets
        self._numbers = numbers
        self._stored_fields = jets.fields if stored is None else stored
        self._found: dict[str, AnyArray] = {}

    def __len__(self) -> int:
        return len(self.jets)

    def __getitem__(self, name: str) -> AnyArray:
        """A column as int64, float64 or bool, shape (J,).

        Raises
        ------
        JetError
            If there is no such column, it is not one number per jet, or values are missing.
        """
        values = self.optional(name)
        if np.ma.is_masked(values):
            missing = np.ma.getmaskarray(values)
            raise JetError(
                explain(
                    f"'{name}' of {self.first(missing)} is missing ({int(missing.sum())} such of {len(self)})",
                    "a number for each jet",
                    f"fill it: jets['{name}'] = ak.fill_none(jets['{name}'], ...), or leave these jets out",
                )
            )
        return np.ma.getdata(values)

    @property
    def numbers(self) -> I8:
        """What messages call the jets, shape (J,)."""
        return np.arange(len(self)) if self._numbers is None else self._numbers

    def where(self, kept: Bools) -> JetColumns:
        """Those of some of the jets."""
        if kept.all():
            return self
        index = np.flatnonzero(kept)
        return JetColumns(self.jets[index], self.numbers[index], self._stored_fields)

    def first(self, chosen: Bools) -> str:
        """The first of the jets chosen, for a message."""
        jet = int(np.argmax(chosen))
        return f"jet {jet if self._numbers is None else self._numbers[jet]}"

    def optional(self, name: str) -> AnyArray:
        """The same, as a masked array if values are missing."""
        if name not in self._found:
            self._found[name] = self._stored(name) if self._has(name) else self._derived(name)
        return self._found[name]

    def _has(self, name: str) -> bool:
        record = self.jets
        for part in name.split("."):
            if part not in record.fields:
                return False
            record = record[part]
        return not record.fields and record.ndim == 1

    def _stored(self, name: str) -> AnyArray:
        column = self.jets[tuple(name.split("."))]
        try:
            values = ak.to_numpy(ak.materialize(column))
        except (TypeError, ValueError) as error:
            raise _not_numbers(name, column) from error
        if values.dtype.kind not in "biuf":
            raise _not_numbers(name, column)
        return _widened(values)

    def _derived(self, name: str) -> AnyArray:
        if name == MULTIPLICITY:
            return np.diff(flatten(self.jets).offsets)
        if name not in DERIVED:
            if name in self.jets.fields and not self.jets[name].fields:
                raise JetError(
                    explain(
                        f"'{name}' of type {self.jets[name].type}: several numbers per jet",
                        "one number per jet",
                        f"if they are one-hot, give the index of the 1, jets['{name}'] = np.argmax(one_hot, axis=1), "
                        "or store one field per class",
                    )
                )
            raise JetError(
                explain(
                    f"jets without a field '{name}' of one number per jet; they have {', '.join(self._stored_fields)}",
                    f"one of these, or of {', '.join(DERIVED)}, {MULTIPLICITY}",
                    f"check the spelling, or add it: jets['{name}'] = ...",
                )
            )
        with np.errstate(divide="ignore"):  # along the beam η is infinite
            return DERIVED[name](self._p4)

    @cached_property
    def _p4(self) -> F8:
        """The jets' own four-momenta, or the sums over their constituents; shape (J, 4)."""
        names = coordinates_of(self.jets.fields)
        if names is None:
            return flatten(self.jets).jet_p4
        _, columns = columns_of(self.jets[np.newaxis], list(names.values()))
        coordinates = {name: columns[field] for name, field in names.items()}
        return four_momenta(coordinates, lambda row: f"jet {row}", "jet").p4


def _ratio(up: F8, down: F8) -> F8:
    """Up / down; 0/0 of a jet without momentum is 0."""
    ratio: F8 = np.divide(up, down, out=np.zeros_like(up), where=(down != 0) | (up != 0))
    return ratio


def _widened(values: AnyArray) -> AnyArray:
    """float64, or int64 where it holds the numbers: sums and differences of short or unsigned ones would wrap."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    fits = values.dtype != np.uint64 or not len(values) or int(np.ma.getdata(values).max()) < 2**63
    return values.astype(np.int64) if values.dtype.kind in "iu" and fits else values


def _not_numbers(name: str, column: ak.Array) -> JetError:
    return JetError(explain(f"column '{name}' of type {column.type}", "one real number per jet", "choose another"))
