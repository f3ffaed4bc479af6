"""Augmentation: exact symmetries, the widths that were asked for, and nothing but (seed, epoch, batch)."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

from arithmetic import EPSILON
from coffea_equitag import TaggerError, make_jets
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.training.data import InMemory, LabelledJets
from coffea_equitag.training.data.augmentation import Augmentation
from coffea_equitag.training.data.augmented_source import AugmentedSource, augmented
from coffea_equitag.training.data.truth import DECORRELATED, TARGET

METRIC = torch.tensor([1.0, -1, -1, -1], dtype=torch.float64)


@pytest.fixture
def jets(toy) -> RaggedJets:
    jets = toy(40)
    constituents = ak.with_field(jets.constituents, ak.ones_like(jets.constituents.pt) * 0.14, "mass")
    columns = {f"ip.{axis}": np.arange(int(ak.sum(ak.num(constituents)))) + k for k, axis in enumerate("xyz")}
    ragged = RaggedJets.from_awkward(make_jets(constituents))
    return replace(ragged, columns={name: torch.from_numpy(column).float() for name, column in columns.items()})


def products(jets: RaggedJets) -> torch.Tensor:
    """p_i · p_j of the first two constituents of each jet, and p_i · P."""
    first, second = (jets.p4[jets.offsets[:-1] + k] for k in (0, 1))
    return torch.stack([(first * METRIC * second).sum(1), (first * METRIC * jets.jet_p4).sum(1)])


@pytest.mark.parametrize("name", ["rotate_beam", "rotate", "boost_beam", "boost"])
def test_lorentz_transformations_keep_products(jets, name):
    moved, transforms = Augmentation(**{name: True if name.startswith("rotate") else 1.5})(
        replace(jets, columns={}), np.random.default_rng(1)
    )
    assert not torch.allclose(moved.p4, jets.p4, rtol=1e-3)
    # p · p' is a difference of products of energies, which boosts of rapidity 1.5 raise by up to e³
    scale = float(jets.p4[:, 0].max() * jets.jet_p4[:, 0].max()) * np.exp(3)
    torch.testing.assert_close(products(moved), products(jets), atol=30 * EPSILON * scale, rtol=0)
    torch.testing.assert_close(moved.mass, jets.mass, atol=0, rtol=0)
    # each jet has its own transformation, the same for all that belongs to it
    metric = torch.diag(METRIC)
    torch.testing.assert_close(
        transforms.mT @ metric @ transforms, metric.expand(40, 4, 4), atol=30 * EPSILON * np.exp(3), rtol=0
    )
    assert len(torch.unique(transforms[:, 1:, 1:].reshape(40, 9), dim=0)) == 40
    sums = torch.zeros_like(jets.jet_p4).index_add_(0, torch.repeat_interleave(torch.arange(40), jets.counts), moved.p4)
    torch.testing.assert_close(moved.jet_p4, sums, rtol=1e-12, atol=1e-9)
    assert moved.polar is not None
    x, y, z = (
        moved.polar[:, 0] * torch.cos(moved.polar[:, 2]),
        moved.polar[:, 0] * torch.sin(moved.polar[:, 2]),
        (moved.polar[:, 0] * torch.sinh(moved.polar[:, 1])),
    )
    torch.testing.assert_close(torch.stack([x, y, z], 1), moved.p4[:, 1:], rtol=1e-12, atol=1e-12)


def test_about_and_along_the_beam(jets):
    turned, _ = Augmentation(rotate_beam=True)(jets, np.random.default_rng(1))
    torch.testing.assert_close(turned.p4[:, [0, 3]], jets.p4[:, [0, 3]], atol=0, rtol=0)
    torch.testing.assert_close(turned.polar[:, :2], jets.polar[:, :2], rtol=1e-12, atol=1e-12)
    # impact parameters turn with them
    angle = turned.polar[:, 2] - jets.polar[:, 2]
    ip, before = turned.columns, jets.columns
    expected = torch.cos(angle) * before["ip.x"] - torch.sin(angle) * before["ip.y"]
    torch.testing.assert_close(ip["ip.x"].double(), expected, rtol=1e-5, atol=1e-4)
    assert torch.equal(ip["ip.z"], before["ip.z"])
    shifted, _ = Augmentation(boost_beam=2.0)(replace(jets, columns={}), np.random.default_rng(1))
    rapidity = torch.atanh(shifted.p4[:, 3] / shifted.p4[:, 0]) - torch.atanh(jets.p4[:, 3] / jets.p4[:, 0])
    owner = torch.repeat_interleave(torch.arange(40), jets.counts)
    by_jet = [rapidity[owner == jet] for jet in range(40)]
    assert all(float(one.max() - one.min()) < 1e-9 for one in by_jet)
    assert 1.5 < max(float(one[0].abs()) for one in by_jet) <= 2.0
    torch.testing.assert_close(shifted.p4[:, 1:3], jets.p4[:, 1:3], atol=0, rtol=0)


def test_rotations_are_uniform(toy):
    jets = RaggedJets.from_awkward(toy(4000))
    _, transforms = Augmentation(rotate=True)(jets, np.random.default_rng(3))
    image = transforms[:, 1:, 1].numpy()  # of the x axis: uniform on the sphere, each component uniform on -1..1
    assert abs(image.mean(0)).max() < 5 * np.sqrt(1 / 3 / 4000)
    np.testing.assert_allclose((image**2).mean(0), 1 / 3, atol=5 * np.sqrt(4 / 45 / 4000))
    np.testing.assert_allclose(np.linalg.det(transforms[:, 1:, 1:].numpy()), 1, rtol=1e-13)


def test_smearing_has_its_widths(toy):
    jets = RaggedJets.from_awkward(toy(2000))
    smeared, _ = Augmentation(smear_energy=0.1, smear_direction=0.02)(jets, np.random.default_rng(2))
    number = len(jets.p4)
    ratio = torch.linalg.vector_norm(smeared.p4[:, 1:], dim=1) / torch.linalg.vector_norm(jets.p4[:, 1:], dim=1)
    for values, mean, width in (
        (ratio, 1, 0.1),
        (smeared.polar[:, 1] - jets.polar[:, 1], 0, 0.02),
        (torch.remainder(smeared.polar[:, 2] - jets.polar[:, 2] + 1, 2 * np.pi) - 1, 0, 0.02),
    ):
        assert abs(float(values.mean()) - mean) < 5 * width / np.sqrt(number)
        assert abs(float(values.std()) - width) < 5 * width / np.sqrt(2 * number)
    assert torch.equal(smeared.mass, jets.mass)
    massless = (smeared.p4[:, 0].square() - smeared.p4[:, 1:].square().sum(1)).abs() / smeared.p4[:, 0].square()
    assert float(massless.max()) < 8 * EPSILON
    owner = torch.repeat_interleave(torch.arange(2000), jets.counts)
    sums = torch.zeros_like(jets.jet_p4).index_add_(0, owner, smeared.p4)
    torch.testing.assert_close(smeared.jet_p4, sums, rtol=1e-12, atol=1e-9)


def test_a_calibrated_jet_changes_by_its_constituents(toy):
    jets = RaggedJets.from_awkward(toy(30))
    calibrated = replace(jets, jet_p4=1.2 * jets.jet_p4)
    found = Augmentation(drop=0.5)(calibrated, np.random.default_rng(1)).jets.jet_p4
    plain = Augmentation(drop=0.5)(jets, np.random.default_rng(1)).jets.jet_p4
    torch.testing.assert_close(found - plain, 0.2 * jets.jet_p4, rtol=1e-9, atol=1e-9)


def test_dropping_keeps_one(toy, jets):
    kept, _ = Augmentation(drop=0.3)(jets, np.random.default_rng(1))
    number = len(jets.p4)
    assert abs(len(kept.p4) / number - 0.7) < 5 * np.sqrt(0.21 / number) + 1 / number
    assert (kept.counts >= 1).all()
    # rows stay rows: the impact parameter numbers them
    rows = kept.columns["ip.x"].long()
    assert torch.equal(kept.p4, jets.p4[rows])
    assert torch.equal(kept.polar, jets.polar[rows])
    last, _ = Augmentation(drop=0.999)(jets, np.random.default_rng(1))
    pt = torch.hypot(jets.p4[:, 1], jets.p4[:, 2])
    alone = [jet for jet in range(40) if last.counts[jet] == 1]
    hardest = [float(piece.max()) for piece in pt.split(jets.counts.tolist())]
    found = torch.hypot(last.p4[:, 1], last.p4[:, 2])[last.offsets[:-1]]
    # nearly all lose everything but their hardest; one in a thousand constituents stays by chance
    assert len(alone) == 40
    assert sum(float(found[jet]) == hardest[jet] for jet in alone) >= 37


def test_no_jets_and_empty_jets(toy):
    every = Augmentation(
        drop=0.5, smear_energy=0.1, smear_direction=0.1, rotate_beam=True, rotate=True, boost_beam=1.0, boost=1.0
    )
    nothing = RaggedJets.from_awkward(toy(4)).slice(0, 0)
    assert every(nothing, np.random.default_rng(1)).jets.num_jets == 0
    empty = RaggedJets.from_momenta(torch.zeros(0, 4, dtype=torch.float64), torch.tensor([0, 0, 0]))
    assert every(empty, np.random.default_rng(1)).jets.counts.tolist() == [0, 0]
    beam = RaggedJets.from_momenta(torch.tensor([[5.0, 0, 0, -5]], dtype=torch.float64), torch.tensor([0, 1]))
    smeared = Augmentation(smear_energy=0.1, smear_direction=0.1)(beam, np.random.default_rng(1)).jets
    assert smeared.p4[0, :3].tolist()[1:] == [0, 0]
    assert smeared.p4[0, 3] < 0


def test_batches_depend_on_seed_epoch_and_number_only(toy):
    sample = LabelledJets.of(toy(60), "label", 2)
    source = InMemory(sample, 2, batch_size=16, seed=1)

    def batches(seed: int, epoch: int, first: int = 0) -> list[str]:
        made = AugmentedSource(source, Augmentation(rotate_beam=True, drop=0.1), seed)
        return [batch.fingerprint() for batch in made.batches(epoch, first)]

    assert batches(1, 0) == batches(1, 0)
    assert batches(1, 0)[2:] == batches(1, 0, first=2)
    assert len({*batches(1, 0), *batches(1, 1), *batches(2, 0)}) == 12
    made = AugmentedSource(source, Augmentation(rotate_beam=True), 1)
    assert [chunk.fingerprint() for chunk in made.chunks()] == [sample.fingerprint()]
    assert made.probe(5).fingerprint() == source.probe(5).fingerprint()
    assert (made.record["sha256"], made.num_batches(0), made.pt_range) == (sample.fingerprint(), 4, sample.pt_range())


def test_momenta_to_be_learned_move_with_their_jets(toy):
    sample = LabelledJets.of(toy(20), "label", 2)
    sample = replace(sample, targets={TARGET: sample.jets.jet_p4, DECORRELATED: sample.jets.jet_p4[:, 0]})
    moved = augmented(sample, Augmentation(rotate=True, boost=1.0), np.random.default_rng(1))
    torch.testing.assert_close(moved.targets[TARGET], moved.jets.jet_p4, rtol=1e-12, atol=1e-9)
    assert torch.equal(moved.targets[DECORRELATED], sample.jets.jet_p4[:, 0])
    sample = replace(sample, targets={TARGET: sample.jets.jet_p4[:, 1:]})
    moved = augmented(sample, Augmentation(rotate=True), np.random.default_rng(1))
    torch.testing.assert_close(moved.targets[TARGET], moved.jets.jet_p4[:, 1:], rtol=1e-12, atol=1e-9)
    with pytest.raises(TaggerError, match="boosts for a network that returns 3-vectors"):
        Augmentation(boost_beam=1.0).check((), "vector")
    Augmentation(boost_beam=1.0).check((), "momentum")


def test_impact_parameters_bear_only_some():
    for name in ("rotate", "boost", "boost_beam"):
        option = Augmentation(**{name: True if name == "rotate" else 1.0})
        with pytest.raises(TaggerError, match=rf"augmentation by {name} for a network that sees d0"):
            option.check(("charge", "d0"))
        option.check(("charge",))
    Augmentation(rotate=True).check(("ip.x", "ip.y", "ip.z"))
    with pytest.raises(TaggerError, match=r"ip\.x"):
        Augmentation(boost=1.0, rotate=True).check(("ip.x",))
    Augmentation(rotate_beam=True, drop=0.1, smear_energy=0.1).check(("d0", "ip.x"))
    assert not Augmentation()
    assert Augmentation(boost=0.1)
