"""Options that the official trainers keep beside the weights, in the arguments of their command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

__all__ = ["trainer_options"]

#: Kind -> the command's argument -> our option, where the shapes of the weights do not tell it.
_NAMES = {"lgn": {"activation": "activation", "scale": "scale"}, "pelican": {"stabilizer": "symmetry"}}


def trainer_options(kind: str, checkpoint: Any) -> dict[str, Any]:
    """Options in ``checkpoint["args"]``, if a checkpoint holds its trainer's arguments; else none."""
    arguments = checkpoint.get("args") if isinstance(checkpoint, Mapping) else None
    values = vars(arguments) if isinstance(arguments, argparse.Namespace) else {}
    return {option: values[name] for name, option in _NAMES.get(kind, {}).items() if name in values}
