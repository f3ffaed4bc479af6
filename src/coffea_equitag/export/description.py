"""What an exported file says of itself: inputs, classes, card, versions, and how exact it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..tagger import Tagger
from .interface import Port
from .verification import Verification

__all__ = ["description"]


def description(
    tagger: Tagger,
    *,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    verification: Verification | None = None,
    **more: Any,
) -> str:
    """JSON; `more` are further entries, such as the opset."""
    card = tagger.card.model_copy(update={"content_hash": tagger.content_hash})
    content = {
        "tagger": tagger.name,
        "classes": tagger.classes,
        "signal": card.signal,
        "inputs": [port.as_dict() for port in inputs],
        "outputs": [port.as_dict() for port in outputs],
        **more,
        "versions": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "verification": None if verification is None else verification.as_dict(),
        "card": card.model_dump(mode="json"),
    }
    return json.dumps(content, indent=2)


_PACKAGES = ("coffea-equitag", "torch", "onnx", "onnxscript", "onnxruntime")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
