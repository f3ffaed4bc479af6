"""The blocks of code in README.md and docs/, and the reasons why some are not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<info>[^`\n]*)$")
_REASON = re.compile(r"^<!-- not run: (?P<reason>.+) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block: where its code begins, its language (``cell`` of a tutorial), and why it is not run."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def padded(self) -> str:
        """The code, each line at its place in the page, for tracebacks."""
        return "\n" * (self.line - 1) + self.code


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page, in order. A comment directly above says why one is not run."""
    lines, reason, at = page.read_text().splitlines(), None, 0
    while at < len(lines):
        found = _FENCE.match(lines[at])
        if given := _REASON.match(lines[at]):
            reason = given["reason"]
        elif found:
            end = next(k for k in range(at + 1, len(lines)) if lines[k].startswith("```"))
            code = lines[at + 1 : end]
            language = found["info"].strip()
            if language.startswith("{code-cell}"):
                language, code = "cell", ["" if one.startswith((":", "%")) else one for one in code]
            yield Block(page, at + 2, language, "\n".join(code) + "\n", reason)
            at, reason = end, None
        elif not lines[at].startswith("<!--"):
            reason = None
        at += 1


def commands(code: str) -> Iterator[str]:
    """The commands of a shell block, without prompts and with continued lines in one."""
    for line in re.sub(r"\\\n\s*", " ", code).splitlines():
        line = re.sub(r"(^|\s)#\s.*$", "", line).strip().removeprefix("$ ")
        yield from (one.strip() for one in line.split(" && ") if one.strip())
