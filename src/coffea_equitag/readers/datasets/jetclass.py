"""JetClass: 125 million jets of ten classes, in ROOT files with list branches (``part_*``) and one-hot labels.

13 TeV, MadGraph, Pythia 8 and Delphes' CMS card, anti-kT R = 0.8, 500 < pT < 1000 GeV, |η| < 2
(`Qu, Li, Qian 2022 <https://arxiv.org/abs/2202.03772>`_).
"""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np

from ...errors import JetError, explain
from .. import parquet
from ..ranges import Paths, checked, expand, read_range
from ..root import num_entries, read_root
from .published import Published, RemoteFile, zenodo

__all__ = ["CLASSES", "PUBLISHED", "read_jetclass"]

#: Meaning of ``label``: the order of the published columns ``label_*``.
CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")

_TREE = "tree"
_PARQUET = (".parquet", ".pq")


def read_jetclass(
    path: Paths, *, entry_start: int | None = None, entry_stop: int | None = None, validate: bool = True
) -> ak.Array:
    """Read jets of JetClass.

    Parameters
    ----------
    path : str, path, or several
        ROOT files as published (or Parquet files with the same columns). Each file holds one class: give patterns such
        as ``["val_5M/HToBB_*.root", "val_5M/ZJetsToNuNu_*.root"]``.
    entry_start, entry_stop : int, optional
        Jets to read, counted over all files; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Returns
    -------
    ak.Array
        ``[jet]`` as `coffea_equitag.read_jets` reads the flat layout (GeV, mm; ``d0`` signed as in Delphes;
        ``pdgId`` from the flags), with an integer ``label``, the index in `CLASSES`, instead of ``label_QCD``,
        ``label_Hbb``, ....

    Raises
    ------
    JetError
        If a file is missing or has the wrong columns, or a jet belongs to no class or to several.
    """
    files = expand(path)
    jets = read_range(files, _num_rows, _read, entry_start, entry_stop)
    return checked(jets, files) if validate else jets


def _num_rows(path: Path) -> int:
    return parquet.num_rows(path) if path.suffix.lower() in _PARQUET else num_entries(path, _TREE)


def _read(path: Path, start: int, stop: int) -> ak.Array:
    if path.suffix.lower() in _PARQUET:
        jets = parquet.read_parquet(path, start, stop)
    else:
        jets = read_root(path, _TREE, None, start, stop)
    columns = [f"label_{name}" for name in CLASSES]
    missing = [column for column in columns if column not in jets.fields]
    if missing:
        raise JetError(
            explain(
                f"{path} without {', '.join(missing)}; besides the constituents it has {', '.join(jets.fields)}",
                f"JetClass' one-hot labels {', '.join(columns)}",
                "read other datasets in the flat layout with coffea_equitag.read_jets",
            )
        )
    one_hot = np.stack([ak.to_numpy(jets[column]) != 0 for column in columns], axis=1)
    wrong = one_hot.sum(axis=1) != 1
    if wrong.any():
        jet = int(np.argmax(wrong))
        raise JetError(
            explain(
                f"jet {start + jet} of {path} belongs to {int(one_hot[jet].sum())} classes",
                "one of label_QCD, label_Hbb, ... equal to 1, the others 0",
                "drop these jets, or read the file with coffea_equitag.read_jets",
            )
        )
    for column in columns:
        jets = ak.without_field(jets, column)
    return ak.with_field(jets, np.argmax(one_hot, axis=1).astype(np.int8), "label")


def _tar(part: str, md5: str) -> RemoteFile:
    return zenodo(6619768, f"JetClass_Pythia_{part}.tar", f"md5:{md5}")


PUBLISHED = Published(
    name="jetclass",
    title="JetClass: A Large-Scale Dataset for Deep Learning in Jet Physics",
    doi="10.5281/zenodo.6619768",
    licence=None,
    citation=(
        "H. Qu, C. Li, S. Qian, JetClass: A Large-Scale Dataset for Deep Learning in Jet Physics, Zenodo (2022)",
        "H. Qu, C. Li, S. Qian, Particle Transformer for Jet Tagging, ICML 2022, PMLR 162:18281, arXiv:2202.03772",
    ),
    classes=CLASSES,
    splits={
        "train_100M": (
            _tar("train_100M_part0", "de4fd2dca2e68ab3c85d5cfd3bcc65c3"),
            _tar("train_100M_part1", "9722a359c5ef697bea0fbf79bf50f003"),
            _tar("train_100M_part2", "1e9f66cd1f915f9d10e90ae1d7761720"),
            _tar("train_100M_part3", "47348fc8985319fa4806da87500482fa"),
            _tar("train_100M_part4", "6b0ce16bd93b442a8d51914466990279"),
            _tar("train_100M_part5", "416e347512e716de51d392bee327b8e9"),
            _tar("train_100M_part6", "e9b9c1557b1b39bf0a16e4ab631ae451"),
            _tar("train_100M_part7", "5bfc6cb285ccb7680cefa9ac82ad1a2e"),
            _tar("train_100M_part8", "540c1a0d66dfad78d2b363c5740ccf86"),
            _tar("train_100M_part9", "668f40b3275167ff7104c48317c0ae2a"),
        ),
        "val_5M": (_tar("val_5M", "7235ccb577ed85023ea3ab4d5e6160cf"),),
        "test_20M": (_tar("test_20M", "64e5156d26d101adeb43b8388207d767"),),
    },
    read=read_jetclass,
    note=(
        "The publisher's split; MD5 as in the publisher's get_datasets.py. The training set needs a lot of disk space. "
        "The files are sorted by class: a short range of entries is of one class."
    ),
    archives=True,
)
