"""The hash of a sample's content."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.simulation import content_hash


@pytest.fixture
def jets(random_jets):
    return random_jets([3, 0, 1, 7], label=np.arange(4, dtype=np.int32))


def test_is_that_of_the_pieces_in_order(jets):
    whole = content_hash([jets])
    assert whole.startswith("sha256:")
    assert len(whole) == 71
    assert content_hash([jets[:1], jets[1:1], jets[1:]]) == whole
    assert content_hash(iter([jets[:3], jets[3:]])) == whole
    assert content_hash([jets[2:], jets[:2]]) != whole


def test_does_not_depend_on_files_or_the_order_of_columns(jets, tmp_path):
    ak.to_parquet(jets, tmp_path / "jets.parquet", compression="snappy")
    assert content_hash([ak.from_parquet(tmp_path / "jets.parquet")]) == content_hash([jets])
    assert content_hash([jets[jets.fields[::-1]]]) == content_hash([jets])
    assert content_hash([jets[np.array([0, 1, 2, 3])]]) == content_hash([jets])


def test_changes_with_values_types_names_and_nesting(jets):
    whole = content_hash([jets])
    pt = jets.constituents.pt
    others = [
        ak.with_field(jets, ak.values_astype(jets.label, np.int64), "label"),
        ak.with_field(jets, jets.label + 0, "flavour"),
        ak.with_field(jets, jets.label[::-1], "label"),
        ak.with_field(jets, ak.with_field(jets.constituents, np.nextafter(pt, 0), "pt"), "constituents"),
    ]
    hashes = {content_hash([other]) for other in others}
    assert len(hashes) == 4
    assert whole not in hashes
    # the same values in different lists
    assert content_hash([ak.Array([[1, 2], [3]])]) != content_hash([ak.Array([[1], [2, 3]])])


def test_nothing():
    assert content_hash([]) == content_hash([])
