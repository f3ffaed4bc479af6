"""Download published files with pooch, an optional dependency, resuming interrupted downloads."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ...atomic_file import flush
from ...errors import JetError, explain
from ...temporary_files import is_taken
from .published import RemoteFile

__all__ = ["check", "fetch"]

#: Bytes read at a time; a broken connection loses at most this many.
_CHUNK = 1 << 16

#: Seconds to wait for a connection, and for the next bytes.
_TIMEOUT = (20, 120)


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Download a file into a folder and check it; an interrupted download (``*.part``) is resumed.

    Raises
    ------
    JetError
        If pooch is not installed, the address cannot be reached, the disk is full, or the checksum differs.
    """
    pooch = _pooch(file, folder)
    requests = importlib.import_module("requests")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = pooch.retrieve(file.address, file.checksum, file.name, folder, downloader=_Resuming(file.name, folder))
    except (requests.exceptions.RequestException, OSError) as error:
        raise JetError(_by_hand(file, folder, f"{file.address}, which cannot be downloaded ({error})")) from error
    except ValueError as error:
        raise JetError(
            _by_hand(file, folder, f"{file.address}, whose content differs from the published file ({error})")
        ) from error
    return Path(path)


def check(file: RemoteFile, path: Path) -> None:
    """Compare a file with its published checksum, if there is one.

    Raises
    ------
    JetError
        If they differ.
    """
    if file.checksum is None:
        return
    algorithm, _, expected = file.checksum.partition(":")
    given = _pooch(file, path.parent).file_hash(str(path), alg=algorithm)
    if given != expected:
        raise JetError(
            explain(f"{path} with {algorithm} {given}", f"{expected}, as published", "download the file again")
        )


def _pooch(file: RemoteFile, folder: Path) -> Any:
    try:
        return importlib.import_module("pooch")
    except ImportError as error:
        message = _by_hand(
            file, folder, f"{file.name}, but pooch is not installed", "pooch, to download and check files"
        )
        raise JetError(f"{message}; or pip install 'coffea-equitag[datasets]'") from error


def _by_hand(
    file: RemoteFile, folder: Path, given: str, expected: str = "a network connection, and the file as published"
) -> str:
    return explain(given, expected, f"download {file.address} by hand and put it into {folder} as {file.name}")


class _Resuming:
    """Downloader for pooch that writes to ``<name>.part`` and requests only the part that is missing."""

    def __init__(self, name: str, folder: Path) -> None:
        self.part = folder / f"{name}.part"

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        with self.part.open("ab") as held:
            if is_taken(held.fileno()):
                raise BlockingIOError(f"another process is downloading it to {self.part}")
            self._fetch(url)
        flush(self.part)
        os.replace(self.part, output_file)

    def _fetch(self, url: str) -> None:
        requests = importlib.import_module("requests")
        done = self.part.stat().st_size
        headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"} if done else {}
        with requests.get(url, stream=True, headers=headers, timeout=_TIMEOUT) as response:
            if response.status_code == 416:  # nothing left to send, or the file on the server has changed
                complete = response.headers.get("Content-Range", "").rpartition("/")[2] == str(done)
                if not complete:
                    os.truncate(self.part, 0)
                    return self._fetch(url)
            else:
                response.raise_for_status()
                resumed = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
                self._write(response, done if response.status_code == 206 and resumed else 0)
        return None

    def _write(self, response: Any, done: int) -> None:
        length = response.headers.get("Content-Length")
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        shown = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        with self.part.open("ab" if done else "wb") as part, shown as progress:
            total = done + int(length) if length else None
            task = progress.add_task(self.part.stem, total=total, completed=done)
            for chunk in response.iter_content(_CHUNK):
                part.write(chunk)
                progress.advance(task, len(chunk))
