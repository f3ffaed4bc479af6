"""The authors' LorentzNet (repository LorentzNet-release)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError, explain
from ..models.lorentznet import PARTICLES
from .state_dict import StateDict

__all__ = ["infer_options", "translate"]

#: Scalars of a constituent -> the options that give them, and the vectors' step with which the authors trained so.
_SCALARS: dict[str, tuple[int, dict[str, Any], float]] = {
    "ψ(mass)": (1, {"pid": False, "use_one_hot": True}, 5e-3),
    "the one-hot of |pdgId|": (len(PARTICLES), {"pid": True, "use_one_hot": True}, 1e-3),
    "ψ(mass) and ψ(charge)": (2, {"use_one_hot": False}, 1e-3),
}


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the nodes' scalars are, from their number and from the options given.

    A scalar too many or too few would be one that the network was trained with and never sees again, or the other way
    round. ψ(mass) and ψ(charge) are taken only if asked for: they are as many as ψ(mass) of constituents and of beams.

    Raises
    ------
    CheckpointError
        If the checkpoint takes other scalars than the options make.
    """
    number = state["embedding.weight"].shape[-1]
    asked = {"use_one_hot": True, "n_scalar": number} | dict(given)
    for size, scalars, step in _SCALARS.values():
        for beams in (True, False):
            found = scalars | {"beams": beams, "n_scalar": number}
            if size + beams == number and all(asked.get(name, value) == value for name, value in found.items()):
                # the top reference jets are massless, and their rounding was learned
                return found | {"c_weight": step, "mass_noise": size == 1}
    fits = [
        f"{words}{' and ψ(mass) of the beams' * beams}: {_options(scalars | {'beams': beams})}"
        for words, (size, scalars, _) in _SCALARS.items()
        for beams in (True, False)
        if size + beams == number
    ]
    chosen = {name: given[name] for name in ("n_scalar", "pid", "use_one_hot", "beams") if name in given}
    raise CheckpointError(
        explain(
            f"a LorentzNet that was trained with {number} scalars per node, and {_options(chosen) or 'no options'}",
            "; or ".join(fits) or "1, 2, 3, 8 or 9 scalars per node",
            "give the options it was trained with, or leave them out" if fits else "see models.LorentzNet.scalars",
        )
    )


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours."""
    return {re.sub(r"^LGEBs\.", "blocks.", re.sub(r"^graph_dec\.", "head.", k)): v for k, v in state.items()}
