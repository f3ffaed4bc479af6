from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.invariants.friends import friend_groups, friend_scalars
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant

SIZES = (2, 4, 8)


def brute_force(jets, sizes):
    """Members from sorting, masses and energies from sums of four-momenta, in extended precision."""
    mass2, energy = [], []
    for jet in range(jets.num_jets):
        part = jets.slice(jet, jet + 1)
        n, products = len(part.mass), gram(part).numpy()
        products = products.reshape(n, n)
        p = part.p4.numpy().astype(np.longdouble)
        p[:, 0] = np.sqrt((p[:, 1:] ** 2).sum(1) + part.mass.numpy().astype(np.longdouble) ** 2)
        for i in range(n):
            order = sorted(range(n), key=lambda j: -products[i, j])
            sums = [p[order[:k]].sum(0) for k in sizes]
            mass2.append([float(s[0] ** 2 - (s[1:] ** 2).sum()) for s in sums])
            energy.append([float(s[0]) for s in sums])
    return np.array(mass2).reshape(-1, len(sizes)), np.array(energy).reshape(-1, len(sizes))


def test_equals_sums_of_sorted_momenta(random_jets):
    jets = RaggedJets.from_awkward(random_jets([12, 1, 0, 3, 30]))
    mass2, energy = friend_groups(gram(jets), jets.p4[:, 0], jets.offsets, SIZES)
    expected_mass2, expected_energy = brute_force(jets, SIZES)
    np.testing.assert_allclose(mass2, expected_mass2, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(energy, expected_energy, rtol=1e-12)


def test_small_jets_are_one_group(random_jets):
    jets = RaggedJets.from_awkward(random_jets([3, 1]))
    mass2 = friend_scalars("mass", jets, (4, 8))
    whole = gram(jets)[:9].sum()
    torch.testing.assert_close(mass2[:3], whole.expand(3, 2))
    torch.testing.assert_close(mass2[3], (jets.mass[3] ** 2).expand(2))
    assert friend_scalars("energy", RaggedJets.from_awkward(random_jets([])), SIZES).shape == (0, 3)


def test_masses_are_invariant_and_energies_are_not(random_jets):
    def function(kind):
        return lambda jets: friend_scalars(kind, RaggedJets.from_awkward(jets), SIZES)

    jets = random_jets([12, 5, 1])
    assert_lorentz_invariant(function("mass"), jets, tolerance=1e-11)
    with pytest.raises(AssertionError, match="Lorentz"):
        assert_lorentz_invariant(function("energy"), jets, gammas=(2,))


def test_order_does_not_matter_even_among_massless_twins():
    # massless objects with the same direction, as from a calorimeter: p_i·p_i = p_i·p_j = 0
    rng = np.random.default_rng(2)
    eta, phi, pt = np.repeat(rng.normal(size=4), 2), np.repeat(rng.normal(size=4), 2), rng.exponential(10, 8)
    cloud = ak.zip({"pt": pt, "eta": eta, "phi": phi, "mass": np.zeros(8)})
    jets = eqt.make_jets(ak.unflatten(cloud, [8]))

    def total(jets):
        return friend_scalars("mass", RaggedJets.from_awkward(jets), (1, 3, 7)).sort(dim=0).values

    assert_permutation_invariant(total, jets, tolerance=1e-12)


@pytest.mark.parametrize("sizes", [(1,), (2, 4, 8), (3, 7), (2, 12)])
@pytest.mark.parametrize("values", [np.arange(1.0, 5.0), np.geomspace(1e-3, 1e5, 997)])
def test_as_sorted_one_after_another(sizes, values):
    """In jets of whole eights and others, with many equal products among four values and few among 997."""
    rng, counts = np.random.default_rng(6), [0, 1, 7, 8, 9, 16, 23, 40]
    blocks = [np.tril(rng.choice(values, (n, n))) for n in counts]
    blocks = [block + np.tril(block, -1).T for block in blocks]
    energy = torch.from_numpy(rng.exponential(10.0, sum(counts)))
    offsets = torch.tensor([0, *np.cumsum(counts).tolist()])
    products = torch.from_numpy(np.concatenate([block.ravel() for block in blocks]))
    mass2, total = friend_groups(products, energy, offsets, sizes)
    row = 0
    for block, start in zip(blocks, offsets.tolist(), strict=False):
        hardness = block.cumsum(0)[-1:].sum(0)
        for one in block:
            order = np.lexsort((np.arange(len(one)), -hardness, -one))
            for k, size in enumerate(sizes):
                group = order[:size]
                # sums of at most 144 positive numbers in another order
                assert mass2[row, k] == pytest.approx(block[np.ix_(group, group)].sum(), rel=144 * 2.3e-16)
                assert total[row, k] == pytest.approx(energy[start + group].sum().item(), rel=144 * 2.3e-16)
            row += 1


def test_nan_stays_in_its_jet(random_jets):
    jets = RaggedJets.from_awkward(random_jets([20, 20, 20]))
    products = gram(jets)
    plain, _ = friend_groups(products, jets.p4[:, 0], jets.offsets, SIZES)
    products[400:800].view(20, 20)[3] = products[400:800].view(20, 20)[:, 3] = torch.nan
    found, _ = friend_groups(products, jets.p4[:, 0], jets.offsets, SIZES)
    assert torch.equal(found[:20], plain[:20])
    assert torch.equal(found[40:], plain[40:])
    assert torch.isnan(found[23]).any()


def test_threads_change_nothing(random_jets):
    jets = RaggedJets.from_awkward(random_jets([50] * 12))
    one, three = (friend_groups(gram(jets), jets.p4[:, 0], jets.offsets, SIZES, threads=t) for t in (1, 3))
    assert torch.equal(one[0], three[0])


@pytest.mark.parametrize(
    ("kind", "sizes", "words"),
    [("mass", (), "friends = "), ("mass", (0, 2), "friends = "), ("pt", (2,), "nodewise = 'pt'")],
)
def test_wrong_options(random_jets, kind, sizes, words):
    with pytest.raises(eqt.TaggerError, match=words):
        friend_scalars(kind, RaggedJets.from_awkward(random_jets([2])), sizes)
