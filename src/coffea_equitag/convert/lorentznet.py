"""The authors' LorentzNet (repository LorentzNet-release)."""

from __future__ import annotations

import re

from .state_dict import StateDict

__all__ = ["translate"]


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours."""
    return {re.sub(r"^LGEBs\.", "blocks.", re.sub(r"^graph_dec\.", "head.", k)): v for k, v in state.items()}
