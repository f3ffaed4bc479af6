"""The jets of ``equitag evaluate``: selected, labelled and weighted as for a training."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import JetError, TaggerError, explain
from . import labelled_jets
from .schema_flags import add_flags, given_values

if TYPE_CHECKING:
    import awkward as ak

    from ..tagger import Tagger

__all__ = ["EvaluatedJets", "chunks", "configure", "selected", "unseen_jets"]

#: Keys of a training's configuration that say the same of an evaluation.
_KEYS = ("labels", "label_map", "unmapped", "select", "weights")


@dataclass(frozen=True)
class EvaluatedJets:
    """Jets with their labels and weights (None for none), all in the same structure."""

    jets: ak.Array
    labels: ak.Array
    weights: ak.Array | None

    def __getitem__(self, part: slice) -> EvaluatedJets:
        weights = None if self.weights is None else self.weights[part]
        return EvaluatedJets(self.jets[part], self.labels[part], weights)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the files, and the flags of `equitag train` that choose jets, labels and weights."""
    from ..training.run_config import RunConfig

    jets = parser.add_argument_group("jets")
    labelled_jets.configure(parser, jets)
    add_flags(jets, RunConfig, without=[name for name in RunConfig.model_fields if name not in _KEYS])
    parser.set_defaults(weights=None)
    jets.add_argument(
        "--unseen",
        action="store_true",
        help="only the jets of the fold that the tagger was not trained on (a training with `folds`)",
    )


def chunks(arguments: argparse.Namespace, tagger: Tagger, path: list[str], size: int) -> Iterator[EvaluatedJets]:
    """Read files, at most so many jets (or events with their jets) at a time; at least one chunk, perhaps empty.

    Jets whose labels and weights are fields keep their structure; otherwise they are flat, without missing ones.

    Raises
    ------
    JetError
        If files, labels, weights or the selection are not valid for these jets.
    TaggerError
        If unseen jets are asked for of a tagger that was trained without folds.
    """
    from ..readers import read_jets

    start = 0
    while True:
        jets = read_jets(path, jets=arguments.jets, entry_start=start, entry_stop=start + size)
        if len(jets) or not start:
            yield _evaluated(arguments, tagger, jets)
        if len(jets) < size:
            return
        start += size


def _evaluated(arguments: argparse.Namespace, tagger: Tagger, jets: ak.Array) -> EvaluatedJets:
    from ..training.run_config import RunConfig

    given = given_values(arguments, RunConfig)
    trained = tagger.card.training.recipe if tagger.card.training is not None else {}
    chosen = {name: given.get(name, trained.get(name)) for name in ("label_map", "unmapped")}
    labels, weights = given.get("labels", "label"), given.get("weights")
    plain = [labels] if weights is None else [labels, weights]
    formulas = any(not isinstance(name, str) or not name.replace(".", "_").isidentifier() for name in plain)
    if chosen["label_map"] or "select" in given or formulas or arguments.unseen:
        return _prepared(jets, tagger, labels, weights, given.get("select"), chosen, unseen=arguments.unseen)
    return EvaluatedJets(jets, *(_field(jets, name, kind) for name, kind in ((labels, "label"), (weights, "weight"))))


def selected(jets: ak.Array, select: str | None) -> ak.Array:
    """The jets that pass a cut, flat and without missing ones; the jets as they are for None.

    Raises
    ------
    JetError
        If the cut is not valid for these jets.
    """
    from ..jets.nesting import unnest
    from ..training.data.expression import Expression
    from ..training.data.jet_columns import JetColumns

    if select is None:
        return jets
    columns = JetColumns(unnest(jets)[1])
    return columns.where(Expression(select).boolean(columns.__getitem__, len(columns))).jets


def _field(jets: ak.Array, name: str | None, kind: str) -> Any:
    if name is None or name in jets.fields:
        return None if name is None else jets[name]
    raise JetError(
        explain(
            f"jets without a field '{name}'; they have {', '.join(jets.fields)}",
            f"a {kind} for each jet",
            f"name the field that holds the {kind}s: --{kind}s FIELD",
        )
    )


def _prepared(
    jets: ak.Array,
    tagger: Tagger,
    labels: Any,
    weights: str | None,
    select: str | None,
    chosen: dict[str, Any],
    *,
    unseen: bool,
) -> EvaluatedJets:
    import awkward as ak

    from ..jets.nesting import unnest
    from ..training.data.jet_columns import JetColumns
    from ..training.data.label_map import NONE, label_map
    from ..training.data.sample_weights import sample_weights

    columns = JetColumns(unnest(selected(jets, select))[1])
    if unseen:
        columns = columns.where(unseen_jets(tagger, columns.jets))
    mapped, _ = label_map(labels, chosen["label_map"], tagger.classes, len(tagger.classes))
    numbers = mapped(columns)
    if (numbers == NONE).any():
        if chosen["unmapped"] != "drop":
            jet = int((numbers == NONE).argmax())
            given = f"the label of {columns.first(numbers == NONE)} {mapped.describe(columns, jet)}"
            raise JetError(explain(given, mapped.expected, "leave such jets out by --unmapped drop or --select"))
        columns, numbers = columns.where(numbers != NONE), numbers[numbers != NONE]
    each = None if weights is None else ak.Array(sample_weights(weights, columns))
    return EvaluatedJets(columns.jets, ak.Array(numbers), each)


def unseen_jets(tagger: Tagger, jets: ak.Array) -> Any:
    """Which jets, one level deep, the tagger was not trained on: those of its fold.

    Raises
    ------
    TaggerError
        If it was trained without folds.
    """
    import awkward as ak

    from ..training.data.folds import fold_of

    record = tagger.card.training
    if record is None or record.fold is None or record.folds is None:
        raise TaggerError(
            explain(
                f"unseen jets of {tagger.name}, which was not trained in folds",
                "a tagger of a training with folds",
                "train with --folds 5 --fold 0, or evaluate it on other files without --unseen",
            )
        )
    return ak.to_numpy(fold_of(jets, record.folds, event_id=record.event_id)) == record.fold
