"""Hashes of everything a network sees of a jet: equal keys mean equal inputs."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..jets.ragged import RaggedJets

__all__ = ["Keys", "jet_keys"]

#: 128 bits per jet as two words, shape (J, 2).
Keys = npt.NDArray[np.uint64]

_SIZE = 16


def jet_keys(jets: RaggedJets, salt: str) -> Keys:
    """Hash each jet alone: neither the other jets of the batch nor their order matters.

    Parameters
    ----------
    jets : RaggedJets
        The jets, as the network is given them.
    salt : str
        What else the scores depend on: the tagger.

    Returns
    -------
    ndarray of uint64, shape (J, 2)
        BLAKE2b of four-momenta, masses, (pT, η, φ), columns, and the jet's own four-momentum.
    """
    tensors = {"p4": jets.p4, "mass": jets.mass}
    if jets.polar is not None:
        tensors["polar"] = jets.polar
    tensors |= {f"column {name}": column for name, column in sorted(jets.columns.items())}
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    description = repr([salt, *((name, array.dtype.str, array.shape[1:]) for name, array in arrays.items())])
    start = hashlib.blake2b(description.encode(), digest_size=_SIZE)
    rows = np.concatenate([_bytes(array) for array in arrays.values()], axis=1).reshape(-1).data
    own = _bytes(_array(jets.jet_p4)).reshape(-1).data
    ends = jets.offsets.cpu().numpy() * (len(rows) // max(1, len(jets.p4)))
    width = len(own) // max(1, jets.num_jets)
    digests = bytearray()
    for jet in range(jets.num_jets):
        one = start.copy()
        one.update(own[jet * width : (jet + 1) * width])
        one.update(rows[ends[jet] : ends[jet + 1]])
        digests += one.digest()
    return np.frombuffer(digests, "<u8").reshape(-1, 2).astype(np.uint64)


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """One row of bytes per row of the array."""
    width = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    return array.reshape(-1).view(np.uint8).reshape(len(array), width)
