"""The device on which a network computes."""

from __future__ import annotations

import torch

from ..errors import TaggerError, explain

__all__ = ["device_of"]


def device_of(given: torch.device | str | None = None) -> torch.device:
    """The device of that name; by default the GPU if there is one.

    Raises
    ------
    TaggerError
        For a device that is not available, or has no float64, which the invariants need.
    """
    if not given:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise _refused(given) from error
    number = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type not in ("cpu", "cuda") or (device.index or 0) >= number:
        raise _refused(given)
    return device


def _refused(given: torch.device | str) -> TaggerError:
    number = torch.cuda.device_count()
    found = f"'cpu', 'cuda' or 'cuda:0' to 'cuda:{number - 1}'" if number else "'cpu': torch sees no GPU here"
    return TaggerError(explain(f"device = '{given}'", found, "leave it out: a GPU is used if there is one"))
