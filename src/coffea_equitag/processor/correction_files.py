"""Files of correctionlib, read: the corrections, and the categories that they know."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import correctionlib
from correctionlib.highlevel import open_auto

from ..errors import TaggerError, explain

__all__ = ["CorrectionFile", "read_corrections"]


@dataclass(frozen=True)
class CorrectionFile:
    """Corrections by name, as they were when the file was read: other processes do not need the file.

    Attributes
    ----------
    path : str
        Where they were read.
    text : str
        Content of the file.
    """

    path: str
    text: str = field(repr=False)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def corrections(self) -> correctionlib.CorrectionSet:
        """The evaluators."""
        return correctionlib.CorrectionSet.from_string(self.text)

    def model(self, name: str) -> dict[str, Any]:
        """One correction as JSON.

        Raises
        ------
        TaggerError
            If there is none of that name.
        """
        found = {one["name"]: one for one in json.loads(self.text)["corrections"]}
        if name not in found:
            raise TaggerError(
                explain(f"correction '{name}' of {self.path}", f"one of {', '.join(sorted(found))}", "correct the name")
            )
        model: dict[str, Any] = found[name]
        return model

    def names(self) -> tuple[str, ...]:
        """Names of the corrections."""
        return tuple(one["name"] for one in json.loads(self.text)["corrections"])

    def description(self) -> str:
        """Description of the file."""
        return str(json.loads(self.text).get("description") or "")

    def inputs(self, name: str) -> tuple[str, ...]:
        """Names of the inputs of a correction."""
        return tuple(one["name"] for one in self.model(name)["inputs"])

    def keys(self, name: str, source: str) -> tuple[Any, ...]:
        """The values of an input that a correction has categories for."""
        return tuple(dict.fromkeys(_keys(self.model(name)["data"], source)))

    def numbers(self, name: str) -> tuple[float, ...]:
        """All numbers that a correction gives; those of its formulas are not known."""
        return tuple(_numbers(self.model(name)["data"]))


def read_corrections(path: str | os.PathLike[str]) -> CorrectionFile:
    """Read a file of correctionlib, ``.json`` or ``.json.gz``.

    Raises
    ------
    TaggerError
        If there is no such file, or it is not valid.
    """
    name = os.fspath(path)
    try:
        text = open_auto(name)
        correctionlib.CorrectionSet.from_string(text)
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        raise TaggerError(
            explain(
                f"{name} cannot be read: {error}",
                "a file of correctionlib (schema version 2), .json or .json.gz",
                "check the path; `correctionlib validate FILE` tells what is wrong with the content",
            )
        ) from error
    return CorrectionFile(name, text)


def _children(node: dict[str, Any]) -> Iterator[Any]:
    content = node.get("content")
    if isinstance(content, list):
        yield from (one["value"] if node["nodetype"] == "category" else one for one in content)
    elif content is not None:
        yield content
    for other in ("default", "flow", "rule"):
        if isinstance(node.get(other), dict | float | int):
            yield node[other]


def _keys(node: Any, source: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if node["nodetype"] == "category" and node["input"] == source:
            yield from (one["key"] for one in node["content"])
        for child in _children(node):
            yield from _keys(child, source)


def _numbers(node: Any) -> Iterator[float]:
    if isinstance(node, dict):
        for child in _children(node):
            yield from _numbers(child)
    elif isinstance(node, float | int):
        yield float(node)
