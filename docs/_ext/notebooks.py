"""Notebooks of the lessons: a first cell that installs scratchnet, and text without Sphinx's roles and directives."""

import re
import textwrap

from sphinx_gallery import notebook

INSTALL = """
# Run this cell first. It downloads and installs scratchnet, unless this Python has it already.
REPOSITORY = "{repository}"  # its address, for git clone
FOLDER = "scratchnet-course"  # the clone

import importlib.util
import subprocess
import sys
from pathlib import Path

found = importlib.util.find_spec("scratchnet")
if found is None or found.origin is None:  # without origin, it is only a folder of that name
    if REPOSITORY.startswith("<"):
        sys.exit("Write the address of scratchnet's repository into this cell, between the quotation marks.")
    if not Path(FOLDER).exists():
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, FOLDER], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--editable", FOLDER], check=True)
    sys.path.append(str(Path(FOLDER).resolve()))  # this kernel started before the installation

# With the next line, every lesson takes seconds, on smaller data:
# %env SCRATCHNET_LESSONS=fast
"""

convert = notebook.rst2md


def install_cell(repository):
    """Return the code that installs scratchnet from a repository, and does nothing where it is installed."""
    return INSTALL.strip().format(repository=repository)


def plain_markdown(text, site):
    """Replace what Sphinx alone understands in a text converted to Markdown.

    Pages become links if ``site``, the address of the built documentation, is known, otherwise words. A ``widget`` is
    replaced by its sentence.
    """

    def page(match):
        words, target = " ".join(match[1].split()), match[2]
        return f"[{words}]({site.rstrip('/')}{target}.html)" if site else words

    def sentence(match):
        words = " ".join(textwrap.dedent(match[2]).split())
        return f"*{words}*" + (f" [Open it.]({site.rstrip('/')}/widgets/{match[1]}.html)" if site else "")

    text = re.sub(r":doc:`([^`<]+?)\s*<([^`>]+)>`", page, text)
    text = re.sub(r":sup:`([^`]+)`", r"<sup>\1</sup>", text)
    return re.sub(r"^\.\. widget:: (\w+)\n\n((?:   .*\n?)+)", sentence, text, flags=re.MULTILINE)


def setup(app):
    """Convert the text of every notebook, also of those in the archives."""

    def rst2md(text, *others):
        return plain_markdown(convert(text, *others), app.config.html_baseurl)

    notebook.rst2md = rst2md
    return {"parallel_read_safe": True, "parallel_write_safe": True}
