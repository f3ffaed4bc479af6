"""Damage to a Parquet file with page checksums is noticed, in whatever page it is."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pyarrow.parquet
import pytest

from coffea_equitag import JetError, make_jets, read_jets
from coffea_equitag.readers.checked_parquet import from_parquet
from coffea_equitag.simulation import write_parquet


@pytest.fixture
def jets(random_jets):
    return make_jets(random_jets([7, 0, 30, 12] * 20).constituents, label=np.arange(80) % 2)


def test_same_as_awkwards(jets, tmp_path):
    nested = ak.unflatten(ak.with_name(jets, "Jet"), [30, 0, 50])
    for k, array in enumerate(
        (jets, nested, ak.mask(jets, jets.label == 1), ak.Array({"x": ["a", None], "y": [[], [2]]}))
    ):
        path = tmp_path / f"{k}.parquet"
        array.attrs["origin"] = {"n": k}
        ak.to_parquet(array, path, row_group_size=20)
        expected = ak.from_parquet(path)
        found = from_parquet(path)
        assert found.type == expected.type
        assert found.attrs == expected.attrs == {"origin": {"n": k}}
        assert ak.array_equal(found, expected)
        if len(array) == 80:
            assert ak.array_equal(from_parquet(path, [1, 3]), ak.from_parquet(path, row_groups=[1, 3]))


def test_every_flip_in_a_page_is_noticed(jets, tmp_path):
    path = tmp_path / "jets.parquet"
    write_parquet(path, jets)
    whole = path.read_bytes()
    column = pyarrow.parquet.read_metadata(path).row_group(0)
    pages = [column.column(k) for k in range(column.num_columns)]
    generator = np.random.default_rng(3)
    for page in pages:
        # the last bytes of a column are those of its page, after the header
        for back in generator.integers(1, min(20, page.total_compressed_size // 2), 4):
            place = page.data_page_offset + page.total_compressed_size - int(back)
            path.write_bytes(
                whole[:place] + bytes([whole[place] ^ 1 << int(generator.integers(8))]) + whole[place + 1 :]
            )
            with pytest.raises(JetError, match=r"jets\.parquet.*(?i:crc|checksum)"):
                read_jets(path)
    path.write_bytes(whole)
    assert ak.array_equal(read_jets(path).label, jets.label)
