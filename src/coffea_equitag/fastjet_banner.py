"""FastJet's banner, which it prints on standard output with its first clustering: out of the way of what is piped."""

from __future__ import annotations

import fastjet

__all__ = ["silence_banner"]


def silence_banner() -> None:
    """Keep FastJet from printing its banner; the pages on clustering and simulation say what it asks to cite."""
    # FastJet prints nothing where the stream is null. The Python class ClusterSequence hides this, its heirs have it.
    fastjet.ClusterSequenceArea.set_fastjet_banner_stream(None)
