from __future__ import annotations

from coffea_equitag.kernels.lgn.cpu.weights import weights_of
from kernel_forms import needs_vectors

pytestmark = needs_vectors


def test_weights_are_folded_once(build):
    model = build().eval()
    assert weights_of(model) is weights_of(model)


def test_squares_are_not_computed_twice(build):
    """Of the ten squares of all tensors that give S, four repeat or vanish, and F is left with two of seven."""
    table = weights_of(build().eval()).levels[2].squares
    blocks = {
        name: len({b for d, b in zip(table.component, table.block, strict=True) if low <= d < high})
        for name, low, high in (("s", 0, 1), ("v", 1, 5), ("F", 5, 11), ("S", 11, 20))
    }
    assert blocks == {"s": 5, "v": 4, "F": 2, "S": 6}
