from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.layers.complex_mixing import ComplexMixing
from coffea_equitag.layers.lorentz_tensors import DIMENSION, IRREPS, LorentzTensors, basis, dual_components
from coffea_equitag.layers.tensor_product import PRODUCTS, TensorProduct
from coffea_equitag.testing import boost, rotation


def lorentz(seed):
    rng = np.random.default_rng(seed)
    matrix = boost(rng.uniform(1.5, 3), rng.normal(size=3)) @ rotation(rng.uniform(0, 6), rng.normal(size=3))
    return torch.from_numpy(matrix.astype(np.float64))


def transformed(tensors, matrix):
    """Λ applied to every index of the ordinary components."""

    def on(name, part):
        plain = basis(name)
        if name == "s":
            return part
        if name == "v":
            return part @ matrix.T
        moved = matrix @ torch.einsum("...d,dab->...ab", part, plain) @ matrix.T
        return torch.einsum("...ab,dab->...d", moved, plain)

    return LorentzTensors(**{name: on(name, part) for name, part in tensors.parts().items()})


def random_tensors(*shape, irreps=IRREPS, seed=0):
    torch.manual_seed(seed)
    return LorentzTensors(**{name: torch.randn(*shape, DIMENSION[name], dtype=torch.float64) for name in irreps})


def same(found, expected, tolerance=1e-11):
    assert found.parts().keys() == expected.parts().keys()
    for name, part in found.parts().items():
        torch.testing.assert_close(
            part, expected.parts()[name], rtol=tolerance, atol=tolerance * float(part.detach().abs().max())
        )


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: f"{p.name} to {p.out}")
def test_every_product_is_equivariant(product):
    x, y = random_tensors(5, 2, seed=1), random_tensors(5, 2, seed=2)
    both = TensorProduct({product.left}, {product.right}, {product.out})
    index = both.names(product.out).index(product.name)

    def one(a, b):
        found = getattr(both(a, b), product.out)[..., 2 * index : 2 * index + 2, :]
        return LorentzTensors(**{product.out: found})

    reference = one(x, y)
    assert getattr(reference, product.out).abs().min() > 0
    for seed in range(3):
        matrix = lorentz(seed)
        same(one(transformed(x, matrix), transformed(y, matrix)), transformed(reference, matrix))


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: f"{p.name} to {p.out}")
def test_tables_say_what_the_formulas_say(product):
    x, y = random_tensors(1, seed=3), random_tensors(1, seed=4)
    both = TensorProduct({product.left}, {product.right}, {product.out})
    found = LorentzTensors(**{product.out: getattr(both(x, y), product.out)}).matrices()[product.out]
    expected = product.formula(x.matrices()[product.left][0], y.matrices()[product.right][0])
    torch.testing.assert_close(found[both.names(product.out).index(product.name)], expected)


def test_products_are_independent():
    """No product is a linear combination of the others, including the duals of antisymmetric results."""
    for name in IRREPS:
        everything = TensorProduct(keep=(name,))
        x, y = random_tensors(400, 1, seed=5), random_tensors(400, 1, seed=6)
        channels = getattr(everything(x, y), name)
        if name == "F":
            channels = torch.cat([channels, channels @ dual_components()], dim=-2)
        columns = channels.transpose(-2, -1).flatten(0, 1)
        assert torch.linalg.matrix_rank(columns) == columns.shape[1]


def test_complex_products():
    x, y = random_tensors(2, 7, 3, seed=7), random_tensors(2, 7, 3, seed=8)
    found = TensorProduct(is_complex=True)(x, y)
    real = TensorProduct()

    def half(z, k):
        return z.map(lambda part: part[k])

    for name, part in found.parts().items():
        rr, ii, ri, ir = (getattr(real(half(x, a), half(y, b)), name) for a, b in ((0, 0), (1, 1), (0, 1), (1, 0)))
        torch.testing.assert_close(part, torch.stack([rr - ii, ri + ir]))


def test_a_network_of_ones_own():
    """Two products and a linear layer over channels: invariant and differentiable."""
    made = ("s", "F", "S")
    first, second = TensorProduct(("v",), ("v",)), TensorProduct(made, made, ("s",))
    torch.manual_seed(0)
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def network(v):
        mixed = LorentzTensors(v=torch.einsum("oc,ncd->nod", weight, v))
        tensors = first(mixed, mixed)
        return second(tensors, tensors).s

    v = torch.randn(6, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(network(v @ lorentz(0).T), network(v), rtol=1e-9, atol=1e-9)
    network(v).sum().backward()
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("is_complex", [False, True])
def test_product_gradcheck(is_complex):
    names = ("v", "F", "S")
    shape = (2, 2, 1) if is_complex else (2, 1)
    x, y = random_tensors(*shape, irreps=names, seed=9), random_tensors(*shape, irreps=names, seed=10)
    product = TensorProduct(names, names, is_complex=is_complex)
    given = [part.requires_grad_() for z in (x, y) for part in z.parts().values()]

    def run(*parts):
        factors = [LorentzTensors(**dict(zip(names, parts[k : k + 3], strict=True))) for k in (0, 3)]
        return tuple(product(*factors).parts().values())

    assert torch.autograd.gradcheck(run, given)


def test_no_rows_and_unknown_tensors():
    assert TensorProduct()(random_tensors(0, 2), random_tensors(0, 2)).S.shape == (0, 20, 9)
    with pytest.raises(eqt.TaggerError, match="no Lorentz tensor T"):
        TensorProduct({"T"})
    with pytest.raises(eqt.TaggerError, match="tensors v and F, S, s, v"):
        TensorProduct()(random_tensors(1, 2, irreps=("v",)), random_tensors(1, 2))


def make_mixing():
    torch.manual_seed(0)
    return ComplexMixing(dict.fromkeys(IRREPS, 3), 2).double()


def test_mixing_is_equivariant_and_complex_linear():
    mixing, x = make_mixing(), random_tensors(2, 5, 3)
    matrix = lorentz(4)
    same(mixing(transformed(x, matrix)), transformed(mixing(x), matrix))
    rotated = x.map(lambda part: torch.stack([-part[1], part[0]]))
    same(mixing(rotated), mixing(x).map(lambda part: torch.stack([-part[1], part[0]])))


def test_mixing_weights_the_two_chiralities_apart():
    mixing, x = make_mixing(), random_tensors(2, 5, 3, irreps=("F",)).F
    starred = x @ dual_components()
    # ⋆F = iF: the self-dual part
    plus = 0.5 * torch.stack([x[0] + starred[1], x[1] - starred[0]])
    mixing.weight["dual"].data = torch.stack([-mixing.weight["F"].data[1], mixing.weight["F"].data[0]])
    # W' = iW gives (W − W) on it
    assert mixing(LorentzTensors(F=plus)).F.abs().max() < 1e-12
    assert mixing(LorentzTensors(F=x - plus)).F.abs().max() > 0.1


def test_mixing_gradcheck():
    mixing, x = make_mixing(), random_tensors(2, 2, 3)
    given = [part.requires_grad_() for part in x.parts().values()]

    def run(*parts):
        tensors = LorentzTensors(**dict(zip(IRREPS, parts[:4], strict=True)))
        return tuple(mixing(tensors).parts().values())

    assert torch.autograd.gradcheck(run, (*given, *mixing.parameters()))
