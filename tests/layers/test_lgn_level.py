from __future__ import annotations

import itertools

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.bell_functions import BellFunctions
from coffea_equitag.layers.difference_products import times_squared_differences
from coffea_equitag.layers.lgn_level import LGNLevel, level_sources
from coffea_equitag.layers.lorentz_tensors import DIMENSION, ETA, IRREPS, LorentzTensors
from coffea_equitag.layers.pair_sum import pair_sum
from coffea_equitag.layers.pairs import Pairs
from coffea_equitag.layers.rest_frame import RestFrame
from coffea_equitag.layers.tensor_product import TensorProduct
from coffea_equitag.testing import boost, rotation, transform

COUNTS = (1, 0, 3, 3, 4)


def make(counts=COUNTS, channels=2, seed=0, irreps=IRREPS):
    torch.manual_seed(seed)
    offsets = boundaries(torch.tensor(counts, dtype=torch.int64))
    total = int(offsets[-1])
    features = LorentzTensors(
        **{name: torch.randn(2, total, channels, DIMENSION[name], dtype=torch.float64) for name in irreps}
    )
    p4 = torch.randn(total, 4, dtype=torch.float64)
    blocks = [p4[a:b] for a, b in itertools.pairwise(offsets)]
    squares = [((p[:, None] - p) ** 2 * ETA.diagonal()).sum(-1).flatten() for p in blocks]
    return features, p4, torch.cat(squares), Pairs.of(offsets)


def test_bells_are_those_of_the_paper():
    torch.manual_seed(0)
    bells, square = BellFunctions(3, 4).double(), torch.tensor([0.0, 2.5, -0.3, 0.0], dtype=torch.float64)
    found = bells(square, torch.tensor([0, 3]))
    n = square.sign() * square.abs().sqrt()
    basis = bells.b / (1 + (bells.c * n[:, None]) ** 2) + bells.a
    for power, values in found.items():
        assert values.shape == (4, 3, 2)
        torch.testing.assert_close(values[1:3], bells.linear[power](basis[1:3]).view(2, 3, 2))
        torch.testing.assert_close(values[0].flatten(), bells.linear[power].bias)


def test_pair_sum_pair_by_pair():
    torch.manual_seed(0)
    total, squares = sum(COUNTS), sum(n * n for n in COUNTS)
    weight, x = torch.randn(squares, 2, 2, dtype=torch.float64), torch.randn(2, total, 2, 3, dtype=torch.float64)
    z, w, expected = torch.complex(*x), torch.complex(weight[..., 0], weight[..., 1]), []
    at = row = 0
    for n in COUNTS:
        expected.append(torch.einsum("ijc,jcd->icd", w[at : at + n * n].view(n, n, 2), z[row : row + n]))
        at, row = at + n * n, row + n
    found = pair_sum(weight, x, [(1, n) for n in COUNTS])
    torch.testing.assert_close(torch.complex(*found), torch.cat(expected))
    assert pair_sum(weight[:0], x[:, :0], [(2, 0)]).shape == (2, 0, 2, 3)


def as_pairs(tensor):
    return torch.stack([tensor.real, tensor.imag])


def test_level_equals_the_paper_pair_by_pair():
    features, p4, square, pairs = make()
    level = LGNLevel(IRREPS, 2, 3).double()
    f = {power: torch.complex(*w.unbind(-1)) for power, w in level.bells(square, pairs.diagonal).items()}
    times = TensorProduct(right=("v",), is_complex=True)
    expected, at, row = [], 0, 0
    for n in COUNTS:
        for i in range(row, row + n):
            terms = []
            for j in range(row, row + n):
                f_j = {name: torch.complex(*part[:, j : j + 1]) for name, part in features.parts().items()}
                still, moving = (
                    LorentzTensors(**{k: as_pairs(f[power][at, :, None] * part) for k, part in f_j.items()})
                    for power in ("s", "v")
                )
                difference = as_pairs((p4[i] - p4[j]).to(torch.complex128))
                p_ij = LorentzTensors(v=difference[:, None, None].expand(2, 1, 2, 4))
                terms.append(LorentzTensors.cat([still, times(moving, p_ij)]).parts())
                at += 1
            expected.append({name: sum(term[name] for term in terms) for name in IRREPS})
        row += n
    for name, part in level.over_pairs(features, p4, square, pairs).parts().items():
        torch.testing.assert_close(part, torch.cat([entry[name] for entry in expected], dim=1))


def test_squares_of_differences_pair_by_pair():
    features, p4, _, pairs = make()
    weight = torch.randn(sum(n * n for n in COUNTS), 2, 2, dtype=torch.float64)
    product, square = TensorProduct(right=("S",)), TensorProduct(("v",), ("v",), ("S",))
    found = times_squared_differences(product, features, p4, weight, pairs.runs).parts()
    expected, row, at = {name: torch.zeros_like(part) for name, part in found.items()}, 0, 0
    for n in COUNTS:
        for i, j in itertools.product(range(row, row + n), repeat=2):
            p = LorentzTensors(v=(p4[i] - p4[j])[None, None])
            f_j = {name: torch.complex(*part[:, j : j + 1]) for name, part in features.parts().items()}
            moved = LorentzTensors(
                **{k: as_pairs(torch.complex(*weight[at].T)[:, None] * part) for k, part in f_j.items()}
            )
            for name, part in product(moved, square(p, p)).parts().items():
                expected[name][:, i] += part[:, 0]
            at += 1
        row += n
    for name, part in found.items():
        torch.testing.assert_close(part, expected[name])


