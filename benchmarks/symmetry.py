"""Measure how well each network preserves its symmetries: a table of deviations relative to the rms of the logits.

::

    python benchmarks/symmetry.py > docs/symmetry-table.md

Jets have n = 40, 20, 1, 9, 60 constituents, massless particles and pions, given as (px, py, pz, mass) in float64.
Weights are random, but all normalization statistics are from jets, and weights that are initialized at or near 0 are
increased, so that every part of a network contributes.
"""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import torch

import coffea_equitag as eqt
from coffea_equitag import testing
from coffea_equitag.jets import flatten
from coffea_equitag.models.beams import BEAMS
from coffea_equitag.models.lloca_inputs import reference_vectors

MODELS = {
    "pfn": {},
    "particlenet": {},
    "particlenet + m_ij, m_G": {"pairwise": "mass", "nodewise": "mass"},
    "lorentznet, no beams": {"beams": False},
    "lorentznet, beams transformed": {"beams": True},
    "lorentznet, beams fixed": {"beams": True},
    "lorentznet_base + m_ij": {"pairwise": "mass"},
    "lorentznet_base + E_ij": {"pairwise": "energy"},
    "lgn, no beams": {"beams": False},
    "lgn, beams fixed": {"beams": True},
    "pelican so13": {"symmetry": "so13", "method": "input"},
    "pelican so2 spurions": {"symmetry": "so2", "method": "spurions"},
    "pelican so3 input": {"symmetry": "so3", "method": "input"},
    "vector_pfn": {},
    "tensor_pfn": {},
    "particle_transformer": {},
    "lgatr_slim, no spurions": {"beams": None, "time": False},
    "lgatr_slim, spurions transformed": {},
    "lgatr_slim, spurions fixed": {},
    "lloca_transformer, no references": {"beams": False, "laboratory": False},
    "lloca_transformer, references transformed": {"laboratory": False},
    "lloca_transformer, as published": {},
}
#: What is transformed with the jets, unless `BEAMS`.
LIGHT_LIKE = reference_vectors(0.0)[0].numpy()
REFERENCES = {"lgatr_slim": LIGHT_LIKE[:2], "lloca_transformer": LIGHT_LIKE}
#: Initialised for small updates, which would hide what happens in their layers.
ATTENTION = ("particle_transformer", "lgatr_slim", "lloca_transformer")
GAMMAS = (2.0, 10.0, 100.0, 1e4)


def jets_for(seed: int = 0, counts: tuple[int, ...] = (40, 20, 1, 9, 60)) -> ak.Array:
    rng = np.random.default_rng(seed)
    total = sum(counts)
    eta = np.repeat(rng.uniform(-1, 1, len(counts)), counts) + rng.normal(0, 0.25, total)
    phi = np.repeat(rng.uniform(-3, 3, len(counts)), counts) + rng.normal(0, 0.25, total)
    pt = rng.exponential(12, total) + 0.5
    charged = rng.random(total) < 0.6
    ip = ak.zip({k: np.where(charged, rng.normal(0, 0.1, total), 0.0) for k in "xyz"}, with_name="Vector3D")
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "mass": np.where(charged, 0.13957, 0.0),
        "pdgId": np.where(charged, 211, 22),
        "charge": charged.astype(np.int32),
        "ip": ip,
    }
    return eqt.make_jets(ak.unflatten(ak.zip(columns, depth_limit=1), counts))


def network(kind: str, options: dict) -> eqt.models.JetModel:
    torch.manual_seed(1)
    model = eqt.models.build(kind, **options)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("phi_x.2.weight"):
                parameter *= 300
            elif kind in ATTENTION:
                parameter.copy_(2 * parameter if parameter.ndim > 1 else parameter + 0.3 * torch.randn_like(parameter))
            elif kind == "pelican" and name.startswith("embedding"):
                parameter += 0.1 * torch.randn_like(parameter)
        model.train()
        for seed in range(20):
            model(jets_for(100 + seed))
    return model.eval()


def measured(function, *arguments, **keywords) -> float:
    return function(*arguments, **keywords, tolerance=np.inf)


def row(kind: str, options: dict, dtype: torch.dtype, transform_beams: bool) -> list[float]:
    model = network(kind, options).to(dtype)
    jets = jets_for()

    def logits(jets, beams=None):
        keywords = {} if beams is None else {"beams": torch.from_numpy(np.asarray(beams, dtype=np.float64))}
        with torch.no_grad():
            return model(jets, **keywords)

    references = REFERENCES.get(kind, BEAMS) if transform_beams else None
    found = [measured(testing.assert_lorentz_invariant, logits, jets, gammas=(1.0,), references=references)]
    found += [
        measured(testing.assert_lorentz_invariant, logits, jets, gammas=(gamma,), references=references)
        for gamma in GAMMAS
    ]
    found.append(measured(testing.assert_permutation_invariant, logits, jets))
    found.append(measured(testing.assert_batch_independent, logits, jets))
    first = jets[:1]
    axis = flatten(first).jet_p4[0, 1:]
    found.append(measured(testing.assert_so2_invariant, logits, first, axis))
    found.append(measured(testing.assert_so2_invariant, logits, jets, (0, 0, 1)))
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    headings = ["network", "precision", "rotation", *(f"γ = {g:g}" for g in GAMMAS)]
    headings += ["permutation", "batch", "SO(2) about the jet axis", "SO(2) about z"]
    print("| " + " | ".join(headings) + " |")
    print("| " + " | ".join("---" for _ in headings) + " |")
    for name, options in MODELS.items():
        kind = name.split(",")[0].split()[0]
        for dtype in (torch.float64, torch.float32):
            numbers = row(kind, options, dtype, transform_beams="transformed" in name)
            cells = [name, str(dtype).removeprefix("torch."), *(f"{value:.0e}" for value in numbers)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
