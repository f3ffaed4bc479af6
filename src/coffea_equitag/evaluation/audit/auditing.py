"""`audit`: all checks of one tagger, as a report and in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import I8, Bools, Floats
from ...errors import JetError, explain
from ...jets import flatten
from ...jets.nesting import unmasked, unnest
from ...tagger import Tagger
from ...testing import transform
from ..report import Section, report_files, write_report
from .findings import find
from .scores import Scores
from .sections import sections, summary
from .words import verdict

__all__ = ["AuditReport", "audit"]

#: Name under which labels travel with the jets.
_LABEL = "equitag_label"
#: As many jets for AUCs as for each check.
_MORE = 10


@dataclass(frozen=True)
class AuditReport:
    """The result of `audit`; prints its verdict.

    Attributes
    ----------
    title : str
    verdict : str
        In words, one finding per line.
    sections : sequence of Section
        What the page consists of.
    about, summary : mapping
        Shown below the title.
    html, json : str
        The page, which needs nothing else, and its numbers.
    """

    title: str
    verdict: str
    sections: Sequence[Section]
    about: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def html(self) -> str:
        """The page."""
        return self._files["report.html"].decode()

    @property
    def json(self) -> str:
        """Its numbers."""
        return self._files["report.json"].decode()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` and ``report.json`` into a folder, both or none; return the page's path.

        Raises
        ------
        JetError
            If the folder is a file.
        """
        return write_report(Path(folder), self.title, self.sections, about=self.about, summary=self.summary)

    def __str__(self) -> str:
        return self.verdict

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return report_files(self.title, self.sections, about=self.about, summary=self.summary)


def audit(
    tagger: Any,
    jets: ak.Array,
    labels: Any = None,
    *,
    beside: Mapping[str, Any] | None = None,
    name: str = "",
    references: Floats | None = None,
    num_jets: int = 100,
    about: Mapping[str, Any] | None = None,
) -> AuditReport:
    """Find out which symmetries a tagger has, to what precision, and whether it is infrared and collinear safe.

    Scores are compared in units of their spread over the jets, so that 1 is a change as large as differences between
    jets. What rounding alone does is measured by moving momenta by one unit in the last place.

    Parameters
    ----------
    tagger : Tagger, JetModel or callable
        Of a tagger or network its log-odds are compared (of three classes and more, its centred logits; of a network
        for momenta, these turned back). A function takes flat jets ``[jet]``, whose constituents have (px, py, pz,
        mass) in float64, and gives one row per jet.
    jets : ak.Array
        Canonical jets, any nesting; missing jets are left out. The jets' own momenta are replaced by their
        constituents' sums.
    labels : str or array-like, optional
        A jet field, or one label per jet in the jets' structure: the class's index for a tagger, else 1 for signal. By
        default the field ``label`` if there is one. With labels of both kinds there are AUCs, and the control is
        trained.
    beside : mapping of str to tagger or callable, optional
        Others to show beside it, in addition to the control, a plain multilayer perceptron.
    name : str
        What to call it; by default its own name.
    references : ndarray, shape (k, 4), optional
        Vectors (E, px, py, pz) that a function takes as second argument, ``tagger(jets, references)``, and that are
        transformed with the jets in one of the checks, as a network's own are.
    num_jets : int
        Jets to transform in every way, spread evenly over all; ten times as many for AUCs.
    about : mapping, optional
        What else the page should say below its title.

    Raises
    ------
    JetError
        If there are fewer than two jets with constituents, or not one label per jet.
    TaggerError
        If the tagger cannot be called, or its outputs are not finite numbers.
    """
    flat = _flat(jets, labels)
    few, many = flat[_spread(len(flat), num_jets)], flat[_spread(len(flat), _MORE * num_jets)]
    scores = Scores.of(tagger, _plain(few), name, references)
    found = find(scores, beside or {}, _plain(few), _plain(many), _signal(many, scores))
    text = verdict(found)
    facts: dict[str, Any] = {"Tagger": scores.name}
    if isinstance(tagger, Tagger):
        facts |= {"Network": tagger.model.kind, "Content hash": tagger.content_hash[:16]}
    facts |= {"Jets": f"{found.num_jets}, {found.num_scored} for the six transformations"} | dict(about or {})
    return AuditReport(f"Symmetry audit of {scores.name}", text, sections(found, text), facts, summary(found))


def _flat(jets: ak.Array, labels: Any) -> ak.Array:
    """Jets one level deep, none missing, all with constituents, as they are before any transformation."""
    if labels is None and "label" in jets.fields:
        labels = "label"
    if isinstance(labels, str) and labels not in jets.fields:
        raise JetError(
            explain(f"jets without a field {labels!r}", "a label for each jet", "name the field that holds them")
        )
    if labels is not None:
        jets = _labelled(jets, jets[labels] if isinstance(labels, str) else labels)
    records = unnest(jets)[1]
    flat = flatten(records)
    kept = records[np.diff(flat.offsets) > 0]
    if len(kept) < 2:
        raise JetError(
            explain(f"{len(kept)} jets with constituents", "two or more, better some hundred", "give more jets")
        )
    return transform(kept, np.eye(4, dtype=np.longdouble))


def _labelled(jets: ak.Array, labels: Any) -> ak.Array:
    try:
        present, exists = unmasked(jets)
        labelled = ak.with_field(present, ak.Array(labels), _LABEL)
        if len(labels) != len(jets):
            raise ValueError
    except ValueError as error:
        raise JetError(
            explain(
                f"labels of type {ak.Array(labels).type} for jets of type {jets.type}",
                "one label per jet, in their structure",
                "apply the same selection to both",
            )
        ) from error
    return labelled if exists is None else ak.mask(labelled, exists)


def _plain(jets: ak.Array) -> ak.Array:
    return ak.without_field(jets, _LABEL) if _LABEL in jets.fields else jets


def _signal(jets: ak.Array, scores: Scores) -> Bools | None:
    """Which jets are signal; None without labels of both kinds."""
    if _LABEL not in jets.fields or scores.output != "classes":
        return None
    signal = scores.signal if scores.signal >= 0 else 1
    found: Bools = ak.to_numpy(jets[_LABEL]) == signal
    return found if found.any() and not found.all() else None


def _spread(length: int, number: int) -> I8:
    """Indices of so many jets, evenly over all."""
    return np.unique(np.linspace(0, length - 1, min(number, length)).astype(np.int64))
