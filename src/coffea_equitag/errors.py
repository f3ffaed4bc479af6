"""Errors and warnings that say what was given, what was expected and how to fix it."""

from __future__ import annotations

__all__ = ["CheckpointError", "EquitagError", "JetError", "JetRangeWarning", "TaggerError", "explain"]


class EquitagError(ValueError):
    """Base of every error this package raises on bad input."""


class JetError(EquitagError):
    """Jets, events or files that do not hold what was asked of them."""


class TaggerError(EquitagError):
    """A tagger that cannot be built, loaded or saved."""


class CheckpointError(TaggerError):
    """Weights that do not fit the network they are given to."""


class JetRangeWarning(UserWarning):
    """Jets outside the range the tagger was trained on."""


def explain(given: str, expected: str, remedy: str) -> str:
    """Put the three sentences of an error into one message."""
    return f"{given}\n  expected: {expected}\n  to fix: {remedy}"
