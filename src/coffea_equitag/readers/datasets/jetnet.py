"""JetNet: jets from gluons, light quarks, tops, W and Z bosons in HDF5 files with relative coordinates, one per class.

About 177k jets per class, 13 TeV, pT near 1 TeV, anti-kT R = 0.8, the 30 or 150 hardest constituents
(`Kansal et al. 2021 <https://arxiv.org/abs/2106.11535>`_).
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import AnyArray
from ...errors import JetError, explain
from ...jets import make_jets
from ..ranges import Paths, checked, expand, read_range
from .hdf5 import opened, readable
from .published import Published, zenodo

__all__ = ["CLASSES", "PUBLISHED", "is_jetnet", "num_rows", "read", "read_jetnet"]

#: Meaning of ``label``: the order of the published jet types.
CLASSES = ("g", "q", "t", "w", "z")

#: Jets read at a time: 48 MB of the files with 150 particles per jet.
_BLOCK = 20_000


def read_jetnet(
    path: Paths,
    *,
    jet_type: str | None = None,
    entry_start: int | None = None,
    entry_stop: int | None = None,
    validate: bool = True,
) -> ak.Array:
    """Read jets of JetNet.

    The files contain ``etarel, phirel, ptrel, mask`` of each particle, relative to the jet, and pT, η and mass of the
    jet, but not its φ. The jets are therefore placed at φ = 0; the particles are massless, with ``pt = ptrel · pT``,
    ``eta = etarel + η``, ``phi = phirel``.

    Parameters
    ----------
    path : str, path, or several
        ``g.hdf5``, ..., ``z150.hdf5`` as published.
    jet_type : {"g", "q", "t", "w", "z"}, optional
        Class of the jets; by default taken from the published file names.
    entry_start, entry_stop : int, optional
        Jets to read, counted over all files; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Returns
    -------
    ak.Array
        ``[jet]`` with ``constituents`` (pt, eta, phi, mass in GeV; masked particles dropped), the jet's own ``pt, eta,
        phi, mass`` and ``num_particles`` as in the file, and ``label`` (index in `CLASSES`) if the class is known.

    Raises
    ------
    JetError
        If a file is missing or has the wrong datasets, or h5py is not installed.
    """
    if jet_type is not None and jet_type not in CLASSES:
        raise JetError(explain(f"jet_type={jet_type!r}", f"one of {', '.join(CLASSES)}", "choose one of them"))
    files = expand(path)
    jets = read_range(files, num_rows, partial(read, jet_type=jet_type), entry_start, entry_stop)
    return checked(jets, files) if validate else jets


def is_jetnet(file: Any) -> bool:
    """Whether an open HDF5 file has JetNet's datasets."""
    return "particle_features" in file and "jet_features" in file


def num_rows(path: Path) -> int:
    """Number of jets in a file."""
    with opened(path) as file:
        return int(_features(file, path)[0].shape[0])


def read(path: Path, start: int, stop: int, jet_type: str | None = None) -> ak.Array:
    """Jets `start` to `stop` of a file, read in blocks."""
    named = re.fullmatch(f"([{''.join(CLASSES)}])(150)?", path.stem)
    known = jet_type or (named[1] if named else None)
    parts = []
    with opened(path) as file:
        particles, jets = _features(file, path)
        for first in range(start, max(stop, start + 1), _BLOCK):
            last = min(first + _BLOCK, stop)
            parts.append(_jets(particles[first:last], jets[first:last], known))
    return ak.concatenate(parts) if len(parts) > 1 else parts[0]


def _features(file: Any, path: Path) -> tuple[Any, Any]:
    if not is_jetnet(file):
        raise JetError(
            explain(
                f"{path} with {', '.join(file) or 'nothing in it'}",
                "'particle_features' and 'jet_features'",
                "check that this is a JetNet file",
            )
        )
    particles, jets = readable(file["particle_features"], path), readable(file["jet_features"], path)
    if particles.ndim != 3 or particles.shape[2] != 4 or jets.shape != (particles.shape[0], 4):
        raise JetError(
            explain(
                f"{path} with particle_features of shape {particles.shape} and jet_features of shape {jets.shape}",
                "(jets, particles, 4): etarel, phirel, ptrel, mask; and (jets, 4): pt, eta, mass, num_particles",
                "check that this is a JetNet file",
            )
        )
    return particles, jets


def _jets(particles: AnyArray, jets: AnyArray, jet_type: str | None) -> ak.Array:
    filled = particles[:, :, 3] > 0
    pt, eta, mass, number = jets.T
    columns = {
        "pt": (particles[:, :, 2] * pt[:, np.newaxis])[filled],
        "eta": (particles[:, :, 0] + eta[:, np.newaxis])[filled],
        "phi": particles[:, :, 1][filled],
    }
    columns["mass"] = np.zeros_like(columns["pt"])
    constituents = ak.unflatten(ak.zip(columns), np.count_nonzero(filled, axis=1).astype(np.int64))
    fields = {"pt": pt, "eta": eta, "phi": np.zeros_like(pt), "mass": mass, "num_particles": number.astype(np.int32)}
    if jet_type is not None:
        fields["label"] = np.full(len(pt), CLASSES.index(jet_type), dtype=np.int8)
    return make_jets(constituents, **fields)


def _published(particles: int, record: int) -> Published:
    suffix = "" if particles == 30 else str(particles)
    files = {name: zenodo(record, f"{name}{suffix}.hdf5") for name in CLASSES}
    return Published(
        name=f"jetnet{particles}",
        title=f"JetNet{suffix}",
        doi=f"10.5281/zenodo.{record}",
        licence=None,
        citation=(
            f"R. Kansal et al., JetNet{suffix}, Zenodo, doi:10.5281/zenodo.{record}",
            "R. Kansal et al., Particle Cloud Generation with Message Passing GANs, NeurIPS 2021, arXiv:2106.11535",
        ),
        classes=CLASSES,
        splits={**{name: (file,) for name, file in files.items()}, "all": tuple(files.values())},
        read=read_jetnet,
        note=(
            "Each split is a class: the publisher provides one file per class, and no training and test sets. No "
            "published checksum could be confirmed."
        ),
    )


PUBLISHED = (_published(30, 6975118), _published(150, 6975117))
