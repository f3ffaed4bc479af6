"""What ran when a network was called, and why."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """What ran.

    Attributes
    ----------
    kernel : str
        ``"reference"``, ``"cpu"`` or ``"gpu"``.
    reason : str
        Why, in words.
    precision : str
        How the kernel multiplied, as `use` knows it.
    """

    kernel: str
    reason: str
    precision: str = "float32"

    def __str__(self) -> str:
        return (
            f"{'its layers' if self.kernel == 'reference' else f'kernels of the {self.kernel.upper()}'} ({self.reason})"
        )
