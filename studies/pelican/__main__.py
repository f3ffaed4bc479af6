"""``python -m studies.pelican``."""

from ..command import main

main(__package__)
