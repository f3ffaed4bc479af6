"""One level of the Lorentz group network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .activations import ACTIVATIONS, ActivationName
from .bell_functions import BellFunctions
from .complex_mixing import ComplexMixing
from .difference_products import joined, split_like, times_differences, times_squared_differences
from .lorentz_tensors import IRREPS, LorentzTensors
from .pair_sum import pair_sum
from .pairs import Pairs
from .saturation import FEATURE_BOUND, saturated
from .tensor_product import TensorProduct

__all__ = ["LGNLevel", "level_sources"]


class LGNLevel(nn.Module):
    """F_i ← W [Σ_j f(p_ij²) p_ij ⊗ F_j, F_i, F_i ⊗ F_i], then a perceptron on the scalars (LGN, eq. 4.2).

    p_ij ⊗ stands for 1, p_ij = p_i − p_j and, with ``max_zf=2``, the traceless part of p_ij ⊗ p_ij, each with its own
    f. No tensor and no product is ever formed per pair: what depends on p_j is summed with F_j, and p_i is taken out of
    the sum, so that the pairs cost two or three matrix products.

    Parameters
    ----------
    irreps : sequence of str
        Input tensors.
    channels_in, channels_out : int
        Complex channels of each tensor.
    keep : sequence of str
        Tensors allowed, in products as factors and results; others that come in are dropped.
    max_zf : int
        Highest power of p_ij, 1 or 2.
    n_bells : int
        Half the number of bells.
    mlp : bool
        Whether there is a perceptron.
    mlp_depth, mlp_width : int
        Hidden layers of the perceptron, and their width in units of its inputs.
    activation : str
        Its activation, one of `ACTIVATIONS`.

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
        max_zf: int = 1,
        n_bells: int = 10,
        mlp: bool = True,
        mlp_depth: int = 3,
        mlp_width: int = 2,
        activation: ActivationName = "leakyrelu",
    ) -> None:
        super().__init__()
        self.given = tuple(name for name in irreps if name in keep)
        self.bells = BellFunctions(channels_in, n_bells, ("s", "v", "S")[: max_zf + 1])
        self.times_momentum = TensorProduct(self.given, _factors(("v",), keep), keep)
        self.times_square = TensorProduct(self.given, _factors(("S",) * (max_zf > 1), keep), keep)
        self.square = TensorProduct(self.given, self.given, keep, is_complex=True)
        self.sources = level_sources(irreps, keep, max_zf)
        self.irreps = tuple(self.sources)
        self.mixing = ComplexMixing(
            {name: channels_in * len(blocks) for name, blocks in self.sources.items()}, channels_out
        )
        width = 2 * channels_out
        hidden: list[nn.Module] = []
        for layer in range(mlp_depth):
            hidden += [nn.Linear(width * (mlp_width if layer else 1), mlp_width * width), ACTIVATIONS[activation]()]
        if mlp:
            self.mlp = nn.Sequential(*hidden, nn.Linear(width * (mlp_width if mlp_depth else 1), width))
        else:
            self.mlp = nn.Sequential()

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
        features = LorentzTensors(**{name: features.parts()[name] for name in self.given})
        mixed = self.mixing(
            LorentzTensors.cat([self.over_pairs(features, p4_N4, square_Q, pairs), features, self.squared(features)])
        )
        mixed = mixed.map(lambda part: saturated(part, FEATURE_BOUND))
        return LorentzTensors(**(mixed.parts() | {"s": self.perceptron(mixed.s)}))

    def over_pairs(self, features: LorentzTensors, p4_N4: Tensor, square_Q: Tensor, pairs: Pairs) -> LorentzTensors:
        """Σ_j f⁰_ij F_j, then Σ_j f¹_ij F_j ⊗ (p_i − p_j) and, with ``max_zf=2``, Σ_j f²_ij F_j ⊗ S(p_i − p_j)."""
        f, runs = self.bells(square_Q, pairs.diagonal), pairs.runs
        sums = [split_like(pair_sum(f["s"], joined(features), runs), features)]
        if self.times_momentum.products:
            sums.append(times_differences(self.times_momentum, features, p4_N4, f["v"], runs))
        if self.times_square.products:
            sums.append(times_squared_differences(self.times_square, features, p4_N4, f["S"], runs))
        return LorentzTensors.cat(sums)

    def squared(self, features: LorentzTensors) -> LorentzTensors:
        """F_i ⊗ F_i."""
        product: LorentzTensors = self.square(features, features)
        return product

    def perceptron(self, scalars: Tensor | None) -> Tensor:
        """The perceptron on (Re, Im) of the scalars (2, N, C, 1), which are returned as they are if there is none."""
        assert scalars is not None
        if not len(self.mlp):
            return scalars
        inputs = scalars[..., 0].permute(1, 2, 0).flatten(1)
        # degrees double with each level: at |η| = 50 single precision overflows
        out: Tensor = self.mlp(saturated(inputs).to(next(self.mlp.parameters()).dtype)).to(scalars.dtype)
        return out.reshape(out.shape[0], out.shape[1] // 2, 2).permute(2, 0, 1)[..., None]


def level_sources(irreps: Sequence[str], keep: Sequence[str] = IRREPS, max_zf: int = 1) -> dict[str, tuple[str, ...]]:
    """Blocks of channels that a level mixes into each tensor of `keep`, for features with the tensors `irreps`.

    Returns
    -------
    dict of str to tuple of str
        Blocks of channels in order: ``"pair v"`` is Σ_j f v_j, ``"pair Sv"`` is Σ_j f S_j p_ij, ``"pair vS"`` is
        Σ_j f v_j S(p_ij), ``"own F"`` is F_i and ``"square *Fv"`` is ⋆F_i v_i.
    """
    given = tuple(name for name in irreps if name in keep)
    square = TensorProduct(given, given, keep)
    powers = [TensorProduct(given, _factors((power,), keep), keep) for power in ("v", "S")[:max_zf]]
    sources = {
        name: tuple(
            [f"pair {name}"] * (name in given)
            + [f"pair {product}" for power in powers for product in power.names(name)]
            + [f"own {name}"] * (name in given)
            + [f"square {product}" for product in square.names(name)]
        )
        for name in keep
    }
    return {name: blocks for name, blocks in sources.items() if blocks}


def _factors(names: tuple[str, ...], keep: Sequence[str]) -> tuple[str, ...]:
    """Momentum tensors among those allowed: the official code takes no factor above `keep` either."""
    return tuple(name for name in names if name in keep)
