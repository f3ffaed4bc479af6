"""Products of Lorentz tensors, channel by channel: a building block for equivariant networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from ..errors import TaggerError, explain
from .lorentz_tensors import DIMENSION, ETA, IRREPS, LorentzTensors, basis, dual

__all__ = ["PRODUCTS", "Product", "TensorProduct"]


@dataclass(frozen=True)
class Product:
    """One product of two tensors.

    Attributes
    ----------
    name : str
        The two factors, with ``*`` before the one whose dual is taken: ``"*Fv"`` is ⋆F·v.
    left, right, out : str
        Names of irreducible tensors.
    formula : callable
        Acts on the ordinary components of one tensor each, as returned by `LorentzTensors.matrices`.
    """

    name: str
    left: str
    right: str
    out: str
    formula: Callable[[Tensor, Tensor], Tensor]


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """A^{μν} B_{μν}."""
    return (a * (ETA @ b @ ETA)).sum()


def _traceless(a: Tensor) -> Tensor:
    """Symmetric part without its trace."""
    return 0.5 * (a + a.T) - 0.25 * ETA * (a * ETA).sum()


def _times(a: Tensor, b: Tensor) -> Tensor:
    """A^{μα} B_α^ν, or A^{μα} v_α."""
    return a @ ETA @ b


def _commutator(a: Tensor, b: Tensor) -> Tensor:
    return _times(a, b) - _times(b, a)


def _anticommutator(a: Tensor, b: Tensor) -> Tensor:
    return _times(a, b) + _times(b, a)


#: Every product of irreducible tensors with a result of rank at most 2. For two antisymmetric tensors only one dual is
#: needed, since ⋆F:⋆G = −F:G etc.; if the result is antisymmetric, its dual is left to the mixing.
PRODUCTS: tuple[Product, ...] = (
    Product("ss", "s", "s", "s", lambda a, b: a * b),
    Product("vv", "v", "v", "s", lambda a, b: a @ ETA @ b),
    Product("FF", "F", "F", "s", _inner),
    Product("F*F", "F", "F", "s", lambda a, b: _inner(a, dual(b))),
    Product("SS", "S", "S", "s", _inner),
    Product("sv", "s", "v", "v", lambda a, b: a * b),
    Product("vs", "v", "s", "v", lambda a, b: a * b),
    Product("Fv", "F", "v", "v", _times),
    Product("*Fv", "F", "v", "v", lambda a, b: _times(dual(a), b)),
    Product("vF", "v", "F", "v", lambda a, b: _times(b, a)),
    Product("v*F", "v", "F", "v", lambda a, b: _times(dual(b), a)),
    Product("Sv", "S", "v", "v", _times),
    Product("vS", "v", "S", "v", lambda a, b: _times(b, a)),
    Product("sF", "s", "F", "F", lambda a, b: a * b),
    Product("Fs", "F", "s", "F", lambda a, b: a * b),
    Product("vv", "v", "v", "F", lambda a, b: torch.outer(a, b) - torch.outer(b, a)),
    Product("FF", "F", "F", "F", _commutator),
    Product("SS", "S", "S", "F", _commutator),
    Product("SF", "S", "F", "F", _anticommutator),
    Product("FS", "F", "S", "F", _anticommutator),
    Product("sS", "s", "S", "S", lambda a, b: a * b),
    Product("Ss", "S", "s", "S", lambda a, b: a * b),
    Product("vv", "v", "v", "S", lambda a, b: _traceless(torch.outer(a, b))),
    Product("FF", "F", "F", "S", lambda a, b: _traceless(_times(a, b))),
    Product("F*F", "F", "F", "S", lambda a, b: _traceless(_times(a, dual(b)))),
    Product("SS", "S", "S", "S", lambda a, b: _traceless(_times(a, b))),
    Product("SF", "S", "F", "S", _commutator),
    Product("S*F", "S", "F", "S", lambda a, b: _commutator(a, dual(b))),
    Product("FS", "F", "S", "S", _commutator),
    Product("*FS", "F", "S", "S", lambda a, b: _commutator(dual(a), b)),
)


class TensorProduct(nn.Module):
    """All products of two collections of Lorentz tensors, channel by channel.

    It has no weights: mix the channels of its output (`ComplexMixing`, or any linear layer over the channel axis). The
    formulas of `PRODUCTS` are converted once into tables over components, so that each pair of tensors costs one
    outer product and one matrix product.

    Parameters
    ----------
    left, right : iterable of str
        Tensors of the two factors, among ``"s", "v", "F", "S"``.
    keep : iterable of str
        Output tensors wanted.
    is_complex : bool
        Factors and result are pairs (Re, Im) along their first axis.

    Raises
    ------
    TaggerError
        For an unknown tensor.
    """

    def __init__(
        self,
        left: Iterable[str] = IRREPS,
        right: Iterable[str] = IRREPS,
        keep: Iterable[str] = IRREPS,
        *,
        is_complex: bool = False,
    ) -> None:
        super().__init__()
        left, right, keep = set(left), set(right), set(keep)
        unknown = sorted((left | right | keep) - set(IRREPS))
        if unknown:
            raise TaggerError(
                explain(f"no Lorentz tensor {', '.join(unknown)}", f"some of {', '.join(IRREPS)}", "check the names")
            )
        self.is_complex = is_complex
        self.products = tuple(p for p in PRODUCTS if p.left in left and p.right in right and p.out in keep)
        self._by_factors: dict[tuple[str, str], list[int]] = {}
        for index, product in enumerate(self.products):
            self._by_factors.setdefault((product.left, product.right), []).append(index)

    def names(self, out: str) -> tuple[str, ...]:
        """Names of the products whose result is the tensor `out`, in the order of their channels."""
        return tuple(product.name for product in self.products if product.out == out)

    def forward(self, x: LorentzTensors, y: LorentzTensors) -> LorentzTensors:
        """Multiply.

        Parameters
        ----------
        x, y : LorentzTensors
            Factors with C channels each, shapes (..., C, d); other axes broadcast.

        Returns
        -------
        LorentzTensors
            C channels for each product, in the order of ``names(out)``.

        Raises
        ------
        TaggerError
            If a factor lacks one of the tensors declared at construction.
        """
        left, right = x.parts(), y.parts()
        wanted = [set(side) for side in zip(*self._by_factors, strict=True)]
        if any(not names <= set(parts) for names, parts in zip(wanted, (left, right), strict=False)):
            raise TaggerError(
                explain(
                    f"tensors {' and '.join(', '.join(sorted(parts)) for parts in (left, right))}",
                    " and ".join(", ".join(sorted(names)) for names in wanted),
                    "pass TensorProduct the tensors that the factors really hold",
                )
            )
        found: list[Tensor | None] = [None] * len(self.products)
        for (a, b), members in self._by_factors.items():
            outer = self._outer(left[a], right[b]).flatten(-2)
            results = outer @ _table(tuple(self.products[index] for index in members), outer.dtype, outer.device)
            sizes = [DIMENSION[self.products[index].out] for index in members]
            for index, result in zip(members, torch.split(results, sizes, dim=-1), strict=True):
                found[index] = result
        return LorentzTensors(
            **{
                name: torch.cat(channels, dim=-2)
                for name in IRREPS
                if (
                    channels := [
                        result
                        for product, result in zip(self.products, found, strict=True)
                        if product.out == name and result is not None
                    ]
                )
            }
        )

    def _outer(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a[..., :, None], b[..., None, :]
        if not self.is_complex:
            return a * b
        return torch.stack([a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]])


@cache
def _table(products: tuple[Product, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Components of products of basis tensors, concatenated: shape (d_left · d_right, Σ d_out).

    Cached here rather than in buffers, which ``model.float()`` would round to float32 along with the weights.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        columns = [_components(product) for product in products]
        return torch.cat(columns, dim=1).to(device, dtype)


@cache
def _components(product: Product) -> Tensor:
    rows = [
        torch.einsum("k...,...->k", basis(product.out), product.formula(a, b))
        for a in basis(product.left)
        for b in basis(product.right)
    ]
    return torch.stack(rows)
