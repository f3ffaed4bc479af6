"""Evaluation of one correction for jets: what its inputs mean, and which variations it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..array_types import F8, Bools
from ..errors import JetError, TaggerError, explain
from .correction_files import CorrectionFile
from .jet_rows import FlatJets

__all__ = ["Evaluator", "variation_pairs"]

#: Names of inputs in the corrections of the CMS groups.
_SYSTEMATIC = ("systematic", "systematics", "syst")
_POINT = ("working_point", "workingpoint", "wp")
_FLAVOUR = ("flavor", "flavour")
_NOMINAL = ("central", "nom", "nominal")


@dataclass(frozen=True)
class Evaluator:
    """One correction of a file.

    Attributes
    ----------
    file : CorrectionFile
        The file.
    name : str
        Name of the correction.
    flavour : str or callable
        Field of the jets, or function of them.
    extra : mapping
        Other inputs -> field or function of the jets.
    limits : mapping
        Input -> range to which it is limited; the upper end is excluded.
    """

    file: CorrectionFile
    name: str
    flavour: Any
    extra: Mapping[str, Any]
    limits: Mapping[str, tuple[float, float]]

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("file", "name", "flavour", "extra", "limits")}

    @cached_property
    def _evaluator(self) -> Any:
        return self.file.corrections()[self.name]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return self.file.inputs(self.name)

    @cached_property
    def systematics(self) -> tuple[str, ...]:
        """The systematics that the correction knows; none if it has no such input."""
        found = [name for name in self.inputs if name.lower() in _SYSTEMATIC]
        return self.file.keys(self.name, found[0]) if found else ()

    @cached_property
    def nominal(self) -> str:
        """The name of the nominal systematic."""
        found = [key for key in _NOMINAL if key in self.systematics]
        if self.systematics and not found:
            raise TaggerError(
                explain(
                    f"'{self.name}' of {self.file.path} with the systematics {', '.join(self.systematics)}",
                    f"one of {', '.join(_NOMINAL)} among them",
                    "use another correction",
                )
            )
        return found[0] if found else ""

    def flavours(self) -> tuple[int, ...]:
        """The flavours that the correction knows."""
        return tuple(key for name in self.inputs if name in _FLAVOUR for key in self.file.keys(self.name, name))

    def sources(self) -> tuple[Any, ...]:
        """Fields and functions of the jets that the inputs come from."""
        known = (*_SYSTEMATIC, *_POINT, *_FLAVOUR)
        own = [name for name in self.inputs if name not in self.extra and name.lower() not in known]
        return (*(self.extra[name] for name in self.inputs if name in self.extra), *map(_field, own))

    def check_points(self, points: Iterable[str]) -> None:
        """Refuse working points that the correction does not know."""
        known = [key for name in self.inputs if name.lower() in _POINT for key in self.file.keys(self.name, name)]
        if unknown := [point for point in points if known and point not in known]:
            raise TaggerError(
                explain(
                    f"working points {', '.join(unknown)} for '{self.name}' of {self.file.path}",
                    f"some of {', '.join(map(str, known))}",
                    "correct the names, or give yours with those of the file: working_points={'tight': 'T'}",
                )
            )

    def __call__(self, flat: FlatJets, use: Bools, point: str, systematic: str) -> F8:
        """One value per jet; 1 for jets that are not used.

        Raises
        ------
        JetError
            If the correction does not know the jets.
        """
        found: F8 = np.ones(flat.number)
        if not use.any():
            return found
        values = [self._input(flat, use, name, point, systematic) for name in self.inputs]
        try:
            found[use] = self._evaluator.evaluate(*values)
        except (IndexError, RuntimeError, ValueError) as error:
            raise JetError(
                explain(
                    f"jets that '{self.name}' of {self.file.path} does not know: {error}",
                    "jets in the range of the correction",
                    "select them with where=, or limit an input: limits={'pt': (300, 1200)}",
                )
            ) from error
        return found

    def _input(self, flat: FlatJets, use: Bools, name: str, point: str, systematic: str) -> Any:
        if name in self.extra:
            values = flat.numbers(self.extra[name], use)[use]
        elif name.lower() in _SYSTEMATIC:
            return systematic
        elif name.lower() in _POINT:
            return point
        elif name.lower() in _FLAVOUR:
            return flat.integers(self.flavour, use)[use]
        else:
            values = flat.numbers(_field(name), use)[use]
            values = abs(values) if _field(name) != name else values
        if name in self.limits:
            low, high = self.limits[name]
            values = np.clip(values, low, np.nextafter(high, low))
        return values


def _field(name: str) -> str:
    return "eta" if name.lower() in ("abseta", "eta_abs") else name


def variation_pairs(evaluator: Evaluator, wanted: Sequence[str] | None, era: str | None) -> dict[str, tuple[str, str]]:
    """Name of an uncertainty -> its systematics up and down.

    Raises
    ------
    TaggerError
        If the correction does not know one that is wanted.
    """
    known = {
        key[2:].lstrip("_"): (key, f"down{key[2:]}")
        for key in evaluator.systematics
        if (key == "up" or key.startswith("up_")) and f"down{key[2:]}" in evaluator.systematics
    }
    split = [name for name in ("correlated", "uncorrelated") if name in known]
    chosen = list(wanted) if wanted is not None else split if len(split) == 2 else [n for n in ("",) if n in known]
    if unknown := [name for name in chosen if name not in known]:
        raise TaggerError(
            explain(
                f"uncertainties {', '.join(map(repr, unknown))} for '{evaluator.name}' of {evaluator.file.path}",
                f"some of {', '.join(map(repr, known)) or 'none, which it does not have'}",
                "correct systematics=",
            )
        )
    return {f"{name}_{era}" if era and name == "uncorrelated" else name: known[name] for name in chosen}
