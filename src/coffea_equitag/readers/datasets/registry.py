"""The published datasets by name: their files, downloaded if missing, and their jets."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import awkward as ak

from ...atomic_file import flush
from ...errors import JetError, explain
from ...reading import reading
from ...temporary_files import remove_stale, temporary_file
from . import energyflow, jetclass, jetnet, top_landscape
from .download import check, fetch
from .published import Published, RemoteFile

__all__ = ["PUBLISHED", "dataset", "dataset_files"]

#: The published datasets by name.
PUBLISHED: dict[str, Published] = {
    one.name: one for one in (top_landscape.PUBLISHED, *energyflow.PUBLISHED, jetclass.PUBLISHED, *jetnet.PUBLISHED)
}

#: Environment variable: parent folder of the datasets.
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
    """Read a split of a published dataset, downloading it if necessary.

    All jets read are held in memory; for the larger datasets, read a range, or the files of `dataset_files` one by
    one.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`: "top-landscape", "energyflow", "jetclass", "jetnet30", ....
    split : str
        One of ``PUBLISHED[name].splits``.
    folder : path, optional
        Folder of the files; by default ``$COFFEA_EQUITAG_DATASETS/<name>``, else
        ``~/.cache/coffea-equitag/datasets/<name>``.
    download : bool
        Download missing files; an interrupted download is resumed.
    entry_start, entry_stop : int, optional
        Jets to read, counted over the files of the split; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).
    **options
        Further options of the dataset's reader (``masses=`` for EnergyFlow).

    Returns
    -------
    ak.Array
        ``[jet]``, as returned by the dataset's reader; ``label`` is the index in ``PUBLISHED[name].classes``.

    Raises
    ------
    JetError
        If there is no such dataset or split, or files are missing and cannot be downloaded; the message gives their
        addresses and the folder to put them in.
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
    """Files of a split of a published dataset, downloaded if necessary.

    Parameters
    ----------
    name, split, folder, download
        As for `dataset`. JetClass' archives are unpacked into one folder per split.
    verify : bool
        Also compare existing files with the published checksums; new files are always checked.

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
    """ROOT files of archives, unpacked into a folder if that has not been done yet."""
    # "<archive>.unpacking" is created before the archive's first file, and renamed "<archive>.unpacked" after the last
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
        raise JetError(
            explain(f"no published dataset {name!r}", f"one of {', '.join(PUBLISHED)}", "choose one of them")
        )
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
                "the file in this folder, or download=True and a network connection",
                f"download {file.address} by hand and put it into {folder}",
            )
        )
    return fetch(file, folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the ROOT files of an archive into one folder, ignoring the folders inside the archive."""
    remove_stale(folder)
    remedy = "download it again, or free disk space"
    with reading(archive, "a complete archive", remedy=remedy), tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            source = tar.extractfile(member) if member.isfile() and name.endswith(".root") else None
            if source is not None:
                with source, temporary_file(folder / name) as part:
                    with part.open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
                    flush(part)
                    part.replace(folder / name)
