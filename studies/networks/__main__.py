"""``python -m studies.networks``."""

from ..command import main

main(__package__)
