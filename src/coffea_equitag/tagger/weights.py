"""The weights of a tagger on disk: looked at before they are read, because a folder may come from anyone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from ..errors import CheckpointError, TaggerError, explain
from ..models import SizeLimit
from ..reading import check_regular
from .card import Card

__all__ = ["check_size", "read_weights"]

#: Bytes of the longest header: a tensor takes about a hundred.
_HEADER = 1_000_000


def read_weights(path: Path, card: Card) -> dict[str, Tensor]:
    """Weights from a safetensors file, after a look at its header.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError, TaggerError
        If it is a folder, a pipe or damaged, or the card's options cannot be those of its weights.
    """
    check_regular(path)
    check_size(card, _size_of(path), path)
    return safetensors.torch.load_file(path)


def check_size(card: Card, size: SizeLimit, path: Path) -> None:
    """Refuse options larger than the number of weights: every layer and channel has at least one.

    Raises
    ------
    TaggerError
        Naming the option.
    """
    for name, value in card.options.items():
        if _largest(value) > size.numbers:
            raise TaggerError(
                explain(
                    f"{name} = {value!r} in the card beside {path}, which holds {size.numbers} numbers",
                    f"options of a {card.architecture} with so many weights",
                    "restore the folder from its original; do not edit cards by hand",
                )
            )


def _largest(value: Any) -> float:
    if isinstance(value, list | tuple):
        return max(map(_largest, value), default=0)
    return abs(value) if isinstance(value, int) and not isinstance(value, bool) else 0


def _size_of(path: Path) -> SizeLimit:
    """What the header of a safetensors file says of its size; the library would read a header of any content."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER:
            raise CheckpointError(
                explain(
                    f"{path} with a header of {length:,} bytes",
                    f"a safetensors file whose header has at most {_HEADER:,} bytes",
                    "save the tagger again; a copy may be incomplete",
                )
            )
        header = json.loads(file.read(length))
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    return SizeLimit(len(shapes), sum(map(math.prod, shapes)))
