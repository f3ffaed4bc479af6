"""``python -m studies.scaling``."""

from ..command import main

main(__package__)
