"""``equitag evaluate`` of a tagger that returns four-momenta."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic_file import is_same_file, write_together
from ..errors import JetError, TaggerError, explain
from ..tagger import Tagger
from . import evaluated_jets, labelled_jets

__all__ = ["run"]

_SUFFIXES = ("png", "pdf")

#: Options that are about classes.
_OF_CLASSES = ("discriminant", "against", "paired", "labels", "label_map", "unmapped")


def run(arguments: argparse.Namespace, tagger: Tagger, edges: Sequence[float] | None = None) -> int:
    """Compute momenta, compare them with the true ones, and print the table; `edges` are bins of the true pT.

    Raises
    ------
    TaggerError
        If the tagger returns 3-vectors, or for options that are about classes.
    JetError
        If the jets lack the truth, or a file of theirs would be replaced.
    """
    import awkward as ak

    from ..evaluation.report.momentum import momentum_sections, momentum_summary
    from ..evaluation.report.numbers import json_bytes
    from ..evaluation.report.page import report_files
    from ..readers.ranges import expand

    if tagger.model.output != "momentum":
        raise TaggerError(
            explain(
                f"{tagger.name}, which returns 3-vectors",
                "a tagger of classes, or of four-momenta",
                "compare tagger(jets) with the truth in your own code",
            )
        )
    given = [f"--{name.replace('_', '-')}" for name in _OF_CLASSES if getattr(arguments, name, None)]
    if given:
        remedy = f"leave out {', '.join(given)}"
        raise TaggerError(explain(f"{', '.join(given)} with {tagger.name}", "a tagger of classes", remedy))
    recipe = tagger.card.training.recipe if tagger.card.training is not None else {}
    truth, out = arguments.target or str(recipe.get("target") or "momentum"), Path(arguments.output)
    jets = _jets(arguments, tagger)
    momenta = tagger(jets)
    sections, resolutions = momentum_sections(
        jets, momenta, truth=truth, weights=_weights(arguments.weights, jets), edges=edges
    )
    pictures = {
        f"{section.key}{end}.{suffix}": picture.figure.savefig
        for section in sections
        for end, picture in zip(("", "_by_pt"), section.pictures, strict=False)
        for suffix in _SUFFIXES
    }
    about = {"tagger": tagger.name, "content_hash": tagger.content_hash, "data": arguments.data, "truth": truth}
    contents: dict[str, Any] = dict(pictures)
    contents["momenta.parquet"] = partial(
        ak.to_parquet,
        ak.zip({"momentum": momenta}, depth_limit=momenta.ndim),
        parquet_extra_options={"write_page_checksum": True},
    )
    if arguments.report:
        title = f"{tagger.name}: momentum resolution"
        contents |= report_files(title, sections, about=about, summary=momentum_summary(resolutions))
    # last, so that a new folder with these numbers is complete
    contents["resolution.json"] = json_bytes(about | {name: each.as_dict() for name, each in resolutions.items()})
    _check_output(out, expand(arguments.data), contents)
    write_together(out, contents)
    print(f"{tagger.name} on {', '.join(arguments.data)}, compared with '{truth}'")
    for name, each in resolutions.items():
        print(f"{name}\n  " + str(each).replace("\n", "\n  "))
    print(f"  numbers, plots and momenta in {out}/")
    return 0


def _jets(arguments: argparse.Namespace, tagger: Tagger) -> Any:
    """The jets that are asked for: all in their structure, or flat those that are selected."""
    from ..jets.nesting import unnest

    jets = evaluated_jets.selected(labelled_jets.read(arguments), getattr(arguments, "select", None))
    if arguments.unseen:
        jets = unnest(jets)[1]
        jets = jets[evaluated_jets.unseen_jets(tagger, jets)]
    return jets


def _weights(weights: str | None, jets: Any) -> Any:
    """A field, or a formula of fields, in the jets' structure."""
    from ..jets.nesting import unnest
    from ..training.data.jet_columns import JetColumns
    from ..training.data.sample_weights import sample_weights

    if weights is None:
        return None
    nesting, records = unnest(jets)
    return nesting.restore(sample_weights(weights, JetColumns(records)))


def _check_output(out: Path, data: Iterable[Path], names: Iterable[str]) -> None:
    """Refuse a folder that is a file, or in which a file would replace the jets that it is made from."""
    if out.exists() and not out.is_dir():
        raise JetError(explain(f"{out} is a file", "a folder", "choose another name"))
    for name in names:
        if any(is_same_file(source, out / name) for source in data):
            given = f"jets in {out / name}, which the evaluation would replace"
            raise JetError(explain(given, "another folder", "choose another -o"))
