"""Speed and memory of the networks, compared with other implementations: `equitag benchmark`."""

from .explanation import Explanation, explain_choices
from .settings import Settings
from .suite import measure, run

__all__ = ["Explanation", "Settings", "explain_choices", "measure", "run"]
