"""Fused forms of the networks, one folder per network, held to the layers of `coffea_equitag.layers`.

Models know `run`, `gram` and `friend_scalars`; taggers `modules_of`; users `use`, `last_choice` and
`self_check_outcome`. How a kernel is built, changed and tested: ``README.md``.
"""

from .choice import Choice
from .dispatch import friend_scalars, gram, last_choice, run, use
from .module_tree import modules_of
from .self_check import outcome as self_check_outcome

__all__ = ["Choice", "friend_scalars", "gram", "last_choice", "modules_of", "run", "self_check_outcome", "use"]
