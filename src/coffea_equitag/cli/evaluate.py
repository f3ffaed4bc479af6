"""``equitag evaluate TAGGER DATA... -o DIR``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic_file import is_same_file, write_together
from ..errors import JetError, explain
from . import evaluate_momenta, evaluated_jets
from .evaluation_report import BLOCKS, changes_in, file_names, report_of
from .measured_sample import MeasuredSample

if TYPE_CHECKING:
    from ..array_types import F8
    from ..evaluation import Evaluation, Metrics
    from ..tagger import Tagger

__all__ = ["configure", "run"]

_SUFFIXES = ("png", "pdf")
_REPORT = ("report.html", "report.json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tagger", help="folder of a tagger or of a training run, or a name in the zoo")
    evaluated_jets.configure(parser)
    measured = parser.add_argument_group("what is measured")
    second = parser.add_argument_group("a second sample")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for metrics, plots and scores")
    measured.add_argument(
        "--efficiency",
        nargs="+",
        type=float,
        default=[0.5, 0.3],
        metavar="E",
        help="signal efficiencies at which to give the background rejection, e.g. 0.7 0.85 (default: 0.5 0.3)",
    )
    measured.add_argument(
        "--discriminant",
        action="append",
        default=[],
        metavar="NAME=SIGNAL:BACKGROUND[,...]",
        help="measure p_signal / (p_signal + p_background) too, on jets of these classes, e.g. TvsQCD=top:qcd, or "
        "against a mixture, e.g. TvsMix=top:0.8*qcd,0.2*W; may be repeated",
    )
    parser.add_argument(
        "--report", action="store_true", help="write report.html, one page with all figures, and report.json"
    )
    second.add_argument(
        "--against",
        nargs="+",
        metavar="FILE",
        help="a second sample, e.g. of another generator: what changes, with uncertainties",
    )
    second.add_argument(
        "--paired",
        action="store_true",
        help="the second sample is the same jets in the same order, varied: their fluctuations cancel",
    )
    measured.add_argument(
        "--mass",
        default="mass",
        metavar="FIELD",
        help="jet field whose sculpting is looked at (default: the jet's mass)",
    )
    measured.add_argument(
        "--background-efficiency",
        nargs="+",
        type=float,
        default=[0.5, 0.1, 0.01],
        metavar="E",
        help="background efficiencies at which to compare the mass before and after the cut (default: 0.5 0.1 0.01)",
    )
    measured.add_argument(
        "--bins",
        action="append",
        default=[],
        metavar="NAME=EDGE,EDGE,...",
        help="edges of pt, eta, mass, multiplicity or a jet field in the report, e.g. pt=300,500,1000; may be repeated",
    )
    measured.add_argument(
        "--target",
        metavar="NAME",
        help="for a tagger of momenta, what to compare with (default: what it learned): a field of the jets, or the "
        "first part of the names of its components",
    )
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


def run(arguments: argparse.Namespace) -> int:
    """Score, measure, plot, and print the table."""
    import awkward as ak

    from ..evaluation import Evaluation, plots
    from ..evaluation.metrics import check_efficiencies
    from ..evaluation.variables import VARIABLES
    from ..readers.ranges import expand
    from ..tagger import load
    from ..tagger.discriminant import discriminants, parse_discriminants

    tagger = load(arguments.tagger, arguments.device)
    if not tagger.classes:
        return evaluate_momenta.run(arguments, tagger, _bins(arguments.bins).get("pt"))
    check_efficiencies([*arguments.efficiency, *arguments.background_efficiency])
    variables = {**VARIABLES, **_bins(arguments.bins)} if arguments.report else {}
    if arguments.report and arguments.mass not in variables:
        variables[arguments.mass] = VARIABLES["mass"]
    chosen = parse_discriminants(arguments.discriminant)
    options: dict[str, Any] = {"signal": tagger.card.signal, "discriminants": chosen, "variables": variables}
    for one in discriminants(chosen):
        one.check(tagger.classes, tagger.name)
    empty = partial(Evaluation, tagger.classes, **options)
    out = Path(arguments.output)
    names = [f"{kind}{end}" for end in ("", *(f"_{name}" for name in chosen)) for kind in ("score", "roc")]
    others = arguments.against or []
    _check_output(out, [*expand(arguments.data), *expand(others)] if others else expand(arguments.data), names)

    sample = MeasuredSample.of(arguments, tagger, empty, arguments.data, BLOCKS if arguments.paired else 1)
    evaluation = sample.evaluation
    metrics = {name: evaluation.measure(name, efficiencies=arguments.efficiency) for name in evaluation.names}
    changes = changes_in(arguments, tagger, empty, sample) if others else {}

    words = _in_words(arguments.data, sample.pt)
    contents = _figures(evaluation, tagger, words, arguments.efficiency, plots)
    table = {"score": sample.scores, "label": sample.labels}
    table |= {f"score_{one.name}": one(sample.scores) for one in evaluation.discriminants}
    contents["scores.parquet"] = partial(
        ak.to_parquet,
        ak.zip(table, depth_limit=sample.labels.ndim),
        parquet_extra_options={"write_page_checksum": True},
    )
    if arguments.report:
        contents |= report_of(arguments, tagger, evaluation, changes, words)
    # last, so that a new folder with metrics is complete
    contents["metrics.json"] = (json.dumps(_measured(arguments, tagger, metrics), indent=2) + "\n").encode()
    write_together(out, contents)
    _print(arguments, tagger, metrics, changes)
    print(f"  {'report.html, ' if arguments.report else ''}metrics, plots and scores in {out}/")
    return 0


def _bins(given: Iterable[str]) -> dict[str, list[float]]:
    found = {}
    for argument in given:
        name, _, edges = argument.partition("=")
        try:
            found[name] = [float(edge) for edge in edges.split(",")]
        except ValueError as error:
            raise JetError(explain(f"--bins {argument}", "NAME=EDGE,EDGE,...", "write e.g. pt=300,500,1000")) from error
    return found


def _figures(evaluation: Evaluation, tagger: Tagger, sample: str, efficiencies: list[float], plots: Any) -> Any:
    """Plots of each score, by the names of their files."""
    contents: dict[str, Any] = {}
    for name in evaluation.names:
        end, prefix = ("", "") if name == evaluation.names[0] else (f"_{name}", f"{name}, ")
        title = f"{prefix}{tagger.name}\n{sample}"
        score = plots.draw_scores(*evaluation.rows(name), classes=evaluation.classes, title=title)
        curve = {f"{tagger.name}{f', {name}' if end else ''}": evaluation.separation(name)}
        roc = plots.draw_roc(curve, efficiencies=efficiencies, title=sample)
        for kind, figure in (("score", score), ("roc", roc)):
            contents |= {f"{kind}{end}.{suffix}": figure.savefig for suffix in _SUFFIXES}
    return contents


def _measured(arguments: argparse.Namespace, tagger: Tagger, metrics: dict[str, Metrics]) -> dict[str, Any]:
    first, *further = metrics
    found = {"tagger": tagger.name, "content_hash": tagger.content_hash, "data": arguments.data}
    found |= metrics[first].as_dict()
    return found | ({"discriminants": {name: metrics[name].as_dict() for name in further}} if further else {})


def _print(arguments: argparse.Namespace, tagger: Tagger, metrics: dict[str, Metrics], changes: dict[str, Any]) -> None:
    first, *further = metrics
    print(f"{tagger.name} on {', '.join(arguments.data)}\n{metrics[first]}")
    for name in further:
        print(f"{name}\n{metrics[name]}")
    for name, found in changes.items():
        print(f"{file_names(arguments.against)} − {file_names(arguments.data)}{'' if name == first else f', {name}'}")
        width = max(len(each.name) for each in found)
        print("\n".join(f"{each.name:<{width}}  {each.nominal} → {each.other}: {each.difference}" for each in found))


def _check_output(out: Path, data: Iterable[Path], plots: Iterable[str]) -> None:
    """Refuse a folder that is a file, or in which the report would replace the jets it is made from."""
    if out.exists() and not out.is_dir():
        raise JetError(explain(f"{out} is a file", "a folder", "choose another name"))
    written = [f"{name}.{suffix}" for name in plots for suffix in _SUFFIXES]
    for name in (*written, *_REPORT, "scores.parquet", "metrics.json"):
        if any(is_same_file(source, out / name) for source in data):
            raise JetError(
                explain(f"jets in {out / name}, which the report would replace", "another folder", "choose another -o")
            )


def _in_words(data: list[str], pt: F8) -> str:
    """The files and the range of pT in which 98% of the jets are, for the plots."""
    import numpy as np

    low, high = np.percentile(pt, [1, 99])
    return f"{file_names(data).replace('$', '')}, $p_T$ {low:.0f} to {high:.0f} GeV"
