"""``python -m studies.attention``."""

from ..command import main

main(__package__)
