"""Taggers in one file: a zip archive of a tagger's folder, on disk or at an address with its SHA-256."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import TaggerError, explain
from ..reading import check_regular
from ..temporary_files import temporary_folder
from .places import FOLDER, places

__all__ = ["is_archive", "unpacked"]

#: The files of a tagger, and how many bytes of each are unpacked at most.
_FILES = {"card.json": 1_000_000, "model.safetensors": 20_000_000_000}

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_WITH_HASH = re.compile(r"(?P<address>[^#]+)#sha256=(?P<digest>[0-9a-fA-F]{64})")


def is_archive(source: str | os.PathLike[str]) -> bool:
    """Whether a tagger is given by an address, or by a file."""
    return bool(_ADDRESS.match(os.fspath(source))) or Path(source).suffix == ".zip"


def unpacked(source: str | os.PathLike[str]) -> Path:
    """The folder of the tagger in an archive, made once for each content.

    Parameters
    ----------
    source : path-like or str
        ``tagger.zip``, or ``https://.../tagger.zip#sha256=...``.

    Raises
    ------
    TaggerError
        If an address has no hash or cannot be reached, the file is another one or no archive of a tagger, or there is
        no place for it.
    """
    text = os.fspath(source)
    if not _ADDRESS.match(text):
        try:
            check_regular(Path(text))
            with open(text, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _refused(f"{text}: {error}", "check the path") from error
        return _folder(digest) or _unpack(Path(text), digest)
    found = _WITH_HASH.fullmatch(text)
    if found is None:
        raise TaggerError(
            explain(
                f"the address {text}",
                "an address with the SHA-256 of the file: https://.../tagger.zip#sha256=...",
                "take the hash from who published it, or compute it with sha256sum",
            )
        )
    digest = found["digest"].lower()
    return _folder(digest) or _unpack(_download(found["address"], digest), digest)


def _folder(digest: str) -> Path | None:
    """Where an archive of this content has been unpacked, if it has."""
    return next((_in(place, digest) for place in places() if (_in(place, digest) / "card.json").is_file()), None)


def _in(place: Path, digest: str) -> Path:
    return place / f"archive-{digest}"


def _download(address: str, digest: str) -> Path:
    try:
        pooch, requests = (importlib.import_module(name) for name in ("pooch", "requests"))
    except ImportError as error:
        raise TaggerError(
            explain(
                f"{address}, but pooch is not installed",
                "pooch, to download and check files",
                "pip install 'coffea-equitag[datasets]', or download it by hand and load the file",
            )
        ) from error
    name = f"{digest[:16]}.zip"
    try:
        with _silent(pooch):
            return Path(pooch.retrieve(address, f"sha256:{digest}", name, places()[0].parent / "downloads"))
    except ValueError as error:  # pooch's, of another hash
        raise _refused(
            f"{address}, whose content is not that of the hash {digest[:12]}...",
            "check the address, and the hash with who published it",
        ) from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise TaggerError(
            explain(
                f"{address}, which cannot be reached ({error})",
                "a network connection, or a file that has been downloaded before",
                "download it where there is a network, and load the file: coffea_equitag.load('tagger.zip')",
            )
        ) from error


@contextmanager
def _silent(pooch: Any) -> Iterator[None]:
    """Without pooch's messages of what it downloads."""
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _unpack(file: Path, digest: str) -> Path:
    failure: OSError | None = None
    for place in places():
        target = _in(place, digest)
        try:
            place.mkdir(parents=True, exist_ok=True)
            with temporary_folder(target) as made:
                _extract(file, made)
                if not (target / "card.json").is_file():  # another process may have been faster
                    made.rename(target)
        except OSError as error:
            failure = error
            continue
        return target
    raise TaggerError(
        explain(
            f"{file} cannot be unpacked: {failure}",
            f"a writable folder: {', '.join(map(str, places()))}",
            f"set {FOLDER} to one, or unpack it and load the folder",
        )
    )


def _extract(file: Path, folder: Path) -> None:
    """The files of a tagger, which lie at the top of the archive or all in one folder."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name: name.rpartition("/")[2] for name in archive.namelist() if name.count("/") <= 1}
            wanted = [name for name, short in members.items() if short in _FILES]
            if sorted(members[name] for name in wanted) != sorted(_FILES):
                raise _refused(f"{file}, which holds {', '.join(archive.namelist()[:10]) or 'nothing'}", _MAKE)
            for name in wanted:
                with archive.open(name) as packed, open(folder / members[name], "wb") as plain:
                    _copy(packed, plain, _FILES[members[name]], f"{file}: {name}")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _refused(f"{file}: {error}", _MAKE) from error


def _copy(packed: IO[bytes], plain: IO[bytes], most: int, name: str) -> None:
    while chunk := packed.read(1 << 20):
        most -= len(chunk)
        if most < 0:
            raise _refused(f"{name}, which is larger than any tagger's", _MAKE)
        plain.write(chunk)


_MAKE = "make it of a saved tagger: python -m zipfile -c tagger.zip my-tagger/"


def _refused(given: str, remedy: str) -> TaggerError:
    return TaggerError(explain(given, "a zip archive with card.json and model.safetensors", remedy))
