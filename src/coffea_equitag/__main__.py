"""``python -m coffea_equitag`` is ``equitag``."""

import sys

from .cli import main

sys.exit(main())
