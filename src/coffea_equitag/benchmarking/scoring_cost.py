"""What scoring a jet costs a processor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import awkward as ak
import torch

from .clock import seconds_of

if TYPE_CHECKING:
    from ..tagger import Tagger

__all__ = ["microseconds_per_jet"]


def microseconds_per_jet(tagger: Tagger, jets: ak.Array) -> float:
    """Processor time in one thread, from awkward jets to scores: the best of three, once kernels are compiled."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        tagger(jets)
        return 1e6 * min(seconds_of(partial(tagger, jets)) for _ in range(3)) / len(jets)
    finally:
        torch.set_num_threads(threads)
