"""One level of the Lorentz group network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .bell_functions import BellFunctions
from .complex_mixing import ComplexMixing
from .lorentz_tensors import DIMENSION, IRREPS, LorentzTensors
from .pair_sum import pair_sum
from .pairs import Pairs
from .tensor_product import TensorProduct

__all__ = ["LGNLevel", "level_sources"]


class LGNLevel(nn.Module):
    """F_i ← W [Σ_j f(p_ij²) p_ij ⊗ F_j, F_i, F_i ⊗ F_i], then a perceptron on the scalars (LGN, eq. 4.2).

    p_ij ⊗ stands for both 1 and p_ij = p_i − p_j, each with its own f. No tensor and no product is ever formed per
    pair: the part linear in p_j is summed as f_ij (F_j ⊗ p_j), and p_i is taken out of the sum, so that the pairs cost
    two matrix products.

    Parameters
    ----------
    irreps : sequence of str
        Input tensors.
    channels_in, channels_out : int
        Complex channels of each tensor.
    keep : sequence of str
        Output tensors allowed.
    n_bells : int
        Half the number of bells.
    mlp_depth, mlp_width : int
        Hidden layers of the perceptron, and their width in units of its inputs.

    Attributes
    ----------
    irreps : tuple of str
        Output tensors.
    sources : dict of str to tuple of str
        Inputs to the mixing of each tensor, see `level_sources`.
    """

    def __init__(
        self,
        irreps: Sequence[str],
        channels_in: int,
        channels_out: int,
        *,
        keep: Sequence[str] = IRREPS,
        n_bells: int = 10,
        mlp_depth: int = 3,
        mlp_width: int = 2,
    ) -> None:
        super().__init__()
        self.bells = BellFunctions(channels_in, n_bells)
        self.times_momentum = TensorProduct(irreps, ("v",), keep)
        self.square = TensorProduct(irreps, irreps, keep, is_complex=True)
        self.sources = level_sources(irreps, keep)
        self.irreps = tuple(self.sources)
        self.mixing = ComplexMixing(
            {name: channels_in * len(blocks) for name, blocks in self.sources.items()}, channels_out
        )
        width = 2 * channels_out
        hidden: list[nn.Module] = []
        for layer in range(mlp_depth):
            hidden += [nn.Linear(width * (mlp_width if layer else 1), mlp_width * width), nn.LeakyReLU()]
        self.mlp = nn.Sequential(*hidden, nn.Linear(width * (mlp_width if mlp_depth else 1), width))

    def forward(self, features: LorentzTensors, p4_N4: Tensor, square_Q: Tensor, pairs: Pairs) -> LorentzTensors:
        """Apply the level.

        Parameters
        ----------
        features : LorentzTensors
            Complex, shapes (2, N, C, d).
        p4_N4 : Tensor, shape (N, 4)
            Four-momenta in one frame per jet, whichever it is, in the precision of the features.
        square_Q : Tensor, shape (Q,)
            (p_i − p_j)², in the square layout of `pairs`.
        pairs : Pairs
            The pairs of the jets.

        Returns
        -------
        LorentzTensors
            Shapes (2, N, C', d).
        """
        mixed = self.mixing(
            LorentzTensors.cat([self.over_pairs(features, p4_N4, square_Q, pairs), features, self.squared(features)])
        )
        return LorentzTensors(**(mixed.parts() | {"s": self.perceptron(mixed.s)}))

    def over_pairs(self, features: LorentzTensors, p4_N4: Tensor, square_Q: Tensor, pairs: Pairs) -> LorentzTensors:
        """Σ_j f⁰_ij F_j, and Σ_j f¹_ij F_j ⊗ (p_i − p_j) = (Σ_j f¹_ij F_j) ⊗ p_i − Σ_j f¹_ij (F_j ⊗ p_j)."""
        f = self.bells(square_Q, pairs.diagonal)
        p = LorentzTensors(v=p4_N4[:, None, :])
        at_j = self.times_momentum(features, p)
        channels = next(iter(features.parts().values())).shape[-2]
        own, moment = _joined(features, channels), _joined(at_j, channels)
        summed = pair_sum(f["s"], own, pairs.counts)
        weighted, moments = torch.split(
            pair_sum(f["v"], torch.cat([own, moment], -1), pairs.counts), [own.shape[-1], moment.shape[-1]], dim=-1
        )
        at_i = self.times_momentum(_split(weighted, features), p).parts()
        difference = LorentzTensors(**{name: at_i[name] - part for name, part in _split(moments, at_j).parts().items()})
        return LorentzTensors.cat([_split(summed, features), difference])

    def squared(self, features: LorentzTensors) -> LorentzTensors:
        """F_i ⊗ F_i."""
        product: LorentzTensors = self.square(features, features)
        return product

    def perceptron(self, scalars: Tensor | None) -> Tensor:
        """The perceptron on (Re, Im) of the scalars (2, N, C, 1)."""
        assert scalars is not None
        inputs = scalars[..., 0].permute(1, 2, 0).flatten(1)
        out: Tensor = self.mlp(inputs.to(next(self.mlp.parameters()).dtype)).to(scalars.dtype)
        return out.reshape(len(out), out.shape[1] // 2, 2).permute(2, 0, 1)[..., None]


def level_sources(irreps: Sequence[str], keep: Sequence[str] = IRREPS) -> dict[str, tuple[str, ...]]:
    """Blocks of channels that a level mixes into each tensor of `keep`, for features with the tensors `irreps`.

    Returns
    -------
    dict of str to tuple of str
        Blocks of channels in order: ``"pair v"`` is Σ_j f v_j, ``"pair Sv"`` is Σ_j f S_j p_ij, ``"own F"`` is F_i and
        ``"square *Fv"`` is ⋆F_i v_i.
    """
    momentum, square = TensorProduct(irreps, ("v",), keep), TensorProduct(irreps, irreps, keep)
    sources = {
        name: tuple(
            [f"pair {name}"] * (name in irreps)
            + [f"pair {product}" for product in momentum.names(name)]
            + [f"own {name}"] * (name in irreps)
            + [f"square {product}" for product in square.names(name)]
        )
        for name in keep
    }
    return {name: blocks for name, blocks in sources.items() if blocks}


def _joined(tensors: LorentzTensors, channels: int) -> Tensor:
    """Components of all tensors of a channel along one axis: (2, N, C, D)."""
    return torch.cat(
        [torch.unflatten(part, -2, (-1, channels)).transpose(-3, -2).flatten(-2) for part in tensors.parts().values()],
        dim=-1,
    )


def _split(values: Tensor, like: LorentzTensors) -> LorentzTensors:
    """Inverse of `_joined`, for tensors shaped like `like`."""
    parts, channels = like.parts(), values.shape[-2]
    sizes = [part.shape[-2] // channels * DIMENSION[name] for name, part in parts.items()]
    return LorentzTensors(
        **{
            name: torch.unflatten(piece, -1, (-1, DIMENSION[name])).transpose(-3, -2).flatten(-3, -2)
            for (name, piece) in zip(parts, torch.split(values, sizes, dim=-1), strict=True)
        }
    )
