"""The measuring process: ``python -m coffea_equitag.benchmarking SETTINGS RESULT``, both JSON."""

import json
import sys
from pathlib import Path

from ..errors import EquitagError
from .settings import Settings
from .suite import measure

settings, output = sys.argv[1:]
try:
    result = measure(Settings(**json.loads(settings)), lambda line: print(line, file=sys.stderr, flush=True))
except EquitagError as error:
    # raised again by the parent process
    result = {"refused": str(error)}
Path(output).write_text(json.dumps(result))
