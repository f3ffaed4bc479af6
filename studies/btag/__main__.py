"""``python -m studies.btag``."""

from ..command import main

main(__package__)
