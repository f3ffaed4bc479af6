"""What a stream holds, found in one pass over labels, weights and momenta of its jets."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...array_types import F8, I8
from .labelled_jets import rounded_range
from .preparation import Prepared
from .sample_weights import class_sums

__all__ = ["Inventory", "Tally"]

#: Keeps the random numbers of resampling apart from others of the same seed and epoch.
_STREAM = 5


@dataclass(frozen=True)
class Tally:
    """What one piece of a row group holds.

    Attributes
    ----------
    group : int
        Number of the row group.
    size : int
        Jets.
    numbers, weight_sums : ndarray, shape (n_classes,)
        Jets and Σ w per class in an epoch.
    pt : (float, float)
        Lowest and highest jet pT in GeV; (inf, 0) without jets.
    copies : float or None
        Jets drawn per epoch, on average; None if each is drawn once.
    left_out : mapping of str to int
        Reason -> number of jets that were left out for it.
    digest : bytes
        SHA-256 of labels, weights, targets and momenta of the jets.
    """

    group: int
    size: int
    numbers: I8
    weight_sums: F8
    pt: tuple[float, float]
    copies: float | None
    left_out: Mapping[str, int]
    digest: bytes

    @classmethod
    def of(cls, group: int, prepared: Prepared, copies: F8 | None, n_classes: int) -> Tally:
        """Count jets, of which the constituents are not needed."""
        sample = prepared.sample
        labels, weights = sample.labels.numpy(), sample.weights.numpy()
        pt = np.hypot(*sample.jets.jet_p4[:, 1:3].numpy().T)
        return cls(
            group=group,
            size=len(labels),
            numbers=np.bincount(labels, minlength=n_classes),
            weight_sums=class_sums(labels, weights if copies is None else weights * copies, n_classes),
            pt=(float(pt.min(initial=np.inf)), float(pt.max(initial=0.0))),
            # as `resampled` adds them up
            copies=None if copies is None else float(np.cumsum(copies)[-1]) if len(copies) else 0.0,
            left_out=prepared.left_out,
            digest=bytes.fromhex(sample.fingerprint(**({} if copies is None else {"copies": copies}))),
        )


@dataclass(frozen=True)
class Inventory:
    """What all pieces of a stream hold, in the order of the files."""

    tallies: Sequence[Tally]
    n_classes: int

    @cached_property
    def sizes(self) -> I8:
        """Jets in each piece, shape (P,)."""
        return np.asarray([tally.size for tally in self.tallies], dtype=np.int64)

    @cached_property
    def groups(self) -> I8:
        """Row group of each piece, shape (P,)."""
        return np.asarray([tally.group for tally in self.tallies], dtype=np.int64)

    @property
    def resampled(self) -> bool:
        """Whether jets are drawn more or less often than once."""
        return any(tally.copies is not None for tally in self.tallies)

    def drawn(self, seed: int, epoch: int) -> I8:
        """Jets that are drawn of each piece in an epoch, shape (P,)."""
        if not self.resampled:
            return self.sizes
        found = [
            0 if tally.copies is None else np.floor(tally.copies + generator_of(seed, epoch, piece).random())
            for piece, tally in enumerate(self.tallies)
        ]
        return np.asarray(found, dtype=np.int64)

    @cached_property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""
        return sum((tally.numbers for tally in self.tallies), np.zeros(self.n_classes, dtype=np.int64))

    @cached_property
    def weight_sums(self) -> F8:
        """Σ w per class, shape (n_classes,)."""
        return sum((tally.weight_sums for tally in self.tallies), np.zeros(self.n_classes))

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""
        return rounded_range(min(t.pt[0] for t in self.tallies), max(t.pt[1] for t in self.tallies))

    @property
    def left_out(self) -> dict[str, int]:
        """Reason -> number of jets that were left out for it."""
        found: Counter[str] = Counter()
        for tally in self.tallies:
            found.update(tally.left_out)
        return dict(found)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all jets' labels, weights, targets and momenta, and of their division into pieces."""
        digest = hashlib.sha256()
        for tally in self.tallies:
            digest.update(f"{tally.group} {tally.size} ".encode() + tally.digest)
        return digest.digest()


def generator_of(seed: int, epoch: int, piece: int) -> np.random.Generator:
    """Random numbers for drawing the jets of a piece."""
    return np.random.default_rng([seed, epoch, _STREAM, piece])
