"""What the score cache costs and saves, as fractions of scoring without it (CPU time of one process)."""

import tempfile
import time
from pathlib import Path

import awkward as ak
import numpy as np

import coffea_equitag as eqt
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.tagger.jet_keys import jet_keys
from coffea_equitag.tagger.score_cache import cached_tagger

JETS = 2000


def jets():
    rng = np.random.default_rng(0)
    counts = rng.integers(20, 80, JETS)
    size = int(counts.sum())
    eta, phi = np.repeat(rng.uniform(-2, 2, JETS), counts), np.repeat(rng.uniform(-3, 3, JETS), counts)
    constituents = {
        "pt": rng.exponential(10, size) + 0.5,
        "eta": eta + rng.normal(0, 0.2, size),
        "phi": phi + rng.normal(0, 0.2, size),
        "mass": np.full(size, 0.14),
    }
    return eqt.make_jets(ak.unflatten(ak.zip(constituents), counts))


def shortest(function, repeats=2):
    times = []
    for number in range(repeats):
        start = time.process_time()
        function(number)
        times.append(time.process_time() - start)
    return min(times)


def main():
    batch, tagger = jets(), eqt.load("top-lorentznet", "cpu")
    tagger(batch[:200])
    plain = shortest(lambda _: tagger(batch))
    ragged = RaggedJets.from_awkward(batch)
    with tempfile.TemporaryDirectory() as folder:
        first = shortest(lambda number: cached_tagger(tagger, folder, ("file", "tree", str(number)))(batch))
        second = shortest(lambda _: cached_tagger(tagger, folder, ("file", "tree", "0"))(batch))
        size = next(Path(folder).rglob("*.scores")).stat().st_size
    print(f"scoring                 {JETS / plain:.0f} jets/s")
    print(f"flattening              {shortest(lambda _: RaggedJets.from_awkward(batch)) / plain:.4f}")
    print(f"hashing                 {shortest(lambda _: jet_keys(ragged, 'tagger')) / plain:.4f}")
    print(f"first pass with cache   {first / plain:.3f}")
    print(f"second pass with cache  {second / plain:.4f}")
    print(f"on disk                 {size / JETS:.1f} bytes per jet")


if __name__ == "__main__":
    main()
