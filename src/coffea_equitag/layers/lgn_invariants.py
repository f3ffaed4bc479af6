"""What LGN's readout sees of its nodes: scalars, and squares of the other tensors, level by level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .lorentz_tensors import LorentzTensors
from .tensor_product import TensorProduct

__all__ = ["by_chirality", "by_level", "count", "squares"]


def squares(irreps: Sequence[str]) -> TensorProduct:
    """Squares of the tensors other than scalars."""
    tensors = tuple(name for name in irreps if name != "s")
    return TensorProduct(tensors, tensors, ("s",), is_complex=True)


def count(norms: Sequence[TensorProduct], channels: Sequence[int]) -> int:
    """Complex invariants per node, for levels with these products and channels."""
    return sum(width * (1 + len(norm.names("s"))) for norm, width in zip(norms, channels, strict=True))


def by_level(features: Sequence[LorentzTensors], norms: Sequence[TensorProduct]) -> Tensor:
    """Scalars, then v·v, F:F, F:⋆F and S:S of each level: (2, N, K).

    Parameters
    ----------
    features : sequence of LorentzTensors
        Before the first level and after each, complex, shapes (2, N, C, d).
    norms : sequence of TensorProduct
        For each of them the product of its tensors with themselves, without results if squares are not wanted.
    """
    found = []
    for tensors, norm in zip(features, norms, strict=True):
        found += [tensors.s, norm(tensors, tensors).s]
    return torch.cat([part for part in found if part is not None], dim=2)[..., 0]


def by_chirality(features: Sequence[LorentzTensors], norms: Sequence[TensorProduct]) -> Tensor:
    """The same numbers as the official code has them: scalars of all levels, then v·v of all, F₊:F₊, F₋:F₋ and S:S.

    F± = ½(F ∓ i⋆F) are the self-dual and the anti-self-dual part, F±:F± = ½(F:F ∓ i F:⋆F).
    """
    found: dict[str, list[Tensor]] = {name: [] for name in ("s", "vv", "plus", "minus", "SS")}
    for tensors, norm in zip(features, norms, strict=True):
        values = norm(tensors, tensors).s
        names = norm.names("s")
        parts = {} if values is None else dict(zip(names, values[..., 0].chunk(len(names), dim=2), strict=True))
        assert tensors.s is not None
        found["s"].append(tensors.s[..., 0])
        if "F*F" in parts:
            plain, starred = parts.pop("FF"), parts.pop("F*F")
            turned = torch.stack([-starred[1], starred[0]])
            found["plus"].append(0.5 * (plain - turned))
            found["minus"].append(0.5 * (plain + turned))
        for name, part in parts.items():
            found[name].append(part)
    return torch.cat([part for of_kind in found.values() for part in of_kind], dim=2)
