"""Development tasks: ``nox`` runs lint, types and tests, each in its own environment."""

import nox

nox.options.sessions = ["lint", "types", "tests"]
CONSTRAINED = ("-c", "constraints.txt")


@nox.session
def lint(session: nox.Session) -> None:
    session.install("ruff", *CONSTRAINED)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", ".[train]", "mypy", *CONSTRAINED)
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    session.install("-e", ".[docs,train]", *CONSTRAINED)
    session.run("mkdocs", "build")


@nox.session
def tests(session: nox.Session) -> None:
    session.install("-e", ".[test]", *CONSTRAINED)
    session.run("pytest", "-n", "auto", "--maxprocesses", "4", *session.posargs)


@nox.session
def search(session: nox.Session) -> None:
    """Property tests with many new random examples."""
    session.install("-e", ".[test]", *CONSTRAINED)
    session.run("pytest", "-n", "auto", "--hypothesis-profile", "search", "-m", "hypothesis", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    session.install(".", *CONSTRAINED)
    session.run("equitag", "demo", *session.posargs)
