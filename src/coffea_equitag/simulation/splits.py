"""Standard splits: samples that anyone can reproduce, to compare networks on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic_file import make_folder
from ..errors import JetError, explain
from .generator import pythia_module
from .sample_folder import MANIFEST, read_manifest, simulate_folder, write_manifest
from .sample_request import Progress, check_counts
from .writing import explained

__all__ = ["SPLIT_MANIFEST", "STANDARD_SPLITS", "Part", "StandardSplit", "make_split"]

#: File in the folder of a split, beside its parts.
SPLIT_MANIFEST = "split.json"


@dataclass(frozen=True)
class Part:
    """One part of a split.

    Attributes
    ----------
    name : str
        ``"train"``, ``"val"`` or ``"test"``.
    n : int
        Number of jets.
    seed : int
        Seed, different for all parts of all splits.
    """

    name: str
    n: int
    seed: int


@dataclass(frozen=True)
class StandardSplit:
    """A recipe with numbers of jets and seeds.

    Attributes
    ----------
    name, summary : str
        Name on the command line, and what it is for.
    recipe : str
        Name of the recipe.
    parts : tuple of Part
        Training, validation and test sample.
    """

    name: str
    summary: str
    recipe: str
    parts: tuple[Part, ...]


def _split(name: str, summary: str, recipe: str, counts: tuple[int, int, int], seed: int) -> StandardSplit:
    names = ("train", "val", "test")
    parts = (Part(part, n, seed + k) for k, (part, n) in enumerate(zip(names, counts, strict=True), start=1))
    return StandardSplit(name, summary, recipe, tuple(parts))


#: Name of a standard split -> what it is.
STANDARD_SPLITS = {
    one.name: one
    for one in (
        _split("top-200k", "top against QCD jets", "top", (120_000, 40_000, 40_000), seed=200_000),
        _split("qg-100k", "quark against gluon jets", "qg", (60_000, 20_000, 20_000), seed=100_000),
        _split("btag-500k", "b, c and light jets", "btag", (300_000, 100_000, 100_000), seed=500_000),
    )
}


def make_split(
    name: str,
    folder: str | os.PathLike[str],
    *,
    workers: int = 1,
    only: str | Iterable[str] | None = None,
    progress: Progress | None = None,
    executor: Any = None,
) -> Path:
    """Make a standard split, or continue one.

    Parameters
    ----------
    name : str
        A name of `STANDARD_SPLITS`.
    folder : path-like
        Created if needed. ``train``, ``val`` and ``test`` are samples of `simulate_folder`; ``split.json`` says how
        they were made, and has the content hash of each that is complete.
    workers, progress, executor
        As in `simulate_folder`; ``progress`` counts the jets of all requested parts.
    only : str or iterable of str, optional
        Parts to make; default all.

    Returns
    -------
    Path
        The folder; read a part with ``read_jets(folder / "train")``.

    Raises
    ------
    EquitagError
        If there is no such split or part, if the folder holds another split, or as in `simulate_folder`.
    """
    split = _named(name)
    parts = _parts(split, only)
    check_counts(1, 0, workers)
    pythia_module()
    target = Path(folder)
    _claim(target, split)
    total, before = sum(part.n for part in parts), 0
    for part in parts:

        def report(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        simulate_folder(
            split.recipe,
            part.n,
            target / part.name,
            seed=part.seed,
            workers=workers,
            progress=report,
            executor=executor,
        )
        before += part.n
        write_manifest(target / SPLIT_MANIFEST, _facts(target, split))
    return target


def _named(name: str) -> StandardSplit:
    if name not in STANDARD_SPLITS:
        raise JetError(
            explain(f"no standard split {name!r}", "one of " + ", ".join(STANDARD_SPLITS), "use one of these")
        )
    return STANDARD_SPLITS[name]


def _parts(split: StandardSplit, only: str | Iterable[str] | None) -> list[Part]:
    known = {part.name: part for part in split.parts}
    wanted = list(known) if only is None else [only] if isinstance(only, str) else list(dict.fromkeys(only))
    for name in wanted:
        if name not in known:
            raise JetError(
                explain(f"{split.name} has no part {name!r}", "one of " + ", ".join(known), "use one of these")
            )
    return [known[name] for name in wanted]


def _claim(folder: Path, split: StandardSplit) -> None:
    manifest = folder / SPLIT_MANIFEST
    with explained(folder):
        make_folder(folder)
    if manifest.exists():
        former = read_manifest(manifest).get("split")
        if former != split.name:
            raise JetError(explain(f"{folder} holds the split {former!r}", f"{split.name!r}", "choose another folder"))
    else:
        write_manifest(manifest, _facts(folder, split))


def _facts(folder: Path, split: StandardSplit) -> dict[str, Any]:
    """Content of split.json: number and seed of each part and, if it is complete, how it was made."""
    parts: dict[str, dict[str, Any]] = {}
    for part in split.parts:
        path = folder / part.name / MANIFEST
        made = read_manifest(path) if path.exists() else {}
        complete = made if "content_hash" in made else {}
        parts[part.name] = {
            "n": part.n,
            "seed": part.seed,
            **{key: complete[key] for key in ("content_hash", "yields", "versions", "recipe") if key in complete},
        }
    return {"split": split.name, "summary": split.summary, "recipe": split.recipe, "parts": parts}
