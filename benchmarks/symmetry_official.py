"""Measure how well the attention networks keep their symmetries, beside the packages of their authors.

::

    pip install lgatr==2.0.0 lloca==2.0.0 torch_geometric weaver-core==0.5.3
    python benchmarks/symmetry_official.py

Both have the same random weights (`convert.official`). Each package is given one jet at a time: momenta (E, px, py, pz)
of float64, transformed in float64 and then rounded to the precision of the network. The jets are those of the demo,
with the mass of a pion for every constituent, and 5e-3 GeV for the beams where LLoCa's frames are predicted, as in the
authors' tagger. Numbers are the largest change of a logit over boosts in five directions, with and without a rotation,
relative to the rms of the logits; and of ln m² of a pair for Particle Transformer, whose other inputs change.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import torch
from lgatr import LGATrSlim
from lloca.backbone.transformer import Transformer
from lloca.equivectors.mlp import MLPVectors
from lloca.framesnet.equi_frames import LearnedPDFrames
from torch import Tensor, nn
from weaver.nn.model.ParticleTransformer import pairwise_lv_fts_pp

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, testing
from coffea_equitag.invariants.frame_features import frame_features
from coffea_equitag.layers.squares import Squares
from coffea_equitag.layers.unordered_pairs import UnorderedPairs
from coffea_equitag.models.lloca_inputs import reference_vectors

GAMMAS = (1.0, 2.0, 10.0, 100.0, 1e3, 1e4)
#: Two beams and the time direction.
NO_REFERENCES, BEAMS, LIGHT_BEAMS = (
    np.zeros((0, 4)),
    reference_vectors(0.0)[0].numpy(),
    reference_vectors(5e-3)[0].numpy(),
)
PRECISIONS = {"float64": torch.float64, "float32": torch.float32}
UNIT = 20.0


def demo_jets(count: int = 6) -> ak.Array:
    jets = ak.from_parquet(Path(eqt.__file__).parent / "demo" / "boosted_top_jets.parquet")[:count]
    columns = {name: ak.values_astype(jets.constituents[name], np.float64) for name in ("pt", "eta", "phi")}
    return eqt.make_jets(ak.zip({**columns, "mass": ak.full_like(columns["pt"], 0.13957)}))


def enlarge(network: nn.Module, factor: float = 2.0) -> None:
    """Weights away from where they begin, so that every part contributes."""
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(parameter * factor if parameter.ndim > 1 else parameter + 0.3 * torch.randn_like(parameter))


def slim_networks(references: np.ndarray) -> tuple[eqt.models.JetModel, nn.Module]:
    torch.manual_seed(0)
    official = LGATrSlim(
        num_blocks=12, in_v_channels=1, out_v_channels=0, hidden_v_channels=32, in_s_channels=1, out_s_channels=2,
        hidden_s_channels=96, num_heads=8, mlp_ratio=4,
    ).double().eval()  # fmt: skip
    enlarge(official)
    options: dict[str, Any] = {} if len(references) else {"beams": None, "time": False}
    return eqt.convert.official("lgatr_slim", official.state_dict(), unit=UNIT, **options).model, official


def slim_logits(official: nn.Module, p4: Tensor, references: Tensor) -> Tensor:
    """Of one jet: a token, the references, and momenta in units of 20 GeV."""
    dtype = next(official.parameters()).dtype
    vectors = torch.cat([p4.new_zeros(1, 4), references, p4 / UNIT]).to(dtype)
    scalars = vectors.new_zeros(len(vectors), 1)
    scalars[0] = 1
    return official(vectors[None, :, None], scalars[None])[1][0, 0]


def lloca_networks(references: np.ndarray) -> tuple[eqt.models.JetModel, nn.Module]:
    torch.manual_seed(0)
    vectors = partial(MLPVectors, num_scalars=0, hidden_channels=128, num_layers_mlp=2)
    parts = {"framesnet": LearnedPDFrames(vectors), "net": Transformer(7, "8x0n+2x1n", 2, 10, 8)}
    official = nn.ModuleDict(parts).double().eval()
    block: Any = parts["framesnet"].equivectors.block
    block.edge_mean.fill_(2.5)
    block.edge_std.fill_(3.1)
    block.edge_inited.fill_(True)
    enlarge(block, 1.5)
    options = {"scalars": 8, "vectors": 2, "beams": bool(len(references))}
    return eqt.convert.official("lloca_transformer", official.state_dict(), **options).model, official


def lloca_logits(official: Any, p4: Tensor, references: Tensor) -> Tensor:
    """Of one jet; references are nodes for the frames only."""
    dtypes = [next(official[part].parameters()).dtype for part in ("framesnet", "net")]
    nodes = torch.cat([references, p4]).to(dtypes[0])
    p4 = nodes[len(references) :]
    frames = official["framesnet"](nodes, nodes.new_zeros(len(nodes), 0), ptr=torch.tensor([0, len(nodes)]))
    matrices = frames.matrices[len(references) :]
    local, jet = ((matrices @ v[..., None])[..., 0] for v in (p4, p4.sum(0).expand_as(p4)))
    features, frames = frame_features(local, jet).to(dtypes[1]), type(frames)(matrices.to(dtypes[1]))
    return official["net"](features, frames, p_ref=p4.sum(0).to(dtypes[1])).mean(0)


def changes(logits: Callable[..., Any], jets: ak.Array, references: np.ndarray) -> list[float]:
    """For each γ; NaN where some logits are not finite."""
    function = logits if len(references) else lambda moved: logits(moved, references)
    found = []
    for gamma in GAMMAS:
        try:
            given = references if len(references) else None
            found.append(
                testing.assert_lorentz_invariant(function, jets, gammas=(gamma,), references=given, tolerance=np.inf)
            )
        except AssertionError:
            found.append(np.nan)
    return found


def ours_of(model: eqt.models.JetModel, jets: ak.Array, references: np.ndarray) -> Tensor:
    beams = torch.from_numpy(np.asarray(references, np.float64))
    keywords = {"beams": beams[: 2 if model.kind == "lgatr_slim" else 3]} if len(references) else {}
    with torch.no_grad():
        return model(jets, **keywords).double()


def theirs_of(one: Callable[..., Tensor], official: nn.Module, jets: ak.Array, references: np.ndarray) -> Tensor:
    ragged, given = RaggedJets.from_awkward(jets), torch.from_numpy(np.asarray(references, np.float64))
    with torch.no_grad():
        each = ragged.p4.split(ragged.counts.tolist())
        return torch.stack([one(official, p4, given) for p4 in each]).double()


def pairs_of(model: eqt.models.JetModel, jets: ak.Array, references: np.ndarray) -> Tensor:
    """ln m² of the pairs of each jet."""
    return model.pair_features(RaggedJets.from_awkward(jets))[:, 3].double()


def weaver_pairs(dtype: torch.dtype, jets: ak.Array, references: np.ndarray) -> Tensor:
    """The same by weaver, of pairs in the same order."""
    ragged = RaggedJets.from_awkward(jets)
    pairs, p4 = UnorderedPairs.of(Squares.of(ragged.offsets)), ragged.p4[:, [1, 2, 3, 0]].to(dtype)
    return pairwise_lv_fts_pp(p4[pairs.first], p4[pairs.second])[:, 3].double()


NETWORKS = (
    ("L-GATr-slim", slim_networks, slim_logits, NO_REFERENCES),
    ("L-GATr-slim, beams and time transformed", slim_networks, slim_logits, BEAMS),
    ("LLoCa-Transformer", lloca_networks, lloca_logits, NO_REFERENCES),
    ("LLoCa-Transformer, beams and time transformed", lloca_networks, lloca_logits, LIGHT_BEAMS),
)


def line(*cells: str | float) -> None:
    print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:.0e}" for cell in cells) + " |", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    jets = demo_jets()
    line("network", "code", "precision", "rotation", *(f"γ = {gamma:g}" for gamma in GAMMAS[1:]))
    line(*["---"] * (3 + len(GAMMAS)))
    for name, build, one, references in NETWORKS:
        ours, official = build(references)
        for precision, dtype in PRECISIONS.items():
            line(name, "here", precision, *changes(partial(ours_of, ours.to(dtype)), jets, references))
            theirs = partial(theirs_of, one, official.to(dtype))
            line(name, "authors'", precision, *changes(theirs, jets, references))
        if "LLoCa" in name:
            official["framesnet"].double()
            line(name, "authors', frames in float64", "float32", *changes(theirs, jets, references))
    particle_transformer = eqt.models.build("particle_transformer")
    for precision, dtype in PRECISIONS.items():
        name, ours = "Particle Transformer, ln m² of pairs", partial(pairs_of, particle_transformer.to(dtype))
        line(name, "here", precision, *changes(ours, jets, NO_REFERENCES))
        line(name, "authors'", precision, *changes(partial(weaver_pairs, dtype), jets, NO_REFERENCES))


if __name__ == "__main__":
    main()
