"""Checkpoints as the official codes save them, of fresh weights, under the names that the page gives them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import coffea_equitag as eqt
import official_names
from lgn_weights import state_of

LGN = json.loads((Path(__file__).parents[1] / "models" / "lgn_official.json").read_text())


def write_checkpoints(folder):
    """The files of ``docs/howto/checkpoints.md``."""
    build = eqt.models.build
    quark_gluon = build("lorentznet", n_scalar=8, beams=False)
    shapes = next(iter(LGN["cases"].values()))["shapes"]
    states = {
        "top/best-val-model.pt": official_names.lorentznet(build("lorentznet")),
        "quark_gluon/best-val-model.pt": official_names.lorentznet(quark_gluon),
        "model_run0.pt": official_names.lloca_transformer(build("lloca_transformer")),
        "my_lgn_config_best_state.pt": state_of({LGN["keys"][key]: tuple(shape) for key, *shape in shapes}),
        "best.pt": official_names.pelican(build("pelican", symmetry="so2")),
        "model.pt": official_names.lgatr_slim(build("lgatr_slim")),
        "ParticleNet_kin.pt": official_names.weaver(build("particlenet", n_classes=10)),
        "PFN.pt": official_names.weaver(build("pfn", inputs="kinpid")),
        "ParT_full.pt": official_names.particle_transformer(build("particle_transformer", n_classes=10, inputs="full")),
    }
    for name, state in states.items():
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(state, folder / name)
