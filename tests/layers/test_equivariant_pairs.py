from __future__ import annotations

import pytest
import torch

from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.aggregates import Aggregation
from coffea_equitag.layers.equivariant_1to2 import Equivariant1to2
from coffea_equitag.layers.equivariant_2to2 import Equivariant2to2
from coffea_equitag.layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from coffea_equitag.layers.squares import Squares

leaky = torch.nn.functional.leaky_relu
COUNTS = (1, 3, 3, 5)


def layout(counts=COUNTS):
    return Squares.of(boundaries(torch.tensor(counts, dtype=torch.int64)))


def pairs(counts=COUNTS, channels=4, seed=0):
    torch.manual_seed(seed)
    return torch.randn(sum(n * n for n in counts), channels, dtype=torch.float64)


def weights(counts=COUNTS):
    torch.manual_seed(9)
    return torch.rand(sum(counts), dtype=torch.float64)


def make(layer, *args, seed=1, **kwargs):
    torch.manual_seed(seed)
    module = layer(*args, **kwargs).double()
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def sums(x, w, aggregation):
    """Row, column, trace and total of one jet's X (n, n, C), as defined in the papers."""
    n = len(x)
    norm = n if aggregation.kind == "mean" else aggregation.mean_count
    w = torch.ones(n, dtype=x.dtype) if w is None else w
    row = (x * w[None, :, None]).sum(1) / norm
    col = (x * w[:, None, None]).sum(0) / norm
    diag = x.diagonal().T
    return row, col, diag, (diag * w[:, None]).sum(0) / norm, (row * w[:, None]).sum(0) / norm


def stack_2to2(layer, x, w):
    """The fifteen operations, one by one."""
    n, eye = len(x), torch.eye(len(x), dtype=x.dtype)[:, :, None]
    row, col, diag, trace, total = sums(x, w, layer.aggregation)
    ones = torch.ones(n, n, 1, dtype=x.dtype)
    operations = [
        x,
        x.transpose(0, 1),
        eye * diag[:, None],
        ones * diag[None],
        ones * diag[:, None],
        eye * col[:, None],
        ones * col[None],
        ones * col[:, None],
        eye * row[:, None],
        ones * row[None],
        ones * row[:, None],
        ones * trace,
        eye * trace,
        ones * total,
        eye * total,
    ]
    if layer.power is not None:
        factors = (n / layer.aggregation.mean_count) ** layer.power.exponent
        operations = operations[:5] + [op * factors[:, b] for b, op in enumerate(operations[5:])]
    if not layer.diagonal:
        for b in (2, 5, 8, 12, 14):
            operations[b] = torch.zeros_like(x)
    mixed = torch.einsum("bijd,bds->ijs", torch.stack(operations), layer.mixing()) + layer.bias
    return leaky(mixed + eye * layer.diagonal_bias if layer.diagonal else mixed)


def split(x, w, counts):
    """X and w of each jet."""
    at = first = 0
    for n in counts:
        yield x[at : at + n * n].view(n, n, -1), None if w is None else w[first : first + n]
        at, first = at + n * n, first + n


CONFIGURATIONS = [
    (Aggregation("mean", 49.0), True, True, False),
    (Aggregation("mean", 20.0), False, True, False),
    (Aggregation("sum", 49.0), True, True, True),
    (Aggregation("sum", 7.0), False, False, True),
]


@pytest.mark.parametrize(("aggregation", "factorize", "diagonal", "weighted"), CONFIGURATIONS)
def test_2to2_equals_the_stack_of_fifteen(aggregation, factorize, diagonal, weighted):
    layer = make(Equivariant2to2, 4, 6, factorize=factorize, aggregation=aggregation, diagonal=diagonal)
    x, w = pairs(), weights() if weighted else None
    expected = torch.cat([stack_2to2(layer, b, v).reshape(-1, 6) for b, v in split(x, w, COUNTS)])
    torch.testing.assert_close(layer(x, layout(), w), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("aggregation", "factorize", "diagonal", "weighted"), CONFIGURATIONS)
