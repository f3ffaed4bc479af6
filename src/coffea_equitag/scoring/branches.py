"""Branches of a TTree, or fields of an RNTuple, that can be copied: their names, types and shared counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import uproot

from ..errors import JetError, explain
from .ntuple_fields import field_kinds

__all__ = ["EVENT_IDS", "BranchLayout", "branch_layout", "is_ntuple"]

#: Always kept: NanoAODSchema rejects a file without them.
EVENT_IDS = ("run", "luminosityBlock", "event")


@dataclass(frozen=True)
class BranchLayout:
    """Branches to copy.

    Attributes
    ----------
    flat : dict of str to dtype or "string"
        Branches with one entry (or fixed-size array) per event, without the counters.
    jagged : dict of str to (dict of str to dtype)
        Counter -> branches that share it.
    dropped : dict of str to str
        Branches that uproot cannot write -> their type.
    titles : dict of str to str
        Descriptions of the branches; NanoAOD documents its columns there.
    """

    flat: dict[str, Any] = field(default_factory=dict)
    jagged: dict[str, dict[str, np.dtype[Any]]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> list[str]:
        """Branches to read; counters are derived from the jagged ones."""
        return [*self.flat, *(name for group in self.jagged.values() for name in group)]

    def with_columns(self, counter: str, columns: Mapping[str, str]) -> BranchLayout:
        """Add float32 branches (name -> description) that share a counter."""
        group = {**self.jagged.get(counter, {}), **dict.fromkeys(columns, np.dtype(np.float32))}
        flat = {name: kind for name, kind in self.flat.items() if name != counter}
        return BranchLayout(flat, {**self.jagged, counter: group}, self.dropped, {**self.titles, **dict(columns)})


def is_ntuple(tree: Any) -> bool:
    """Whether it is an RNTuple, and not a TTree."""
    return hasattr(tree, "to_akform")


def branch_layout(tree: Any, patterns: Iterable[str] | None = None) -> BranchLayout:
    """Divide the branches of a tree into those that can be copied and those that cannot.

    Parameters
    ----------
    tree : uproot TTree or RNTuple
        The tree.
    patterns : iterable of str, optional
        Glob patterns (``"FatJet_*"``) of the branches to keep; default all. Event numbers are always kept.

    Raises
    ------
    JetError
        If a pattern matches no branch.
    """
    if is_ntuple(tree):
        branches = field_kinds(tree)
        titles = {name: tree[name].description for name in branches}
    else:
        taken = {branch.name for branch in tree.branches}
        branches = {branch.name: _kind(branch, taken) for branch in tree.branches}
        titles = {branch.name: branch.title for branch in tree.branches}
    if patterns is not None:
        branches = _matching(branches, patterns, tree.name)
    layout = BranchLayout(titles={name: titles[name] for name in branches})
    for name, (counter, kind) in branches.items():
        if counter is not None:
            layout.jagged.setdefault(counter, {})[name] = kind
        elif isinstance(kind, str) and kind != "string":
            layout.dropped[name] = kind
        else:
            layout.flat[name] = kind
    for counter in layout.jagged:
        layout.flat.pop(counter, None)  # written together with its branches
    return layout


def _matching(branches: dict[str, Any], patterns: Iterable[str], tree: str) -> dict[str, Any]:
    """Branches that match a pattern, and the event numbers."""
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in branches):
            raise JetError(
                explain(
                    f"no branch matches {pattern!r}",
                    f"glob patterns for branches of '{tree}'",
                    "quote them for the shell, e.g. --keep 'FatJet_*'",
                )
            )
    patterns = [*patterns, *EVENT_IDS]
    return {name: kind for name, kind in branches.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


def _kind(branch: Any, taken: set[str]) -> tuple[str | None, Any]:
    """Counter and dtype of a jagged branch, None and dtype or "string" of a flat one, None and the name of others."""
    kind = branch.interpretation
    if len(branch.branches) == 0:
        if isinstance(kind, uproot.AsStrings):
            return None, "string"
        if isinstance(kind, uproot.AsDtype) and _is_writable(kind.to_dtype.base):
            return None, kind.to_dtype
        if isinstance(kind, uproot.AsJagged) and isinstance(kind.content, uproot.AsDtype):
            dtype = kind.content.to_dtype
            if dtype.subdtype is None and _is_writable(dtype):
                counter = branch.count_branch.name if branch.count_branch is not None else "n" + branch.name
                if branch.count_branch is not None or counter not in taken:
                    return counter, dtype
    return None, str(branch.typename)


def _is_writable(dtype: np.dtype[Any]) -> bool:
    return dtype.names is None and dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype != np.float16
