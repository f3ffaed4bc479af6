"""Whether a file is still the one that it was: its size, time and fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import JetError, explain
from ..reading import check_regular, reading
from .ranges import kind_of

__all__ = ["FileState"]

#: Bytes at either end of a file that enter its fingerprint: the head of a ROOT file has a number that is made anew
#: whenever a file is written, its end has the directory.
_END = 65_536


@dataclass(frozen=True)
class FileState:
    """A file as it was found.

    Attributes
    ----------
    size, mtime_ns : int
        Bytes, and the time of the last change: while they stay, the fingerprint is not computed again.
    fingerprint : str
        SHA-256 of the size, both ends and, in Parquet, the whole footer: places, sizes and extremes of all columns of
        all row groups. It takes a millisecond, however large the file is.
    """

    size: int
    mtime_ns: int
    fingerprint: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state of a file now.

        Raises
        ------
        JetError
            If it cannot be read.
        """
        with reading(path, kind_of(path)):
            check_regular(path)
            status = path.stat()
            with path.open("rb") as file:
                digest = hashlib.sha256(str(status.st_size).encode())
                digest.update(file.read(_END))
                file.seek(max(0, status.st_size - 8))
                footer = int.from_bytes(file.read(4), "little") + 8 if path.suffix.lower() != ".root" else 0
                last = min(status.st_size, max(_END, footer if file.read(4) == b"PAR1" else 0))
                file.seek(status.st_size - last)
                digest.update(file.read(last))
        return cls(status.st_size, status.st_mtime_ns, digest.hexdigest())

    def check(self, path: Path) -> None:
        """Refuse a file that has changed since.

        Raises
        ------
        JetError
            If it is not there any more, or its size or fingerprint is another.
        """
        with reading(path, kind_of(path)):
            status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns):
            return
        if FileState.of(path).fingerprint != self.fingerprint:
            raise JetError(
                explain(
                    f"{path}, which has changed since the stream was opened",
                    "files that stay as they are while they are read",
                    "put the former file back and run again to resume, or start over with the new one "
                    "(resume=False, --restart)",
                )
            )
