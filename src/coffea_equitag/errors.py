"""Errors and warnings, each stating what was given, what was expected and how to fix it."""

from __future__ import annotations

__all__ = [
    "CacheWarning",
    "CheckpointError",
    "CollectionWarning",
    "ConstituentsWarning",
    "EquitagError",
    "ExportError",
    "JetError",
    "JetRangeWarning",
    "KernelWarning",
    "SampleWarning",
    "TaggerError",
    "TaggerWarning",
    "TimeLimitError",
    "UnitWarning",
    "explain",
]


#: Characters of what was given that a message shows.
_LONGEST = 2_000


class EquitagError(ValueError):
    """Base class of all errors this package raises on bad input."""


class JetError(EquitagError):
    """Jets, events or files that lack what is needed, or hold invalid values."""


class TaggerError(EquitagError):
    """A tagger that cannot be built, loaded or saved."""


class CheckpointError(TaggerError):
    """Weights that do not match the network they are loaded into."""


class ExportError(TaggerError):
    """A tagger that cannot be exported, or an exported file that does not give the tagger's scores."""


class TimeLimitError(TaggerError):
    """A training that stopped before its last epoch because its time was up; the same call continues it."""


class CollectionWarning(UserWarning):
    """Datasets without a jet collection that was to be tagged."""


class ConstituentsWarning(UserWarning):
    """Jets whose constituents are not, or not all, in the file, or have invalid numbers."""


class JetRangeWarning(UserWarning):
    """Jets outside the range the tagger was trained on."""


class UnitWarning(UserWarning):
    """Columns of a file that were not converted to GeV because their names do not tell what they are."""


class CacheWarning(UserWarning):
    """Compiled code, or scores, that cannot be kept or read on disk, so that they are compiled or computed again."""


class KernelWarning(UserWarning):
    """Kernels that failed their self-check on this machine, so that a network's layers run in their place."""


class SampleWarning(UserWarning):
    """Training samples that cannot have all that was asked for."""


class TaggerWarning(UserWarning):
    """A tagger that may not be the one that was meant."""


def explain(given: str, expected: str, remedy: str) -> str:
    """Combine the three parts of an error into one message; what was given is cut where it is longer than a screen."""
    if len(given) > _LONGEST:
        given = f"{given[:_LONGEST]}..."
    return f"{given}\n  expected: {expected}\n  to fix: {remedy}"
