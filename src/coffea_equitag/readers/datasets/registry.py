"""The published sets by name: their files, fetched where they are not there, and their jets."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import awkward as ak

from ...errors import JetError, explain
from . import energyflow, jetclass, jetnet, top_landscape
from .download import check, fetch
from .published import Published, RemoteFile

__all__ = ["PUBLISHED", "dataset", "dataset_files"]

#: The published sets by name.
PUBLISHED: dict[str, Published] = {
    one.name: one for one in (top_landscape.PUBLISHED, *energyflow.PUBLISHED, jetclass.PUBLISHED, *jetnet.PUBLISHED)
}

#: Environment variable: where the sets are kept, one folder each.
_FOLDER = "COFFEA_EQUITAG_DATASETS"


def dataset(
    name: str,
    split: str,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    entry_start: int | None = None,
    entry_stop: int | None = None,
    validate: bool = True,
    **options: Any,
) -> ak.Array:
    """Read a split of a published set, downloading it where it is not there.

    All jets asked for are held in memory; of the larger sets, read a range, or the files of `dataset_files` one by
    one.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`: "top-landscape", "energyflow", "jetclass", "jetnet30", ....
    split : str
        One of ``PUBLISHED[name].splits``.
    folder : path, optional
        Where the files are or go; by default ``$COFFEA_EQUITAG_DATASETS/<name>``, else
        ``~/.cache/coffea-equitag/datasets/<name>``.
    download : bool
        Fetch missing files; a broken download is gone on with.
    entry_start, entry_stop : int, optional
        Jets to read, counted over the files of the split; negative ones from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).
    **options
        Further options of the set's reader (``masses=`` of EnergyFlow).

    Returns
    -------
    ak.Array
        ``[jet]``, as the set's reader gives them; ``label`` is the position in ``PUBLISHED[name].classes``.

    Raises
    ------
    JetError
        If there is no such set or split, or files are missing and cannot be fetched: with their addresses and the
        folder to put them in.
    """
    published = _published(name, split)
    files = dataset_files(name, split, folder, download)
    jets: ak.Array = published.read(files, entry_start=entry_start, entry_stop=entry_stop, validate=validate, **options)
    return jets


def dataset_files(
    name: str,
    split: str,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    verify: bool = False,
) -> list[Path]:
    """Files of a split of a published set, downloaded where they are not there.

    Parameters
    ----------
    name, split, folder, download
        As for `dataset`. JetClass' archives are unpacked into a folder a split.
    verify : bool
        Compare also files that were there before with the published checksums; new ones always are.

    Raises
    ------
    JetError
        As for `dataset`.
    """
    published = _published(name, split)
    if folder is None:
        root = os.environ.get(_FOLDER)
        home = Path(root) if root else Path.home() / ".cache" / "coffea-equitag" / "datasets"
        place = home / name
    else:
        place = Path(folder).expanduser()
    wanted = published.splits[split]
    if published.archives:
        return _unpacked(published, wanted, place, place / split, download, verify)
    return [_fetched(published, file, place, download, verify) for file in wanted]


def _unpacked(
    published: Published, archives: tuple[RemoteFile, ...], place: Path, folder: Path, download: bool, verify: bool
) -> list[Path]:
    """ROOT files of archives, unpacked into a folder where that is not yet done."""
    # "<archive>.unpacking" is there before the first file of it, and becomes "<archive>.unpacked" after the last
    started = any(folder.glob(".*.unpack*"))
    if started or not any(folder.glob("*.root")):
        for archive in archives:
            done = folder / f".{archive.name}.unpacked"
            if not done.exists():
                path = _fetched(published, archive, place, download, verify)
                folder.mkdir(parents=True, exist_ok=True)
                marker = done.with_suffix(".unpacking")
                marker.touch()
                _unpack(path, folder)
                marker.rename(done)
    return sorted(folder.glob("*.root"))


def _published(name: str, split: str) -> Published:
    if name not in PUBLISHED:
        raise JetError(explain(f"no published set {name!r}", f"one of {', '.join(PUBLISHED)}", "choose one of them"))
    published = PUBLISHED[name]
    if split not in published.splits:
        raise JetError(
            explain(f"no split {split!r} of {name}", f"one of {', '.join(published.splits)}", "choose one of them")
        )
    return published


def _fetched(published: Published, file: RemoteFile, folder: Path, download: bool, verify: bool) -> Path:
    path = folder / file.name
    if path.is_file():
        if verify:
            check(file, path)
        return path
    if not download:
        raise JetError(
            explain(
                f"no {file.name} of {published.title} (doi:{published.doi}) in {folder}",
                "the file there, or download=True and a network",
                f"put the file of {file.address} by hand into {folder}",
            )
        )
    return fetch(file, folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the ROOT files of an archive into a folder, whatever folders the archive has."""
    part = folder / f".{archive.name}.part"
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                source = tar.extractfile(member) if member.isfile() and name.endswith(".root") else None
                if source is not None:
                    with source, part.open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
                    part.replace(folder / name)
    except (tarfile.TarError, OSError, EOFError) as error:
        part.unlink(missing_ok=True)
        raise JetError(
            explain(
                f"{archive}, which cannot be unpacked ({error})",
                "a whole archive and room",
                "fetch it anew, or make room",
            )
        ) from error
