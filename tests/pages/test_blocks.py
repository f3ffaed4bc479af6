"""Every block of code in README.md and docs/ runs, or says why not, and is then at least read."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import yaml
from coffea.nanoevents import PFNanoAODSchema

from coffea_equitag.cli import COMMANDS, main
from coffea_equitag.readers import JetMapping
from coffea_equitag.training import RunConfig
from pages.blocks import PAGES, ROOT, blocks, commands
from pages.surroundings import lay_out, names

#: Blocks that are not run, each with its reason beside it. Fewer are better.
NOT_RUN = 4

SHELL = ("bash", "console")
DIRECTIVES = re.compile(r"^\{|^$|^dockerfile$|^text$")

NAMES = {str(page.relative_to(ROOT)): page for page in PAGES}


@pytest.fixture
def tidied(monkeypatch):
    """Pages leave figures of pyplot open, and settings of matplotlib and coffea changed."""
    monkeypatch.setattr(PFNanoAODSchema, "warn_missing_crossrefs", PFNanoAODSchema.warn_missing_crossrefs)
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize("name", [name for name, page in NAMES.items() if any(blocks(page))])
@pytest.mark.filterwarnings("ignore")  # what users see, too
def test_blocks_run(name, tmp_path, monkeypatch, request):
    chosen = [one for one in blocks(NAMES[name]) if one.language in ("python", "cell", *SHELL) and one.reason is None]
    if not chosen:
        pytest.skip("no block that runs")
    is_tutorial = chosen[0].language == "cell"
    monkeypatch.chdir(tmp_path)
    modules = {} if is_tutorial else lay_out(tmp_path, monkeypatch)
    given = {} if is_tutorial else names(name, tmp_path, monkeypatch, request)
    space = {"__name__": "__main__"} | modules | given
    for block in chosen:
        if block.language in SHELL or block.code.lstrip().startswith("!"):
            code = block.code.lstrip("\n!").format(**space) if is_tutorial else block.code
            run_shell(code, f"{name}:{block.line}", tmp_path)
            continue
        exec(compile(block.padded, str(block.page), "exec"), space)
        space |= given  # each block begins with the same events


def run_shell(code, place, folder):
    """Our commands in this process, with its shortened trainings; scripts and torchrun's in others."""
    if code.startswith("#!/bin/bash"):
        return run_script(code, place, folder)
    for command in commands(code):
        words = shlex.split(command)
        if words[0] == "torchrun":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            launcher = [sys.executable, "-m", "torch.distributed.run", f"--master-port={port}"]
            run_process([*launcher, *words[1:]], place)
            continue
        assert words[0] == "equitag", f"{place}: not our command: say why it is not run"
        assert main(words[1:]) == 0, f"{place}: {command}"
    return None


def run_script(code, place, folder):
    """A job's script, whose commands find our command, and a batch system that accepts everything."""
    if sys.platform == "win32":
        return
    commands = folder / ".commands"
    for name, what in (("equitag", f'exec "{sys.executable}" -m coffea_equitag "$@"'), ("sbatch", "exit 0")):
        commands.mkdir(exist_ok=True)
        (commands / name).write_text(f"#!/bin/sh\n{what}\n")
        (commands / name).chmod(0o755)
    (folder / "job.sh").write_text(code)
    run_process(["bash", "job.sh"], place, PATH=f"{commands}{os.pathsep}{os.environ['PATH']}")


def run_process(words, place, **environment):
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{place}: {done.stderr}"


def test_what_is_not_run():
    skipped = [one for page in PAGES for one in blocks(page) if one.reason]
    for block in skipped:
        for file in re.findall(r"tests/[\w/]+\.py", block.reason):
            assert (ROOT / file).is_file(), f"{block.page.name}:{block.line}: {block.reason}"
    assert len(skipped) <= NOT_RUN


def test_blocks_that_are_not_run_are_valid():
    for page in PAGES:
        for block in blocks(page):
            if block.reason and block.language == "python":
                compile(block.padded, str(page), "exec")
            elif block.reason and block.language in SHELL:
                for command in commands(block.code):
                    check_command(shlex.split(command))


def check_command(words):
    """Options that the command knows, if it is ours."""
    if words[0] == "equitag":
        assert words[1] in COMMANDS
        parser = argparse.ArgumentParser(prog=" ".join(words[:2]), exit_on_error=False)
        importlib.import_module(f"coffea_equitag.cli.{words[1]}").configure(parser)
        parser.parse_args(words[2:])


#: What a tutorial's code needs besides the package itself.
EXTRAS = {"eqt.fit(": "train", "equitag train": "train", "import onnxruntime": "export"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("docs/tutorials/")])
def test_tutorials_begin_with_what_they_need(name):
    page = NAMES[name].read_text()
    if any(block.language == "cell" for block in blocks(NAMES[name])):
        assert "\n  name: ipython3\n" in page  # the site is built without running them, too: EQUITAG_TUTORIALS=off
    beginning = page.partition("{code-cell}")[0]
    code = "".join(block.code for block in blocks(NAMES[name]))
    for extra in {extra for text, extra in EXTRAS.items() if text in code}:
        assert f"pip install 'coffea-equitag[{extra}]'" in beginning


def test_languages():
    """No block without a language passes for prose."""
    known = {"python", "cell", "yaml", "toml", *SHELL}
    for page in PAGES:
        for block in blocks(page):
            assert block.language in known or DIRECTIVES.match(block.language), f"{page.name}:{block.line}"
            assert block.language or "equitag " not in block.code, f"{page.name}:{block.line}: a command without bash"


def test_configurations():
    """YAML is a part of a training's configuration, TOML a mapping of an ntuple."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml":
                given = yaml.safe_load(block.code)
                RunConfig.model_validate({"model": "pfn", "data": ["jets.parquet"], "output": "run"} | given)
            elif block.language == "toml":
                JetMapping.model_validate(tomllib.loads(block.code))
