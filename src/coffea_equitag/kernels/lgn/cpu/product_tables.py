"""Products of Lorentz tensors as tables of their components' products, from the formulas of `layers.tensor_product`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ....array_types import F8, I8
from ....layers.lorentz_tensors import DIMENSION, IRREPS, LorentzTensors
from ....layers.tensor_product import TensorProduct

__all__ = ["PLACE", "ProductTable", "Terms", "components", "product_table"]


#: Where an irreducible tensor's components begin among the 20 of all.
PLACE = {"s": 0, "v": 1, "F": 5, "S": 11}


class Terms(NamedTuple):
    """R sums of E terms factor · x[left] · y[right] in all."""

    first: I8  # (R + 1,): where the terms of each sum begin
    left: I8  # (E,)
    right: I8
    factor: F8


class ProductTable(NamedTuple):
    """Components of products as sums over products of components.

    `component` tells which of the 20 of a tensor one is, `block` which of the products that give the tensor.
    """

    terms: Terms
    component: I8  # (R,)
    block: I8


def components(product: TensorProduct, left: tuple[str, ...], right: tuple[str, ...]) -> dict[str, F8]:
    """Coefficients of all products: for each tensor that comes out (blocks, d, components left, components right)."""
    rows, columns = (sum(DIMENSION[name] for name in names) for names in (left, right))
    units = torch.arange(rows * columns)
    results = product(_units(units // columns, left), _units(units % columns, right)).parts()
    return {name: part.permute(1, 2, 0).unflatten(2, (rows, columns)).numpy() for name, part in results.items()}


def _units(index: torch.Tensor, names: tuple[str, ...]) -> LorentzTensors:
    """Tensors of one channel, of which the component with this index is 1."""
    sizes = [DIMENSION[name] for name in names]
    unit = torch.eye(sum(sizes), dtype=torch.float64)[index]
    return LorentzTensors(
        **{name: part[:, None] for name, part in zip(names, torch.split(unit, sizes, dim=1), strict=True)}
    )


def product_table(coefficients: dict[str, F8], blocks: dict[str, int]) -> ProductTable:
    """List what is not zero; tensors in their usual order, their blocks (counted from `blocks`), their components."""
    first, left, right, factor, component, block = [0], [], [], [], [], []
    for name in IRREPS:
        for b, of_block in enumerate(coefficients.get(name, ()), start=blocks.get(name, 0)):
            for d, matrix in enumerate(of_block):
                at = np.nonzero(np.abs(matrix) > 1e-14)
                left.append(at[0])
                right.append(at[1])
                factor.append(matrix[at])
                first.append(first[-1] + len(at[0]))
                component.append(PLACE[name] + d)
                block.append(b)
    none = [np.zeros(0, np.int64)]
    terms = Terms(
        np.array(first, np.int64),
        np.concatenate(left + none).astype(np.int64),
        np.concatenate(right + none).astype(np.int64),
        np.concatenate(factor + none).astype(np.float64),
    )
    return ProductTable(terms, np.array(component, np.int64), np.array(block, np.int64))
