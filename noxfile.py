#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""The tests with every Python that is supported, and with the oldest packages that `pyproject.toml` allows.

pip install nox uv
nox                          # everything whose Python is installed
nox -s tests-3.13 -- -x      # one session; what follows the dashes goes to pytest
"""

import nox

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the newest packages."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the direct dependencies."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """Build the pages, with the lessons in their fast mode, and check their links, pictures, notebooks and widgets."""
    session.install("-e", ".[test,docs]")
    session.run("python", "-m", "sphinx", "-q", "-W", "docs", "docs/_build", env={"SCRATCHNET_LESSONS": "fast"})
    session.run("python", "-m", "pytest", "tests/docs", *session.posargs)


if __name__ == "__main__":
    nox.main()
