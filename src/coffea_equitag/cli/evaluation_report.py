"""The parts of ``equitag evaluate`` beyond one sample's metrics: a second sample, and the report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import JetError, explain
from .measured_sample import MeasuredSample

if TYPE_CHECKING:
    from ..evaluation import Difference, Evaluation
    from ..tagger import Tagger

__all__ = ["BLOCKS", "changes_in", "file_names", "report_of"]

#: Blocks of jets, of which each is left out in turn: their uncertainty is known to 10%.
BLOCKS = 50


def changes_in(
    arguments: argparse.Namespace, tagger: Tagger, empty: Callable[[], Evaluation], sample: MeasuredSample
) -> dict[str, tuple[Difference, ...]]:
    """What changes in the second sample, score by score.

    Raises
    ------
    JetError
        If the second sample is not valid, or paired samples differ in length.
    """
    from ..evaluation import differences, paired_differences

    other = MeasuredSample.of(arguments, tagger, empty, arguments.against, len(sample.blocks))
    options = {"efficiencies": arguments.efficiency}
    one, two = sample.evaluation, other.evaluation
    if not arguments.paired:
        return {name: differences(one, two, name, **options) for name in one.names}
    if len(other.labels) != len(sample.labels):
        given = f"{len(sample.labels)} and {len(other.labels)} entries that are paired"
        raise JetError(explain(given, "the same jets in the same order", "leave --paired out"))
    return {name: paired_differences(sample.blocks, other.blocks, name, **options) for name in one.names}


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
        "selection": getattr(arguments, "select", None) or "none",
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
