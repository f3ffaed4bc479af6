"""A training that ends by SIGKILL at its n-th step: run by test_resume and test_streamed in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import warnings
from pathlib import Path

import torch

from coffea_equitag import fit, readers
from coffea_equitag.training.loop.module import Training

warnings.filterwarnings("error", module="coffea_equitag")
spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
assert spec is not None
assert spec.loader is not None
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

out, left = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
step = Training.training_step


def mortal(self: Training, *arguments: object) -> torch.Tensor:
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)


Training.training_step = mortal
model = toys.small_model(dropout=0.3)
settings = {"epochs": 3, "batch_size": 16, "seed": 4, "device": "cpu", "save_every": 0, "progress": False}
jets = readers.stream(sys.argv[3], shuffle=40) if len(sys.argv) > 3 else toys.toy_jets(100)
fit(model, jets, out=out, pair_budget=1_000_000, **settings)
