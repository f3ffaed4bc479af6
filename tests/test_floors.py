"""The order of the floors: who may import whom, read from the sources without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import coffea_equitag

#: From the ground up. A module imports its own package and what stands on floors below, at whatever place in the file
#: and for whatever purpose (type checking included); names on one floor do not know each other.
#: The longest name that fits a module is its floor's, "" is the map in ``coffea_equitag/__init__.py``.
FLOORS = (
    (
        "errors",
        "array_types",
        "read_ahead",
        "compile_notice",
        "cpu_name",
        "evaluation_mode",
        "fastjet_banner",
        "recording",
        "interrupts",
        "plain_numbers",
        "schema",
        "source_stamp",
        "temporary_files",
        "worker_processes",
    ),
    ("validation", "code_cache", "marked_page", "reading"),
    ("compiled", "atomic_file", "option_types"),
    ("jets",),
    ("readers", "invariants", "jet_model", "testing"),
    ("layers",),
    ("kernels.module_tree", "kernels.running_statistics"),
    ("kernels.support", "kernels.choice"),
    ("kernels.precision",),
    ("kernels.common",),
    (
        "kernels.lorentznet",
        "kernels.pelican",
        "kernels.lgatr_slim",
        "kernels.lgn",
        "kernels.lloca_transformer",
        "kernels.particle_transformer",
        "kernels.particlenet",
        "kernels.tensor_pfn",
        "kernels.pfn",
    ),
    ("kernels",),
    ("models", "zoo"),
    ("tagger",),
    ("convert", "evaluation", "export", "scoring", "variations"),
    ("training", "processor"),
    ("simulation", "demo"),
    ("benchmarking",),
    ("warming",),
    ("",),
    ("cli",),
    ("__main__",),
)

#: Packages of which others know only what their ``__init__`` offers.
DOORS = ("kernels",)

_LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def modules_of(package: Path) -> dict[str, Path]:
    """Dotted names below a package, and their files; the package itself is ""."""
    files = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return files


def _imported(node: ast.AST, module: str, is_package: bool, name: str) -> Iterator[str]:
    """Dotted names that one statement may import, from the package's root; of others nothing."""
    if isinstance(node, ast.Import):
        yield from (alias.name.removeprefix(name).lstrip(".") for alias in node.names if _within(alias.name, name))
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            here = module.split(".") if module else []
            up = node.level - 1 if is_package else node.level
            source = ".".join([*here[: len(here) - up], *([node.module] if node.module else [])])
        elif node.module and _within(node.module, name):
            source = node.module.removeprefix(name).lstrip(".")
        else:
            return
        yield from (f"{source}.{alias.name}".lstrip(".") for alias in node.names)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def imports_of(package: Path) -> dict[str, set[str]]:
    """For each module of a package the modules of the package that it imports, wherever the statement stands."""
    modules = modules_of(package)
    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        graph[module] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            for target in _imported(node, module, file.name == "__init__.py", package.name):
                # a name that is no module is something that its module defines
                graph[module].add(target if target in modules else target.rpartition(".")[0])
    return graph


def room_of(module: str) -> str | None:
    """The longest name in `FLOORS` that fits a module."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in _LEVEL), None)


def faults(graph: dict[str, set[str]]) -> list[str]:
    """What breaks the order: imports upwards, across a floor or past a door, modules without a floor, circles."""
    found = [f"{module} has no floor" for module in graph if room_of(module) is None]
    for module, targets in graph.items():
        for target in sorted(targets):
            here, there = room_of(module), room_of(target)
            if None not in (here, there) and here != there and _LEVEL[here] <= _LEVEL[there]:
                found.append(f"{module} imports {target}")
            door = target.partition(".")[0]
            if door in DOORS and target != door and not _within(module, door):
                found.append(f"{module} imports {target}, past the door of {door}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("circle: " + " <- ".join(error.args[1]))
    return found


def test_every_import_points_down():
    assert faults(imports_of(Path(coffea_equitag.__file__).parent)) == []


SOUND = {
    "__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .models import build\n",
    "errors.py": "import ast\nfrom os import path\n",
    "jets/__init__.py": "from .collection import make_jets\n",
    "jets/collection.py": "from ..errors import JetError\nmake_jets = 1\n",
    "layers/__init__.py": "",
    "layers/pairs.py": "from ..jets import make_jets\nimport coffea_equitag.jets.collection\n",
    "kernels/__init__.py": "def run():\n    from .pelican import cpu\n",
    "kernels/common/__init__.py": "",
    "kernels/lgn/__init__.py": "from .. import common\n",
    "kernels/pelican/__init__.py": "from ...layers import pairs\n",
    "kernels/pelican/cpu/__init__.py": "from ...common import x\n",
    "models/__init__.py": "from .. import kernels\nfrom coffea_equitag.kernels import run\nbuild = 1\n",
    "cli/__init__.py": "from .. import __version__\n",
}

PLANTED = {
    "layers know no kernels": ("layers/pairs.py", "from ..kernels import run", "layers.pairs imports kernels"),
    "in a function": (
        "layers/pairs.py",
        "def f():\n    from ..kernels.common import x",
        "layers.pairs imports kernels.common",
    ),
    "for types": (
        "kernels/pelican/cpu/__init__.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ....models import build",
        "kernels.pelican.cpu imports models",
    ),
    "by its whole name": ("jets/collection.py", "import coffea_equitag.layers.pairs", "jets.collection imports layers"),
    "a package's __init__": ("jets/__init__.py", "from ..models import build", "jets imports models"),
    "the map": ("layers/pairs.py", "from coffea_equitag import make_jets", "layers.pairs imports "),
    "one tower, another": ("kernels/pelican/cpu/__init__.py", "from ... import lgn", "imports kernels.lgn"),
    "common, a tower": ("kernels/common/__init__.py", "from ..lgn import x", "kernels.common imports kernels.lgn"),
    "past the door": ("models/__init__.py", "from ..kernels import common", "past the door of kernels"),
    "a circle in a room": ("jets/collection.py", "from . import validate", "circle: jets"),
    "no floor": ("new_room/__init__.py", "", "new_room has no floor"),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in SOUND.items():
        file = tmp_path / "coffea_equitag" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "coffea_equitag"


def test_a_sound_package_has_no_faults(package):
    assert faults(imports_of(package)) == []


@pytest.mark.parametrize(("file", "statement", "fault"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(package, file, statement, fault):
    (package / file).parent.mkdir(exist_ok=True)
    with (package / file).open("a") as source:
        source.write(statement + "\n")
    found = faults(imports_of(package))
    assert any(fault in line for line in found), found
