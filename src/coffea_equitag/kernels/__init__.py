"""Fast forms of the networks, held to the layers of `coffea_equitag.layers`, which are the reference."""

from .dispatch import Choice, choose, last_choice, use

__all__ = ["Choice", "choose", "last_choice", "use"]
