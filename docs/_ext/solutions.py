"""Pages with the solutions of the lessons' exercises, linked from the lesson that names the file."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGE = """:orphan:

Solutions to lesson {number}
======================

The exercises are at the end of :doc:`lesson {number} </lessons/{name}>`. Write down your own answers first: this is
how you learn most. The file is a script that checks itself.

.. literalinclude:: /../lessons/solutions/{name}.py
   :language: python
"""


def write_pages(app):
    """Write a page per file of solutions into the folder of the built lessons."""
    folder = Path(app.srcdir, "lessons", "solutions")
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{path.stem}.rst": path.stem for path in sorted((ROOT / "lessons" / "solutions").glob("[0-9]*.py"))}
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for file, name in pages.items():
        text = PAGE.format(number=int(name[:2]), name=name)
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def link(app, docname, source):
    """Turn a lesson's mention of its solutions into a link to their page."""
    if docname.startswith("lessons/"):
        named = r"``(lessons/solutions/(\d\d_\w+)\.py)``"
        source[0] = re.sub(named, r":doc:`\1 </lessons/solutions/\2>`", source[0])


def setup(app):
    """Register both steps."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
