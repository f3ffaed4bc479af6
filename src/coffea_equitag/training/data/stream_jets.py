"""Jets of a stream while they wait: as compact as in their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
import torch

from ...array_types import F8, I8, AnyArray
from ...errors import JetError
from ...jets.ragged import RaggedJets
from .labelled_jets import LabelledJets

__all__ = ["CompactJets"]


@dataclass(frozen=True)
class CompactJets:
    """Jets as they were read, with what was found out about them.

    Attributes
    ----------
    jets : ak.Array
        ``[jet]``, J jets in the file's precision.
    labels, weights : ndarray, shape (J,)
        As in `LabelledJets`.
    targets : mapping of str to ndarray, shapes (J, ...)
        As in `LabelledJets`.
    groups, rows : ndarray of int64, shape (J,)
        Number of the row group, and the jet's place in it: for messages.
    """

    jets: ak.Array
    labels: I8
    weights: F8
    targets: Mapping[str, AnyArray]
    groups: I8
    rows: I8

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def join(cls, parts: Sequence[CompactJets]) -> CompactJets:
        """Jets of all parts, in their order."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return cls(
            ak.concatenate([part.jets for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.weights for part in parts]),
            {name: np.concatenate([part.targets[name] for part in parts]) for name in first.targets},
            np.concatenate([part.groups for part in parts]),
            np.concatenate([part.rows for part in parts]),
        )

    def take(self, index: I8) -> CompactJets:
        """The jets of the given indices, in that order; a copy."""
        return CompactJets(
            ak.to_packed(self.jets[index]),
            self.labels[index],
            self.weights[index],
            {name: target[index] for name, target in self.targets.items()},
            self.groups[index],
            self.rows[index],
        )

    def labelled(self, fields: tuple[str, ...]) -> LabelledJets:
        """As a batch, with constituent columns of these names.

        Raises
        ------
        JetError
            If a jet cannot be used.
        """
        return LabelledJets(
            RaggedJets.from_awkward(self.jets, fields),
            torch.from_numpy(self.labels),
            torch.from_numpy(self.weights),
            {name: torch.from_numpy(target) for name, target in self.targets.items()},
        )

    def faulty(self, fields: tuple[str, ...]) -> tuple[int, JetError]:
        """The first jet that `labelled` refuses, and why; the jets are such that it refuses some."""
        first, last = 0, len(self)
        while last - first > 1:
            middle = (first + last) // 2
            first, last = (first, middle) if self._refuses(first, middle, fields) else (middle, last)
        found = self._refuses(first, last, fields)
        assert found is not None
        return first, found

    def _refuses(self, first: int, last: int, fields: tuple[str, ...]) -> JetError | None:
        try:
            RaggedJets.from_awkward(self.jets[first:last], fields)
        except JetError as error:
            return error
        return None
