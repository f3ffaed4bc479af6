"""Peak memory of a computation, measured in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["growth", "memory_server", "serve"]

Ask = Callable[..., dict[str, float] | None]


@contextmanager
def memory_server(threads: int) -> Iterator[Ask]:
    """Start a process that forks a new one for each request, with default malloc settings.

    Yields
    ------
    callable
        ``ask(task, **arguments)`` returns the result of the function `task` of `tasks`, or None if a process cannot
        be forked or failed.
    """
    if not hasattr(os, "fork"):
        yield lambda task, **arguments: None
        return
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    command = [sys.executable, "-m", f"{__package__}.tasks", str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def ask(task: str, **arguments: Any) -> dict[str, float] | None:
            assert server.stdin is not None
            assert server.stdout is not None
            print(json.dumps({"task": task, **arguments}), file=server.stdin, flush=True)
            answer: dict[str, float] | None = json.loads(server.stdout.readline() or "null")
            return answer

        try:
            yield ask
        finally:
            server.stdin.close()


def serve(answer: Callable[[dict[str, Any]], dict[str, float]], prepare: Callable[[dict[str, Any]], None]) -> None:
    """Read requests from standard input; answer each from a fork of this process after calling `prepare`."""
    for line in sys.stdin:
        request = json.loads(line)
        prepare(request)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read)
                with os.fdopen(write, "w") as pipe:
                    json.dump(answer(request), pipe)
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        print(text or "null", flush=True)


def growth(task: Callable[[], Any], device: str = "cpu") -> float:
    """Largest increase of memory in bytes while a task runs: resident memory, or GPU memory."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        task()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before)
    resident = _status("VmRSS")
    if resident is not None and _reset_peak():
        task()
        return float((_status("VmHWM") or resident) - resident)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    earlier = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    task()
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - earlier) * unit


def _reset_peak() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
    except OSError:
        return False
    return True


def _status(field: str) -> int | None:
    """An entry of /proc/self/status in bytes; Linux only."""
    try:
        with open("/proc/self/status") as status:
            return next((1024 * int(line.split()[1]) for line in status if line.startswith(field)), None)
    except OSError:
        return None
