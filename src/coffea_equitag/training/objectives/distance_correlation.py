"""Distance correlation of two numbers per jet, which is 0 only if they are independent.

Kasieczka, Shih, "Robust jet classifiers through distance correlation", Phys. Rev. Lett. 125 (2020) 122001,
arXiv:2001.05310.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["distance_correlation"]

#: Jets whose distances are held at once where only the value is wanted.
_BLOCK = 2048


def distance_correlation(x_J: Tensor, y_J: Tensor, weights_J: Tensor) -> Tensor:
    """dCov²(x, y) / √(dCov²(x, x) dCov²(y, y)) of weighted jets, in float64.

    Memory and time grow with the square of the number of jets.

    Parameters
    ----------
    x_J, y_J : Tensor, shape (J,)
        The numbers.
    weights_J : Tensor, shape (J,)
        Weights, not negative; jets of weight 0 do not matter.

    Returns
    -------
    Tensor of float64, scalar
        Between 0 and 1; 0 where a number is the same for all jets.
    """
    weights = weights_J.double()
    share = weights / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)
    a, b = _centred(x_J.double(), share), _centred(y_J.double(), share)

    def mean(values_JJ: Tensor) -> Tensor:
        return share @ values_JJ @ share

    squared_norm = mean(a * a) * mean(b * b)
    positive = squared_norm > 0
    # the square root of 0 has no gradient
    return torch.where(positive, mean(a * b) / torch.where(positive, squared_norm, 1.0).sqrt(), 0.0)


def in_blocks(x_J: Tensor, y_J: Tensor, weights_J: Tensor) -> float:
    """The mean of `distance_correlation` over blocks of about 2000 jets, which follow each other: for many jets."""
    if not len(x_J):
        return 0.0
    number = -(-len(x_J) // _BLOCK)
    blocks = zip(*(values.chunk(number) for values in (x_J, y_J, weights_J)), strict=True)
    return float(torch.stack([distance_correlation(*block) for block in blocks]).mean())


def _centred(x_J: Tensor, share_J: Tensor) -> Tensor:
    """Distances |x_i − x_j| without their means over i and over j, (J, J)."""
    distances = (x_J[:, None] - x_J[None]).abs()
    means = distances @ share_J
    return distances - means[:, None] - means[None] + share_J @ means
