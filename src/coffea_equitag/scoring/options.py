"""What is written: which jets, which branches, which scores, in which format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from ..errors import JetError, explain
from .score_columns import JetScorer, name_of, score_names
from .source import check_chunk_size, check_names

__all__ = ["SUFFIXES", "Format", "ScoringOptions"]

Format: TypeAlias = Literal["root", "rntuple", "parquet"]

#: Format -> suffix of its files.
SUFFIXES: dict[str, str] = {"root": ".root", "rntuple": ".root", "parquet": ".parquet"}


@dataclass(frozen=True)
class ScoringOptions:
    """Options that are the same for all files; all but `chunk_size` determine the outputs.

    Attributes
    ----------
    jets : str
        Jet collection.
    name : str
        Name of the scores.
    tree : str
        Name of the events' TTree or RNTuple.
    branches : tuple of str, optional
        Patterns of branches to keep; None for all.
    format : {"root", "rntuple", "parquet"}
        Events as a TTree, an RNTuple or rows of a Parquet file.
    friend : bool
        Write scores and event identifiers only.
    chunk_size : int or str
        Events in memory at once, or their size.
    """

    jets: str
    name: str
    tree: str
    branches: tuple[str, ...] | None
    format: Format
    friend: bool
    chunk_size: int | str

    @classmethod
    def of(
        cls,
        model: JetScorer,
        *,
        jets: str,
        name: str | None,
        tree: str,
        branches: Iterable[str] | None,
        format: Format,
        friend: bool,
        chunk_size: int | str,
    ) -> ScoringOptions:
        """Check the options and fill in the tagger's name.

        Raises
        ------
        JetError
            If one of them is not valid.
        """
        if format not in get_args(Format):
            raise JetError(explain(f"format={format!r}", f"one of {', '.join(get_args(Format))}", "use one of these"))
        if friend and branches is not None:
            given = f"branches={branches!r} for a friend, which has none but scores and event identifiers"
            raise JetError(explain(given, "one of the two", "leave out friend (--friend) or branches (--keep)"))
        check_chunk_size(chunk_size)
        kept = (branches,) if isinstance(branches, str) else None if branches is None else tuple(branches)
        options = cls(jets, name_of(model) if name is None else name, tree, kept, format, friend, chunk_size)
        check_names(options.new_branches(model))
        return options

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """Patterns of the branches that are copied."""
        return () if self.friend else self.branches

    @property
    def counter(self) -> str:
        """The branch that counts the jets."""
        return "n" + self.jets

    def scores(self, model: JetScorer) -> dict[str, str | None]:
        """Name of each score of a tagger -> its class."""
        return score_names(self.name, model.classes)

    def new_branches(self, model: JetScorer) -> dict[str, str]:
        """The new branches and their descriptions."""
        origin = f"tagger {name_of(model)} {getattr(model, 'content_hash', '')[:12]}".rstrip()
        return {f"{self.jets}_{column}": f"{column}: {origin}" for column in self.scores(model)}

    def described(self) -> dict[str, Any]:
        """Those that determine an output, as JSON."""
        branches = None if self.branches is None else list(self.branches)
        return {
            "jets": self.jets,
            "name": self.name,
            "tree": self.tree,
            "branches": branches,
            "format": self.format,
            "friend": self.friend,
        }
