"""Description of a published dataset: where to download it, how to check it, what to cite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import awkward as ak

__all__ = ["Published", "RemoteFile", "zenodo"]


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes
    ----------
    name : str
        Name of the file.
    address : str
        Where it can be downloaded.
    checksum : str or None
        "sha256:..." or "md5:..." as published; None if no published checksum could be confirmed.
    """

    name: str
    address: str
    checksum: str | None = None


@dataclass(frozen=True)
class Published:
    """A published dataset of jets.

    Attributes
    ----------
    name, title : str
        Name in `coffea_equitag.readers.dataset`, and the publisher's title.
    doi : str
        DOI of the record.
    licence : str or None
        As stated in the record; None if it could not be confirmed: check the record before redistributing the files.
    citation : tuple of str
        What the authors ask users to cite.
    classes : tuple of str
        Meaning of ``label`` 0, 1, ....
    splits : mapping
        Split -> files.
    read : callable
        Reader of the files: ``read(paths, entry_start=, entry_stop=, validate=, ...)``.
    note : str
        What to know before use: who defined the splits, where the checksums come from.
    archives : bool
        Whether the files are tar archives of ROOT files, to be unpacked into one folder per split.
    """

    name: str
    title: str
    doi: str
    licence: str | None
    citation: tuple[str, ...]
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[RemoteFile, ...]]
    read: Callable[..., ak.Array]
    note: str = ""
    archives: bool = False

    def __str__(self) -> str:
        """What to know before use, including what could not be confirmed."""
        files = {file for part in self.splits.values() for file in part}
        checked = sum(file.checksum is not None for file in files)
        lines = [
            f"{self.name}: {self.title}, https://doi.org/{self.doi}",
            f"classes: {', '.join(self.classes)}",
            *(f"{split}: {_names(part)}" for split, part in self.splits.items()),
            f"licence: {self.licence or 'not confirmed; check the record before redistributing the files'}",
            f"checksums: {checked} of {len(files)} files" + ("" if checked else "; downloads are not checked"),
            *(f"cite: {work}" for work in self.citation),
            *([self.note] if self.note else []),
        ]
        return "\n".join(lines)


def _names(files: tuple[RemoteFile, ...]) -> str:
    names = [file.name for file in files]
    return ", ".join(names) if len(names) < 6 else f"{names[0]} to {names[-1]} ({len(names)} files)"


def zenodo(record: int, name: str, checksum: str | None = None) -> RemoteFile:
    """A file in a Zenodo record."""
    return RemoteFile(name, f"https://zenodo.org/records/{record}/files/{name}?download=1", checksum)