def test_blocks_are_counted_as_published():
    sizes = [{name: len(blocks) for name, blocks in level_sources(irreps).items()} for irreps in ("s", "sv", IRREPS)]
    assert sizes == [
        {"s": 3, "v": 1},
        {"s": 5, "v": 5, "F": 2, "S": 2},
        {"s": 8, "v": 14, "F": 10, "S": 13},
    ]
    assert level_sources(("s", "v"), ("s", "v")).keys() == {"s", "v"}


def test_level_is_equivariant():
    features, p4, square, pairs = make(irreps=("s", "v"))
    level = LGNLevel(("s", "v"), 2, 3).double()
    matrix = torch.from_numpy((boost(2.0, [1, 2, 3]) @ rotation(0.7, [1, 0, 1])).astype(np.float64))
    moved_features = LorentzTensors(s=features.s, v=features.v @ matrix.T)
    moved = level(moved_features, p4 @ matrix.T, square, pairs).matrices()
    still = level(features, p4, square, pairs).matrices()
    torch.testing.assert_close(moved["s"], still["s"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(moved["v"], still["v"] @ matrix.T, rtol=1e-9, atol=1e-9)
    for name in "FS":
        torch.testing.assert_close(moved[name], matrix @ still[name] @ matrix.T, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("irreps", [("s",), ("s", "v"), IRREPS])
def test_level_gradcheck(irreps):
    features, p4, square, pairs = make((1, 2), 1, irreps=irreps)
    level = LGNLevel(irreps, 1, 1, n_bells=1, mlp_depth=1).double()
    given = [part.requires_grad_() for part in features.parts().values()]

    def run(*parts):
        tensors = LorentzTensors(**dict(zip(irreps, parts[: len(irreps)], strict=True)))
        return tuple(level(tensors, p4, square, pairs).parts().values())

    assert torch.autograd.gradcheck(run, (*given, *level.parameters()))


def test_bells_and_pair_sum_gradcheck():
    torch.manual_seed(0)
    bells, square = BellFunctions(1, 1).double(), torch.randn(5, dtype=torch.float64)
    x = torch.randn(2, 3, 1, 2, dtype=torch.float64, requires_grad=True)

    def run(x, *weights):
        return pair_sum(bells(square, torch.tensor([0, 1, 4]))["s"], x, [(1, 1), (1, 2)])

    assert torch.autograd.gradcheck(run, (x, *bells.parameters()))


def frame_of(jets):
    ragged = RaggedJets.from_awkward(jets)
    products = gram(ragged)
    return ragged, products, RestFrame.of(ragged, products)


@pytest.mark.parametrize("gamma", [1.0, 1e2, 1e4])
def test_rest_frame_keeps_its_digits(random_jets, gamma):
    jets = transform(random_jets([5, 0, 40, 2]), boost(gamma, [1, 2, -1]))
    ragged, products, frame = frame_of(jets)
    at = 0
    for first, last in itertools.pairwise(ragged.offsets):
        p, n = frame.p4[first:last], int(last - first)
        scale = float(p.abs().max()) ** 2 if n else 1.0
        found = p @ ETA @ p.T
        torch.testing.assert_close(found, products[at : at + n * n].view(n, n), rtol=0, atol=1e-10 * scale)
        assert p[:, 1:].sum(0).abs().max() < 1e-10 * scale**0.5 * max(n, 1)
        at += n * n


def test_to_the_rest_frame_and_back(random_jets):
    ragged, _, frame = frame_of(random_jets([5, 40, 2, 0]))
    first = torch.stack([frame.p4[k] for k in (0, 5, 45)] + [torch.zeros(4, dtype=torch.float64)])
    expected = torch.stack([ragged.p4[k] for k in (0, 5, 45)] + [torch.zeros(4, dtype=torch.float64)])
    torch.testing.assert_close(frame.to_laboratory(first), expected, rtol=1e-11, atol=1e-9)


def test_massless_jets_have_no_rest_frame():
    light = ak.zip({"px": [0.0], "py": [30.0], "pz": [40.0], "mass": [0.0]}, with_name="Momentum4D")
    _, _, frame = frame_of(ak.zip({"constituents": ak.unflatten(light, [1])}, depth_limit=1))
    assert torch.equal(frame.p4, torch.zeros(1, 4, dtype=torch.float64))
    assert torch.equal(frame.to_laboratory(torch.ones(1, 4)), torch.zeros(1, 4, dtype=torch.float64))
