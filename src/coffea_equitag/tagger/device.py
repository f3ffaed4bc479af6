"""The device on which a network computes."""

from __future__ import annotations

import multiprocessing
import os

import torch

from ..errors import TaggerError, explain

__all__ = ["device_of"]

#: Where launchers say which worker of its machine a process is.
_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "PARSL_WORKER_RANK")


def device_of(given: torch.device | str | None = None) -> torch.device:
    """The device of that name; by default the GPU if there is one, of several each worker process its own.

    Raises
    ------
    TaggerError
        For a device that is not available, or has no float64, which the invariants need.
    """
    if not given:
        if not torch.cuda.is_available():
            return torch.device("cpu")
        gpus, worker = torch.cuda.device_count(), _worker()
        return torch.device("cuda") if worker is None or gpus == 1 else torch.device("cuda", worker % gpus)
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise _refused(given) from error
    number = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type not in ("cpu", "cuda") or (device.index or 0) >= number:
        raise _refused(given)
    return device


def _worker() -> int | None:
    """Number of this process among the workers of its machine; None outside of pools.

    Where the batch system gives each worker its own GPU (``CUDA_VISIBLE_DEVICES``), there is only one to choose from.
    """
    for name in _RANKS:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    # workers of concurrent.futures, loky and Dask are numbered from 1
    identity = multiprocessing.current_process()._identity
    return identity[-1] - 1 if multiprocessing.parent_process() is not None and identity else None


def _refused(given: torch.device | str) -> TaggerError:
    number = torch.cuda.device_count()
    found = f"'cpu', 'cuda' or 'cuda:0' to 'cuda:{number - 1}'" if number else "'cpu': torch sees no GPU here"
    return TaggerError(explain(f"device = '{given}'", found, "leave it out: a GPU is used if there is one"))
