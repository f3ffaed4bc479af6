"""Train toys in the processes of torchrun, one run after the other: ``distributed_run.py RUNS``, as JSON.

Each process prints, with the number of each run, the content hash of its tagger, or the first line of its error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

import torch

from coffea_equitag import EquitagError, fit, models

warnings.filterwarnings("error", module="coffea_equitag")
spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
assert spec is not None
assert spec.loader is not None
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

torch.set_num_threads(1)
for number, run in enumerate(json.loads(sys.argv[1])):
    torch.manual_seed(int(os.environ.get("RANK", "0")))  # only the network of the first process counts
    model = models.build(run.pop("kind"), **run.pop("options"))
    try:
        told = fit(model, toys.toy_jets(100), device="cpu", progress=False, **run).content_hash
    except EquitagError as error:
        told = str(error).splitlines()[0]
    # in one piece, as the other process writes to the same pipe
    sys.stdout.write(json.dumps([number, told]) + "\n")
    sys.stdout.flush()
