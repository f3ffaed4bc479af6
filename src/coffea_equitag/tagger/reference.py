"""Where a tagger lies and which one it is: what a job holds of a tagger given by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from .. import zoo
from .loading import load_expected
from .storage import find, verified_card
from .tagger import Tagger

__all__ = ["TaggerReference"]


@dataclass(frozen=True)
class TaggerReference:
    """A tagger by its place and its content hash, so that every process of a job uses the same one.

    Attributes
    ----------
    source : str
        Absolute path of its folder, or a name from the zoo.
    content_hash : str
        SHA-256 of the weights and of all else that determines the scores.
    """

    source: str
    content_hash: str

    @classmethod
    def of(cls, source: str | os.PathLike[str]) -> TaggerReference:
        """Refer to the tagger that lies there now; its files are read and checked.

        Raises
        ------
        TaggerError, CheckpointError
            If there is no tagger, or its card and weights do not belong together.
        """
        in_zoo = isinstance(source, str) and source in zoo.names()
        folder = find(source)
        return cls(str(source) if in_zoo else str(folder.resolve()), str(verified_card(folder).content_hash))

    def load(self, device: torch.device | str | None = None) -> Tagger:
        """Load it, once per process and device.

        Raises
        ------
        TaggerError
            If another tagger lies there now.
        """
        return load_expected(self.source, self.content_hash, device)
