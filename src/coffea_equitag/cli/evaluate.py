"""``equitag evaluate TAGGER DATA... -o DIR``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic_file import is_same_file, write_together
from ..errors import JetError, TaggerError, explain
from . import labelled_jets

if TYPE_CHECKING:
    import awkward as ak

    from ..evaluation import Metrics

__all__ = ["configure", "run"]

_SUFFIXES = ("png", "pdf")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tagger", help="folder of a tagger or of a training run, or a name in the zoo")
    labelled_jets.configure(parser)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for metrics, plots and scores")
    parser.add_argument(
        "--discriminant",
        action="append",
        default=[],
        metavar="NAME=SIGNAL:BACKGROUND[,...]",
        help="measure p_signal / (p_signal + p_background) too, on jets of these classes, e.g. TvsQCD=top:qcd; may be "
        "repeated",
    )
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


def run(arguments: argparse.Namespace) -> int:
    """Score, measure, plot, and print the table."""
    import awkward as ak

    from ..evaluation import discriminate, measure, plots
    from ..readers.ranges import expand
    from ..tagger import load
    from ..tagger.discriminant import discriminants, parse_discriminants

    tagger = load(arguments.tagger, arguments.device)
    if not tagger.classes:
        raise TaggerError(
            explain(
                f"{tagger.name}, which returns vectors instead of scores",
                "a tagger with classes",
                "compare tagger(jets) with the truth in your own code",
            )
        )
    jets = labelled_jets.read(arguments)
    if arguments.labels not in jets.fields:
        raise JetError(
            explain(
                f"jets without a field '{arguments.labels}'; they have {', '.join(jets.fields)}",
                "a label for each jet",
                "name the field that holds the labels: --labels FIELD",
            )
        )
    chosen = discriminants(parse_discriminants(arguments.discriminant))
    for one in chosen:
        one.check(tagger.classes, tagger.name)
    out = Path(arguments.output)
    names = ["score", "roc"] + [f"{kind}_{one.name}" for one in chosen for kind in ("score", "roc")]
    _check_output(out, expand(arguments.data), names)
    scores, labels = tagger(jets), jets[arguments.labels]
    signal = tagger.classes.index(tagger.card.signal)
    if not scores.fields and signal == 0:
        # with two classes the score is the signal's: give the signal the label 1
        labels, signal = 1 - labels, 1
    classes = tagger.classes if scores.fields or tagger.card.signal == tagger.classes[1] else tagger.classes[::-1]
    metrics = measure(scores, labels, signal=signal)

    measured = {"tagger": tagger.name, "content_hash": tagger.content_hash, "data": arguments.data}
    sample = _sample(arguments.data, jets)
    title = f"{tagger.name}\n{sample}"
    figures = {
        "score": plots.score_by_class(scores, labels, classes=classes, signal=signal, title=title),
        "roc": plots.roc_curve(scores, labels, signal=signal, name=tagger.name, title=sample),
    }
    table = {"score": scores, "label": jets[arguments.labels]}
    found: dict[str, Metrics] = {}
    for one in chosen:
        pair = discriminate(scores, labels, one.signal, one.backgrounds)
        found[one.name] = measure(*pair)
        sides = (" + ".join(one.backgrounds), one.signal)
        figures[f"score_{one.name}"] = plots.score_by_class(*pair, classes=sides, title=f"{one.name}, {title}")
        figures[f"roc_{one.name}"] = plots.roc_curve(*pair, name=f"{tagger.name}, {one.name}", title=sample)
        table[f"score_{one.name}"] = one(scores)
    contents: dict[str, Any] = {f"{name}.{suffix}": figures[name].savefig for name in names for suffix in _SUFFIXES}
    contents["scores.parquet"] = partial(
        ak.to_parquet, ak.zip(table, depth_limit=labels.ndim), parquet_extra_options={"write_page_checksum": True}
    )
    further = {"discriminants": {name: each.as_dict() for name, each in found.items()}} if found else {}
    # last, so that a new folder with metrics is complete
    contents["metrics.json"] = (json.dumps(measured | metrics.as_dict() | further, indent=2) + "\n").encode()
    write_together(out, contents)
    print(f"{tagger.name} on {', '.join(arguments.data)}\n{metrics}")
    for name, each in found.items():
        print(f"{name}\n{each}")
    print(f"  metrics, plots and scores in {out}/")
    return 0


def _check_output(out: Path, data: Iterable[Path], plots: Iterable[str]) -> None:
    """Refuse a folder that is a file, or in which the report would replace the jets it is made from."""
    if out.exists() and not out.is_dir():
        raise JetError(explain(f"{out} is a file", "a folder", "choose another name"))
    written = [f"{name}.{suffix}" for name in plots for suffix in _SUFFIXES]
    for name in (*written, "scores.parquet", "metrics.json"):
        if any(is_same_file(source, out / name) for source in data):
            raise JetError(
                explain(f"jets in {out / name}, which the report would replace", "another folder", "choose another -o")
            )


def _sample(data: list[str], jets: ak.Array) -> str:
    """The files and the range of pT in which 98% of the jets are, for the plots."""
    import numpy as np

    from ..jets import flatten

    p4 = flatten(jets).jet_p4
    low, high = np.percentile(np.hypot(p4[:, 1], p4[:, 2]), [1, 99])
    name = Path(data[0]).name + (f" and {len(data) - 1} more" if len(data) > 1 else "")
    return f"{name.replace('$', '')}, $p_T$ {low:.0f} to {high:.0f} GeV"
