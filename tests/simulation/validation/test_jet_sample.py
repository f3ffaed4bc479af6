"""The jets that are compared."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError, make_jets
from coffea_equitag.simulation.validation import JetSample
from coffea_equitag.simulation.validation.jet_sample import jet_files


def test_hardest_first_massless_and_cut(random_jets):
    jets = random_jets([7, 0, 1, 12], label=[0, 1, 0, 1])
    sample = JetSample.of(jets, max_constituents=5)
    assert sample.counts.tolist() == [5, 0, 1, 5]
    assert sample.labels.tolist() == [0, 1, 0, 1]
    for jet in (0, 3):
        expected = np.sort(ak.to_numpy(jets.constituents.pt[jet]))[::-1][:5]
        np.testing.assert_allclose(sample.pt[sample.offsets[jet] : sample.offsets[jet + 1]], expected, rtol=1e-12)
    energy, *momentum = sample.p4.T
    np.testing.assert_allclose(energy, np.sqrt(sum(p**2 for p in momentum)), rtol=1e-12)


@pytest.mark.parametrize("coordinates", ["cartesian", "energy"])
def test_coordinates_do_not_matter(random_jets, coordinates):
    labels = [0, 1, 1]
    polar, other = (
        JetSample.of(random_jets([4, 9, 1], coordinates=kind, label=labels)) for kind in ("polar", coordinates)
    )
    np.testing.assert_allclose(other.p4, polar.p4, rtol=1e-10, atol=1e-10)


def test_nested_sliced_and_missing(random_jets):
    jets = random_jets([3, 4, 5, 6], label=[0, 1, 0, 1])
    flat = JetSample.of(jets[1:])
    masked = ak.mask(jets, [False, True, True, True])
    for same in (masked, ak.unflatten(masked, [2, 0, 2]), ak.unflatten(jets[1:], [1, 2])):
        sample = JetSample.of(same)
        np.testing.assert_array_equal(sample.labels, flat.labels)
        np.testing.assert_array_equal(sample.pt, flat.pt)


def test_centred(random_jets):
    sample = JetSample.of(random_jets([7, 0, 1, 12], label=[0, 0, 1, 1]))
    jets = sample.centred()
    again = JetSample.of(ak.with_field(jets, sample.labels, "label"))
    np.testing.assert_allclose(again.jet_p4[:, 1], np.hypot(*sample.jet_p4[:, 1:3].T), rtol=1e-9)
    np.testing.assert_allclose(again.jet_p4[:, 2:], 0, atol=1e-9)
    assert ak.num(jets.constituents).tolist() == [7, 0, 1, 12]


def test_select(random_jets):
    sample = JetSample.of(random_jets([2, 0, 3, 1], label=[0, 1, 2, 3]))
    picked = sample.select([3, 1, 2])
    assert picked.labels.tolist() == [3, 1, 2]
    assert picked.counts.tolist() == [1, 0, 3]
    np.testing.assert_array_equal(picked.pt[1:], sample.pt[2:5])
    assert len(sample.select(sample.labels > 3)) == 0


def test_no_jets(random_jets):
    sample = JetSample.of(random_jets([3], label=[0])[:0])
    assert len(sample) == 0
    assert sample.jet_p4.shape == (0, 4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, -1], "'label' = -1 of jet 1"), ([0.5, 1], "'label' = 0.5 of jet 0"), ([0, None], "a whole number")],
)
def test_bad_labels(random_jets, labels, words):
    with pytest.raises(JetError, match=words):
        JetSample.of(make_jets(random_jets([2, 2]).constituents, label=ak.Array(labels)))


def test_no_labels(random_jets):
    with pytest.raises(JetError, match="jets without a field 'flavour'; they have label, constituents"):
        JetSample.of(random_jets([2, 2], label=[0, 1]), "flavour")


def test_no_constituents_kept(random_jets):
    with pytest.raises(JetError, match="max_constituents = 0"):
        JetSample.of(random_jets([2], label=[0]), max_constituents=0)


def test_files_of_a_folder(tmp_path):
    with pytest.raises(JetError, match="without a Parquet file"):
        jet_files(tmp_path)
    for name in ("shard-00001.parquet", "shard-00000.parquet", ".shard-00002.7.part.parquet", "sample.json"):
        (tmp_path / name).touch()
    shards = [str(tmp_path / f"shard-0000{k}.parquet") for k in (0, 1)]
    assert jet_files(tmp_path) == shards
    assert jet_files([tmp_path, "other/*.parquet"]) == [*shards, "other/*.parquet"]
