#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""Development tasks: ``nox`` runs lint, types and tests, each in its own environment; ``nox -l`` lists the others."""

import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"

CONSTRAINED = ("-c", "constraints.txt")
PARALLEL = ("-n", "auto", "--maxprocesses", "4")
SPHINX = ("-W", "--keep-going", "-n", "-d", "build/doctrees")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, and what Scientific Python's guide asks of a repository."""
    session.install("codespell", "ruff", "sp-repo-review[cli]", *CONSTRAINED)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("repo-review", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install("-e", ".[train]", "mypy", *CONSTRAINED)
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The suite with the versions of constraints.txt."""
    session.install("-e", ".[test]", *CONSTRAINED)
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python="3.11", venv_backend="uv", default=False)
def lowest(session: nox.Session) -> None:
    """The demo and the suite with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("equitag", "demo", "--output", session.create_tmp() + "/demo")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python=["3.12", "3.13"], default=False)
def newest(session: nox.Session) -> None:
    """The demo and the suite with the newest versions of everything."""
    session.install("--upgrade", "-e", ".[test]")
    session.run("equitag", "demo", "--output", session.create_tmp() + "/demo")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """The suite, and which lines of Python it ran; compiled code is left out."""
    session.install("-e", ".[test]", "pytest-cov", *CONSTRAINED)
    with tempfile.TemporaryDirectory() as cache:  # empty, so that what runs while kernels are compiled is seen
        session.run("pytest", *PARALLEL, "--cov", *session.posargs, env={"NUMBA_CACHE_DIR": cache})


@nox.session(default=False)
def search(session: nox.Session) -> None:
    """Property tests with many new random examples."""
    session.install("-e", ".[test]", *CONSTRAINED)
    session.run("pytest", "-n", "auto", "--hypothesis-profile", "search", "-m", "hypothesis", *session.posargs)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Thousands of damaged files, and the tables of docs/reliability.md; ``nox -s faults -- --tries 5000 --seed 2``.

    Each command that writes is killed a hundred times.
    """
    session.install("-e", ".[test]", *CONSTRAINED)
    counts = session.create_tmp()
    session.run("pytest", "tests/faults/test_kill.py", "-s", env={"EQUITAG_KILLS": "100", "EQUITAG_FAULTS": counts})
    options = ["--kills", counts, "--write", "docs/reliability.md", *(session.posargs or ["--tries", "1000"])]
    session.run("python", "-m", "faults.table", *options, env={"PYTHONPATH": "tests"})


@nox.session(default=False)
def studies(session: nox.Session) -> None:
    """Simulate, train and compare: ``nox -s studies -- networks --scale 0.1``."""
    session.install("-e", ".[simulate,train]", *CONSTRAINED)
    name, *options = session.posargs
    session.run("python", "-m", f"studies.{name}", *options)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The pages, in build/site; tutorials are run, and warnings are errors: broken links and references too."""
    session.install("-e", ".[docs]", *CONSTRAINED)
    session.run("sphinx-build", *SPHINX, "-b", "html", "docs", "build/site", *session.posargs)


@nox.session(default=False)
def links(session: nox.Session) -> None:
    """Links to other sites, of the pages and of README.md and its like; it needs the network, and no test does this."""
    session.install("-e", ".[docs]", *CONSTRAINED)
    temporary = Path(session.create_tmp())
    codes = (0, 1)  # 1: some are broken; first all are looked at
    check = ("sphinx-build", "-q", "-b", "linkcheck")
    session.run(*check, "-D", "nb_execution_mode=off", "docs", f"{temporary}/site", success_codes=codes)
    pages = temporary / "pages"
    pages.mkdir(exist_ok=True)
    for page in Path().glob("*.md"):
        shutil.copy(page, pages)
    # without our configuration, since these pages are none of the site
    options = ("-C", "-D", "extensions=myst_parser", "-D", "root_doc=README", "-D", "suppress_warnings=myst,toc")
    session.run(*check, *options, str(pages), f"{temporary}/others", success_codes=codes)
    found = [(temporary / part / "output.txt").read_text() for part in ("site", "others")]
    broken = [line for text in found for line in text.splitlines() if "[broken]" in line]
    if broken:
        session.error("\n".join([f"{len(broken)} broken links", *broken]))


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """What a new user runs first."""
    session.install(".", *CONSTRAINED)
    session.run("equitag", "demo", *session.posargs)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Source distribution and wheel, and whether PyPI would take them."""
    session.install("build", "check-wheel-contents", "twine")
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.run("twine", "check", "--strict", *map(str, folder.iterdir()))
    session.run("check-wheel-contents", *map(str, folder.glob("*.whl")))


if __name__ == "__main__":
    nox.main()
