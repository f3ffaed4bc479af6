"""LGN in plain torch on padded jets, with a tensor on every edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...jets.ragged import RaggedJets
from ...layers.lorentz_tensors import DIMENSION, LorentzTensors
from ...layers.tensor_product import TensorProduct
from ...models.beams import with_beams
from ...models.lgn import LGN
from .masking import pad, real

__all__ = ["padded"]


def padded(model: LGN, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """LGN classifier on (J, width + beams) padded nodes, from given momenta, in the network's precision.

    As in the official code, each edge holds its radial functions times 1 and p_i − p_j, (2, J, W, W, C, 1 + 4), which
    are contracted over j with the features of j in one product; products of tensors follow at the nodes.
    """
    scale = float(model.options["scale"])
    nodes = with_beams(jets) if model.options["beams"] else jets
    mask = real(nodes, width + model.extra_nodes)
    p4 = pad((scale * nodes.p4).to(model.dtype), mask)
    scalars = pad(model.scalars(nodes).to(model.dtype), mask)
    places, dtype = tuple(mask.shape), model.dtype
    between = (mask[:, :, None] & mask[:, None])[..., None].to(dtype)
    diagonal = torch.eye(places[1], dtype=torch.bool, device=mask.device)[..., None]
    here, metric = mask.flatten()[None, :, None, None].to(dtype), p4.new_tensor([1.0, -1.0, -1.0, -1.0])
    levels: list[Any] = list(model.levels)

    def run() -> Tensor:
        difference = p4[:, :, None] - p4[:, None]
        square = (difference.square() * metric).sum(-1, keepdim=True)
        first = torch.unflatten(model.input(scalars).flatten(0, 1), 1, (-1, 2)).permute(2, 0, 1)
        features = LorentzTensors(s=first[..., None] * here)
        invariants = [features.s]
        for level, norm in zip(levels, model.norms, strict=True):
            pair = _over_pairs(level, features, difference, square.abs(), between, diagonal, places)
            mixed = level.mixing(LorentzTensors.cat([pair, features, level.square(features, features)]))
            mixed = LorentzTensors(**(mixed.parts() | {"s": level.perceptron(mixed.s)}))
            features = mixed.map(lambda part: part * here)
            invariants += [features.s, norm(features, features).s]
        values = torch.cat([part for part in invariants if part is not None], dim=2)[..., 0]
        summed = torch.unflatten(values, 1, places).sum(2)
        logits: Tensor = model.head(summed.permute(1, 2, 0).flatten(1))
        return logits

    return run


def _over_pairs(
    level: Any,
    features: LorentzTensors,
    difference: Tensor,
    size: Tensor,
    between: Tensor,
    diagonal: Tensor,
    places: tuple[int, ...],
) -> LorentzTensors:
    """Σ_j f(p_ij²) (1, p_ij) ⊗ F_j."""
    bells = level.bells
    values = (bells.b / (1 + bells.c.square() * size) + bells.a).masked_fill(diagonal, 0.0)
    radial = {
        power: torch.unflatten(layer(values) * between, -1, (-1, 2)).movedim(-1, 0)
        for power, layer in bells.linear.items()
    }
    edges = torch.cat([radial["s"][..., None], radial["v"][..., None] * difference[..., None, :]], dim=-1)
    # (2, J, i, j, C, 1 + 4) with (2, J, j, C, d): all products over (Re, Im), summed over j
    summed = {
        name: torch.einsum("yuijce,zujcd->yzuiced", edges, torch.unflatten(part, 1, places))
        for name, part in features.parts().items()
    }
    complexes = {name: torch.stack([x[0, 0] - x[1, 1], x[0, 1] + x[1, 0]]).flatten(1, 2) for name, x in summed.items()}
    own = LorentzTensors(**{name: x[..., 0, :] for name, x in complexes.items()})
    return LorentzTensors.cat([own, _products(level.times_momentum, complexes)])


def _products(product: TensorProduct, outer: dict[str, Tensor]) -> LorentzTensors:
    """A `TensorProduct` of features and p, from the sums of their outer products (..., C, 1 + 4, d)."""
    total: LorentzTensors | None = None
    for direction in range(4):
        unit = torch.zeros(1, 4).index_fill(1, torch.tensor([direction]), 1.0)
        parts = LorentzTensors(**{name: x[..., 1 + direction, :] for name, x in outer.items()})
        found = product(parts, LorentzTensors(v=unit.to(next(iter(outer.values())))))
        total = (
            found
            if total is None
            else LorentzTensors(**{name: part + found.parts()[name] for name, part in total.parts().items()})
        )
    assert total is not None
    assert all(part.shape[-1] == DIMENSION[name] for name, part in total.parts().items())
    return total
