"""Fused forms of the networks, one folder per network, held to the layers of `coffea_equitag.layers`.

Models know `run` and `gram`, users `use` and `last_choice`. How a kernel is built, changed and tested: ``README.md``.
"""

from .dispatch import Choice, gram, last_choice, run, use

__all__ = ["Choice", "gram", "last_choice", "run", "use"]
