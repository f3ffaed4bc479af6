"""What is written: which jets, which branches, which scores, in which format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from ..errors import JetError, explain
from ..tagger.discriminant import Discriminant, Discriminants
from ..tagger.discriminant import discriminants as _discriminants
from .discriminating import DiscriminatingTagger
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
    discriminants : tuple of Discriminant
        Written beside the scores.
    chunk_size : int or str
        Events in memory at once, or their size.
    """

    jets: str
    name: str
    tree: str
    branches: tuple[str, ...] | None
    format: Format
    friend: bool
    discriminants: tuple[Discriminant, ...]
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
        discriminants: Discriminants | None,
        chunk_size: int | str,
    ) -> ScoringOptions:
        """Check the options and fill in the tagger's name.

        Raises
        ------
        JetError
            If one of them is not valid.
        TaggerError
            If a discriminant is not valid, or the tagger lacks its classes.
        """
        if format not in get_args(Format):
            raise JetError(explain(f"format={format!r}", f"one of {', '.join(get_args(Format))}", "use one of these"))
        if friend and branches is not None:
            given = f"branches={branches!r} for a friend, which has none but scores and event identifiers"
            raise JetError(explain(given, "one of the two", "leave out friend (--friend) or branches (--keep)"))
        check_chunk_size(chunk_size)
        kept = (branches,) if isinstance(branches, str) else None if branches is None else tuple(branches)
        between = _discriminants(discriminants)
        for one in between:
            one.check(model.classes, name_of(model))
        options = cls(jets, name_of(model) if name is None else name, tree, kept, format, friend, between, chunk_size)
        check_names(options.new_branches(model))
        return options

    def scorer(self, tagger: JetScorer) -> JetScorer:
        """The tagger with the discriminants as further classes."""
        return DiscriminatingTagger(tagger, self.discriminants) if self.discriminants else tagger

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """Patterns of the branches that are copied."""
        return () if self.friend else self.branches

    @property
    def counter(self) -> str:
        """The branch that counts the jets."""
        return "n" + self.jets

    def scores(self, model: JetScorer) -> dict[str, str | None]:
        """Name of each score of a tagger -> its class or discriminant."""
        return score_names(self.name, self.scorer(model).classes)

    def new_branches(self, model: JetScorer) -> dict[str, str]:
        """The new branches and their descriptions."""
        origin = f"tagger {name_of(model)} {getattr(model, 'content_hash', '')[:12]}".rstrip()
        ratios = {one.name: f"{one.formula}, " for one in self.discriminants}
        return {
            f"{self.jets}_{column}": f"{column}: {ratios.get(str(label), '')}{origin}"
            for column, label in self.scores(model).items()
        }

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
            "discriminants": {one.name: [*one.classes, *one.fractions] for one in self.discriminants},
        }
