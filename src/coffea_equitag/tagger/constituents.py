"""What a network's auxiliary heads say of the constituents of jets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from ..array_types import F4, I8
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.constituent_heads import with_heads
from .inference import default_budget, pieces

__all__ = ["constituent_probabilities"]

#: Column that tells which constituents the network has seen.
_ROW = "row of the constituent"


def constituent_probabilities(
    model: JetModel, jets: RaggedJets, numbers: Mapping[str, int], pair_budget: int | None = None
) -> dict[str, F4]:
    """Probabilities (N, n_classes) of the constituents for each task; NaN where the network leaves one out."""
    rows = torch.arange(len(jets.p4), device=jets.device)
    numbered = replace(jets, columns={**jets.columns, _ROW: rows})
    seen: list[I8] = []
    found: dict[str, list[F4]] = {name: [] for name in numbers}
    model.eval()
    with torch.no_grad():
        for piece in pieces(model, numbered, pair_budget or default_budget(model)):
            _, logits, kept = with_heads(model, piece.to(model.device))
            seen.append(kept.columns[_ROW].cpu().numpy())
            for name, values in logits.items():
                found[name].append(torch.softmax(values.float(), dim=1).cpu().numpy())
    at = np.concatenate([np.empty(0, np.int64), *seen])
    return {name: _rows(len(rows), at, values, numbers[name]) for name, values in found.items()}


def _rows(number: int, at: I8, values: list[F4], classes: int) -> F4:
    rows = np.full((number, classes), np.nan, np.float32)
    rows[at] = np.concatenate([np.empty((0, classes), np.float32), *values])
    return rows
