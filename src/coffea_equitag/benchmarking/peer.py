"""A network from another package, as it is compared with ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..jets.ragged import RaggedJets

__all__ = ["Peer"]


@dataclass(frozen=True)
class Peer:
    """A network from another package.

    Attributes
    ----------
    name, package : str
        The network, and the package it is from.
    module : str
        Module to import.
    ours : str
        Kind of our network that it is compared with.
    make : callable
        From the imported module and our network to the peer's network.
    prepare : callable
        From the peer's network, ours and jets to a function that computes logits.
    """

    name: str
    package: str
    module: str
    ours: str
    make: Callable[[Any, Any], nn.Module]
    prepare: Callable[[Any, Any, RaggedJets], Callable[[], Tensor]]
