"""Files of labelled jets, under the names by which pages read them."""

from __future__ import annotations

import awkward as ak
import numpy as np

import coffea_equitag as eqt


def write_jets(jets, folder):
    """Labelled jets of a wide range of pT with weights, in the files that pages read."""
    rng = np.random.default_rng(0)
    factor = rng.uniform(0.6, 1.8, len(jets))
    jets = ak.with_field(jets, np.arange(len(jets)), "event")
    columns = jets.constituents
    scaled = ak.zip({name: columns[name] * (factor if name == "pt" else 1) for name in ("pt", "eta", "phi", "mass")})
    own = {name: jets[name] * (factor if name in ("pt", "mass") else 1) for name in ("pt", "eta", "phi", "mass")}
    fields = own | {"label": ak.to_numpy(jets.label), "weight": rng.uniform(0.5, 1.5, len(jets))}
    wide = eqt.make_jets(scaled, **fields)
    for name in ("top.parquet", "test.parquet", "validation.parquet", "w_jets.parquet", "jets/0.parquet"):
        (folder / name).parent.mkdir(exist_ok=True)
        ak.to_parquet(wide if name == "validation.parquet" else jets, folder / name)
    (folder / "run.yaml").write_text("{model: pfn, data: [top.parquet], output: runs, epochs: 1, device: cpu}")