def test_readouts_equal_the_papers(aggregation, factorize, diagonal, weighted):
    nodes = make(Equivariant2to1, 4, 3, factorize=factorize, aggregation=aggregation)
    jets = make(Equivariant2to0, 4, 3, aggregation=aggregation)
    x, w = pairs(), weights() if weighted else None
    expected_nodes, expected_jets = [], []
    for b, v in split(x, w, COUNTS):
        n = len(b)
        row, col, diag, trace, total = sums(b, v, aggregation)
        to_nodes = torch.stack([diag, row, col, trace.expand(n, -1), total.expand(n, -1)], 2)
        to_jet = torch.stack([total, trace], 1)
        if aggregation.kind == "mean":
            to_nodes = to_nodes * (n / aggregation.mean_count) ** nodes.power.exponent
            to_jet = to_jet * (n / aggregation.mean_count) ** jets.power.exponent
        expected_nodes.append(torch.einsum("ndb,bds->ns", leaky(to_nodes), nodes.mixing()) + nodes.bias)
        expected_jets.append(torch.einsum("db,bds->s", leaky(to_jet), jets.mixing()) + jets.bias)
    torch.testing.assert_close(nodes(x, layout(), w), torch.cat(expected_nodes), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(jets(x, layout(), w), torch.stack(expected_jets), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("aggregation", "factorize", "diagonal", "weighted"), CONFIGURATIONS)
def test_1to2_equals_the_papers(aggregation, factorize, diagonal, weighted):
    layer = make(Equivariant1to2, 2, 5, aggregation=aggregation, diagonal=diagonal)
    nodes, w, expected, at = pairs((3, 1, 1, 1), 2), weights() if weighted else None, [], 0
    for n in COUNTS:
        x, v = nodes[at : at + n], torch.ones(n, dtype=torch.float64) if w is None else w[at : at + n]
        eye, ones = torch.eye(n, dtype=x.dtype)[:, :, None], torch.ones(n, n, 1, dtype=x.dtype)
        mean = (x * v[:, None]).sum(0) / (n if aggregation.kind == "mean" else aggregation.mean_count)
        operations = torch.stack([eye * x[:, None], ones * x[None], ones * x[:, None], eye * mean, ones * mean])
        if not diagonal:
            operations[[0, 3]] = 0
        if aggregation.kind == "mean":
            operations = operations * ((n / aggregation.mean_count) ** layer.power.exponent).T[:, None, None]
        expected.append(leaky(torch.einsum("bijd,bds->ijs", operations, layer.mixing()) + layer.bias).reshape(-1, 5))
        at += n
    torch.testing.assert_close(layer(nodes, layout(), w), torch.cat(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("aggregation", "factorize", "diagonal", "weighted"), CONFIGURATIONS)
def test_gradcheck(aggregation, factorize, diagonal, weighted):
    counts = (0, 1, 2, 2)
    squares, w = layout(counts), weights(counts) if weighted else None
    for layer, x in (
        (
            make(Equivariant2to2, 2, 3, factorize=factorize, aggregation=aggregation, diagonal=diagonal),
            pairs(counts, 2),
        ),
        (make(Equivariant2to1, 2, 3, factorize=factorize, aggregation=aggregation), pairs(counts, 2)),
        (make(Equivariant2to0, 2, 3, aggregation=aggregation), pairs(counts, 2)),
        (make(Equivariant1to2, 2, 3, aggregation=aggregation, diagonal=diagonal), pairs((1, 2), 2)),
    ):
        parameters = tuple(layer.parameters())

        def run(x, *_, layer=layer):
            return layer(x, squares, w)

        assert torch.autograd.gradcheck(run, (x.requires_grad_(), *parameters))


def test_equivariance_under_permutations():
    layer = make(Equivariant2to2, 4, 4, factorize=True, aggregation=Aggregation())
    squares, x, order = layout((5,)), pairs((5,)).view(5, 5, 4), torch.randperm(5)
    out = layer(x.reshape(-1, 4), squares).view(5, 5, 4)
    turned = layer(x[order][:, order].reshape(-1, 4), squares).view(5, 5, 4)
    torch.testing.assert_close(turned, out[order][:, order], rtol=1e-12, atol=1e-12)


def test_runs_do_not_matter():
    layer = make(Equivariant2to2, 4, 4, factorize=True, aggregation=Aggregation())
    a, b = pairs((3,), seed=2), pairs((3, 3), seed=3)
    assert layout((3, 3, 3)).runs == ((3, 3),)
    together = layer(torch.cat([a, b]), layout((3, 3, 3)))
    apart = torch.cat([layer(a, layout((3,))), layer(b, layout((3, 3)))])
    torch.testing.assert_close(together, apart, rtol=1e-13, atol=1e-13)


def test_no_jets_and_empty_jets():
    layer = make(Equivariant2to2, 4, 4, factorize=True, aggregation=Aggregation())
    readout = make(Equivariant2to0, 4, 3, aggregation=Aggregation())
    for counts in ((), (0,), (0, 0)):
        x = pairs(counts).requires_grad_()
        out = readout(layer(x, layout(counts)), layout(counts))
        assert out.shape == (len(counts), 3)
        assert torch.isfinite(out).all()
        out.sum().backward()


def test_nan_stays_in_its_jet():
    layer = make(Equivariant2to2, 4, 4, factorize=True, aggregation=Aggregation())
    x = pairs()
    clean = layer(x, layout())
    x[1 + 4, 0] = torch.nan
    spoilt = layer(x, layout())
    assert torch.isnan(spoilt[1:10]).any()
    assert torch.equal(spoilt[:1], clean[:1])
    assert torch.equal(spoilt[10:], clean[10:])
