"""``python -m studies.patches``."""

from ..command import main

main(__package__)
