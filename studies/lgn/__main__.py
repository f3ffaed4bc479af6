"""``python -m studies.lgn``."""

from ..command import main

main(__package__)
