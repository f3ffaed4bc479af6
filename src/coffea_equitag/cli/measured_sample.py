"""A sample that is scored and measured chunk by chunk, so that its jets need not fit into the memory."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from . import evaluated_jets

if TYPE_CHECKING:
    import awkward as ak

    from ..array_types import F8
    from ..evaluation import Evaluation
    from ..tagger import Tagger

__all__ = ["MeasuredSample"]

#: Jets, or events with their jets, that are in memory at a time.
_CHUNK = 100_000


@dataclass(frozen=True)
class MeasuredSample:
    """What is kept of a sample.

    Attributes
    ----------
    blocks : list of Evaluation
        Of every n-th entry (jets, or events with their jets), if there are n blocks.
    scores, labels : ak.Array
        Of all jets.
    pt : ndarray of float64
        pT of all jets, GeV.
    """

    blocks: list[Evaluation]
    scores: ak.Array
    labels: ak.Array
    pt: F8

    @property
    def evaluation(self) -> Evaluation:
        """Of all jets."""
        return reduce(add, self.blocks)

    @classmethod
    def of(
        cls,
        arguments: argparse.Namespace,
        tagger: Tagger,
        empty: Callable[[], Evaluation],
        path: list[str],
        blocks: int = 1,
    ) -> MeasuredSample:
        """Read, score and measure files.

        Raises
        ------
        JetError
            If the jets, their labels or weights are not valid.
        """
        import awkward as ak
        import numpy as np

        from ..jets import flatten

        evaluations = [empty() for _ in range(blocks)]
        scores, labels, momenta = [], [], []
        number = 0
        for sample in evaluated_jets.chunks(arguments, tagger, path, _CHUNK):
            scores.append(tagger(sample.jets))
            labels.append(sample.labels)
            momenta.append(np.hypot(*flatten(sample.jets).jet_p4[:, 1:3].T))
            for block, evaluation in enumerate(evaluations):
                part = slice((block - number) % blocks, None, blocks)
                each = sample[part]
                evaluation.fill(scores[-1][part], each.labels, each.jets, weights=each.weights)
            number += len(sample.labels)
        return cls(evaluations, ak.concatenate(scores), ak.concatenate(labels), np.concatenate(momenta))
