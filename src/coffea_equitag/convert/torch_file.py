"""Files written by torch.save, from anyone: read without running code, and in no more memory than their size."""

from __future__ import annotations

import argparse
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, explain
from ..reading import check_regular

__all__ = ["check_storage", "load"]

#: Bit of a zip archive's external attributes that marks a folder.
_FOLDER = 0x10


def load(path: Path) -> Any:
    """The tensors, plain values and command-line arguments in a file, on the CPU.

    Raises
    ------
    CheckpointError
        If it is damaged, would run code, or unpacks to more than it holds.
    """
    try:
        check_regular(path)
        _check_unpacked(path)
        with torch.serialization.safe_globals([argparse.Namespace]):  # a trainer's arguments: attributes, and no code
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # damaged pickles raise almost anything
        # torch's own message would suggest running the code in the file
        objects = re.findall(r"GLOBAL (\S+)", str(error))
        raise CheckpointError(
            explain(
                f"{path}, which is not a file of plain weights{f': it holds {objects[0]}' if objects else ''}",
                "a file written by torch.save(model.state_dict(), ...)",
                "load the model with its own code and save its state_dict",
            )
        ) from error


def _check_unpacked(path: Path) -> None:
    """Refuse an archive that is larger than its file: torch does not compress, and members do not overlap."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > os.path.getsize(path):
            raise CheckpointError(
                explain(
                    f"{path} of {os.path.getsize(path):,} bytes, which unpacks to {size:,}",
                    "an archive as torch.save writes it, without compression",
                    "get the file from its authors, or load it with their code and save the state_dict again",
                )
            )
        # of a member that is marked as a folder, torch reads nothing, and leaves the tensor as the memory happens to be
        folders = [member.filename for member in archive.infolist() if member.external_attr & _FOLDER]
        if damaged := archive.testzip() or ", ".join(folders):
            raise CheckpointError(explain(f"{path} is damaged in {damaged}", "a complete file", "download it again"))


def check_storage(state: Mapping[Any, Tensor]) -> None:
    """Refuse tensors that repeat few numbers to look large: whatever copies them would need the memory.

    Raises
    ------
    CheckpointError
        Naming the tensor.
    """
    for name, value in state.items():
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(
                explain(
                    f"{name} of shape {tuple(value.shape)} on a storage of {value.untyped_storage().nbytes()} bytes",
                    "tensors that hold each of their numbers",
                    "save a copy: {name: value.clone() for name, value in model.state_dict().items()}",
                )
            )
