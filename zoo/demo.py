"""The files of the demonstration, made again: ``python -m zoo.demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

import awkward as ak
import numpy as np

from coffea_equitag import make_jets, read_jets
from coffea_equitag.atomic_file import atomic_file
from coffea_equitag.demo import PACKAGED_FILE, PACKAGED_JETS
from coffea_equitag.simulation import simulate, simulate_events, write_pfnano

#: Events and jets, and their seeds; the jets are the first of the test sample of the taggers for tops.
_EVENTS, _EVENT_SEED = 400, 20261129
_JETS, _JET_SEED = 4000, 200003

_RECIPE = "top"


def main(arguments: list[str] | None = None) -> None:
    """Write both files into the package."""
    parser = argparse.ArgumentParser(prog="python -m zoo.demo", description="Make the files of the demonstration.")
    parser.add_argument("--jets", type=Path, metavar="DIR", help=f"a sample of recipe {_RECIPE}, seed {_JET_SEED}")
    given = parser.parse_args(arguments)
    write_pfnano(PACKAGED_FILE, _with_truth(simulate_events(_RECIPE, _EVENTS, seed=_EVENT_SEED)))
    jets = read_jets(given.jets)[:_JETS] if given.jets else simulate(_RECIPE, _JETS, seed=_JET_SEED)
    with atomic_file(PACKAGED_JETS) as part:
        ak.to_parquet(_small(jets), part, compression="zstd", compression_level=19)


def _with_truth(events: ak.Array) -> ak.Array:
    """``isTop`` and ``isQCD`` in place of the label: neither is set for a jet with a part of a top."""
    jets = events.jets
    truth = {"isTop": jets.label == 1, "isQCD": jets.label == 0}
    for name, values in truth.items():
        jets = ak.with_field(jets, ak.values_astype(values, np.int32), name)
    return ak.with_field(events, ak.without_field(jets, "label"), "jets")


def _small(jets: ak.Array) -> ak.Array:
    """Momenta and label, with constituents rounded as in NanoAOD: pT and mass to 10 bits, η and φ to 2⁻¹²."""
    found = jets.constituents
    columns = {
        "pt": _rounded(found.pt),
        **{name: np.round(found[name] * 4096) / 4096 for name in ("eta", "phi")},
        "mass": _rounded(found.mass),
    }
    own = {name: jets[name] for name in ("pt", "eta", "phi", "mass")}
    constituents = ak.zip({name: ak.values_astype(values, np.float32) for name, values in columns.items()})
    return make_jets(constituents, **own, label=ak.values_astype(jets.label, np.int8))


def _rounded(values: ak.Array, bits: int = 10) -> ak.Array:
    """Numbers with so many bits of their mantissa."""
    mantissa, exponent = np.frexp(ak.to_numpy(ak.flatten(values)))
    return ak.unflatten(np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits), ak.num(values))


if __name__ == "__main__":
    main()
