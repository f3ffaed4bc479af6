"""Damage done to files by bad disks, interrupted copies and mistaken names; repeatable by its seed."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faults.hostile import hostile

__all__ = ["FAULTS", "damage"]

Bytes = Callable[[bytearray, np.random.Generator], bytes]


def _flip(content: bytearray, rng: np.random.Generator) -> bytes:
    """One to eight bits flipped."""
    for place in rng.integers(0, 8 * len(content), rng.integers(1, 9)):
        content[place // 8] ^= 1 << (place % 8)
    return bytes(content)


def _flip_ends(content: bytearray, rng: np.random.Generator) -> bytes:
    """A bit flipped in the first or last 200 bytes, where most formats describe themselves."""
    place = int(rng.integers(0, min(200, len(content))))
    content[place if rng.random() < 0.5 else -1 - place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _overwrite(content: bytearray, rng: np.random.Generator) -> bytes:
    """A run of bytes overwritten by zeros, by ones or at random."""
    start, length = int(rng.integers(len(content))), int(rng.choice([1, 2, 4, 8, 64, 512]))
    stop = min(start + length, len(content))
    filling = [bytes(stop - start), b"\xff" * (stop - start), rng.bytes(stop - start)]
    content[start:stop] = filling[int(rng.integers(3))]
    return bytes(content)


def _truncate(content: bytearray, rng: np.random.Generator) -> bytes:
    """The end missing."""
    return bytes(content[: int(rng.integers(1, len(content)))])


def _splice(content: bytearray, rng: np.random.Generator) -> bytes:
    """A block copied over another one, inserted elsewhere, or left out."""
    start, to = (int(x) for x in rng.integers(0, len(content), 2))
    block = content[start : start + int(rng.choice([16, 256, 4096]))]
    how = rng.integers(3)
    if how == 0:
        content[to : to + len(block)] = block
    elif how == 1:
        content[to:to] = block
    else:
        del content[start : start + len(block)]
    return bytes(content)


def _foreign(content: bytearray, rng: np.random.Generator) -> bytes:
    """Something else under this name."""
    others = [
        b"PK\x03\x04" + rng.bytes(400),
        b"root" + rng.bytes(400),
        b"PAR1" + rng.bytes(400) + b"PAR1",
        b"\x89HDF\r\n\x1a\n" + rng.bytes(400),
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        json.dumps({"a": [1, 2, {"b": None}]}).encode(),
        json.dumps([[]] * 9).encode(),
        pickle.dumps({"state_dict": {"weight": 1.0}}),
        gzip.compress(bytes(content)),
        "jet pT ≥ 550 GeV\n".encode("utf-16"),
        bytes(600),
        rng.bytes(600),
    ]
    return others[int(rng.integers(len(others)))]


#: Name of a fault -> the content it leaves; None for what is done to the file itself.
FAULTS: dict[str, Bytes | None] = {
    "bits flipped": _flip,
    "bit flipped at an end": _flip_ends,
    "bytes overwritten": _overwrite,
    "truncated": _truncate,
    "block spliced": _splice,
    "another kind of file": _foreign,
    "empty file": lambda content, rng: b"",
    "folder": None,
    "FIFO": None,
    "hostile JSON value": lambda content, rng: hostile(bytes(content), rng),
}


def damage(path: Path, content: bytes, fault: str, rng: np.random.Generator) -> bytes | None:
    """Put a damaged file in the place of `path`; returns its content, None if it is not a file any more."""
    make = FAULTS[fault]
    if fault == "folder":
        path.mkdir()
    elif fault == "FIFO":
        os.mkfifo(path)
    if make is None:
        return None
    changed = make(bytearray(content), rng)
    path.write_bytes(changed)
    return changed
