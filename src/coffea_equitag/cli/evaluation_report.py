"""The parts of ``equitag evaluate`` beyond one sample's metrics: a second sample, and the report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import JetError, explain
from . import labelled_jets

if TYPE_CHECKING:
    import awkward as ak

    from ..evaluation import Difference, Evaluation
    from ..tagger import Tagger

__all__ = ["changes_in", "file_names", "labels_and_weights", "report_of"]

#: Blocks of jets, of which each is left out in turn: their uncertainty is known to 10%.
_BLOCKS = 50


def labels_and_weights(arguments: argparse.Namespace, jets: ak.Array) -> tuple[ak.Array, ak.Array | None]:
    """The fields of jets that hold labels and, if asked for, weights.

    Raises
    ------
    JetError
        If the jets lack one.
    """
    names = {"labels": arguments.labels} | ({"weights": arguments.weights} if arguments.weights else {})
    for kind, name in names.items():
        if name not in jets.fields:
            raise JetError(
                explain(
                    f"jets without a field '{name}'; they have {', '.join(jets.fields)}",
                    f"a {kind.removesuffix('s')} for each jet",
                    f"name the field that holds the {kind}: --{kind} FIELD",
                )
            )
    return jets[arguments.labels], jets[arguments.weights] if arguments.weights else None


def changes_in(
    arguments: argparse.Namespace,
    tagger: Tagger,
    empty: Callable[[], Evaluation],
    evaluation: Evaluation,
    jets: ak.Array,
    scores: ak.Array,
) -> dict[str, tuple[Difference, ...]]:
    """What changes in the second sample, score by score.

    Raises
    ------
    JetError
        If the second sample lacks labels or weights, or paired samples differ in length.
    """
    from ..evaluation import differences, paired_differences

    other = labelled_jets.read(arguments, arguments.against)
    labels, weights = labels_and_weights(arguments, other)
    second = tagger(other)
    options = {"efficiencies": arguments.efficiency}
    if not arguments.paired:
        filled = empty().fill(second, labels, other, weights=weights)
        return {name: differences(evaluation, filled, name, **options) for name in evaluation.names}
    if len(other) != len(jets):
        given = f"{len(jets)} and {len(other)} entries that are paired"
        raise JetError(explain(given, "the same jets in the same order", "leave --paired out"))
    one, two = (_blocks(arguments, empty, *each) for each in ((jets, scores), (other, second)))
    return {name: paired_differences(one, two, name, **options) for name in evaluation.names}


def _blocks(
    arguments: argparse.Namespace, empty: Callable[[], Evaluation], jets: ak.Array, scores: ak.Array
) -> list[Evaluation]:
    """One evaluation for each block of entries (jets, or events with their jets)."""
    labels, weights = labels_and_weights(arguments, jets)
    parts = [slice(first, None, _BLOCKS) for first in range(min(_BLOCKS, len(jets)))]
    return [
        empty().fill(scores[part], labels[part], jets[part], weights=None if weights is None else weights[part])
        for part in parts
    ]


def report_of(
    arguments: argparse.Namespace, tagger: Tagger, evaluation: Evaluation, changes: dict[str, Any], sample: str
) -> dict[str, bytes]:
    """Contents of ``report.html`` and ``report.json``."""
    from .. import __version__
    from ..evaluation import report

    sections = report.classification_sections(
        evaluation,
        efficiencies=arguments.efficiency,
        background_efficiencies=arguments.background_efficiency,
        mass=arguments.mass,
    )
    for name, found in changes.items():
        nominal, other = file_names(arguments.data), file_names(arguments.against)
        sections.append(
            report.robustness_section(found, nominal=nominal, other=other, paired=arguments.paired, name=name)
        )
    about = {
        "tagger": tagger.name,
        "content hash": tagger.content_hash,
        "network": tagger.card.architecture,
        "data": arguments.data,
        "sample": sample.replace("$p_T$", "pT"),
        "weights": arguments.weights or "none",
        "coffea-equitag": __version__,
    }
    about |= {"against": arguments.against} if arguments.against else {}
    return report.report_files(
        f"{tagger.name} on {file_names(arguments.data)}",
        sections,
        about=about,
        summary=report.summary(evaluation, arguments.efficiency),
    )


def file_names(data: list[str]) -> str:
    """The first file, and how many more there are."""
    return Path(data[0]).name + (f" and {len(data) - 1} more" if len(data) > 1 else "")
