"""A figure that a study asks for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from coffea_equitag.validation import Strict

__all__ = ["Figure"]


class Figure(Strict):
    """What to draw.

    Attributes
    ----------
    name : str
        ``cost``: rejection against the cost of scoring; ``learning``: against the number of training jets; ``size``:
        against parameters or an option of the networks; ``roc``, ``confusion``; ``training``: loss and accuracy by
        epoch; ``robustness``: under the six transformations of arXiv:2208.07814; ``invariance``: changes of the score
        against angles and boosts.
    variants : tuple of str, or dict of str to tuple of str
        Those to show, by default all; for ``size`` and ``learning`` also lines of several variants, by name.
    metric : str
        On the vertical axis, where that is one of the study's metrics; by default the last of them.
    jets : int
        Jets to transform, for ``robustness``: the first of the test sample.
    against : str
        Horizontal axis of ``size``: ``parameters``, or an option of the network such as ``hidden``.
    """

    name: Literal["cost", "learning", "size", "roc", "confusion", "training", "robustness", "invariance"]
    variants: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    metric: str = ""
    jets: int = Field(default=1000, ge=1)
    against: str = "parameters"

    @classmethod
    def parse(cls, given: Any) -> Figure:
        """From a name, or a name with options."""
        if isinstance(given, Figure):
            return given
        if isinstance(given, str):
            return cls(name=given)  # type: ignore[arg-type]
        ((name, options),) = dict(given).items()
        return cls(name=name, **options)

    @property
    def names(self) -> tuple[str, ...]:
        """The variants named."""
        lines = self.variants.values() if isinstance(self.variants, dict) else [self.variants]
        return tuple(name for line in lines for name in line)
