"""Layers of rows and attention of tokens on a GPU, or in Triton's interpreter, against torch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from arithmetic import deviation, rounding
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers import attention as layer
from coffea_equitag.layers.squares import Squares
from gpu import DEVICE, needs_gpu

pytestmark = needs_gpu


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def expected(x, weight, bias, norm, activation, after, rows, scale):
    if norm is not None:
        x = functional.layer_norm(x, x.shape[1:], eps=norm)
    x = {"none": lambda x: x, "relu": torch.relu, "gelu": functional.gelu}[activation](x @ weight + bias)
    if after is not None:
        x = functional.layer_norm(x, x.shape[1:], *after, 1e-5)
    return x if rows is None else x + (rows if scale is None else scale * rows)


@pytest.mark.parametrize(
    ("rows", "depth", "width", "norm", "activation", "after", "shortcut"),
    [
        (70, 40, 70, 1e-5, "gelu", False, None),
        (5, 7, 3, 1e-2, "relu", True, "plain"),
        (66, 20, 130, None, "none", True, "scaled"),
        (1, 1, 1, None, "none", False, "scaled"),
        (0, 4, 4, 1e-5, "gelu", False, "plain"),
    ],
)
def test_agrees_with_torch(rows, depth, width, norm, activation, after, shortcut):
    from coffea_equitag.kernels.common.gpu.row_layers import RowLayer, Shortcut, row_layer

    x, weight, bias = 1 + drawn(rows, depth), drawn(depth, width, seed=1), drawn(width, seed=2)
    behind = drawn(2, width, seed=3) if after else None
    beside = None if shortcut is None else drawn(rows, width, seed=4)
    scale = drawn(width, seed=5) if shortcut == "scaled" else None
    found = row_layer(
        x,
        RowLayer(weight, bias, norm, None if behind is None else (behind, 1e-5)),
        "tf32x3",
        activation=activation,
        shortcut=None if beside is None else Shortcut(beside, scale),
    )
    given = (x, weight, bias, norm, activation, behind, beside, scale)
    exact = expected(*(value.double() if torch.is_tensor(value) else value for value in given))
    assert deviation(found.double(), exact) <= rounding(expected, *given)


def test_a_row_is_the_same_wherever_it_stands():
    from coffea_equitag.kernels.common.gpu.row_layers import RowLayer, row_layer

    x, weights = drawn(67, 20), RowLayer(drawn(20, 10, seed=1), drawn(10, seed=2), 1e-5)
    x[3, 2] = torch.nan
    together = row_layer(x, weights, "tf32x3", activation="gelu")
    assert torch.isnan(together[3]).all()
    assert torch.isfinite(together).sum() == 66 * 10
    for r in (0, 2, 63, 64, 66):
        assert torch.equal(row_layer(x[r:], weights, "tf32x3", activation="gelu")[0], together[r])


@pytest.mark.parametrize("counts", [[70, 0, 1, 3], [0], []])
def test_tokens_attend(counts):
    from coffea_equitag.kernels.common.gpu.token_attention import attend_from_jets

    offsets, jets, nodes = boundaries(torch.tensor(counts, dtype=torch.int64)).to(DEVICE), len(counts), sum(counts)
    query, both = drawn(jets, 2, 5), drawn(jets + nodes, 2, 2, 5, seed=1)
    keys, values = ((both[:jets, part], both[jets:, part]) for part in (0, 1))

    def reference(query, keys, values):
        return layer.attend_from_jets(query, keys, values, Squares.of(offsets))

    found = attend_from_jets(query, keys, values, offsets)
    exact = reference(query.double(), *(tuple(rows.double() for rows in pair) for pair in (keys, values)))
    assert deviation(found.double(), exact) <= rounding(reference, query, keys, values)
    for jet, start in enumerate(offsets[:-1].tolist()):
        own = slice(jets + start, jets + start + counts[jet])
        alone = (both[jet : jet + 1], both[own])
        of_jet = torch.tensor([0, counts[jet]], device=DEVICE)
        pairs = (tuple(rows[:, part] for rows in alone) for part in (0, 1))
        assert torch.equal(attend_from_jets(query[jet : jet + 1], *pairs, of_jet)[0], found[jet])
