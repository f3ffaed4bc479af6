"""Checkpoints as bytes that carry their own digest: a damaged one is recognised before any of it is used.

The digest is the comment of the zip archive that torch writes, so that ``torch.load`` reads the file as before.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["decode", "encode"]

#: An archive without a comment ends in this signature, 16 bytes, and the comment's length.
_END, _END_SIZE = b"PK\x05\x06", 22

_TAG = b"sha256:"
_COMMENT_SIZE = 2 + len(_TAG) + 64


def encode(state: Mapping[str, Any]) -> bytes:
    """A checkpoint of tensors and plain values, with its digest."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    return content[:-2] + _comment(content)


def decode(content: bytes) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU; nothing else is unpickled. Those of version 0.1 have no digest.

    Raises
    ------
    Exception
        If it is damaged, or not a checkpoint.
    """
    if content[-_END_SIZE:].startswith(_END) and content.endswith(bytes(2)):
        damaged = zipfile.ZipFile(io.BytesIO(content)).testzip()
    else:
        whole = content[:-_COMMENT_SIZE] + bytes(2)
        damaged = None if content[-_COMMENT_SIZE:] == _comment(whole) else "its digest"
    if damaged:
        raise ValueError(f"it is damaged: {damaged} does not match")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def _comment(content: bytes) -> bytes:
    """Length and text of the comment that gives the digest of an archive without one."""
    text = _TAG + hashlib.sha256(content).hexdigest().encode()
    return struct.pack("<H", len(text)) + text
