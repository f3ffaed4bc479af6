"""``python -m zoo``."""

from .command import main

main()
