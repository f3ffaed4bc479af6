"""The process that measures: ``python -m coffea_equitag.benchmarking SETTINGS RESULT``, both JSON."""

import json
import sys
from pathlib import Path

from .settings import Settings
from .suite import measure

asked, output = sys.argv[1:]
result = measure(Settings(**json.loads(asked)), lambda line: print(line, file=sys.stderr, flush=True))
Path(output).write_text(json.dumps(result))
