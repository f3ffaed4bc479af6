"""A progress bar on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(label: str, total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar of `total` events; yields a function that is told how many more are done."""
    with rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=not shown,
    ) as bar:
        task = bar.add_task(label, total=total)

        def advance(events: int) -> None:
            bar.advance(task, events)

        yield advance
