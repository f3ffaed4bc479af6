"""Many tries, and the tables of docs/reliability.md that tell of them: ``nox -s faults``.

Exits with 1 if anything happened that must not; the tries are listed, and each can be repeated by its number and seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from faults.formats import FORMATS
from faults.supervisor import ALLOWED, OUTCOMES, Try, tries

START, END = "<!-- made by tests/faults/table.py -->", "<!-- end -->"
KILLS_START = "<!-- made by tests/faults/test_kill.py -->"

#: The outcomes that must not happen share a column.
COLUMNS = {name: (name,) for name in OUTCOMES[:4]} | {
    "error without the file's name": ("our error, unnamed",),
    "foreign exception": ("foreign exception",),
    "hang": ("hang",),
    "crash": ("crash",),
    "memory": ("memory",),
}


def table(found: Iterable[Try], of: str, title: str) -> str:
    """A table of outcomes by one attribute of the tries, in Markdown."""
    counts: dict[str, Counter[str]] = {}
    for one in found:
        counts.setdefault(getattr(one, of), Counter())[one.outcome] += 1
    total = sum(counts.values(), Counter())
    rows = [_row(name, count) for name, count in counts.items()]
    head = f"| {title} | tries | {' | '.join(COLUMNS)} |"
    return "\n".join([head, "| --- " + "| ---: " * (1 + len(COLUMNS)) + "|", *rows, _row("all", total)])


def _row(name: str, count: Counter[str]) -> str:
    numbers = (sum(count[outcome] for outcome in outcomes) for outcomes in COLUMNS.values())
    return f"| {name} | {count.total()} | {' | '.join(map(str, numbers))} |"


def kill_table(folder: Path) -> str:
    """A table of the counts that test_kill.py wrote, for commands that passed: nothing lost, half-written or left."""
    counts = [json.loads(path.read_text()) for path in sorted(folder.glob("kill-*.json"))]
    rows = [f"| `{one['command']}` | {one['kills']} | 0 | {one['temporaries left']} |" for one in counts]
    head = "| command | kills | lost, half-written or left at the end | temporary files after kills |"
    return "\n".join([head, "| --- | ---: | ---: | ---: |", *rows])


def replaced(page: str, start: str, made: str) -> str:
    """A page with what stands between `start` and the next end replaced."""
    before, rest = page.split(start)
    return f"{before}{start}\n{made}\n{END}{rest.split(END, 1)[1]}"


def main() -> int:
    """Try, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="per kind of file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=Path, help="folder with the counts of test_kill.py")
    parser.add_argument("--write", type=Path, help="page whose tables are replaced")
    arguments = parser.parse_args()
    found = []
    for one in tries(dict.fromkeys(FORMATS, arguments.tries), arguments.seed):
        found.append(one)
        if one.outcome not in ALLOWED:
            print(f"{one.format}, try {one.number} ({one.fault}): {one.outcome} {one.said}", flush=True)
    made = f"{table(found, 'format', 'file')}\n\n{table(found, 'fault', 'fault')}\n\nSeed {arguments.seed}."
    print(made)
    if arguments.write is not None:
        page = replaced(arguments.write.read_text(), START, made)
        if arguments.kills is not None:
            page = replaced(page, KILLS_START, kill_table(arguments.kills))
        arguments.write.write_text(page)
    return int(any(one.outcome not in ALLOWED for one in found))


if __name__ == "__main__":
    sys.exit(main())
