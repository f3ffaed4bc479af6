"""Links between pages lead somewhere: files, and headings in them. Links to other sites: ``nox -s links``."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from pages.blocks import PAGES, ROOT

FILES = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")), *ROOT.glob("*/README.md")]

LINK = re.compile(r"\]\(<?(?P<target>[^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
OTHERS = re.compile(r"^(:link:|:img-\w+:|.*srcset=\"|.*\bsrc=\")\s*(?P<target>[^\"\s]+)")


def prose(page):
    """The lines of a page outside of blocks of code."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def anchors(page):
    """Anchors of a page's headings, as GitHub and myst-parser make them."""
    for _, line in prose(page):
        if title := re.match(r"#+ (.+)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title[1]).lower()
            yield "".join(one for one in text if one in " -_" or one not in string.punctuation).replace(" ", "-")


def targets(page):
    """Targets within the repository, with their lines."""
    for number, line in prose(page):
        found = [one["target"] for one in LINK.finditer(re.sub(r"`[^`]*`", "", line))]
        found += [one["target"] for one in [OTHERS.match(line)] if one]
        yield from ((number, one) for one in found if not re.match(r"[a-z]+:", one))


@pytest.mark.parametrize("page", FILES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    for number, target in targets(page):
        path, _, anchor = target.partition("#")
        where = f"{page.relative_to(ROOT)}:{number}: {target}"
        found = resolved(page, path)
        assert found is not None, where
        if anchor and found.suffix == ".md":
            assert anchor in set(anchors(found)), where


def resolved(page: Path, path: str) -> Path | None:
    """The file or folder that a link names; names of documents lack their suffix."""
    if not path:
        return page
    full = ROOT / "docs" / path[1:] if path.startswith("/") else page.parent / path
    return next((one for one in (full, full.with_name(f"{full.name}.md")) if one.exists()), None)
