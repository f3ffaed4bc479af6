"""The EnergyFlow quark/gluon datasets: npz files with zero-padded (pT, y, φ, PDG id) and labels.

Two million jets per dataset: Z(→νν) + quark or gluon, 14 TeV, Pythia 8 or Herwig 7, particle level, anti-kT R = 0.4,
500 < pT < 550 GeV, |y| < 1.7 (https://energyflow.network/docs/datasets/).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import IO, Any

import awkward as ak
import numpy as np

from ...array_types import AnyArray
from ...errors import JetError, explain
from ...jets import make_jets
from ..ranges import Paths, checked, expand, read_range
from .published import Published, RemoteFile, zenodo

__all__ = ["PUBLISHED", "num_rows", "read", "read_energyflow"]


#: Jets read at a time: 90 MB of the published files.
_BLOCK = 20_000

#: PDG id -> mass (GeV; PDG 2024) and charge of particles that reach a detector. Antiparticles have opposite charge.
_PARTICLES = {
    11: (0.00051099895, -1),
    13: (0.1056583755, -1),
    22: (0.0, 0),
    111: (0.1349768, 0),
    130: (0.497611, 0),
    211: (0.13957039, 1),
    310: (0.497611, 0),
    321: (0.493677, 1),
    2112: (0.939565421, 0),
    2212: (0.938272089, 1),
    3112: (1.197449, -1),
    3122: (1.115683, 0),
    3222: (1.18937, 1),
    3312: (1.32171, -1),
    3322: (1.31486, 0),
    3334: (1.67245, -1),
}


def read_energyflow(
    path: Paths,
    *,
    masses: str = "pdg",
    entry_start: int | None = None,
    entry_stop: int | None = None,
    validate: bool = True,
) -> ak.Array:
    """Read jets of the EnergyFlow quark/gluon datasets.

    Parameters
    ----------
    path : str, path, or several
        ``QG_jets*.npz`` as published; their conversion to Parquet for weaver is read by `coffea_equitag.read_jets`.
    masses : {"pdg", "zero"}
        The files contain rapidity y and PDG id, but no mass. "pdg": the mass of the particle, as in the publisher's
        ``p4s_from_ptyphipids``; pz = sqrt(pT² + m²) sinh y. "zero": massless particles, with y used as η, as in the
        conversion for weaver on which ParticleNet and ParT are trained.
    entry_start, entry_stop : int, optional
        Jets to read, counted over all files; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Returns
    -------
    ak.Array
        ``[jet]`` with ``constituents`` (px, py, pz, mass in GeV, in the file's precision; ``pdgId``, ``charge``;
        padding dropped) and ``label`` (1 quark, 0 gluon).

    Raises
    ------
    JetError
        If a file is missing or has the wrong arrays, or, with ``masses="pdg"``, a particle's mass is unknown.
    """
    if masses not in ("pdg", "zero"):
        raise JetError(explain(f"masses={masses!r}", "'pdg' or 'zero'", "choose one of them"))
    files = expand(path)
    jets = read_range(files, num_rows, partial(read, masses=masses), entry_start, entry_stop)
    return checked(jets, files) if validate else jets


def num_rows(path: Path) -> int:
    """Number of jets in a file."""
    with _member(path, "X") as array:
        return array.shape[0]


def read(path: Path, start: int, stop: int, masses: str = "pdg") -> ak.Array:
    """Jets `start` to `stop` of a file, read in blocks."""
    with _member(path, "y") as array:
        labels = array.rows(0, array.shape[0])
    parts = []
    with _member(path, "X") as array:
        if len(array.shape) != 3 or array.shape[2] < 4 or labels.shape != array.shape[:1]:
            raise JetError(
                explain(
                    f"{path} with X of shape {array.shape} and y of shape {labels.shape}",
                    "X of shape (jets, particles, 4): pT, y, φ, PDG id; and y of shape (jets,)",
                    "check that this is a file of the EnergyFlow quark/gluon datasets",
                )
            )
        for first in range(start, max(stop, start + 1), _BLOCK):
            last = min(first + _BLOCK, stop)
            parts.append(_jets(array.rows(first, last), labels[first:last], masses, f"{path}, jets {first} to {last}"))
    return ak.concatenate(parts) if len(parts) > 1 else parts[0]


def _jets(particles: AnyArray, labels: AnyArray, masses: str, source: str) -> ak.Array:
    if (particles[:, :, 0] < 0).any():
        raise JetError(explain(f"{source}: a negative pT", "pT > 0, or 0 for padding", "download the file again"))
    filled = particles[:, :, 0] != 0
    pt, y, phi, pid = (particles[:, :, i][filled] for i in range(4))
    pdg_id = np.rint(np.nan_to_num(pid)).astype(np.int32)
    codes, inverse = np.unique(np.abs(pdg_id), return_inverse=True)
    unknown = [int(code) for code in codes if int(code) not in _PARTICLES]
    if unknown and masses == "pdg":
        raise JetError(
            explain(
                f"{source}: particles of PDG id ±{', ±'.join(map(str, unknown[:8]))}, whose mass is unknown",
                f"PDG ids among {', '.join(map(str, _PARTICLES))} and their antiparticles",
                "read with masses='zero'",
            )
        )
    table = [_PARTICLES.get(int(code), (0.0, 0)) for code in codes]
    mass = np.array([one[0] if masses == "pdg" else 0.0 for one in table], dtype=pt.dtype)[inverse]
    charge = np.array([one[1] for one in table], dtype=np.int8)[inverse] * np.sign(pdg_id).astype(np.int8)
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": np.hypot(pt, mass) * np.sinh(y),
        "mass": mass,
        "pdgId": pdg_id,
        "charge": charge,
    }
    counts = np.count_nonzero(filled, axis=1).astype(np.int64)
    return make_jets(ak.unflatten(ak.zip(columns), counts), label=labels.astype(np.int8))


@dataclass
class _Member:
    """One array of an npz file, read by rows: NumPy would read the whole array.

    If all rows are read in their order, the archive's checksum is verified, which costs nothing.
    """

    stream: IO[bytes]
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self, start: int, stop: int) -> AnyArray:
        size = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        if self.stream.tell() != self.offset + start * size:  # a jump ends the verification
            self.stream.seek(self.offset + start * size)
        data = self.stream.read((stop - start) * size)
        if len(data) != (stop - start) * size:
            raise EOFError("the file is truncated")
        if stop == self.shape[0]:
            self.stream.read(1)  # the checksum is compared at the end
        return np.frombuffer(data, dtype=self.dtype).reshape(stop - start, *self.shape[1:])


@contextmanager
def _member(path: Path, name: str) -> Iterator[_Member]:
    """Open one array of an npz file."""
    with zipfile.ZipFile(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            found = ", ".join(member.removesuffix(".npy") for member in archive.namelist())
            raise JetError(
                explain(
                    f"{path} without '{name}'; it has {found or 'no arrays'}",
                    "X (jets, particles, 4) and y (jets,)",
                    "check that this is a file of the EnergyFlow quark/gluon datasets",
                )
            )
        with archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            old = version == (1, 0)
            header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(stream)
            if not shape or dtype.kind not in "fiu" or (fortran and len(shape) > 1):
                raise JetError(
                    explain(
                        f"{path} with '{name}' of type {dtype}{' in Fortran order' if fortran else ''}",
                        "padded numbers, jets first, in C order",
                        "write it again with np.savez",
                    )
                )
            size = archive.getinfo(f"{name}.npy").file_size - stream.tell()
            if size != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
                raise ValueError(f"'{name}' of shape {shape} and type {dtype} does not fill {size} bytes")
            yield _Member(stream, stream.tell(), shape, dtype)


def _published(name: str, title: str, record: int, files: str, classes: str) -> Published:
    hashes = (resources.files(__package__) / "energyflow.sha256").read_text().split()
    checksums = {file: f"sha256:{sha}" for sha, file in zip(hashes[::2], hashes[1::2], strict=True)}
    names = [files.format(f"_{i}") for i in range(20)]
    if names[0] not in checksums:  # the first file of the oldest dataset has no number
        names[0] = files.format("")
    every: list[RemoteFile] = [zenodo(record, file, checksums[file]) for file in names]
    return Published(
        name=name,
        title=title,
        doi=f"10.5281/zenodo.{record}",
        licence=None,
        citation=(
            f"P. Komiske, E. Metodiev, J. Thaler, {title}, Zenodo (2019), doi:10.5281/zenodo.{record}",
            "P. Komiske, E. Metodiev, J. Thaler, Energy Flow Networks: Deep Sets for Particle Jets, JHEP 01 (2019) 121",
        ),
        classes=("gluon", classes),
        splits={"train": tuple(every[:16]), "val": tuple(every[16:18]), "test": tuple(every[18:])},
        read=read_energyflow,
        note=(
            "20 files of 100k jets. The publisher recommends 1.6M/200k/200k jets without specifying which; here these "
            "are files 0-15, 16-17 and 18-19. SHA-256 as in the publisher's package EnergyFlow."
        ),
    )


PUBLISHED = (
    _published("energyflow", "Pythia8 Quark and Gluon Jets for Energy Flow", 3164691, "QG_jets{}.npz", "quark (uds)"),
    _published(
        "energyflow-bc",
        "Pythia8 Quark and Gluon Jets for Energy Flow",
        3164691,
        "QG_jets_withbc{}.npz",
        "quark (udscb)",
    ),
    _published("energyflow-herwig", "Herwig7.1 Quark and Gluon Jets", 3066475, "QG_jets_herwig{}.npz", "quark (uds)"),
    _published(
        "energyflow-herwig-bc",
        "Herwig7.1 Quark and Gluon Jets",
        3066475,
        "QG_jets_herwig_withbc{}.npz",
        "quark (udscb)",
    ),
)
