"""Pages of studies in the documentation's table of contents."""

from __future__ import annotations

import json
from pathlib import Path

from coffea_equitag.atomic_file import write_atomic

__all__ = ["add_page"]

_STUDIES = "  - Studies:\n"


def add_page(config: Path, title: str, name: str) -> None:
    """Add ``studies/NAME.md`` to the studies in ``mkdocs.yml``, if it is not among them."""
    text = config.read_text()
    if f"studies/{name}.md" not in text:
        line = f"{_STUDIES}      - {json.dumps(title, ensure_ascii=False)}: studies/{name}.md\n"
        write_atomic(config, text.replace(_STUDIES, line, 1).encode())
