"""Labelled jets as a ragged batch: what a training sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ...array_types import I8, AnyArray, Bools
from ...errors import JetError, explain
from ...jets.collection import check_structure
from ...jets.nesting import unnest
from ...jets.ragged import RaggedJets
from .jet_columns import JetColumns
from .sample_weights import check_numbers
from .truth import Truth

__all__ = ["LABEL", "WEIGHT", "LabelledJets", "rounded_range", "with_column"]

#: Fields of labels and weights that are given as arrays.
LABEL, WEIGHT = "label_given", "weight_given"


@dataclass(frozen=True)
class LabelledJets:
    """Jets, their classes, their weights, and what else is to be learned about them.

    Attributes
    ----------
    jets : RaggedJets
        J jets of N constituents in all.
    labels : Tensor of int64, shape (J,)
        Their classes.
    weights : Tensor of float64, shape (J,)
        Their weights in the loss and in the metrics.
    targets : mapping of str to Tensor, shapes (J, ...)
        Further truth per jet.
        Truth per constituent is in the columns of `jets`.
    """

    jets: RaggedJets
    labels: Tensor
    weights: Tensor
    targets: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        jets: ak.Array,
        labels: Any,
        n_classes: int,
        fields: tuple[str, ...] = (),
        truth: Truth | None = None,
    ) -> LabelledJets:
        """Convert jets and their labels; missing jets are left out.

        Parameters
        ----------
        jets : ak.Array
            Canonical jets, any outer nesting.
        labels : str, array-like or None
            Name of a jet field, or one label per jet in the jets' outer structure; None if all jets are of class 0.
        n_classes : int
            Labels are 0 to n_classes − 1.
        fields : tuple of str
            Further constituent columns that the network needs.
        truth : Truth, optional
            What else is to be learned about the jets.

        Raises
        ------
        JetError
            If the jets are not canonical, or labels are missing, not whole numbers or out of range.
        """
        check_structure(jets, fields)
        if labels is None:
            jets, name = ak.with_field(jets, 0, LABEL), LABEL
        elif isinstance(labels, str):
            if labels not in jets.fields:
                raise JetError(
                    explain(
                        f"jets without a field '{labels}'; they have {', '.join(jets.fields)}",
                        "a label for each jet",
                        "name the field that holds it, labels='...', or pass an array",
                    )
                )
            name = labels
        else:
            jets, name = with_column(jets, labels, LABEL), LABEL
        _, records = unnest(jets)
        values = _whole(records[name], n_classes)
        weights = torch.ones(len(values), dtype=torch.float64)
        targets = {} if truth is None else truth(JetColumns(records))
        return cls(RaggedJets.from_awkward(jets, fields), torch.from_numpy(values), weights, targets)

    def select(self, jets: AnyArray) -> LabelledJets:
        """The jets of the given indices, in that order."""
        index = torch.from_numpy(np.asarray(jets, dtype=np.int64))
        return LabelledJets(
            self.jets.select(index),
            self.labels[index],
            self.weights[index],
            {name: target[index] for name, target in self.targets.items()},
        )

    def slice(self, first: int, last: int) -> LabelledJets:
        """Jets `first` to `last`; nothing is copied."""
        return LabelledJets(
            self.jets.slice(first, last),
            self.labels[first:last],
            self.weights[first:last],
            {name: target[first:last] for name, target in self.targets.items()},
        )

    def to(self, device: torch.device | str) -> LabelledJets:
        """Copy to a device."""
        return LabelledJets(
            self.jets.to(device),
            self.labels.to(device),
            self.weights.to(device),
            {name: target.to(device) for name, target in self.targets.items()},
        )

    def hardest(self, most: int | None) -> LabelledJets:
        """The jets with at most `most` constituents, those of the largest pT; None: all."""
        return self if most is None else replace(self, jets=self.jets.hardest(most))

    def cut(self, pieces: Iterable[RaggedJets]) -> Iterator[LabelledJets]:
        """The jets in pieces as those given, which follow each other in their order."""
        done = 0
        for piece in pieces:
            yield self.slice(done, done + piece.num_jets)
            done += piece.num_jets

    def require(self, classes: tuple[str, ...], what: str) -> None:
        """Refuse jets that lack a class; `what` names the sample in the error."""
        check_numbers(np.bincount(self.labels.numpy(), minlength=len(classes)), classes, what)

    def held_out(self, fraction: float, seed: int, classes: tuple[str, ...]) -> Bools:
        """Which jets to validate with: the same fraction of each class, selected by the seed; shape (J,).

        Raises
        ------
        JetError
            If a class has too few jets for both.
        """
        labels = self.labels.numpy()
        generator = np.random.default_rng([seed, 2**31])
        held = np.zeros(len(labels), dtype=bool)
        for k, name in enumerate(classes):
            members = generator.permutation(np.flatnonzero(labels == k))
            if len(members) < 2:
                raise JetError(
                    explain(
                        f"{len(members)} jets of class {k} ('{name}') among {len(labels)}",
                        "at least two of each class: one to train on and one to validate with",
                        "add jets of that class, or check the labels",
                    )
                )
            held[members[: min(max(round(fraction * len(members)), 1), len(members) - 1)]] = True
        return held

    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""
        pt = torch.hypot(self.jets.jet_p4[:, 1], self.jets.jet_p4[:, 2]).numpy()
        return rounded_range(float(pt.min()), float(pt.max()))

    def fingerprint(self, **others: AnyArray) -> str:
        """SHA-256 of everything that the network and the loss see, and of further arrays."""
        digest = hashlib.sha256()
        jets = self.jets
        tensors = {"p4": jets.p4, "mass": jets.mass, "offsets": jets.offsets, "jet_p4": jets.jet_p4}
        tensors |= {"polar": jets.polar} if jets.polar is not None else {}
        tensors |= {f"column {name}": column for name, column in sorted(jets.columns.items())}
        tensors["labels"] = self.labels
        if not bool((self.weights == 1).all()):
            tensors["weights"] = self.weights
        tensors |= {f"target {name}": target for name, target in sorted(self.targets.items())}
        tensors |= {name: torch.from_numpy(array) for name, array in others.items()}
        for name, tensor in tensors.items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def with_column(jets: ak.Array, values: Any, name: str) -> ak.Array:
    """`jets` with `values` as a field; refuses values that awkward would broadcast."""
    values = values if isinstance(values, ak.Array) else ak.Array(values)
    given, expected = values.ndim, jets.ndim
    if given == expected and len(values) == len(jets):
        try:
            return ak.with_field(jets, values, name)
        except ValueError:
            pass
    what = name.split("_")[0]
    raise JetError(
        explain(
            f"{what}s of type {values.type} for {len(jets)} entries nested {expected} deep",
            f"one {what} per jet, in the jets' own structure",
            f"store the {what}s with the jets: jets['{what}'] = ..., and give {what}s='{what}'",
        )
    )


def _whole(labels: ak.Array, n_classes: int) -> I8:
    missing = ak.to_numpy(ak.is_none(labels))
    if missing.any():
        raise _refused(missing, labels, "is missing", n_classes)
    try:
        values = np.asarray(ak.to_numpy(ak.drop_none(labels)))
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise JetError(
            explain(f"labels of type {labels.type}", f"whole numbers 0 to {n_classes - 1}", "number the classes")
        ) from error
    if numbers.ndim > 1:
        raise JetError(
            explain(
                f"labels of type {labels.type}, {numbers.shape[1]} numbers per jet",
                f"one whole number per jet, 0 to {n_classes - 1}",
                "if they are one-hot, give the index of the 1: jets['label'] = np.argmax(one_hot, axis=1)",
            )
        )
    bad = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers >= 0) & (numbers < n_classes))
    if bad.any():
        raise _refused(bad, labels, f"is {values[int(np.argmax(bad))]}", n_classes)
    return numbers.astype(np.int64)


def _refused(bad: AnyArray, labels: ak.Array, what: str, n_classes: int) -> JetError:
    return JetError(
        explain(
            f"the label of jet {int(np.argmax(bad))} {what} ({int(bad.sum())} such of {len(labels)})",
            f"whole numbers 0 to {n_classes - 1}",
            "drop such jets, e.g. jets[jets.label >= 0], or build the model with more classes",
        )
    )


def rounded_range(lowest: float, highest: float) -> tuple[float, float]:
    """A range rounded outwards to three digits."""
    return _rounded(lowest, np.floor), _rounded(highest, np.ceil)


def _rounded(value: float, direction: Any) -> float:
    if value <= 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(f"{direction(value / step) * step:.12g}")
