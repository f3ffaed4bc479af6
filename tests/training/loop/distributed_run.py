"""Train toys in the processes of torchrun: ``distributed_run.py OUT MODEL OPTIONS SETTINGS``, the latter two as JSON."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

import torch

from coffea_equitag import fit, models

warnings.filterwarnings("error", module="coffea_equitag")
spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
assert spec is not None
assert spec.loader is not None
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

out, kind = sys.argv[1:3]
options, settings = map(json.loads, sys.argv[3:5])
torch.set_num_threads(1)
# only the network of the first process counts
torch.manual_seed(int(os.environ.get("RANK", "0")))
tagger = fit(models.build(kind, **options), toys.toy_jets(100), out=out, device="cpu", progress=False, **settings)
print(tagger.content_hash)
